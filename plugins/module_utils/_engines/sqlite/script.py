# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database as a text of SQL that loads anywhere: tables and unique keys first, then rows, then all that depends on
them.

Cloudflare's own export puts the rows of a table before a later table that they refer to, rounds large integers, and
cannot hold a text with NUL; this has none of these.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ..._core.errors import ErrorKind, RecoveryError
from .engine import Bound, Engine
from .exact import literal
from .rows import Content, read_rows
from .schema import Schema, Table, insert_head, quoted, written_values
from .stand_ins import Parents, is_plain_unique, missing_parents, stand_in
from .statements import terminated
from .structure import Structure, counters, numbers_of, structure_of
from .virtual import configure, not_rebuilt, opened, readable, rebuild, refilled, with_rows

#: So many tables are counted in one request.
_TABLES_AT_ONCE = 50

#: References are judged when all is in, so that the order of rows does not matter.
DEFERRED = "PRAGMA defer_foreign_keys = TRUE"

#: A connection keeps this setting also when an import fails.
CHECKS = "PRAGMA ignore_check_constraints = {}"

#: The files of a dump in the order in which they load.
SCHEMA_FILE, AFTER_FILE = "0-schema.sql", "9-after.sql"


@dataclass(frozen=True)
class TableContent:
    """The number of rows of a table, and their digest."""

    table: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Dump:
    """The files of a dump in their order, the table of each where it has one, and what the database held.

    stand_ins: by table what holds its rows where SQLite cannot make the table. not_rebuilt: full-text indexes with the
    reason why they stay empty. notices: what the operator should know of the foreign keys.
    """

    files: t.Sequence[t.Tuple[str, str]]
    content: t.Sequence[TableContent]
    structure: Structure
    stand_ins: t.Mapping[str, str]
    not_rebuilt: t.Mapping[str, str]
    notices: t.Sequence[str] = ()


def write_dump(engine: Engine, schema: Schema, folder: str, noted: t.Callable[[int], None]) -> Dump:
    """Read the database into files of a folder; noted is called with numbers of rows. Raises those of the engine."""
    files = [(SCHEMA_FILE, "")]
    content = []
    parents, empty = missing_parents(engine, schema), not_rebuilt(engine, schema)
    structure = structure_of(engine, schema)
    before = [DEFERRED, *before_rows(schema, parents)]
    _write(folder, SCHEMA_FILE, (f"{terminated(statement)}\n" for statement in before))
    for number, table in enumerate(with_rows(schema)):
        name = f"1-{number:05}.sql"
        counted = Content()
        _write(folder, name, _inserts(engine, table, counted, noted))
        files.append((name, table.name))
        content.append(TableContent(table.name, counted.rows, counted.digest))
    after = [*after_rows(engine, schema, structure, parents, empty), *versions(engine)]
    _write(folder, AFTER_FILE, (f"{terminated(statement)}\n" for statement in after))
    files.append((AFTER_FILE, ""))
    stand_ins = {table.name: stand_in(opened(table)) for table in with_rows(schema)}
    return Dump(files, content, structure, stand_ins, empty, parents.notices)


def ignore_checks(folder: str) -> None:
    """Let the files of a dump load although rows break a CHECK."""
    for name, before, after in ((SCHEMA_FILE, "ON", ""), (AFTER_FILE, "", "OFF")):
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as stream:
            text = stream.read()
        lines = [f"{CHECKS.format(before)};\n" if before else "", text, f"{CHECKS.format(after)};\n" if after else ""]
        _write(folder, name, lines)


def content_of(engine: Engine, schema: Schema) -> t.List[TableContent]:
    """The content of the tables, read as write_dump reads them. Raises RecoveryError(not_equal) as require_all_rows."""
    found = []
    for table in with_rows(schema):
        counted = Content()
        for key, values in read_rows(engine, readable(table)):
            counted.add(key, values)
        found.append(TableContent(table.name, counted.rows, counted.digest))
    require_all_rows(engine, schema, found)
    return found


def require_all_rows(engine: Engine, schema: Schema, content: t.Sequence[TableContent]) -> None:
    """Raise RecoveryError(not_equal) unless each table has as many rows as were read, counted by the database itself.

    Pages that were read cannot prove that no row is missing.
    """
    read = {table.name: readable(table).name for table in with_rows(schema)}
    for start in range(0, len(content), _TABLES_AT_ONCE):
        some = content[start : start + _TABLES_AT_ONCE]
        # An index may be damaged; the rows are in the table.
        queries = [f"SELECT count(*) FROM {quoted(read[item.table])} NOT INDEXED" for item in some]
        for item, answer in zip(some, engine.run([Bound(query, reads_only=True) for query in queries])):
            there = int(answer.rows[0][0])
            if there != item.rows:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"{item.table} of {engine.location} has {there} rows, but {item.rows} were read.",
                    next_step="Check the database with PRAGMA integrity_check; report the table's schema if it is ok.",
                )


def _inserts(engine: Engine, table: Table, counted: Content, noted: t.Callable[[int], None]) -> t.Iterator[str]:
    table = opened(table)
    head = insert_head(table)
    for key, values in read_rows(engine, readable(table)):
        counted.add(key, values)
        noted(1)
        yield f"{head}({','.join(map(literal, written_values(table, key, values)))});\n"


def different_tables(one: t.Iterable[TableContent], other: t.Iterable[TableContent]) -> t.List[str]:
    """The names of the tables that do not hold the same."""
    return sorted({item.table for item in set(one) ^ set(other)})


def before_rows(schema: Schema, parents: Parents) -> t.Iterator[str]:
    """Tables, and the unique indexes that foreign keys may need when rows are written."""
    for table in with_rows(schema):
        yield table.sql
    yield from filter(is_plain_unique, schema.statements("index"))
    yield from parents.made


def after_rows(
    engine: Engine, schema: Schema, structure: Structure, parents: Parents, empty: t.Collection[str]
) -> t.Iterator[str]:
    """Objects that depend on rows: counters, indexes, views, virtual tables, triggers. empty: those not rebuilt."""
    yield from parents.removed
    if schema.has_sequence:
        yield "DELETE FROM sqlite_sequence"
        for name, number in counters(engine, schema):
            yield f"INSERT INTO sqlite_sequence(name, seq) VALUES({literal(name)}, {literal(number)})"
    yield from (statement for statement in schema.statements("index") if not is_plain_unique(statement))
    # A full-text index may be of a view.
    yield from schema.statements("view")
    virtual = schema.of_kind("virtual")
    yield from (table.sql for table in virtual if refilled(table) != "rows")
    for table in virtual:
        start = f"setting {quoted(table.name)} "
        for what, value in structure.items():
            if what.startswith(start):
                yield configure(table.name, what[len(start) :], value)
    yield from (rebuild(table) for table in virtual if refilled(table) == "rebuild" and table.name not in empty)
    # A trigger would act on rows that are loaded.
    yield from schema.statements("trigger")


def versions(engine: Engine) -> t.Iterator[str]:
    """The pragmas that set the numbers in the header of a file."""
    for name, value in numbers_of(engine):
        yield f"PRAGMA {name} = {value}"


def _write(folder: str, name: str, lines: t.Iterable[str]) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)
