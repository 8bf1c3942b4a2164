# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database that was loaded into a file, and the proof that it is what was read or recorded."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t
from dataclasses import dataclass, field, replace

from ..._core.errors import ErrorKind, RecoveryError
from ..._repository.fetch import fetch_objects
from ..._repository.manifest import SQLITE_ENGINE, SQLITE_ROWS_ENGINE, Manifest
from ..._store.base import ObjectStore
from .engine import Bound, Engine
from .file import FileEngine
from .load import Aside, Loaded, load_files
from .schema import Schema, Table, quoted, read_schema
from .script import TableContent, content_of, different_tables
from .stand_ins import missing_parents
from .stored_dump import files_of, read_content
from .structure import Structure, structure_differences, structure_of
from .virtual import not_rebuilt as empty_indexes


@dataclass(frozen=True)
class OpenedSet:
    """A set that was loaded into the file at path and equals its recorded content.

    schema and structure hold what the file lacks as well, because this host's SQLite refuses it: aside, by what it is.
    unchecked: tables with rows that break a CHECK. not_rebuilt: full-text indexes that stay empty. is_recorded: the set
    recorded its structure as well, and it was found equal; sets of earlier versions recorded rows only.
    """

    path: str
    schema: Schema
    content: t.Sequence[TableContent]
    structure: Structure
    is_recorded: bool = True
    aside: t.Mapping[str, Aside] = field(default_factory=dict)
    unchecked: t.Collection[str] = ()
    not_rebuilt: t.Collection[str] = ()

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.content)

    @property
    def not_proved(self) -> t.List[str]:
        return [f"{what} ({aside.reason})" for what, aside in sorted(self.aside.items())]

    def as_loaded(self, engine: Engine) -> OpenedSet:
        """The set as the file holds it, without the definitions that were put aside."""
        schema = read_schema(engine)
        empty = tuple(empty_indexes(engine, schema))
        return replace(self, schema=schema, structure=structure_of(engine, schema), aside={}, not_rebuilt=empty)


def open_set(store: ObjectStore, manifest: Manifest, folder: str, *, parallel: int = 3) -> OpenedSet:
    """Fetch a set, load it into a file, and compare that with its content.

    Raises RecoveryError: unsupported for a set of another kind, damaged, and those of the store.
    """
    manifest.require_kind(SQLITE_ENGINE, SQLITE_ROWS_ENGINE)
    fetch_objects(store, manifest.objects, folder, parallel=parallel)
    path = os.path.join(folder, "loaded.sqlite")
    recorded = read_content(folder, manifest.set_id)
    loaded = load_files(path, folder, files_of(manifest), recorded.get("stand_ins"))
    opened = opened_file(path, loaded, recorded.get("not_rebuilt", ()))
    content = [TableContent(**item) for item in recorded["tables"]]
    different = differences(opened, content, recorded.get("structure"))
    if different:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The database loaded from set {manifest.set_id} differs from its digests in {', '.join(different[:10])}.",
            next_step="Use another set.",
        )
    return replace(opened, is_recorded=recorded.get("structure") is not None)


def opened_file(
    path: str, loaded: t.Optional[Loaded] = None, not_rebuilt: t.Optional[t.Collection[str]] = None
) -> OpenedSet:
    """A database that was loaded into a file, with what it holds and what was put aside.

    not_rebuilt: the full-text indexes that stay empty, where a set recorded them.
    """
    loaded = loaded or Loaded()
    engine = FileEngine(path, read_only=True)
    try:
        schema = read_schema(engine)
        content = content_of(engine, schema)
        if not_rebuilt is None:
            not_rebuilt = [name for name in empty_indexes(engine, schema) if not loaded.aside]
        complete = _completed(schema, loaded.aside)
        structure = structure_of(engine, complete)
    finally:
        engine.close()
    for what, aside in loaded.aside.items():
        if what.startswith("setting "):
            # INSERT INTO "f"("f", rank) VALUES('name', value)
            structure[what] = aside.sql[aside.sql.find(", ", aside.sql.find("VALUES(")) + 2 : -1]
    return OpenedSet(
        path,
        complete,
        content,
        structure,
        aside=dict(loaded.aside),
        unchecked=tuple(loaded.unchecked),
        not_rebuilt=tuple(not_rebuilt),
    )


def _completed(schema: Schema, aside: t.Mapping[str, Aside]) -> Schema:
    """The schema of a file with the definitions that were put aside, in place of those of stand-ins."""
    if not aside:
        return schema
    found = [(*what.partition(" ")[::2], item.sql) for what, item in aside.items()]
    replaced = {name: sql for kind, name, sql in found if kind == "table"}
    tables = [
        replace(table, sql=replaced[table.name], kind=_table_kind(replaced[table.name]))
        if table.name in replaced
        else table
        for table in schema.tables
    ]
    known = {table.name for table in tables}
    tables += [Table(name, "virtual", sql, (), "rowid") for name, sql in replaced.items() if name not in known]
    definitions = [
        (kind, name, replaced.get(name, sql) if kind == "table" else sql) for kind, name, sql in schema.definitions
    ]
    definitions += [
        (kind, name, sql)
        for kind, name, sql in found
        if kind in ("index", "view", "trigger") or (kind == "table" and name not in known)
    ]
    return replace(schema, tables=tuple(tables), definitions=tuple(definitions))


def _table_kind(sql: str) -> str:
    return "virtual" if sql.split()[1].upper() == "VIRTUAL" else "table"


def differences(opened: OpenedSet, content: t.Iterable[TableContent], structure: t.Optional[Structure]) -> t.List[str]:
    """Tables with other rows, and what is missing, additional or other where the structure is known."""
    found = different_tables(opened.content, content)
    if structure is None:
        return [*found, *opened.not_proved]
    return [*found, *structure_differences(structure, opened.structure)]


def refusing() -> str:
    """Why something was put aside, for messages."""
    return f"SQLite {sqlite3.sqlite_version} of this host refuses them"


def refused_by_d1(opened: OpenedSet) -> t.List[str]:
    """Why D1, where foreign keys are always on, refuses rows of a set: one sentence for each pair of tables.

    A stand-in compares texts byte by byte and lacks unique columns, so nothing is known of such a table.
    """
    engine = FileEngine(opened.path, read_only=True)
    unknown = {what.partition(" ")[2].lower() for what in opened.aside if what.startswith("table ")}
    found: t.Dict[t.Tuple[str, str], int] = {}
    try:
        for table in opened.schema.of_kind("table"):
            # A parent without a unique index is an error of the pragma.
            with contextlib.suppress(RecoveryError):
                (answer,) = engine.run([Bound(f"PRAGMA foreign_key_check({quoted(table.name)})", reads_only=True)])
                for row in answer.rows:
                    pair = (str(row[0]), str(row[2]))
                    if not unknown.intersection(name.lower() for name in pair):
                        found[pair] = found.get(pair, 0) + 1
        keyless = missing_parents(engine, opened.schema).refused
    finally:
        engine.close()
    return [
        *(f"{count} rows of {child} refer to missing rows of {parent}." for (child, parent), count in found.items()),
        *keyless,
    ]
