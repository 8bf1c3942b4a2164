# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes the ledger without running a statement, as "supabase migration repair" does for named versions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.sizes import counted
from .._engines.postgresql.server.connection import Connection
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .files import MigrationFile
from .ledger import forget, read_ledger, record
from .order import listed
from .request import MigrationsRequest, read_own_ledger, reading, require_file
from .script import Script

RECORDED, REVERTED = "recorded", "reverted"
_PHRASES = {RECORDED: ("Recorded", "Would record", "in"), REVERTED: ("Deleted", "Would delete", "from")}


@dataclass(frozen=True)
class HistoryResult(Outcome):
    """migrations: the versions whose rows are written or deleted."""

    migrations: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


class HistoryChange(Change[HistoryResult]):
    """Writes the rows of versions from their files, or deletes the rows of versions.

    Raises RecoveryError: invalid_options, migration_refused, conflict, unsupported, locked.
    """

    operation = "migrate"

    def __init__(self, request: MigrationsRequest, state: str, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._state = request, state
        self._written: t.List[t.Tuple[MigrationFile, Script]] = []
        self._versions: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        versions = request.versions(self._state)
        with self.timings.phase("plan"):
            if self._state == RECORDED:
                folder = request.folder()
                files = [require_file(folder, version) for version in versions]
                self._written = [(file, file.read()) for file in files]
            with reading(request) as conn:
                self._ledger = ledger = read_own_ledger(conn, request)
        if self._state == RECORDED:
            self._written = [pair for pair in self._written if not self._has(*pair)]
            self._versions = [file.version for file, _script in self._written]
        else:
            self._versions = [version for version in versions if version in ledger.rows]
        self.details.update(state=self._state, migrations=self._versions)
        database = request.connection.database
        return ChangePlan(
            {
                "database": database,
                "server": request.connection.place,
                "ledger": [str(ledger.name), *sorted(ledger.rows)],
                self._state: self._versions,
            },
            target=database,
            destroys=False,
            does="changes the ledger of",
            changes=bool(self._versions),
        )

    def _has(self, file: MigrationFile, script: Script) -> bool:
        row = self._ledger.rows.get(file.version)
        return row is not None and (row.name, row.digest) == (file.name, script.digest)

    def act(self) -> None:
        runner = self._request.runner(self._ledger)
        script = Script.without_statements(str(self._ledger.name))
        with self.timings.phase("apply"), runner.alone() as notes:
            for text in notes:
                note(text)
            runner.run(script, self._ledger.rows, self._change, transaction=True)

    def _change(self, conn: Connection) -> None:
        if self._state == REVERTED:
            forget(conn, self._ledger.name, self._versions)
        for file, script in self._written:
            record(conn, self._ledger.name, file.version, file.name, script.statements)

    def verify(self) -> None:
        with self.timings.phase("verify"), reading(self._request) as conn:
            rows = read_ledger(conn, self._ledger.name).rows
        wrong = [version for version in self._versions if (version in rows) != (self._state == RECORDED)]
        if wrong:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The ledger was changed by another session: {listed(wrong)} {'are' if wrong[1:] else 'is'} not "
                f"{self._state}.",
                left="",
                next_step="Find the session that changes the ledger.",
            )

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        if self._state == REVERTED:
            return {"state": RECORDED, "migrations": self._versions}
        added = [version for version in self._versions if version not in self._ledger.rows]
        return {"state": REVERTED, "migrations": added} if added else {}

    def why_unchanged(self) -> Unchanged:
        has = "has" if self._state == RECORDED else "does not have"
        return Unchanged(f"The ledger {has} {listed(self._request.migrations)}.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> HistoryResult:
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            done, planned, where = _PHRASES[self._state]
            does = done if self.safeguards.acts else planned
            count = counted(len(self._versions), "migration")
            summary = f"{does} {count} {where} the ledger, without running a statement: {listed(self._versions)}."
        return HistoryResult(
            **vars(outcome), migrations=self._versions, summary=summary, timings=self.timings.as_dict()
        )
