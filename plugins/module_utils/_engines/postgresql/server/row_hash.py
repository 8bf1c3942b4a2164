# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL that reduces the rows of a table to one digest without running code of a database user.

A value becomes bytes by the binary output (send) function of its built-in type, or by the text output function of
any other type; no cast is used, because a user may define one. The hash of a row is hashed once more before the
sum over all rows: hash_record_extended combines columns as 31 * h + x, and a sum of linear terms does not depend
on which row holds which value. The order of rows does not matter, duplicates count.
"""

from __future__ import annotations

import typing as t

from .catalog import ColumnType, Table
from .connection import quote_identifier

ALGORITHM = "row_hash/2"
#: The digest of sets of earlier versions: exchanged values and the high half of 64-bit types can go unnoticed.
LEGACY_ALGORITHM = "hash_record_extended/1"

#: Built-in types whose extended hash function reads every bit. hashint8extended does not: it folds 64 bits to 32
#: first, and serves int8, time, timestamp, timestamptz and pg_lsn (src/backend/access/hash/hashfunc.c).
_EXACT_HASH = frozenset(("bool", "int2", "int4", "oid", "date", "uuid", "bytea"))
_TEXT = frozenset(("text", "varchar", "name"))

_LEGACY_DIRECT = _EXACT_HASH | frozenset(
    ("int8", "time", "timestamp", "timestamptz", "inet", "cidr", "macaddr", "macaddr8", "pg_lsn")
)
_LEGACY_BINARY = frozenset(
    ("numeric", "float4", "float8", "interval", "bpchar", "timetz", "bit", "varbit", "tsvector", "point")
)


def algorithm_of(recorded: str) -> str:
    """The algorithm in what a fingerprint records, which names byte order and encoding as well."""
    return recorded.split(" ", 1)[0]


def column_expression(column: str, kind: ColumnType, algorithm: str = ALGORITHM) -> str:
    """SQL whose value differs whenever the value of the column differs."""
    name = quote_identifier(column)
    if algorithm == LEGACY_ALGORITHM:
        return _legacy_expression(name, kind)
    if kind.name in _EXACT_HASH:
        return name
    if kind.name in _TEXT:
        return f'{name} COLLATE pg_catalog."C"'
    if kind.send:
        return f"pg_catalog.{kind.send}({name})"
    return _text_output(name)


def digest_of_rows(values: t.Iterable[str], algorithm: str = ALGORITHM) -> str:
    """The aggregate over all rows of a query, as text, out of the expressions of one row."""
    row = f"pg_catalog.hash_record_extended(ROW({', '.join(values)}), 0)"
    if algorithm != LEGACY_ALGORITHM:
        row = f"pg_catalog.hash_record_extended(ROW(pg_catalog.int8send({row})), 0)"
    return f"coalesce(pg_catalog.sum({row}), 0)::pg_catalog.text"


def table_statement(
    table: Table, columns: t.Sequence[t.Tuple[str, ColumnType]], mode: str, algorithm: str = ALGORITHM
) -> str:
    """The query that gives (rows, digest or NULL) of one table or materialized view."""
    source = f"FROM ONLY {quote_identifier(table.schema, table.name)} {table.condition}".rstrip()
    if mode == "counts":
        return f"SELECT pg_catalog.count(*), NULL::pg_catalog.text {source}"
    values = [column_expression(name, kind, algorithm) for name, kind in columns]
    return f"SELECT pg_catalog.count(*), {digest_of_rows(values, algorithm)} {source}"


def _text_output(name: str) -> str:
    # concat calls the output function of the type and never a cast; it makes an empty text of NULL.
    given = f"pg_catalog.num_nulls({name}) OPERATOR(pg_catalog.=) 0"
    return f'CASE WHEN {given} THEN pg_catalog.concat({name}) END COLLATE pg_catalog."C"'


def _legacy_expression(name: str, kind: ColumnType) -> str:
    if kind.is_array and (kind.element in _LEGACY_DIRECT or kind.element in _LEGACY_BINARY or kind.element in _TEXT):
        return f"pg_catalog.array_send({name})"
    if kind.name in _LEGACY_DIRECT:
        return name
    if kind.name in _LEGACY_BINARY:
        return f"pg_catalog.{kind.send}({name})"
    if kind.name in _TEXT:
        return f'{name} COLLATE pg_catalog."C"'
    # A cast from a built-in type is the server's own; the text of any other type came from its output function.
    return f'{name}::pg_catalog.text COLLATE pg_catalog."C"' if kind.name else _text_output(name)
