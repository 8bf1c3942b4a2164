# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads from the catalog which roles, databases and tables can be written, and by which sessions."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..restore.databases import OF_A_CLIENT
from ..server.acl import EXPLODED, Acl, read_acl
from ..server.connection import Connection, fetch_all
from ..server.names import QualifiedName
from .state import DatabaseState, TableState

READ_ONLY = "default_transaction_read_only"

_ROLES = """
    SELECT r.rolname::text, r.rolcanlogin, r.rolsuper,
           ARRAY(SELECT m.rolname::text FROM pg_roles m
                 WHERE m.rolcanlogin AND NOT m.rolsuper AND m.oid <> r.oid AND pg_has_role(m.oid, r.oid, 'MEMBER')
                 ORDER BY 1)
    FROM pg_roles r WHERE r.rolname = ANY (%s)
"""

_DATABASE = """
    SELECT d.oid, d.datname::text, d.datacl IS NULL, pg_get_userbyid(d.datdba)::text
    FROM pg_database d WHERE d.oid = %(oid)s OR %(oid)s IS NULL AND d.datname = current_database()
"""

_DATABASE_ACL = f"""
    SELECT {EXPLODED} FROM pg_database d, aclexplode(d.datacl) WITH ORDINALITY a WHERE d.oid = %s ORDER BY a.ordinality
"""

#: A setting of a role in a database precedes that of the role, which precedes that of the database.
#: https://www.postgresql.org/docs/current/sql-alterrole.html
_SETTINGS = """
    SELECT s.setdatabase = 0, CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END,
           substr(c.setting, strpos(c.setting, '=') + 1)
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c (setting)
    WHERE s.setdatabase IN (0, %s) AND split_part(c.setting, '=', 1) = %s
"""

#: The tables of names and the tables below them, or the tables of schemas without those of extensions.
_WANTED = """
    WITH RECURSIVE wanted (oid) AS (
      SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%(in_schemas)s::text[], %(names)s::text[]))
         OR n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                            AND d.deptype = 'e')
      UNION SELECT i.inhrelid FROM pg_inherits i JOIN wanted w ON w.oid = i.inhparent
    )
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind IN ('r', 'p')
    FROM wanted w JOIN pg_class c ON c.oid = w.oid JOIN pg_namespace n ON n.oid = c.relnamespace
"""

_TABLES = """
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', pg_get_userbyid(c.relowner)::text,
           c.relacl IS NULL, pg_has_role(c.relowner, 'USAGE')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%(oids)s) AND c.relkind IN ('r', 'p')
    ORDER BY n.nspname, c.relname
"""

_TABLE_ACLS = f"""
    SELECT c.oid, '', {EXPLODED} FROM pg_class c, aclexplode(c.relacl) WITH ORDINALITY a
    WHERE c.oid = ANY (%(oids)s)
    ORDER BY c.oid, a.ordinality
"""
_COLUMN_ACLS = f"""
    SELECT b.attrelid, b.attname::text, {EXPLODED} FROM pg_attribute b, aclexplode(b.attacl) WITH ORDINALITY a
    WHERE b.attrelid = ANY (%(oids)s) AND b.attnum > 0 AND NOT b.attisdropped
    ORDER BY b.attrelid, b.attnum, a.ordinality
"""

#: Sessions of roles and of roles that can act as one of these; without roles, of every role that is no superuser.
_SESSIONS = f"""
    SELECT a.pid, r.rolname::text, coalesce(a.application_name, '')
    FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND {OF_A_CLIENT}
      AND r.rolname <> ALL (%(spared)s)
      AND CASE WHEN cardinality(%(roles)s::text[]) = 0 THEN NOT r.rolsuper
          ELSE r.rolname = ANY (%(roles)s) OR NOT r.rolsuper AND EXISTS (
            SELECT FROM pg_roles g WHERE g.rolname = ANY (%(roles)s) AND pg_has_role(r.oid, g.oid, 'MEMBER')) END
    ORDER BY a.pid
"""

