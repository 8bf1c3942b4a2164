# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows of a set are meant: those of a tenant, all, or those that an earlier restore touched."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.rows import read_rows, row_digest
from .._sqlite.schema import Schema, Table
from .._sqlite.values import as_json, from_json
from .belonging import Key, Rows, Tenant, conditions_of, rows_by_key, rows_that_belong
from .difference import Change, Sides
from .references import Reference, told_references

#: In a set of rows: the keys that a restore touched, and what it wrote to rows without a key.
TOUCHED_FILE = "touched.json"


class Choice(t.Protocol):
    """Rows of a set, and the live rows that they are compared with. follows: whether what they refer to comes along."""

    follows: bool

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        """Rows of the set by table. Raises RecoveryError(invalid_options)."""

    def live(self, sides: Sides, references: t.Sequence[Reference], names: t.Collection[str]) -> t.Dict[str, Rows]:
        """The live rows that are to go unless they are wanted, of these tables at least."""

    def told(self, schema: Schema) -> t.Sequence[Reference]:
        """References that no key declares."""


class TenantChoice:
    """The rows of a tenant."""

    follows = True

    def __init__(self, tenant: Tenant, schema: Schema, noted: t.Callable[[int], None]) -> None:
        self._tenant, self._noted = tenant, noted
        self._conditions = conditions_of(tenant, schema)

    def told(self, schema: Schema) -> t.Sequence[Reference]:
        return told_references(schema, self._tenant.references)

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require({condition.table for condition in self._conditions})
        found = rows_that_belong(sides.set, sides.tables, references, self._conditions, self._noted)
        root = self._conditions[0]
        there = len(found.get(root.table, {}))
        if there < len(set(root.values)):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The set has {there} of the {len(set(root.values))} rows of {root.table} that were asked for.",
                next_step="Check the keys, or choose an earlier set.",
            )
        return found

    def live(self, sides: Sides, references: t.Sequence[Reference], names: t.Collection[str]) -> t.Dict[str, Rows]:
        return rows_that_belong(sides.live, sides.shared, references, self._conditions, self._noted)


class WholeChoice:
    """All rows of all tables."""

    follows = False

    def __init__(self, schema: Schema, noted: t.Callable[[int], None]) -> None:
        self._names, self._noted = [table.name for table in schema.of_kind("table")], noted

    def told(self, schema: Schema) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._names)
        return {name: self._all(sides.set, sides.tables[name]) for name in self._names}

    def live(self, sides: Sides, references: t.Sequence[Reference], names: t.Collection[str]) -> t.Dict[str, Rows]:
        return {name: self._all(sides.live, sides.tables[name]) for name in self._names}

    def _all(self, engine: t.Any, table: Table) -> Rows:
        found = {}
        for key, values in read_rows(engine, table):
            found[tuple(key)] = row_digest(values)
            self._noted(1)
        return found


@dataclass(frozen=True)
class Touched:
    """Keys of one table. written: for rows without a key, the digest of what was inserted, over these columns."""

    keys: t.Sequence[Key]
    columns: t.Sequence[str]
    written: t.Mapping[Key, bytes]


class UndoChoice:
    """What an undo set holds: the touched rows as they were; those that were not there go again."""

    follows = False

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, TOUCHED_FILE), encoding="utf-8") as stream:
            self._touched = {name: _touched(item) for name, item in json.load(stream)["tables"].items()}

    def told(self, schema: Schema) -> t.Sequence[Reference]:
        return ()

    def wanted(self, sides: Sides, references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
        sides.require(self._touched)
        return {
            name: {tuple(key): row_digest(values) for key, values in read_rows(sides.set, sides.tables[name])}
            for name in self._touched
        }

    def live(self, sides: Sides, references: t.Sequence[Reference], names: t.Collection[str]) -> t.Dict[str, Rows]:
        return {name: self._still(sides, sides.tables[name], item) for name, item in self._touched.items()}

    @staticmethod
    def _still(sides: Sides, table: Table, touched: Touched) -> Rows:
        """Rows at these keys. A number may be another row's by now, unless that is what was written or is to come."""
        found = {tuple(key): row_digest(values) for key, values in rows_by_key(sides.live, table, touched.keys)}
        if not table.is_numbered:
            return found
        some = replace(table, columns=tuple(column for column in table.columns if column.name in touched.columns))
        same = {
            tuple(key)
            for key, values in rows_by_key(sides.live, some, list(touched.written))
            if touched.written[tuple(key)] == row_digest(values)
        }
        kept = {tuple(key): row_digest(values) for key, values in rows_by_key(sides.set, table, touched.keys)}
        return {key: digest for key, digest in found.items() if key in same or kept.get(key) == digest}


def write_touched(folder: str, changes: t.Iterable[Change]) -> None:
    """What UndoChoice reads."""
    document = {
        change.table.name: {
            "keys": [list(map(as_json, key)) for key in touched_keys(change)],
            "columns": list(change.table.stored),
            "written": [[number, change.wanted[key].hex()] for key, number in change.numbers.items()],
        }
        for change in changes
    }
    with open(os.path.join(folder, TOUCHED_FILE), "w", encoding="utf-8") as stream:
        json.dump({"tables": document}, stream)


def touched_keys(change: Change) -> t.List[Key]:
    """The live keys that a change is about."""
    inserts = [(change.numbers[key],) for key in change.inserts] if change.numbers else change.inserts
    return [*inserts, *change.updates, *change.deletes]


def _touched(item: t.Mapping[str, t.Any]) -> Touched:
    return Touched(
        [tuple(map(from_json, key)) for key in item["keys"]],
        item["columns"],
        {(number,): bytes.fromhex(digest) for number, digest in item["written"]},
    )
