# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores under a working name, verifies the copy, and only then gives the copy the name of the target."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, replace

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._store.base import ObjectStore
from ..archive.fitting import fit_to_database, require_available
from ..archive.load import archive_script
from ..archive.object_errors import ObjectFailure, objects_refused
from ..archive.properties import (
    DatabaseProperties,
    Locale,
    locale_of_archive,
    property_differences,
    read_properties,
    recorded_properties,
)
from ..archive.toc import Toc
from ..foreign.archive import ForeignDump, is_plain_archive
from ..foreign.run_script import load_script
from ..foreign.script import GuardedScript
from ..server.connection import ConnectionOptions, connection, quote_identifier
from . import databases
from .database_load import Loaded, load_foreign, load_set, search_path_of
from .database_restore import DatabaseRestore
from .databases import derived_name
from .foreign_owners import (
    give_database,
    owners_of,
    refuse_foreign_grants,
    refuse_foreign_owners,
    refuse_owners_outside_schemas,
    take_back,
)
from .restore_request import RestoreRequest
from .settle import apply_properties, detach_subscriptions, discard
from .swap import exchange, rename


class SideBySideRestore(DatabaseRestore):
    """A restore in mode new or swap."""

    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request, store)
        self._granted: t.Tuple[str, ...] = ()
        self._missing: t.List[str] = []

    def refuse_target(self) -> None:
        request, admin = self.request, self.admin
        databases.require_right_to_create(admin)
        if request.mode == "swap":
            databases.require_right_to_rename(admin, request.target_db)
            databases.refuse_subscriptions(admin, request.target_db)
            databases.refuse_prepared_transactions(admin, request.target_db)
            if request.terminate_sessions:
                databases.require_right_to_end_sessions(admin, request.target_db)
        current = databases.find(admin, request.target_db)
        recorded = recorded_properties(self.folder)
        wanted = recorded if current is None else read_properties(admin, request.target_db)
        self._missing = self.missing_roles(recorded if current is None else None)
        toc = self.toc()
        if toc is not None and request.object_errors == "fail" and self.foreign is None:
            require_available(admin, toc, request.skip_extensions)
        # The objects that skip_extensions leaves out are known only after a look at a database.
        if not request.skip_extensions:
            owner = wanted.owner if wanted else ""
            self._refuse_foreign(toc, owner, self._missing, "Nothing was changed.")

    def act(self) -> None:
        """Restore under a working name."""
        request, admin = self.request, self.admin
        self._current = databases.find(admin, request.target_db)
        if request.mode == "swap" and not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        self._recorded = recorded_properties(self.folder)
        is_new = self._current is None
        self._wanted = wanted = self._recorded if is_new else read_properties(admin, request.target_db)
        self.loading = replace(self.loading, search_path=search_path_of(wanted))
        self._copy = self.server.with_database(databases.working_name(request.target_db))
        self._kept = (
            f"The database {self._copy.database!r} holds what could be restored, until the next restore removes it"
        )
        self._kept += (
            f"; no database {request.target_db!r} was made." if is_new else f"; {request.target_db!r} is unchanged."
        )
        with self.timings.phase("provision"):
            # Left by runs that failed or were killed: the lock proves that none of them is running.
            for name in databases.leftovers(admin, request.target_db):
                discard(admin, self.server.with_database(name))
            self.create_roles(self._missing)
            self._create(self._copy.database, wanted)
        try:
            with self.timings.phase("restore"):
                self.leave_out_tablespaces()
                self._fit()
                if request.skip_extensions:
                    owner = wanted.owner if wanted else ""
                    self._refuse_foreign(self.restored, owner, (), f"{request.target_db!r} is unchanged.")
                loaded = self._load()
        except BaseException:
            discard(admin, self._copy)
            raise
        self.judge(loaded, self._kept)

    def verify(self) -> None:
        self.prove(self._copy, self._kept)

    def settle(self) -> t.Mapping[str, t.Any]:
        """Give the copy its properties and the name of the target."""
        request, admin, current = self.request, self.admin, self._current
        self.neutralize(self._copy, self._kept)
        with self.timings.phase("swap" if request.mode == "swap" else "rename"):
            self._apply_properties()
            restored = databases.find(admin, self._copy.database)
            if restored is None:
                raise RecoveryError(ErrorKind.CONFLICT, f"Another session removed {self._copy.database!r}.")
            if current is None:
                rename(self.server, restored, request.target_db, lock_timeout=request.lock_timeout)
                return {}
            name = derived_name(request.target_db, f"_before_{self.stamp.lower()}")
            try:
                exchange(
                    self.server, current, restored, name,
                    end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
                )  # fmt: skip
            except RecoveryError:
                discard(admin, self._copy)
                raise
        return {"mode": "undo", "undo_db": name}

    def _refuse_foreign(self, toc: t.Optional[Toc], owner: str, created: t.Sequence[str], left: str) -> None:
        """Before rows are loaded: owners and grants that the role which logs in cannot restore."""
        request, admin = self.request, self.admin
        if request.object_errors != "fail":
            return
        entries = toc.entries if toc else ()
        if request.owner:
            owners = [("the database", owner)] * bool(owner) + owners_of(entries)
            owners += [(title, role) for role, title in self.script.owners.items() if toc is None]
            refuse_foreign_owners(admin, owners, left=left, created=created)
            if toc:
                refuse_owners_outside_schemas(admin, toc, owner, left=left)
        if request.privileges:
            refuse_foreign_grants(admin, entries, left=left)

    def _create(self, name: str, wanted: t.Optional[DatabaseProperties]) -> None:
        """An empty database with the locale of the target, of the set, or of the archive."""
        toc = self.toc()
        locale = wanted.locale if wanted else (locale_of_archive(toc) if toc else None)
        if locale is None and self.manifest is not None:
            collation = self.manifest.server.get("collation", "C.UTF-8")
            locale = Locale(self.manifest.server.get("encoding", "UTF8"), "libc", collation, collation)
        databases.create(
            self.admin, name, locale,
            nearest=self.request.locale == "nearest",
            tablespace=wanted.tablespace if wanted else None,
            target=self.request.target_db,
        )  # fmt: skip
        if self.request.owner:
            self._granted = give_database(self.admin, name, wanted.owner if wanted else "", toc)

    def _apply_properties(self) -> None:
        """Give the restored database its properties, and compare them."""
        request, admin, options = self.request, self.admin, self._copy
        wanted, recorded = self._wanted, self._recorded
        take_back(admin, options.database, self._granted, wanted.owner if wanted else "")
        for name in detach_subscriptions(options):
            reason = "it is disabled and has no slot, so that this copy does not replicate"
            self.not_restored.append(ObjectFailure(f"subscription {name}", reason))
        if wanted is None:
            databases.execute(admin, f"COMMENT ON DATABASE {quote_identifier(options.database)} IS NULL")
            return
        left, failures = apply_properties(
            admin, options.database, wanted, owner=request.owner, privileges=request.privileges
        )
        self.not_restored += failures
        if failures and request.object_errors == "fail":
            raise objects_refused(failures, self._kept, ErrorKind.NOT_EQUAL)
        changed = property_differences(recorded, wanted) if recorded is not None and wanted is not recorded else []
        self.properties = {
            "of": "set" if wanted is recorded else "target_db",
            "equal": not left and not failures,
            "differences": [asdict(item) for item in left] + [asdict(item) for item in failures],
            "changed_since_backup": [asdict(item) for item in changed],
        }

    def _fit(self) -> None:
        """Leave out what needs extensions that are skipped; create the schemas that the other extensions need."""
        toc, request, options = self.toc(), self.request, self._copy
        if request.preparation:
            with connection(options, application="lifeline.recovery restore") as conn:
                request.preparation.complete(conn)
        if toc is None or self.foreign is not None:
            return
        with connection(options, application="lifeline.recovery restore") as conn:
            fitted = fit_to_database(conn, toc, request.skip_extensions, required=request.object_errors == "fail")
            for schema in fitted.schemas:
                databases.execute(conn, f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}")
        self.restored = fitted.toc
        self.not_restored += fitted.left_out

    def _load(self) -> Loaded:
        request, toc, options = self.request, self.restored or self.toc(), self._copy
        refresh = request.materialized_views != "without_data"
        try:
            if self.foreign is not None and (self.foreign.format == "script" or not is_plain_archive(self.foreign)):
                return Loaded(self._run_script(options, self.foreign))
            if self.foreign is not None:
                return load_foreign(
                    self.client, options, self.foreign, self.folder, toc,
                    jobs=request.jobs, loading=self.loading, refresh=refresh,
                )  # fmt: skip
            manifest, store = guaranteed(self.manifest), guaranteed(self.store)
            return load_set(
                self.client, options, self.folder, guaranteed(toc), manifest, store,
                jobs=request.jobs, loading=self.loading, refresh=refresh,
            )  # fmt: skip
        except RecoveryError as error:
            left = f"The database {request.target_db!r} is unchanged."
            if request.mode == "new":
                left = f"No database {request.target_db!r} was created."
            raise error.restated(left=left) from None

    def _run_script(self, options: ConnectionOptions, foreign: ForeignDump) -> t.Tuple[ObjectFailure, ...]:
        request = self.request
        if foreign.format == "script":
            chunks = foreign.chunks()
        else:
            chunks = archive_script(self.client, foreign.path, owner=request.owner, privileges=request.privileges)
        script = GuardedScript(
            chunks,
            skip_database_statements=request.skip_database_statements,
            owner=request.owner,
            privileges=request.privileges,
        )
        report = request.object_errors == "report"
        return load_script(options, script, one_transaction=self.script.one_transaction, report=report)
