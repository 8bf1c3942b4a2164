# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holds one snapshot of a database for the dump and the fingerprint, after refusing what cannot go well."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from . import catalog
from .connection import Connection, ConnectionOptions, connection, fetch_value

try:
    import psycopg2.errors
except ImportError:
    psycopg2 = None  # type: ignore[assignment]

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('lifeline.recovery backup of ' || %s, 0))"

_LSN = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text
"""


@dataclass(frozen=True)
class HeldSnapshot:
    """An exported snapshot; it lasts as long as the context that gave it."""

    snapshot: str
    recovery_point: datetime
    lsn: t.Optional[str]
    facts: catalog.ServerFacts
    tables: t.Tuple[catalog.Table, ...]


def refuse_pooler(options: ConnectionOptions) -> None:
    """Supabase's port 6543 is a transaction pooler, where a snapshot cannot be held."""
    if options.port == 6543:
        raise RecoveryError(
            ErrorKind.TRANSACTION_POOLER,
            f"{options.place} is a transaction pooler, where a snapshot cannot be held.",
            next_step="Use the direct connection or the session pooler on port 5432.",
        )


@contextlib.contextmanager
def held_snapshot(options: ConnectionOptions, source: str, lock_timeout: float) -> t.Iterator[HeldSnapshot]:
    """Lock the source against a second backup and export a snapshot of it.

    lock_timeout, in seconds, bounds the wait for a table that is locked.
    Raises RecoveryError: transaction_pooler, backup_running, locked, unreachable, access_denied, target_missing.
    """
    refuse_pooler(options)
    with connection(options, application="lifeline.recovery backup") as conn:
        _refuse_changing_backend(conn, options)
        if not fetch_value(conn, _LOCK, (source,)):
            raise RecoveryError(
                ErrorKind.BACKUP_RUNNING,
                f"Another backup of {source!r} is running.",
                next_step="Wait for it to end; its session is named 'lifeline.recovery backup' in pg_stat_activity.",
            )
        facts = catalog.server_facts(conn)
        with conn.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        recovery_point = fetch_value(conn, "SELECT clock_timestamp()")
        snapshot = fetch_value(conn, "SELECT pg_export_snapshot()")
        lsn = fetch_value(conn, _LSN)
        yield HeldSnapshot(snapshot, recovery_point, lsn, facts, _tables(conn, lock_timeout))


def refuse_blind(tables: t.Iterable[catalog.Table], options: ConnectionOptions) -> None:
    """Raise RecoveryError(rls_blind) when row-level security would hide rows of a table from this role."""
    hidden = sorted(f"{table.schema}.{table.name}" for table in tables if table.blind)
    if hidden:
        role = options.keywords.get("user", "this role")
        raise RecoveryError(
            ErrorKind.RLS_BLIND,
            f"Row-level security hides rows of {len(hidden)} tables from {role}, among them {', '.join(hidden[:5])}.",
            next_step=f"Back up as a superuser or a role with BYPASSRLS: ALTER ROLE {role} BYPASSRLS.",
            details={"tables": hidden},
        )


def _tables(conn: Connection, lock_timeout: float) -> t.Tuple[catalog.Table, ...]:
    # The size of a table is only told to who may look at it, so this waits for its lock.
    fetch_value(conn, "SELECT set_config('lock_timeout', %s, false)", (f"{int(lock_timeout * 1000)}ms",))
    try:
        return tuple(catalog.user_tables(conn))
    except psycopg2.errors.LockNotAvailable:
        raise RecoveryError(
            ErrorKind.LOCKED,
            f"A table is locked by another session for longer than {lock_timeout:g} seconds.",
            left="No backup set was written; earlier sets are as they were.",
            next_step="Run it when no migration holds the table, or raise lock_timeout.",
        ) from None


def _refuse_changing_backend(conn: Connection, options: ConnectionOptions) -> None:
    backends = {fetch_value(conn, "SELECT pg_backend_pid()") for _try in range(3)}
    if len(backends) > 1:
        raise RecoveryError(
            ErrorKind.TRANSACTION_POOLER,
            f"{options.place} changes the server process between statements, so it is a transaction pooler.",
            next_step="Connect to the server itself or to a session pooler.",
        )