_ELSEWHERE = """
    SELECT a.datname::text, r.rolname::text, count(*)
    FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE a.datname <> current_database() AND r.rolname = ANY (%s) AND a.pid <> pg_backend_pid()
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Role:
    """A role. members: roles that log in and can act as it."""

    name: str
    can_login: bool
    is_superuser: bool
    members: t.Sequence[str]


@dataclass(frozen=True)
class Database:
    """A database. overriding: roles whose own setting precedes default_transaction_read_only of the database."""

    state: DatabaseState
    owner: str
    overriding: t.AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class Table:
    """A table that holds or routes rows. owned: whether this session may act as its owner."""

    state: TableState
    owner: str
    owned: bool
    is_partitioned: bool

    @property
    def name(self) -> QualifiedName:
        return self.state.name


class Session(t.NamedTuple):
    pid: int
    role: str
    application: str


def read_roles(conn: Connection, names: t.Sequence[str]) -> t.List[Role]:
    """The roles in the order of the names. Raises RecoveryError(roles_missing)."""
    found = {row[0]: Role(*row) for row in fetch_all(conn, _ROLES, (list(names),))}
    missing = [name for name in names if name not in found]
    if missing:
        raise RecoveryError(
            ErrorKind.ROLES_MISSING,
            f"`roles` must be roles of the server, got {', '.join(map(repr, missing))}.",
            next_step="List the roles with \\du in psql, and correct `roles`.",
        )
    return [found[name] for name in names]


def read_database(conn: Connection, roles: t.Collection[str], oid: t.Optional[int] = None) -> t.Optional[Database]:
    """A database with its settings for these roles, by default the one of the session; None if it does not exist."""
    for found, name, has_default, owner in fetch_all(conn, _DATABASE, {"oid": oid}):
        acl = None if has_default else read_acl(fetch_all(conn, _DATABASE_ACL, (found,)))
        rows = fetch_all(conn, _SETTINGS, (found, READ_ONLY))
        settings = {role: value for of_all, role, value in rows if not of_all}
        overriding = {role for _of_all, role, _value in rows if role in roles}
        state = DatabaseState(int(found), name, acl, settings.get(""), {role: settings.get(role) for role in roles})
        return Database(state, owner, overriding)
    return None


def find_tables(conn: Connection, names: t.Sequence[QualifiedName], schemas: t.Sequence[str]) -> t.List[Table]:
    """The named tables, or all tables of the schemas, with their partitions and the tables that inherit from them.

    Raises RecoveryError: table_missing, unsupported for a relation that is no table.
    """
    given = {
        "in_schemas": [one.schema for one in names],
        "names": [one.name for one in names],
        "schemas": [] if names else list(schemas),
    }
    rows = fetch_all(conn, _WANTED, given)
    is_table = {QualifiedName(schema, name): found for _oid, schema, name, found in rows}
    for name in names:
        if name not in is_table:
            raise RecoveryError(
                ErrorKind.TABLE_MISSING,
                f"`tables` must be tables of the database, got {name}.",
                next_step="Check the name; it counts upper and lower case.",
            )
        if not is_table[name]:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"`tables` must be tables that hold rows, got {name}, which is a view or a foreign table.",
                next_step="Name the tables that it reads, or the tables of the other server.",
            )
    return read_tables(conn, [row[0] for row in rows])


def read_tables(conn: Connection, oids: t.Sequence[int]) -> t.List[Table]:
    """Those of the tables that exist, by name."""
    acls = _acls(conn, oids)
    found = []
    for oid, schema, name, is_partitioned, owner, has_default, owned in fetch_all(conn, _TABLES, {"oids": list(oids)}):
        columns = acls.get(oid, {})
        acl = columns.pop("", ())
        state = TableState(int(oid), QualifiedName(schema, name), None if has_default else acl, columns)
        found.append(Table(state, owner, owned, is_partitioned))
    return found


Pair = t.Tuple[TableState, t.Optional[Table]]


def tables_as_before(conn: Connection, before: t.Sequence[TableState]) -> t.List[Pair]:
    """Each table of before with the one that it is now: the same, else the one that has its name now, else None."""
    schemas, names = [one.name.schema for one in before], [one.name.name for one in before]
    rows = fetch_all(conn, _WANTED, {"in_schemas": schemas, "names": names, "schemas": []})
    named = {QualifiedName(schema, name): oid for oid, schema, name, _is_table in rows}
    now = {one.state.oid: one for one in read_tables(conn, [*(one.oid for one in before), *named.values()])}
    return [(one, now.get(one.oid) or now.get(named.get(one.name, 0))) for one in before]


def _acls(conn: Connection, oids: t.Sequence[int]) -> t.Dict[int, t.Dict[str, Acl]]:
    """The privileges of tables, under an empty name, and of their columns."""
    found: t.Dict[int, t.Dict[str, Acl]] = {}
    for sql in (_TABLE_ACLS, _COLUMN_ACLS):
        rows = fetch_all(conn, sql, {"oids": list(oids)})
        for (oid, column), group in itertools.groupby(rows, key=lambda row: (row[0], row[1])):
            found.setdefault(oid, {})[column] = read_acl(row[2:] for row in group)
    return found


def sessions(conn: Connection, roles: t.Sequence[str], spared: t.Sequence[str]) -> t.List[Session]:
    """The sessions that write to the database of the session, but not those of the spared roles."""
    return [Session(*row) for row in fetch_all(conn, _SESSIONS, {"roles": list(roles), "spared": list(spared)})]


def sessions_elsewhere(conn: Connection, roles: t.Sequence[str]) -> t.List[t.Tuple[str, str, int]]:
    """(database, role, number) of sessions of the roles in other databases of the server."""
    return [(row[0], row[1], int(row[2])) for row in fetch_all(conn, _ELSEWHERE, (list(roles),))]
