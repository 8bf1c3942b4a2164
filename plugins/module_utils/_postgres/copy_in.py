# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads the rows of a set into empty tables, straight from the store: largest table first, several at once."""

from __future__ import annotations

import queue
import threading
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._sets.fetch import proved_rows
from .._sets.manifest import ObjectEntry
from .._store.base import ObjectStore
from .connection import Connection, ConnectionOptions, connection
from .dump import qualified
from .toc import Toc, TocEntry

try:
    import psycopg2
except ImportError:
    psycopg2 = None  # type: ignore[assignment]


def load_rows(
    options: ConnectionOptions, toc: Toc, entries: t.Sequence[ObjectEntry], store: ObjectStore, *, jobs: int
) -> None:
    """COPY every data object into its table. The tables exist, and nothing refers to them yet.

    Each table is one transaction that is committed only after its object was proved by its digests.
    Rows are frozen as they are written, so that reading them later writes nothing.
    Raises RecoveryError(damaged, object_missing, restore_failed, access_denied) and those of the store.
    """
    by_path = {entry.path: entry for entry in entries}
    made = {(entry.schema, entry.tag) for entry in toc.of_kind("TABLE")}
    waiting: queue.SimpleQueue[TocEntry] = queue.SimpleQueue()
    tables = [entry for entry in toc.of_kind("TABLE DATA") if entry.file_name in by_path]
    for table in sorted(tables, key=lambda entry: -by_path[entry.file_name].plain_size):
        waiting.put(table)
    failures: t.List[BaseException] = []

    def work() -> None:
        try:
            with connection(options, application="lifeline.recovery restore") as conn:
                _prepare(conn, toc)
                while not failures:
                    try:
                        table = waiting.get_nowait()
                    except queue.Empty:
                        return
                    rows = CopySource(proved_rows(store, by_path[table.file_name]))
                    _copy(conn, table, rows, is_new=(table.schema, table.tag) in made)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _job in range(max(1, min(jobs, len(tables))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _prepare(conn: Connection, toc: Toc) -> None:
    """The settings that the archive itself asks for, which say how its text is to be read."""
    with conn.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for entry in toc.of_kind("ENCODING", "STDSTRINGS"):
            cursor.execute(entry.definition)


def _copy(conn: Connection, table: TocEntry, rows: CopySource, *, is_new: bool) -> None:
    statement = table.copy_statement.rstrip().rstrip(";")
    try:
        with conn.cursor() as cursor:
            cursor.execute("BEGIN")
            if is_new:
                # Only a table that was emptied in the same transaction may be frozen.
                cursor.execute(f"TRUNCATE ONLY {qualified(table)}")
                statement += " WITH (FREEZE)"
            # Any other table belongs to an extension, and has rows of its own that must stay.
            cursor.copy_expert(statement, rows)
            cursor.execute("COMMIT")
    except psycopg2.Error as error:
        if rows.failure is not None:
            raise rows.failure from None
        message = error.diag.message_primary or "the connection was lost"
        kind = ErrorKind.RESTORE_FAILED
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            kind = ErrorKind.ACCESS_DENIED
        raise RecoveryError(
            kind,
            f"The rows of {table.schema}.{table.tag} were refused: {message}.",
            left="",
            next_step="Mend the cause that PostgreSQL names, then run the restore again.",
        ) from None


class CopySource:
    """What psycopg2 reads from; it keeps the reason when there is nothing more to read."""

    def __init__(self, chunks: t.Iterator[bytes]) -> None:
        self._chunks = chunks
        self.failure: t.Optional[RecoveryError] = None

    def read(self, _size: int) -> bytes:
        """The next block however large it is, which psycopg2 passes on as it is; empty at the end."""
        try:
            return next((chunk for chunk in self._chunks if chunk), b"")
        except RecoveryError as error:
            self.failure = error
            raise
