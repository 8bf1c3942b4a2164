# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exchanges the names of two databases in one transaction that leaves no state behind when it is cut off.

ALTER DATABASE ... RENAME locks the database against new sessions, and waits up to five seconds for the sessions that
remain (CountOtherDBBackends in PostgreSQL's procarray.c). These are ended during that wait by a second connection, so
no setting such as ALLOW_CONNECTIONS has to be committed first: a run that is killed leaves the names unchanged.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier, quote_literal
from ..server.driver import psycopg2
from ..server.refusals import query_error, server_message
from .databases import OF_A_CLIENT, Database

#: Seconds between two rounds of ending sessions while a rename waits for them.
_ROUND = 0.05

_TERMINATE = (
    """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = %s AND pid <> pg_backend_pid() AND """
    + OF_A_CLIENT
)

_IDENTITIES = "SELECT datname, oid FROM pg_database WHERE datname IN (%s, %s)"


def exchange(
    options: ConnectionOptions,
    current: Database,
    replacement: Database,
    kept_as: str,
    *,
    end_sessions: bool,
    lock_timeout: float,
) -> None:
    """Give replacement the name of current, and current the name kept_as.

    options leads to neither of the two. lock_timeout, in seconds, bounds the wait of new sessions.
    Raises RecoveryError(target_in_use, conflict, access_denied, query_failed); the names are then unchanged.
    """
    application = "lifeline.recovery restore"
    with connection(options, application=application) as conn, connection(options, application=application) as other:
        with conn.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {quote_literal(f'{int(lock_timeout * 1000)}ms')}")
            cursor.execute("BEGIN")
        try:
            for name, new_name in ((current.name, kept_as), (replacement.name, current.name)):
                _rename(conn, other, name, new_name, end_sessions=end_sessions or name == replacement.name)
            _require_identities(conn, {current.name: replacement.oid, kept_as: current.oid})
            with conn.cursor() as cursor:
                cursor.execute("COMMIT")
        except BaseException:
            # The server rolls back a connection that is lost, so a failure here is the first one again.
            with contextlib.suppress(psycopg2.Error), conn.cursor() as cursor:
                cursor.execute("ROLLBACK")
            raise


def rename(options: ConnectionOptions, database: Database, new_name: str, *, lock_timeout: float) -> None:
    """Give a database a new name. Raises as exchange."""
    application = "lifeline.recovery restore"
    with connection(options, application=application) as conn, connection(options, application=application) as other:
        with conn.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {quote_literal(f'{int(lock_timeout * 1000)}ms')}")
        _rename(conn, other, database.name, new_name, end_sessions=True)


def _rename(conn: Connection, other: Connection, name: str, new_name: str, *, end_sessions: bool) -> None:
    failures: t.List[BaseException] = []

    def work() -> None:
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {quote_identifier(name)} RENAME TO {quote_identifier(new_name)}")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            if end_sessions:
                fetch_all(other, _TERMINATE, (name,))
            thread.join(_ROUND)
    except BaseException:
        conn.cancel()
        thread.join()
        raise
    if failures:
        raise _refusal(failures[0], name, new_name) from None


def _refusal(error: BaseException, name: str, new_name: str) -> BaseException:
    left = "The names of the databases are unchanged."
    if isinstance(error, (psycopg2.errors.ObjectInUse, psycopg2.errors.LockNotAvailable)):
        detail = f" {error.diag.message_detail}" if error.diag.message_detail else ""
        return RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The database {name!r} cannot be renamed: {server_message(error)}.{detail}",
            left=left,
            next_step="Stop the application, or set `terminate_sessions` to true.",
        )
    if isinstance(error, (psycopg2.errors.InvalidCatalogName, psycopg2.errors.DuplicateDatabase)):
        return RecoveryError(
            ErrorKind.CONFLICT,
            f"Databases changed their names during the restore: {server_message(error)}.",
            left=left,
            next_step=f"Check which databases are called {name!r} and {new_name!r}, then run the restore again.",
        )
    return query_error(error, left) if isinstance(error, psycopg2.Error) else error


def _require_identities(conn: Connection, wanted: t.Mapping[str, int]) -> None:
    found = {name: int(oid) for name, oid in fetch_all(conn, _IDENTITIES, tuple(wanted))}
    if found != dict(wanted):
        raise RecoveryError(
            ErrorKind.CONFLICT,
            "Another database got one of the names during the restore.",
            left="The names of the databases are unchanged.",
            next_step="Check which restores run on the server, then run the restore again.",
        )
