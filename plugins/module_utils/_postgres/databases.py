# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases as a whole: create, drop, swap names, end sessions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .connection import Connection, fetch_all, fetch_value, query_error, quote_identifier

try:
    import psycopg2
except ImportError:
    psycopg2 = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Session:
    pid: int
    user: str
    application: str


def exists(conn: Connection, name: str) -> bool:
    return bool(fetch_value(conn, "SELECT 1 FROM pg_database WHERE datname = %s", (name,)))


def size(conn: Connection, name: str) -> int:
    """Bytes on disk."""
    return int(fetch_value(conn, "SELECT pg_database_size(%s)", (name,)))


def sessions(conn: Connection, name: str) -> t.List[Session]:
    rows = fetch_all(
        conn,
        "SELECT pid, coalesce(usename, ''), coalesce(application_name, '') FROM pg_stat_activity "
        "WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid",
        (name,),
    )
    return [Session(*row) for row in rows]


def create(conn: Connection, name: str, *, encoding: str, collation: str, owner: t.Optional[str] = None) -> None:
    """Create an empty database like the one that was backed up; a collation this server lacks becomes C.UTF-8 or C."""
    known = {row[0] for row in fetch_all(conn, "SELECT collcollate FROM pg_collation WHERE collcollate IS NOT NULL")}
    default = fetch_value(conn, "SELECT datcollate FROM pg_database WHERE datname = 'template0'")
    chosen = collation if collation in known | {default, "C", "POSIX"} or _libc_has(conn, collation) else default
    owned = f" OWNER {quote_identifier(owner)}" if owner else ""
    _execute(
        conn,
        f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s{owned}",
        (encoding, chosen, chosen),
    )


def drop(conn: Connection, name: str) -> None:
    """Drop a database with its sessions; one that is not there is no error."""
    _execute(conn, f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")


def refuse_sessions(conn: Connection, name: str) -> None:
    """Raise RecoveryError(target_in_use) when anybody else is connected to the database."""
    found = sessions(conn, name)
    if found:
        who = ", ".join(sorted({f"{session.user} ({session.application or 'unnamed'})" for session in found})[:5])
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The database {name!r} has {len(found)} session{'s' * (len(found) > 1)}: {who}.",
            left="It is as it was.",
            next_step="Stop the application, or set terminate_sessions to true.",
        )


def rename(conn: Connection, name: str, new_name: str) -> None:
    _execute(conn, f"ALTER DATABASE {quote_identifier(name)} RENAME TO {quote_identifier(new_name)}")


def terminate(conn: Connection, name: str) -> None:
    """End every other session on a database and wait until it has ended."""
    fetch_all(
        conn,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        (name,),
    )


def swap(conn: Connection, current: str, replacement: str, kept_as: str, *, end_sessions: bool) -> None:
    """Give replacement the name current, and current the name kept_as, in one transaction.

    New sessions are refused meanwhile; without end_sessions, sessions on current stop it before anything changed.
    Raises RecoveryError(target_in_use, query_failed).
    """
    if not end_sessions:
        refuse_sessions(conn, current)
    _execute(conn, f"ALTER DATABASE {quote_identifier(current)} ALLOW_CONNECTIONS false")
    try:
        for name in (current, replacement):
            terminate(conn, name)
        _execute(
            conn,
            "BEGIN; "
            f"ALTER DATABASE {quote_identifier(current)} RENAME TO {quote_identifier(kept_as)}; "
            f"ALTER DATABASE {quote_identifier(replacement)} RENAME TO {quote_identifier(current)}; "
            "COMMIT",
        )
    except RecoveryError:
        with conn.cursor() as cursor:
            cursor.execute("ROLLBACK")
        raise
    finally:
        for name in (current, kept_as):
            if exists(conn, name):
                _execute(conn, f"ALTER DATABASE {quote_identifier(name)} ALLOW_CONNECTIONS true")


def _libc_has(conn: Connection, collation: str) -> bool:
    return bool(fetch_value(conn, "SELECT 1 FROM pg_database WHERE datcollate = %s", (collation,)))


def _execute(conn: Connection, sql: str, parameters: t.Any = None) -> None:
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql, parameters)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"PostgreSQL refused: {error.diag.message_primary}.",
            next_step="Connect as a superuser, or as a role with CREATEDB that owns the database.",
        ) from None
    except psycopg2.Error as error:
        raise query_error(error) from None
