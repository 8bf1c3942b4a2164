# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read-only sessions: one transaction per check, one statement per query, rolled back afterwards."""

from __future__ import annotations

import contextlib
import typing as t

from .._engines.postgresql.server.confined import Session, begin_reading
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connect, quote_identifier
from .._engines.postgresql.server.driver import psycopg2
from .check import Context
from .values import plain_value

#: pg_type.oid of date, time, timestamp, timestamptz, interval, timetz, and of their arrays.
_TIMES = (1082, 1083, 1114, 1184, 1186, 1266)
_TIME_ARRAYS = (1182, 1183, 1115, 1185, 1187, 1270)

_BATCH = 500


def open_session(options: ConnectionOptions) -> Connection:
    """A connection with read-only transactions, which returns dates and times as text.

    Text, because a restored infinity or a year before Christ has no datetime. Raises RecoveryError.
    """
    # For statements outside the transactions below.
    settings = {"default_transaction_read_only": "on"}
    opened = connect(options, application="lifeline.recovery integrity_check", settings=settings)
    as_text = psycopg2.extensions.new_type(_TIMES, "TIMES_AS_TEXT", lambda value, cursor: value)
    psycopg2.extensions.register_type(as_text, opened)
    arrays = psycopg2.extensions.new_array_type(_TIME_ARRAYS, "TIME_ARRAYS_AS_TEXT", as_text)
    psycopg2.extensions.register_type(arrays, opened)
    return opened


@contextlib.contextmanager
def read_only_transaction(conn: Connection, timeout: int, run_as: t.Optional[str] = None) -> t.Iterator[Session]:
    """One snapshot for all statements inside, rolled back at the end, and the session of a check.

    A superuser's checks run as a role that can only read, or as run_as. timeout: seconds for each statement, 0 is none.
    """
    # PostgreSQL plans a cursor for its first tenth unless cursor_tuple_fraction is set.
    settings = {"statement_timeout": str(timeout * 1000), "cursor_tuple_fraction": "1"}
    try:
        yield begin_reading(conn, run_as=run_as, settings=settings)
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
        self._session: Session = context.connection
        # The catalog comes first, so that functions and operators of other schemas cannot replace those of the server.
        self._path = ", ".join(["pg_catalog", "pg_temp", *map(quote_identifier, schemas)])
        context.require_time()
        columns = self._session.open(query.strip().rstrip(";"), path=self._path)
        self.columns = [name for name, _type in columns]

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
        return self._session.skip(path=self._path)

    def close(self) -> None:
        self._session.finish()

    def _fetch(self, count: int) -> t.List[t.Tuple[t.Any, ...]]:
        self._context.require_time()
        return self._session.take(count, path=self._path)


def sample_rows(context: Context, select: str, *, most: t.Optional[int] = None) -> t.List[t.Dict[str, t.Any]]:
    """The first rows of a statement as plain dictionaries, as many as the caller may see."""
    limit = context.sample if most is None else min(most, context.sample)
    if limit <= 0:
        return []
    with context.connection.cursor() as cursor:
        cursor.execute(f"{select} LIMIT {limit}")
        names = [column.name for column in cursor.description]
        return [{name: plain_value(value) for name, value in zip(names, row)} for row in cursor.fetchall()]
