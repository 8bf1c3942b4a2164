# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores tables or rows of a set into live tables: select, compare, store the undo set, merge, verify."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.notices import note
from ...._core.process import scratch_folder
from ...._core.sizes import counted, readable_size
from ...._repository.catalogue import find_set, older_set
from ...._repository.change import Change, ChangePlan, Outcome, Unchanged
from ...._repository.identity import elsewhere, identity_in
from ...._repository.manifest import ROWS_ENGINE
from ...._repository.row_changes import Changes, left_rows, missing_rows, what_it_does, why_unchanged
from ...._store.base import ObjectStore, seal_for
from ..archive.dump import TOC_NAME
from ..archive.toc import parse_toc
from ..server import catalog
from ..server.client import ClientPrograms, find_client
from ..server.confined import Session, owner_session, run
from ..server.connection import connection
from ..server.foreign_keys import ForeignKey, count_violations
from ..server.identity import identity_of
from ..server.names import QualifiedName
from . import proof
from .description import Description, Rows
from .guarded import before_commit, guarded_change
from .local import LocalObjects
from .merge import (
    UNTOUCHED,
    apply_changes,
    count_differing,
    find_changes,
    merge_error,
    require_no_conflicts,
    require_unreferenced,
    samples,
)
from .rebuild import Rebuild, plan_rebuild, run_entries, write_toc
from .request import RowsRequest
from .rows_set import write_rows_set
from .scope import Root
from .selection import begin, choose_rows, read_description, roots_of, session_for
from .staging import Staged, copy_rows
from .target_tables import TargetTable, keys_touching, read_target_tables, require_readable
from .undo import rows_to_keep


@dataclass(frozen=True)
class RowsResult(Outcome):
    """The restored rows. missing_keys: keys that the set does not hold.

    created_tables: tables that the restore created because they were dropped.
    """

    set_id: str
    tier: str
    recovery_point: str
    mode: str
    tables: t.Sequence[Changes]
    created_tables: t.Sequence[str]
    bytes_fetched: int
    bytes_in_set: int
    foreign_keys: t.Mapping[str, t.Any]
    sequences: t.Sequence[str]
    fingerprint: t.Mapping[str, t.Any]
    plan: t.Mapping[str, t.Any]
    timings: t.Mapping[str, float]
    summary: str
    diff: t.Mapping[str, str]
    missing_keys: t.Mapping[str, t.Any]


