# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles that an archive names: owners, grantees and grantors, those of policies and of user mappings."""

from __future__ import annotations

import re
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from .toc import Toc

#: A name as pg_dump prints it, quoted where it must be.
NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)'

_GRANTED = (
    rf"\b(?:TO|FROM) ({NAME})(?: WITH GRANT OPTION)?(?: GRANTED BY {NAME})?(?: CASCADE)?;",
    rf"\bGRANTED BY ({NAME})",
    # A grant that another role than the owner made is replayed as that role.
    rf"\bSET SESSION AUTHORIZATION ({NAME});",
)
_PATTERNS = {
    "ACL": _GRANTED,
    "DEFAULT ACL": (rf"\bFOR ROLE ({NAME})", *_GRANTED),
    "POLICY": (rf"\bTO ({NAME}(?:, {NAME})*)(?: USING| WITH CHECK|;)",),
    "USER MAPPING": (rf"\bCREATE USER MAPPING FOR ({NAME}) SERVER ",),
}

_NOT_ROLES = {"PUBLIC", "public", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", ""}


def roles_of(toc: Toc) -> t.Set[str]:
    """Every role that must exist before the archive can be restored with its owners and rights."""
    found = {entry.owner for entry in toc.entries}
    for kind, patterns in _PATTERNS.items():
        for entry in toc.of_kind(kind):
            for pattern in patterns:
                for match in re.finditer(pattern, entry.definition):
                    found.update(unquote(name) for name in re.findall(NAME, match.group(1)))
    return found - _NOT_ROLES


def missing_roles(conn: Connection, wanted: t.Collection[str]) -> t.List[str]:
    there = {row[0] for row in fetch_all(conn, "SELECT rolname FROM pg_roles")}
    return sorted(set(wanted) - there)


def assignable_roles(conn: Connection) -> t.Set[str]:
    """The roles that the connected role may give objects to, and whose objects it may then change.

    From PostgreSQL 16 on a member may lack the right to act for the role.
    """
    right = "SET" if conn.server_version >= 160000 else "MEMBER"
    sql = "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE') AND pg_has_role(oid, %s)"
    return {row[0] for row in fetch_all(conn, sql, (right,))}


def require_right_to_create(conn: Connection) -> None:
    """Raise RecoveryError(access_denied) where the role may not create roles."""
    role, may = fetch_all(conn, "SELECT rolname, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")[
        0
    ]
    if not may:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The role {role} may not create the roles that the server lacks.",
            next_step=f"As a superuser: ALTER ROLE {quote_identifier(role)} CREATEROLE. Or create the roles first.",
        )


def create_roles(conn: Connection, names: t.Iterable[str]) -> None:
    """Create roles that cannot log in and have no rights of their own.

    A role that is no superuser becomes a member, so that it may give objects to them.
    """
    superuser = fetch_value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    with conn.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE ROLE {quote_identifier(name)} NOLOGIN")
            if not superuser:
                cursor.execute(f"GRANT {quote_identifier(name)} TO CURRENT_USER")


def unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
