# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings tables or rows of a set back into live tables: chosen, compared, undone first, merged, proved."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import PhaseListener, Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.process import scratch_folder
from .._core.sizes import counted, readable_size
from .._postgres import catalog
from .._postgres.client import ClientPrograms, find_client
from .._postgres.confined import Session, drop_role, owner_session, require_nothing_deferred, run
from .._postgres.connection import Connection, ConnectionOptions, connection, quote_identifier
from .._postgres.driver import psycopg2
from .._postgres.dump import TOC_NAME
from .._postgres.foreign_keys import ForeignKey, count_violations
from .._postgres.identity import identity_of
from .._postgres.names import QualifiedName
from .._postgres.statements import Reference
from .._postgres.toc import parse_toc
from .._sets.audit import audited
from .._sets.catalogue import find_set, older_set
from .._sets.identity import elsewhere, identity_in
from .._sets.manifest import ROWS_ENGINE, Manifest
from .._sets.recovery_points import Selection
from .._sets.row_changes import Changes, Unchanged, left_rows, what_it_does, why_unchanged
from .._store.base import ObjectStore, seal_for
from . import proof
from .choice import Choice, begin, choose_rows, read_description, roots_of, session_for
from .description import Description, Rows
from .live import keys_touching, live_tables, require_readable
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
from .rows_set import write_rows_set
from .scope import Root
from .staging import Staged, copy_rows
from .undo import rows_to_keep


@dataclass(frozen=True)
class RowsRequest:
    """Which rows of which set go where, and how. column_map: table to {column of the set: live column}.

    read_only: rows are chosen and not restored. run_as: the role to work as; None: the owner of the tables.
    plan_only: stop after everything was judged, also the confirmation, which check mode does not need.
    diff_rows: how many rows of each kind and table a diff shows; 0 for all.
    """

    connection: ConnectionOptions
    source: str
    selection: Selection
    roots: t.Sequence[Root]
    closure: str = "none"
    mode: str = "missing"
    references: t.Sequence[Reference] = ()
    column_map: t.Mapping[QualifiedName, t.Mapping[str, str]] = field(default_factory=dict)
    on_schema_drift: str = "fail"
    triggers: str = "disable"
    max_rows: t.Optional[int] = None
    max_deletes: t.Optional[int] = 1000
    undo: bool = True
    into: t.Optional[str] = None
    reason: t.Optional[str] = None
    lock_timeout: float = 10.0
    environment: str = "production"
    confirm: t.Optional[str] = None
    spool_dir: t.Optional[str] = None
    parallel: int = 3
    read_only: bool = False
    run_as: t.Optional[str] = None
    plan_only: bool = False
    check_mode: bool = False
    diff_mode: bool = False
    diff_rows: int = 20
    listener: t.Optional[PhaseListener] = None

    @property
    def acts(self) -> bool:
        """Whether anything is stored or changed."""
        return not (self.check_mode or self.plan_only)


@dataclass(frozen=True)
class RowsResult:
    """What came back. undo: the options that take it back, empty when nothing was changed.

    unchanged: why nothing was changed; None where something was. missing_keys: keys that the set does not hold.
    created_tables: tables that the restore created because they were dropped.
    """

    changed: bool
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
    undo: t.Mapping[str, str]
    plan: t.Mapping[str, t.Any]
    plan_digest: str
    timings: t.Mapping[str, float]
    summary: str
    diff: t.Mapping[str, str]
    missing_keys: t.Mapping[str, t.Any]
    unchanged: t.Optional[Unchanged]


def restore_rows(request: RowsRequest, store: ObjectStore) -> RowsResult:
    """Bring rows back. One transaction changes the live tables, after an undo set of what it touches was stored.

    Raises RecoveryError: table_missing, schema_drift, limit_exceeded, conflict, confirmation_required, access_denied,
    rls_blind, locked, not_equal, restore_failed, and those of the store; the live tables are then as they were.
    """
    run_ = _Run(request, store)
    known = {"reason": request.reason}
    with audited(store, request.source, "restore_rows", known, check_mode=request.check_mode) as outcome:
        result = run_.complete()
        if request.acts:
            outcome.update(changed=result.changed)
            outcome.update(set_id=result.set_id, mode=result.mode, undo=result.undo, tables=result.plan["tables"])
    return result


