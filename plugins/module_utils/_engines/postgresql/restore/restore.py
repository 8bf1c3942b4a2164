# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restore of a set, or of a dump of another tool, that a request asks for; and the undo of a swap."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._store.base import ObjectStore
from . import databases
from .database_restore import DatabaseRestore
from .databases import derived_name
from .restore_in_place import InPlaceRestore
from .restore_request import RestoreRequest
from .side_by_side import SideBySideRestore
from .swap import exchange


def restore_of(request: RestoreRequest, store: t.Optional[ObjectStore]) -> DatabaseRestore:
    """The change that the request asks for."""
    if request.mode == "undo":
        return UndoRestore(request, store)
    if request.mode == "in_place":
        return InPlaceRestore(request, store)
    return SideBySideRestore(request, store)


class UndoRestore(DatabaseRestore):
    """Gives the database that a swap kept the name of the target back."""

    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request, store)
        self.verb = f"puts the database {request.undo_db!r} in the place of"

    def select_origin(self) -> None:
        """An undo restores no set."""

    def refuse(self) -> None:
        self.refuse_target()

    def refuse_target(self) -> None:
        request, admin = self.request, self.admin
        if not (request.undo_db and databases.exists(admin, request.undo_db)):
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database {request.undo_db!r} of `undo_db` does not exist.",
                next_step="Set `undo_db` to the name in the result of the restore.",
            )
        databases.require_right_to_create(admin)
        for name in (request.target_db, request.undo_db):
            databases.require_right_to_rename(admin, name)
            databases.refuse_prepared_transactions(admin, name)
            if request.terminate_sessions:
                databases.require_right_to_end_sessions(admin, name)

    def prepare(self) -> None:
        """There is nothing to fetch. Without the option, sessions would keep the names."""
        if not self.request.terminate_sessions:
            for name in (self.request.target_db, self.request.undo_db or ""):
                databases.refuse_sessions(self.admin, name)

    def act(self) -> None:
        """The exchange of the names is one transaction, which settle runs."""

    def settle(self) -> t.Mapping[str, t.Any]:
        request = self.request
        kept = derived_name(request.target_db, f"_undone_{self.stamp.lower()}")
        current = databases.find(self.admin, request.target_db)
        former = databases.find(self.admin, request.undo_db or "")
        if current is None or former is None:
            gone = request.target_db if current is None else request.undo_db
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database {gone!r} was dropped during the run.",
                next_step="List the databases, then run the restore again.",
            )
        with self.timings.phase("swap"):
            exchange(
                self.server, current, former, kept,
                end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
            )  # fmt: skip
        return {"mode": "undo", "undo_db": kept}
