# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes of a live database that give it the wanted rows."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field, replace

from ...._core.errors import ErrorKind, RecoveryError
from ..engine import Bound, Engine
from ..rows import row_digest
from ..schema import Schema, Table, quoted
from .ownership import Key, Rows, digests, find_rows, identified_by_key, rows_by_key, values_of
from .references import Reference


@dataclass
class TableChange:
    """The changes of one table. Keys of inserts and updates are those of the set, of deletes live ones.

    before: the digests of live rows that will change or go. numbers: the row numbers that rows without a key get.
    early: updates of rows that refer to rows to delete. elsewhere: live rows of the tenant that the set has
    as rows of another tenant; they are left unchanged. differing: live rows that mode missing leaves unchanged.
    """

    table: Table
    wanted: Rows
    inserts: t.List[Key] = field(default_factory=list)
    updates: t.List[Key] = field(default_factory=list)
    deletes: t.List[Key] = field(default_factory=list)
    before: Rows = field(default_factory=dict)
    numbers: t.Dict[Key, int] = field(default_factory=dict)
    early: t.Set[Key] = field(default_factory=set)
    elsewhere: int = 0
    differing: int = 0

    @property
    def total(self) -> int:
        return len(self.inserts) + len(self.updates) + len(self.deletes)


class Sides:
    """A set that was loaded into a file, and the target database.

    tables are those of the set; shared are those of them that the target has with the same columns; there are the
    tables of the target by their names in small letters.
    numbered: of some tables, whether their rows are identified by number, as an undo set recorded it.
    """

    def __init__(
        self,
        loaded: Engine,
        schema: Schema,
        target: Engine,
        target_schema: Schema,
        numbered: t.Optional[t.Mapping[str, bool]] = None,
    ) -> None:
        self.set, self.target = loaded, target
        self.target_schema = target_schema
        self.there = {table.name.lower(): table for table in target_schema.of_kind("table")}
        self.tables: t.Dict[str, Table] = {}
        self.shared: t.Dict[str, Table] = {}
        for table in schema.of_kind("table"):
            there = self.there.get(table.name.lower())
            both = there is not None and set(table.stored) <= set(there.stored)
            if numbered and table.name in numbered:
                apart = table if numbered[table.name] or not table.is_numbered else replace(table, rowid=None)
            else:
                apart = identified_by_key(table, loaded, *([target] if both else []))
            self.tables[table.name] = apart
            if both:
                self.shared[table.name] = apart

    def require(self, names: t.Iterable[str]) -> None:
        """Raise RecoveryError(schema_drift) unless the live database has these tables as the set has them."""
        for name in names:
            table, there = self.tables[name], self.there.get(name.lower())
            if there is None:
                raise _drift(f"The live database has no table {name}.")
            missing = [column for column in table.stored if column not in there.stored]
            if missing:
                raise _drift(f"The live table {name} has no column {missing[0]}.")
            if _key(table) != _key(there):
                raise _drift(f"The live table {name} has another primary key than in the set.")

    def knows(self, reference: Reference) -> bool:
        """Whether a reference is about columns that the set has."""
        return all(
            name in self.tables and set(columns) <= {column.name for column in self.tables[name].columns}
            for name, columns in ((reference.child, reference.columns), (reference.parent, reference.parent_columns))
        )


def compare(
    sides: Sides,
    table: Table,
    wanted: Rows,
    mode: str,
    owned: Rows,
    owning: t.Optional[t.Collection[str]] = None,
) -> TableChange:
    """The difference of the target table and the wanted rows; owned are live rows that are deleted unless wanted.

    owning: the columns that identify the tenant of a row.
    Raises RecoveryError(conflict) when a live row with a wanted key became a row of another tenant.
    """
    change = TableChange(table, wanted)
    if table.is_numbered:
        _by_content(change, mode, owned)
        return change
    target = digests(rows_by_key(sides.target, table, list(wanted)))
    if owning is not None:
        _require_own(sides, table, [key for key in target if key not in owned], owning)
    change.inserts = [key for key in wanted if key not in target]
    differing = [key for key, digest in wanted.items() if target.get(key, digest) != digest]
    if mode == "missing":
        change.differing = len(differing)
    else:
        change.updates = differing
    if mode == "exact":
        strays = [key for key in owned if key not in wanted]
        moved = {tuple(key) for key, _values in rows_by_key(sides.set, table, strays)}
        change.deletes = [key for key in strays if key not in moved]
        change.elsewhere = len(moved)
    change.before = {key: target[key] for key in change.updates}
    change.before.update({key: owned[key] for key in change.deletes})
    return change