class RowsRestore(Change[RowsResult]):
    """Restores rows. One transaction changes the live tables, after an undo set of what it touches was stored.

    Raises RecoveryError: table_missing, schema_drift, limit_exceeded, conflict, confirmation_required, access_denied,
    rls_blind, locked, not_equal, restore_failed, and those of the store; the live tables are then unchanged.
    """

    operation = "restore_rows"

    def __init__(self, request: RowsRequest, store: ObjectStore) -> None:
        super().__init__(request.safeguards, store, request.source, request.listener)
        self._request, self._store = request, store
        self.details = {"reason": request.reason, "mode": request.mode}
        self._diff: t.Dict[str, str] = {}
        self._rebuild: t.Optional[Rebuild] = None
        self._sessions: t.List[Session] = []
        self._made: t.List[Changes] = []
        self._created: t.Collection[TargetTable] = ()
        self._foreign_keys: t.Dict[str, t.Any] = {"checked": 0, "violated": []}
        self._moved: t.Sequence[str] = []
        self._equal: t.Dict[str, t.Any] = {"equal": None, "tables": 0}
        self._is_committing = False

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("preflight"):
            self._conn = conn = self.resources.enter_context(
                connection(request.connection, application="lifeline.recovery rows", describe=self._refusal)
            )
            self._manifest = find_set(self._store, request.source, request.selection)
            self.details["set_id"] = self._manifest.set_id
            self._folder = self.resources.enter_context(scratch_folder("lifeline-rows-", request.spool_dir))
            self._objects = LocalObjects(self._store, self._folder, parallel=request.parallel)
            description = read_description(self._manifest, self._objects)
            self._facts = catalog.server_facts(conn)
            roots = roots_of(request, description)
            gone = self._gone(roots)
        if gone:
            with self.timings.phase("make tables"):
                begin(conn, request.lock_timeout)
                self._made = self._make(gone, description)
        with self.timings.phase("choose"):
            rest = [root for root in roots if root.table not in gone]
            if self._rebuild:
                self._created = read_target_tables(conn, self._rebuild.tables).values()
            self._chosen = choose_rows(conn, request, rest, description, self._objects, made=self._created)
        with self.timings.phase("compare"):
            self._compare()
        if self._touched:
            self._require_possible()
        return self._plan()

    def _compare(self) -> None:
        chosen, request, session = self._chosen, self._request, self._chosen.session
        changes = [find_changes(session, staged, request.mode) for staged in chosen.tables]
        if request.mode == "missing":
            changes = [
                replace(change, differing=count_differing(session, staged))
                for staged, change in zip(chosen.tables, changes)
            ]
        if request.diff_mode:
            self._diff = _difference(session, chosen.tables, changes, request.diff_rows)
        self._pairs = [(staged, change) for staged, change in zip(chosen.tables, changes) if change.total]
        self._touched = [staged for staged, _change in self._pairs]
        self._changes = [*self._made, *changes]
        self.details["tables"] = self._plan_facts()["tables"]

    def _require_possible(self) -> None:
        """Raise RecoveryError for rows that the live tables cannot take."""
        session = self._chosen.session
        for staged in self._touched:
            require_no_conflicts(session, staged)
        require_readable(self._conn, session.role, self._keys_to_check())
        require_unreferenced(session, self._chosen.tables, self._chosen.references)

    def _plan(self) -> ChangePlan:
        changes, request = self._changes, self._request
        destroys = any(change.updates or change.deletes for change in changes)
        return ChangePlan(
            self._plan_facts(),
            request.connection.database,
            destroys=destroys,
            does=what_it_does(changes) if destroys else "inserts rows into",
            changes=bool(self._touched or self._rebuild),
            elsewhere=elsewhere(identity_in(self._manifest), identity_of(self._facts, request.connection)),
            writes=sum(change.inserts + change.updates for change in changes),
            deletes=sum(change.deletes for change in changes),
            undo_set=bool(self._touched and request.undo),
        )

    def _plan_facts(self) -> t.Dict[str, t.Any]:
        return {
            "set_id": self._manifest.set_id,
            "mode": self._request.mode,
            "target_db": self._request.connection.database,
            "server": self._request.connection.place.rsplit("/", 1)[0],
            "system_identifier": self._facts.system_identifier,
            "makes": self._rebuild.labels if self._rebuild else [],
            "tables": {
                change.table: {"insert": change.inserts, "update": change.updates, "delete": change.deletes}
                for change in self._changes
            },
        }

    def _refusal(self, error: t.Any) -> RecoveryError:
        """A refused statement or a lost connection, with what is known of the live tables."""
        refusal = merge_error(error)
        if not self._is_committing:
            return refusal
        return refusal.restated(
            left="Whether the rows were restored is unknown.",
            next_step="Run the restore again: it restores what is missing.",
        )

    def _gone(self, roots: t.Sequence[Root]) -> t.FrozenSet[QualifiedName]:
        """Whole tables that were asked for and that the database no longer has."""
        wanted = [root.table for root in roots if root.is_complete and self._request.into is None]
        return frozenset(wanted) - frozenset(read_target_tables(self._conn, wanted))

    def _make(self, gone: t.FrozenSet[QualifiedName], description: Description) -> t.List[Changes]:
        """Make tables that are gone and load their rows, in the transaction that is open."""
        conn, manifest = self._conn, self._manifest
        if manifest.engine == ROWS_ENGINE:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database has no table {', '.join(map(str, sorted(gone)))}, and this set holds no definitions.",
                next_step="Make the tables from a set of the database first.",
            )
        content = self._objects.content(manifest.object_at(TOC_NAME))
        write_toc(self._folder, content)
        self._rebuild = plan_rebuild(conn, parse_toc(content), gone)
        tables = [description.table(name) for name in sorted(gone)]
        session: t.Optional[Session] = None
        # Also in check mode, whose transaction is rolled back: it shows whether the role may make them.
        run_entries(conn, self._client(), self._folder, self._rebuild.before)
        if self.safeguards.acts:
            session = session_for(conn, self._request, read_target_tables(conn, self._rebuild.tables).values())
            self._sessions.append(session)
        made = []
        for table in tables:
            number = sum(self._load(session, rows) for rows in table.rows)
            made.append(Changes(str(table.name), number, number, 0, 0))
        return made

    def _load(self, session: t.Optional[Session], rows: Rows) -> int:
        if session is None:
            return sum(chunk.count(b"\n") for chunk in self._objects.lines(rows))
        name = QualifiedName(rows.entry.schema, rows.entry.table)
        target = read_target_tables(session.raw, [name])[name]
        return copy_rows(session, name, target, name.quoted, rows.columns, self._objects.lines(rows))

    def _client(self) -> ClientPrograms:
        major = int(self._manifest.client["pg_dump"].split(".")[0])
        return find_client(max(major, self._facts.major), self._request.connection.client_bin_dir)

    def keep_undo(self) -> t.Mapping[str, str]:
        if not (self._touched and self._request.undo):
            return {}
        with self.timings.phase("undo set"):
            seal_for(self._store, self._manifest.recipients)
            kept = write_rows_set(
                self._chosen.session,
                self._store,
                self._request.source,
                "undo",
                [rows_to_keep(staged) for staged in self._touched],
                self._chosen.references,
                folder=self._folder,
                server=self._facts,
                parallel=self._request.parallel,
                about={
                    "undo_of": self._manifest.set_id,
                    "tables": [str(staged.target.name) for staged in self._touched],
                },
            )
        return {"set": kept.set_id, "tier": "undo", "mode": "exact"}

    def act(self) -> None:
        if self._touched:
            with self.timings.phase("merge"):
                self._merge()
        if self._rebuild is not None:
            with self.timings.phase("make indexes"):
                making = owner_session(self._chosen.session, [table.oid for table in self._created])
                run_entries(making, self._client(), self._folder, self._rebuild.after)

    def _merge(self) -> None:
        tables = [staged.target for staged in self._touched]
        with guarded_change(self._conn, tables, silenced=self._request.triggers == "disable"):
            apply_changes(self._chosen.session, self._pairs)

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._verify()

    def _verify(self) -> None:
        conn = self._chosen.session
        for staged in self._touched:
            left = find_changes(conn, staged, self._request.mode)
            if left.total:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"After the merge {left.total} rows of {left.table} are still not as in the set.",
                    left=UNTOUCHED,
                    next_step="A trigger or rule changed them: set `triggers` to disable.",
                )
        made = self._rebuild.tables if self._rebuild else frozenset()
        names = {staged.target.name for staged in self._touched} | made
        # Enough for the keys of most parents, so that the joins need no temporary files.
        run(conn.raw, "SET LOCAL work_mem = '64MB'")
        keys = self._keys_to_check()
        violated = [{"name": f"{key.name} on {key.table.name}", "rows": count_violations(conn, key)} for key in keys]
        self._foreign_keys = {"checked": len(keys), "violated": [item for item in violated if item["rows"]]}
        self._moved = proof.advance_sequences(conn, names)
        exact = self._request.mode == "exact" and self._request.into is None
        if exact or made:
            self._equal = proof.compare_complete_tables(conn, self._chosen if exact else None, made, self._manifest)

    def settle(self) -> t.Mapping[str, t.Any]:
        before_commit(self._conn, [item.role for item in (self._chosen.session, *self._sessions)])
        self._is_committing = True
        run(self._conn, "COMMIT")
        return {}

    def _keys_to_check(self) -> t.List[ForeignKey]:
        made = self._rebuild.tables if self._rebuild else frozenset()
        names = {staged.target.name for staged in self._touched}
        changed = names if self._request.mode != "missing" else ()
        return keys_touching(self._chosen.session.raw, names | made, changed)

    def why_unchanged(self) -> Unchanged:
        return why_unchanged(self._changes, self._manifest, older_set(self._store, self._manifest))

    def result(self, outcome: Outcome) -> RowsResult:
        request, manifest, missing = self._request, self._manifest, self._chosen.missing
        timings = self.timings.as_dict()
        unchanged = outcome.unchanged
        notes = [unchanged.reason, unchanged.next_step] if unchanged else [left_rows(self._changes)]
        notes += [f"Not in the set: {item.sentence}." for item in missing]
        for item in missing:
            note(f"The set {manifest.set_id} does not hold {item.sentence}.")
        return RowsResult(
            **vars(outcome),
            set_id=manifest.set_id,
            tier=manifest.tier,
            recovery_point=manifest.recovery_point,
            mode=request.mode,
            tables=self._changes,
            created_tables=sorted(map(str, self._rebuild.tables)) if self._rebuild else [],
            bytes_fetched=self._objects.bytes_fetched,
            bytes_in_set=manifest.stored_bytes,
            foreign_keys=self._foreign_keys,
            sequences=self._moved,
            fingerprint=self._equal,
            plan=self._plan_facts(),
            timings=timings,
            summary=" ".join([self._summary(outcome, timings["total"]), *filter(None, notes)]),
            diff=self._diff,
            missing_keys=missing_rows(missing),
        )

    def _summary(self, outcome: Outcome, seconds: float) -> str:
        manifest, acts = self._manifest, self.safeguards.acts
        fetched = f"{readable_size(self._objects.bytes_fetched)} of {readable_size(manifest.stored_bytes)} fetched"
        if outcome.unchanged is not None:
            does = "Changed" if acts else "Would change"
            return f"{does} no row with set {manifest.set_id}; {fetched}, {seconds:.1f} s."
        counts = ", ".join(
            f"{sum(getattr(change, name) for change in self._changes):,} {verb}"
            for name, verb in (("inserts", "inserted"), ("updates", "updated"), ("deletes", "deleted"))
        )
        does = "Restored" if acts else "Would restore"
        tables = counted(len(self._changes), "table")
        return f"{does} rows of {tables} from set {manifest.set_id}: {counts}; {fetched}, {seconds:.1f} s."


def _difference(conn: Session, tables: t.Sequence[Staged], changes: t.Sequence[Changes], most: int) -> t.Dict[str, str]:
    before, after = [], []
    for staged, change in zip(tables, changes):
        was, becomes = samples(conn, staged, change, most)
        before += was
        after += becomes
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}
