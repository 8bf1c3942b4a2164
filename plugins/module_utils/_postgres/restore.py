# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set, or a dump that others made, and proves what came back."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from dataclasses import asdict, dataclass, field, replace

from .._core.clock import PhaseListener, Timings, compact_instant, utc_now
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.process import scratch_folder
from .._core.sizes import readable_size
from .._sets.audit import write_audit
from .._sets.catalogue import find_set
from .._sets.fetch import fetch_objects, proved_rows, read_object
from .._sets.identity import elsewhere, identity_in, known_identity
from .._sets.manifest import DATABASE_ENGINE, Manifest
from .._sets.recovery_points import Selection
from .._store.base import ObjectStore, seal_for
from . import catalog, databases, materialized_views
from .archive import ForeignDump, inspect_content, inspect_dump, is_plain_archive
from .backup import BackupRequest, BackupResult, back_up
from .beside import Loaded, load_foreign, load_set, missing_tablespaces, search_path_of
from .client import ClientPrograms, find_client
from .collateral import refuse_unsaved_rows
from .connection import Connection, ConnectionOptions, connection, quote_identifier
from .cron_jobs import Jobs, jobs_of
from .databases import derived_name
from .dump import read_toc
from .fitting import fit_to_database
from .identity import identity_of
from .in_place import Loading, locked_database
from .load import archive_script
from .object_errors import ObjectFailure, objects_refused
from .ownership import Replacement, plan_replacement
from .profiles import PROFILES
from .proof import Proof, Rules, prove
from .properties import (
    DatabaseProperties,
    Locale,
    locale_of_archive,
    property_differences,
    read_properties,
    recorded_properties,
)
from .roles import create_roles, missing_roles, roles_of
from .room import make_room
from .run_script import load_script
from .script import GuardedScript, ScriptFacts
from .settle import apply_properties, detach_subscriptions, discard
from .swap import exchange, rename
from .toc import Toc, TocEntry, parse_toc

MODES = ("new", "swap", "in_place", "undo")

