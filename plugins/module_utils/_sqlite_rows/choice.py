# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows of a set are meant: those of a tenant, all, or those that an earlier restore touched."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.engine import Engine
from .._sqlite.exact import literal
from .._sqlite.file import text_of
from .._sqlite.rows import read_rows, row_digest
from .._sqlite.schema import Schema, Table
from .belonging import Key, Owner, Rows, Tenant, find_owner, rows_by_key, rows_that_belong
from .difference import Change, Sides
from .references import Reference, told_references

#: In a set of rows: the keys that a restore touched, and what it wrote there.
TOUCHED_FILE = "touched.json"


class Choice(t.Protocol):
    """Rows of a set, and the live rows that they are compared with. follows: whether what they refer to comes along.

    numbered: of which tables it is settled whether rows are told apart by number.
    """

    follows: bool
    numbered: t.Optional[t.Mapping[str, bool]]

    def told(self, engine: Engine, schema: Schema) -> t.Sequence[Reference]:
        """References that no key declares. Raises RecoveryError(invalid_options)."""

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        """Rows of the set by table. Raises RecoveryError: invalid_options, schema_drift."""

    def live(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        """The live rows that are to go unless they are wanted. Asked for after wanted."""

    def telling(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        """The columns of a table that tell whose a row is; None where that does not matter."""


class TenantChoice:
    """The rows of a tenant."""

    follows = True
    numbered: t.Optional[t.Mapping[str, bool]] = None

    def __init__(self, tenant: Tenant, noted: t.Callable[[int], None]) -> None:
        self._tenant, self._noted = tenant, noted
        self._owner: t.Optional[Owner] = None
        self._schema: t.Optional[Schema] = None

    def told(self, engine: Engine, schema: Schema) -> t.Sequence[Reference]:
        self._schema = schema
        return told_references(engine, schema, self._tenant.references)

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return rows_that_belong(sides.set, sides.tables, references, self._known(sides, references), self._noted)

    def live(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return rows_that_belong(sides.live, sides.shared, references, self._known(sides, references), self._noted)

    def telling(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        namings = self._owner.names.get(name, ()) if self._owner else ()
        named = {column for naming in namings for column in naming.columns}
        return named | {column for item in references if item.child == name for column in item.columns}

    def _known(self, sides: Sides, references: t.Sequence[Reference]) -> Owner:
        if self._owner is None:
            if self._schema is None:
                raise RecoveryError(ErrorKind.UNEXPECTED, "A tenant was looked for before its references were read.")
            self._owner = find_owner(sides.set, self._schema, sides.tables, self._tenant, references)
            sides.require(self._owner.names)
        return self._owner


class WholeChoice:
    """All rows of all tables."""

    follows = False
    numbered: t.Optional[t.Mapping[str, bool]] = None

    def __init__(self, schema: Schema, noted: t.Callable[[int], None]) -> None:
        self._names, self._noted = [table.name for table in schema.of_kind("table")], noted

    def told(self, engine: Engine, schema: Schema) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._names)
        return {name: self._all(sides.set, sides.tables[name]) for name in self._names}

    def live(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return {name: self._all(sides.live, sides.tables[name]) for name in self._names}

    def telling(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        return None

    def _all(self, engine: Engine, table: Table) -> Rows:
        found = {}
        for key, values in read_rows(engine, table):
            found[tuple(key)] = row_digest(values)
            self._noted(1)
        return found


@dataclass(frozen=True)
class Touched:
    """Keys of one table, and for those that were written the digest of what was, over these columns."""

    numbered: bool
    columns: t.Sequence[str]
    keys: t.Mapping[Key, t.Optional[bytes]]


class UndoChoice:
    """What an undo set holds: the touched rows as they were; those that were not there go again."""

    follows = False

    def __init__(self, folder: str) -> None:
        self._touched = read_touched(os.path.join(folder, TOUCHED_FILE))
        self.numbered: t.Optional[t.Mapping[str, bool]] = {name: item.numbered for name, item in self._touched.items()}

    def told(self, engine: Engine, schema: Schema) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._touched)
        return {
            name: {tuple(key): row_digest(values) for key, values in read_rows(sides.set, sides.tables[name])}
            for name in self._touched
        }

    def live(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return {name: self._still(sides, sides.tables[name], item) for name, item in self._touched.items()}

    def telling(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        return None

    @staticmethod
    def _still(sides: Sides, table: Table, touched: Touched) -> Rows:
        """Rows at these keys that are as they were written, or as they were before.

        A number may be another row's by now, which is left alone. Raises RecoveryError(conflict) when a row with a key
        was changed since.
        """
        keys = list(touched.keys)
        found = {tuple(key): row_digest(values) for key, values in rows_by_key(sides.live, table, keys)}
        kept = {tuple(key): row_digest(values) for key, values in rows_by_key(sides.set, table, keys)}
        some = replace(table, columns=tuple(column for column in table.columns if column.name in touched.columns))
        same = {
            tuple(key)
            for key, values in rows_by_key(sides.live, some, keys)
            if touched.keys[tuple(key)] == row_digest(values)
        }
        done = {key for key, digest in found.items() if kept.get(key) == digest}
        gone = {key for key in touched.keys if key not in found and key in kept and touched.keys[key] is not None}
        changed = [key for key in found if key not in same and key not in done] + list(gone)
        if changed and not table.is_numbered:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{len(changed)} rows of {table.name} were changed since, such as {', '.join(map(str, changed[0]))}.",
                next_step="Undo later restores first, or change these rows back by hand.",
            )
        return {key: digest for key, digest in found.items() if key in same or key in done}


def write_touched(folder: str, changes: t.Iterable[Change]) -> None:
    """What UndoChoice reads."""
    document = {
        change.table.name: {
            "numbered": change.table.is_numbered,
            "columns": list(change.table.stored),
            "keys": [[list(map(literal, key)), digest.hex() if digest else None] for key, digest in _written(change)],
        }
        for change in changes
    }
    with open(os.path.join(folder, TOUCHED_FILE), "w", encoding="utf-8") as stream:
        json.dump({"tables": document}, stream)


def _written(change: Change) -> t.Iterator[t.Tuple[Key, t.Optional[bytes]]]:
    """The live keys that a change is about, with what it writes there."""
    for key in change.inserts:
        yield (change.numbers[key],) if change.numbers else key, change.wanted[key]
    for key in change.updates:
        yield key, change.wanted[key]
    for key in change.deletes:
        yield key, None


def _touched(item: t.Mapping[str, t.Any]) -> Touched:
    keys: t.Dict[Key, t.Optional[bytes]] = {}
    with contextlib.closing(sqlite3.connect(":memory:")) as reader:
        # SQLite reads what was written as SQL, exactly.
        reader.text_factory = text_of
        for parts, digest in item["keys"]:
            key = reader.execute(f"SELECT {', '.join(parts)}").fetchone()
            keys[tuple(key)] = bytes.fromhex(digest) if digest else None
    return Touched(item["numbered"], item["columns"], keys)


def read_touched(path: str) -> t.Dict[str, Touched]:
    """What a file of touched keys holds, by table."""
    with open(path, encoding="utf-8") as stream:
        return {name: _touched(item) for name, item in json.load(stream)["tables"].items()}
