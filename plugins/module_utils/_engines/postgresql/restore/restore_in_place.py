# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores within the target database: undo set, replacement, comparison and commit in one transaction."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import asdict, replace

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._repository.engine import prepared, take_undo_set
from ...._repository.fingerprint import compare
from ...._store.base import ObjectStore, seal_for
from ..archive.load import archive_script
from ..archive.object_errors import ObjectFailure
from ..archive.profiles import PROFILES
from ..archive.properties import property_differences, read_properties, recorded_properties
from ..archive.toc import Toc
from ..backup.backup import PostgresBackup, PostgresBackupRequest
from ..foreign.script import GuardedScript
from ..server.connection import Connection, connection
from . import databases, materialized_views
from .collateral import refuse_unsaved_rows
from .cron_jobs import Jobs, jobs_of
from .database_load import Loaded, search_path_of
from .database_restore import DatabaseRestore, unknown_content
from .in_place import Undo, locked_database
from .ownership import Replacement, plan_replacement
from .removal import plan_removal
from .restore_request import RestoreRequest


class InPlaceRestore(DatabaseRestore):
    """A restore in mode in_place."""

    verb = "replaces the content of the database"

    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request, store)
        self._missing: t.List[str] = []
        self._options = request.connection.with_database(request.target_db)
        # Closed after the commit: what follows has sessions of its own.
        self._lock = self.resources.enter_context(contextlib.ExitStack())

    def refuse_target(self) -> None:
        toc = self.toc()
        if self.store is None or not self.request.source:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`store` and `source` are required with mode in_place, which stores an undo set first.",
                next_step="Set `store` and `source`.",
            )
        if toc is None:
            raise unknown_content()
        self._missing = self.missing_roles(None)
        databases.refuse_prepared_transactions(self.admin, self.request.target_db)
        if self.request.terminate_sessions:
            databases.require_right_to_end_sessions(self.admin, self.request.target_db)
        with connection(self._options, application="lifeline.recovery restore") as conn:
            refuse_unsaved_rows(conn, plan_removal(conn, self._replacement(conn, toc)))
        # The undo set takes rights of its own, and the run asks for it late.
        with prepared(self._undo_backup(), self.store):
            pass

    def _replacement(self, conn: Connection, toc: Toc) -> Replacement:
        if self.foreign is not None:
            # Its script runs as it is, and the first statement that is refused ends it.
            return Replacement(toc)
        return plan_replacement(conn, toc, PROFILES[self.profile].ledgers, owner=self.request.owner)

    def prepare(self) -> None:
        """Fetch the set, then stop the writers of every table that is replaced."""
        super().prepare()
        request, admin, options = self.request, self.admin, self._options
        toc = guaranteed(self.toc())
        if not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        self._former = read_properties(admin, request.target_db)
        self.loading = replace(self.loading, search_path=search_path_of(self._former))
        with self.timings.phase("provision"):
            self.create_roles(self._missing)
            self.leave_out_tablespaces()
        with connection(options, application="lifeline.recovery restore") as conn:
            replacement = self._replacement(conn, toc)
            self._jobs = self._scheduled(conn, replacement)
        self.not_restored += [*replacement.left_out, *self._jobs.left_out]
        self.restored, self.columns, self._toc = replacement.toc, replacement.columns, replacement.toc
        with self.timings.phase("lock"):
            self._locked = self._lock.enter_context(
                locked_database(
                    options, admin, replacement,
                    lock_timeout=request.lock_timeout, terminate_sessions=request.terminate_sessions,
                )
            )  # fmt: skip

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        with self.timings.phase("undo set"):
            self._undo = undo = self._undo_set()
        self._unchanged = (
            f"The database {self.request.target_db!r} is unchanged; the undo set {undo.set_id} was stored."
        )
        recorded = self.manifest.fingerprint if self.manifest else None
        if recorded is not None and recorded.mode == "full":
            with contextlib.suppress(RecoveryError):
                # Fingerprints of other algorithms are not compared.
                self.replaced_equal = compare(recorded, undo.fingerprint, views_refreshed=True).equal
        return {"mode": "in_place", "set": undo.set_id, "tier": "undo"}

    def act(self) -> None:
        with self.timings.phase("restore"):
            self.judge(Loaded(self._replace()), self._unchanged)

    def verify(self) -> None:
        """Compare rows, sequences and large objects while no other session can write them.

        Definitions are compared after the commit, because pg_dump reads them through sessions of its own.
        """
        with self.timings.phase("compare"):
            self._content, proof = self._locked.compared(self.manifest, self.store, self.rules)
            self.require_good(proof, self._unchanged)

    def settle(self) -> t.Mapping[str, t.Any]:
        request = self.request
        if self.is_neutralized:
            self.neutralized += self._locked.deactivate_jobs()
        self._locked.commit()
        self._lock.close()
        left = (
            f"The database {request.target_db!r} has the restored content. Its former content is the set "
            f"{self._undo.set_id} of the tier undo."
        )
        with self.timings.phase("refresh"):
            self.judge(Loaded((), self._refreshed() if self.foreign is None else ()), left)
        recorded = recorded_properties(self.folder)
        self.properties = {
            "of": "target_db",
            "equal": True,
            "differences": [],
            "changed_since_backup": [
                asdict(item) for item in (property_differences(recorded, self._former) if recorded else [])
            ],
        }
        self.prove(self._options, left, self._content)
        self.neutralize(self._options, left)
        return {}

    def _replace(self) -> t.Tuple[ObjectFailure, ...]:
        if self.foreign is None:
            failures = self._locked.replace(
                self.client, self.folder, self._toc, self._undo, self.rows_of, self.loading, self._jobs.statements
            )
            return tuple(failures)
        chunks = archive_script(
            self.client, self.foreign.path,
            owner=self.request.owner, privileges=self.request.privileges, tablespaces=self.loading.tablespaces,
        )  # fmt: skip
        self._locked.replace_foreign(GuardedScript(chunks), self._toc, self._undo)
        return ()

    def _scheduled(self, conn: Connection, replacement: Replacement) -> Jobs:
        source = self.rows_of(replacement.jobs) if replacement.jobs else None
        if replacement.jobs is None or source is None:
            return Jobs((), ())
        manifest, target = self.manifest, self.request.target_db
        recorded = manifest.server.get("database", "") if manifest else ""
        return jobs_of(conn, replacement.jobs, source(), source_database=recorded, database=target)

    def _refreshed(self) -> t.Tuple[ObjectFailure, ...]:
        if self.request.materialized_views == "without_data":
            return materialized_views.left_empty(self._toc)
        return tuple(materialized_views.refresh(self._options, self._toc, search_path=self.loading.search_path))

    def _undo_backup(self) -> PostgresBackup:
        request = self.request
        return PostgresBackup(
            self._options,
            PostgresBackupRequest(
                source=guaranteed(request.source),
                tier="undo",
                profile=self.profile,
                jobs=request.jobs,
                lock_timeout=request.lock_timeout,
                spool_dir=request.spool_dir,
            ),
        )

    def _undo_set(self) -> Undo:
        store = guaranteed(self.store)
        if self.manifest is not None:
            seal_for(store, self.manifest.recipients)
        undo = self._undo_backup()
        taken = take_undo_set(undo, store)
        return Undo(taken.set_id, guaranteed(undo.dumped).toc, guaranteed(taken.fingerprint))
