# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores within the target database: undo set, replacement, comparison and commit in one transaction."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import asdict, replace

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._sets.engine import prepared, take_undo_set
from .._store.base import seal_for
from . import databases, materialized_views
from .backup import PostgresBackup, PostgresBackupRequest
from .beside import Loaded, search_path_of
from .client import ClientPrograms
from .collateral import refuse_unsaved_rows
from .connection import Connection, ConnectionOptions, connection
from .cron_jobs import Jobs, jobs_of
from .in_place import LockedDatabase, Undo, locked_database
from .load import archive_script
from .object_errors import ObjectFailure
from .ownership import Replacement, plan_replacement
from .profiles import PROFILES
from .proof import Content, Proof
from .properties import property_differences, read_properties, recorded_properties
from .restore_state import RestoreState
from .room import make_room
from .script import GuardedScript
from .toc import Toc


class InPlaceRestore:
    """A restore in mode in_place."""

    def __init__(self, state: RestoreState) -> None:
        self._state = state
        self._missing: t.List[str] = []

    def refuse(self, admin: Connection, folder: str) -> None:
        """Raise RecoveryError before anything is stored or locked; check mode tests this as well.

        folder holds the table of contents of a set.
        """
        toc = self._state.toc(folder)
        if self._state.store is None or not self._state.request.source:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "Mode in_place takes an undo set first, and there is no store for it.",
                next_step="Give store and source.",
            )
        if toc is None:
            raise unknown_content()
        self._state.store.require_writable(f"{self._state.request.source}/undo/")
        self._missing = self._state.missing_roles(admin, folder, None)
        if self._state.request.terminate_sessions:
            databases.require_right_to_end_sessions(admin, self._state.request.target_db)
        options = self._state.request.connection.with_database(self._state.request.target_db)
        with connection(options, application="lifeline.recovery restore") as conn:
            refuse_unsaved_rows(conn, make_room(conn, self._replacement(conn, toc)))
        # The undo set takes rights of its own, and the run asks for it late.
        with prepared(self._undo_backup(options), self._state.store):
            pass

    def _replacement(self, conn: Connection, toc: Toc) -> Replacement:
        if self._state.foreign is not None:
            # Its script runs as it is, and the first statement that is refused ends it.
            return Replacement(toc)
        return plan_replacement(conn, toc, PROFILES[self._state.profile].ledgers, owner=self._state.request.owner)

    def complete(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Replace the content within the database, in one transaction, after an undo set was taken."""
        request, toc = self._state.request, guaranteed(self._state.toc(folder))
        options = request.connection.with_database(request.target_db)
        if not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        properties = read_properties(admin, request.target_db)
        self._state.loading = replace(self._state.loading, search_path=search_path_of(properties))
        with self._state.timings.phase("provision"):
            self._state.create_roles(admin, self._missing)
            self._state.leave_out_tablespaces(admin, folder)
        with connection(options, application="lifeline.recovery restore") as conn:
            replacement = self._replacement(conn, toc)
            jobs = self._jobs(conn, replacement)
        self._state.not_restored += [*replacement.left_out, *jobs.left_out]
        self._state.restored, self._state.columns, toc = replacement.toc, replacement.columns, replacement.toc
        with contextlib.ExitStack() as stack:
            with self._state.timings.phase("lock"):
                locked = stack.enter_context(
                    locked_database(
                        options, admin, replacement,
                        lock_timeout=request.lock_timeout, terminate_sessions=request.terminate_sessions,
                    )
                )  # fmt: skip
            with self._state.timings.phase("undo set"):
                undo = self._undo_set(options)
            unchanged = f"The database {request.target_db!r} is unchanged; the undo set {undo.set_id} was stored."
            with self._state.timings.phase("restore"):
                self._state.judge(Loaded(self._replace(locked, client, folder, toc, undo, jobs)), unchanged)
            with self._state.timings.phase("compare"):
                content = self._compare(locked, unchanged)
            locked.commit()
        left = (
            f"The database {request.target_db!r} has the restored content. Its former content is the set {undo.set_id} "
            "of the tier undo."
        )
        with self._state.timings.phase("refresh"):
            self._state.judge(Loaded((), self._refreshed(options, toc) if self._state.foreign is None else ()), left)
        recorded = recorded_properties(folder)
        self._state.properties = {
            "of": "target_db",
            "equal": True,
            "differences": [],
            "changed_since_backup": [
                asdict(item) for item in (property_differences(recorded, properties) if recorded else [])
            ],
        }
        return self._state.prove(options, left, content), {"mode": "in_place", "set": undo.set_id, "tier": "undo"}

    def _replace(
        self, locked: LockedDatabase, client: ClientPrograms, folder: str, toc: Toc, undo: Undo, jobs: Jobs
    ) -> t.Tuple[ObjectFailure, ...]:
        state = self._state
        if state.foreign is None:
            failures = locked.replace(client, folder, toc, undo, state.rows_of, state.loading, jobs.statements)
            return tuple(failures)
        chunks = archive_script(
            client, state.foreign.path,
            owner=state.request.owner, privileges=state.request.privileges, tablespaces=state.loading.tablespaces,
        )  # fmt: skip
        locked.replace_foreign(GuardedScript(chunks), toc, undo)
        return ()

    def _compare(self, locked: LockedDatabase, unchanged: str) -> Content:
        """Compare rows, sequences and large objects while no other session can write them.

        Definitions are compared after the commit, because pg_dump reads them through sessions of its own.
        """
        state = self._state
        content, proof = locked.compared(state.manifest, state.store, state.rules)
        state.require_good(proof, unchanged)
        return content

    def _jobs(self, conn: Connection, replacement: Replacement) -> Jobs:
        source = self._state.rows_of(replacement.jobs) if replacement.jobs else None
        if replacement.jobs is None or source is None:
            return Jobs((), ())
        manifest, target = self._state.manifest, self._state.request.target_db
        recorded = manifest.server.get("database", "") if manifest else ""
        return jobs_of(conn, replacement.jobs, source(), source_database=recorded, database=target)

    def _refreshed(self, options: ConnectionOptions, toc: Toc) -> t.Tuple[ObjectFailure, ...]:
        if self._state.request.materialized_views == "without_data":
            return materialized_views.left_empty(toc)
        return tuple(materialized_views.refresh(options, toc, search_path=self._state.loading.search_path))

    def _undo_backup(self, options: ConnectionOptions) -> PostgresBackup:
        request = self._state.request
        return PostgresBackup(
            options,
            PostgresBackupRequest(
                source=guaranteed(request.source),
                tier="undo",
                profile=self._state.profile,
                jobs=request.jobs,
                lock_timeout=request.lock_timeout,
                spool_dir=request.spool_dir,
            ),
        )

    def _undo_set(self, options: ConnectionOptions) -> Undo:
        store = guaranteed(self._state.store)
        if self._state.manifest is not None:
            seal_for(store, self._state.manifest.recipients)
        undo = self._undo_backup(options)
        taken = take_undo_set(undo, store)
        return Undo(taken.set_id, guaranteed(undo.dumped).toc, guaranteed(taken.fingerprint))


def unknown_content() -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNSUPPORTED,
        "Mode in_place restores sets and directory archives, because it must know what to replace.",
        next_step="Use mode swap for this dump.",
    )
