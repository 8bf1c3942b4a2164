# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sequences whose next value exists in their column."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from decimal import Decimal

from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value, quote_identifier
from .._engines.postgresql.server.sequences import SequenceUse, sequence_uses
from .catalog import Obstacles, Scope
from .check import Check, Context
from .options import OptionReader, as_number
from .result import Finding


@dataclass(frozen=True)
class Sequences(Check):
    """The next value of every sequence is beyond the values of its columns, and within its own bounds."""

    scope: Scope

    @classmethod
    def read(cls, options: OptionReader) -> Sequences:
        return cls(Scope.read(options))

    @property
    def subject(self) -> str:
        return f"in {self.scope}"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        uses = sequence_uses(conn, self.scope.resolve(conn))
        obstacles = Obstacles(conn)
        wrong = []
        for use in uses:
            finding = None if obstacles.hide(use.sequence, use.table) else _look(conn, use)
            if finding:
                wrong.append(finding)
        named = "; ".join(f"{item['sequence']} {item['problem']} {item['table']} ({item['column']})" for item in wrong)
        message = f"Sequences not ready for the next row: {len(wrong)} of {len(uses)} ({named})."
        if not wrong:
            message = f"Sequences looked up: {len(uses)}; all are ahead of their columns."
        return Finding(not wrong, [], wrong, obstacles.added_to(message, passed=not wrong))


def next_value(last_value: int, is_called: bool, increment: int) -> int:
    """The result of nextval; last_value itself if it was never returned."""
    return last_value + increment if is_called else last_value


def problem_of(use: SequenceUse, following: int, extreme: t.Optional[Decimal]) -> t.Optional[str]:
    """The problem of that value if extreme is the furthest value of the column in its direction, or None."""
    if use.cycles:
        # A cycling sequence restarts on purpose, so being behind proves nothing.
        return None
    if not use.least <= following <= use.most:
        return "has no value left for"
    if extreme is None or (following > extreme if use.increment > 0 else following < extreme):
        return None
    return "is behind"


def _look(conn: Connection, use: SequenceUse) -> t.Optional[t.Dict[str, t.Any]]:
    last_value, is_called = fetch_all(conn, f"SELECT last_value, is_called FROM {use.sequence.name.quoted}")[0]
    following = next_value(last_value, is_called, use.increment)
    furthest = "max" if use.increment > 0 else "min"
    column = quote_identifier(use.column)
    extreme = as_number(fetch_value(conn, f"SELECT {furthest}({column})::text FROM {use.table.name.quoted}"))
    problem = problem_of(use, following, extreme)
    if problem is None:
        return None
    return {
        "sequence": str(use.sequence.name),
        "table": str(use.table.name),
        "column": use.column,
        "next_value": following,
        f"column_{furthest}": None if extreme is None else int(extreme),
        "problem": problem,
    }
