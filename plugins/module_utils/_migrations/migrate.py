# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applies the pending migrations of a folder: judged, confirmed, each in a transaction, compared with the ledger."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.notices import note
from .._core.sizes import counted
from .._engines.postgresql.server.connection import Connection
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .files import Folder, MigrationFile
from .ledger import Ledger, read_ledger, record, recorded_statements
from .order import listed, pending
from .request import FAIL, MigrationsRequest, read_own_ledger, reading
from .run import settled
from .script import Script, same_statements


@dataclass(frozen=True)
class Planned:
    """A migration that runs. transaction: whether all of it runs in one."""

    file: MigrationFile
    script: Script
    transaction: bool

    @property
    def version(self) -> str:
        return self.file.version

    def described(self) -> t.Dict[str, t.Any]:
        return self.script.described(self.version, self.file.name, self.transaction)


@dataclass(frozen=True)
class MigrateResult(Outcome):
    """pending: the migrations of the plan, with their statements. applied: the versions that were applied.

    edited: recorded migrations whose file is not what the ledger has. skipped: files that are no migrations.
    """

    pending: t.Sequence[t.Mapping[str, t.Any]]
    applied: t.Sequence[str]
    edited: t.Sequence[str]
    skipped: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


class Migrate(Change[MigrateResult]):
    """Applies migrations in order; the first one that fails is the last one that was tried.

    Raises RecoveryError: migration_refused, conflict, unsupported, confirmation_required, migration_failed, locked. An
    error after some migrations were applied names these.
    """

    operation = "migrate"

    def __init__(self, request: MigrationsRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._planned: t.List[Planned] = []
        self._applied: t.List[str] = []
        self._edited: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        with self.timings.phase("plan"):
            self._folder = folder = request.folder()
            with reading(request) as conn:
                self._ledger = ledger = read_own_ledger(conn, request)
                files = pending(folder, ledger.rows, include_older=request.include_older)
                self._find_edited(conn, folder, ledger)
            for file in files:
                script = file.read()
                self._planned.append(Planned(file, script, request.require_one_transaction(file.version, script)))
        self.details["migrations"] = [one.version for one in self._planned]
        database = request.connection.database
        return ChangePlan(
            {
                "database": database,
                "server": request.connection.place,
                "ledger": [str(ledger.name), *sorted(ledger.rows)],
                "migrations": [[one.version, one.script.sha256, one.transaction] for one in self._planned],
            },
            target=database,
            destroys=any(one.script.destructive for one in self._planned),
            does=self._does(),
            changes=bool(self._planned),
        )

    def _does(self) -> str:
        """The verb phrase of the confirmation, with a statement that makes it necessary."""
        found = [(one.script.file, step) for one in self._planned for step in one.script.destructive]
        if not found:
            return "applies migrations to"
        file, step = found[0]
        more = f" and {counted(len(found) - 1, 'other statement')} that delete or overwrite data" if found[1:] else ""
        return f"runs {step.place} of {file}{more} on"

    def _find_edited(self, conn: Connection, folder: Folder, ledger: Ledger) -> None:
        """Compare the files of recorded migrations with the statements that the ledger has of them."""
        differing: t.Dict[str, Script] = {}
        for file in folder.migrations:
            row = ledger.rows.get(file.version)
            if row is None or row.digest is None:
                continue
            try:
                script = file.read()
            except RecoveryError as error:
                # A recorded file never runs again.
                self._edited.append(f"{file.file} ({error.what})")
                continue
            if script.digest != row.digest:
                differing[file.version] = script
        if differing:
            for version, statements in recorded_statements(conn, ledger.name, list(differing)).items():
                if not same_statements(differing[version], statements):
                    self._edited.append(differing[version].file)
        if not self._edited:
            return
        what = f"Edited after they were applied: {listed(sorted(self._edited))}."
        if self._request.on_edited == FAIL:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                what,
                next_step="Write the change as a new migration and restore the file, or set `on_edited` to warn.",
                details={"edited": sorted(self._edited)},
            )
        note(f"{what} The changes do not run; write them as a new migration.")

    def act(self) -> None:
        runner = self._request.runner(self._ledger)
        known = set(self._ledger.rows)
        with self.timings.phase("apply"), runner.alone() as notes:
            for text in notes:
                note(text)
            for one in self._planned:
                try:
                    runner.run(one.script, known, self._recorder(one), transaction=one.transaction)
                except RecoveryError as error:
                    if not self._is_recorded(one, error):
                        raise self._failed(one, error) from None
                known.add(one.version)
                self._applied.append(one.version)
                self.details["applied"] = list(self._applied)

    def _recorder(self, one: Planned) -> t.Callable[[Connection], None]:
        return lambda conn: record(conn, self._ledger.name, one.version, one.file.name, one.script.statements)

    def _is_recorded(self, one: Planned, error: RecoveryError) -> bool:
        """Whether a migration whose connection was lost had been committed."""
        if error.kind != ErrorKind.UNREACHABLE:
            return False
        try:
            versions = settled(self._request.connection, self._ledger.name, self._request.lock_timeout)
        except RecoveryError:
            versions = None
        if versions is None:
            raise self._failed(
                one,
                error.restated(
                    left=f"Whether {one.script.file} was applied is unknown; the ledger shows it.",
                    next_step="Read the plan in check mode when the server answers again.",
                    applied=Applied.UNKNOWN,
                ),
            ) from None
        return one.version in versions

    def _failed(self, one: Planned, error: RecoveryError) -> RecoveryError:
        before = f" Applied before, and in effect: {listed(self._applied)}." if self._applied else ""
        waiting = [other.version for other in self._planned[len(self._applied) + 1 :]]
        after = f" Not run: {listed(waiting)}." if waiting else ""
        return error.restated(
            left=f"{error.left}{before}{after}",
            details={"applied_migrations": list(self._applied), "failed": one.version},
        )

    def verify(self) -> None:
        """Read the ledger again and compare it with the files."""
        with self.timings.phase("verify"), reading(self._request) as conn:
            rows = read_ledger(conn, self._ledger.name).rows
        for one in self._planned:
            row = rows.get(one.version)
            if row is None or row.digest != one.script.digest:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"{one.script.file} was applied, and the ledger does not have its statements.",
                    left=f"Applied: {listed(self._applied)}.",
                    next_step="Find the session that changed the ledger.",
                )

    def why_unchanged(self) -> Unchanged:
        count = len(self._folder.migrations)
        reason = f"The database has all {counted(count, 'migration')} of {self._folder.path}."
        if not count:
            reason = f"{self._folder.path} has no migration."
        return Unchanged(reason, "Nothing is left to do." if count else "Check `migrations_path`.")

    def result(self, outcome: Outcome) -> MigrateResult:
        names = listed([one.script.file for one in self._planned])
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Applied" if self.safeguards.acts else "Would apply"
            summary = f"{does} {counted(len(self._planned), 'migration')}: {names}."
        return MigrateResult(
            **vars(outcome),
            pending=[one.described() for one in self._planned],
            applied=list(self._applied),
            edited=sorted(self._edited),
            skipped=self._folder.skipped,
            summary=summary,
            timings=self.timings.as_dict(),
        )
