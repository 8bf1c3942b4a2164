# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One database in the section C([databases]) of pgbouncer.ini: https://www.pgbouncer.org/config.html#section-databases."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError

#: Keywords that lead to a server, and those that belong to it.
KEYWORDS = ("host", "port", "dbname", "user", "password", "auth_user")

_SECTION = re.compile(r"\s*\[([^\]]*)\]")
_LINE = re.compile(r"[ \t]*(?P<name>\"(?:[^\"]|\"\")+\"|[^\s=\"\[;#%]+)[ \t]*=[ \t]*(?P<pairs>.*?)[ \t]*$")
_PAIR = re.compile(r"[ \t]*([A-Za-z_]+)[ \t]*=[ \t]*('(?:[^']|'')*'|[^\s']*)(?=[ \t]|$)")


@dataclass(frozen=True)
class Pair:
    """A keyword with its value; start and end: where the value with its quotes stands in the text."""

    keyword: str
    value: str
    start: int
    end: int


def parse_pairs(text: str, offset: int = 0) -> t.Optional[t.List[Pair]]:
    """The pairs of a connection string; None if it is none."""
    pairs: t.List[Pair] = []
    position = 0
    while text[position:].strip(" \t"):
        match = _PAIR.match(text, position)
        if match is None or match.group(1) in {one.keyword for one in pairs}:
            return None
        raw = match.group(2)
        value = raw[1:-1].replace("''", "'") if raw.startswith("'") else raw
        pairs.append(Pair(match.group(1), value, offset + match.start(2), offset + match.end(2)))
        position = match.end()
    return pairs


def keywords_of(text: str, option: str) -> t.Dict[str, str]:
    """The keywords of an option. Raises RecoveryError(invalid_options)."""
    pairs = parse_pairs(text)
    if not pairs or any(one.keyword not in KEYWORDS for one in pairs):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`{option}` must be a connection string of pgbouncer such as 'host=10.1.0.10 port=5432', with the "
            f"keywords {', '.join(KEYWORDS)}.",
        )
    return {one.keyword: one.value for one in pairs}


def quoted(value: str) -> str:
    """The value as pgbouncer reads it."""
    if re.fullmatch(r"[A-Za-z0-9_./:,*-]+", value):
        return value
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def database_pairs(text: str, database: str, path: str) -> t.List[Pair]:
    """The pairs of the line of a database. Raises RecoveryError: object_missing, inconsistent."""
    found: t.List[t.List[Pair]] = []
    section, start = "", 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        header = _SECTION.match(bare)
        match = None if header else _LINE.match(bare)
        if header:
            section = header.group(1).strip().lower()
        elif section == "databases" and match is not None and _name(match.group("name")) == database:
            pairs = parse_pairs(match.group("pairs"), start + match.start("pairs"))
            if pairs is None:
                raise RecoveryError(
                    ErrorKind.INCONSISTENT,
                    f"The line of the database {database} in {path} is no connection string.",
                    next_step="Correct the line.",
                )
            found.append(pairs)
        start += len(line)
    if len(found) != 1:
        raise RecoveryError(
            ErrorKind.INCONSISTENT if found else ErrorKind.OBJECT_MISSING,
            f"{path} has {len(found)} lines for the database {database} in the section [databases], and must have one.",
            next_step="Set `pgbouncer.ini` to the file that has the line, also if another file includes it.",
        )
    return found[0]


def _name(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
