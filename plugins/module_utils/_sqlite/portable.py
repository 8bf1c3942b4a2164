# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that D1's import takes: none longer than its limit, whatever the values are."""

from __future__ import annotations

import typing as t

from .engine import Bound, Engine
from .exact import NotText, literal
from .rows import Row, read_rows
from .schema import Schema, Table, insert_head, is_own, quoted, written_names, written_values
from .script import after_rows
from .virtual import with_rows

#: Statements of an import are limited as all are; some is left for names.
LONGEST = 90_000

#: A file takes a statement of any length.
UNLIMITED = 2**62

#: So many bytes of a long value go into one statement, as twice as many digits.
_PIECE = 40_000

#: A piece of text grows by the quotes in it.
_TEXT_PIECE = 20_000


def portable_statements(
    engine: Engine, schema: Schema, first: t.Sequence[str] = (), longest: int = LONGEST
) -> t.Iterator[str]:
    """All of a database, after the first: references are judged at the end, so that their order does not matter."""
    yield "PRAGMA defer_foreign_keys = TRUE"
    yield from first
    for table in with_rows(schema):
        yield table.sql
    for table in with_rows(schema):
        for key, values in read_rows(engine, table):
            yield from inserted(table, key, values, longest)
    yield from after_rows(engine, schema)


def dropped(schema: Schema) -> t.List[str]:
    """What takes everything out of a database. With a table go its indexes and triggers."""
    views = [f"DROP VIEW {quoted(name)}" for name in schema.view_names]
    virtual = [f"DROP TABLE {quoted(table.name)}" for table in schema.of_kind("virtual")]
    return [*views, *virtual, *(f"DROP TABLE {quoted(table.name)}" for table in schema.of_kind("table"))]


def inserted(table: Table, key: Row, values: Row, longest: int = LONGEST) -> t.Iterator[str]:
    """What writes a row that is not there. A conflict stops it, whatever the table says of conflicts."""
    names, given = written_names(table), written_values(table, key, values)
    written, longs = _shortened(given, longest)
    yield f"{insert_head(table, 'INSERT OR ABORT')}({','.join(written)})"
    yield from _completed(table, key, names, given, longs)


def updated(table: Table, key: Row, values: Row, longest: int = LONGEST) -> t.Iterator[str]:
    """What makes a row that is there like this one; its key stays."""
    pairs = [(name, value) for name, value in zip(table.stored, values) if table.rowid or name not in table.key_names]
    names, given = [quoted(name) for name, _value in pairs], [value for _name, value in pairs]
    if not names:
        return
    written, longs = _shortened(given, longest)
    assigned = ", ".join(f"{name} = {value}" for name, value in zip(names, written))
    yield f"UPDATE OR ABORT {quoted(table.name)} SET {assigned} WHERE {_is(table, key)}"
    yield from _completed(table, key, names, given, longs)


def deleted(table: Table, key: Row) -> str:
    """What takes a row away."""
    return f"DELETE FROM {quoted(table.name)} WHERE {_is(table, key)}"


def is_long(values: Row) -> bool:
    """Whether a row goes in pieces where statements are limited."""
    return bool(_shortened(values, LONGEST)[1])


def _is(table: Table, key: Row) -> str:
    return " AND ".join(f"{name} IS {literal(value)}" for name, value in zip(table.keys, key))


def _shortened(given: t.Sequence[t.Any], longest: int) -> t.Tuple[t.List[str], t.List[int]]:
    """Literals that fit into one statement, and the places of those that were left empty for that."""
    written = list(map(literal, given))
    # The limit is one of bytes.
    sizes = [len(text.encode()) + 1 for text in written]
    longs: t.List[int] = []
    while sum(sizes) > longest:
        place = max(range(len(written)), key=sizes.__getitem__)
        sizes[place] = 3
        written[place] = "x''" if isinstance(given[place], bytes) and not isinstance(given[place], NotText) else "''"
        longs.append(place)
    return written, longs


def _completed(
    table: Table, key: Row, names: t.Sequence[str], given: t.Sequence[t.Any], longs: t.Sequence[int]
) -> t.Iterator[str]:
    for place in longs:
        for expression in _appended(names[place], given[place]):
            yield f"UPDATE OR ABORT {quoted(table.name)} SET {names[place]} = {expression} WHERE {_is(table, key)}"


def _appended(name: str, value: t.Any) -> t.Iterator[str]:
    """What a column becomes, piece by piece. Concatenation makes a text of whatever it gets."""
    if isinstance(value, str) and "\0" not in value:
        for start in range(0, len(value), _TEXT_PIECE):
            yield f"{name} || {literal(value[start : start + _TEXT_PIECE])}"
        return
    data, kind = (value.encode(), "TEXT") if isinstance(value, str) else (bytes(value), "BLOB")
    kind = "TEXT" if isinstance(value, NotText) else kind
    for start in range(0, len(data), _PIECE):
        yield f"CAST({name} || x'{data[start : start + _PIECE].hex()}' AS {kind})"


def is_empty(engine: Engine) -> bool:
    """Whether a database has nothing of anybody in it."""
    (found,) = engine.run([Bound("SELECT name FROM sqlite_schema", reads_only=True)])
    return all(is_own(str(row[0])) for row in found.rows)
