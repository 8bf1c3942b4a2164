# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References between rows without a foreign key: columns, and ids inside arrays and JSON."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value, quote_literal
from .._engines.postgresql.server.equality import compared_types, equal, output_text
from .._engines.postgresql.server.foreign_keys import Relation
from .._engines.postgresql.server.names import QualifiedName
from .catalog import Column, find_columns, readable_relation, row_columns
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .session import sample_rows

_TEXT = 25


@dataclass(frozen=True)
class Orphans(Check):
    """Every row whose columns are all filled has a row with these values in the parent table."""

    table: QualifiedName
    columns: t.Tuple[str, ...]
    parent: QualifiedName
    parent_columns: t.Tuple[str, ...]

    @classmethod
    def read(cls, options: OptionReader) -> Orphans:
        check = cls(
            options.table("table"),
            options.required_texts("columns"),
            options.table("parent"),
            options.required_texts("parent_columns"),
        )
        if check.columns and check.parent_columns and len(check.columns) != len(check.parent_columns):
            options.mistake("columns and parent_columns must be of the same number")
        return check

    @property
    def subject(self) -> str:
        return f"{self.table} ({', '.join(self.columns)})"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        child = readable_relation(conn, self.table)
        parent = readable_relation(conn, self.parent)
        pairs = list(zip(find_columns(conn, child, self.columns), find_columns(conn, parent, self.parent_columns)))
        types = compared_types(conn, [column.type_oid for pair in pairs for column in pair])
        filled = " AND ".join(f"c.{mine.quoted} IS NOT NULL" for mine, _theirs in pairs)
        matches = " AND ".join(
            equal(f"p.{theirs.quoted}", types[theirs.type_oid], f"c.{mine.quoted}", types[mine.type_oid])
            for mine, theirs in pairs
        )
        orphaned = (
            f"FROM {child.name.quoted} c WHERE {filled} "
            f"AND NOT EXISTS (SELECT FROM {parent.name.quoted} p WHERE {matches})"
        )
        count = int(fetch_value(conn, f"SELECT count(*) {orphaned}"))
        shown = f"SELECT {row_columns(conn, child, self.columns, 'c')} {orphaned}"
        sample = sample_rows(context, shown) if count else []
        message = (
            f"{count} row{'' if count == 1 else 's'} of {self.subject} "
            f"{'points' if count == 1 else 'point'} to nothing in {self.parent} ({', '.join(self.parent_columns)})."
        )
        return Finding(not count, 0, count, message, sample)


@dataclass(frozen=True)
class References(Check):
    """Every id inside an array, json or jsonb column exists in the parent column.

    path: a jsonpath that gives the ids, for JSON alone.
    https://www.postgresql.org/docs/current/functions-json.html#FUNCTIONS-SQLJSON-PATH
    """

    table: QualifiedName
    column: str
    path: t.Optional[str]
    parent: QualifiedName
    parent_column: str

    @classmethod
    def read(cls, options: OptionReader) -> References:
        return cls(
            options.table("table"),
            options.text("column"),
            options.optional_text("path"),
            options.table("parent"),
            options.text("parent_column"),
        )

    @property
    def subject(self) -> str:
        return f"{self.table} ({self.column}{' ' + self.path if self.path else ''})"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        table = readable_relation(conn, self.table)
        parent = readable_relation(conn, self.parent)
        column = find_columns(conn, table, [self.column])[0]
        key = find_columns(conn, parent, [self.parent_column])[0]
        element = column.element_oid or _TEXT
        types = compared_types(conn, [element, key.type_oid])
        matches = equal(f"p.{key.quoted}", types[key.type_oid], "e.id", types[element])
        dangling = (
            f"FROM {table.name.quoted} c CROSS JOIN LATERAL {self._elements(column)} e (id) "
            f"WHERE e.id IS NOT NULL AND NOT EXISTS (SELECT FROM {parent.name.quoted} p WHERE {matches})"
        )
        count, distinct = fetch_all(conn, f"SELECT count(*), count(DISTINCT {output_text('e.id')}) {dangling}")[0]
        sample = sample_rows(context, self._shown(conn, table) + dangling) if count else []
        message = (
            f"{count} element{'' if count == 1 else 's'} of {self.subject} ({distinct} different) "
            f"{'names' if count == 1 else 'name'} nothing in {self.parent} ({self.parent_column})."
        )
        return Finding(not count, 0, int(count), message, sample)

    def _elements(self, column: Column) -> str:
        if column.category == "A":
            if self.path:
                raise CannotVerify(f"The column {self.column} of {self.table} is an array, which has no path.")
            return f"unnest(c.{column.quoted})"
        if column.type_name not in ("json", "jsonb"):
            raise CannotVerify(
                f"The column {self.column} of {self.table} is of type {column.type_name}, neither an array nor JSON."
            )
        path = quote_literal(self.path or "$[*]")
        # Of these two types only the server itself can make casts.
        return f"(SELECT v #>> '{{}}' FROM jsonb_path_query(c.{column.quoted}::jsonb, {path}::jsonpath) v)"

    def _shown(self, conn: Connection, table: Relation) -> str:
        row = row_columns(conn, table, [], "c")
        return f"SELECT {row + ', ' if row else ''}e.id AS dangling_id "
