# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Usable indexes, and constraints that the existing rows keep."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value
from .._engines.postgresql.server.foreign_keys import Relation
from .._engines.postgresql.server.names import QualifiedName
from .catalog import Scope, reading_obstacle
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding

_INDEXES = """
SELECT n.nspname::text, c.relname::text, t.relname::text, i.indisvalid, i.indisready, i.indislive,
  (SELECT k.conname::text FROM pg_constraint k WHERE k.conindid = c.oid AND k.conrelid = t.oid
     AND k.contype IN ('p', 'u', 'x') LIMIT 1)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%s) ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Indexes(Check):
    """Every index is valid, ready and live, including those of constraints; named ones exist."""

    scope: Scope
    present: t.Tuple[QualifiedName, ...]

    @classmethod
    def read(cls, options: OptionReader) -> Indexes:
        return cls(Scope.read(options), options.tables("present"))

    @property
    def subject(self) -> str:
        return f"in {self.scope}"

    def run(self, context: Context) -> Finding:
        rows = fetch_all(context.connection, _INDEXES, [self.scope.resolve(context.connection)])
        wrong = [_described(row) for row in rows if not all(row[3:6])]
        there = {QualifiedName(*row[:2]) for row in rows}
        wrong += [
            {"index": str(name), "table": None, "constraint": None, "problem": "is missing"}
            for name in self.present
            if name not in there
        ]
        if wrong:
            named = "; ".join(f"{item['index']} {item['problem']}" for item in wrong)
            return Finding(False, [], wrong, f"{len(wrong)} indexes are not usable ({named}).")
        return Finding(True, [], [], f"All {len(rows)} indexes are valid and ready.")


def _described(row: t.Tuple[t.Any, ...]) -> t.Dict[str, t.Any]:
    schema, name, table, valid, ready, _dropping, constraint = row
    problem = "is not valid" if not valid else "is not ready" if not ready else "is being dropped"
    return {
        "index": str(QualifiedName(schema, name)),
        "table": str(QualifiedName(schema, table)),
        "constraint": constraint,
        "problem": f"{problem}{f', and the constraint {constraint} needs it' if constraint else ''}",
    }


#: Inherited copies repeat their origin; NOT ENFORCED and NOT NULL as constraints are of PostgreSQL 18.
_UNVALIDATED = """
SELECT k.conname::text, c.oid, n.nspname::text, c.relname::text, c.relkind::text, k.connoinherit,
  CASE k.contype WHEN 'c' THEN pg_get_expr(k.conbin, k.conrelid)
    ELSE (SELECT quote_ident(a.attname) || ' IS NOT NULL' FROM pg_attribute a
          WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1]) END
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'n') AND NOT k.convalidated AND k.coninhcount = 0 AND n.nspname = ANY (%s)
  AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY 3, 4, 1
"""

_DOMAINS = """
SELECT k.conname::text, n.nspname::text, y.typname::text
FROM pg_constraint k JOIN pg_type y ON y.oid = k.contypid JOIN pg_namespace n ON n.oid = y.typnamespace
WHERE k.contype = 'c' AND NOT k.convalidated AND n.nspname = ANY (%s) ORDER BY 2, 3, 1
"""


@dataclass(frozen=True)
class Constraints(Check):
    """No CHECK or NOT NULL constraint is NOT VALID; or, if that is allowed, no row violates such a constraint."""

    scope: Scope
    allow_not_valid: bool

    @classmethod
    def read(cls, options: OptionReader) -> Constraints:
        return cls(Scope.read(options), options.boolean("allow_not_valid", False))

    @property
    def subject(self) -> str:
        return f"in {self.scope}"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        schemas = self.scope.resolve(conn)
        found = []
        for name, oid, schema, table, kind, no_inherit, condition in fetch_all(conn, _UNVALIDATED, [schemas]):
            relation = Relation(oid, QualifiedName(schema, table), kind)
            rows = _breaking_rows(conn, relation, no_inherit, condition)
            found.append({"constraint": name, "of": str(relation.name), "rows_breaking_it": rows})
        if not self.allow_not_valid:
            found += [
                {"constraint": name, "of": f"domain {QualifiedName(schema, domain)}", "rows_breaking_it": None}
                for name, schema, domain in fetch_all(conn, _DOMAINS, [schemas])
            ]
        wrong = [item for item in found if not self.allow_not_valid or item["rows_breaking_it"]]
        expected = {"not_valid": "allowed" if self.allow_not_valid else "none", "rows_breaking_one": 0}
        if not wrong:
            what = "broken" if self.allow_not_valid else "left NOT VALID"
            return Finding(True, expected, found, f"No constraint is {what}.")
        named = "; ".join(f"{item['constraint']} of {item['of']}{_rows(item['rows_breaking_it'])}" for item in wrong)
        verb = "is" if len(wrong) == 1 else "are"
        message = f"{len(wrong)} constraint{'' if len(wrong) == 1 else 's'} {verb} NOT VALID ({named})."
        return Finding(False, expected, found, message)


def _breaking_rows(conn: Connection, relation: Relation, no_inherit: bool, condition: str) -> int:
    obstacle = reading_obstacle(conn, relation)
    if obstacle:
        raise CannotVerify(obstacle)
    table = relation.only if no_inherit else relation.name.quoted
    return int(fetch_value(conn, f"SELECT count(*) FROM {table} WHERE NOT ({condition})"))


def _rows(count: t.Optional[int]) -> str:
    return "" if count is None else f", broken by {count} row{'' if count == 1 else 's'}"
