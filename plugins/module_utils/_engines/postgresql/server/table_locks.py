# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits for tables that others have locked, before a snapshot is taken that would not see what they write.

TRUNCATE and every rewrite of a table make its rows invisible to older snapshots, without an error. A snapshot is
therefore taken only while no other session can do that: all tables are locked first, in the transaction of the
snapshot, which LOCK TABLE does not begin.
https://www.postgresql.org/docs/current/mvcc-caveats.html
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from .connection import Connection, fetch_all, fetch_value, quote_identifier
from .driver import psycopg2

#: Tables of users and of the configuration of extensions, which pg_dump locks as well. No function here waits.
_LOCKABLE = """
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (NOT EXISTS (SELECT FROM pg_depend d
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY c.oid
"""

#: Locks that other sessions hold or wait for and that block readers.
_LOCKED = """
    SELECT DISTINCT l.relation FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY (%s)
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
"""

#: The storage of a table in the snapshot, and now: the function looks at the current catalog.
_REWRITTEN = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%s) AND c.relfilenode <> 0 AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode
    ORDER BY 1
"""

_CAPACITY = """
    SELECT current_setting('max_locks_per_transaction')::int
           * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)
"""

#: The part of the server's lock table that a backup may use: pg_dump needs as much again, and other sessions need some.
_SHARE = 0.3

_BATCH = 500


@dataclass(frozen=True)
class Lockable:
    oid: int
    schema: str
    name: str

    @property
    def quoted(self) -> str:
        return quote_identifier(self.schema, self.name)


class TableLocks:
    """Locks the tables of a backup within seconds; 0 waits without a limit. wanted: by schema and name."""

    def __init__(self, conn: Connection, seconds: float, wanted: t.Callable[[str, str], bool]) -> None:
        self._conn, self._seconds, self._wanted = conn, seconds, wanted
        self._end = time.monotonic() + seconds if seconds > 0 else None
        self.tables: t.List[Lockable] = []

    def begin(self) -> None:
        """Begin the transaction of a snapshot with every table locked; the next query takes the snapshot.

        Nothing is held while a lock is waited for, so that no deadlock can arise. Where the server has no room for
        so many locks, no lock is held, and only those of others were waited for: see rewritten.
        Raises RecoveryError(locked).
        """
        while True:
            self.tables = [
                table
                for table in map(_lockable, fetch_all(self._conn, _LOCKABLE))
                if self._wanted(table.schema, table.name)
            ]
            fits = len(self.tables) <= int(fetch_value(self._conn, _CAPACITY) * _SHARE)
            busy = self._locked_by_others()
            if busy:
                self._wait_for(busy)
                continue
            self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                for start in range(0, len(self.tables) if fits else 0, _BATCH):
                    names = ", ".join(table.quoted for table in self.tables[start : start + _BATCH])
                    self._run(f"LOCK TABLE ONLY {names.replace(', ', ', ONLY ')} IN ACCESS SHARE MODE NOWAIT")
                return
            except psycopg2.errors.OutOfMemory:
                self._run("ROLLBACK")
                self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return
            except (
                psycopg2.errors.LockNotAvailable,
                psycopg2.errors.UndefinedTable,
                psycopg2.errors.InvalidSchemaName,
            ):
                self._run("ROLLBACK")
                self._require_time(self.tables[:0])
                time.sleep(0.05)

    def rewritten(self) -> t.List[str]:
        """Tables whose rows the snapshot cannot see, because a later statement rewrote them."""
        return [row[0] for row in fetch_all(self._conn, _REWRITTEN, ([table.oid for table in self.tables],))]

    def _locked_by_others(self) -> t.List[Lockable]:
        oids = {table.oid: table for table in self.tables}
        return [oids[row[0]] for row in fetch_all(self._conn, _LOCKED, (list(oids),))]

    def _wait_for(self, busy: t.Sequence[Lockable]) -> None:
        """Touch each in a transaction of its own, which holds nothing else."""
        for table in busy:
            limit = f"{self._require_time([table])}ms"
            self._run("BEGIN READ ONLY")
            try:
                self._run(f"SET LOCAL lock_timeout = '{limit}'")
                self._run(f"LOCK TABLE ONLY {table.quoted} IN ACCESS SHARE MODE")
            except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
                pass
            except psycopg2.errors.LockNotAvailable:
                raise self._locked([table]) from None
            finally:
                self._run("ROLLBACK")

    def _require_time(self, busy: t.Sequence[Lockable]) -> int:
        """Milliseconds that are left, 0 for no limit."""
        if self._end is None:
            return 0
        left = int((self._end - time.monotonic()) * 1000)
        if left <= 0:
            raise self._locked(busy)
        return left

    def _locked(self, busy: t.Sequence[Lockable]) -> RecoveryError:
        named = f"The table {busy[0].schema}.{busy[0].name}" if busy else "A table"
        return locked(f"{named} is locked by another session for longer than {self._seconds:g} seconds.")

    def _run(self, statement: str) -> None:
        with self._conn.cursor() as cursor:
            cursor.execute(statement)


def locked(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.LOCKED,
        what,
        left="No backup set was written; earlier sets are unchanged.",
        next_step="Run it when no migration or reload holds the table, or raise lock_timeout.",
    )


def _lockable(row: t.Tuple[t.Any, ...]) -> Lockable:
    return Lockable(*row)
