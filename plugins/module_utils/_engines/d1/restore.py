# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores all of a set, or of a dump, into a database of D1 that is new, or in place of what is in the database."""

from __future__ import annotations

import contextlib
import typing as t

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._repository.change import ChangePlan
from ..._repository.identity import Identity, elsewhere
from ..sqlite.engine import Bound, Engine
from ..sqlite.file import FileEngine
from ..sqlite.opened import refused_by_d1
from ..sqlite.portable import dropped, is_empty, portable_statements
from ..sqlite.restore import DatabaseRestore, DatabaseRestoreRequest, Origin
from ..sqlite.schema import read_schema
from ..sqlite.script import CHECKS
from .api import D1Api, D1Facts
from .apply import apply_all
from .engine import D1Engine


class _D1Restore(DatabaseRestore):
    def __init__(self, api: D1Api, origin: Origin, request: DatabaseRestoreRequest) -> None:
        super().__init__(origin, request)
        self._api = api
        self._found: t.Optional[D1Facts] = None

    def require_loadable(self) -> None:
        """Raise RecoveryError(unsupported) for rows that D1 would refuse at the end of an import."""
        reasons = refused_by_d1(self.opened)
        if reasons:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"D1 cannot hold rows of {self.origin.name}: {' '.join(reasons[:10])}",
                next_step="Restore into a file, correct these rows, back the file up, and restore that set to D1.",
            )

    def fill(self, target: D1Facts, first: t.Sequence[str], *, exclusive: bool) -> None:
        """Have D1 run all that makes the database; exclusive: no other client writes to it."""
        file = FileEngine(self.opened.path, read_only=True)
        engine = D1Engine(self._api, target.uuid, target.name, exclusive=exclusive)
        try:
            with self.timings.phase("import"):
                apply_all(self._api, target, engine, portable_statements(file, self.opened, first), self.folder)
        finally:
            file.close()
            if self.opened.unchecked:
                # A failed import leaves the setting of the connection behind.
                with contextlib.suppress(RecoveryError):
                    engine.run([Bound(CHECKS.format("OFF"))])

    def engine_of(self, found: D1Facts) -> D1Engine:
        return D1Engine(self._api, found.uuid, found.name)


class D1Restore(_D1Restore):
    """Restores into a database that does not exist yet, or is empty.

    A database that was created is deleted again if the restore fails.
    """

    def __init__(
        self,
        api: D1Api,
        origin: Origin,
        request: DatabaseRestoreRequest,
        *,
        location: t.Optional[str] = None,
        jurisdiction: t.Optional[str] = None,
    ) -> None:
        super().__init__(api, origin, request)
        self._location, self._jurisdiction = location, jurisdiction

    def plan_target(self) -> ChangePlan:
        self.require_loadable()
        self._found = self._api.find(self.target)
        if self._found is not None and not is_empty(self.engine_of(self._found)):
            raise RecoveryError(
                ErrorKind.TARGET_EXISTS,
                f"The D1 database {self._found.name} is not empty.",
                next_step="Set `database` to a new name, or delete the database with lifeline.recovery.d1_database.",
            )
        self.created = self._found is None
        self.uuid = self._found.uuid if self._found else None
        return ChangePlan({}, self.target, destroys=False, does="creates")

    def act(self) -> None:
        if self._found is None:
            self._found = self._api.create(self.target, location=self._location, jurisdiction=self._jurisdiction)
            self.uuid = self._found.uuid
        self.fill(self._found, (), exclusive=True)

    @contextlib.contextmanager
    def restored(self) -> t.Iterator[Engine]:
        if self._found is not None:
            yield self.engine_of(self._found)

    def settle(self) -> t.Mapping[str, t.Any]:
        self.bookmark = self._api.bookmark(self.uuid or "")
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._found is None:
            return error
        if not self.created:
            return error.restated(left=f"The database {self._found.name}, which was empty, may hold a part of the set.")
        created = f"The database {self._found.name}, which the restore created,"
        try:
            self._api.delete(self._found.uuid)
        except RecoveryError:
            return error.restated(left=f"{created} may hold a part of the set.")
        return error.restated(left=f"{created} was deleted again.")


class D1Replacement(_D1Restore):
    """Replaces all that is in a database by one import, after its bookmark was noted."""

    replaces = True

    def plan_target(self) -> ChangePlan:
        self.require_loadable()
        self._target = found = self._api.require(self.target)
        self.uuid = found.uuid
        self.bookmark = self.previous_bookmark = before = self._api.bookmark(found.uuid)
        facts = {"origin": self.origin.name, "rows": self.opened.rows, "database": found.uuid, "bookmark": before}
        other = elsewhere(self.origin.identity, Identity(found.uuid, found.name))
        return ChangePlan(facts, found.name, destroys=True, elsewhere=other)

    def keep_undo(self) -> t.Mapping[str, str]:
        return {"bookmark": self.previous_bookmark or ""}

    def act(self) -> None:
        first = dropped(read_schema(self.engine_of(self._target)))
        self.fill(self._target, first, exclusive=False)

    def restored(self) -> t.ContextManager[Engine]:
        return contextlib.nullcontext(self.engine_of(self._target))

    def settle(self) -> t.Mapping[str, t.Any]:
        self.bookmark = self._api.bookmark(self._target.uuid)
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        """Go back to the bookmark. After a lost answer an import may still run, which this ends."""
        found, before = self._target, self.previous_bookmark or ""
        try:
            if error.applied != Applied.UNKNOWN and self._api.bookmark(found.uuid) == before:
                return error.restated(left=f"{found.name} is unchanged.")
            self._api.restore(found.uuid, before)
        except RecoveryError as failure:
            left = f"{found.name} could not be sent back to its bookmark ({failure.what}); "
            return error.restated(left=f"{left}run d1_time_travel with the bookmark {before}.")
        return error.restated(left=f"{found.name} was sent back to its bookmark {before}, and is unchanged.")
