# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Computes the fingerprint of a live database, in a given snapshot where one is asked for.

A row's hash is hash_record_extended over expressions that are exact for each type; a table's digest is
their sum, so the order of rows does not matter and duplicates count. Types whose equality ignores a
difference (numeric scale, -0, intervals, blanks) are hashed through their binary form, all others
through text in the C collation.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._sets.fingerprint import Fingerprint, SequenceFingerprint, TableFingerprint
from . import catalog
from .connection import Connection, ConnectionOptions, connection, fetch_all, query_error, quote_identifier
from .table_locks import locked

try:
    import psycopg2
    import psycopg2.errors
except ImportError:
    psycopg2 = None  # type: ignore[assignment]

ALGORITHM = "hash_record_extended/1"

_OLDEST_MAJOR = 14

#: Types of pg_catalog whose own hash tells apart all that differs.
_DIRECT = frozenset(
    [
        "bool",
        "int2",
        "int4",
        "int8",
        "oid",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "bytea",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "pg_lsn",
    ]
)

#: Types whose binary form is exact where their equality is not, and quicker than text.
_BINARY = {
    "numeric": "numeric_send",
    "float4": "float4send",
    "float8": "float8send",
    "interval": "interval_send",
    "bpchar": "bpcharsend",
    "timetz": "timetz_send",
    "bit": "bit_send",
    "varbit": "varbit_send",
    "tsvector": "tsvectorsend",
    "point": "point_send",
}

_TEXT = frozenset(("text", "varchar", "name"))

#: Large objects in parts, each read until a short one; holes read as zeros, as a restore makes them.
_LARGE_OBJECTS = """
    WITH RECURSIVE parts AS (
        SELECT oid, 0::bigint AS start, lo_get(oid, 0, 262144) AS part FROM pg_largeobject_metadata
        UNION ALL
        SELECT oid, start + 262144, lo_get(oid, start + 262144, 262144) FROM parts WHERE length(part) = 262144
    )
    SELECT (SELECT count(*) FROM pg_largeobject_metadata),
           coalesce(sum(hash_record_extended(ROW(oid, start, part), 0)), 0)::text
    FROM parts
"""

_SEQUENCES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_'
"""


@dataclass(frozen=True)
class Scope:
    """What a dump holds: (schema, name) of its tables with data, of all its relations, and large objects.

    relations is None when any relation of a user counts.
    """

    tables: t.FrozenSet[t.Tuple[str, str]]
    relations: t.Optional[t.FrozenSet[t.Tuple[str, str]]]
    large_objects: bool


def take_fingerprint(
    options: ConnectionOptions,
    mode: str,
    *,
    jobs: int = 2,
    scope: t.Optional[Scope] = None,
    snapshot: t.Optional[str] = None,
    sequences: t.Optional[t.Sequence[SequenceFingerprint]] = None,
    stop: t.Optional[threading.Event] = None,
    lock_timeout: float = 0,
) -> Fingerprint:
    """Fingerprint a database. mode is C(full) (counts and digests) or C(counts).

    jobs connections work at once, largest table first, all in the snapshot given or each in its own.
    sequences are read live unless given, because a sequence has no snapshot.
    stop ends the work early with RecoveryError(interrupted). lock_timeout: seconds to wait for a table, 0 for no limit.
    Raises RecoveryError: unsupported for a server older than 14, query_failed, locked, unreachable, access_denied.
    """
    with _reader(options, snapshot, lock_timeout) as conn:
        facts = catalog.server_facts(conn)
        if facts.major < _OLDEST_MAJOR:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The server is PostgreSQL {facts.version}; a fingerprint needs 14 or newer.",
                next_step="Upgrade the server: versions before 14 get no fixes any more.",
            )
        tables = catalog.user_tables(conn, None if scope is None else scope.tables)
        statements = _statements(conn, tables, mode)
        relations = None if scope is None else scope.relations
        structure = catalog.structure(conn, relations)
        if sequences is None:
            sequences = _live_sequences(conn)
        large_objects = None
        if scope is None or scope.large_objects:
            large_objects = _large_objects(conn, mode)
    measured = _measure(options, snapshot, statements, jobs, stop or threading.Event(), lock_timeout)
    return Fingerprint(
        algorithm=f"{ALGORITHM} {facts.byte_order} {facts.encoding}",
        mode=mode,
        server_major=facts.major,
        tables=tuple(sorted(measured, key=lambda table: (table.schema, table.name))),
        sequences=tuple(sequences),
        large_objects=large_objects,
        structure=structure,
    )


def hash_expression(column: str, kind: catalog.ColumnType) -> str:
    """SQL whose value differs whenever the column's value differs."""
    name = quote_identifier(column)
    if kind.is_array and (kind.name in _DIRECT or kind.name in _BINARY or kind.name in _TEXT):
        return f"array_send({name})"
    if not kind.is_array:
        if kind.name in _DIRECT:
            return name
        if kind.name in _BINARY:
            return f"{_BINARY[kind.name]}({name})"
        if kind.name in _TEXT:
            return f'{name} COLLATE "C"'
    return f'{name}::text COLLATE "C"'


