# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles, the database and the tables that a stop of writes concerns: as they are, what stops them, and whether
they are stopped.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.sizes import counted
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from ..server.names import parse_qualified_name
from . import means as of
from .catalog import Database, Role, Session, Table, find_tables, read_database, read_roles, sessions
from .probe import Probe
from .request import WritesRequest
from .state import WritesState
from .triggers import create_statements, function_statements, read_triggers

#: Roles that one of the roles may act as, itself among them, and so the grantees of its rights but for PUBLIC.
_GROUPS = """
    SELECT DISTINCT g.rolname::text
    FROM pg_roles g JOIN pg_roles r ON r.rolname = ANY (%s) AND pg_has_role(r.oid, g.oid, 'MEMBER')
"""
_CONNECTS = """
    SELECT r::text FROM unnest(%s::name[]) r
    WHERE has_database_privilege(r, current_database(), 'CONNECT') ORDER BY 1
"""
_WRITES = """
    SELECT r::text, n.nspname::text, c.relname::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(%s::name[]) r
    WHERE c.oid = ANY (%s) AND (has_table_privilege(r, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                                OR has_any_column_privilege(r, c.oid, 'INSERT, UPDATE'))
    ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Scope:
    """The objects of a request as they are. groups: the roles that the roles of the request can act as."""

    request: WritesRequest
    own_role: str
    roles: t.Sequence[Role]
    groups: t.AbstractSet[str]
    database: Database
    tables: t.Sequence[Table]

    @property
    def exempt(self) -> t.List[str]:
        """Roles that triggers let write: the role of this connection, unless the application has the same."""
        own = [] if self.own_role in self.request.roles else [self.own_role]
        return [*own, *self.request.except_roles]

    def state(self, server: t.Optional[str]) -> WritesState:
        """The state before writes are stopped."""
        tables = tuple(table.state for table in self.tables)
        return WritesState(
            server,
            tuple(self.request.means),
            {role.name: role.can_login for role in self.roles},
            (replace(self.database.state, tables=tables),),
        )

    def sessions(self, conn: Connection) -> t.List[Session]:
        """The sessions to end: of the roles, or of every role that has none of the recovery's work to do."""
        request = self.request
        if not request.terminate_sessions or not (request.roles or of.DEFAULT_READ_ONLY in request.means):
            return []
        return sessions(conn, request.roles, self.exempt)

    def login_statements(self) -> t.List[str]:
        """The statements that keep the application from logging in, or from writing by default."""
        means, found = self.request.means, []
        if of.NO_LOGIN in means:
            found += [of.refuse_login(role.name) for role in self.roles if role.can_login]
        if of.NO_CONNECT in means:
            found += of.refuse_connections(self.database, {"", *self.groups})
        if of.DEFAULT_READ_ONLY in means:
            found += of.set_read_only(self.database)
        return found

    def table_statements(self, conn: Connection) -> t.Tuple[t.List[str], t.List[t.Tuple[Table, str]]]:
        """The statements for the function of triggers, and those for each table."""
        means = self.request.means
        function: t.List[str] = []
        found: t.List[t.Tuple[Table, str]] = []
        if of.GRANTS in means:
            grantees = {"", *self.groups}
            found += [(table, sql) for table in self.tables for sql in of.revoke_writes(table, grantees)]
        if of.TRIGGERS in means and self.tables:
            present = read_triggers(conn)
            function = function_statements(conn, self.exempt)
            found += create_statements(conn, self.tables, present)
        return function, found

    def require_sound(self) -> None:
        """Raise RecoveryError (invalid_options, access_denied) for means that would stop nothing, or the operator."""
        request, means = self.request, self.request.means
        if self.own_role in request.roles and (of.NO_LOGIN in means or of.NO_CONNECT in means):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`roles` must not contain {self.own_role}, the role of this connection: it could not log in to allow "
                "writes again.",
                next_step="Connect as another role than the application, or use triggers.",
            )
        for role in self.roles:
            if role.is_superuser and set(means) & {of.NO_CONNECT, of.GRANTS}:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"The role {role.name} is a superuser, whom privileges do not stop.",
                    next_step="Use nologin or triggers.",
                )
        self._require_tables()

    def require_logins(self, former: t.Optional[WritesState]) -> None:
        """Raise RecoveryError(invalid_options) if nologin is given for roles of which none could log in before."""
        could = former.roles if former is not None else {}
        if of.NO_LOGIN in self.request.means and not any(one.can_login or could.get(one.name) for one in self.roles):
            members = sorted({member for role in self.roles for member in role.members} - {self.own_role})
            named = f"Roles that log in and can act as them: {', '.join(members)}. " if members else ""
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`roles` must contain a role that can log in for nologin of `means`, got "
                f"{', '.join(self.request.roles)}.",
                next_step=f"{named}Name the roles that the application logs in as, or use triggers.",
            )

    def _require_tables(self) -> None:
        request = self.request
        if not request.uses_tables:
            return
        if not self.tables:
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"The schemas {', '.join(request.schemas)} have no table.",
                next_step="Set `schemas` or `tables`.",
            )
        foreign = [table for table in self.tables if not table.owned]
        if foreign:
            owners = sorted({table.owner for table in foreign})
            to = quote_identifier(self.own_role)
            grants = "; ".join(f"GRANT {quote_identifier(owner)} TO {to}" for owner in owners)
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The role {self.own_role} may not act for the owners of {counted(len(foreign), 'table')}, such as "
                f"{foreign[0].name} of {foreign[0].owner}.",
                next_step=f"As a superuser: {grants}. Or set `tables` to others.",
            )
        of_application = [table for table in self.tables if table.owner in self.groups]
        if of.GRANTS in request.means and of_application:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The application can act as {of_application[0].owner}, the owner of {of_application[0].name}, who can "
                "grant its rights again.",
                next_step="Use triggers instead of grants.",
            )

    def require_logins_stopped(self, conn: Connection) -> None:
        """Within the transaction: raise RecoveryError unless the application is kept from logging in, and only it."""
        means, names = self.request.means, list(self.request.roles)
        if of.NO_LOGIN in means:
            left = [role.name for role in read_roles(conn, names) if role.can_login]
            _require_none(left, "can still log in")
        if of.NO_CONNECT in means:
            _require_none([row[0] for row in fetch_all(conn, _CONNECTS, (names,))], "may still connect")
            if not fetch_all(conn, _CONNECTS, ([self.own_role],)):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS,
                    f"The role {self.own_role} of this connection would lose the right to connect to the database.",
                    next_step=f"First: GRANT CONNECT ON DATABASE {quote_identifier(self.database.state.name)} TO "
                    f"{quote_identifier(self.own_role)}.",
                )
        if of.DEFAULT_READ_ONLY in means:
            now = guaranteed(read_database(conn, names))
            _require_none(of.set_read_only(now), "are still needed")

    def require_tables_stopped(self, conn: Connection, tables: t.Sequence[Table]) -> None:
        """Within the transaction: raise RecoveryError unless the tables refuse the writes of the application."""
        if of.GRANTS in self.request.means:
            rows = fetch_all(conn, _WRITES, (list(self.request.roles), [table.state.oid for table in tables]))
            if rows:
                role, schema, name = rows[0]
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"The role {role} may still write to {schema}.{name} after REVOKE, by a grant of another role.",
                    next_step="Use triggers instead of grants, or connect as the role that granted the right.",
                )
        if of.TRIGGERS in self.request.means:
            _require_none(
                [str(table.name) for table, _sql in create_statements(conn, tables, read_triggers(conn))],
                "have no trigger that refuses writes",
            )

    def proved_by_catalog(self, conn: Connection) -> t.List[Probe]:
        """The facts of the catalog after the commit. Raises RecoveryError(check_failed) if a means is not in effect."""
        request, found = self.request, []
        self.require_logins_stopped(conn)
        self.require_tables_stopped(conn, self.tables)
        waiting = self.sessions(conn)
        _require_none([f"the session {one.pid} of {one.role}" for one in waiting], "continues")
        reasons = {
            of.NO_LOGIN: "it cannot log in",
            of.NO_CONNECT: f"it cannot connect to {self.database.state.name}",
            of.DEFAULT_READ_ONLY: "its transactions are read-only by default",
            of.GRANTS: f"it has no right to write to {counted(len(self.tables), 'table')}",
            of.TRIGGERS: f"triggers of {counted(len(self.tables), 'table')} refuse its writes",
        }
        for role in request.roles or ("PUBLIC",):
            found += [Probe(role, "catalog", True, reasons[one]) for one in of.MEANS if one in request.means]
        return found


def read_scope(conn: Connection, request: WritesRequest) -> Scope:
    """Raises RecoveryError: roles_missing, table_missing, unsupported, invalid_options for a name."""
    tables = [parse_qualified_name(name) for name in request.tables]
    return Scope(
        request,
        str(fetch_value(conn, "SELECT session_user::text")),
        read_roles(conn, request.roles),
        {row[0] for row in fetch_all(conn, _GROUPS, (list(request.roles),))},
        guaranteed(read_database(conn, request.roles)),
        find_tables(conn, tables, request.schemas) if request.uses_tables else [],
    )


def _require_none(names: t.Sequence[str], problem: str) -> None:
    if names:
        raise RecoveryError(
            ErrorKind.CHECK_FAILED,
            f"{', '.join(dict.fromkeys(names))} {problem} after the statements that stop writes.",
            next_step="Use another of `means`.",
        )
