# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random rows of a table: each can be read, and its columns have values. A seed chooses the same rows again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import typing as t
from dataclasses import dataclass

from .._core.sizes import counted
from .._engines.postgresql.server.connection import fetch_value, quote_identifier, quote_literal
from .._engines.postgresql.server.equality import output_text
from .catalog import TABLES, find_columns, primary_key, readable_relation
from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .session import Rows

_ROWS = 10
#: Bytes of a table up to which all its keys are read; of a larger one, as many bytes as this are sampled first.
_SMALL = 64 * 1024 * 1024

# The size of a partitioned table is that of its partitions.
_SIZE = """
SELECT greatest(pg_relation_size(c.oid),
                (SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p))::bigint
FROM pg_class c WHERE c.oid = %s
"""
_HASHED = 12
#: Unlike the name of a column, which would stand for the row.
_ROW = '"row of lifeline.recovery"'


@dataclass(frozen=True)
class RowSample(Check):
    """rows: how many are read. columns: those that must not be null or blank; all columns of a row are read.

    table: of the engine. condition: an expression that is true for every row.
    """

    table: t.Any
    columns: t.Tuple[str, ...]
    condition: t.Optional[str]
    schemas: t.Tuple[str, ...]
    rows: int
    seed: str

    @classmethod
    def read(cls, options: OptionReader) -> RowSample:
        rows = options.integer("rows", minimum=1)
        return cls(
            cls._table(options),
            options.texts("columns"),
            options.optional_text("condition"),
            options.texts("search_path") or ("public",),
            _ROWS if rows is None else rows,
            options.optional_text("seed") or secrets.token_hex(4),
        )

    @staticmethod
    def _table(options: OptionReader) -> t.Any:
        return options.table("table")

    @property
    def subject(self) -> str:
        return str(self.table)

    def run(self, context: Context) -> Finding:
        found = self._drawn(context)
        if not found:
            raise CannotVerify(f"{self.table} has no row, so no row was read.")
        return self._judge(context, found)

    def _drawn(self, context: Context) -> t.Sequence[t.Sequence[t.Any]]:
        """The rows that the seed chooses: key, size, whether the condition holds, whether each column has no value."""
        conn = context.connection
        relation = readable_relation(conn, self.table, TABLES)
        if relation.kind == "f":
            raise CannotVerify(f"{self.table} is a foreign table, of which no sample can be taken.")
        keys = primary_key(conn, relation)
        if not keys:
            raise CannotVerify(f"{self.table} has no primary key, by which rows are chosen.")
        columns = find_columns(conn, relation, self.columns)
        size = int(fetch_value(conn, _SIZE, (relation.oid,)) or 0)
        share = 100.0 if size <= _SMALL else max(0.01, 100.0 * _SMALL / size)
        problems = [f"{column.quoted} IS NULL{_or_blank(column.quoted, column.category)}" for column in columns]
        found = self._rows(context, keys, problems, share)
        while len(found) < self.rows and share < 100:
            share = min(100.0, share * 8)
            found = self._rows(context, keys, problems, share)
        return found

    def _rows(
        self, context: Context, keys: t.Sequence[str], problems: t.Sequence[str], share: float
    ) -> t.List[t.Tuple[t.Any, ...]]:
        texts = ", ".join(output_text(quote_identifier(name)) for name in keys)
        drawn = f"pg_catalog.md5(pg_catalog.concat({quote_literal(self.seed)}, pg_catalog.json_build_array({texts})))"
        number = int.from_bytes(hashlib.sha256(self.seed.encode("utf-8", "surrogatepass")).digest()[:3], "big")
        sampled = f" TABLESAMPLE SYSTEM ({share:.4f}) REPEATABLE ({number})" if share < 100 else ""
        # The end of a line also ends a comment.
        holds = f"coalesce(({self.condition}\n), false)" if self.condition else "true"
        # A chosen row is converted to text, so that a value that cannot be read fails the check. Other rows are only
        # chosen from: their values outside of the row may be far larger than the table.
        listed = ", ".join([f"pg_catalog.length(pg_catalog.concat({_ROW}))", holds, *problems])
        chosen = f"SELECT * FROM {self.table.quoted} {_ROW}{sampled} ORDER BY {drawn} LIMIT {self.rows}"
        query = f"SELECT pg_catalog.json_build_array({texts})::text, {listed} FROM ({chosen}) {_ROW}"
        rows = Rows(context, query, self.schemas)
        found = list(rows)
        rows.close()
        return found

    def _judge(self, context: Context, found: t.Sequence[t.Sequence[t.Any]]) -> Finding:
        sample: t.List[t.Dict[str, t.Any]] = []
        complete = 0
        for key, _size, holds, *missing in found:
            problems = [f"{name} has no value" for name, is_missing in zip(self.columns, missing) if is_missing]
            problems += [] if holds else ["the condition does not hold"]
            complete += not problems
            if problems and len(sample) < context.sample:
                sample.append({"row": self._masked(str(key)), "problem": ", ".join(problems)})
        expected = {"complete": len(found)}
        actual = {"rows": len(found), "complete": complete, "seed": self.seed}
        read = counted(len(found), "random row")
        message = f"Read {read} of {self.table}: complete are {complete} (seed {self.seed})."
        return Finding(complete == len(found), expected, actual, message, sample)

    def _masked(self, key: str) -> str:
        """The beginning of an HMAC of the key: who knows key and seed recognises the row."""
        return hmac.new(self.seed.encode("utf-8", "surrogatepass"), key.encode(), "sha256").hexdigest()[:_HASHED]


def _or_blank(quoted: str, category: str) -> str:
    return f" OR {output_text(quoted)} OPERATOR(pg_catalog.~) '^\\s*$'" if category == "S" else ""
