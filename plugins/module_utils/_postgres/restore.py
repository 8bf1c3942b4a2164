# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set, or a dump that others made, and proves what came back."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import asdict

from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._core.sizes import counted, readable_size
from .._sets.catalogue import find_set
from .._sets.fetch import fetch_objects
from .._sets.identity import elsewhere, identity_in, known_identity
from .._sets.manifest import DATABASE_ENGINE
from .._store.base import ObjectStore
from . import catalog, databases
from .archive import ForeignDump, inspect_content, inspect_dump
from .client import find_client
from .connection import Connection, connection
from .databases import derived_name
from .dump import TOC_NAME
from .identity import identity_of
from .proof import Proof
from .properties import PROPERTIES_FILE
from .recorded import recorded
from .restore_beside import BesideRestore
from .restore_in_place import InPlaceRestore, unknown_content
from .restore_request import RestoreRequest, RestoreResult
from .restore_state import RestoreState
from .swap import exchange

#: Parts of a plan that are shown, and left out of its digest: a confirmation outlasts who logs in and what is written.
_OF_THE_MOMENT = ("replaces", "sessions")


#: What a set is judged by before it is fetched: its table of contents, and the properties of the database.
_DESCRIPTIONS = (TOC_NAME, PROPERTIES_FILE)


def restore(request: RestoreRequest, store: t.Optional[ObjectStore]) -> RestoreResult:
    """Restore a database. Until it is loaded and proved, nothing under the target's name changes.

    Raises RecoveryError: target_exists, target_missing, target_in_use, roles_missing, damaged, not_equal, locked,
    unsupported, conflict, confirmation_required, restore_failed and those of the store; the error says what was left.
    """
    state = RestoreState(request, store)
    with recorded(state) as outcome:
        result = _Run(state).complete()
        outcome.succeeded(result)
    return result


