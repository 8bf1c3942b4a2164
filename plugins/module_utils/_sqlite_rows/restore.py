# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings rows of a set back into a live database: chosen, compared, undone first, written as a whole, proved."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field

from .._core.clock import Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._sets.audit import audited
from .._sets.catalogue import older_set
from .._sets.identity import elsewhere, identity_in
from .._sets.manifest import SQLITE_ROWS_ENGINE, Manifest
from .._sets.row_changes import Changes, left_rows, why_unchanged
from .._sqlite.engine import Engine
from .._sqlite.file import FileEngine
from .._sqlite.opened import open_set
from .._sqlite.schema import Schema, read_schema
from .._sqlite.values import as_json
from .._sqlite.virtual import refilled
from .._store.base import ObjectStore, seal_for
from .belonging import Tenant, digests, rows_by_key
from .choice import Choice, TenantChoice, UndoChoice, WholeChoice, read_touched
from .difference import Change, Sides, compare, give_numbers, missing_parents, require_unreferenced
from .references import Reference, read_references
from .statements import live_triggers, statements_of
from .undo import require_newest, write_undo_set

#: How many rows of a kind a diff shows for a table, and how much of a value.
_SHOWN, _WIDTH = 20, 120

#: How often the rows are compared again because another client wrote to them.
_ATTEMPTS = 5


