# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions that can only read: one transaction a check, one statement a query, nothing kept afterwards."""

from __future__ import annotations

import contextlib
import typing as t

from .._postgres.connection import Connection, ConnectionOptions, connect, fetch_all, quote_identifier
from .check import Context
from .values import plain_value

try:
    import psycopg2.extensions
except ImportError:
    psycopg2 = None  # type: ignore[assignment]

#: pg_type.oid of date, time, timestamp, timestamptz, interval, timetz, and of their arrays.
_TIMES = (1082, 1083, 1114, 1184, 1186, 1266)
_TIME_ARRAYS = (1182, 1183, 1115, 1185, 1187, 1270)

_CURSOR = "lifeline_check"

#: OPEN ... FOR EXECUTE takes exactly one statement that returns rows, and no transaction control.
_OPEN_QUERY = f"""
DO $body$
DECLARE
  found_rows refcursor := '{_CURSOR}';
BEGIN
  OPEN found_rows NO SCROLL FOR EXECUTE current_setting('lifeline.query');
END
$body$ LANGUAGE plpgsql
"""

_BATCH = 500


def open_session(options: ConnectionOptions) -> Connection:
    """A connection whose transactions read only, and which gives dates and times as text.

    Text, because a restored infinity or a year before Christ has no datetime. Raises RecoveryError.
    """
    opened = connect(options, application="lifeline.recovery integrity_check")
    as_text = psycopg2.extensions.new_type(_TIMES, "TIMES_AS_TEXT", lambda value, cursor: value)
    psycopg2.extensions.register_type(as_text, opened)
    arrays = psycopg2.extensions.new_array_type(_TIME_ARRAYS, "TIME_ARRAYS_AS_TEXT", as_text)
    psycopg2.extensions.register_type(arrays, opened)
    # For whatever would run outside the transactions below.
    execute(opened, "SET default_transaction_read_only = on")
    return opened


@contextlib.contextmanager
def read_only_transaction(conn: Connection, timeout: int) -> t.Iterator[None]:
    """One snapshot for everything inside; rolled back at the end. timeout: seconds for each statement, 0 is none."""
    execute(conn, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    try:
        # After this first query the server refuses to make the transaction writable.
        fetch_all(conn, "SELECT set_config('statement_timeout', %s, true)", [str(timeout * 1000)])
        yield
    finally:
        if not conn.closed:
            execute(conn, "ROLLBACK")


def execute(conn: Connection, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)


class Rows:
    """The rows of one query, fetched in batches; columns are known before the first row."""

    def __init__(self, context: Context, query: str, schemas: t.Sequence[str]) -> None:
        self._context = context
        self._conn = context.connection
        settings = "SELECT set_config('lifeline.query', %s, true), set_config('search_path', %s, true)"
        path = ", ".join(quote_identifier(schema) for schema in (*schemas, "pg_catalog"))
        fetch_all(self._conn, settings, [query.strip().rstrip(";"), path])
        # A cursor is planned for its first tenth unless told otherwise.
        execute(self._conn, "SET LOCAL cursor_tuple_fraction = 1")
        execute(self._conn, _OPEN_QUERY)
        self.columns: t.List[str] = []
        self._fetch(0)

    def take(self, most: int) -> t.List[t.Tuple[t.Any, ...]]:
        """At most that many further rows."""
        return self._fetch(most) if most > 0 else []

    def __iter__(self) -> t.Iterator[t.Tuple[t.Any, ...]]:
        while True:
            batch = self._fetch(_BATCH)
            yield from batch
            if len(batch) < _BATCH:
                return

    def skip_all(self) -> int:
        """The number of the remaining rows, which never reach this process."""
        with self._conn.cursor() as cursor:
            cursor.execute(f"MOVE FORWARD ALL FROM {_CURSOR}")
            return int(cursor.rowcount)

    def close(self) -> None:
        execute(self._conn, f"CLOSE {_CURSOR}")

    def _fetch(self, count: int) -> t.List[t.Tuple[t.Any, ...]]:
        self._context.require_time()
        with self._conn.cursor() as cursor:
            # FETCH 0 would fetch again the row the cursor stands on; before the first there is none.
            cursor.execute(f"FETCH FORWARD {count} FROM {_CURSOR}")
            self.columns = [column.name for column in cursor.description or ()]
            return list(cursor.fetchall())


def sample_rows(context: Context, select: str, *, most: t.Optional[int] = None) -> t.List[t.Dict[str, t.Any]]:
    """The first rows of a statement as plain dictionaries, as many as the caller may see."""
    limit = context.sample if most is None else min(most, context.sample)
    if limit <= 0:
        return []
    with context.connection.cursor() as cursor:
        cursor.execute(f"{select} LIMIT {limit}")
        names = [column.name for column in cursor.description]
        return [{name: plain_value(value) for name, value in zip(names, row)} for row in cursor.fetchall()]
