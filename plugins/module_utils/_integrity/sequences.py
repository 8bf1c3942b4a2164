# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sequences whose next value exists in their column."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from decimal import Decimal

from .._postgres.connection import Connection, fetch_all, fetch_value, quote_identifier
from .._postgres.foreign_keys import Relation
from .._postgres.names import QualifiedName
from .catalog import Obstacles, Scope
from .check import Check, Context
from .options import OptionReader, as_number
from .result import Finding


@dataclass(frozen=True)
class SequenceUse:
    """A sequence and a column it fills, by ownership, identity or default."""

    sequence: Relation
    table: Relation
    column: str
    partition: bool
    increment: int
    least: int
    most: int
    cycles: bool


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


def sequence_uses(conn: Connection, schemas: t.Sequence[str]) -> t.List[SequenceUse]:
    """Every numeric column of these schemas that a sequence fills; partitions only where no root has the same one."""
    uses = [
        SequenceUse(
            sequence=Relation(row[0], QualifiedName(row[1], row[2]), "S"),
            table=Relation(row[3], QualifiedName(row[4], row[5]), row[6]),
            partition=row[7],
            column=row[8],
            increment=row[9],
            least=row[10],
            most=row[11],
            cycles=row[12],
        )
        for row in fetch_all(conn, _USES, [list(schemas)])
    ]
    rooted = {(use.sequence.oid, use.column) for use in uses if not use.partition}
    return [use for use in uses if not use.partition or (use.sequence.oid, use.column) not in rooted]


#: deptype a is OWNED BY and serial, i is identity; a default that calls nextval depends on its sequence.
_USES = """
WITH used (sequence, relation, number) AS (
  SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
)
SELECT s.oid, sn.nspname::text, s.relname::text, c.oid, cn.nspname::text, c.relname::text, c.relkind::text,
  c.relispartition, a.attname::text, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle
FROM used u
JOIN pg_sequence q ON q.seqrelid = u.sequence
JOIN pg_class s ON s.oid = u.sequence JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class c ON c.oid = u.relation JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
JOIN pg_type y ON y.oid = a.atttypid
WHERE y.typcategory = 'N' AND c.relkind IN ('r', 'p') AND cn.nspname = ANY (%s)
ORDER BY 2, 3, 5, 6
"""


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
