# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set, or a dump that others made, and proves what came back."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from dataclasses import asdict, dataclass, field

from .._core.clock import PhaseListener, Timings, compact_instant, utc_now
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._core.sizes import readable_size
from .._sets.audit import write_audit
from .._sets.catalogue import find_set
from .._sets.fetch import fetch_objects
from .._sets.manifest import DATABASE_ENGINE, Manifest
from .._sets.recovery_points import Selection
from .._store.base import ObjectStore, seal_for
from . import catalog, databases
from .archive import ForeignDump, inspect_content, inspect_dump, is_plain_archive
from .backup import BackupRequest, back_up
from .client import ClientPrograms, find_client
from .connection import Connection, ConnectionOptions, connection, fetch_value
from .copy_in import load_rows
from .dump import read_toc
from .identity import elsewhere, identity_in, identity_of, known_identity
from .load import archive_script, load_archive, replace_content
from .proof import Proof, Rules, prove
from .roles import create_roles, missing_roles, roles_of
from .room import statements_that_make_room
from .run_script import load_script
from .script import GuardedScript, ScriptFacts
from .toc import Toc, list_without_rows

MODES = ("new", "swap", "in_place", "undo")

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('lifeline.recovery restore into ' || %s, 0))"

#: Parts of a plan that are shown, and left out of its digest: a confirmation outlasts who logs in and what is written.
_OF_THE_MOMENT = ("replaces", "sessions")


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore (a set by source and selection, or an archive) and where to.

    connection leads to a maintenance database of the target's server, for in_place to the target itself.
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
    """A restored and proved database. undo names what takes the restore back, where something does."""

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
    undo: t.Mapping[str, str]
    plan: t.Mapping[str, t.Any]
    plan_digest: str
    timings: t.Mapping[str, float]
    summary: str


