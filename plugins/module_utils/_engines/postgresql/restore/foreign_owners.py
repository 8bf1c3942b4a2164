# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses a restore whose owners the role that logs in cannot set, before anything is created or changed.

ALTER ... OWNER TO needs the right to act for the new owner: membership, from PostgreSQL 16 on with the option SET.
Grants that another role than the owner made are replayed with SET SESSION AUTHORIZATION, which needs a superuser.
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.roles import assignable_roles
from ..archive.toc import Toc, TocEntry
from ..server.confined import is_superuser
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier

_INHERITED = """
    SELECT p.owner, p.holder FROM unnest(%s::text[], %s::text[]) p (owner, holder)
    JOIN pg_roles o ON o.rolname = p.owner JOIN pg_roles h ON h.rolname = p.holder
    WHERE pg_has_role(o.oid, h.oid, 'USAGE')
"""

#: Entries for which pg_restore changes no owner (_printTocEntry in pg_backup_archiver.c), or whose owner is that of
#: the object that they are part of.
_WITHOUT_OWNER = frozenset(
    (
        "ACL", "CAST", "CHECK CONSTRAINT", "COMMENT", "CONSTRAINT", "DEFAULT", "DEFAULT ACL", "FK CONSTRAINT", "INDEX",
        "POLICY", "ROW SECURITY", "RULE", "SECURITY LABEL", "SEQUENCE SET", "TABLE DATA", "TRIGGER", "USER MAPPING",
    )
)  # fmt: skip


def refuse_foreign_owners(
    conn: Connection, owners: t.Iterable[t.Tuple[str, str]], *, left: str, created: t.Collection[str] = ()
) -> None:
    """Raise RecoveryError(access_denied) when objects belong to roles that the connected role cannot act for.

    owners: pairs of an object and its owner. created: roles that do not exist yet, which the connected role creates
    and may act for.
    """
    may = assignable_roles(conn) | set(created)
    foreign = [(title, owner) for title, owner in owners if owner not in may]
    if not foreign:
        return
    role = fetch_value(conn, "SELECT current_user")
    missing = sorted({owner for _title, owner in foreign})
    raise RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"{len(foreign)} objects belong to roles that {role} may not act for: {_listed(foreign)}.",
        left=left,
        next_step=f"As a superuser: GRANT {', '.join(map(quote_identifier, missing))} TO {quote_identifier(role)}. "
        f"Or set `owner` to false: {role} then owns the objects.",
        details={"objects": [title for title, _owner in foreign], "roles": missing},
    )


def owners_of(entries: t.Iterable[TocEntry]) -> t.List[t.Tuple[str, str]]:
    """Pairs of an object and its owner, for every entry for which pg_restore sets an owner."""
    return [(entry.title, entry.owner) for entry in entries if entry.owner and entry.kind not in _WITHOUT_OWNER]


def refuse_owners_outside_schemas(conn: Connection, toc: Toc, database_owner: str, *, left: str) -> None:
    """Raise RecoveryError(access_denied) when an owner could not create objects in the schema of the object.

    A role that is no superuser may only give an object to a role with CREATE on the schema, and the grants of the
    archive come after the owners. The owner of a schema has the right; public belongs to the owner of the database.
    """
    if is_superuser(conn):
        return
    holders = {entry.tag: entry.owner for entry in toc.of_kind("SCHEMA")}
    if conn.server_version >= 150000:
        holders.setdefault("public", database_owner or fetch_value(conn, "SELECT current_user"))
    pairs = {
        (entry.title, entry.owner, holders[entry.schema])
        for entry in toc.entries
        if entry.owner and entry.kind not in _WITHOUT_OWNER and entry.owner != holders.get(entry.schema, entry.owner)
    }
    inherited = set(fetch_all(conn, _INHERITED, ([pair[1] for pair in pairs], [pair[2] for pair in pairs])))
    foreign = sorted((title, owner) for title, owner, holder in pairs if (owner, holder) not in inherited)
    if foreign:
        role = fetch_value(conn, "SELECT current_user")
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"{len(foreign)} objects belong to roles that do not own the schema of the object, which only a superuser "
            f"can restore: {_listed(foreign)}.",
            left=left,
            next_step=f"Log in as a superuser, or set `owner` to false: {role} then owns the objects.",
            details={"objects": [title for title, _owner in foreign]},
        )


def give_database(conn: Connection, name: str, owner: str, toc: t.Optional[Toc]) -> t.Tuple[str, ...]:
    """Let a role that is no superuser set the owners of the archive in the new database name.

    The database gets its owner, and the owners of its schemas get CREATE until take_back; returns their names.
    """
    if is_superuser(conn):
        return ()
    granted = tuple(sorted({entry.owner for entry in toc.of_kind("SCHEMA") if entry.owner})) if toc else ()
    with conn.cursor() as cursor:
        for role in granted:
            cursor.execute(f"GRANT CREATE ON DATABASE {quote_identifier(name)} TO {quote_identifier(role)}")
        if owner:
            cursor.execute(f"ALTER DATABASE {quote_identifier(name)} OWNER TO {quote_identifier(owner)}")
    return granted


def take_back(conn: Connection, name: str, granted: t.Iterable[str], owner: str) -> None:
    """Revoke what give_database granted; the owner of the database keeps its own right."""
    with conn.cursor() as cursor:
        for role in granted:
            if role != owner:
                cursor.execute(f"REVOKE CREATE ON DATABASE {quote_identifier(name)} FROM {quote_identifier(role)}")


def _listed(owners: t.Sequence[t.Tuple[str, str]]) -> str:
    return ", ".join(f"{title} of {owner}" for title, owner in owners[:5])


def refuse_foreign_grants(conn: Connection, entries: t.Iterable[TocEntry], *, left: str) -> None:
    """Raise RecoveryError(access_denied) when grants of other grantors need a superuser, which the role is not."""
    foreign = [
        entry.title for entry in entries if entry.kind == "ACL" and "SET SESSION AUTHORIZATION" in entry.definition
    ]
    if not foreign or is_superuser(conn):
        return
    raise RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"Only a superuser can restore the grants on {len(foreign)} objects, which other roles than their owners made: "
        f"{', '.join(foreign[:5])}.",
        left=left,
        next_step="Log in as a superuser, or set privileges to false and grant again afterwards.",
        details={"objects": foreign},
    )
