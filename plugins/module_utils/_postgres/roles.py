# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles that an archive names: owners, grantees and grantors, those of policies and of user mappings."""

from __future__ import annotations

import re
import typing as t

from .connection import Connection, fetch_all, quote_identifier
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


def create_roles(conn: Connection, names: t.Iterable[str]) -> None:
    """Create roles that cannot log in and have no rights of their own."""
    with conn.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE ROLE {quote_identifier(name)} NOLOGIN")


def unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
