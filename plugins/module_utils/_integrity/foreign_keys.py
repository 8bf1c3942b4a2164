# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every foreign key of the catalog, looked up row by row: a constraint may claim to be valid and not be kept."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from .._postgres.connection import Connection, fetch_all, fetch_value, quote_identifier
from .._postgres.names import QualifiedName
from .catalog import Relation, Scope, reading_obstacle, row_columns
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .session import sample_rows

_MATCH_FULL = "f"


@dataclass(frozen=True)
class ForeignKey:
    """A row of pg_constraint.

    operators: key = foreign key, one a column, with their schemas; collations: empty where the sides agree.
    """

    name: str
    table: Relation
    columns: t.Tuple[str, ...]
    parent: Relation
    parent_columns: t.Tuple[str, ...]
    operators: t.Tuple[str, ...]
    collations: t.Tuple[str, ...]
    match: str
    valid: bool
    period: bool

    @property
    def violation(self) -> str:
        """A condition on the alias c of the table, true for the rows that break the constraint."""
        mine = [f"c.{quote_identifier(name)}" for name in self.columns]
        filled = " AND ".join(f"{column} IS NOT NULL" for column in mine)
        broken = f"({filled} AND {self._without_parent(mine)})"
        if self.match == _MATCH_FULL and len(mine) > 1:
            some = " OR ".join(f"{column} IS NOT NULL" for column in mine)
            broken += f" OR (NOT ({filled}) AND ({some}))"
        return broken

    def _without_parent(self, mine: t.Sequence[str]) -> str:
        theirs = [f"p.{quote_identifier(name)}" for name in self.parent_columns]
        equal = [
            f"{key} {operator} {column}{collation}"
            for key, operator, column, collation in zip(theirs, self.operators, mine, self.collations)
        ]
        if not self.period:
            return f"NOT EXISTS (SELECT FROM {self.parent.only} p WHERE {' AND '.join(equal)})"
        # PERIOD: the parents' ranges together must cover the child's.
        conditions = [*equal[:-1], f"{theirs[-1]} OPERATOR(pg_catalog.&&) {mine[-1]}"]
        return (
            f"NOT COALESCE({mine[-1]} OPERATOR(pg_catalog.<@) (SELECT range_agg({theirs[-1]}) "
            f"FROM {self.parent.only} p WHERE {' AND '.join(conditions)}), false)"
        )


@dataclass(frozen=True)
class ForeignKeys(Check):
    """No row breaks a foreign key, whether its constraint says valid, NOT VALID, or was loaded past."""

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
        obstacles: t.Dict[str, None] = {}
        broken: t.List[t.Tuple[ForeignKey, int]] = []
        for key in keys:
            found = [text for text in (reading_obstacle(conn, side) for side in (key.table, key.parent)) if text]
            obstacles.update(dict.fromkeys(found))
            count = 0 if found else int(fetch_value(conn, f"SELECT count(*) {_rows(key)}"))
            if count:
                broken.append((key, count))
        if obstacles and not broken:
            raise CannotVerify(" ".join(obstacles))
        message = _message(keys, broken)
        if obstacles:
            message += f" Others could not be verified: {' '.join(obstacles)}"
        actual = [_described(key, count) for key, count in broken]
        return Finding(not broken, [], actual, message, _sample(context, broken))


def foreign_keys(conn: Connection, schemas: t.Sequence[str]) -> t.List[ForeignKey]:
    """The foreign keys declared on tables of these schemas, each once however many partitions it has."""
    return [
        ForeignKey(
            name=row[0],
            table=Relation(row[1], QualifiedName(row[2], row[3]), row[4]),
            columns=tuple(row[5]),
            parent=Relation(row[6], QualifiedName(row[7], row[8]), row[9]),
            parent_columns=tuple(row[10]),
            operators=tuple(row[11]),
            collations=tuple(row[12]),
            match=row[13],
            valid=row[14],
            period=row[15],
        )
        for row in fetch_all(conn, _FOREIGN_KEYS, [list(schemas)])
    ]


#: conperiod and conenforced are of PostgreSQL 18, hence the detour through JSON. A constraint that is
#: NOT ENFORCED promises nothing, and the copies that partitions have of one (conparentid) repeat it.
_FOREIGN_KEYS = """
SELECT k.conname::text,
  c.oid, cn.nspname::text, c.relname::text, c.relkind::text,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
  p.oid, pn.nspname::text, p.relname::text, p.relkind::text,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i),
  ARRAY(SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) FROM unnest(k.conpfeqop) WITH ORDINALITY u (op, i)
        JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY u.i),
  ARRAY(SELECT CASE WHEN x.attcollation = y.attcollation OR l.oid IS NULL THEN ''
                    ELSE format(' COLLATE %%I.%%I', ln.nspname, l.collname) END
        FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u (n, m, i)
        JOIN pg_attribute x ON x.attrelid = k.conrelid AND x.attnum = u.n
        JOIN pg_attribute y ON y.attrelid = k.confrelid AND y.attnum = u.m
        LEFT JOIN pg_collation l ON l.oid = y.attcollation
        LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace ORDER BY u.i),
  k.confmatchtype::text, k.convalidated, COALESCE((to_jsonb(k) ->> 'conperiod')::boolean, false)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND cn.nspname = ANY (%s)
  AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY 3, 4, 1
"""


def _rows(key: ForeignKey) -> str:
    return f"FROM {key.table.only} c WHERE {key.violation}"


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
        return f"All rows keep the {len(keys)} foreign keys."
    named = [
        f"{key.name} of {key.table.name}: {count} row{'' if count == 1 else 's'}"
        f"{' although it claims to be valid' if key.valid else ''}"
        for key, count in broken
    ]
    return f"{len(broken)} of {len(keys)} foreign keys are broken ({'; '.join(named)})."


def _sample(context: Context, broken: t.Sequence[t.Tuple[ForeignKey, int]]) -> t.List[t.Dict[str, t.Any]]:
    """Rows of each broken constraint in turn, so that the first ones do not crowd out the rest."""
    found = []
    for key, _count in broken[: context.sample]:
        select = f"SELECT {row_columns(context.connection, key.table, key.columns, 'c')} {_rows(key)}"
        rows = sample_rows(context, select)
        found.append([{"constraint": key.name, "table": str(key.table.name), "row": row} for row in rows])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*found))
    return [row for row in turns if row is not None][: context.sample]