def give_numbers(sides: Sides, change: TableChange) -> None:
    """Choose the numbers of rows without a key: those of the set, if they are free."""
    if not change.table.is_numbered or not change.inserts:
        return
    taken = {tuple(key) for key, _values in rows_by_key(sides.target, change.table, change.inserts)}
    text = f"SELECT CAST(max({change.table.rowid}) AS TEXT) FROM {quoted(change.table.name)}"
    (answer,) = sides.target.run([Bound(text, reads_only=True)])
    free = max([int(answer.rows[0][0] or 0), *(int(key[0]) for key in change.inserts)]) + 1
    for key in change.inserts:
        change.numbers[key] = free if key in taken else int(key[0])
        free += key in taken


def missing_parents(
    sides: Sides, changes: t.Iterable[TableChange], references: t.Sequence[Reference]
) -> t.Dict[str, Rows]:
    """Rows of the set that the rows to write refer to and the live database lacks, however far."""
    found: t.Dict[str, Rows] = {}
    pending = {change.table.name: [*change.inserts, *change.updates] for change in changes}
    written = {name: set(keys) for name, keys in pending.items()}
    while pending:
        wanted: t.Dict[t.Tuple[str, t.Tuple[str, ...]], t.Dict[Key, None]] = {}
        for name, keys in pending.items():
            table = sides.tables[name]
            edges = [item for item in references if item.child == name and set(item.columns) <= set(table.stored)]
            for _key_of, values in rows_by_key(sides.set, table, keys) if edges else ():
                for edge in edges:
                    value = values_of(table, values, edge.columns)
                    if value is not None:
                        wanted.setdefault((edge.parent, edge.parent_columns), {})[value] = None
        pending = {}
        for (name, columns), of_children in wanted.items():
            sides.require([name])
            table = sides.tables[name]
            known = found.setdefault(name, {})
            candidates = {
                tuple(key): values
                for key, values in find_rows(sides.set, table, columns, list(of_children))
                if tuple(key) not in known and tuple(key) not in written.get(name, ())
            }
            for key in _lacking(sides, table, columns, candidates):
                known[key] = row_digest(candidates[key])
                pending.setdefault(name, []).append(key)
    return {name: rows for name, rows in found.items() if rows}


def require_unreferenced(sides: Sides, changes: t.Sequence[TableChange], references: t.Iterable[Reference]) -> None:
    """Raise RecoveryError(conflict) when live rows that stay refer to what goes or changes, and would follow it.

    Notes updates that have to come before the deletes.
    """
    by_name = {change.table.name: change for change in changes}
    children = {table.name: identified_by_key(table, sides.target) for table in sides.target_schema.of_kind("table")}
    for edge in references:
        parent = by_name.get(edge.parent)
        if parent is None or edge.child not in children:
            continue
        going = _values_that_go(sides, parent, edge)
        if not going:
            continue
        own = by_name.get(edge.child)
        child = own.table if own else children[edge.child]
        handled = set(own.deletes) if own else set()
        if own and sides.knows(edge):
            handled |= set(own.updates)
        rows = [tuple(key) for key, _row in find_rows(sides.target, child, edge.columns, going, edge.collations)]
        stay = [key for key in rows if key not in handled]
        if stay:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{len(stay)} live rows of {edge.child} refer to rows of {edge.parent} that would be deleted or "
                f"changed, such as the one with the key {stay[0][0]}.",
                next_step="Delete or change them first, or restore with mode missing.",
            )
        if own:
            own.early |= set(rows) & set(own.updates)


