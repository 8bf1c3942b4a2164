# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows read exactly, page by page in the order of their keys, without holding the database up."""

from __future__ import annotations

import hashlib
import struct
import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.json_api import understood
from .engine import Bound, Engine
from .exact import NotText, decode_row, exact_columns, text_of
from .schema import Table, column_groups, quoted

#: A page should bring about so many bytes; a JSON answer has several for each of a blob.
_PAGE_BYTES = 1_000_000
_MOST_ROWS = 5000

#: A text that JSON could not carry shows this sign; pieces of it are then asked for as bytes.
_REPLACED = "\ufffd"
_PIECE = 400_000

_RETRY_SMALLER = (ErrorKind.QUERY_FAILED, ErrorKind.SERVICE_FAILED, ErrorKind.UNREACHABLE)

Row = t.List[t.Any]


def read_rows(engine: Engine, table: Table, where: str = "", *, first: int = 16) -> t.Iterator[t.Tuple[Row, Row]]:
    """Key and stored values of every row, or of those that a condition picks. A text that is no UTF-8 is a NotText.

    first is the number of rows of the first page.
    Raises those of the engine, and unsupported for a table whose rows cannot be identified.
    """
    if not table.keys:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The rows of {table.name} have no key that can be asked for.",
            next_step="Rename its column.",
        )
    last: t.Optional[Row] = None
    size = first
    while True:
        try:
            rows = _page(engine, table, where, last, size)
        except RecoveryError as error:
            if size == 1 or error.kind not in _RETRY_SMALLER:
                raise
            # The page was too large for the service; any other refusal occurs again with a smaller page.
            size = max(1, size // 8)
            continue
        for key, values in rows:
            yield key, _mended(engine, table, key, values) if engine.loses_bytes else values
        if len(rows) < size:
            return
        last = rows[-1][0]
        weight = sum(_weight(value) for _key, values in rows for value in values) or 1
        size = max(1, min(_MOST_ROWS, size * 4, int(size * _PAGE_BYTES / weight)))


def row_digest(values: t.Iterable[t.Any]) -> bytes:
    """SHA-256 of values and their types."""
    pieces: t.List[bytes] = []
    for value in values:
        kind, data = _encoded(value)
        pieces += (kind, len(data).to_bytes(8, "big"), data)
    # One call is much cheaper than one for each value.
    return hashlib.sha256(b"".join(pieces)).digest()


class Content:
    """A digest of rows that does not depend on their order."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, key: Row, values: Row) -> None:
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(row_digest([*key, *values]), "big")) % 2**256

    @property
    def digest(self) -> str:
        return f"{self._sum:064x}"


def _page(engine: Engine, table: Table, condition: str, last: t.Optional[Row], size: int) -> t.List[t.Tuple[Row, Row]]:
    """The next rows; their columns may take several statements, which see the same state in one batch."""
    keys, order, groups = table.keys, table.order, column_groups(table)
    conditions, params = [f"({condition})"] if condition else [], []
    if last is not None:
        marks = ", ".join("?" for _key in keys)
        conditions.append(f"({', '.join(order)}) > ({marks})" if len(order) > 1 else f"{order[0]} > ?")
        params = last
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    batch = []
    for group in groups:
        columns = exact_columns([*keys, *map(quoted, group)], native=not engine.loses_bytes)
        text = f"SELECT {columns} FROM {quoted(table.name)}{where} ORDER BY {', '.join(order)} LIMIT {size}"
        batch.append(Bound(text, params, reads_only=True))
    answers = engine.run(batch)
    with understood(f"rows of {table.name}"):
        parts = [
            [decode_row(row, len(keys) + len(group)) for row in answer.rows] for group, answer in zip(groups, answers)
        ]
    rows = []
    for pieces in zip(*parts):
        values = [value for piece in pieces for value in piece[len(keys) :]]
        rows.append((pieces[0][: len(keys)], values))
    if engine.loses_bytes and any(isinstance(part, str) and _REPLACED in part for key, _values in rows for part in key):
        _mend_keys(engine, table, where, params, size, rows)
    return rows


def _mend_keys(
    engine: Engine, table: Table, where: str, params: Row, size: int, rows: t.List[t.Tuple[Row, Row]]
) -> None:
    """Put the bytes of texts in place that the service could not show. Raises RecoveryError(inconsistent)."""
    listed = ", ".join(f"hex(CAST({name} AS BLOB))" for name in table.keys)
    order = ", ".join(table.order)
    text = f"SELECT {listed} FROM {quoted(table.name)}{where} ORDER BY {order} LIMIT {size}"
    (answer,) = engine.run([Bound(text, params, reads_only=True)])
    if len(answer.rows) != len(rows):
        raise RecoveryError(
            ErrorKind.INCONSISTENT, f"{table.name} was changed while it was read.", next_step="Run it again."
        )
    for (key, _values), digits in zip(rows, answer.rows):
        for place, part in enumerate(key):
            if isinstance(part, str) and _REPLACED in part:
                key[place] = text_of(bytes.fromhex(str(digits[place])))


def _mended(engine: Engine, table: Table, key: Row, values: Row) -> Row:
    for place, value in enumerate(values):
        if isinstance(value, str) and _REPLACED in value:
            values[place] = text_of(_bytes_of(engine, table, key, table.stored[place]))
    return values


def _bytes_of(engine: Engine, table: Table, key: Row, column: str) -> bytes:
    """The bytes of one text, in pieces, because twice as many digits must fit into an answer."""
    where = " AND ".join(f"{name} = ?" for name in table.keys)
    data = b""
    while True:
        text = (
            f"SELECT hex(substr(CAST({quoted(column)} AS BLOB), {len(data) + 1}, {_PIECE})) "
            f"FROM {quoted(table.name)} WHERE {where}"
        )
        (answer,) = engine.run([Bound(text, key, reads_only=True)])
        piece = bytes.fromhex(answer.rows[0][0]) if answer.rows else b""
        data += piece
        if len(piece) < _PIECE:
            return data


def _weight(value: t.Any) -> int:
    if isinstance(value, bytes):
        return 4 * len(value)
    return len(value) + 4 if isinstance(value, str) else 12


def _encoded(value: t.Any) -> t.Tuple[bytes, bytes]:
    if isinstance(value, str):
        return b"t", value.encode("utf-8", "surrogatepass")
    if isinstance(value, int):
        return b"i", str(value).encode()
    if value is None:
        return b"n", b""
    if isinstance(value, float):
        return b"r", struct.pack(">d", value)
    return (b"t" if isinstance(value, NotText) else b"b"), bytes(value)
