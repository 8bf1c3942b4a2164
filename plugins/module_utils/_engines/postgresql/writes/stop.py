# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stops the writes of an application to a database: the state before is stored first, and the stop is proved last."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import counted
from ...._repository.change import Change, ChangePlan, Outcome, Unchanged
from ...._store.base import ObjectStore
from ..server.catalog import server_facts
from ..server.confined import run
from ..server.connection import Connection, connection
from ..server.refusals import NO_RIGHT, query_error
from ..server.transaction import transaction
from .apply import apply_to_tables, end_sessions, lock_maintenance
from .catalog import Table, sessions_elsewhere
from .probe import Probe, Write, prove_statements, require_login, try_login, write_of
from .request import WritesRequest, WritesResult
from .scope import read_scope
from .state import ALLOWED, STOPPED, WritesLog, require_server
from .writers import other_writers

#: CREATE TRIGGER takes this lock: it waits for writers, and readers continue.
_LOCK = "SHARE ROW EXCLUSIVE"


def refusal_of(error: Exception) -> RecoveryError:
    """A refused statement; roles that a platform reserves can be altered by no role of its customers."""
    reserved = "is a reserved role" in str(error)
    own = "The platform reserves the role: use grants and triggers of `means`."
    return query_error(error, left="", steps={NO_RIGHT: own} if reserved else None)


class StopWrites(Change[WritesResult]):
    """Stops writes by the means of the request. A means that is in effect stays, and the state that was stored first.

    Raises RecoveryError: invalid_options, roles_missing, table_missing, unsupported, access_denied, locked, conflict,
    target_in_use, check_failed if a write passes nonetheless, wrong_server, damaged, and those of connection and store.
    """

    operation = "stop_writes"
    records_unchanged = False

    def __init__(self, request: WritesRequest, store: ObjectStore) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._log = WritesLog(store, request.source)
        self._committed = False
        self._ended = 0
        self._probes: t.List[Probe] = []

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        with self.timings.phase("plan"):
            self._conn = conn = self.resources.enter_context(
                connection(request.connection, application="lifeline.recovery maintenance", describe=refusal_of)
            )
            lock_maintenance(conn, request.source)
            facts = server_facts(conn)
            former = self._log.stopped()
            if not require_server(former, facts.system_identifier, self._log.location, abandon=request.abandon):
                former = None
            self._former = former
            self._scope = scope = read_scope(conn, request)
            scope.require_sound()
            scope.require_logins(former)
            self._state = scope.state(facts.system_identifier).with_former(former)
            self._logins = scope.login_statements()
            self._function, self._tables = scope.table_statements(conn)
            waiting = scope.sessions(conn)
            self._not_stopped = other_writers(
                conn, request.means, request.roles, sessions_elsewhere(conn, request.roles)
            )
            self._write = self._write_of_login(conn)
            if request.probe is not None and former is None:
                require_login(request.probe, self._write)
        self._statements = [*self._logins, *self._function, *(sql for _table, sql in self._tables)]
        self.details = {
            "database": facts.database,
            "means": list(request.means),
            "roles": list(request.roles),
            "tables": [str(table.name) for table in scope.tables],
            "before": self._state.as_json(),
        }
        return ChangePlan(
            {"server": facts.system_identifier, "database": facts.database, "statements": self._statements},
            facts.database,
            destroys=False,
            changes=bool(self._statements or waiting),
        )

    def _write_of_login(self, conn: Connection) -> t.Optional[Write]:
        login = self._request.probe
        return None if login is None else write_of(conn, login.keywords.get("user", ""), self._scope.tables)

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        """Store the state before, unless a former run has stored it."""
        if self._state != self._former:
            self._log.write(STOPPED, self._state)
        return {"state": ALLOWED}

    def act(self) -> None:
        scope, conn, timeout = self._scope, self._conn, self._request.lock_timeout
        with self.timings.phase("stop"):
            if self._logins:
                with transaction(conn, lock_timeout=timeout):
                    for statement in self._logins:
                        run(conn, statement)
                    scope.require_logins_stopped(conn)
                self._committed = True
            self._end_sessions()
            if self._function:
                with transaction(conn, lock_timeout=timeout):
                    for statement in self._function:
                        run(conn, statement)
                self._committed = True
            if self._tables:
                apply_to_tables(
                    conn, self._tables, _LOCK, lock_timeout=timeout, between=self._end_sessions, check=self._checked
                )

    def _checked(self, tables: t.Sequence[Table]) -> None:
        self._scope.require_tables_stopped(self._conn, tables)
        self._committed = True

    def _end_sessions(self) -> None:
        self._ended += end_sessions(self._conn, lambda: self._scope.sessions(self._conn))

    def verify(self) -> None:
        """Try to write as the application. Raises RecoveryError(check_failed) if a write passes."""
        with self.timings.phase("verify"):
            scope, login = self._scope, self._request.probe
            self._probes = scope.proved_by_catalog(self._conn)
            self._probes += [try_login(login, self._write)] if login is not None else []
            self._probes += prove_statements(self._conn, self._request.roles, scope.tables, refused=True)
        passed = [one for one in self._probes if not one.refused]
        if passed:
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"The role {passed[0].role} is not stopped: {passed[0].reason}.",
                next_step="Add nologin or triggers to `means`, and run it again.",
                details={"probes": [vars(one) for one in self._probes]},
            )

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._committed or self._former is not None:
            return error.restated(
                left=f"Writes are stopped in part; the state before is stored in {self._log.location}.",
                next_step=f"{error.next_step} To allow writes again, set `state` to {ALLOWED}.".strip(),
            )
        if self._log.stopped() is not None:
            self._log.write(ALLOWED, self._state)
        return error.restated(left="Writes are allowed, as before.")

    def why_unchanged(self) -> Unchanged:
        return Unchanged("Writes are stopped already.", f"Set `state` to {ALLOWED} when the work is done.")

    def result(self, outcome: Outcome) -> WritesResult:
        return WritesResult(
            **vars(outcome),
            state=STOPPED,
            statements=self._statements,
            sessions_ended=self._ended,
            tables=[str(table.name) for table in self._scope.tables],
            probes=self._probes,
            not_stopped=self._not_stopped,
            differences=(),
            summary=self._summary(outcome),
            diff={"prepared": "".join(f"{statement};\n" for statement in self._statements)},
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome) -> str:
        database, request = self._scope.database.state.name, self._request
        if outcome.unchanged is not None:
            return f"Writes to the database {database} are stopped already."
        does = "Stopped" if self.safeguards.acts else "Would stop"
        parts = [f"by {', '.join(request.means)}"]
        parts += [f"for {', '.join(request.roles)}"] * bool(request.roles)
        parts += [f"to {counted(len(self._scope.tables), 'table')}"] * bool(self._scope.tables)
        ended = f"; {counted(self._ended, 'session')} ended" if self._ended else ""
        return f"{does} writes to the database {database} {' '.join(parts)}{ended}."
