# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the statements that stop or allow writes, in transactions, and ends sessions."""

from __future__ import annotations

import time
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.notices import note
from ..server.confined import run
from ..server.connection import Connection, fetch_all
from ..server.driver import psycopg2
from ..server.refusals import query_error
from ..server.transaction import transaction
from ..server.work_lock import lock_work
from .catalog import Session, Table

#: Tables of one transaction: the server has room for the locks of some thousands.
_BATCH = 200
#: Seconds of one attempt to lock tables: writers queue behind it. Then the tables are free for the pause.
_ATTEMPT, _PAUSE = 1.0, 0.2
#: Seconds in which sessions that were asked to end must have ended.
_PATIENCE = 30.0

_LOCKED_BY = """
    SELECT DISTINCT coalesce(a.usename, ''), coalesce(l.pid, 0)
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.relation = ANY (%s) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    ORDER BY 2
"""

Check = t.Callable[[t.Sequence[Table]], None]


def lock_maintenance(conn: Connection, source: str) -> None:
    """Keep other runs that stop or allow writes off the source during the session. Raises RecoveryError(locked)."""

    def running(subject: str, pid: int) -> RecoveryError:
        return RecoveryError(
            ErrorKind.LOCKED,
            f"Another maintenance of {subject!r} is running, in the session with the process id {pid}.",
            next_step="Wait for it to end; its session is named 'lifeline.recovery maintenance' in pg_stat_activity.",
        )

    for text in lock_work(conn, "maintenance", source, running):
        note(text)


def apply_to_tables(
    conn: Connection,
    statements: t.Sequence[t.Tuple[Table, str]],
    mode: str,
    *,
    lock_timeout: float,
    check: Check = lambda _tables: None,
    between: t.Callable[[], None] = lambda: None,
) -> None:
    """Run the statements of each table, many tables in one transaction that locks them in a mode.

    check is called before each commit, with the tables; between, after each failed attempt to lock them. Raises
    RecoveryError(locked); tables of earlier transactions stay changed.
    """
    by_table: t.Dict[int, t.Tuple[Table, t.List[str]]] = {}
    for table, statement in statements:
        by_table.setdefault(table.state.oid, (table, []))[1].append(statement)
    waiting = list(by_table.values())
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        tables = [table for table, _statements in batch]
        names = ", ".join(f"ONLY {table.name.quoted}" for table in tables)
        lines = [f"LOCK TABLE {names} IN {mode} MODE", *(one for _table, found in batch for one in found)]
        _attempt(conn, lines, tables, lock_timeout, check, between)


def _attempt(
    conn: Connection,
    statements: t.Sequence[str],
    tables: t.Sequence[Table],
    lock_timeout: float,
    check: Check,
    between: t.Callable[[], None],
) -> None:
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            with transaction(conn, lock_timeout=min(_ATTEMPT, max(0.01, deadline - time.monotonic()))):
                for statement in statements:
                    run(conn, statement)
                check(tables)
            return
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            if time.monotonic() + _PAUSE >= deadline:
                raise _locked(conn, tables, lock_timeout) from None
        between()
        time.sleep(_PAUSE)


def _locked(conn: Connection, tables: t.Sequence[Table], lock_timeout: float) -> RecoveryError:
    holders = fetch_all(conn, _LOCKED_BY, ([table.state.oid for table in tables],))
    named = ", ".join(f"{role} (process id {pid})" if pid else "a prepared transaction" for role, pid in holders[:5])
    return RecoveryError(
        ErrorKind.LOCKED,
        f"Other sessions held tables for longer than `lock_timeout`, {lock_timeout:g} seconds"
        f"{': ' if named else ''}{named}.",
        next_step="End these sessions, or raise `lock_timeout`, and run it again.",
    )


def end_sessions(conn: Connection, listed: t.Callable[[], t.Sequence[Session]]) -> int:
    """End the sessions, and those that begin before the last one has ended; how many there were.

    Raises RecoveryError: access_denied, target_in_use if sessions remain.
    """
    ended: t.Set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = listed()
        if not found:
            return len(ended)
        if time.monotonic() >= deadline:
            named = ", ".join(f"{one.role} (process id {one.pid})" for one in found[:5])
            raise RecoveryError(
                ErrorKind.TARGET_IN_USE,
                f"Sessions of the application did not end, or began again: {named}.",
                next_step="Stop the application, then run it again.",
            )
        try:
            fetch_all(conn, "SELECT pg_terminate_backend(p, 2000) FROM unnest(%s) p", ([one.pid for one in found],))
        except psycopg2.errors.InsufficientPrivilege as error:
            raise query_error(
                error,
                subject=f"to end the session of {found[0].role}",
                steps={"42501": "As a superuser, grant pg_signal_backend to the role of this connection."},
            ) from None
        ended.update(one.pid for one in found)
        time.sleep(0.05)
