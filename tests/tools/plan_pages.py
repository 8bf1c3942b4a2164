# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of recovery plans, from the model and the rules."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._plan import fields
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.durations import PATTERN
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.fields import Key, keys_of
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.model import Plan
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.reader import FORMAT_VERSION
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.registry import SUBJECTS, TRAPS
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.steps import STEPS
from tests.support.runner.server import ROOT
from tests.tools.marked import with_part

PAGE = "docs/recovery-plan.md"
SCHEMA = "docs/recovery-plan.schema.json"


def plan_pages() -> dict[Path, str]:
    """The page and the schema of recovery plans."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    for name, lines in (("keys", _keys()), ("steps", _steps()), ("rules", _rules()), ("traps", _traps())):
        page = with_part(page, name, lines)
    return {ROOT / PAGE: page, ROOT / SCHEMA: json.dumps(json_schema(), indent=2) + "\n"}


def json_schema() -> dict[str, t.Any]:
    """The model as a JSON Schema of draft 2020-12. Dates, schedules and unique names are the reader's."""
    schema = _shape(Plan)
    schema["properties"]["version"] = {"const": FORMAT_VERSION, "description": keys_of(Plan)["version"].meaning}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "recovery_plan", **schema}


def _keys() -> t.Iterator[str]:
    seen: list[t.Any] = []
    waiting: list[tuple[str, t.Any]] = [("recovery_plan", Plan)]
    while waiting:
        title, shape = waiting.pop(0)
        if shape in seen:
            continue
        seen.append(shape)
        yield from (f"### `{title}`", "", "| key | kind | meaning |", "|---|---|---|")
        for name, key in keys_of(shape).items():
            yield f"| `{name}`{' (required)' if key.required else ''} | {_kind(key)} | {key.meaning} |"
            if key.shape is not None:
                prefix = "" if title == "recovery_plan" else f"{title}."
                waiting.append((f"{prefix}{name}{'[]' if key.kind == fields.MANY else ''}", key.shape))
        yield ""


def _kind(key: Key) -> str:
    if key.choices and key.choices != tuple(STEPS):
        return ("list of " if key.kind == fields.TEXTS else "") + ", ".join(f"`{one}`" for one in key.choices)
    if key.choices:
        return "list of steps, below"
    return {
        fields.TEXT: "text",
        fields.DATE: "date",
        fields.SCHEDULE: "schedule",
        fields.FLAG: "true or false",
        fields.DURATION: "duration",
        fields.COUNT: "whole number",
        fields.TEXTS: "list of texts",
        fields.ONE: "dictionary",
        fields.MANY: "list of dictionaries",
    }[key.kind]


def _steps() -> t.Iterator[str]:
    yield from ("| step | meaning |", "|---|---|")
    yield from (f"| `{step}` | {meaning} |" for step, meaning in STEPS.items())


def _rules() -> t.Iterator[str]:
    for subject, rules in SUBJECTS:
        yield from (f"### {subject}", "", "| rule | severity | trap | the plan must be so |", "|---|---|---|---|")
        yield from (f"| `{rule.id}` | {rule.severity} | {rule.trap or ''} | {rule.requirement} |" for rule in rules)
        yield ""


def _traps() -> t.Iterator[str]:
    yield from ("| trap | what plans got wrong |", "|---|---|")
    yield from (f"| {name} | {meaning} |" for name, meaning in TRAPS.items())


def _shape(shape: t.Any) -> dict[str, t.Any]:
    keys = keys_of(shape)
    required = [name for name, key in keys.items() if key.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"description": key.meaning, **_schema(key)} for name, key in keys.items()},
        **({"required": required} if required else {}),
    }


def _schema(key: Key) -> dict[str, t.Any]:
    described = _SCHEMAS[key.kind](key)
    # Null is "not given".
    return described if key.required else {"anyOf": [described, {"type": "null"}]}


def _list(key: Key, items: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"type": "array", "items": items, **({"minItems": 1} if key.required else {})}


def _text(key: Key) -> dict[str, t.Any]:
    if key.choices:
        return {"enum": list(key.choices)}
    # An element of a list is never empty, nor is what is required.
    filled = {"pattern": r"\S"} if key.required or key.kind == fields.TEXTS else {}
    return {"type": ["string", "number"], **filled}


_SCHEMAS: t.Mapping[str, t.Callable[[Key], dict[str, t.Any]]] = {
    fields.TEXT: _text,
    fields.DATE: lambda key: {"type": "string"},
    fields.SCHEDULE: lambda key: {"type": "string", "minLength": 1},
    fields.ENUM: _text,
    fields.FLAG: lambda key: {"enum": [True, False, "true", "false", "yes", "no"]},
    fields.DURATION: lambda key: {
        "anyOf": [
            {"type": "number", "minimum" if key.zero else "exclusiveMinimum": 0},
            {"type": "string", "pattern": PATTERN},
        ]
    },
    fields.COUNT: lambda key: {"type": "integer", "minimum": 1},
    fields.TEXTS: lambda key: _list(key, _text(key)),
    fields.ONE: lambda key: _shape(key.shape),
    fields.MANY: lambda key: _list(key, _shape(key.shape)),
}