class _Run:
    def __init__(self, request: RowsRequest, store: ObjectStore) -> None:
        self._request, self._store = request, store
        self._timings = Timings(request.listener)
        self._undo: t.Dict[str, str] = {}
        self._diff: t.Dict[str, str] = {}
        self._rebuild: t.Optional[Rebuild] = None
        self._sessions: t.List[Session] = []
        self._ending = False

    def complete(self) -> RowsResult:
        request = self._request
        with contextlib.ExitStack() as stack:
            with self._timings.phase("preflight"):
                conn = stack.enter_context(
                    connection(request.connection, application="lifeline.recovery rows", describe=self._refusal)
                )
                manifest = find_set(self._store, request.source, request.selection)
                folder = stack.enter_context(scratch_folder("lifeline-rows-", request.spool_dir))
                objects = LocalObjects(self._store, folder, parallel=request.parallel)
                description = read_description(manifest, objects)
                facts = catalog.server_facts(conn)
                roots = roots_of(request, description)
                gone = self._gone(conn, roots)
            made: t.List[Changes] = []
            if gone:
                with self._timings.phase("make tables"):
                    begin(conn, request.lock_timeout)
                    made = self._make(conn, gone, manifest, description, objects, facts, folder)
            with self._timings.phase("choose"):
                rest = [root for root in roots if root.table not in gone]
                new = live_tables(conn, self._rebuild.tables).values() if self._rebuild else ()
                choice = choose_rows(conn, request, rest, description, objects, made=new)
            with self._timings.phase("compare"):
                session = choice.session
                changes = [find_changes(session, staged, request.mode) for staged in choice.tables]
                if request.mode == "missing":
                    changes = [
                        replace(change, differing=count_differing(session, staged))
                        for staged, change in zip(choice.tables, changes)
                    ]
                plan = self._plan(manifest, facts, [*made, *changes])
                if request.diff_mode:
                    self._diff = _difference(session, choice.tables, changes, request.diff_rows)
            pairs = [(staged, change) for staged, change in zip(choice.tables, changes) if change.total]
            touched = [staged for staged, _change in pairs]
            shown: t.Dict[str, t.Any] = {"foreign_keys": {"checked": 0, "violated": []}, "sequences": []}
            equal: t.Dict[str, t.Any] = {"equal": None, "tables": 0}
            if touched:
                self._require_limits(changes)
                for staged in touched:
                    require_no_conflicts(session, staged)
                require_readable(conn, session.role, self._keys_to_check(session, touched))
                require_unreferenced(session, choice.tables, choice.references)
                if request.undo:
                    self._store.require_writable(f"{request.source}/undo/")
                if not request.check_mode and any(change.updates or change.deletes for change in changes):
                    require_confirmation(
                        request.environment,
                        request.confirm,
                        request.connection.database,
                        plan_digest(plan),
                        what_it_does(changes),
                        elsewhere=elsewhere(identity_in(manifest), identity_of(facts, request.connection)),
                    )
            if touched and request.acts:
                if request.undo:
                    with self._timings.phase("undo set"):
                        self._keep_undo(session, touched, choice, folder, facts, manifest)
                with self._timings.phase("merge"):
                    self._merge(session, pairs)
            if self._rebuild is not None and request.acts:
                with self._timings.phase("make indexes"):
                    making = owner_session(session, [table.oid for table in new])
                    run_entries(making, self._client(facts, manifest), folder, self._rebuild.after)
            if request.acts:
                with self._timings.phase("verify"):
                    shown, equal = self._verify(session, choice, touched, manifest)
                for role in dict.fromkeys(item.role for item in (session, *self._sessions)):
                    drop_role(conn, role)
                require_nothing_deferred(conn)
            self._ending = request.acts
            run(conn, "COMMIT" if request.acts else "ROLLBACK")
        return self._result(manifest, objects, [*made, *changes], choice, plan, shown, equal)

    def _refusal(self, error: t.Any) -> RecoveryError:
        """A refused statement or a lost connection, with what is known of the live tables."""
        told = merge_error(error)
        if self._ending:
            told.left = "Whether the rows came back is not known."
            told.next_step = "Run it again: it does what is left to do, if anything is."
        return told

    def _gone(self, conn: Connection, roots: t.Sequence[Root]) -> t.FrozenSet[QualifiedName]:
        """Whole tables that were asked for and that the database does not have any more."""
        wanted = [root.table for root in roots if root.is_whole and self._request.into is None]
        return frozenset(wanted) - frozenset(live_tables(conn, wanted))

    def _make(
        self,
        conn: Connection,
        gone: t.FrozenSet[QualifiedName],
        manifest: Manifest,
        description: Description,
        objects: LocalObjects,
        facts: catalog.ServerFacts,
        folder: str,
    ) -> t.List[Changes]:
        """Make tables that are gone and load their rows, in the transaction that is open."""
        if manifest.engine == ROWS_ENGINE:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The database has no table {', '.join(map(str, sorted(gone)))}, and this set holds no definitions.",
                next_step="Make the tables from a set of the database first.",
            )
        content = objects.content(manifest.object_at(TOC_NAME))
        write_toc(folder, content)
        self._rebuild = plan_rebuild(conn, parse_toc(content), gone)
        tables = [description.table(name) for name in sorted(gone)]
        session: t.Optional[Session] = None
        # Also in check mode, whose transaction is rolled back: it shows whether the role may make them.
        run_entries(conn, self._client(facts, manifest), folder, self._rebuild.before)
        if self._request.acts:
            session = session_for(conn, self._request, live_tables(conn, self._rebuild.tables).values())
            self._sessions.append(session)
        made = []
        for table in tables:
            number = sum(self._load(session, objects, rows) for rows in table.rows)
            made.append(Changes(str(table.name), number, number, 0, 0))
        return made

    def _load(self, session: t.Optional[Session], objects: LocalObjects, rows: Rows) -> int:
        if session is None:
            return sum(chunk.count(b"\n") for chunk in objects.lines(rows))
        name = QualifiedName(rows.entry.schema, rows.entry.table)
        live = live_tables(session.raw, [name])[name]
        return copy_rows(session, name, live, name.quoted, rows.columns, objects.lines(rows))

    def _client(self, facts: catalog.ServerFacts, manifest: Manifest) -> ClientPrograms:
        major = int(manifest.client["pg_dump"].split(".")[0])
        return find_client(max(major, facts.major), self._request.connection.client_bin_dir)

    def _plan(self, manifest: Manifest, facts: catalog.ServerFacts, changes: t.Sequence[Changes]) -> t.Dict[str, t.Any]:
        return {
            "set_id": manifest.set_id,
            "mode": self._request.mode,
            "target_db": self._request.connection.database,
            "server": self._request.connection.place.rsplit("/", 1)[0],
            "system_identifier": facts.system_identifier,
            "makes": self._rebuild.words if self._rebuild else [],
            "tables": {
                change.table: {"insert": change.inserts, "update": change.updates, "delete": change.deletes}
                for change in changes
            },
        }

    def _require_limits(self, changes: t.Sequence[Changes]) -> None:
        request = self._request
        for option, limit, number in (
            ("max_rows", request.max_rows, sum(change.inserts + change.updates for change in changes)),
            ("max_deletes", request.max_deletes, sum(change.deletes for change in changes)),
        ):
            if limit is not None and number > limit:
                raise RecoveryError(
                    ErrorKind.LIMIT_EXCEEDED,
                    f"This would {'delete' if option == 'max_deletes' else 'insert or update'} {number} rows, "
                    f"`{option}` allows {limit}.",
                    left=UNTOUCHED,
                    next_step=f"Look at it with --check --diff; if it is meant, set `{option}` to {number}.",
                )

    def _keep_undo(
        self,
        conn: Session,
        touched: t.Sequence[Staged],
        choice: Choice,
        folder: str,
        facts: catalog.ServerFacts,
        manifest: Manifest,
    ) -> None:
        seal_for(self._store, manifest.recipients)
        kept = write_rows_set(
            conn,
            self._store,
            self._request.source,
            "undo",
            [rows_to_keep(staged) for staged in touched],
            choice.references,
            folder=folder,
            server=facts,
            parallel=self._request.parallel,
            about={"undo_of": manifest.set_id, "tables": [str(staged.live.name) for staged in touched]},
        )
        self._undo = {"set": kept.set_id, "tier": "undo", "mode": "exact"}

    def _merge(self, conn: Session, pairs: t.Sequence[t.Tuple[Staged, Changes]]) -> None:
        touched = [staged for staged, _change in pairs]
        silenced = self._request.triggers == "disable"
        names = [(staged.live.name.schema, staged.live.name.name) for staged in touched]
        before = catalog.definitions(conn.raw, names)
        try:
            if silenced:
                _switch_triggers(conn.raw, touched, on=False)
            apply_changes(conn, pairs)
            if silenced:
                _switch_triggers(conn.raw, touched, on=True)
        except psycopg2.Error as error:
            raise merge_error(error) from None
        if catalog.definitions(conn.raw, names) != before:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL, "The definition of a table changed during the merge.", left=UNTOUCHED
            )

    def _verify(
        self, conn: Session, choice: Choice, touched: t.Sequence[Staged], manifest: Manifest
    ) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
        for staged in touched:
            left = find_changes(conn, staged, self._request.mode)
            if left.total:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"After the merge {left.total} rows of {left.table} are still not as in the set.",
                    left=UNTOUCHED,
                    next_step="A trigger or rule changed them: set `triggers` to disable.",
                )
        made = self._rebuild.tables if self._rebuild else frozenset()
        names = {staged.live.name for staged in touched} | made
        # Enough for the keys of most parents, so that the joins need no temporary files.
        run(conn.raw, "SET LOCAL work_mem = '64MB'")
        keys = self._keys_to_check(conn, touched)
        violated = [{"name": f"{key.name} on {key.table.name}", "rows": count_violations(conn, key)} for key in keys]
        sequences = proof.advance_sequences(conn, names)
        equal = {"equal": None, "tables": 0}
        exact = self._request.mode == "exact" and self._request.into is None
        if exact or made:
            equal = proof.compare_whole_tables(conn, choice if exact else None, made, manifest)
        return (
            {
                "foreign_keys": {"checked": len(keys), "violated": [item for item in violated if item["rows"]]},
                "sequences": sequences,
            },
            equal,
        )

    def _keys_to_check(self, conn: Session, touched: t.Sequence[Staged]) -> t.List[ForeignKey]:
        made = self._rebuild.tables if self._rebuild else frozenset()
        names = {staged.live.name for staged in touched}
        return keys_touching(conn.raw, names | made, names if self._request.mode != "missing" else ())

    def _result(
        self,
        manifest: Manifest,
        objects: LocalObjects,
        changes: t.Sequence[Changes],
        choice: Choice,
        plan: t.Mapping[str, t.Any],
        shown: t.Mapping[str, t.Any],
        equal: t.Mapping[str, t.Any],
    ) -> RowsResult:
        request, timings = self._request, self._timings.as_dict()
        done = {
            "inserted": sum(change.inserts for change in changes),
            "updated": sum(change.updates for change in changes),
            "deleted": sum(change.deletes for change in changes),
        }
        unchanged: t.Optional[Unchanged] = None
        if self._rebuild is None and not any(done.values()):
            unchanged = why_unchanged(changes, manifest, older_set(self._store, manifest))
        notes = [unchanged.reason, unchanged.next_step] if unchanged else [left_rows(changes)]
        notes += [f"Not in the set: {item.sentence}." for item in choice.missing]
        for item in choice.missing:
            note(f"The set {manifest.set_id} does not hold {item.sentence}.")
        return RowsResult(
            changed=unchanged is None,
            set_id=manifest.set_id,
            tier=manifest.tier,
            recovery_point=manifest.recovery_point,
            mode=request.mode,
            tables=changes,
            created_tables=sorted(map(str, self._rebuild.tables)) if self._rebuild else [],
            bytes_fetched=objects.bytes_fetched,
            bytes_in_set=manifest.stored_bytes,
            foreign_keys=shown["foreign_keys"],
            sequences=shown["sequences"],
            fingerprint=equal,
            undo=self._undo,
            plan=plan,
            plan_digest=plan_digest(plan),
            timings=timings,
            summary=" ".join([self._done(manifest, objects, changes, done, timings), *filter(None, notes)]),
            diff=self._diff,
            missing_keys={
                item.table: {"missing": item.missing, "wanted": item.wanted, "keys": list(item.named)}
                for item in choice.missing
            },
            unchanged=unchanged,
        )

    def _done(
        self,
        manifest: Manifest,
        objects: LocalObjects,
        changes: t.Sequence[Changes],
        done: t.Mapping[str, int],
        timings: t.Mapping[str, float],
    ) -> str:
        fetched = f"{readable_size(objects.bytes_fetched)} of {readable_size(manifest.stored_bytes)} fetched"
        if not any(done.values()) and self._rebuild is None:
            does = "Would change" if not self._request.acts else "Changed"
            return f"{does} no row with set {manifest.set_id}; {fetched}, {timings['total']:.1f} s."
        words = ", ".join(f"{number:,} {word}" for word, number in done.items())
        does = "Restored" if self._request.acts else "Would restore"
        of = counted(len(changes), "table")
        return f"{does} rows of {of} from set {manifest.set_id}: {words}; {fetched}, {timings['total']:.1f} s."


def _difference(conn: Session, tables: t.Sequence[Staged], changes: t.Sequence[Changes], most: int) -> t.Dict[str, str]:
    before, after = [], []
    for staged, change in zip(tables, changes):
        was, becomes = samples(conn, staged, change, most)
        before += was
        after += becomes
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}


def _switch_triggers(conn: Connection, tables: t.Sequence[Staged], *, on: bool) -> None:
    """Triggers that people made; those of foreign keys stay on. Each gets back the state that it had."""
    for staged in tables:
        for name, state in staged.live.triggers:
            word = ("ENABLE ALWAYS" if state == "A" else "ENABLE") if on else "DISABLE"
            run(conn, f"ALTER TABLE {staged.live.name.quoted} {word} TRIGGER {quote_identifier(name)}")
