# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the SQL for a role that backs a database up and a role that restores it, with the least rights for that.

Nothing is executed. A right that a role has already needs no statement.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.sizes import counted
from .connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value, quote_identifier

_BUILT_IN = ("pg_read_all_data", "pg_signal_backend")

#: Right, whether it is one on a function, and what it is granted on, by default the database.
_RIGHTS = (
    ("CONNECT", False, ""),
    ("TEMPORARY", False, ""),
    ("EXECUTE", True, "FUNCTION pg_catalog.pg_control_system()"),
)


@dataclass(frozen=True)
class RoleSqlResult:
    """statements: those of each role. sql: all of them as one script. notes: what no statement gives."""

    changed: bool
    database: str
    statements: t.Mapping[str, t.Sequence[str]]
    sql: str
    notes: t.Sequence[str]
    summary: str


def role_sql(options: ConnectionOptions, backup_role: str, restore_role: str) -> RoleSqlResult:
    """The statements that the two roles lack. Any role that may connect can read what decides them."""
    with connection(options, application="lifeline.recovery roles") as conn:
        statements = {
            backup_role: _statements(conn, backup_role, ("LOGIN", "BYPASSRLS"), _BUILT_IN[:1]),
            restore_role: _statements(
                conn, restore_role, ("LOGIN", "CREATEDB", "BYPASSRLS"), [*_BUILT_IN, *_owners(conn)]
            ),
        }
        notes = _notes(conn)
    number = sum(map(len, statements.values()))
    needs = f"need {counted(number, 'statement')}" if number else "have all rights"
    return RoleSqlResult(
        changed=False,
        database=options.database,
        statements=statements,
        sql="".join(f"{line};\n" for lines in statements.values() for line in lines),
        notes=notes,
        summary=f"The roles {backup_role} and {restore_role} {needs} for {options.database}.",
    )


def _statements(conn: Connection, role: str, attributes: t.Sequence[str], groups: t.Sequence[str]) -> t.List[str]:
    name, database = quote_identifier(role), quote_identifier(conn.info.dbname)
    found = fetch_all(conn, _ATTRIBUTES, (role,))
    lacking = [word for word, has in zip(("LOGIN", "CREATEDB", "BYPASSRLS"), found[0]) if not has] if found else []
    lacking = [word for word in lacking if word in attributes]
    statements = []
    if not found:
        statements.append(f"CREATE ROLE {name} {' '.join(attributes)}")
    elif lacking:
        statements.append(f"ALTER ROLE {name} {' '.join(lacking)}")
    for group in groups:
        if group != role and not (found and fetch_value(conn, _MEMBER, (role, group))):
            statements.append(f"GRANT {quote_identifier(group)} TO {name}")
    for right, of_function, thing in _RIGHTS:
        # A role that does not exist yet has what PUBLIC has.
        check = "has_function_privilege" if of_function else "has_database_privilege"
        what = "'pg_catalog.pg_control_system()'" if of_function else "current_database()"
        if not fetch_value(conn, f"SELECT {check}(%s::name, {what}, %s)", (role if found else "public", right)):
            statements.append(f"GRANT {right} ON {thing or f'DATABASE {database}'} TO {name}")
    return statements


def _owners(conn: Connection) -> t.List[str]:
    return [str(row[0]) for row in fetch_all(conn, _OWNERS) if not row[1]]


def _notes(conn: Connection) -> t.List[str]:
    notes = ["The statements set no password. Set one with \\password in psql, or use another way to log in."]
    for name, is_super, number in fetch_all(conn, _OWNERS):
        if is_super:
            notes.append(
                f"{number} objects belong to the superuser {name}. A restore of the whole database needs a superuser, "
                "or `owner` set to false."
            )
    if fetch_value(conn, "SELECT EXISTS (SELECT FROM pg_largeobject_metadata)"):
        notes.append(
            "The database has large objects, which pg_read_all_data does not cover. Either their owners grant SELECT "
            "on each of them to the backup role, or a superuser sets lo_compat_privileges = on for the database."
        )
    return notes


_ATTRIBUTES = """
SELECT rolsuper OR rolcanlogin, rolsuper OR rolcreatedb, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s
"""

_MEMBER = "SELECT pg_has_role(%s::name, %s::name, 'USAGE')"

#: Owners of the database and of what a restore makes in it, without objects of extensions and of the system.
_OWNERS = """
SELECT r.rolname::text, r.rolsuper, count(*) FROM (
  SELECT datdba AS owner FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT nspowner FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT (nspname = 'public' AND pg_get_userbyid(nspowner) = 'pg_database_owner')
  UNION ALL SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
  UNION ALL SELECT p.proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
  UNION ALL SELECT y.typowner FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
    WHERE y.typtype IN ('e', 'd', 'r') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = y.oid
                      AND d.deptype = 'e')
  UNION ALL SELECT lomowner FROM pg_largeobject_metadata
) o JOIN pg_roles r ON r.oid = o.owner
GROUP BY 1, 2 ORDER BY 1
"""