#: Parts of a plan that are shown, and left out of its digest: a confirmation outlasts who logs in and what is written.
_OF_THE_MOMENT = ("replaces", "sessions")


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore (a set by source and selection, or an archive) and where to.

    connection leads to a maintenance database of the target's server, for in_place to the target itself.
    materialized_views is refresh, required or without_data; object_errors is fail or report; locale is exact or
    nearest; rows_as is owner or login. lock_timeout is in seconds.
    """

    connection: ConnectionOptions
    target_db: str
    mode: str = "new"
    source: t.Optional[str] = None
    selection: Selection = field(default_factory=Selection)
    archive: t.Optional[str] = None
    undo_db: t.Optional[str] = None
    jobs: int = 2
    create_roles: bool = False
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    skip_extensions: t.Tuple[str, ...] = ()
    materialized_views: str = "refresh"
    object_errors: str = "fail"
    locale: str = "exact"
    rows_as: str = "owner"
    lock_timeout: float = 30
    fingerprint: str = "full"
    skip_database_statements: bool = False
    terminate_sessions: bool = False
    environment: str = "production"
    confirm: t.Optional[str] = None
    spool_dir: t.Optional[str] = None
    parallel: int = 4
    check_mode: bool = False
    listener: t.Optional[PhaseListener] = None


@dataclass(frozen=True)
class RestoreResult:
    """A restored and proved database. undo names what takes the restore back, where something does.

    properties: of (where the expected properties come from), equal, differences, changed_since_backup.
    not_restored: objects of the set that the database lacks or has only in part, with the reason.
    not_covered: what the set does not hold, in words.
    """

    changed: bool
    mode: str
    target_db: str
    set_id: t.Optional[str]
    recovery_point: t.Optional[str]
    archive: t.Optional[str]
    bytes_fetched: int
    roles_created: t.Sequence[str]
    fingerprint: t.Mapping[str, t.Any]
    foreign_keys: t.Mapping[str, t.Any]
    properties: t.Mapping[str, t.Any]
    not_restored: t.Sequence[t.Mapping[str, str]]
    not_covered: t.Sequence[str]
    undo: t.Mapping[str, str]
    plan: t.Mapping[str, t.Any]
    plan_digest: str
    timings: t.Mapping[str, float]
    summary: str


def restore(request: RestoreRequest, store: t.Optional[ObjectStore]) -> RestoreResult:
    """Restore a database. Until it is loaded and proved, nothing under the target's name changes.

    Raises RecoveryError: target_exists, target_missing, target_in_use, roles_missing, damaged, not_equal, locked,
    unsupported, conflict, confirmation_required, restore_failed and those of the store; the error says what was left.
    """
    run = _Run(request, store)
    try:
        result = run.complete()
    except RecoveryError as error:
        run.audit("failed", {"error_kind": error.kind})
        raise
    if result.changed and not request.check_mode:
        run.audit("succeeded", {"set_id": result.set_id, "mode": result.mode, "target_db": result.target_db})
    return result


class _Run:
    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        self._request, self._store = request, store
        self._timings = Timings(request.listener)
        self._manifest: t.Optional[Manifest] = None
        self._foreign: t.Optional[ForeignDump] = None
        self._script = ScriptFacts()
        self._stamp = compact_instant(utc_now())
        self._roles_created: t.List[str] = []
        self._fetched = 0
        self._restored: t.Optional[Toc] = None
        self._columns: t.Mapping[t.Tuple[str, str], t.Sequence[str]] = {}
        self._not_restored: t.List[ObjectFailure] = []
        self._refused: t.List[ObjectFailure] = []
        self._unpopulated: t.List[ObjectFailure] = []
        self._properties: t.Dict[str, t.Any] = {"of": "none", "equal": None, "differences": []}
        self._loading = Loading(
            owner=request.owner,
            privileges=request.privileges,
            tablespaces=request.tablespaces,
            rows_as_owner=request.rows_as == "owner",
        )
        self._server = request.connection
        if request.mode != "in_place" and self._server.database == request.target_db:
            # A database cannot be renamed by a session within it.
            self._server = self._server.with_database("postgres")

    def audit(self, status: str, details: t.Mapping[str, t.Any]) -> None:
        if self._store is None or not self._request.source or self._request.check_mode:
            return
        with contextlib.suppress(RecoveryError):
            write_audit(self._store, self._request.source, "restore", status, details)

    def complete(self) -> RestoreResult:
        request = self._request
        with contextlib.ExitStack() as stack:
            with self._timings.phase("preflight"):
                admin = stack.enter_context(connection(self._server, application="lifeline.recovery restore"))
                stack.enter_context(databases.restore_lock(admin, self._server, request.target_db))
                if request.mode != "undo":
                    self._choose()
                plan = self._plan(admin)
                digest = plan_digest({name: part for name, part in plan.items() if name not in _OF_THE_MOMENT})
                if self._foreign is not None:
                    self._inspect(admin, self._foreign)
                if request.mode == "in_place":
                    self._refuse_unsaved()
            if request.check_mode:
                return self._result(plan, digest, Proof(), {}, changed=True)
            if request.mode != "new":
                require_confirmation(
                    request.environment, request.confirm, request.target_db, digest, elsewhere=self._elsewhere(admin)
                )
            if request.mode == "undo":
                return self._result(plan, digest, Proof(), self._undo(admin), changed=True)
            client = find_client(
                max(self._archive_major(), catalog.server_facts(admin).major), request.connection.client_bin_dir
            )
            folder = stack.enter_context(scratch_folder("lifeline-restore-", request.spool_dir))
            self._fetch(folder)
            if request.mode == "in_place":
                proof, undo = self._in_place(admin, client, folder)
            else:
                proof, undo = self._beside(admin, client, folder)
        return self._result(plan, digest, proof, undo, changed=True)

    def _choose(self) -> None:
        request = self._request
        if request.archive and request.skip_extensions:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`skip_extensions` is for sets, and `archive` is a dump of another tool.",
                next_step="Leave out one of the two options.",
            )
        if request.archive:
            self._foreign = inspect_dump(request.archive)
        elif self._store is not None and request.source:
            self._manifest = find_set(self._store, request.source, request.selection)
            self._manifest.require_kind(DATABASE_ENGINE)
        else:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "There is nothing to restore.",
                next_step="Give store and source, or the path of an archive.",
            )

    def _inspect(self, admin: Connection, foreign: ForeignDump) -> None:
        """Read the dump to its end before anything is made: it may hold any statement, and may be cut off."""
        request = self._request
        if request.mode == "in_place" and foreign.format != "directory":
            raise self._unknown_content()
        self._script = inspect_content(
            foreign,
            lambda: find_client(catalog.server_facts(admin).major, request.connection.client_bin_dir),
            owner=request.owner,
            privileges=request.privileges,
            skip_database_statements=request.skip_database_statements,
        )

    @staticmethod
    def _unknown_content() -> RecoveryError:
        return RecoveryError(
            ErrorKind.UNSUPPORTED,
            "Mode in_place restores sets and directory archives, because it must know what to replace.",
            next_step="Use mode swap for this dump.",
        )

    def _plan(self, admin: Connection) -> t.Dict[str, t.Any]:
        request = self._request
        there = databases.exists(admin, request.target_db)
        if request.mode == "new" and there:
            raise RecoveryError(
                ErrorKind.TARGET_EXISTS,
                f"The database {request.target_db!r} exists on {request.connection.place}.",
                left="It is unchanged.",
                next_step="Choose another target_db, or mode swap to replace it and keep the old one.",
            )
        if request.mode != "new" and not there:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"There is no database {request.target_db!r} on {request.connection.place}.",
                next_step="Use mode new to create it.",
            )
        if request.mode == "undo" and not (request.undo_db and databases.exists(admin, request.undo_db)):
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"There is no database {request.undo_db!r} to go back to.",
                next_step="Give undo_db as the result of the restore named it.",
            )
        return {
            "mode": request.mode,
            "target_db": request.target_db,
            "server": request.connection.place.rsplit("/", 1)[0],
            "system_identifier": catalog.server_facts(admin).system_identifier,
            "set_id": self._manifest.set_id if self._manifest else None,
            "archive": request.archive,
            "undo_db": request.undo_db,
            "replaces": readable_size(databases.size(admin, request.target_db)) if there else None,
            "sessions": len(databases.sessions(admin, request.target_db)) if there else 0,
        }

    def _elsewhere(self, admin: Connection) -> t.Optional[str]:
        """Why the target is not the database of the set, or of the source whose restore is undone; else None."""
        request = self._request
        known = identity_in(self._manifest) if self._manifest else None
        if known is None and self._store is not None and request.source:
            known = known_identity(self._store, request.source, DATABASE_ENGINE)
        return elsewhere(known, identity_of(catalog.server_facts(admin), request.connection, request.target_db))

    def _refuse_unsaved(self) -> None:
        """Before anything is stored or locked; check mode looks at this as well."""
        toc = None
        if self._manifest is not None and self._store is not None:
            toc = parse_toc(read_object(self._store, self._manifest.object_at("toc.dat")))
        elif self._foreign is not None and self._foreign.format == "directory":
            toc = read_toc(self._foreign.path)
        if self._store is None or not self._request.source:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "Mode in_place takes an undo set first, and there is no store for it.",
                next_step="Give store and source.",
            )
        if toc is None:
            raise self._unknown_content()
        options = self._request.connection.with_database(self._request.target_db)
        with connection(options, application="lifeline.recovery restore") as conn:
            refuse_unsaved_rows(conn, make_room(conn, self._replacement(conn, toc)))

    def _replacement(self, conn: Connection, toc: Toc) -> Replacement:
        if self._foreign is not None:
            # Its script runs as it is, and the first statement that is refused ends it.
            return Replacement(toc)
        return plan_replacement(conn, toc, PROFILES[self._profile].ledgers, owner=self._request.owner)

    @property
    def _profile(self) -> str:
        return str(self._manifest.coverage.get("profile", "none")) if self._manifest else "none"

    def _fetch(self, folder: str) -> None:
        """Bring the archive into the folder without the rows, which go from the store into the tables."""
        if self._manifest is None or self._store is None:
            return
        entries = [entry for entry in self._manifest.objects if entry.role != "data"]
        with self._timings.phase("fetch"):
            fetch_objects(self._store, entries, folder, parallel=self._request.parallel)
        self._fetched = sum(entry.stored_size for entry in self._manifest.objects)

    def _beside(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Restore under a working name, prove it, and only then give it the target's name."""
        request = self._request
        current = databases.find(admin, request.target_db)
        if request.mode == "swap":
            databases.refuse_subscriptions(admin, request.target_db)
            if not request.terminate_sessions:
                databases.refuse_sessions(admin, request.target_db)
        recorded = recorded_properties(folder)
        wanted = recorded if current is None else read_properties(admin, request.target_db)
        self._loading = replace(self._loading, search_path=search_path_of(wanted))
        options = self._server.with_database(databases.working_name(request.target_db))
        with self._timings.phase("provision"):
            # Left by runs that failed or were killed: the lock proves that none of them is running.
            for name in databases.leftovers(admin, request.target_db):
                discard(admin, self._server.with_database(name))
            self._create(admin, options.database, folder, wanted)
        try:
            with self._timings.phase("restore"):
                self._provide_roles(admin, folder, recorded if current is None else None)
                self._leave_out_tablespaces(admin, folder)
                self._fit(options, folder)
                loaded = self._load(client, options, folder)
        except BaseException:
            discard(admin, options)
            raise
        kept = f"The database {options.database!r} holds what could be restored, until the next restore removes it"
        kept += (
            f"; {request.target_db!r} is unchanged." if current else f"; no database {request.target_db!r} was made."
        )
        self._judge(loaded, kept)
        proof = self._prove(options, kept)
        with self._timings.phase("swap" if request.mode == "swap" else "rename"):
            self._settle(admin, options, wanted, recorded, kept)
            restored = databases.find(admin, options.database)
            if restored is None:
                raise RecoveryError(ErrorKind.CONFLICT, f"Another session removed {options.database!r}.")
            if current is None:
                rename(self._server, restored, request.target_db, lock_timeout=request.lock_timeout)
                return proof, {}
            name = derived_name(request.target_db, f"_before_{self._stamp.lower()}")
            try:
                exchange(
                    self._server, current, restored, name,
                    end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
                )  # fmt: skip
            except RecoveryError:
                discard(admin, options)
                raise
        return proof, {"mode": "undo", "undo_db": name}

    def _create(self, admin: Connection, name: str, folder: str, wanted: t.Optional[DatabaseProperties]) -> None:
        """An empty database with the locale of the target, of the set, or of the archive."""
        toc = self._toc(folder)
        locale = wanted.locale if wanted else (locale_of_archive(toc) if toc else None)
        if locale is None and self._manifest is not None:
            collation = self._manifest.server.get("collation", "C.UTF-8")
            locale = Locale(self._manifest.server.get("encoding", "UTF8"), "libc", collation, collation)
        databases.create(
            admin, name, locale,
            nearest=self._request.locale == "nearest",
            tablespace=wanted.tablespace if wanted else None,
            target=self._request.target_db,
        )  # fmt: skip

    def _settle(
        self,
        admin: Connection,
        options: ConnectionOptions,
        wanted: t.Optional[DatabaseProperties],
        recorded: t.Optional[DatabaseProperties],
        kept: str,
    ) -> None:
        """Give the restored database its properties, and compare them."""
        request = self._request
        for name in detach_subscriptions(options):
            reason = "it is disabled and has no slot, so that this copy does not replicate"
            self._not_restored.append(ObjectFailure(f"subscription {name}", reason))
        if wanted is None:
            databases.execute(admin, f"COMMENT ON DATABASE {quote_identifier(options.database)} IS NULL")
            return
        left, failures = apply_properties(
            admin, options.database, wanted, owner=request.owner, privileges=request.privileges
        )
        self._not_restored += failures
        if failures and request.object_errors == "fail":
            raise objects_refused(failures, kept, ErrorKind.NOT_EQUAL)
        changed = property_differences(recorded, wanted) if recorded is not None and wanted is not recorded else []
        self._properties = {
            "of": "set" if wanted is recorded else "target_db",
            "equal": not left and not failures,
            "differences": [asdict(item) for item in left] + [asdict(item) for item in failures],
            "changed_since_backup": [asdict(item) for item in changed],
        }

    def _in_place(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Replace the content within the database, in one transaction, after an undo set was taken."""
        request, toc = self._request, guaranteed(self._toc(folder))
        options = request.connection.with_database(request.target_db)
        if not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        properties = read_properties(admin, request.target_db)
        self._loading = replace(self._loading, search_path=search_path_of(properties))
        with self._timings.phase("provision"):
            self._provide_roles(admin, folder, None)
            self._leave_out_tablespaces(admin, folder)
        with connection(options, application="lifeline.recovery restore") as conn:
            replacement = self._replacement(conn, toc)
            jobs = self._jobs(conn, replacement)
        self._not_restored += [*replacement.left_out, *jobs.left_out]
        self._restored, self._columns, toc = replacement.toc, replacement.columns, replacement.toc
        with contextlib.ExitStack() as stack:
            with self._timings.phase("lock"):
                locked = stack.enter_context(
                    locked_database(
                        options, admin, replacement,
                        lock_timeout=request.lock_timeout, terminate_sessions=request.terminate_sessions,
                    )
                )  # fmt: skip
            with self._timings.phase("undo set"):
                undo, undo_toc = self._undo_set(options)
            with self._timings.phase("restore"):
                failures: t.List[ObjectFailure] = []
                if self._foreign is None:
                    failures = locked.replace(client, folder, toc, undo_toc, self._rows, self._loading, jobs.statements)
                else:
                    chunks = archive_script(
                        client, self._foreign.path,
                        owner=request.owner, privileges=request.privileges, tablespaces=self._loading.tablespaces,
                    )  # fmt: skip
                    locked.replace_foreign(GuardedScript(chunks), toc, undo_toc)
                self._judge(
                    Loaded(tuple(failures)),
                    f"The database {request.target_db!r} is unchanged; the undo set {undo.set_id} was stored.",
                )
                locked.commit()
        left = (
            f"The database {request.target_db!r} has the restored content. Its former content is the set {undo.set_id} "
            "of the tier undo."
        )
        with self._timings.phase("refresh"):
            self._judge(Loaded((), self._refreshed(options, toc) if self._foreign is None else ()), left)
        recorded = recorded_properties(folder)
        self._properties = {
            "of": "target_db",
            "equal": True,
            "differences": [],
            "changed_since_backup": [
                asdict(item) for item in (property_differences(recorded, properties) if recorded else [])
            ],
        }
        return self._prove(options, left), {"mode": "in_place", "set": undo.set_id, "tier": "undo"}

    def _jobs(self, conn: Connection, replacement: Replacement) -> Jobs:
        source = self._rows(replacement.jobs) if replacement.jobs else None
        if replacement.jobs is None or source is None:
            return Jobs((), ())
        recorded = self._manifest.server.get("database", "") if self._manifest else ""
        return jobs_of(conn, replacement.jobs, source(), source_database=recorded, database=self._request.target_db)

    def _refreshed(self, options: ConnectionOptions, toc: Toc) -> t.Tuple[ObjectFailure, ...]:
        if self._request.materialized_views == "without_data":
            return materialized_views.left_empty(toc)
        return tuple(materialized_views.refresh(options, toc, search_path=self._loading.search_path))

    def _undo_set(self, options: ConnectionOptions) -> t.Tuple[BackupResult, Toc]:
        request = self._request
        found: t.List[Toc] = []
        store = guaranteed(self._store)
        if self._manifest is not None:
            seal_for(store, self._manifest.recipients)
        undo = back_up(
            BackupRequest(
                connection=options,
                source=guaranteed(request.source),
                tier="undo",
                profile=self._profile,
                jobs=request.jobs,
                spool_dir=request.spool_dir,
                on_toc=found.append,
            ),
            store,
        )
        return undo, found[0]

    def _rows(self, table: TocEntry) -> t.Optional[t.Callable[[], t.Iterator[bytes]]]:
        """What opens the COPY lines of a table of the set."""
        for entry in guaranteed(self._manifest).objects:
            if entry.role == "data" and entry.path == table.file_name:
                return functools.partial(proved_rows, guaranteed(self._store), entry)
        return None

    def _provide_roles(self, admin: Connection, folder: str, properties: t.Optional[DatabaseProperties]) -> None:
        toc = self._toc(folder)
        if not (self._request.owner or self._request.privileges):
            return
        named = (roles_of(toc) if toc else set()) | (properties.roles if properties else frozenset())
        missing = missing_roles(admin, named)
        if not missing:
            return
        if not self._request.create_roles:
            raise RecoveryError(
                ErrorKind.ROLES_MISSING,
                f"The server lacks {len(missing)} roles that the set names: {', '.join(missing[:10])}.",
                next_step="Create them, or set create_roles to true: they are made without login.",
                details={"roles": missing},
            )
        create_roles(admin, missing)
        self._roles_created = missing

    def _leave_out_tablespaces(self, admin: Connection, folder: str) -> None:
        missing = missing_tablespaces(admin, self._toc(folder))
        if missing and self._loading.tablespaces:
            self._loading = replace(self._loading, tablespaces=False)
            self._not_restored += [
                ObjectFailure(f"tablespace {name}", "the server lacks it, so all objects are in the default tablespace")
                for name in missing
            ]

    def _toc(self, folder: str) -> t.Optional[Toc]:
        if self._foreign is None:
            return read_toc(folder)
        return read_toc(self._foreign.path) if self._foreign.format == "directory" else None

    def _fit(self, options: ConnectionOptions, folder: str) -> None:
        """Leave out what needs extensions that are skipped; create the schemas that the other extensions need."""
        toc, request = self._toc(folder), self._request
        if toc is None or self._foreign is not None:
            return
        with connection(options, application="lifeline.recovery restore") as conn:
            fitted = fit_to_database(conn, toc, request.skip_extensions, required=request.object_errors == "fail")
            for schema in fitted.schemas:
                databases.execute(conn, f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}")
        self._restored = fitted.toc
        self._not_restored += fitted.left_out

    def _load(self, client: ClientPrograms, options: ConnectionOptions, folder: str) -> Loaded:
        request, toc = self._request, self._restored or self._toc(folder)
        refresh = request.materialized_views != "without_data"
        try:
            if self._foreign is not None and (self._foreign.format == "script" or not is_plain_archive(self._foreign)):
                self._run_script(client, options, self._foreign)
                return Loaded()
            if self._foreign is not None:
                return load_foreign(
                    client, options, self._foreign, folder, toc,
                    jobs=request.jobs, loading=self._loading, refresh=refresh,
                )  # fmt: skip
            return load_set(
                client, options, folder, guaranteed(toc), guaranteed(self._manifest), guaranteed(self._store),
                jobs=request.jobs, loading=self._loading, refresh=refresh,
            )  # fmt: skip
        except RecoveryError as error:
            error.left = (
                f"The database {request.target_db!r} is unchanged."
                if request.mode != "new"
                else f"No database {request.target_db!r} was made."
            )
            raise

    def _run_script(self, client: ClientPrograms, options: ConnectionOptions, foreign: ForeignDump) -> None:
        request = self._request
        if foreign.format == "script":
            chunks = foreign.chunks()
        else:
            chunks = archive_script(client, foreign.path, owner=request.owner, privileges=request.privileges)
        script = GuardedScript(chunks, skip_database_statements=request.skip_database_statements)
        load_script(options, script, one_transaction=self._script.one_transaction)

    def _judge(self, loaded: Loaded, left: str) -> None:
        """Raise RecoveryError for objects that were refused, unless the request only wants them reported."""
        failures = [*loaded.failures]
        if self._request.materialized_views == "required":
            failures += loaded.unpopulated
        else:
            self._unpopulated += loaded.unpopulated
            self._not_restored += loaded.unpopulated
        if failures and self._request.object_errors == "fail":
            raise objects_refused(failures, left)
        self._refused += failures
        self._not_restored += failures

    def _prove(self, options: ConnectionOptions, left: str) -> Proof:
        """Compare. A database that lacks objects whose errors are only reported is not called equal."""
        request = self._request
        rules = Rules(
            request.fingerprint, owner=request.owner, privileges=request.privileges,
            tablespaces=self._loading.tablespaces,
            # Within a live database, objects that the set does not know stay as they are.
            allow_additional=request.mode == "in_place", views_refreshed=True, restored=self._restored,
            columns=self._columns,
        )  # fmt: skip
        proof = prove(options, self._manifest, self._store, rules, jobs=request.jobs, timings=self._timings)
        proof = proof.without({failure.object for failure in self._unpopulated})
        if not proof.good and not self._refused:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"What was restored is not what was backed up: {proof.complaint}.",
                left=left,
                next_step="Check whether the differences matter; if they do, restore another set.",
                details={"fingerprint": asdict(proof)["fingerprint"], "foreign_keys": asdict(proof)["foreign_keys"]},
            )
        return proof

    def _undo(self, admin: Connection) -> t.Dict[str, str]:
        request = self._request
        kept = derived_name(request.target_db, f"_undone_{self._stamp.lower()}")
        current = databases.find(admin, request.target_db)
        former = databases.find(admin, request.undo_db or "")
        if current is None or former is None:
            gone = request.target_db if current is None else request.undo_db
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database {gone!r} was dropped during the run.",
                next_step="List the databases, then run the restore again.",
            )
        with self._timings.phase("swap"):
            exchange(
                self._server, current, former, kept,
                end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
            )  # fmt: skip
        return {"mode": "undo", "undo_db": kept}

    def _archive_major(self) -> int:
        return int(self._manifest.client["pg_dump"].split(".")[0]) if self._manifest else 0

    def _result(
        self, plan: t.Mapping[str, t.Any], digest: str, proof: Proof, undo: t.Mapping[str, str], *, changed: bool
    ) -> RestoreResult:
        request, manifest = self._request, self._manifest
        timings = self._timings.as_dict()
        what = f"set {manifest.set_id}" if manifest else (request.archive or request.undo_db or "")
        done, words = "Restored", proof.words if proof.good else f"it is not equal to the set: {proof.complaint}"
        if self._not_restored:
            words += "; " + _count(len(self._not_restored), "object") + " not or only in part restored: "
            words += ", ".join(failure.object for failure in self._not_restored[:3])
        outcome = f" in {timings['total']:.1f} s; {words}"
        if request.check_mode:
            done, outcome = "Would restore", "; nothing was changed"
        return RestoreResult(
            changed=changed,
            mode=request.mode,
            target_db=request.target_db,
            set_id=manifest.set_id if manifest else None,
            recovery_point=manifest.recovery_point if manifest else None,
            archive=request.archive,
            bytes_fetched=self._fetched,
            roles_created=self._roles_created,
            fingerprint=proof.fingerprint,
            foreign_keys=proof.foreign_keys,
            properties=self._properties,
            not_restored=[asdict(failure) for failure in self._not_restored],
            not_covered=list(manifest.coverage.get("not_covered", ())) if manifest else [],
            undo=undo,
            plan=plan,
            plan_digest=digest,
            timings=timings,
            summary=f"{done} {what} as {request.target_db!r} ({request.mode}){outcome}.",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
