# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements that stop writes, and those that restore the state before; what decides needs no server."""

from __future__ import annotations

import typing as t

from ..server.acl import Entry, Privilege, Securable, comparable
from ..server.connection import quote_identifier, quote_literal
from .catalog import READ_ONLY, Database, Table
from .state import DatabaseState, TableState

NO_LOGIN, NO_CONNECT, DEFAULT_READ_ONLY, GRANTS, TRIGGERS = "nologin", "connect", "read_only", "grants", "triggers"
#: In the order in which they are used; they are undone in the reverse order.
MEANS = (NO_LOGIN, NO_CONNECT, DEFAULT_READ_ONLY, GRANTS, TRIGGERS)
#: Means that stop writes to named tables.
OF_TABLES = (GRANTS, TRIGGERS)

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_CONNECT = ("CONNECT",)


def refuse_login(role: str) -> str:
    return f"ALTER ROLE {quote_identifier(role)} NOLOGIN"


def allow_login(role: str) -> str:
    return f"ALTER ROLE {quote_identifier(role)} LOGIN"


def refuse_connections(database: Database, roles: t.Collection[str]) -> t.List[str]:
    """The statements that remove CONNECT from the roles; an empty role is PUBLIC, which every role is a member of."""
    acl = database.state.acl if database.state.acl is not None else _default(database.owner)
    return list(_revoked(_securable(database.state, database.owner), acl, roles, _CONNECT))


def allow_connections(before: DatabaseState, now: Database, *, is_superuser: bool) -> t.List[str]:
    """The statements that restore CONNECT. Only a superuser can restore default privileges, which no entry states."""
    securable, current = _securable(now.state, now.owner), now.state.acl
    if before.acl is not None or current is None:
        if securable.is_reordered(before.acl, current, _CONNECT):
            revoked, granted = securable.rewrite(before.acl, current)
            return [*revoked, *granted]
        return securable.restore(before.acl, current, _CONNECT)
    default = _default(now.owner)
    statements = securable.restore(default, current, _CONNECT)
    if is_superuser and _is_part(current, default):
        # GRANT never makes the privileges default ones again. Entries of the owner and of PUBLIC depend on no role.
        return [f"UPDATE pg_catalog.pg_database SET datacl = NULL WHERE oid = {now.state.oid}"]
    return statements


def has_privileges(before: DatabaseState, now: Database) -> bool:
    """Whether the database has the privileges of before; default ones equal the entries that state the same."""
    acls = [before.acl, now.state.acl]
    return len({str(comparable(acl if acl is not None else _default(now.owner))) for acl in acls}) == 1


def set_read_only(database: Database) -> t.List[str]:
    """The statements that make transactions of new sessions read-only by default, also where a role has a setting."""
    state = database.state
    settings = {"": state.read_only, **{role: state.roles_read_only.get(role) for role in sorted(database.overriding)}}
    return [f"{_alter(state, role)} SET {READ_ONLY} TO on" for role, value in settings.items() if value != "on"]


def reset_read_only(before: DatabaseState, now: DatabaseState) -> t.List[str]:
    """The statements that restore the settings which `set_read_only` changed, if they are unchanged since."""
    statements = []
    current = {"": now.read_only, **now.roles_read_only}
    for role, value in {"": before.read_only, **before.roles_read_only}.items():
        if current.get(role) == "on" != value:
            change = f"RESET {READ_ONLY}" if value is None else f"SET {READ_ONLY} TO {quote_literal(value)}"
            statements.append(f"{_alter(now, role)} {change}")
    return statements


def revoke_writes(table: Table, grantees: t.Collection[str]) -> t.List[str]:
    """The statements that remove the rights to write from the grantees, of the table and of its columns."""
    found: t.List[str] = []
    for column, acl in (*table.state.columns.items(), ("", table.state.acl)):
        found += _revoked(_securable_table(table, column), acl or (), grantees, WRITES)
    return found


def grant_writes(before: TableState, now: Table) -> t.List[str]:
    """The statements that restore the rights to write, of the table and of its columns."""
    columns = {**before.columns, **now.state.columns}
    both = [
        (_securable_table(now, column), former, current)
        for column, former, current in (
            ("", before.acl, now.state.acl),
            *((column, before.columns.get(column), now.state.columns.get(column)) for column in columns),
        )
    ]
    reordered = any(one.is_reordered(former, current, WRITES) for one, former, current in both)
    if not reordered or not all(one.is_complete(former, current, WRITES) for one, former, current in both):
        return [sql for one, former, current in both for sql in one.restore(former, current, WRITES)]
    # A right on the table that is revoked is revoked on its columns too.
    written = [one.rewrite(former, current) for one, former, current in both]
    return [sql for step in (0, 1) for statements in written for sql in statements[step]]


def _revoked(
    securable: Securable, acl: t.Sequence[Entry], grantees: t.Collection[str], names: t.Sequence[str]
) -> t.Iterator[str]:
    for entry in acl:
        if entry.grantee in grantees:
            yield from securable.revoke(entry.only(names))


def _default(owner: str) -> t.Tuple[Entry, ...]:
    """The entries that have the effect of the default privileges of a database."""
    return _entry("", owner, ("TEMPORARY", "CONNECT")), _entry(owner, owner, ("CREATE", "TEMPORARY", "CONNECT"))


def _entry(grantee: str, grantor: str, names: t.Sequence[str]) -> Entry:
    return Entry(grantee, grantor, tuple(Privilege(name, False) for name in names))


def _is_part(acl: t.Sequence[Entry], default: t.Sequence[Entry]) -> bool:
    """Whether the default privileges include all of these."""
    known = {(one.grantee, one.grantor): set(one.privileges) for one in default}
    return all(set(one.privileges) <= known.get((one.grantee, one.grantor), set()) for one in acl)


def _alter(database: DatabaseState, role: str) -> str:
    name = quote_identifier(database.name)
    return f"ALTER ROLE {quote_identifier(role)} IN DATABASE {name}" if role else f"ALTER DATABASE {name}"


def _securable(database: DatabaseState, owner: str) -> Securable:
    return Securable(f"DATABASE {quote_identifier(database.name)}", owner)


def _securable_table(table: Table, column: str) -> Securable:
    return Securable(f"TABLE {table.name.quoted}", table.owner, column)