def table_statement(table: catalog.Table, columns: t.Sequence[t.Tuple[str, catalog.ColumnType]], mode: str) -> str:
    """The query that gives (rows, digest or NULL) of one table."""
    source = f"FROM ONLY {quote_identifier(table.schema, table.name)}"
    if mode == "counts":
        return f"SELECT count(*), NULL {source}"
    values = ", ".join(hash_expression(name, kind) for name, kind in columns)
    return f"SELECT count(*), coalesce(sum(hash_record_extended(ROW({values}), 0)), 0)::text {source}"


@contextlib.contextmanager
def _reader(options: ConnectionOptions, snapshot: t.Optional[str], lock_timeout: float) -> t.Iterator[Connection]:
    # A reader queues behind a session that waits for the tables of the backup, and that would wait for the reader.
    settings = {"lock_timeout": f"{int(lock_timeout * 1000)}ms"}
    with connection(options, application="lifeline.recovery fingerprint", settings=settings) as conn:
        with conn.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if snapshot is not None:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))
        yield conn


def _statements(conn: Connection, tables: t.Sequence[catalog.Table], mode: str) -> t.List[t.Tuple[catalog.Table, str]]:
    columns = catalog.column_types(conn, [table.oid for table in tables])
    return [(table, table_statement(table, columns[table.oid], mode)) for table in tables]


def _live_sequences(conn: Connection) -> t.List[SequenceFingerprint]:
    found = []
    for schema, name in fetch_all(conn, _SEQUENCES):
        last_value, is_called = fetch_all(conn, f"SELECT last_value, is_called FROM {quote_identifier(schema, name)}")[
            0
        ]
        found.append(SequenceFingerprint(schema, name, last_value, is_called))
    return found


def _large_objects(conn: Connection, mode: str) -> TableFingerprint:
    if mode == "counts":
        count, digest = fetch_all(conn, "SELECT count(*), NULL FROM pg_largeobject_metadata")[0]
    else:
        count, digest = fetch_all(conn, _LARGE_OBJECTS)[0]
    return TableFingerprint("", "large objects", count, digest)


def _measure(
    options: ConnectionOptions,
    snapshot: t.Optional[str],
    statements: t.Sequence[t.Tuple[catalog.Table, str]],
    jobs: int,
    stop: threading.Event,
    lock_timeout: float,
) -> t.List[TableFingerprint]:
    waiting: queue.SimpleQueue[t.Tuple[catalog.Table, str]] = queue.SimpleQueue()
    for item in statements:
        waiting.put(item)
    results: t.List[TableFingerprint] = []
    failures: t.List[BaseException] = []
    busy: t.List[Connection] = []

    def work() -> None:
        try:
            with _reader(options, snapshot, lock_timeout) as conn, conn.cursor() as cursor:
                busy.append(conn)
                while not stop.is_set() and not failures:
                    try:
                        table, statement = waiting.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        cursor.execute(statement)
                    except psycopg2.errors.LockNotAvailable:
                        raise locked(
                            f"Another session waits to change {table.schema}.{table.name}, which the fingerprint reads."
                        ) from None
                    except psycopg2.Error as error:
                        raise query_error(error) from None
                    rows, digest = cursor.fetchone()
                    results.append(TableFingerprint(table.schema, table.name, rows, digest))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _job in range(max(1, min(jobs, len(statements))))]
    for thread in threads:
        thread.start()
    cancelled = False
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.05) if threads[0].is_alive() else time.sleep(0.01)
        if not cancelled and (stop.is_set() or failures):
            cancelled = True
            for conn in list(busy):
                with contextlib.suppress(psycopg2.InterfaceError):
                    conn.cancel()
    if failures:
        raise failures[0]
    if stop.is_set():
        raise RecoveryError(ErrorKind.INTERRUPTED, "The fingerprint was interrupted.")
    return results
