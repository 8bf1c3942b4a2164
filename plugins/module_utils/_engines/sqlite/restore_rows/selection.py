# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selections of rows of a set: a tenant, tables, keys, all rows, or rows that an earlier restore touched."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import typing as t
from dataclasses import dataclass, replace

from ...._core.documents import read_document
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.shapes import flag, list_of, mapping_of, optional, record, text
from ...._repository.row_changes import MissingKeys
from ..confined import confine
from ..engine import Engine
from ..exact import literal, text_of
from ..rows import read_rows
from ..schema import Schema, Table
from .difference import Sides, TableChange
from .ownership import (
    Key,
    Owner,
    Rows,
    Tenant,
    checked_keys,
    digests,
    find_owner,
    find_rows,
    missing_keys,
    rows_by_key,
    rows_of_tenant,
    with_children,
)
from .references import Reference, names_of, table_of, undeclared_references

#: In a set of rows: the keys that a restore touched, and what it wrote there.
TOUCHED_FILE = "touched.json"


class RowSelection(t.Protocol):
    """Rows of a set, and the live rows that they are compared with. with_parents: also restore missing parents.

    numbered: of which tables it is settled whether rows are identified by their number. missing: after wanted, the keys
    that the set does not hold.
    """

    with_parents: bool
    numbered: t.Optional[t.Mapping[str, bool]]
    missing: t.Sequence[MissingKeys]

    def undeclared(self, engine: Engine) -> t.Sequence[Reference]:
        """References that no key declares. Raises RecoveryError(invalid_options)."""

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        """Rows of the set by table. Raises RecoveryError: invalid_options, schema_drift."""

    def current(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        """The live rows that are deleted unless they are wanted. Called after wanted."""

    def owning(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        """The columns of a table that identify the tenant of a row; None if the selection is of no tenant."""


class TenantRows:
    """The rows of a tenant."""

    with_parents = True
    missing: t.Sequence[MissingKeys] = ()
    numbered: t.Optional[t.Mapping[str, bool]] = None

    def __init__(self, tenant: Tenant, schema: Schema, references: t.Sequence[t.Mapping[str, t.Any]] = ()) -> None:
        self._tenant, self._schema, self._references = tenant, schema, references
        self._owner: t.Optional[Owner] = None

    def undeclared(self, engine: Engine) -> t.Sequence[Reference]:
        return undeclared_references(engine, self._schema, self._references)

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return rows_of_tenant(sides.set, sides.tables, references, self._known(sides, references))

    def current(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return rows_of_tenant(sides.target, sides.shared, references, self._known(sides, references))

    def owning(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        namings = self._owner.names.get(name, ()) if self._owner else ()
        named = {column for naming in namings for column in naming.columns}
        return named | {column for item in references if item.child == name for column in item.columns}

    def _known(self, sides: Sides, references: t.Sequence[Reference]) -> Owner:
        if self._owner is None:
            self._owner = find_owner(sides.set, self._schema, sides.tables, self._tenant, references)
            sides.require(self._owner.names)
        return self._owner


@dataclass(frozen=True)
class TableKeys:
    """Rows of one table: all of them, or those with these values of the columns; no columns mean the primary key."""

    table: str
    values: t.Optional[t.Sequence[Key]] = None
    columns: t.Tuple[str, ...] = ()


class SelectedRows:
    """Whole tables, and rows by key. closure: none, children (rows that refer to them), parents, or both."""

    numbered: t.Optional[t.Mapping[str, bool]] = None

    def __init__(
        self,
        selected: t.Sequence[TableKeys],
        schema: Schema,
        references: t.Sequence[t.Mapping[str, t.Any]] = (),
        closure: str = "none",
    ) -> None:
        self._schema, self._references = schema, references
        self._selected = [(table_of(schema, item.table), item) for item in selected]
        self.with_parents = closure in ("parents", "both")
        self._with_children = closure in ("children", "both")
        self.missing: t.Sequence[MissingKeys] = ()

    def undeclared(self, engine: Engine) -> t.Sequence[Reference]:
        return undeclared_references(engine, self._schema, self._references)

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(table.name for table, _item in self._selected)
        found = self._rows(sides.set, sides.tables, references)
        self.missing = [
            missing
            for missing in (
                missing_keys(sides.set, sides.tables[table.name], *self._keys(table, item))
                for table, item in self._selected
                if item.values is not None
            )
            if missing is not None
        ]
        return found

    def current(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return self._rows(sides.target, sides.shared, references)

    def owning(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        return None

    def _rows(
        self, engine: Engine, tables: t.Mapping[str, Table], references: t.Sequence[Reference]
    ) -> t.Dict[str, Rows]:
        starts = [
            (
                tables[table.name],
                read_rows(engine, tables[table.name])
                if item.values is None
                else find_rows(engine, tables[table.name], *self._keys(table, item)),
            )
            for table, item in self._selected
            if table.name in tables
        ]
        return with_children(engine, tables, references if self._with_children else (), starts)

    @staticmethod
    def _keys(table: Table, item: TableKeys) -> t.Tuple[t.Tuple[str, ...], t.Sequence[Key]]:
        columns = names_of(table, item.columns) if item.columns else table.key_names
        return columns, checked_keys(table, columns, item.values or ())


class AllRows:
    """All rows of all tables."""

    with_parents = False
    missing: t.Sequence[MissingKeys] = ()
    numbered: t.Optional[t.Mapping[str, bool]] = None

    def __init__(self, schema: Schema) -> None:
        self._names = [table.name for table in schema.of_kind("table")]

    def undeclared(self, engine: Engine) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._names)
        return {name: digests(read_rows(sides.set, sides.tables[name])) for name in self._names}

    def current(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return {name: digests(read_rows(sides.target, sides.tables[name])) for name in self._names}

    def owning(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        return None


@dataclass(frozen=True)
class Touched:
    """Keys of one table, and for those that were written the digest of what was, over these columns."""

    numbered: bool
    columns: t.Sequence[str]
    keys: t.Mapping[Key, t.Optional[bytes]]


class TouchedRows:
    """The rows that an undo set holds, and the keys of rows that the restore inserted, which are deleted again."""

    with_parents = False
    missing: t.Sequence[MissingKeys] = ()

    def __init__(self, touched: t.Mapping[str, Touched]) -> None:
        self._touched = touched
        self.numbered: t.Optional[t.Mapping[str, bool]] = {name: item.numbered for name, item in touched.items()}

    def undeclared(self, engine: Engine) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._touched)
        return {name: digests(read_rows(sides.set, sides.tables[name])) for name in self._touched}

    def current(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        return {name: self._still(sides, sides.tables[name], item) for name, item in self._touched.items()}

    def owning(self, name: str, references: t.Sequence[Reference]) -> t.Optional[t.Collection[str]]:
        return None

    @staticmethod
    def _still(sides: Sides, table: Table, touched: Touched) -> Rows:
        """Rows at these keys that are as the restore wrote them, or as before the restore.

        A number may now belong to another row, which is not changed. Raises RecoveryError(conflict) if a row with a key
        has changed since.
        """
        keys = list(touched.keys)
        found = digests(rows_by_key(sides.target, table, keys))
        kept = digests(rows_by_key(sides.set, table, keys))
        some = replace(table, columns=tuple(column for column in table.columns if column.name in touched.columns))
        same = {
            key for key, digest in digests(rows_by_key(sides.target, some, keys)).items() if touched.keys[key] == digest
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


def write_touched(folder: str, changes: t.Iterable[TableChange]) -> None:
    """Write the file that TouchedRows reads."""
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


def _written(change: TableChange) -> t.Iterator[t.Tuple[Key, t.Optional[bytes]]]:
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
        # SQLite reads what was written as SQL, exactly. The document comes from a store.
        confine(reader)
        reader.text_factory = text_of
        for parts, digest in item["keys"]:
            key = reader.execute(f"SELECT {', '.join(parts)}").fetchone()
            keys[tuple(key)] = bytes.fromhex(digest) if digest else None
    return Touched(item["numbered"], item["columns"], keys)


def read_touched(folder: str) -> t.Dict[str, Touched]:
    """The touched keys of a set that was fetched into a folder, by table. Raises RecoveryError(damaged)."""
    try:
        with open(os.path.join(folder, TOUCHED_FILE), "rb") as stream:
            document = read_document(stream.read(), TOUCHED_FILE, next_step="Use another set.", largest=_LARGEST)
        _TOUCHED(document, "")
        return {name: _touched(item) for name, item in document["tables"].items()}
    except (OSError, ValueError, sqlite3.Error, sqlite3.Warning) as error:
        raise RecoveryError(
            ErrorKind.DAMAGED, f"{TOUCHED_FILE} is damaged: {error}.", next_step="Use another set."
        ) from None


#: The output of literal() of _engines/sqlite/exact.py; no expression.
_BYTES = r"x'(?:[0-9a-f]{2})*'"
#: A number as the product of numbers that every version of SQLite reads exactly.
_PRODUCT = r"\(-?[0-9]+\.0(?:[*/][0-9]+\.0)+\)"
_NUMBER = rf"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|{_PRODUCT}"
_LITERAL = rf"NULL|{_NUMBER}|'(?:[^']|'')*'|{_BYTES}|CAST\({_BYTES} AS TEXT\)"


def _key(value: t.Any, place: str) -> None:
    """The literals of a key, and the digest of its row or null."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{place} is not a key and a digest")
    list_of(text(_LITERAL, longest=_LARGEST))(value[0], f"{place}[0]")
    optional(text("(?:[0-9a-f]{2})+"))(value[1], f"{place}[1]")


_TOUCHED = record({"tables": mapping_of(record({"numbered": flag, "columns": list_of(text()), "keys": list_of(_key)}))})

#: Bytes of the document: a restore may touch millions of rows.
_LARGEST = 2**30
