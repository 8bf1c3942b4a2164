# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores under a working name, proves the copy, and only then gives it the name of the target."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, replace

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from . import databases
from .archive import ForeignDump, is_plain_archive
from .beside import Loaded, load_foreign, load_set, search_path_of
from .client import ClientPrograms
from .connection import Connection, ConnectionOptions, connection, quote_identifier
from .databases import derived_name
from .fitting import fit_to_database, require_available
from .foreign_owners import (
    give_database,
    owners_of,
    refuse_foreign_grants,
    refuse_foreign_owners,
    refuse_owners_outside_schemas,
    take_back,
)
from .load import archive_script
from .object_errors import ObjectFailure, objects_refused
from .proof import Proof
from .properties import (
    DatabaseProperties,
    Locale,
    locale_of_archive,
    property_differences,
    read_properties,
    recorded_properties,
)
from .restore_state import RestoreState
from .run_script import load_script
from .script import GuardedScript
from .settle import apply_properties, detach_subscriptions, discard
from .swap import exchange, rename
from .toc import Toc


class BesideRestore:
    """A restore in mode new or swap."""

    def __init__(self, state: RestoreState) -> None:
        self._state = state
        self._granted: t.Tuple[str, ...] = ()
        self._missing: t.List[str] = []

    def refuse(self, admin: Connection, folder: str) -> None:
        """Raise RecoveryError for what the role or the server lacks; check mode tests this as well.

        folder holds the table of contents and the properties of a set.
        """
        request = self._state.request
        databases.require_right_to_create(admin)
        if request.mode == "swap":
            databases.require_right_to_rename(admin, request.target_db)
            databases.refuse_subscriptions(admin, request.target_db)
            if request.terminate_sessions:
                databases.require_right_to_end_sessions(admin, request.target_db)
        current = databases.find(admin, request.target_db)
        recorded = recorded_properties(folder)
        wanted = recorded if current is None else read_properties(admin, request.target_db)
        self._missing = self._state.missing_roles(admin, folder, recorded if current is None else None)
        toc = self._state.toc(folder)
        if toc is not None and request.object_errors == "fail" and self._state.foreign is None:
            require_available(admin, toc, request.skip_extensions)
        # What skip_extensions leaves out is known only in a database.
        if not request.skip_extensions:
            owner = wanted.owner if wanted else ""
            self._refuse_foreign(admin, toc, owner, self._missing, "Nothing was changed.")

    def complete(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Restore under a working name, prove it, and only then give it the target's name."""
        request = self._state.request
        current = databases.find(admin, request.target_db)
        if request.mode == "swap" and not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        recorded = recorded_properties(folder)
        wanted = recorded if current is None else read_properties(admin, request.target_db)
        self._state.loading = replace(self._state.loading, search_path=search_path_of(wanted))
        options = self._state.server.with_database(databases.working_name(request.target_db))
        with self._state.timings.phase("provision"):
            # Left by runs that failed or were killed: the lock proves that none of them is running.
            for name in databases.leftovers(admin, request.target_db):
                discard(admin, self._state.server.with_database(name))
            self._state.create_roles(admin, self._missing)
            self._create(admin, options.database, folder, wanted)
        try:
            with self._state.timings.phase("restore"):
                self._state.leave_out_tablespaces(admin, folder)
                self._fit(options, folder)
                if request.skip_extensions:
                    owner = wanted.owner if wanted else ""
                    self._refuse_foreign(admin, self._state.restored, owner, (), f"{request.target_db!r} is unchanged.")
                loaded = self._load(client, options, folder)
        except BaseException:
            discard(admin, options)
            raise
        kept = f"The database {options.database!r} holds what could be restored, until the next restore removes it"
        kept += (
            f"; {request.target_db!r} is unchanged." if current else f"; no database {request.target_db!r} was made."
        )
        self._state.judge(loaded, kept)
        proof = self._state.prove(options, kept)
        with self._state.timings.phase("swap" if request.mode == "swap" else "rename"):
            self._settle(admin, options, wanted, recorded, kept)
            restored = databases.find(admin, options.database)
            if restored is None:
                raise RecoveryError(ErrorKind.CONFLICT, f"Another session removed {options.database!r}.")
            if current is None:
                rename(self._state.server, restored, request.target_db, lock_timeout=request.lock_timeout)
                return proof, {}
            name = derived_name(request.target_db, f"_before_{self._state.stamp.lower()}")
            try:
                exchange(
                    self._state.server, current, restored, name,
                    end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
                )  # fmt: skip
            except RecoveryError:
                discard(admin, options)
                raise
        return proof, {"mode": "undo", "undo_db": name}

    def _refuse_foreign(
        self, admin: Connection, toc: t.Optional[Toc], owner: str, created: t.Sequence[str], left: str
    ) -> None:
        """Before rows are loaded: owners and grants that the role which logs in cannot restore."""
        request = self._state.request
        if request.object_errors != "fail":
            return
        entries = toc.entries if toc else ()
        if request.owner:
            owners = [("the database", owner)] * bool(owner) + owners_of(entries)
            owners += [(title, role) for role, title in self._state.script.owners.items() if toc is None]
            refuse_foreign_owners(admin, owners, left=left, created=created)
            if toc:
                refuse_owners_outside_schemas(admin, toc, owner, left=left)
        if request.privileges:
            refuse_foreign_grants(admin, entries, left=left)

    def _create(self, admin: Connection, name: str, folder: str, wanted: t.Optional[DatabaseProperties]) -> None:
        """An empty database with the locale of the target, of the set, or of the archive."""
        toc = self._state.toc(folder)
        locale = wanted.locale if wanted else (locale_of_archive(toc) if toc else None)
        if locale is None and self._state.manifest is not None:
            collation = self._state.manifest.server.get("collation", "C.UTF-8")
            locale = Locale(self._state.manifest.server.get("encoding", "UTF8"), "libc", collation, collation)
        databases.create(
            admin, name, locale,
            nearest=self._state.request.locale == "nearest",
            tablespace=wanted.tablespace if wanted else None,
            target=self._state.request.target_db,
        )  # fmt: skip
        if self._state.request.owner:
            self._granted = give_database(admin, name, wanted.owner if wanted else "", toc)

    def _settle(
        self,
        admin: Connection,
        options: ConnectionOptions,
        wanted: t.Optional[DatabaseProperties],
        recorded: t.Optional[DatabaseProperties],
        kept: str,
    ) -> None:
        """Give the restored database its properties, and compare them."""
        request = self._state.request
        take_back(admin, options.database, self._granted, wanted.owner if wanted else "")
        for name in detach_subscriptions(options):
            reason = "it is disabled and has no slot, so that this copy does not replicate"
            self._state.not_restored.append(ObjectFailure(f"subscription {name}", reason))
        if wanted is None:
            databases.execute(admin, f"COMMENT ON DATABASE {quote_identifier(options.database)} IS NULL")
            return
        left, failures = apply_properties(
            admin, options.database, wanted, owner=request.owner, privileges=request.privileges
        )
        self._state.not_restored += failures
        if failures and request.object_errors == "fail":
            raise objects_refused(failures, kept, ErrorKind.NOT_EQUAL)
        changed = property_differences(recorded, wanted) if recorded is not None and wanted is not recorded else []
        self._state.properties = {
            "of": "set" if wanted is recorded else "target_db",
            "equal": not left and not failures,
            "differences": [asdict(item) for item in left] + [asdict(item) for item in failures],
            "changed_since_backup": [asdict(item) for item in changed],
        }

    def _fit(self, options: ConnectionOptions, folder: str) -> None:
        """Leave out what needs extensions that are skipped; create the schemas that the other extensions need."""
        toc, request = self._state.toc(folder), self._state.request
        if request.preparation:
            with connection(options, application="lifeline.recovery restore") as conn:
                request.preparation.complete(conn)
        if toc is None or self._state.foreign is not None:
            return
        with connection(options, application="lifeline.recovery restore") as conn:
            fitted = fit_to_database(conn, toc, request.skip_extensions, required=request.object_errors == "fail")
            for schema in fitted.schemas:
                databases.execute(conn, f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}")
        self._state.restored = fitted.toc
        self._state.not_restored += fitted.left_out

    def _load(self, client: ClientPrograms, options: ConnectionOptions, folder: str) -> Loaded:
        request, toc = self._state.request, self._state.restored or self._state.toc(folder)
        refresh = request.materialized_views != "without_data"
        try:
            if self._state.foreign is not None and (
                self._state.foreign.format == "script" or not is_plain_archive(self._state.foreign)
            ):
                return Loaded(self._run_script(client, options, self._state.foreign))
            if self._state.foreign is not None:
                return load_foreign(
                    client, options, self._state.foreign, folder, toc,
                    jobs=request.jobs, loading=self._state.loading, refresh=refresh,
                )  # fmt: skip
            manifest, store = guaranteed(self._state.manifest), guaranteed(self._state.store)
            return load_set(
                client, options, folder, guaranteed(toc), manifest, store,
                jobs=request.jobs, loading=self._state.loading, refresh=refresh,
            )  # fmt: skip
        except RecoveryError as error:
            error.left = (
                f"The database {request.target_db!r} is unchanged."
                if request.mode != "new"
                else f"No database {request.target_db!r} was made."
            )
            raise

    def _run_script(
        self, client: ClientPrograms, options: ConnectionOptions, foreign: ForeignDump
    ) -> t.Tuple[ObjectFailure, ...]:
        request = self._state.request
        if foreign.format == "script":
            chunks = foreign.chunks()
        else:
            chunks = archive_script(client, foreign.path, owner=request.owner, privileges=request.privileges)
        script = GuardedScript(
            chunks,
            skip_database_statements=request.skip_database_statements,
            owner=request.owner,
            privileges=request.privileges,
        )
        report = request.object_errors == "report"
        return load_script(options, script, one_transaction=self._state.script.one_transaction, report=report)
