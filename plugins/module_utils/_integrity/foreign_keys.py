# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every foreign key of the catalog, checked row by row: a valid constraint can be violated."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.foreign_keys import ForeignKey, count_violations, foreign_keys, violating_rows
from .catalog import Obstacles, Scope, row_columns
from .check import Check, Context
from .options import OptionReader
from .result import Finding
from .session import sample_rows


@dataclass(frozen=True)
class ForeignKeys(Check):
    """No row violates a foreign key, including constraints that are NOT VALID or were bypassed while loading."""

    scope: Scope

    @classmethod
    def read(cls, options: OptionReader) -> ForeignKeys:
        return cls(Scope.read(options))

    @property
    def subject(self) -> str:
        return f"in {self.scope}"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        keys = foreign_keys(conn, self.scope.resolve(conn))
        obstacles = Obstacles(conn)
        broken: t.List[t.Tuple[ForeignKey, int]] = []
        for key in keys:
            count = 0 if obstacles.hide(key.table, key.parent) else count_violations(conn, key)
            if count:
                broken.append((key, count))
        message = obstacles.added_to(_message(keys, broken), passed=not broken)
        actual = [_described(key, count) for key, count in broken]
        return Finding(not broken, [], actual, message, _sample(context, broken))


def _described(key: ForeignKey, count: int) -> t.Dict[str, t.Any]:
    return {
        "constraint": key.name,
        "table": str(key.table.name),
        "columns": list(key.columns),
        "parent": str(key.parent.name),
        "parent_columns": list(key.parent_columns),
        "orphans": count,
        "claims_valid": key.valid,
    }


def _message(keys: t.Sequence[ForeignKey], broken: t.Sequence[t.Tuple[ForeignKey, int]]) -> str:
    if not broken:
        return f"Foreign keys looked up: {len(keys)}; every row keeps them."
    named = [
        f"{key.name} of {key.table.name}: {count} row{'' if count == 1 else 's'}"
        f"{' although it claims to be valid' if key.valid else ''}"
        for key, count in broken
    ]
    return f"Broken foreign keys: {len(broken)} of {len(keys)} ({'; '.join(named)})."


def _sample(context: Context, broken: t.Sequence[t.Tuple[ForeignKey, int]]) -> t.List[t.Dict[str, t.Any]]:
    """Rows of each violated constraint in turn, so that every constraint is in the sample."""
    found = []
    for key, _count in broken[: context.sample]:
        select = f"SELECT {row_columns(context.connection, key.table, key.columns, 'c')} {violating_rows(key)}"
        rows = sample_rows(context, select)
        found.append([{"constraint": key.name, "table": str(key.table.name), "row": row} for row in rows])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*found))
    return [row for row in turns if row is not None][: context.sample]
