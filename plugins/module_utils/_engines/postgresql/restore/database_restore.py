# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore of a whole PostgreSQL database as a change: the plan, the fetch, the judgement, the result."""

from __future__ import annotations

import abc
import functools
import typing as t
from dataclasses import asdict, replace

from ...._core.clock import compact_instant, utc_now
from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.process import scratch_folder
from ...._core.sizes import counted, first_of, readable_size
from ...._repository.catalogue import find_set
from ...._repository.change import Change, ChangePlan, Outcome
from ...._repository.fetch import fetch_objects, proved_rows
from ...._repository.identity import Identity, elsewhere, identity_in, known_identity
from ...._repository.manifest import DATABASE_ENGINE, Manifest
from ...._store.base import ObjectStore
from ..archive.dump import TOC_NAME, read_toc
from ..archive.object_errors import ObjectFailure, objects_refused
from ..archive.properties import PROPERTIES_FILE, DatabaseProperties
from ..archive.roles import create_roles, missing_roles, require_right_to_create, roles_of
from ..archive.toc import Toc, TocEntry
from ..foreign.archive import ForeignDump, inspect_content, inspect_dump
from ..foreign.script import ScriptFacts
from ..neutral.neutralization import neutralize_copy
from ..neutral.request import Neutralized, NeutralRules
from ..server import catalog
from ..server.client import find_client
from ..server.connection import ConnectionOptions, connection
from ..server.identity import identity_of
from . import databases
from .database_load import Loaded, missing_tablespaces
from .in_place import Loading
from .proof import Content, Proof, Rules, prove
from .restore_request import RestoreRequest, RestoreResult

#: Shown parts of a plan that its digest leaves out: a confirmation stays valid when sessions connect and write.
_OF_THE_MOMENT = ("replaces", "sessions")
#: Names in a summary.
_SHOWN = 3

#: A set is judged by these objects before it is fetched: its table of contents, and the properties of the database.
_DESCRIPTIONS = (TOC_NAME, PROPERTIES_FILE)


