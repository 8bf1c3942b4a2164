# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Foreign keys of the catalog and the rows that break them: a constraint that claims to be valid may not be kept."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all, fetch_value, quote_identifier
from .names import QualifiedName

_MATCH_FULL = "f"


@dataclass(frozen=True)
class Relation:
    """A row of pg_class. kind: relkind."""

    oid: int
    name: QualifiedName
    kind: str

    @property
    def only(self) -> str:
        """For FROM: the rows that constraints of this table apply to; rows of inheritance children are excluded."""
        return ("" if self.kind == "p" else "ONLY ") + self.name.quoted


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


def foreign_keys(conn: Connection, schemas: t.Optional[t.Sequence[str]] = None) -> t.List[ForeignKey]:
    """The foreign keys declared on tables of these schemas, or of all, each once however many partitions it has."""
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
        for row in fetch_all(conn, _FOREIGN_KEYS, {"schemas": None if schemas is None else list(schemas)})
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
WHERE k.contype = 'f' AND k.conparentid = 0 AND (%(schemas)s::text[] IS NULL OR cn.nspname = ANY (%(schemas)s))
  AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY 3, 4, 1
"""


def violating_rows(key: ForeignKey) -> str:
    """FROM and WHERE of the rows, alias c, that break the key."""
    return f"FROM {key.table.only} c WHERE {key.violation}"


def count_violations(conn: Connection, key: ForeignKey) -> int:
    return int(fetch_value(conn, f"SELECT count(*) {violating_rows(key)}"))


def violations(conn: Connection, keys: t.Iterable[ForeignKey]) -> t.List[t.Dict[str, t.Any]]:
    """The foreign keys that rows break, with the number of these rows."""
    counted = ((key, count_violations(conn, key)) for key in keys)
    return [{"name": f"{key.name} on {key.table.name}", "rows": rows} for key, rows in counted if rows]
