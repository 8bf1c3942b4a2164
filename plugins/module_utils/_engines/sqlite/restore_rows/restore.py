# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores rows of a set into a live database: select, compare, store the undo set, write, verify."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from dataclasses import dataclass, field, replace

from ...._core.errors import Applied, ErrorKind, RecoveryError
from ...._core.notices import note
from ...._core.options import BY_MODULE, FAMILY, INTERNAL, SUBOPTIONS, FilePath
from ...._core.process import scratch_folder
from ...._repository.catalogue import older_set
from ...._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from ...._repository.identity import elsewhere, identity_in
from ...._repository.manifest import SQLITE_ROWS_ENGINE, Manifest
from ...._repository.row_changes import Changes, left_rows, missing_rows, what_it_does, why_unchanged
from ...._store.base import ObjectStore, seal_for
from ..engine import Engine
from ..file import FileEngine
from ..opened import open_set
from ..schema import Schema, read_schema
from ..values import as_json
from ..virtual import refilled
from .difference import Sides, TableChange, compare, give_numbers, missing_parents, require_unreferenced
from .ownership import Tenant, digests, rows_by_key
from .references import Reference, read_references
from .selection import AllRows, RowSelection, SelectedRows, TableKeys, TenantRows, TouchedRows, read_touched
from .statements import enabled_triggers, statements_of
from .undo import require_newest, write_undo_set

#: How much of a value a diff shows.
_WIDTH = 120

#: How often the rows are compared again because another client wrote to them.
_ATTEMPTS = 5