def children_first(names: t.Sequence[str], references: t.Iterable[Reference]) -> t.List[str]:
    """The names in an order in which rows go before those that they refer to; circles are cut somewhere."""
    children: t.Dict[str, t.List[str]] = {}
    for item in references:
        children.setdefault(item.parent, []).append(item.child)
    order: t.Dict[str, None] = {}
    seen: t.Set[str] = set()
    for start in names:
        stack = [(start, iter(children.get(start, ())))] if start not in seen else []
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            following = next((child for child in rest if child not in seen), None)
            if following is None:
                order[name] = None
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(children.get(following, ()))))
    return [name for name in order if name in names]


def _by_content(change: TableChange, mode: str, owned: Rows) -> None:
    """Rows without a key have no identity: there are to be as many of each as in the set."""
    there = Counter(owned.values())
    for key, digest in change.wanted.items():
        if there[digest]:
            there[digest] -= 1
        else:
            change.inserts.append(key)
    if mode == "exact":
        for key, digest in owned.items():
            if there[digest]:
                there[digest] -= 1
                change.deletes.append(key)
                change.before[key] = digest


def _require_own(sides: Sides, table: Table, keys: t.Sequence[Key], owning: t.Collection[str]) -> None:
    """Rows whose references were only emptied are still the tenant's; any other value is another tenant."""
    positions = [place for place, name in enumerate(table.stored) if name in owning]
    there = {tuple(key): values for key, values in rows_by_key(sides.target, table, keys)}
    taken = []
    for key, values in rows_by_key(sides.set, table, keys):
        now = there.get(tuple(key))
        if now and any(now[place] is not None and now[place] != values[place] for place in positions):
            taken.append(key)
    if taken:
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"{len(taken)} rows of {table.name} have keys that belong to another tenant by now, "
            f"such as {', '.join(map(str, taken[0]))}.",
            next_step="Restore the set into a new database with d1_restore, and copy these rows by hand.",
        )


def _lacking(
    sides: Sides, table: Table, columns: t.Sequence[str], candidates: t.Mapping[Key, t.Any]
) -> t.Iterator[Key]:
    """Which rows of the set the live table has not, by their key or, without one, by what is referred to."""
    if not table.is_numbered:
        target = {tuple(key) for key, _values in rows_by_key(sides.target, table, list(candidates))}
        yield from (key for key in candidates if key not in target)
        return
    for key, values in candidates.items():
        value = values_of(table, values, columns)
        if value is None or not any(True for _row in find_rows(sides.target, table, columns, [value])):
            yield key


def _values_that_go(sides: Sides, parent: TableChange, edge: Reference) -> t.List[Key]:
    """The values of referred columns that live rows lose: by their deletion, or by an update."""
    if not set(edge.parent_columns) <= set(parent.table.stored):
        return []
    found: t.Dict[t.Optional[Key], None] = {}
    for _key_of, values in rows_by_key(sides.target, parent.table, parent.deletes):
        found[values_of(parent.table, values, edge.parent_columns)] = None
    if not set(edge.parent_columns) <= set(parent.table.key_names) and parent.updates:
        wanted = {
            tuple(key): values_of(parent.table, values, edge.parent_columns)
            for key, values in rows_by_key(sides.set, parent.table, parent.updates)
        }
        for key, values in rows_by_key(sides.target, parent.table, parent.updates):
            value = values_of(parent.table, values, edge.parent_columns)
            if value != wanted.get(tuple(key)):
                found[value] = None
    return [value for value in found if value is not None]


def _key(table: Table) -> t.List[str]:
    return [name.lower() for name in table.key_names]


def _drift(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SCHEMA_DRIFT,
        what,
        next_step="Restore the set into a new database with d1_restore, and copy the rows by hand.",
    )
