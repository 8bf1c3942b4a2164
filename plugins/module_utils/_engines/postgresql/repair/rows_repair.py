# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of rows of one table that a rule computes from the database itself: found, kept for the undo, changed."""

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import FAMILY, INTERNAL, FilePath
from ...._core.process import scratch_folder
from ...._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from ...._store.base import ObjectStore
from ..restore_rows.guarded import before_commit, guarded_change
from ..restore_rows.merge import merge_error
from ..restore_rows.rows_set import RowsToKeep, write_rows_set
from ..restore_rows.target_tables import TargetTable, read_target_tables, require_rights
from ..server import catalog
from ..server.confined import SAFE_PATH, Confined, run, writing_role
from ..server.connection import ConnectionOptions, connection, fetch_value, quote_identifier
from ..server.names import parse_qualified_name

#: So many rows are listed in a result; counts are exact.
LISTED = 1000


@dataclass(frozen=True)
class RepairRequest:
    """The options of every repair. reports: the rows are only reported, not changed.

    undo: a set of the tier undo is stored before the commit, for which a source and a store are needed.
    """

    connection: ConnectionOptions
    table: str
    run_as: t.Optional[str] = None
    triggers: t.Literal["fire", "disable"] = "fire"
    undo: bool = True
    lock_timeout: float = 10
    spool_dir: t.Optional[FilePath] = None
    source: t.Optional[str] = None
    reason: t.Optional[str] = None
    diff_rows: int = 20
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    diff_mode: bool = field(default=False, metadata=INTERNAL)
    reports: bool = field(default=False, metadata=INTERNAL)


@dataclass(frozen=True)
class RepairResult(Outcome):
    """The fields of the result. count: the rows that the rule finds; rows: the first of them."""

    table: str
    count: int
    rows: t.Sequence[t.Mapping[str, t.Any]]
    plan: t.Mapping[str, t.Any]
    summary: str
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]


