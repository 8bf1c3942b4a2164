# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes migrations back: the statements of a file for each version, and its row of the ledger, in one transaction."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.sizes import counted
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .files import read_file
from .ledger import forget, read_ledger
from .order import listed, newest_first, require_newest
from .request import MigrationsRequest, read_own_ledger, reading
from .script import Script

ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class RollBackResult(Outcome):
    """migrations: the versions of the plan, newest first. rolled_back: those that were taken back."""

    migrations: t.Sequence[str]
    rolled_back: t.Sequence[str]
    pending: t.Sequence[t.Mapping[str, t.Any]]
    summary: str
    timings: t.Mapping[str, float]


class RollBack(Change[RollBackResult]):
    """Takes versions back, the newest first, each in one transaction.

    Raises RecoveryError: invalid_options, migration_refused, conflict, unsupported, confirmation_required,
    migration_failed, locked.
    """

    operation = "roll_back"

    def __init__(self, request: MigrationsRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._scripts: t.Dict[str, Script] = {}
        self._transactions: t.Dict[str, bool] = {}
        self._done: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        wanted = request.versions(ROLLED_BACK)
        with self.timings.phase("plan"):
            with reading(request) as conn:
                self._ledger = ledger = read_own_ledger(conn, request)
            versions = newest_first(version for version in wanted if version in ledger.rows)
            if versions and not request.include_older:
                require_newest(versions, ledger.rows)
            for version in versions:
                script = read_file(self._file_of(version, len(versions)))
                self._transactions[version] = request.require_one_transaction(version, script)
                self._scripts[version] = script
        self.details["migrations"] = versions
        database = request.connection.database
        named = ", ".join(script.file for script in self._scripts.values())
        return ChangePlan(
            {
                "database": database,
                "server": request.connection.place,
                "ledger": [str(ledger.name), *sorted(ledger.rows)],
                "rolled_back": [
                    [version, script.sha256, self._transactions[version]] for version, script in self._scripts.items()
                ],
            },
            target=database,
            destroys=True,
            does=f"runs {named} on",
            changes=bool(self._scripts),
        )

    def _file_of(self, version: str, count: int) -> str:
        request = self._request
        if request.down_file:
            if count > 1:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"`down_file` takes one version back, got {count} versions in `migrations`.",
                    next_step="Name one version.",
                )
            return request.down_file
        folder = request.folder()
        if version not in folder.down:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{folder.path} has no file {version}_NAME.down.sql.",
                next_step="Write the statements that take the migration back into a file and set `down_file` to it, or "
                "restore the emergency set that was taken before the migration.",
            )
        return folder.down[version]

    def act(self) -> None:
        runner = self._request.runner(self._ledger)
        known = set(self._ledger.rows)
        with self.timings.phase("apply"), runner.alone() as notes:
            for text in notes:
                note(text)
            for version, script in self._scripts.items():
                try:
                    recorder = functools.partial(forget, name=self._ledger.name, versions=[version])
                    runner.run(script, known, recorder, transaction=self._transactions[version])
                except RecoveryError as error:
                    before = f" Taken back before: {listed(self._done)}." if self._done else ""
                    left = f"{error.left}{before}"
                    if error.kind == ErrorKind.UNREACHABLE:
                        left = f"Whether {version} was taken back is unknown; the ledger shows it.{before}"
                    raise error.restated(left=left, details={"rolled_back": list(self._done)}) from None
                known.discard(version)
                self._done.append(version)

    def verify(self) -> None:
        with self.timings.phase("verify"), reading(self._request) as conn:
            rows = read_ledger(conn, self._ledger.name).rows
        wrong = [version for version in self._scripts if version in rows]
        if wrong:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"{listed(wrong)} was taken back, and the ledger has it again.",
                left="",
                next_step="Find the session that applies migrations.",
            )

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"The ledger does not have {listed(self._request.migrations)}.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> RollBackResult:
        versions = list(self._scripts)
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Took back" if self.safeguards.acts else "Would take back"
            summary = f"{does} {counted(len(versions), 'migration')}: {listed(versions)}."
        return RollBackResult(
            **vars(outcome),
            migrations=versions,
            rolled_back=list(self._done),
            pending=[
                script.described(version, "", self._transactions[version]) for version, script in self._scripts.items()
            ],
            summary=summary,
            timings=self.timings.as_dict(),
        )