class DatabaseRestore(Change[RestoreResult]):
    """A restore of a whole database: what the modes share. store is required by all modes but `new` of an archive.

    Until the database is loaded and verified, nothing under the name of the target changes.
    Raises RecoveryError: target_exists, target_missing, target_in_use, roles_missing, damaged, not_equal, locked,
    unsupported, conflict, confirmation_required, restore_failed and those of the store; the error states what was left.
    """

    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source, request.listener)
        self.request = request
        self.details = {"mode": request.mode, "target_db": request.target_db}
        self.manifest: t.Optional[Manifest] = None
        self.foreign: t.Optional[ForeignDump] = None
        self.script = ScriptFacts()
        self.stamp = compact_instant(utc_now())
        self.roles_created: t.List[str] = []
        self.fetched = 0
        self.restored: t.Optional[Toc] = None
        self.columns: t.Mapping[t.Tuple[str, str], t.Sequence[str]] = {}
        self.not_restored: t.List[ObjectFailure] = []
        self.refused: t.List[ObjectFailure] = []
        self.unpopulated: t.List[ObjectFailure] = []
        self.properties: t.Dict[str, t.Any] = {"of": "none", "equal": None, "differences": []}
        self.proof = Proof()
        self.replaced_equal: t.Optional[bool] = None
        self.neutralized: t.List[Neutralized] = []
        self.loading = Loading(
            owner=request.owner,
            privileges=request.privileges,
            tablespaces=request.tablespaces,
            rows_as_owner=request.rows_as == "owner",
        )
        self.server = request.connection
        if request.mode != "in_place" and self.server.database == request.target_db:
            # A database cannot be renamed by a session within it.
            self.server = self.server.with_database("postgres")

    def plan(self) -> ChangePlan:
        request = self.request
        with self.timings.phase("preflight"):
            self.admin = admin = self.resources.enter_context(
                connection(self.server, application="lifeline.recovery restore")
            )
            self.resources.enter_context(databases.restore_lock(admin, self.server, request.target_db))
            self.select_origin()
            self._plan = self._describe()
            self.folder = self.resources.enter_context(scratch_folder("lifeline-restore-", request.spool_dir))
            self.refuse()
        return ChangePlan(
            {name: part for name, part in self._plan.items() if name not in _OF_THE_MOMENT},
            request.target_db,
            destroys=request.mode != "new",
            does=self.verb,
            elsewhere=self._elsewhere() if request.mode != "new" else None,
        )

    #: For the confirmation: what happens to the target, up to its name.
    verb = "replaces the database"

    def select_origin(self) -> None:
        """The set or the dump that is restored. Raises RecoveryError for options that contradict each other."""
        request = self.request
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
            self.foreign = inspect_dump(request.archive)
        elif self.store is not None and request.source:
            self.manifest = self.restores = find_set(self.store, request.source, request.selection)
            self.details["set_id"] = self.manifest.set_id
            self.manifest.require_kind(DATABASE_ENGINE)
        else:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "Either `store` with `source` or `archive` is required.",
                next_step="Set `store` and `source`, or `archive` to the path of a dump.",
            )
        request.preparation.require_available(self.admin)

    def refuse(self) -> None:
        """Raise RecoveryError for everything that would stop the restore later; check mode tests this as well."""
        if self.foreign is not None:
            self._inspect(self.foreign)
        self._fetch(_DESCRIPTIONS)
        self.refuse_target()

    @abc.abstractmethod
    def refuse_target(self) -> None:
        """Raise RecoveryError for what the role or the server lacks. The folder holds the descriptions of a set."""

    def _inspect(self, foreign: ForeignDump) -> None:
        """Read the dump to its end before anything is made: it may hold any statement, and may be cut off."""
        request = self.request
        if request.mode == "in_place" and foreign.format != "directory":
            raise unknown_content()
        self.script = inspect_content(
            foreign,
            lambda: find_client(catalog.server_facts(self.admin).major, request.connection.client_bin_dir),
            owner=request.owner,
            privileges=request.privileges,
            skip_database_statements=request.skip_database_statements,
        )

    def _describe(self) -> t.Dict[str, t.Any]:
        """The plan as data. Raises RecoveryError if the target exists and must not, or is missing."""
        request, admin = self.request, self.admin
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
                f"The database {request.target_db!r} does not exist on {request.connection.place}.",
                next_step="Use mode new to create it.",
            )
        return {
            "mode": request.mode,
            "target_db": request.target_db,
            "server": request.connection.place.rsplit("/", 1)[0],
            "system_identifier": catalog.server_facts(admin).system_identifier,
            "set_id": self.manifest.set_id if self.manifest else None,
            "archive": request.archive,
            "undo_db": request.undo_db,
            "neutralize": self.is_neutralized,
            "replaces": readable_size(databases.size(admin, request.target_db)) if there else None,
            "sessions": sum(
                len(databases.sessions(admin, name))
                for name in (request.target_db, request.undo_db if request.mode == "undo" else None)
                if name
            ),
        }

    def _elsewhere(self) -> t.Optional[str]:
        """Why the target is not the database of the set, or of the source whose restore is undone; else None."""
        request = self.request
        target = identity_of(catalog.server_facts(self.admin), request.connection, request.target_db)
        return elsewhere(self._known_identity(), target)

    def _known_identity(self) -> t.Optional[Identity]:
        known = identity_in(self.manifest) if self.manifest else None
        if known is None and self.store is not None and self.request.source:
            known = known_identity(self.store, self.request.source, DATABASE_ENGINE)
        return known

    @property
    def is_neutralized(self) -> bool:
        """Whether the target is a copy that must not act outside, and not the live database of the source."""
        request = self.request
        if not request.neutralize or request.mode == "undo":
            return False
        known = self._known_identity()
        if request.mode == "new" and known is not None and known.database != request.target_db:
            return True
        if request.safeguards.environment == "production":
            return False
        return request.mode == "new" if known is None else self._elsewhere() is not None

    def neutralize(self, options: ConnectionOptions, left: str) -> None:
        """Disable the objects of the copy that act outside it, before the copy gets its name if that is possible."""
        if self.is_neutralized:
            with self.timings.phase("neutralize"):
                self.neutralized += neutralize_copy(
                    options,
                    self.request.neutralize_rules or NeutralRules(),
                    lock_timeout=self.request.lock_timeout,
                    left=left,
                )
            self.details["neutralized"] = [f"{one.kind} {one.name}" for one in self.neutralized]

    def prepare(self) -> None:
        """Fetch the set without the rows, which go from the store into the tables."""
        archive_major = int(self.manifest.client["pg_dump"].split(".")[0]) if self.manifest else 0
        self.client = find_client(
            max(archive_major, catalog.server_facts(self.admin).major), self.request.connection.client_bin_dir
        )
        with self.timings.phase("fetch"):
            self._fetch()
        self.fetched = sum(entry.stored_size for entry in self.manifest.objects) if self.manifest else 0

    def _fetch(self, paths: t.Collection[str] = ()) -> None:
        """paths: fetch only these objects, which are not fetched a second time."""
        if self.manifest is None or self.store is None:
            return
        entries = [entry for entry in self.manifest.objects if entry.role != "data"]
        entries = [entry for entry in entries if (entry.path in paths if paths else entry.path not in _DESCRIPTIONS)]
        fetch_objects(self.store, entries, self.folder, parallel=self.request.parallel)

    @property
    def profile(self) -> str:
        return str(self.manifest.coverage.get("profile", "none")) if self.manifest else "none"

    @property
    def rules(self) -> Rules:
        request = self.request
        return Rules(
            request.fingerprint, owner=request.owner, privileges=request.privileges,
            tablespaces=self.loading.tablespaces,
            # Within a live database, objects that the set does not know stay as they are.
            allow_additional=request.mode == "in_place", views_refreshed=True, restored=self.restored,
            columns=self.columns,
        )  # fmt: skip

    def toc(self) -> t.Optional[Toc]:
        if self.foreign is None:
            return read_toc(self.folder)
        return read_toc(self.foreign.path) if self.foreign.format == "directory" else None

    def rows_of(self, table: TocEntry) -> t.Optional[t.Callable[[], t.Iterator[bytes]]]:
        """A function that opens the COPY lines of a table of the set."""
        for entry in guaranteed(self.manifest).objects:
            if entry.role == "data" and entry.path == table.file_name:
                return functools.partial(proved_rows, guaranteed(self.store), entry)
        return None

    def missing_roles(self, properties: t.Optional[DatabaseProperties]) -> t.List[str]:
        """Roles that the server lacks. Raises RecoveryError(roles_missing) unless the request has them created."""
        toc = self.toc()
        if toc is None:
            named = set(self.script.roles)
        elif self.request.owner or self.request.privileges:
            named = roles_of(toc)
        else:
            return []
        if properties and (self.request.owner or self.request.privileges):
            named |= properties.roles
        missing = missing_roles(self.admin, named)
        if missing and not self.request.create_roles:
            what = "dump" if self.foreign else "set"
            raise RecoveryError(
                ErrorKind.ROLES_MISSING,
                f"The server lacks {len(missing)} roles that the {what} names: {', '.join(missing[:10])}.",
                next_step="Create them, or set `create_roles` to true: they are made without login.",
                details={"roles": missing},
            )
        if missing:
            require_right_to_create(self.admin)
        return missing

    def create_roles(self, missing: t.List[str]) -> None:
        create_roles(self.admin, missing)
        self.roles_created = missing

    def leave_out_tablespaces(self) -> None:
        missing = missing_tablespaces(self.admin, self.toc())
        if missing and self.loading.tablespaces:
            self.loading = replace(self.loading, tablespaces=False)
            self.not_restored += [
                ObjectFailure(f"tablespace {name}", "the server lacks it, so all objects are in the default tablespace")
                for name in missing
            ]

    def judge(self, loaded: Loaded, left: str) -> None:
        """Raise RecoveryError for objects that were refused, unless the request only wants them reported."""
        failures = [*loaded.failures]
        if self.request.materialized_views == "required":
            failures += loaded.unpopulated
        else:
            self.unpopulated += loaded.unpopulated
            self.not_restored += loaded.unpopulated
        if failures and self.request.object_errors == "fail":
            raise objects_refused(failures, left)
        self.refused += failures
        self.not_restored += failures

    def prove(self, options: ConnectionOptions, left: str, before: t.Optional[Content] = None) -> Proof:
        """Compare. A database that lacks objects whose errors are only reported is not called equal.

        before: what was compared before the commit of a restore within a live database.
        """
        proof = prove(
            options, self.manifest, self.store, self.rules,
            jobs=self.request.jobs, timings=self.timings, before=before,
        )  # fmt: skip
        self.proof = proof.without({failure.object for failure in self.unpopulated})
        self.require_good(self.proof, left)
        refused = [failure.object for failure in self.refused]
        self.equal = False if refused else self.proof.fingerprint.get("equal")
        self.unequal = refused or [str(item["what"]) for item in self.proof.fingerprint.get("differences", ())]
        if refused:
            self.details["objects_refused"] = len(refused)
        return self.proof

    def require_good(self, proof: Proof, left: str) -> None:
        """Raise RecoveryError(not_equal), unless the request only wants refused objects reported."""
        if not proof.good and not self.refused:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The restored database differs from the backup set: {proof.complaint}.",
                left=left,
                next_step="Check whether the differences matter; if they do, restore another set.",
                details={"fingerprint": asdict(proof)["fingerprint"], "foreign_keys": asdict(proof)["foreign_keys"]},
                objects=[item["what"] for item in proof.fingerprint.get("differences", ())],
            )

    def result(self, outcome: Outcome) -> RestoreResult:
        request, manifest, proof = self.request, self.manifest, self.proof
        timings = self.timings.as_dict()
        origin = f"set {manifest.set_id}" if manifest else (request.archive or request.undo_db or "")
        ending = proof.outcome if proof.good else f"it is not equal to the set: {proof.complaint}"
        if self.not_restored:
            ending += "; " + counted(len(self.not_restored), "object") + " not or only in part restored: "
            ending += ", ".join(failure.object for failure in self.not_restored[:3])
        if self.neutralized:
            ending += f"; {counted(len(self.neutralized), 'object')} of the copy disabled: "
            ending += first_of([f"{one.kind.replace('_', ' ')} {one.name}" for one in self.neutralized], _SHOWN)
        done, ending = "Restored", f" in {timings['total']:.1f} s; {ending}"
        if not self.safeguards.acts:
            done, ending = "Would restore", "; nothing was changed"
        return RestoreResult(
            **vars(outcome),
            mode=request.mode,
            target_db=request.target_db,
            set_id=manifest.set_id if manifest else None,
            recovery_point=manifest.recovery_point if manifest else None,
            archive=request.archive,
            bytes_fetched=self.fetched,
            roles_created=self.roles_created,
            fingerprint=proof.fingerprint,
            replaced_equal=self.replaced_equal,
            foreign_keys=proof.foreign_keys,
            properties=self.properties,
            not_restored=[asdict(failure) for failure in self.not_restored],
            not_covered=list(manifest.coverage.get("not_covered", ())) if manifest else [],
            neutralized=self.neutralized,
            plan=self._plan,
            timings=timings,
            summary=f"{done} {origin} as {request.target_db!r} ({request.mode}){ending}.",
        )


def unknown_content() -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNSUPPORTED,
        "Mode in_place restores sets and directory archives, because it must know what to replace.",
        next_step="Use mode swap for this dump.",
    )
