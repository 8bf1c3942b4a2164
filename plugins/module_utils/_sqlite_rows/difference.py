# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to change in a live database so that it has the rows that are wanted."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.engine import Bound, Engine
from .._sqlite.rows import row_digest
from .._sqlite.schema import Schema, Table, quoted
from .belonging import Key, Rows, find_rows, rows_by_key, told_apart, values_of
from .references import Reference

MODES = ("missing", "merge", "exact")


@dataclass
class Change:
    """What is to happen to one table. Keys of inserts and updates are those of the set, of deletes live ones.

    numbers: the row numbers that rows without a key get. elsewhere: live rows that the set has, but not as rows of
    the tenant; they are left alone.
    """

    table: Table
    wanted: Rows
    inserts: t.List[Key] = field(default_factory=list)
    updates: t.List[Key] = field(default_factory=list)
    deletes: t.List[Key] = field(default_factory=list)
    numbers: t.Dict[Key, int] = field(default_factory=dict)
    elsewhere: int = 0

    @property
    def total(self) -> int:
        return len(self.inserts) + len(self.updates) + len(self.deletes)


class Sides:
    """A set that was loaded into a file, and the live database.

    tables are those of the set; shared are those of them that the live database has with the same columns.
    """

    def __init__(self, theirs: Engine, schema: Schema, live: Engine, live_schema: Schema) -> None:
        self.set, self.live = theirs, live
        self.live_schema = live_schema
        self._there = {table.name.lower(): table for table in live_schema.of_kind("table")}
        self.tables, self.shared = {}, {}
        for table in schema.of_kind("table"):
            there = self._there.get(table.name.lower())
            if there is not None and set(table.stored) <= set(there.stored):
                self.tables[table.name] = self.shared[table.name] = told_apart(table, theirs, live)
            else:
                self.tables[table.name] = told_apart(table, theirs)

    def require(self, names: t.Iterable[str]) -> None:
        """Raise RecoveryError(schema_drift) unless the live database has these tables as the set has them."""
        for name in names:
            table, there = self.tables[name], self._there.get(name.lower())
            if there is None:
                raise _drift(f"The live database has no table {name}.")
            missing = [column for column in table.stored if column not in there.stored]
            if missing:
                raise _drift(f"The live table {name} has no column {missing[0]}.")
            if _key(table) != _key(there):
                raise _drift(f"The live table {name} has another primary key than in the set.")


def compare(sides: Sides, table: Table, wanted: Rows, mode: str, belonging: Rows) -> Change:
    """How the live table differs from the wanted rows; belonging are live rows that are too many unless wanted."""
    change = Change(table, wanted)
    if table.is_numbered:
        _by_content(sides, change, mode, belonging)
        return change
    live = {tuple(key): row_digest(values) for key, values in rows_by_key(sides.live, table, list(wanted))}
    change.inserts = [key for key in wanted if key not in live]
    if mode != "missing":
        change.updates = [key for key, digest in wanted.items() if live.get(key, digest) != digest]
    if mode == "exact":
        strays = [key for key in belonging if key not in wanted]
        moved = {tuple(key) for key, _values in rows_by_key(sides.set, table, strays)}
        change.deletes = [key for key in strays if key not in moved]
        change.elsewhere = len(moved)
    return change


def _by_content(sides: Sides, change: Change, mode: str, belonging: Rows) -> None:
    """Rows without a key have no identity: there are to be as many of each as in the set."""
    there = Counter(belonging.values())
    for key, digest in change.wanted.items():
        if there[digest]:
            there[digest] -= 1
        else:
            change.inserts.append(key)
    if mode == "exact":
        for key, digest in belonging.items():
            if there[digest]:
                there[digest] -= 1
                change.deletes.append(key)
    if change.inserts:
        name = change.table.name
        taken = {tuple(key) for key, _values in rows_by_key(sides.live, change.table, change.inserts)}
        (answer,) = sides.live.run(
            [Bound(f"SELECT CAST(max({change.table.rowid}) AS TEXT) FROM {quoted(name)}", reads_only=True)]
        )
        free = max([int(answer.rows[0][0] or 0), *(int(key[0]) for key in change.inserts)]) + 1
        for key in change.inserts:
            change.numbers[key] = free if key in taken else int(key[0])
            free += key in taken


def missing_parents(sides: Sides, changes: t.Iterable[Change], references: t.Sequence[Reference]) -> t.Dict[str, Rows]:
    """Rows of the set that the rows to write refer to and the live database lacks, however far."""
    found: t.Dict[str, Rows] = {}
    pending = {change.table.name: [*change.inserts, *change.updates] for change in changes}
    written = {name: set(keys) for name, keys in pending.items()}
    while pending:
        wanted: t.Dict[t.Tuple[str, t.Tuple[str, ...]], t.Dict[Key, None]] = {}
        for name, keys in pending.items():
            edges = [item for item in references if item.child == name and item.parent in sides.tables]
            table = sides.tables[name]
            for _key_of, values in rows_by_key(sides.set, table, keys) if edges else ():
                for edge in edges:
                    value = values_of(table, values, edge.columns)
                    if value is not None:
                        wanted.setdefault((edge.parent, edge.parent_columns), {})[value] = None
        pending = {}
        for (name, columns), of_children in wanted.items():
            sides.require([name])
            table = sides.tables[name]
            there = {
                values_of(table, values, columns)
                for _found, values in find_rows(sides.live, table, columns, list(of_children))
            }
            lacking = [value for value in of_children if value not in there]
            for key, values in find_rows(sides.set, table, columns, lacking):
                known = found.setdefault(name, {})
                if tuple(key) not in known and tuple(key) not in written.get(name, ()):
                    known[tuple(key)] = row_digest(values)
                    pending.setdefault(name, []).append(tuple(key))
    return found


def require_unreferenced(sides: Sides, changes: t.Sequence[Change], references: t.Iterable[Reference]) -> None:
    """Raise RecoveryError(conflict) when live rows that stay refer to rows to delete, which would take them along."""
    by_name = {change.table.name: change for change in changes}
    children = {table.name: told_apart(table, sides.live) for table in sides.live_schema.of_kind("table")}
    for edge in references:
        parent = by_name.get(edge.parent)
        if parent is None or not parent.deletes or edge.child not in children:
            continue
        gone = {
            values_of(parent.table, values, edge.parent_columns)
            for _found, values in rows_by_key(sides.live, parent.table, parent.deletes)
        }
        child, own = children[edge.child], by_name.get(edge.child)
        handled = {*own.deletes, *own.updates} if own else set()
        values = [value for value in gone if value is not None]
        stay = [key for key, _values in find_rows(sides.live, child, edge.columns, values) if tuple(key) not in handled]
        if stay:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{len(stay)} live rows of {edge.child} refer to rows of {edge.parent} that would be deleted, "
                f"such as the one with the key {stay[0][0]}.",
                next_step="Delete or change them first, or restore with mode merge.",
            )


def _key(table: Table) -> t.List[str]:
    whole = sorted((column for column in table.columns if column.pk), key=lambda column: column.pk)
    return [column.name.lower() for column in whole]


def _drift(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SCHEMA_DRIFT,
        what,
        next_step="Restore the set into a new database with d1_restore, and bring the rows over by hand.",
    )
