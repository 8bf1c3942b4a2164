# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a dump of SQL from its statements: tables, its end, and statements that D1 would refuse.

Refusals of D1 are reported at https://github.com/cloudflare/workers-sdk/issues/5683 and, for long statements, at
https://github.com/cloudflare/workers-sdk/issues/4510; its limits: https://developers.cloudflare.com/d1/platform/limits/
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .foreign import Ending, has_infinity
from .statements import Statement, unquoted

#: Bytes of a statement that D1 takes.
_LONGEST = 100_000

_NAME = r"(?:\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|[^\s(.;,\"'`\[)]+)"
_QUALIFIED = rf"(?:{_NAME}\s*\.\s*)?({_NAME})"
_CREATE = re.compile(rf"CREATE\s+(VIRTUAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_QUALIFIED}", re.IGNORECASE)
_INSERT = re.compile(rf"(?:INSERT|REPLACE)\s+(?:OR\s+\w+\s+)?(?:INTO\s+)?{_QUALIFIED}", re.IGNORECASE)
_REFERENCES = re.compile(rf"\bREFERENCES\s+({_NAME})", re.IGNORECASE)


@dataclass(frozen=True)
class Note:
    """A statement that D1 would refuse; line is its line in the file."""

    line: int
    problem: str


class DumpFacts:
    """Sees one statement after the other. notes: at most so many are kept, problems counts all of them."""

    def __init__(self, most_notes: int = 100) -> None:
        self.statements = 0
        #: How many CREATE TABLE there are, and the names of all tables, virtual ones too.
        self.plain_tables = 0
        self.tables: t.Set[str] = set()
        self.notes: t.List[Note] = []
        self.problems: t.Dict[str, int] = {}
        self._most = most_notes
        self._ending = Ending()
        self._last: t.Optional[Statement] = None
        self._waiting: t.Dict[str, t.Set[str]] = {}
        self._too_early: t.Dict[str, t.Dict[str, int]] = {}
        self._counts = False

    @property
    def ends_within(self) -> bool:
        """Whether the last statement lacks its end."""
        return self._last is not None and not self._last.ended

    @property
    def cut_off(self) -> t.Optional[str]:
        """The reason why the dump is incomplete; None if it has its end."""
        if self._last is None:
            return "it holds no statement"
        if self.ends_within:
            return f"it ends within the statement that begins in line {self._last.line}, so it is cut off"
        return self._ending.problem

    def see(self, statement: Statement) -> None:
        self.statements += 1
        self._last = statement
        self._ending.see(statement)
        if statement.kind == "transaction":
            self._note(statement, "a transaction of its own")
        elif statement.word == "CREATE":
            self._create(statement)
        elif statement.kind == "write":
            self._write(statement)
        # A character has four bytes at most.
        if len(statement.text) > _LONGEST // 4 and len(statement.text.encode()) > _LONGEST:
            self._note(statement, f"a statement of more than {_LONGEST} bytes")
        if "\0" in statement.text:
            self._note(statement, "a text with NUL")

    def _create(self, statement: Statement) -> None:
        found = _CREATE.match(statement.text)
        if not found:
            return
        name = unquoted(found.group(2))
        self.tables.add(name)
        self.plain_tables += not found.group(1)
        self._counts = self._counts or "AUTOINCREMENT" in statement.text.upper()
        for child, line in self._too_early.pop(name.lower(), {}).items():
            self._note(statement, f"rows of {child} before its table {name}", line)
        made = {table.lower() for table in self.tables}
        parents = {unquoted(text).lower() for text in _REFERENCES.findall(statement.text)}
        self._waiting[name.lower()] = parents - made

    def _write(self, statement: Statement) -> None:
        found = _INSERT.match(statement.text)
        name = unquoted(found.group(1)) if found else ""
        # Only a table that is made later was too late: one that is never made shows when the dump is loaded.
        for parent in self._waiting.pop(name.lower(), ()):
            self._too_early.setdefault(parent, {})[name] = statement.line
        if not self._counts and "sqlite_sequence" in statement.text[:60]:
            self._note(statement, "counters without a table that counts")
        if has_infinity(statement.text):
            self._note(statement, "an infinity as a word")

    def _note(self, statement: Statement, problem: str, line: t.Optional[int] = None) -> None:
        self.problems[problem] = self.problems.get(problem, 0) + 1
        if len(self.notes) < self._most:
            self.notes.append(Note(statement.line if line is None else line, problem))