def restore(request: RestoreRequest, store: t.Optional[ObjectStore]) -> RestoreResult:
    """Restore a database. Until it is loaded and proved, nothing under the target's name changes.

    Raises RecoveryError: target_exists, target_missing, target_in_use, roles_missing, damaged, not_equal,
    confirmation_required, restore_failed and those of the store; the error says what was left.
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

    def audit(self, status: str, details: t.Mapping[str, t.Any]) -> None:
        if self._store is None or not self._request.source or self._request.check_mode:
            return
        with contextlib.suppress(RecoveryError):
            write_audit(self._store, self._request.source, "restore", status, details)

    def complete(self) -> RestoreResult:
        request = self._request
        with contextlib.ExitStack() as stack:
            with self._timings.phase("preflight"):
                admin = stack.enter_context(connection(request.connection, application="lifeline.recovery restore"))
                if not fetch_value(admin, _LOCK, (request.target_db,)):
                    raise RecoveryError(
                        ErrorKind.TARGET_IN_USE,
                        f"Another restore into {request.target_db!r} is running.",
                        next_step="Wait for it to end.",
                    )
                if request.mode != "undo":
                    self._choose()
                plan = self._plan(admin)
                digest = plan_digest({name: part for name, part in plan.items() if name not in _OF_THE_MOMENT})
                if self._foreign is not None:
                    self._inspect(admin, self._foreign)
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
                left="It is as it was.",
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
            known = known_identity(self._store, request.source)
        return elsewhere(known, identity_of(catalog.server_facts(admin), request.connection, request.target_db))

    def _fetch(self, folder: str) -> None:
        """Bring the archive into the folder, without the rows where these go from the store into the tables."""
        if self._manifest is None or self._store is None:
            return
        rows_too = self._request.mode == "in_place"
        entries = [entry for entry in self._manifest.objects if rows_too or entry.role != "data"]
        with self._timings.phase("fetch"):
            fetch_objects(self._store, entries, folder, parallel=self._request.parallel)
        self._fetched = sum(entry.stored_size for entry in self._manifest.objects)

    def _beside(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Restore under a working name, prove it, and only then give it the target's name."""
        request = self._request
        if request.mode == "swap" and not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        working = derived_name(request.target_db, "_restoring")
        options = request.connection.with_database(working)
        with self._timings.phase("provision"):
            self._provide_roles(admin, folder)
            # Left by a run that was killed: the lock proves that nobody works on it now.
            databases.drop(admin, working)
            server = self._manifest.server if self._manifest else {}
            databases.create(
                admin, working, encoding=server.get("encoding", "UTF8"), collation=server.get("collation", "C.UTF-8")
            )
        try:
            with self._timings.phase("restore"):
                self._load(client, options, folder)
        except BaseException:
            databases.drop(admin, working)
            raise
        proof = self._prove(options, working)
        with self._timings.phase("swap" if request.mode == "swap" else "rename"):
            if request.mode == "new":
                databases.rename(admin, working, request.target_db)
                return proof, {}
            kept = derived_name(request.target_db, f"_before_{self._stamp.lower()}")
            try:
                databases.swap(admin, request.target_db, working, kept, end_sessions=request.terminate_sessions)
            except RecoveryError:
                databases.drop(admin, working)
                raise
        return proof, {"mode": "undo", "undo_db": kept}

    def _in_place(self, admin: Connection, client: ClientPrograms, folder: str) -> t.Tuple[Proof, t.Dict[str, str]]:
        """Replace the content within the database, in one transaction, after an undo set was taken."""
        request = self._request
        options = request.connection.with_database(request.target_db)
        if self._store is None or not request.source:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "Mode in_place takes an undo set first, and there is no store for it.",
                next_step="Give store and source.",
            )
        if not request.terminate_sessions:
            databases.refuse_sessions(admin, request.target_db)
        with self._timings.phase("undo set"):
            if self._manifest is not None:
                seal_for(self._store, self._manifest.recipients)
            undo = back_up(
                BackupRequest(
                    connection=options,
                    source=request.source,
                    tier="undo",
                    jobs=request.jobs,
                    spool_dir=request.spool_dir,
                ),
                self._store,
            )
        with self._timings.phase("provision"):
            self._provide_roles(admin, folder)
            databases.terminate(admin, request.target_db)
        with self._timings.phase("restore"):
            self._replace(client, options, folder)
        return self._prove(options, request.target_db), {"mode": "in_place", "set": undo.set_id, "tier": "undo"}

    def _provide_roles(self, admin: Connection, folder: str) -> None:
        toc = self._toc(folder)
        if toc is None or not (self._request.owner or self._request.privileges):
            return
        missing = missing_roles(admin, roles_of(toc))
        if not missing:
            return
        if not self._request.create_roles:
            raise RecoveryError(
                ErrorKind.ROLES_MISSING,
                f"The server lacks {len(missing)} roles that the set speaks of: {', '.join(missing[:10])}.",
                next_step="Create them, or set create_roles to true: they are made without login.",
                details={"roles": missing},
            )
        create_roles(admin, missing)
        self._roles_created = missing

    def _toc(self, folder: str) -> t.Optional[Toc]:
        if self._foreign is None:
            return read_toc(folder)
        return read_toc(self._foreign.path) if self._foreign.format == "directory" else None

    def _replace(self, client: ClientPrograms, options: ConnectionOptions, folder: str) -> None:
        toc = self._toc(folder)
        if toc is None:
            raise self._unknown_content()
        with connection(options, application="lifeline.recovery restore") as conn:
            first = statements_that_make_room(conn, toc)
        archive = folder if self._foreign is None else self._foreign.path
        request = self._request
        try:
            replace_content(
                client,
                options,
                archive,
                first,
                owner=request.owner,
                privileges=request.privileges,
                own=self._foreign is None,
            )
        except RecoveryError as error:
            error.left = f"The database {request.target_db!r} is as it was."
            raise

    def _load(self, client: ClientPrograms, options: ConnectionOptions, folder: str) -> None:
        request, foreign = self._request, self._foreign
        load = functools.partial(load_archive, client, options, owner=request.owner, privileges=request.privileges)
        try:
            if foreign is not None and foreign.format != "script" and is_plain_archive(foreign):
                load(foreign.path, jobs=request.jobs)
            elif foreign is not None:
                self._run_script(client, options, foreign)
            elif self._manifest is not None and self._store is not None:
                toc = read_toc(folder)
                load(folder, jobs=1, only=["--section=pre-data"])
                load_rows(options, toc, self._manifest.objects, self._store, jobs=request.jobs)
                rest = list_without_rows(toc, folder)
                only = ["--section=data", "--section=post-data", f"--use-list={rest}"]
                load(folder, jobs=request.jobs, only=only)
        except RecoveryError as error:
            error.left = (
                f"The database {request.target_db!r} is as it was."
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

    def _prove(self, options: ConnectionOptions, name: str) -> Proof:
        request = self._request
        rules = Rules(
            request.fingerprint, owner=request.owner, privileges=request.privileges,
            # Within a live database, objects that the set does not know stay as they are.
            allow_additional=request.mode == "in_place", views_refreshed=True,
        )  # fmt: skip
        proof = prove(options, self._manifest, self._store, rules, jobs=request.jobs, timings=self._timings)
        if not proof.good:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"What was restored is not what was backed up: {proof.complaint}.",
                left=f"It was kept as the database {name!r} to look at"
                + ("." if self._request.mode == "in_place" else f"; {self._request.target_db!r} is as it was."),
                next_step="Restore another set.",
                details={"fingerprint": asdict(proof)["fingerprint"], "foreign_keys": asdict(proof)["foreign_keys"]},
            )
        return proof

    def _undo(self, admin: Connection) -> t.Dict[str, str]:
        request = self._request
        kept = derived_name(request.target_db, f"_undone_{self._stamp.lower()}")
        with self._timings.phase("swap"):
            databases.swap(
                admin, request.target_db, request.undo_db or "", kept, end_sessions=request.terminate_sessions
            )
        return {"mode": "undo", "undo_db": kept}

    def _archive_major(self) -> int:
        return int(self._manifest.client["pg_dump"].split(".")[0]) if self._manifest else 0

    def _result(
        self, plan: t.Mapping[str, t.Any], digest: str, proof: Proof, undo: t.Mapping[str, str], *, changed: bool
    ) -> RestoreResult:
        request, manifest = self._request, self._manifest
        timings = self._timings.as_dict()
        what = f"set {manifest.set_id}" if manifest else (request.archive or request.undo_db or "")
        done, told = "Restored", f" in {timings['total']:.1f} s; {proof.words}"
        if request.check_mode:
            done, told = "Would restore", "; nothing was changed"
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
            undo=undo,
            plan=plan,
            plan_digest=digest,
            timings=timings,
            summary=f"{done} {what} as {request.target_db!r} ({request.mode}){told}.",
        )


def derived_name(name: str, suffix: str) -> str:
    """name with suffix, shortened to the 63 bytes that PostgreSQL keeps of a name."""
    room = 63 - len(suffix.encode())
    return name.encode()[:room].decode("utf-8", "ignore") + suffix