class Target(t.Protocol):
    """A live database. name: confirms a change of the database. longest: the most bytes of a statement."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def longest(self) -> int: ...

    def apply(self, statements: t.Iterable[str], folder: str, state: str) -> None:
        """Run statements as a whole or not at all; folder is for what has to be written down.

        Raises RecoveryError(inconsistent) when the state is another by then, where the database shows its state.
        """


@dataclass(frozen=True)
class RowsRequest:
    """The rows to restore: of a tenant, or selected by table and key; neither for an undo set.

    name is that of the live database. diff_rows: how many rows of each kind and table a diff shows; 0 for all.
    """

    name: str = field(metadata=INTERNAL)
    tenant: t.Optional[Tenant] = field(default=None, metadata=SUBOPTIONS)
    selected: t.Sequence[TableKeys] = ()
    closure: t.Literal["none", "parents", "children", "both"] = "none"
    references: t.Sequence[t.Mapping[str, t.Any]] = field(default=(), metadata=BY_MODULE)
    mode: t.Literal["missing", "merge", "exact"] = "missing"
    triggers: t.Literal["disable", "fire"] = "disable"
    reason: t.Optional[str] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    spool_dir: t.Optional[FilePath] = None
    parallel: int = field(default=3, metadata=INTERNAL)
    diff_mode: bool = field(default=False, metadata=INTERNAL)
    diff_rows: int = 20


@dataclass(frozen=True)
class RowsResult(Outcome):
    """The restored rows. rows: how many were inserted, updated or deleted."""

    set_id: str
    tier: str
    source: str
    recovery_point: str
    database: str
    mode: str
    tables: t.Sequence[Changes]
    rows: int
    plan: t.Mapping[str, t.Any]
    missing_keys: t.Mapping[str, t.Any]
    bookmark: t.Optional[str]
    previous_bookmark: t.Optional[str]
    not_covered: t.Sequence[str]
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]
    summary: str


class RowsRestore(Change[RowsResult]):
    """Restores rows, after an undo set of the rows that will be touched was stored.

    Raises RecoveryError: invalid_options, schema_drift, limit_exceeded, conflict, confirmation_required, inconsistent
    when the rows changed during the restore, not_equal, and those of the store; the message states what was left.
    """

    operation = "restore_rows"

    def __init__(self, store: ObjectStore, manifest: Manifest, target: Target, request: RowsRequest) -> None:
        super().__init__(request.safeguards, store, manifest.source)
        self._store, self._manifest, self._target, self._engine = store, manifest, target, target.engine
        self._request = request
        # An undo set is restored with all its rows and deletions.
        self._mode = "exact" if manifest.engine == SQLITE_ROWS_ENGINE else request.mode
        self.details = {"set_id": manifest.set_id, "reason": request.reason}
        self._undo: t.Dict[str, str] = {}
        self._references: t.List[Reference] = []

    def plan(self) -> ChangePlan:
        request = self._request
        self._folder = self.resources.enter_context(scratch_folder("lifeline-rows-", request.spool_dir))
        with self.timings.phase("fetch and prove"):
            work = os.path.join(self._folder, "set")
            os.mkdir(work)
            opened = open_set(self._store, self._manifest, work, parallel=request.parallel)
        loaded = FileEngine(opened.path, read_only=True)
        self.resources.callback(loaded.close)
        # Full text without a table of its own is not compared.
        self._not_covered = [
            table.name for table in opened.schema.of_kind("virtual") if refilled(table) in (None, "rows")
        ]
        with self.timings.phase("compare"):
            self._bookmark, self._state = self._engine.bookmark(), self._engine.state()
            self._selection = self.select(opened.schema, work)
            self._sides = Sides(
                loaded, opened.schema, self._engine, read_schema(self._engine), self._selection.numbered
            )
            self._references = _references(self._sides, opened.schema, self._selection)
            self._changes = self._compared()
            self._diff = _difference(self._sides, self._changes, request.diff_rows) if request.diff_mode else {}
        self._touched = [change for change in self._changes if change.total]
        self._tables = [
            Changes(
                change.table.name,
                len(change.wanted),
                len(change.inserts),
                len(change.updates),
                len(change.deletes),
                change.differing,
                change.elsewhere,
            )
            for change in self._changes
        ]
        self.details["tables"] = self._facts()["tables"]
        destroys = any(table.updates or table.deletes for table in self._tables)
        return ChangePlan(
            self._facts(),
            request.name,
            destroys=destroys,
            does=what_it_does(self._tables) if destroys else "inserts rows into",
            changes=bool(self._touched),
            elsewhere=self._elsewhere(),
            writes=sum(table.inserts + table.updates for table in self._tables),
            deletes=sum(table.deletes for table in self._tables),
            undo_set=bool(self._touched),
        )

    def _facts(self) -> t.Dict[str, t.Any]:
        return {
            "set_id": self._manifest.set_id,
            "mode": self._mode,
            "database": self._engine.location,
            "tables": {
                table.table: {"insert": table.inserts, "update": table.updates, "delete": table.deletes}
                for table in self._tables
            },
        }

    def _elsewhere(self) -> t.Optional[str]:
        identity = self._engine.identity
        return elsewhere(identity_in(self._manifest), identity) if identity else None

    def select(self, schema: Schema, folder: str) -> RowSelection:
        request = self._request
        if self._manifest.engine == SQLITE_ROWS_ENGINE:
            return self._select_touched(folder)
        if request.tenant is not None and request.selected:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`tenant` was given together with `tables` or `keys`.",
                next_step="Restore the rows of a tenant, or tables and rows by key.",
            )
        if request.tenant is not None:
            return TenantRows(request.tenant, schema, request.references)
        if request.selected:
            return SelectedRows(request.selected, schema, request.references, request.closure)
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "One of `tenant`, `tables` and `keys` is required.",
            next_step="Set one of them, or restore the whole database with d1_restore.",
        )

    def _select_touched(self, folder: str) -> RowSelection:
        manifest, location = self._manifest, self._engine.location
        if self._request.tenant is not None or self._request.selected:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"Set {manifest.set_id} holds the rows that an earlier restore touched, which are restored together.",
                next_step="Leave `tenant`, `tables` and `keys` out to undo that restore.",
            )
        taken = manifest.server.get("location")
        if taken != location or self._elsewhere():
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"Set {manifest.set_id} undoes a restore into {taken}, and the target is {location}.",
                next_step="Set the target to the database that was restored into.",
            )
        touched = read_touched(folder)
        require_newest(self._store, manifest, touched, folder)
        return TouchedRows(touched)

    def _compared(self) -> t.List[TableChange]:
        sides, selection = self._sides, self._selection
        references = [item for item in self._references if sides.knows(item)]
        wanted = selection.wanted(sides, references)
        sides.require(name for name, rows in wanted.items() if rows)
        owned = selection.current(sides, references)
        names = [name for name in sides.tables if name in wanted or owned.get(name)]
        changes = []
        for name in names:
            owning = selection.owning(name, references)
            rows, there = wanted.get(name, {}), owned.get(name, {})
            changes.append(compare(sides, sides.tables[name], rows, self._mode, there, owning))
        if selection.with_parents:
            by_name = {change.table.name: change for change in changes}
            for name, rows in missing_parents(sides, changes, references).items():
                change = by_name.get(name) or TableChange(sides.tables[name], {})
                change.wanted.update(rows)
                change.inserts += list(rows)
                if name not in by_name:
                    changes.append(change)
        for change in changes:
            give_numbers(sides, change)
        require_unreferenced(sides, changes, self._references)
        return changes

    def keep_undo(self) -> t.Mapping[str, str]:
        with self.timings.phase("undo set"):
            seal_for(self._store, self._manifest.recipients)
            folder = os.path.join(self._folder, "undo")
            os.mkdir(folder)
            kept = write_undo_set(
                self._store, self._manifest, self._sides, self._touched, folder, parallel=self._request.parallel
            )
        self._undo = {"set": kept.set_id, "tier": kept.tier, "mode": "exact"}
        return self._undo

    def act(self) -> None:
        with self.timings.phase("write"):
            self._write()

    def verify(self) -> None:
        with self.timings.phase("prove"):
            try:
                left = _left(self._sides, self._compared(), self._touched)
            except RecoveryError as error:
                raise error.restated(
                    left=f"The rows were written, but not compared; the undo set {self._undo['set']} takes them back.",
                    next_step="Run the restore again: it compares them.",
                ) from None
        if left:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"After the restore rows of {', '.join(left)} are not as in the set.",
                left=f"The rows were written; the undo set {self._undo['set']} takes them back.",
                next_step="A trigger or another client changed the rows: read them with --check --diff.",
            )

    def _write(self) -> None:
        """Write if the rows are still as they were compared, and as the undo set has them."""
        sides, touched = self._sides, self._touched
        triggers = enabled_triggers(sides, touched)
        for _attempt in range(_ATTEMPTS):
            now = self._engine.state()
            if now != self._state and not _same(touched, self._compared()):
                break
            self._state = now
            statements = statements_of(
                sides,
                touched,
                self._references,
                triggers,
                silence=self._request.triggers == "disable",
                longest=self._target.longest,
            )
            try:
                self._target.apply(statements, self._folder, now)
                return
            except RecoveryError as error:
                if error.kind != ErrorKind.INCONSISTENT:
                    self._judge(error)
                    return
        raise RecoveryError(
            ErrorKind.INCONSISTENT, "The rows were changed while they were compared.", next_step="Run it again."
        )

    def _judge(self, error: RecoveryError) -> None:
        """Raise the error with what was left, or return if all rows were written and only the answer was lost."""
        again = "Run the restore again: it writes what is missing."
        try:
            now = self._compared()
            left = _left(self._sides, now, self._touched)
        except RecoveryError:
            raise error.restated(
                left=f"Whether the rows were written is unknown; the undo set {self._undo['set']} has the former rows.",
                next_step=again,
            ) from None
        if not left:
            return
        left_as = (
            f"Rows were changed, by this restore or by others; the undo set {self._undo['set']} has the former rows."
            if not _same(self._touched, now)
            else "Nothing was changed yet; the service may still be at work."
            if error.applied == Applied.UNKNOWN
            else "Nothing was changed."
        )
        if "UNIQUE constraint" in error.what:
            again = "Live rows hold values of the rows to restore: change them, and run the restore again."
            raise error.restated(kind=ErrorKind.CONFLICT, left=left_as, next_step=again) from None
        raise error.restated(left=left_as, next_step=again) from None

    def why_unchanged(self) -> Unchanged:
        return why_unchanged(self._tables, self._manifest, older_set(self._store, self._manifest))

    def _current_bookmark(self) -> t.Optional[str]:
        """The bookmark after the restore, which the restore does not depend on."""
        try:
            return self._engine.bookmark()
        except RecoveryError:
            return None

    def result(self, outcome: Outcome) -> RowsResult:
        request, manifest, tables = self._request, self._manifest, self._tables
        for item in self._selection.missing:
            note(f"The set {manifest.set_id} does not hold {item.sentence}.")
        return RowsResult(
            **vars(outcome),
            set_id=manifest.set_id,
            tier=manifest.tier,
            source=manifest.source,
            recovery_point=manifest.recovery_point,
            database=request.name,
            mode=self._mode,
            tables=tables,
            rows=sum(table.total for table in tables),
            plan=self._facts(),
            missing_keys=missing_rows(self._selection.missing),
            bookmark=self._current_bookmark(),
            previous_bookmark=self._bookmark if outcome.undo else None,
            not_covered=self._not_covered,
            diff=self._diff,
            timings=self.timings.as_dict(),
            summary=self._summary(outcome),
        )

    def _summary(self, outcome: Outcome) -> str:
        name, acts = self._request.name, self.safeguards.acts
        missing = [f"Not in the set: {item.sentence}." for item in self._selection.missing]
        if outcome.unchanged is not None:
            done = f"{'Changed' if acts else 'Would change'} no row of {name}."
            return " ".join([done, outcome.unchanged.reason, outcome.unchanged.next_step, *missing])
        sums = [sum(getattr(table, word) for table in self._tables) for word in ("inserts", "updates", "deletes")]
        counts = "{} inserted, {} updated, {} deleted".format(*sums)
        done = f"{'Restored' if acts else 'Would restore'} rows of {len(self._tables)} tables of set "
        done += f"{self._manifest.set_id} to {name}: {counts}{', proved equal' if acts else ''}."
        return " ".join(filter(None, [done, left_rows(self._tables), *missing]))


class AllRowsRestore(RowsRestore):
    """Makes the rows of all tables equal to those of the set, and writes only the rows that differ."""

    operation = "restore"

    def __init__(self, store: ObjectStore, manifest: Manifest, target: Target, request: RowsRequest) -> None:
        super().__init__(store, manifest, target, replace(request, mode="exact"))

    def select(self, schema: Schema, folder: str) -> RowSelection:
        return AllRows(schema)


def _references(sides: Sides, schema: Schema, selection: RowSelection) -> t.List[Reference]:
    """References to tables of the set: of the set, of the options, and of the live database."""
    found = [
        *read_references(sides.set, schema),
        *selection.undeclared(sides.set),
        *read_references(sides.target, sides.target_schema),
    ]
    return [item for item in dict.fromkeys(found) if item.parent in sides.tables]


def _left(sides: Sides, now: t.Iterable[TableChange], touched: t.Iterable[TableChange]) -> t.List[str]:
    """The tables that are not yet as they should be. Rows without a key are looked for where they were written."""
    found = [change.table.name for change in now if change.total and not change.numbers]
    for change in touched:
        wanted = {(number,): change.wanted[key] for key, number in change.numbers.items()}
        if wanted and wanted != digests(rows_by_key(sides.target, change.table, list(wanted))):
            found.append(change.table.name)
    return list(dict.fromkeys(found))


def _same(one: t.Sequence[TableChange], other: t.Sequence[TableChange]) -> bool:
    def plain(changes: t.Sequence[TableChange]) -> t.List[t.Any]:
        return [
            (change.table.name, change.inserts, change.updates, change.deletes, change.numbers, change.before)
            for change in changes
            if change.total
        ]

    return plain(one) == plain(other)


def _difference(sides: Sides, changes: t.Sequence[TableChange], diff_rows: int) -> t.Dict[str, str]:
    """The first rows of each kind and table, before and after the restore."""
    most = diff_rows or sys.maxsize
    before: t.List[str] = []
    after: t.List[str] = []
    for change in changes:
        table = change.table
        current = rows_by_key(sides.target, table, [*change.updates[:most], *change.deletes[:most]])
        back = rows_by_key(sides.set, table, [*change.updates[:most], *change.inserts[:most]])
        for lines, rows in ((before, current), (after, back)):
            for _key, values in rows:
                shown = {name: _shown(value) for name, value in zip(table.stored, values)}
                lines.append(f"{table.name}: {json.dumps(shown, ensure_ascii=False)}\n")
        for kind, keys in (("insert", change.inserts), ("update", change.updates), ("delete", change.deletes)):
            if len(keys) > most:
                after.append(f"{table.name}: {most} of {len(keys):,} rows to {kind} are shown\n")
    return {"before": "".join(before), "after": "".join(after)}


def _shown(value: t.Any) -> t.Any:
    plain = f"{len(value)} bytes" if isinstance(value, bytes) else as_json(value)
    return plain[:_WIDTH] + "\N{HORIZONTAL ELLIPSIS}" if isinstance(plain, str) and len(plain) > _WIDTH else plain
