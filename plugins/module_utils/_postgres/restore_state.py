# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of a restore share: the request, what was found so far, and how it is judged."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import asdict, replace

from .._core.clock import Timings, compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._sets.fetch import proved_rows
from .._sets.manifest import Manifest
from .._store.base import ObjectStore
from .archive import ForeignDump
from .beside import Loaded, missing_tablespaces
from .connection import Connection, ConnectionOptions
from .dump import read_toc
from .in_place import Loading
from .object_errors import ObjectFailure, objects_refused
from .proof import Content, Proof, Rules, prove
from .properties import DatabaseProperties
from .restore_request import RestoreRequest
from .roles import create_roles, missing_roles, require_right_to_create, roles_of
from .script import ScriptFacts
from .toc import Toc, TocEntry


class RestoreState:
    """One restore while it runs. store is required by all modes but those that only read an archive."""

    def __init__(self, request: RestoreRequest, store: t.Optional[ObjectStore]) -> None:
        self.request, self.store = request, store
        self.timings = Timings(request.listener)
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

    def toc(self, folder: str) -> t.Optional[Toc]:
        if self.foreign is None:
            return read_toc(folder)
        return read_toc(self.foreign.path) if self.foreign.format == "directory" else None

    def rows_of(self, table: TocEntry) -> t.Optional[t.Callable[[], t.Iterator[bytes]]]:
        """What opens the COPY lines of a table of the set."""
        for entry in guaranteed(self.manifest).objects:
            if entry.role == "data" and entry.path == table.file_name:
                return functools.partial(proved_rows, guaranteed(self.store), entry)
        return None

    def missing_roles(self, admin: Connection, folder: str, properties: t.Optional[DatabaseProperties]) -> t.List[str]:
        """Roles that the server lacks. Raises RecoveryError(roles_missing) unless the request has them created."""
        toc = self.toc(folder)
        if toc is None:
            named = set(self.script.roles)
        elif self.request.owner or self.request.privileges:
            named = roles_of(toc)
        else:
            return []
        if properties and (self.request.owner or self.request.privileges):
            named |= properties.roles
        missing = missing_roles(admin, named)
        if missing and not self.request.create_roles:
            what = "dump" if self.foreign else "set"
            raise RecoveryError(
                ErrorKind.ROLES_MISSING,
                f"The server lacks {len(missing)} roles that the {what} names: {', '.join(missing[:10])}.",
                next_step="Create them, or set `create_roles` to true: they are made without login.",
                details={"roles": missing},
            )
        if missing:
            require_right_to_create(admin)
        return missing

    def create_roles(self, admin: Connection, missing: t.List[str]) -> None:
        create_roles(admin, missing)
        self.roles_created = missing

    def leave_out_tablespaces(self, admin: Connection, folder: str) -> None:
        missing = missing_tablespaces(admin, self.toc(folder))
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
        proof = proof.without({failure.object for failure in self.unpopulated})
        self.require_good(proof, left)
        return proof

    def require_good(self, proof: Proof, left: str) -> None:
        """Raise RecoveryError(not_equal), unless the request only wants refused objects reported."""
        if not proof.good and not self.refused:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"What was restored is not what was backed up: {proof.complaint}.",
                left=left,
                next_step="Check whether the differences matter; if they do, restore another set.",
                details={"fingerprint": asdict(proof)["fingerprint"], "foreign_keys": asdict(proof)["foreign_keys"]},
            )
