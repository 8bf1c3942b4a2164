# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the sections `functions` of supabase/config.toml: the keys that decide about the files of a function. Pure.

Not a parser of TOML: tomllib needs Python 3.11, and a host that runs modules may have an older one. A value that this
reader does not understand is an error, and no guess.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..._core.errors import ErrorKind, RecoveryError

_SECTION = re.compile(r"\[\s*functions\s*\.\s*(?:\"([^\"]+)\"|'([^']+)'|([A-Za-z0-9_-]+))\s*\]")
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)", re.DOTALL)
#: A comment, or a text in which # is no comment.
_TOKEN = re.compile(r"(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')|#[^\n]*")
_TEXT = re.compile(r"\"((?:[^\"\\\n])*)\"|'([^'\n]*)'")
_ARRAY = re.compile(rf"\[\s*(?:(?:{_TEXT.pattern})\s*,?\s*)*\]")
_TEXTS = ("entrypoint", "import_map")


@dataclass(frozen=True)
class FunctionConfig:
    """Paths are relative to the folder supabase."""

    entrypoint: t.Optional[str] = None
    import_map: t.Optional[str] = None
    static_files: t.Sequence[str] = ()
    verify_jwt: t.Optional[bool] = None


def read_config(content: bytes, slug: str) -> FunctionConfig:
    """The configuration of a function; empty if it has no section. Raises RecoveryError(unsupported)."""
    values: t.Dict[str, t.Any] = {}
    current = ""
    for line in _logical_lines(content.decode("utf-8", "replace")):
        if line.startswith("["):
            found = _SECTION.fullmatch(line)
            current = next(filter(None, found.groups()), "") if found else ""
            continue
        pair = _KEY.fullmatch(line)
        if current != slug or pair is None:
            continue
        name, value = pair.groups()
        if name in _TEXTS:
            values[name] = _read_text(name, value, slug)
        elif name == "static_files":
            values[name] = _read_texts(name, value, slug)
        elif name == "verify_jwt":
            values[name] = _read_flag(name, value, slug)
    return FunctionConfig(**values)


def _logical_lines(text: str) -> t.Iterator[str]:
    """Lines without comments; an array over several lines is one."""
    pending = ""
    for line in _TOKEN.sub(lambda match: match.group(1) or "", text).splitlines():
        pending = f"{pending} {line.strip()}".strip()
        open_array = "=" in pending and pending.partition("=")[2].strip().startswith("[") and not pending.endswith("]")
        if not open_array:
            if pending:
                yield pending
            pending = ""
    if pending:
        yield pending


def _read_text(name: str, value: str, slug: str) -> str:
    found = _TEXT.fullmatch(value)
    if found is None or "\\" in value or "env(" in value:
        raise _unreadable(name, slug, "one text without escapes and without env()")
    return found.group(1) or found.group(2) or ""


def _read_texts(name: str, value: str, slug: str) -> t.Sequence[str]:
    if _ARRAY.fullmatch(value) is None or "\\" in value or "env(" in value:
        raise _unreadable(name, slug, "a list of texts without escapes and without env()")
    return [first or second for first, second in _TEXT.findall(value)]


def _read_flag(name: str, value: str, slug: str) -> bool:
    if value not in ("true", "false"):
        raise _unreadable(name, slug, "true or false")
    return value == "true"


def _unreadable(name: str, slug: str, wanted: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNSUPPORTED,
        f"supabase/config.toml of the commit has a value of functions.{slug}.{name} that is not {wanted}.",
        next_step="Deploy this release with the client of Supabase.",
    )