class _Run:
    def __init__(self, state: RestoreState) -> None:
        self._state = state

    def complete(self) -> RestoreResult:
        request = self._state.request
        with contextlib.ExitStack() as stack:
            with self._state.timings.phase("preflight"):
                admin = stack.enter_context(connection(self._state.server, application="lifeline.recovery restore"))
                stack.enter_context(databases.restore_lock(admin, self._state.server, request.target_db))
                if request.mode != "undo":
                    self._choose()
                    request.preparation.require_available(admin)
                plan = self._plan(admin)
                digest = plan_digest({name: part for name, part in plan.items() if name not in _OF_THE_MOMENT})
                if self._state.foreign is not None:
                    self._inspect(admin, self._state.foreign)
                kind = InPlaceRestore if request.mode == "in_place" else BesideRestore
                work = kind(self._state)
                folder = stack.enter_context(scratch_folder("lifeline-restore-", request.spool_dir))
                if request.mode != "undo":
                    self._fetch(folder, _DESCRIPTIONS)
                    work.refuse(admin, folder)
            if request.check_mode:
                return self._result(plan, digest, Proof(), {}, changed=True)
            if request.mode != "new":
                require_confirmation(
                    request.environment, request.confirm, request.target_db, digest, self._does(),
                    elsewhere=self._elsewhere(admin),
                )  # fmt: skip
            if request.mode == "undo":
                return self._result(plan, digest, Proof(), self._undo(admin), changed=True)
            client = find_client(
                max(self._archive_major(), catalog.server_facts(admin).major), request.connection.client_bin_dir
            )
            with self._state.timings.phase("fetch"):
                self._fetch(folder)
            self._state.fetched = (
                sum(e.stored_size for e in self._state.manifest.objects) if self._state.manifest else 0
            )
            proof, undo = work.complete(admin, client, folder)
        return self._result(plan, digest, proof, undo, changed=True)

    def _choose(self) -> None:
        request = self._state.request
        if request.archive and request.skip_extensions:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`skip_extensions` is for sets, and `archive` is a dump of another tool.",
                next_step="Leave out one of the two options.",
            )
        if request.preparation and (not request.archive or request.mode == "in_place"):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`create_schemas` and `create_extensions` are for an `archive` that is restored into a new database.",
                left="Nothing was changed.",
                next_step="Leave both options out: a set holds its schemas and extensions.",
            )
        if request.archive:
            self._state.foreign = inspect_dump(request.archive)
        elif self._state.store is not None and request.source:
            self._state.manifest = find_set(self._state.store, request.source, request.selection)
            self._state.manifest.require_kind(DATABASE_ENGINE)
        else:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "There is nothing to restore.",
                next_step="Give store and source, or the path of an archive.",
            )

    def _inspect(self, admin: Connection, foreign: ForeignDump) -> None:
        """Read the dump to its end before anything is made: it may hold any statement, and may be cut off."""
        request = self._state.request
        if request.mode == "in_place" and foreign.format != "directory":
            raise unknown_content()
        self._state.script = inspect_content(
            foreign,
            lambda: find_client(catalog.server_facts(admin).major, request.connection.client_bin_dir),
            owner=request.owner,
            privileges=request.privileges,
            skip_database_statements=request.skip_database_statements,
        )

    def _plan(self, admin: Connection) -> t.Dict[str, t.Any]:
        request = self._state.request
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
                next_step="Give `undo_db` as the result of the restore named it.",
            )
        if request.mode == "undo":
            self._refuse_exchange(admin)
        return {
            "mode": request.mode,
            "target_db": request.target_db,
            "server": request.connection.place.rsplit("/", 1)[0],
            "system_identifier": catalog.server_facts(admin).system_identifier,
            "set_id": self._state.manifest.set_id if self._state.manifest else None,
            "archive": request.archive,
            "undo_db": request.undo_db,
            "replaces": readable_size(databases.size(admin, request.target_db)) if there else None,
            "sessions": len(databases.sessions(admin, request.target_db)) if there else 0,
        }

    def _does(self) -> str:
        """For the confirmation: what happens to the target."""
        request = self._state.request
        if request.mode == "undo":
            return f"puts the database {request.undo_db!r} in the place of"
        return "replaces the content of the database" if request.mode == "in_place" else "replaces the database"

    def _refuse_exchange(self, admin: Connection) -> None:
        request = self._state.request
        databases.require_right_to_create(admin)
        for name in (request.target_db, request.undo_db or ""):
            databases.require_right_to_rename(admin, name)
            if request.terminate_sessions:
                databases.require_right_to_end_sessions(admin, name)

    def _elsewhere(self, admin: Connection) -> t.Optional[str]:
        """Why the target is not the database of the set, or of the source whose restore is undone; else None."""
        request = self._state.request
        known = identity_in(self._state.manifest) if self._state.manifest else None
        if known is None and self._state.store is not None and request.source:
            known = known_identity(self._state.store, request.source, DATABASE_ENGINE)
        return elsewhere(known, identity_of(catalog.server_facts(admin), request.connection, request.target_db))

    def _fetch(self, folder: str, paths: t.Collection[str] = ()) -> None:
        """Bring the archive into the folder without the rows, which go from the store into the tables.

        paths: bring only these objects, which are not fetched a second time.
        """
        if self._state.manifest is None or self._state.store is None:
            return
        entries = [entry for entry in self._state.manifest.objects if entry.role != "data"]
        entries = [entry for entry in entries if (entry.path in paths if paths else entry.path not in _DESCRIPTIONS)]
        fetch_objects(self._state.store, entries, folder, parallel=self._state.request.parallel)

    def _undo(self, admin: Connection) -> t.Dict[str, str]:
        request = self._state.request
        kept = derived_name(request.target_db, f"_undone_{self._state.stamp.lower()}")
        current = databases.find(admin, request.target_db)
        former = databases.find(admin, request.undo_db or "")
        if current is None or former is None:
            gone = request.target_db if current is None else request.undo_db
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database {gone!r} was dropped during the run.",
                next_step="List the databases, then run the restore again.",
            )
        with self._state.timings.phase("swap"):
            exchange(
                self._state.server, current, former, kept,
                end_sessions=request.terminate_sessions, lock_timeout=request.lock_timeout,
            )  # fmt: skip
        return {"mode": "undo", "undo_db": kept}

    def _archive_major(self) -> int:
        return int(self._state.manifest.client["pg_dump"].split(".")[0]) if self._state.manifest else 0

    def _result(
        self, plan: t.Mapping[str, t.Any], digest: str, proof: Proof, undo: t.Mapping[str, str], *, changed: bool
    ) -> RestoreResult:
        request, manifest = self._state.request, self._state.manifest
        timings = self._state.timings.as_dict()
        what = f"set {manifest.set_id}" if manifest else (request.archive or request.undo_db or "")
        done, words = "Restored", proof.words if proof.good else f"it is not equal to the set: {proof.complaint}"
        if self._state.not_restored:
            words += "; " + counted(len(self._state.not_restored), "object") + " not or only in part restored: "
            words += ", ".join(failure.object for failure in self._state.not_restored[:3])
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
            bytes_fetched=self._state.fetched,
            roles_created=self._state.roles_created,
            fingerprint=proof.fingerprint,
            foreign_keys=proof.foreign_keys,
            properties=self._state.properties,
            not_restored=[asdict(failure) for failure in self._state.not_restored],
            not_covered=list(manifest.coverage.get("not_covered", ())) if manifest else [],
            undo=undo,
            plan=plan,
            plan_digest=digest,
            timings=timings,
            summary=f"{done} {what} as {request.target_db!r} ({request.mode}){outcome}.",
        )
