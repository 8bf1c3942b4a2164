# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON documents in columns: readable, and of the shape that the application expects."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import quote_identifier
from .._engines.postgresql.server.equality import output_text
from .._engines.postgresql.server.names import QualifiedName
from .catalog import find_columns, primary_key, readable_relation
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .session import Rows
from .shape import Shape, first_problem, parse_json, read_shape
from .values import plain_value

_TEXTS = "S"
_NULL = "is null"


@dataclass(frozen=True)
class JsonShape(Check):
    """Every document of a json, jsonb or text column is JSON and has the expected shape."""

    table: QualifiedName
    column: str
    shape: Shape
    nullable: bool

    @classmethod
    def read(cls, options: OptionReader) -> JsonShape:
        table, column, nullable = options.table("table"), options.text("column"), options.boolean("nullable", True)
        shape = options.raw("shape")
        return cls(table, column, Shape() if shape is None else read_shape(shape, options.mistakes), nullable)

    @property
    def subject(self) -> str:
        return f"{self.table} ({self.column})"

    def run(self, context: Context) -> Finding:
        conn = context.connection
        relation = readable_relation(conn, self.table)
        column = find_columns(conn, relation, [self.column])[0]
        if column.type_name not in ("json", "jsonb") and column.category != _TEXTS:
            raise CannotVerify(
                f"The column {column.name} of {self.table} is of type {column.type_name}, neither JSON nor text."
            )
        keys = primary_key(conn, relation)
        listed = ", ".join([*map(quote_identifier, keys), output_text(column.quoted)])
        rows = Rows(context, f"SELECT {listed} FROM {relation.name.quoted}", [])
        documents = wrong = 0
        sample: t.List[t.Dict[str, t.Any]] = []
        for row in rows:
            documents += 1
            problem = self._problem(row[-1])
            wrong += problem is not None
            if problem and len(sample) < context.sample:
                sample.append({**dict(zip(keys, map(plain_value, row))), "problem": problem})
        holds = not wrong
        message = f"{wrong} of {documents} documents in {self.subject} are not of the expected shape."
        if holds:
            message = f"All {documents} documents in {self.subject} are of the expected shape."
        return Finding(holds, 0, wrong, message, sample)

    def _problem(self, text: t.Optional[str]) -> t.Optional[str]:
        if text is None:
            return None if self.nullable else _NULL
        try:
            document = parse_json(text)
        except ValueError:
            return "is not JSON"
        return first_problem(self.shape, document)
