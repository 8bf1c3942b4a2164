# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of variables in the README of each role, from its argument specification and its defaults."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import yaml

from tests.support.roles import entry_points_of, options_of
from tests.support.runner.server import ROOT
from tests.tools.marked import with_part

#: A default that reads another variable first: the variable, and what stands in default(), if anything.
_VARIABLE = re.compile(r"(?P<name>\w+)(?: \| default\((?P<otherwise>.*?)(?:, true)?\))?")
_LITERALS = {"true": True, "false": False}
#: A longer default would make the table unreadable.
_LONGEST_DEFAULT = 60
_SEE_DEFAULTS = "see [`defaults/main.yml`](defaults/main.yml)"
#: Markup of Ansible's documentation that Markdown shows as code.
_CODE = re.compile(r"\b(?:C|V|O|RV|E|M)\(((?:[^()]|\([^()]*\))*)\)")


def role_readmes() -> dict[Path, str]:
    """The README of each role with its table; a role without argument specification is internal and has none."""
    specifications = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    return {path.parents[1] / "README.md": _readme(path.parents[1]) for path in specifications}


def _readme(role: Path) -> str:
    readme = role / "README.md"
    try:
        return with_part(readme.read_text(encoding="utf-8"), "variables", _table(role))
    except ValueError as error:
        raise ValueError(f"{readme}: {error}") from error


def _table(role: Path) -> t.Iterator[str]:
    entry_points = entry_points_of(role.name)
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    options = {
        name: {**option, "description": _with_users(name, option, entry_points)}
        for name, option in options_of(role.name).items()
    }
    yield from ("| variable | default | meaning |", "|---|---|---|")
    yield from option_rows(options, defaults)


def _with_users(name: str, option: dict[str, t.Any], entry_points: dict[str, dict[str, t.Any]]) -> str:
    """The description of a variable that some entry points read, with their names before it."""
    users = [entry_point for entry_point, options in entry_points.items() if name in options]
    named = "" if len(users) == len(entry_points) else f"({', '.join(f'C({user})' for user in users)}) "
    return f"{named}{_text(option)}"


def option_rows(options: dict[str, t.Any], defaults: dict[str, t.Any], above: str = "") -> t.Iterator[str]:
    """Rows of name, default and meaning, from options of an argument specification or of a module's documentation."""
    for name, option in options.items():
        default = _default(defaults.get(name, option.get("default")))
        if option.get("required"):
            default = "required"
        yield f"| `{above}{name}` | {_cell(default)} | {_cell(_meaning(option))} |"
        inner = f"{above}{name}[]." if option.get("type") == "list" else f"{above}{name}."
        yield from option_rows(option.get("options") or option.get("suboptions", {}), {}, inner)


def _default(value: t.Any) -> str:
    if isinstance(value, str) and "{{" in value:
        return _computed(value)
    if value is None or value in ("", [], {}):
        return "empty"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else _SEE_DEFAULTS


def _computed(template: str) -> str:
    """The variables that a default reads, in their order, and its last value."""
    inner = template.strip().removeprefix("{{").removesuffix("}}").strip()
    parts: list[str] = []
    while inner:
        found = _VARIABLE.fullmatch(inner)
        if found is None or found["name"] in _LITERALS or found["name"].isdigit():
            literal = _literal(inner)
            if literal is None:
                return _read_by(template)
            if literal not in ("", [], {}):
                parts.append(_default(literal))
            break
        parts.append(f"`{found['name']}`")
        inner = found["otherwise"] or ""
    return ", else ".join(parts)


def _read_by(template: str) -> str:
    """The variables of playbooks that an expression reads."""
    names = dict.fromkeys(re.findall(r"\brecovery_\w+", template))
    return f"from {', '.join(f'`{name}`' for name in names)}" if names else _SEE_DEFAULTS


def _literal(text: str) -> t.Any:
    try:
        return yaml.safe_load(text) if re.fullmatch(r"'[^']*'|[\d.]+|\[\]|\{\}|true|false", text) else None
    except yaml.YAMLError:
        return None


def _meaning(option: dict[str, t.Any]) -> str:
    text = _CODE.sub(r"`\1`", _text(option))
    choices = [f"`{_shown(allowed)}`" for allowed in option.get("choices", ()) if allowed != ""]
    return f"{text} One of {', '.join(choices)}." if choices else text


def _text(option: dict[str, t.Any]) -> str:
    description = option["description"]
    return description if isinstance(description, str) else " ".join(description)


def _shown(allowed: t.Any) -> str:
    return json.dumps(allowed) if isinstance(allowed, (bool, int)) else str(allowed)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
