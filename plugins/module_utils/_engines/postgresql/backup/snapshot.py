# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holds one snapshot of a database for the dump and the fingerprint; refuses databases that cannot be backed up."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.selection import DumpScope, Selection, read_path, read_relations
from ..server import catalog
from ..server.confined import is_superuser
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value
from ..server.encoding import is_readable, shown
from ..server.table_locks import TableLocks, locked
from ..server.work_lock import lock_source

#: How often a snapshot is taken again because a table was rewritten after it was taken.
_TRIES = 5

_LSN = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text
"""

#: Names that a set must be able to write down.
_NAMES = """
    SELECT current_database()
    UNION SELECT n.nspname FROM pg_namespace n
    UNION SELECT c.relname FROM pg_class c
    UNION SELECT a.attname FROM pg_attribute a WHERE NOT a.attisdropped
    UNION SELECT p.proname FROM pg_proc p
    UNION SELECT t.typname FROM pg_type t
    UNION SELECT o.conname FROM pg_constraint o
    UNION SELECT g.tgname FROM pg_trigger g
    UNION SELECT p.polname FROM pg_policy p
    UNION SELECT r.rolname FROM pg_roles r
"""


@dataclass(frozen=True)
class HeldSnapshot:
    """An exported snapshot; it lasts as long as the context that gave it. notes: what the operator should read.

    scope: the relations that a dump of the snapshot holds.
    """

    snapshot: str
    recovery_point: datetime
    lsn: t.Optional[str]
    facts: catalog.ServerFacts
    tables: t.Tuple[catalog.Table, ...]
    notes: t.Tuple[str, ...]
    locks: TableLocks
    scope: DumpScope

    def require_visible_rows(self) -> None:
        """Raise RecoveryError(locked) when a table was rewritten since the snapshot, which sees it empty.

        To be called when pg_dump has its own locks, after which no table can be rewritten.
        """
        rewritten = self.locks.rewritten()
        if rewritten:
            raise _rewritten(rewritten)


def refuse_pooler(options: ConnectionOptions) -> None:
    """Supabase's port 6543 is a transaction pooler, where a snapshot cannot be held."""
    if options.port == 6543:
        raise RecoveryError(
            ErrorKind.TRANSACTION_POOLER,
            f"{options.place} is a transaction pooler, where a snapshot cannot be held.",
            next_step="Use the direct connection or the session pooler on port 5432.",
        )


@contextlib.contextmanager
def held_snapshot(
    options: ConnectionOptions,
    source: str,
    lock_timeout: float,
    selection: Selection,
    named: Selection,
    check: t.Callable[[catalog.ServerFacts], None] = lambda facts: None,
) -> t.Iterator[HeldSnapshot]:
    """Lock the source against a second backup, wait for locked tables, and export a snapshot of the database.

    lock_timeout, in seconds, bounds the wait for all tables that selection leaves in; named is the part of selection
    that the operator wrote, whose names must exist. check may refuse the server.
    Raises RecoveryError: transaction_pooler, backup_running, locked, unreachable, access_denied, target_missing,
    unsupported, invalid_options.
    """
    refuse_pooler(options)
    with connection(options, application="lifeline.recovery backup") as conn:
        facts = catalog.server_facts(conn)
        check(facts)
        if facts.encoding == "SQL_ASCII":
            _refuse_unreadable_names(conn)
        notes = (*lock_source(conn, source), *_superuser_note(conn, options))
        path = read_path(conn)
        scope = DumpScope(selection, read_relations(conn, path))
        notes = (*notes, *scope.require_known(named))
        locks = TableLocks(conn, lock_timeout, scope.is_dumped)
        for attempt in range(_TRIES):
            locks.begin()
            recovery_point = fetch_value(conn, "SELECT clock_timestamp()")
            rewritten = locks.rewritten()
            if not rewritten:
                break
            with conn.cursor() as cursor:
                cursor.execute("ROLLBACK")
            if attempt == _TRIES - 1:
                raise _rewritten(rewritten)
        snapshot = fetch_value(conn, "SELECT pg_export_snapshot()")
        lsn = fetch_value(conn, _LSN)
        # Read again in the snapshot: a partition may have been added during the wait for locks.
        scope = DumpScope(selection, read_relations(conn, path))
        names = [
            (table.schema, table.name) for table in locks.tables if scope.has_rows_dumped(table.schema, table.name)
        ]
        tables = tuple(catalog.user_tables(conn, names))
        yield HeldSnapshot(snapshot, recovery_point, lsn, facts, tables, notes, locks, scope)


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


def _rewritten(tables: t.Sequence[str]) -> RecoveryError:
    return locked(
        f"{len(tables)} tables were truncated or rewritten while the backup began, among them {', '.join(tables[:5])}; "
        "their rows would be missing."
    )


def _superuser_note(conn: Connection, options: ConnectionOptions) -> t.List[str]:
    if not is_superuser(conn):
        return []
    return [
        f"The backup of {options.database} logs in as a superuser, which it does not need. "
        "Use a role that may only read; docs/roles.md has its SQL."
    ]


def _refuse_unreadable_names(conn: Connection) -> None:
    names = [row[0] for row in fetch_all(conn, _NAMES) if not is_readable(row[0])]
    if names:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The database has the encoding SQL_ASCII, and {len(names)} names in it are not UTF-8, "
            f"among them {shown(names[0])}.",
            next_step="Rename them, or back up the database with pg_dump alone.",
        )