class RowsRepair(Change[RepairResult]):
    """Finds rows, changes them and compares them in one transaction; the undo set is stored before its commit.

    The transaction has one snapshot, and other sessions cannot write to the locked tables until it ends: what the plan
    shows is what is done. Raises RecoveryError: table_missing, schema_drift, unsupported, rls_blind, access_denied,
    limit_exceeded, confirmation_required, conflict, locked, not_equal, and those of the store.
    """

    #: The rights that the change needs, as a mode of L(require_rights).
    rights: str
    #: The verb phrase of the confirmation, up to the name of the database.
    phrase: str
    #: The value of the option state with which rows are changed.
    changed_state: str

    def __init__(self, request: RepairRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self.request = request
        self.records_unchanged = False
        self.details = {"reason": request.reason, "table": request.table}
        self.count = 0
        #: The first rows for the result, and the same before and after the change for a diff; a side may be empty.
        self.rows: t.List[t.Dict[str, t.Any]] = []
        self.lines: t.List[t.Tuple[str, str]] = []
        self._is_committing = False

    @abc.abstractmethod
    def read_tables(self) -> t.Mapping[str, str]:
        """Other tables that the rule reads: the option that names each, and its name."""

    @abc.abstractmethod
    def locks(self) -> t.Mapping[str, t.Sequence[TargetTable]]:
        """Lock modes and the tables that need them, from before the snapshot until the end."""

    @abc.abstractmethod
    def find(self) -> t.Tuple[str, t.Mapping[str, t.Any]]:
        """Find the rows; set count, rows and lines. Returns a digest of all rows, and further facts for the plan."""

    @abc.abstractmethod
    def change(self) -> None:
        """Change the rows that were found."""

    @abc.abstractmethod
    def sentence(self, done: bool) -> str:
        """The changed rows as a sentence, or those that would be changed."""

    @abc.abstractmethod
    def nothing(self) -> str:
        """The sentence for a table in which the rule finds no row."""

    def plan(self) -> ChangePlan:
        request = self.request
        self._require_undo()
        with self.timings.phase("plan"):
            self.conn = self.resources.enter_context(
                connection(request.connection, application="lifeline.recovery repair", describe=self._refusal)
            )
            self.facts = catalog.server_facts(self.conn)
            self.target = self._table("table", request.table)
            self.others = {option: self._table(option, name) for option, name in self.read_tables().items()}
            self._begin()
            digest, more = self.find()
        self.details["rows"] = self.count
        self._plan_facts = {
            "database": request.connection.database,
            "server": request.connection.place.rsplit("/", 1)[0],
            "system_identifier": self.facts.system_identifier,
            "table": str(self.target.name),
            "rows": self.count,
            "digest": digest,
            **more,
        }
        return ChangePlan(
            self._plan_facts,
            request.connection.database,
            destroys=self.rights != "missing",
            does=self.phrase,
            changes=bool(self.count) and not request.reports,
            writes=self.count,
            undo_set=bool(self.count and request.undo),
        )

    def act(self) -> None:
        guard = guarded_change(self.conn, [self.target], silenced=self.request.triggers == "disable")
        with self.timings.phase("change"), guard:
            self.change()

    def settle(self) -> t.Mapping[str, t.Any]:
        before_commit(self.conn, [self.session.role])
        self._is_committing = True
        run(self.conn, "COMMIT")
        return {}

    def keep(self, rows: RowsToKeep) -> t.Mapping[str, t.Any]:
        """Store the undo set, if one is wanted; returns the options of a restore of rows that takes the change back."""
        if not self.request.undo or self.store is None or self.source is None:
            return {}
        with self.timings.phase("undo set"):
            folder = self.resources.enter_context(scratch_folder("lifeline-repair-", self.request.spool_dir))
            kept = write_rows_set(
                self.session,
                self.store,
                self.source,
                "undo",
                [rows],
                (),
                folder=folder,
                server=self.facts,
                parallel=1,
                about={"undo_of": self.operation, "tables": [str(self.target.name)]},
            )
        return {"set": kept.set_id, "tier": "undo", "mode": "exact"}

    def why_unchanged(self) -> Unchanged:
        if self.count:
            return Unchanged("The rows were only reported.", f"Set `state` to {self.changed_state}.")
        return Unchanged(self.nothing(), "Nothing is left to do.")

    def result(self, outcome: Outcome) -> RepairResult:
        done = self.safeguards.acts and outcome.changed
        return RepairResult(
            **vars(outcome),
            table=str(self.target.name),
            count=self.count,
            rows=self.rows,
            plan=self._plan_facts,
            summary=self.sentence(done) if self.count else self.nothing(),
            diff=self._difference(),
            timings=self.timings.as_dict(),
        )

    def digest(self, relation: str, texts: t.Iterable[str]) -> str:
        """A digest of the rows of a table of the session, whatever their order; texts: expressions of each row."""
        row = f"pg_catalog.json_build_array({', '.join(texts)})::pg_catalog.text"
        hashed = f'pg_catalog.hashtextextended({row} COLLATE "C", 0)'
        return str(fetch_value(self.session, f"SELECT coalesce(pg_catalog.sum({hashed}), 0)::text FROM {relation}"))

    def _difference(self) -> t.Dict[str, str]:
        if not self.request.diff_mode or not self.count:
            return {}
        shown = self.lines[: self.request.diff_rows or None]
        more = f"{len(shown):,} of {self.count:,} rows are shown\n" if len(shown) < self.count else ""
        before, after = ("".join(f"{self.target.name}: {line}\n" for line in side if line) for side in zip(*shown))
        return {"before": before, "after": after + more}

    def _require_undo(self) -> None:
        request = self.request
        if request.undo and not request.reports and self.store is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`source` and `store` are required if `undo` is true, because the undo set is stored there.",
                next_step="Set both, or set `undo` to false to change rows without a way back.",
            )

    def _table(self, option: str, name: str) -> TargetTable:
        """Raises RecoveryError(table_missing)."""
        wanted = parse_qualified_name(name)
        found = read_target_tables(self.conn, [wanted]).get(wanted)
        if found is None:
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"`{option}` must be a table of the database, got {wanted}, which does not exist.",
                next_step="Correct the name; if the table was dropped, restore it with restore_rows.yml or apply the "
                "migration that creates it.",
            )
        return found

    def _begin(self) -> None:
        """Open the transaction. Its snapshot is taken after the locks, so that it shows what others committed."""
        conn, request = self.conn, self.request
        run(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        run(conn, f"SET LOCAL lock_timeout = {int(request.lock_timeout * 1000)}")
        if self.safeguards.acts and not request.reports:
            for mode, tables in self.locks().items():
                run(conn, f"LOCK TABLE {', '.join(table.name.quoted for table in tables)} IN {mode} MODE")
        tables = [self.target, *self.others.values()]
        role = request.run_as or writing_role(conn, [table.oid for table in tables])
        # Triggers of the application may name tables without a schema.
        schemas = dict.fromkeys([*(table.name.schema for table in tables), "public"])
        path = ", ".join([SAFE_PATH, *map(quote_identifier, schemas)])
        self.session = Confined(conn, role, path=path)
        silenced = request.triggers == "disable"
        require_rights(conn, self.target, self.rights, role=role, disable_triggers=silenced, read_only=request.reports)
        for table in self.others.values():
            require_rights(conn, table, self.rights, role=role, disable_triggers=False, read_only=True)

    def _refusal(self, error: t.Any) -> RecoveryError:
        """A refused statement or a lost connection, with what is known of the table."""
        refusal = merge_error(error)
        if not self._is_committing:
            return refusal
        return refusal.restated(
            left="Whether the rows were changed is unknown.",
            next_step="Run it again: rows that are as they should be stay unchanged.",
        )
