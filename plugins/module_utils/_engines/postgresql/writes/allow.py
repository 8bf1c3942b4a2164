# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Allows the writes that were stopped: the state before is restored, compared, and proved by a write."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import counted
from ...._repository.change import Change, ChangePlan, Outcome, Unchanged
from ...._store.base import ObjectStore
from ..server.catalog import server_facts
from ..server.confined import is_superuser, run
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all
from ..server.transaction import transaction
from . import means as of
from .apply import apply_to_tables, lock_maintenance
from .probe import Probe, prove_statements, try_login, write_of
from .request import WritesRequest, WritesResult
from .state import ALLOWED, WritesLog, require_server
from .stop import refusal_of
from .targets import find_targets

#: DROP TRIGGER takes this lock.
_LOCK = "ACCESS EXCLUSIVE"

_ROLES = "SELECT rolname::text, rolcanlogin FROM pg_roles WHERE rolname = ANY (%s)"


class AllowWrites(Change[WritesResult]):
    """Restores the state before writes were stopped, and closes its record.

    Only rights that the stop took away are given back. Raises RecoveryError: access_denied, locked, conflict,
    check_failed if a write is still refused, wrong_server, damaged, and those of connection and store.
    """

    operation = "allow_writes"
    records_unchanged = False

    def __init__(self, request: WritesRequest, store: ObjectStore) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._log = WritesLog(store, request.source)
        self._ran: t.Sequence[str] = ()
        self._probes: t.List[Probe] = []
        self._differences: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("plan"):
            self._conn = conn = self._open(request.connection)
            lock_maintenance(conn, request.source)
            facts = server_facts(conn)
            self._database, self._is_superuser = facts.database, is_superuser(conn)
            self._record = self._log.stopped()
            # The record of a server that no longer exists describes nothing of this server.
            fits = require_server(self._record, facts.system_identifier, self._log.location, abandon=request.abandon)
            self._before = self._record if fits else None
            known = self._before.databases if self._before is not None else ()
            self._targets, self._lost = find_targets(conn, known, self._means, self._connection_to)
            self._read()
        self._ran = self._statements
        self._names = list(
            dict.fromkeys(str(table.name) for _place, found, _f in self._tables for table, _sql in found)
        )
        self.details = {"database": facts.database, "before": self._record.as_json() if self._record else None}
        return ChangePlan(
            {"server": facts.system_identifier, "database": facts.database, "statements": self._statements},
            facts.database,
            destroys=False,
            # A record is closed also if nothing is left to restore: a stop was cut off before its first statement.
            changes=bool(self._statements) or self._record is not None,
        )

    @property
    def _means(self) -> t.Sequence[str]:
        return self._before.means if self._before is not None else ()

    def _open(self, options: ConnectionOptions) -> Connection:
        application = "lifeline.recovery maintenance"
        return self.resources.enter_context(connection(options, application=application, describe=refusal_of))

    def _connection_to(self, database: str) -> Connection:
        if database == self._database:
            return self._conn
        return self._open(self._request.connection.with_database(database))

    def _read(self) -> None:
        """Read the catalogs again: the statements that are left to run, and what differs from before."""
        self._tables = [(target, *target.statements_of_tables()) for target in self._targets]
        self._logins = [
            sql for target in self._targets for sql in target.statements_of_database(is_superuser=self._is_superuser)
        ]
        could = [role for role, can_login in self._before.roles.items() if can_login] if self._before else []
        can = dict(fetch_all(self._conn, _ROLES, (could,)))
        if of.NO_LOGIN in self._means:
            self._logins += [of.allow_login(role) for role in could if can.get(role) is False]
        self._statements = [sql for _place, found, _function in self._tables for _table, sql in found]
        self._statements += [sql for _place, _found, function in self._tables for sql in function] + self._logins
        self._differences = [
            *(f"The database {name} in which writes were stopped no longer exists." for name in self._lost),
            *(f"The role {role} no longer exists." for role in could if role not in can),
            *(text for target in self._targets for text in target.differences()),
        ]

    def act(self) -> None:
        timeout = self._request.lock_timeout
        with self.timings.phase("allow"):
            for target, statements, function in self._tables:
                apply_to_tables(target.conn, statements, _LOCK, lock_timeout=timeout)
                self._run_all(target.conn, function)
            self._run_all(self._conn, self._logins)

    def _run_all(self, conn: Connection, statements: t.Sequence[str]) -> None:
        if statements:
            with transaction(conn, lock_timeout=self._request.lock_timeout):
                for statement in statements:
                    run(conn, statement)

    def verify(self) -> None:
        """Compare the catalogs with the record, and write as the application. Raises RecoveryError(check_failed)."""
        with self.timings.phase("verify"):
            self._read()
            self._probes = self._prove()
        refused = [one for one in self._probes if one.refused]
        if self._statements or refused:
            why = f"{self._statements[0]} had no effect" if self._statements else (
                f"the role {refused[0].role} cannot write: {refused[0].reason}")  # fmt: skip
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"Writes are not allowed again: {why}.",
                next_step="Correct the cause, then run it again.",
                details={"probes": [vars(one) for one in self._probes]},
            )
        self.details["differences"] = self._differences

    def _prove(self) -> t.List[Probe]:
        """The writes of the application that its rights allow, by the catalog."""
        login, roles = self._request.probe, self._before.roles if self._before is not None else {}
        can = dict(fetch_all(self._conn, _ROLES, (list(roles),)))
        found = [
            Probe(role, "catalog", not can_login, "it can log in" if can_login else "it cannot log in")
            for role, can_login in can.items()
            if roles[role]
        ]
        if login is not None:
            found.append(try_login(login, write_of(self._conn, login.keywords.get("user", ""), ())))
        return found + prove_statements(self._conn, list(can), self._targets[0].tables, refused=False)

    def settle(self) -> t.Mapping[str, t.Any]:
        """Close the record."""
        if self._record is not None:
            self._log.write(ALLOWED, self._record)
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        return error.restated(
            left=f"The state before writes were stopped is stored in {self._log.location}, and is restored in part."
        )

    def why_unchanged(self) -> Unchanged:
        return Unchanged("Writes are allowed already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> WritesResult:
        return WritesResult(
            **vars(outcome),
            state=ALLOWED,
            statements=self._ran,
            sessions_ended=0,
            tables=self._names,
            probes=self._probes,
            not_stopped=(),
            differences=self._differences if self.safeguards.acts else (),
            summary=self._summary(outcome),
            diff={"prepared": "".join(f"{statement};\n" for statement in self._ran)},
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged is not None:
            return f"Writes to the database {self._database} are allowed already."
        if not self.safeguards.acts:
            return f"Would allow writes to the database {self._database} by {counted(len(self._ran), 'statement')}."
        differs = f" {counted(len(self._differences), 'difference')} to the state before." if self._differences else ""
        return f"Allowed writes to the database {self._database}; the state before is restored.{differs}"
