# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts of rows in a table and of tables in a schema."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import fetch_all, fetch_value
from .._engines.postgresql.server.names import QualifiedName
from .catalog import RELATIONS, readable_relation
from .check import Check, Context
from .options import OptionReader
from .result import Finding


@dataclass(frozen=True)
class Bounds:
    """The expected number of rows."""

    least: t.Optional[int]
    most: t.Optional[int]
    exactly: t.Optional[int]

    @classmethod
    def read(cls, options: OptionReader) -> Bounds:
        bounds = cls(options.integer("min"), options.integer("max"), options.integer("equals"))
        if not any(map(options.given, ("min", "max", "equals"))):
            options.mistake("one of min, max, equals is required")
        if bounds.exactly is not None and (bounds.least is not None or bounds.most is not None):
            options.mistake("equals excludes min and max")
        if bounds.least is not None and bounds.most is not None and bounds.least > bounds.most:
            options.mistake("min is greater than max")
        return bounds

    def judge(self, table: object, rows: int) -> Finding:
        given = {"equals": self.exactly, "min": self.least, "max": self.most}
        expected = {key: bound for key, bound in given.items() if bound is not None}
        holds = (
            (self.exactly is None or rows == self.exactly)
            and (self.least is None or rows >= self.least)
            and (self.most is None or rows <= self.most)
        )
        wanted = " and ".join(f"{_BOUNDS[key]} {bound}" for key, bound in expected.items())
        message = f"{table} has {rows} row{'' if rows == 1 else 's'}; expected {wanted}."
        return Finding(holds, expected, rows, message)


@dataclass(frozen=True)
class RowCount(Check):
    """The number of rows lies within bounds."""

    table: QualifiedName
    bounds: Bounds

    @classmethod
    def read(cls, options: OptionReader) -> RowCount:
        return cls(options.table("table"), Bounds.read(options))

    @property
    def subject(self) -> str:
        return str(self.table)

    def run(self, context: Context) -> Finding:
        relation = readable_relation(context.connection, self.table)
        rows = int(fetch_value(context.connection, f"SELECT count(*) FROM {relation.name.quoted}"))
        return self.bounds.judge(self.table, rows)


_BOUNDS = {"equals": "exactly", "min": "at least", "max": "at most"}

_TABLE_COUNT = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
"""

_PRESENT = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY (%s)
"""


@dataclass(frozen=True)
class Tables(Check):
    """Named tables exist, and a schema holds at least so many (partitions count, views do not)."""

    present: t.Tuple[QualifiedName, ...]
    least: t.Optional[int]
    schema: str

    @classmethod
    def read(cls, options: OptionReader) -> Tables:
        schema = options.optional_text("schema") or "public"
        check = cls(options.tables("present"), options.integer("min_count"), schema)
        if not options.given("present") and not options.given("min_count"):
            options.mistake("one of present, min_count is required")
        return check

    @property
    def subject(self) -> str:
        return ", ".join(map(str, self.present)) if self.present else self.schema

    def run(self, context: Context) -> Finding:
        conn = context.connection
        expected: t.Dict[str, t.Any] = {}
        actual: t.Dict[str, t.Any] = {}
        problems = []
        if self.present:
            there = {QualifiedName(*row) for row in fetch_all(conn, _PRESENT, [list(RELATIONS)])}
            missing = [str(name) for name in self.present if name not in there]
            expected["present"] = [str(name) for name in self.present]
            actual["missing"] = missing
            if missing:
                problems.append(f"{len(missing)} of {len(self.present)} tables are missing: {', '.join(missing)}")
        if self.least is not None:
            count = int(fetch_value(conn, _TABLE_COUNT, [self.schema]))
            expected["min_count"] = self.least
            actual["count"] = count
            if count < self.least:
                problems.append(f"the schema {self.schema} has {count} tables, at least {self.least} were expected")
        message = "; ".join(problems) or "All expected tables exist"
        return Finding(not problems, expected, actual, message[0].upper() + message[1:] + ".")
