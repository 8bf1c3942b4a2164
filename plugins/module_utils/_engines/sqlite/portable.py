# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that D1's import takes: none longer than its limit, whatever the values are."""

from __future__ import annotations

import typing as t

from .engine import Bound, Engine
from .exact import NotText, literal
from .rows import Row, read_rows
from .schema import Schema, Table, insert_head, is_own, quoted, written_values
from .script import CHECKS, DEFERRED, after_rows, before_rows
from .stand_ins import missing_parents
from .structure import Structure
from .virtual import with_rows


class Restorable(t.Protocol):
    """A database to restore. unchecked: its tables with rows that break a CHECK; not_rebuilt: full-text indexes that
    stay empty.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def structure(self) -> Structure: ...

    @property
    def unchecked(self) -> t.Collection[str]: ...

    @property
    def not_rebuilt(self) -> t.Collection[str]: ...


#: Statements of an import are limited as all are; some is left for names.
LONGEST = 90_000

#: A file takes a statement of any length.
UNLIMITED = 2**62

#: So many bytes of a long value go into one statement, as twice as many digits.
_PIECE = 40_000

#: A piece of text grows by the quotes in it, and a character has four bytes at most. Few large pieces are quicker: the
#: value is written again with each.
_TEXT_PIECE, _LARGEST_PIECE = 5_000, 85_000

#: The table in which a long value is assembled. A row is written after its values are complete, so that no rule,
#: index or trigger reads a part of them.
_HELPER = "lifeline_recovery_long_values"


def portable_statements(
    engine: Engine,
    opened: Restorable,
    first: t.Sequence[str] = (),
    longest: int = LONGEST,
) -> t.Iterator[str]:
    """All of a database, after the first. engine is the file that holds the rows."""
    schema = opened.schema
    parents = missing_parents(engine, schema)
    yield DEFERRED
    if opened.unchecked:
        yield CHECKS.format("ON")
    yield from first
    yield from before_rows(schema, parents)
    for table in with_rows(schema):
        for key, values in read_rows(engine, table):
            yield from inserted(table, key, values, longest)
    yield from after_rows(engine, schema, opened.structure, parents, opened.not_rebuilt)
    if opened.unchecked:
        yield CHECKS.format("OFF")


def dropped(schema: Schema) -> t.List[str]:
    """The statements that empty a database. DROP TABLE drops indexes and triggers too."""
    views = [f"DROP VIEW {quoted(name)}" for name in schema.names("view")]
    virtual = [f"DROP TABLE {quoted(table.name)}" for table in schema.of_kind("virtual")]
    return [*views, *virtual, *(f"DROP TABLE {quoted(table.name)}" for table in schema.of_kind("table"))]


def inserted(table: Table, key: Row, values: Row, longest: int = LONGEST) -> t.Iterator[str]:
    """The statements that insert a row. A conflict aborts, also if the table declares another conflict clause."""
    written, prepared = _fitted(written_values(table, key, values), longest)
    yield from prepared
    yield f"{insert_head(table, 'INSERT OR ABORT')}({','.join(written)})"
    yield from _cleared(prepared)


def updated(table: Table, key: Row, values: Row, longest: int = LONGEST) -> t.Iterator[str]:
    """The statements that update the row of this key."""
    pairs = [(name, value) for name, value in zip(table.stored, values) if table.rowid or name not in table.key_names]
    if not pairs:
        return
    written, prepared = _fitted([value for _name, value in pairs], longest)
    assigned = ", ".join(f"{quoted(name)} = {value}" for (name, _value), value in zip(pairs, written))
    yield from prepared
    yield f"UPDATE OR ABORT {quoted(table.name)} SET {assigned} WHERE {_is(table, key)}"
    yield from _cleared(prepared)


def deleted(table: Table, key: Row) -> str:
    """The statement that deletes a row."""
    return f"DELETE FROM {quoted(table.name)} WHERE {_is(table, key)}"


def _is(table: Table, key: Row) -> str:
    return " AND ".join(f"{name} IS {literal(value)}" for name, value in zip(table.keys, key))


def _fitted(given: t.Sequence[t.Any], longest: int) -> t.Tuple[t.List[str], t.List[str]]:
    """Expressions for values that fit into one statement, and the statements that prepare those of long values."""
    written = list(map(literal, given))
    # The limit is one of bytes.
    sizes = [len(text.encode()) + 1 for text in written]
    prepared: t.List[str] = []
    while sum(sizes) > longest:
        place = max(range(len(written)), key=sizes.__getitem__)
        written[place] = f"(SELECT value FROM {_HELPER} WHERE place = {place})"
        sizes[place] = 0
        prepared += _put_together(place, given[place])
    return written, [f"CREATE TABLE {_HELPER}(place INTEGER PRIMARY KEY, value)", *prepared] if prepared else []


def _cleared(prepared: t.Sequence[str]) -> t.Iterator[str]:
    if prepared:
        yield f"DROP TABLE {_HELPER}"


def _put_together(place: int, value: t.Any) -> t.Iterator[str]:
    """A long value, piece by piece. Concatenation makes a text of whatever it gets."""
    yield f"INSERT INTO {_HELPER} VALUES({place}, '')"
    if isinstance(value, str) and "\0" not in value:
        expressions = (f"value || {literal(piece)}" for piece in _text_pieces(value))
    else:
        data, kind = (value.encode(), "TEXT") if isinstance(value, str) else (bytes(value), "BLOB")
        kind = "TEXT" if isinstance(value, NotText) else kind
        starts = range(0, len(data), _PIECE)
        expressions = (f"CAST(value || x'{data[start : start + _PIECE].hex()}' AS {kind})" for start in starts)
    for expression in expressions:
        yield f"UPDATE {_HELPER} SET value = {expression} WHERE place = {place}"


def _text_pieces(value: str) -> t.Iterator[str]:
    held, size = "", 0
    for start in range(0, len(value), _TEXT_PIECE):
        piece = value[start : start + _TEXT_PIECE]
        weight = len(literal(piece).encode())
        if size + weight > _LARGEST_PIECE:
            yield held
            held, size = "", 0
        held, size = held + piece, size + weight
    yield held


def is_empty(engine: Engine) -> bool:
    """Whether a database has no objects of users."""
    (found,) = engine.run([Bound("SELECT name FROM sqlite_schema", reads_only=True)])
    return all(is_own(str(row[0])) for row in found.rows)
