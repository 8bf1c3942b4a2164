# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database as a text of SQL that loads anywhere: tables first, then rows, then all that depends on them.

Cloudflare's own export puts the rows of a table before a later table that they refer to, rounds large integers, and
cannot hold a text with NUL; this has none of these.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .engine import Bound, Engine
from .exact import literal
from .rows import Content, read_rows
from .schema import Schema, Table, insert_head, quoted, written_values
from .structure import Structure, counters, numbers_of, structure_of
from .virtual import rebuild, refilled, with_rows

#: So many tables are counted in one request.
_TABLES_AT_ONCE = 50

#: The files of a dump in the order in which they load.
SCHEMA_FILE, AFTER_FILE = "0-schema.sql", "9-after.sql"


@dataclass(frozen=True)
class TableContent:
    """How many rows a table has, and their digest."""

    table: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Dump:
    """The files of a dump in their order, the table of each where it has one, and what the database held."""

    files: t.Sequence[t.Tuple[str, str]]
    content: t.Sequence[TableContent]
    structure: Structure


def write_dump(engine: Engine, schema: Schema, folder: str, noted: t.Callable[[int], None]) -> Dump:
    """Read everything and write it to files of a folder; noted is told of rows. Raises those of the engine."""
    files = [(SCHEMA_FILE, "")]
    content = []
    _write(folder, SCHEMA_FILE, (f"{table.sql};\n" for table in with_rows(schema)))
    for number, table in enumerate(with_rows(schema)):
        name = f"1-{number:05}.sql"
        counted = Content()
        _write(folder, name, _inserts(engine, table, counted, noted))
        files.append((name, table.name))
        content.append(TableContent(table.name, counted.rows, counted.digest))
    _write(folder, AFTER_FILE, (f"{statement};\n" for statement in (*after_rows(engine, schema), *versions(engine))))
    files.append((AFTER_FILE, ""))
    return Dump(files, content, structure_of(engine, schema))


def content_of(engine: Engine, schema: Schema) -> t.List[TableContent]:
    """What the tables hold, read as write_dump reads them. Raises RecoveryError(not_equal) as require_all_rows."""
    found = []
    for table in with_rows(schema):
        counted = Content()
        for key, values in read_rows(engine, table):
            counted.add(key, values)
        found.append(TableContent(table.name, counted.rows, counted.digest))
    require_all_rows(engine, found)
    return found


def require_all_rows(engine: Engine, content: t.Sequence[TableContent]) -> None:
    """Raise RecoveryError(not_equal) unless each table has as many rows as were read, counted by the database itself.

    What was read proves nothing about a row that no page showed.
    """
    for start in range(0, len(content), _TABLES_AT_ONCE):
        some = content[start : start + _TABLES_AT_ONCE]
        counts = engine.run([Bound(f"SELECT count(*) FROM {quoted(item.table)}", reads_only=True) for item in some])
        for item, answer in zip(some, counts):
            there = int(answer.rows[0][0])
            if there != item.rows:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"{item.table} of {engine.location} has {there} rows, but {item.rows} were read.",
                    next_step="Run it again when nothing writes to it; if it stays, report it with the table's schema.",
                )


def _inserts(engine: Engine, table: Table, counted: Content, noted: t.Callable[[int], None]) -> t.Iterator[str]:
    head = insert_head(table)
    for key, values in read_rows(engine, table):
        counted.add(key, values)
        noted(1)
        yield f"{head}({','.join(map(literal, written_values(table, key, values)))});\n"


def different_tables(one: t.Iterable[TableContent], other: t.Iterable[TableContent]) -> t.List[str]:
    """The names of the tables that do not hold the same."""
    return sorted({item.table for item in set(one) ^ set(other)})


def after_rows(engine: Engine, schema: Schema) -> t.Iterator[str]:
    """What depends on the rows: counters, indexes, virtual tables, views, triggers."""
    if schema.has_sequence:
        yield "DELETE FROM sqlite_sequence"
        for name, number in counters(engine, schema):
            yield f"INSERT INTO sqlite_sequence(name, seq) VALUES({literal(name)}, {literal(number)})"
    yield from schema.indexes
    for table in schema.of_kind("virtual"):
        if refilled(table) != "rows":
            yield table.sql
            if refilled(table) == "rebuild":
                yield rebuild(table)
    # A trigger would act on rows that are loaded, and a view may need a table of any kind.
    yield from schema.views
    yield from schema.triggers


def versions(engine: Engine) -> t.Iterator[str]:
    """What sets the numbers in the head of a file."""
    for name, value in numbers_of(engine):
        yield f"PRAGMA {name} = {value}"


def _write(folder: str, name: str, lines: t.Iterable[str]) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)
