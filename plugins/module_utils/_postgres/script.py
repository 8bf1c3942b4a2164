# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plain dump of pg_dump consists of: its tables, and whether it begins and ends as one."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .names import QualifiedName, parse_qualified_name

_HEADERS = ("-- PostgreSQL database dump", "-- PostgreSQL database cluster dump")
_ENTRY = re.compile(r"-- (?:Data for )?Name: .*; Type: (?P<type>[A-Z ]+); Schema: ")
_PART = r'(?:"(?:[^"]|"")*"|[^\s."(]+)'
_CREATE = re.compile(rf"CREATE (?:UNLOGGED |FOREIGN )?TABLE (?P<name>{_PART}(?:\.{_PART})?)")
_COPY = re.compile(r"COPY .* FROM stdin;$")


@dataclass(frozen=True)
class ScriptFacts:
    """headed and ended: the first and the last words are those of pg_dump. count: how many CREATE TABLE there are."""

    headed: bool
    ended: bool
    empty: bool
    count: int
    tables: t.FrozenSet[QualifiedName]


def read_script(chunks: t.Iterable[bytes]) -> ScriptFacts:
    """Look through a dump without running it. Raises what the chunks raise."""
    headed, begun, ended, empty = False, False, False, True
    entry, in_rows = "", False
    names = []
    for line in _lines(chunks):
        empty = empty and not line.strip()
        if in_rows:
            # A row may look like anything but the line that ends all of them.
            in_rows = line != "\\."
            continue
        if line in _HEADERS:
            headed = headed or not begun
            ended = False
        elif any(line == f"{header} complete" for header in _HEADERS):
            ended = True
        elif line.strip() and not line.startswith(("--", "\\unrestrict ")):
            # Newer releases write \restrict above the first statement and \unrestrict as the last line.
            begun, ended = True, False
        found = _ENTRY.match(line)
        if found:
            entry = found.group("type")
        elif entry in ("TABLE", "FOREIGN TABLE") and _CREATE.match(line):
            names.append(t.cast("re.Match[str]", _CREATE.match(line)).group("name"))
            # The body of a function may hold such a line as well.
            entry = ""
        in_rows = bool(_COPY.match(line))
    return ScriptFacts(headed, ended and not in_rows, empty, len(names), frozenset(map(parse_qualified_name, names)))


def _lines(chunks: t.Iterable[bytes]) -> t.Iterator[str]:
    # A row may be a line of many chunks, so that they are joined once, at its end.
    held: t.List[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        held.append(first)
        for piece in others:
            yield b"".join(held).decode("utf-8", "replace").rstrip("\r")
            held = [piece]
    yield b"".join(held).decode("utf-8", "replace").rstrip("\r")