class Target(t.Protocol):
    """A live database. name is what a confirmation has to say, longest how long a statement may be, in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def longest(self) -> int: ...

    def apply(self, statements: t.Iterable[str], folder: str, state: str) -> None:
        """Run statements as a whole or not at all; folder is for what has to be written down.

        Raises RecoveryError(inconsistent) when the state is another by then, where that can be told.
        """


@dataclass(frozen=True)
class RowsRequest:
    """Without a tenant all tables are made like the set, or an undo set is applied; mode is then exact.

    name is that of the live database, for a confirmation.
    """

    name: str
    tenant: t.Optional[Tenant] = None
    mode: str = "merge"
    triggers: str = "disable"
    max_rows: t.Optional[int] = None
    max_deletes: t.Optional[int] = 1000
    reason: t.Optional[str] = None
    environment: str = "production"
    confirm: t.Optional[str] = None
    spool_dir: t.Optional[str] = None
    parallel: int = 3
    check_mode: bool = False
    diff_mode: bool = False


@dataclass(frozen=True)
class RowsResult:
    """What came back; changes tell of each table its rows. undo: the options that take it back."""

    changed: bool
    set_id: str
    source: str
    recovery_point: str
    database: str
    changes: t.Sequence[t.Mapping[str, t.Any]]
    tables: int
    rows: int
    undo: t.Mapping[str, str]
    plan_digest: str
    bookmark: t.Optional[str]
    previous_bookmark: t.Optional[str]
    timings: t.Mapping[str, float]
    summary: str
    not_covered: t.Sequence[str] = ()
    diff: t.Mapping[str, str] = field(default_factory=dict)


def restore_rows(store: ObjectStore, manifest: Manifest, target: Target, request: RowsRequest) -> RowsResult:
    """Bring the rows back, after an undo set of what will be touched was stored.

    Raises RecoveryError: invalid_options, schema_drift, limit_exceeded, conflict, confirmation_required, inconsistent
    when the rows changed during the restore, not_equal, and those of the store; the message tells what was left.
    """
    told = {"set_id": manifest.set_id, "reason": request.reason}
    with audited(store, manifest.source, "restore_rows", told, check_mode=request.check_mode) as outcome:
        with scratch_folder("lifeline-rows-", request.spool_dir) as folder:
            result = _Run(store, manifest, target, request, folder).complete()
        outcome.update(undo=result.undo, changes=result.changes)
    return result


class _Run:
    def __init__(
        self,
        store: ObjectStore,
        manifest: Manifest,
        target: Target,
        request: RowsRequest,
        folder: str,
    ) -> None:
        self._store, self._manifest, self._target, self._live = store, manifest, target, target.engine
        self._request, self._folder = request, folder
        self._timings = Timings()
        self._undo: t.Dict[str, str] = {}
        self._references: t.List[Reference] = []

    def complete(self) -> RowsResult:
        request, timings = self._request, self._timings
        with timings.phase("fetch and prove"):
            work = os.path.join(self._folder, "set")
            os.mkdir(work)
            opened = open_set(self._store, self._manifest, work, parallel=request.parallel)
        theirs = FileEngine(opened.path, read_only=True)
        try:
            with timings.phase("compare"):
                before, state = self._live.bookmark(), self._live.state()
                choice = self._choice(opened.schema, work)
                sides = Sides(theirs, opened.schema, self._live, read_schema(self._live), choice.numbered)
                self._references = _references(sides, opened.schema, choice)
                changes = self._changes(sides, choice)
                plan = self._plan(changes)
                diff = _difference(sides, changes) if request.diff_mode else {}
            touched = [change for change in changes if change.total]
            if touched:
                self._require_limits(touched)
            if touched and not request.check_mode:
                self._carry_out(sides, choice, touched, plan, state)
            after = self._bookmark()
        finally:
            theirs.close()
        # What full text holds by itself is in no table that is compared.
        missing = [table.name for table in opened.schema.of_kind("virtual") if refilled(table) in (None, "rows")]
        return self._result(changes, plan, before, after, missing, diff)

    def _bookmark(self) -> t.Optional[str]:
        """That of afterwards, which all that was done does not depend on."""
        try:
            return self._live.bookmark()
        except RecoveryError:
            return None

    def _elsewhere(self) -> t.Optional[str]:
        live = self._live.identity
        return elsewhere(identity_in(self._manifest), live) if live else None

    def _choice(self, schema: Schema, folder: str) -> Choice:
        if self._manifest.engine == SQLITE_ROWS_ENGINE:
            if self._request.tenant is not None:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"Set {self._manifest.set_id} holds what an earlier restore touched, not tenants.",
                    next_step="Leave tenant out to take that restore back.",
                )
            taken = self._manifest.server.get("location")
            if taken != self._live.location or self._elsewhere():
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"Set {self._manifest.set_id} takes a restore into {taken} back, not {self._live.location}.",
                    next_step="Give the database that was restored into.",
                )
            touched = read_touched(folder)
            require_newest(self._store, self._manifest, touched, folder)
            return UndoChoice(touched)
        if self._request.tenant is not None:
            return TenantChoice(self._request.tenant, schema)
        return WholeChoice(schema)

    def _changes(self, sides: Sides, choice: Choice) -> t.List[Change]:
        references = [item for item in self._references if sides.knows(item)]
        wanted = choice.wanted(sides, references)
        sides.require(name for name, rows in wanted.items() if rows)
        belonging = choice.live(sides, references)
        names = [name for name in sides.tables if name in wanted or belonging.get(name)]
        changes = []
        for name in names:
            telling = choice.telling(name, references)
            rows, there = wanted.get(name, {}), belonging.get(name, {})
            changes.append(compare(sides, sides.tables[name], rows, self._request.mode, there, telling))
        if choice.follows:
            by_name = {change.table.name: change for change in changes}
            for name, rows in missing_parents(sides, changes, references).items():
                change = by_name.get(name) or Change(sides.tables[name], {})
                change.wanted.update(rows)
                change.inserts += list(rows)
                if name not in by_name:
                    changes.append(change)
        for change in changes:
            give_numbers(sides, change)
        require_unreferenced(sides, changes, self._references)
        return changes

    def _carry_out(
        self,
        sides: Sides,
        choice: Choice,
        touched: t.Sequence[Change],
        plan: t.Mapping[str, t.Any],
        state: str,
    ) -> None:
        request = self._request
        updates = sum(len(change.updates) for change in touched)
        deletes = sum(len(change.deletes) for change in touched)
        if updates or deletes:
            does = f"updates {updates} and deletes {deletes} rows of"
            require_confirmation(
                request.environment, request.confirm, request.name, plan_digest(plan), does, elsewhere=self._elsewhere()
            )
        with self._timings.phase("undo set"):
            seal_for(self._store, self._manifest.recipients)
            folder = os.path.join(self._folder, "undo")
            os.mkdir(folder)
            kept = write_undo_set(self._store, self._manifest, sides, touched, folder, parallel=request.parallel)
            self._undo = {"set": kept.set_id, "tier": kept.tier}
        with self._timings.phase("write"):
            self._write(sides, choice, touched, state)
        with self._timings.phase("prove"):
            try:
                left = _left(sides, self._changes(sides, choice), touched)
            except RecoveryError as error:
                error.left = (
                    f"The rows were written, but not compared; the undo set {self._undo['set']} takes them back."
                )
                error.next_step = "Run it again: it compares them."
                raise
        if left:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"After the restore rows of {', '.join(left)} are not as in the set.",
                left=f"The rows were written; the undo set {self._undo['set']} takes them back.",
                next_step="A trigger changed them, or somebody else: look at it with --check --diff.",
            )

    def _write(self, sides: Sides, choice: Choice, touched: t.Sequence[Change], state: str) -> None:
        """Write when the rows are still as they were compared, and as the undo set has them."""
        triggers = live_triggers(sides, touched)
        for _attempt in range(_ATTEMPTS):
            now = self._live.state()
            if now != state and not _same(touched, self._changes(sides, choice)):
                break
            state = now
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
                    self._judge(error, sides, choice, touched)
                    return
        raise RecoveryError(
            ErrorKind.INCONSISTENT, "The rows were changed while they were compared.", next_step="Run it again."
        )

    def _judge(self, error: RecoveryError, sides: Sides, choice: Choice, touched: t.Sequence[Change]) -> None:
        """Say what a failure left, or return when all was written and only the answer was lost or wrong."""
        try:
            now = self._changes(sides, choice)
            left = _left(sides, now, touched)
        except RecoveryError:
            error.left = (
                f"Whether the rows were written is not known; the undo set {self._undo['set']} has them as they were."
            )
            error.next_step = "Run it again: it does what is left to do, if anything is."
            raise error from None
        if not left:
            return
        error.left = (
            f"Rows were changed, by this or by others; the undo set {self._undo['set']} has them as they were."
            if not _same(touched, now)
            else "Nothing was changed yet; the service may still be at it."
            if error.details.get("applied") == "unknown"
            else "Nothing was changed."
        )
        error.next_step = "Run it again: it does what is left to do, if anything is."
        if "UNIQUE constraint" in error.what:
            error.kind = ErrorKind.CONFLICT
            error.next_step = "Live rows hold values that are to come back: change them, and run it again."
        raise error

    def _plan(self, changes: t.Sequence[Change]) -> t.Dict[str, t.Any]:
        return {
            "set_id": self._manifest.set_id,
            "mode": self._request.mode,
            "database": self._live.location,
            "tables": {
                change.table.name: [len(change.inserts), len(change.updates), len(change.deletes)] for change in changes
            },
        }

    def _require_limits(self, touched: t.Sequence[Change]) -> None:
        request = self._request
        for option, limit, number in (
            ("max_rows", request.max_rows, sum(len(change.inserts) + len(change.updates) for change in touched)),
            ("max_deletes", request.max_deletes, sum(len(change.deletes) for change in touched)),
        ):
            if limit is not None and number > limit:
                raise RecoveryError(
                    ErrorKind.LIMIT_EXCEEDED,
                    f"This would {'delete' if option == 'max_deletes' else 'insert or update'} {number} rows, "
                    f"{option} allows {limit}.",
                    next_step=f"Look at it with --check --diff; if it is meant, set {option} to {number}.",
                )

    def _result(
        self,
        changes: t.Sequence[Change],
        plan: t.Mapping[str, t.Any],
        before: t.Optional[str],
        after: t.Optional[str],
        missing: t.Sequence[str],
        diff: t.Mapping[str, str],
    ) -> RowsResult:
        told: t.List[t.Dict[str, t.Any]] = [
            {
                "table": change.table.name,
                "chosen": len(change.wanted),
                "inserts": len(change.inserts),
                "updates": len(change.updates),
                "deletes": len(change.deletes),
                "elsewhere": change.elsewhere,
            }
            for change in changes
        ]
        rows = [
            Changes(item["table"], item["chosen"], item["inserts"], item["updates"], item["deletes"], change.differing)
            for item, change in zip(told, changes)
        ]
        unchanged = why_unchanged(rows, self._manifest, older_set(self._store, self._manifest))
        sums = {word: sum(item[word] for item in told) for word in ("inserts", "updates", "deletes")}
        words = f"{sums['inserts']} inserted, {sums['updates']} updated, {sums['deletes']} deleted"
        would = "Would restore" if self._request.check_mode else "Restored"
        proved = "" if self._request.check_mode else ", proved equal"
        done = f"{would} rows of {len(told)} tables of set {self._manifest.set_id} to {self._request.name}"
        sentences = [f"{done}: {words}{proved}.", left_rows(rows)]
        if unchanged is not None:
            none = "Would change" if self._request.check_mode else "Changed"
            sentences = [f"{none} no row of {self._request.name}.", unchanged.reason, unchanged.next_step]
        return RowsResult(
            changed=unchanged is None,
            set_id=self._manifest.set_id,
            source=self._manifest.source,
            recovery_point=self._manifest.recovery_point,
            database=self._request.name,
            changes=told,
            tables=len(told),
            rows=sum(sums.values()),
            undo=self._undo,
            plan_digest=plan_digest(plan),
            bookmark=after,
            previous_bookmark=before if self._undo else None,
            timings=self._timings.as_dict(),
            summary=" ".join(filter(None, sentences)),
            not_covered=missing,
            diff=diff,
        )


def _references(sides: Sides, schema: Schema, choice: Choice) -> t.List[Reference]:
    """What refers to tables of the set: in it, as it was told, and in the live database."""
    found = [
        *read_references(sides.set, schema),
        *choice.told(sides.set),
        *read_references(sides.live, sides.live_schema),
    ]
    return [item for item in dict.fromkeys(found) if item.parent in sides.tables]


def _left(sides: Sides, now: t.Iterable[Change], touched: t.Iterable[Change]) -> t.List[str]:
    """The tables that are not yet as they should be. Rows without a key are looked for where they were written."""
    found = [change.table.name for change in now if change.total and not change.numbers]
    for change in touched:
        wanted = {(number,): change.wanted[key] for key, number in change.numbers.items()}
        if wanted and wanted != digests(rows_by_key(sides.live, change.table, list(wanted))):
            found.append(change.table.name)
    return list(dict.fromkeys(found))


def _same(one: t.Sequence[Change], other: t.Sequence[Change]) -> bool:
    def told(changes: t.Sequence[Change]) -> t.List[t.Any]:
        return [
            (change.table.name, change.inserts, change.updates, change.deletes, change.numbers, change.before)
            for change in changes
            if change.total
        ]

    return told(one) == told(other)


def _difference(sides: Sides, changes: t.Sequence[Change]) -> t.Dict[str, str]:
    """The first rows of each kind and table as they are and as they will be, for people."""
    before: t.List[str] = []
    after: t.List[str] = []
    for change in changes:
        table = change.table
        live = rows_by_key(sides.live, table, [*change.updates[:_SHOWN], *change.deletes[:_SHOWN]])
        back = rows_by_key(sides.set, table, [*change.updates[:_SHOWN], *change.inserts[:_SHOWN]])
        for lines, rows in ((before, live), (after, back)):
            for _key, values in rows:
                shown = {name: _shown(value) for name, value in zip(table.stored, values)}
                lines.append(f"{table.name}: {json.dumps(shown, ensure_ascii=False)}\n")
        for kind, keys in (("insert", change.inserts), ("update", change.updates), ("delete", change.deletes)):
            if len(keys) > _SHOWN:
                after.append(f"{table.name}: {_SHOWN} of {len(keys):,} rows to {kind} are shown\n")
    return {"before": "".join(before), "after": "".join(after)}


def _shown(value: t.Any) -> t.Any:
    plain = f"{len(value)} bytes" if isinstance(value, bytes) else as_json(value)
    return plain[:_WIDTH] + "\N{HORIZONTAL ELLIPSIS}" if isinstance(plain, str) and len(plain) > _WIDTH else plain
