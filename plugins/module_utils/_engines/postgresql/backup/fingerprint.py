# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Computes the fingerprint of the content of a live database, in a given snapshot where one is asked for."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.parallel import in_sessions
from ...._repository.fingerprint import Fingerprint, SequenceFingerprint, TableFingerprint
from ..archive.selection import Selection
from ..archive.structure import Structure, read_structure
from ..server import catalog
from ..server.confined import Session, begin_reading
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import query_error
from ..server.row_hash import ALGORITHM, LEGACY_ALGORITHM, digest_of_rows, table_statement
from ..server.stall import interrupt
from ..server.table_locks import locked

_OLDEST_MAJOR = 14

#: Tables below this size in bytes are read several in one statement, because a round trip costs more than they do.
_SMALL, _TOGETHER = 1024 * 1024, 50

#: Read with the tool's rights, because no role may read all large objects, and reading these runs no code of users.
#: Large objects in parts, each read until a short one; holes read as zeros, as a restore makes them.
_LARGE_OBJECTS = """
    WITH RECURSIVE parts AS (
        SELECT oid, 0::bigint AS start, lo_get(oid, 0, 262144) AS part FROM pg_largeobject_metadata
        UNION ALL
        SELECT oid, start + 262144, lo_get(oid, start + 262144, 262144) FROM parts WHERE length(part) = 262144
    )
    SELECT (SELECT count(*) FROM pg_largeobject_metadata), {digest}
    FROM parts
"""

_OBJECT_RIGHTS = """
    SELECT count(*), {digest}
    FROM (SELECT o.oid, pg_get_userbyid(o.lomowner) AS owner, obj_description(o.oid, 'pg_largeobject') AS description,
                 ARRAY(SELECT a FROM (SELECT concat(r) AS a
                                      FROM unnest(coalesce(o.lomacl, acldefault('L', o.lomowner))) r) x
                       ORDER BY a COLLATE "C") AS rights
          FROM pg_largeobject_metadata o) o
"""

_SEQUENCES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_'
"""

#: A query of counts and digests, and the relations that its rows are about, in order.
_Query = t.Tuple[str, t.List[catalog.Table]]


@dataclass(frozen=True)
class Scope:
    """The content of a dump: (schema, name) of its tables with data, of its materialized views, and large objects.

    columns: tables of which only these columns, in this order, are hashed.
    """

    tables: t.FrozenSet[t.Tuple[str, str]]
    views: t.FrozenSet[t.Tuple[str, str]]
    large_objects: bool
    columns: t.Mapping[t.Tuple[str, str], t.Sequence[str]] = field(default_factory=dict)

    def holds(self, table: catalog.Table) -> bool:
        return (table.schema, table.name) in (self.views if table.is_view else self.tables)


def take_fingerprint(
    options: ConnectionOptions,
    mode: str,
    *,
    jobs: int = 2,
    scope: t.Optional[Scope] = None,
    snapshot: t.Optional[str] = None,
    sequences: t.Optional[t.Sequence[SequenceFingerprint]] = None,
    structure: t.Optional[Structure] = None,
    algorithm: str = ALGORITHM,
    stop: t.Optional[threading.Event] = None,
    lock_timeout: float = 0,
) -> Fingerprint:
    """Fingerprint a database. mode is C(full) (counts and digests) or C(counts).

    jobs connections work in parallel, largest table first, all in the snapshot given or each in its own.
    If sequences is unset, they are read live, because a sequence has no snapshot. If structure is unset, all
    definitions of the live database are read. algorithm is one of row_hash.
    stop ends the work early with RecoveryError(interrupted). lock_timeout: seconds to wait for a table, 0 for no limit.
    Raises RecoveryError: unsupported for a server older than 14, query_failed, locked, unreachable, access_denied,
    and those of live_structure.
    """
    with snapshot_reader(options, snapshot, lock_timeout) as conn:
        facts = catalog.server_facts(conn)
        if facts.major < _OLDEST_MAJOR:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The server is PostgreSQL {facts.version}; a fingerprint needs 14 or newer.",
                next_step="Upgrade the server: versions before 14 no longer get fixes.",
            )
        relations = [
            table
            for table in catalog.stored_relations(conn, None if scope is None else scope.tables | scope.views)
            if table.is_populated and (scope is None or scope.holds(table))
        ]
        queries = _queries(conn, relations, mode, algorithm, scope.columns if scope else {})
        if sequences is None:
            sequences = _current_sequences(conn)
        large_objects, object_rights = None, None
        if scope is None or scope.large_objects:
            large_objects, object_rights = large_object_content(conn.raw, mode, algorithm)
    if structure is None:
        structure = read_structure(options, Selection())
    measured = sorted(
        _measure(options, snapshot, queries, jobs, stop or threading.Event(), lock_timeout),
        key=lambda item: (item[0].schema, item[0].name),
    )
    return Fingerprint(
        algorithm=f"{algorithm} {facts.byte_order} {facts.encoding}",
        mode=mode,
        server_major=facts.major,
        tables=tuple(found for table, found in measured if not table.is_view),
        sequences=tuple(sequences),
        large_objects=large_objects,
        structure=structure,
        views=tuple(found for table, found in measured if table.is_view),
        object_rights=object_rights,
    )


def fingerprint_within(session: Session, mode: str, scope: Scope, *, algorithm: str = ALGORITHM) -> Fingerprint:
    """As take_fingerprint without definitions, by one session, which sees what its transaction wrote."""
    facts = catalog.server_facts(session)
    relations = [
        table for table in catalog.stored_relations(session, scope.tables) if table.is_populated and scope.holds(table)
    ]
    measured = [
        TableFingerprint(batch[number].schema, batch[number].name, rows, digest)
        for statement, batch in _queries(session, relations, mode, algorithm, scope.columns)
        for number, rows, digest in fetch_all(session, statement)
    ]
    large_objects, object_rights = None, None
    if scope.large_objects:
        large_objects, object_rights = large_object_content(session.raw, mode, algorithm)
    return Fingerprint(
        algorithm=f"{algorithm} {facts.byte_order} {facts.encoding}",
        mode=mode,
        server_major=facts.major,
        tables=tuple(sorted(measured, key=lambda table: (table.schema, table.name))),
        sequences=tuple(_current_sequences(session)),
        large_objects=large_objects,
        views=(),
        object_rights=object_rights,
    )


@contextlib.contextmanager
def snapshot_reader(options: ConnectionOptions, snapshot: t.Optional[str], lock_timeout: float) -> t.Iterator[Session]:
    """A session in a read-only transaction, which sees the snapshot if one is given. lock_timeout is in seconds."""
    # A reader queues behind a session that waits for the tables of the backup, and that would wait for the reader.
    settings = {"lock_timeout": f"{int(lock_timeout * 1000)}ms"}
    with connection(options, application="lifeline.recovery fingerprint", settings=settings) as conn:
        yield begin_reading(conn, snapshot=snapshot)


def _queries(
    conn: Connection,
    tables: t.Sequence[catalog.Table],
    mode: str,
    algorithm: str,
    limited: t.Mapping[t.Tuple[str, str], t.Sequence[str]],
) -> t.List[_Query]:
    # The former digest read virtual generated columns too.
    virtual = algorithm == LEGACY_ALGORITHM
    columns = catalog.column_types(conn, [table.oid for table in tables], virtual=virtual)
    for table in tables:
        if (table.schema, table.name) in limited:
            types = dict(columns[table.oid])
            names = limited[table.schema, table.name]
            columns[table.oid] = [(name, types[name]) for name in names if name in types]
    small = [table for table in tables if table.size < _SMALL]
    batches = [[table] for table in tables if table.size >= _SMALL]
    batches += [small[start : start + _TOGETHER] for start in range(0, len(small), _TOGETHER)]
    return [
        (_union(table_statement(table, columns[table.oid], mode, algorithm) for table in batch), batch)
        for batch in batches
    ]


def _union(statements: t.Iterable[str]) -> str:
    """One query for the rows of many, each with the number of its statement first, because a union has no order."""
    return " UNION ALL ".join(f"SELECT {number}, s.* FROM ({text}) s" for number, text in enumerate(statements))


def _current_sequences(conn: Connection) -> t.List[SequenceFingerprint]:
    names = fetch_all(conn, _SEQUENCES)
    found = []
    for start in range(0, len(names), _TOGETHER):
        batch = names[start : start + _TOGETHER]
        query = _union(f"SELECT last_value, is_called FROM {quote_identifier(*name)}" for name in batch)
        found += [
            SequenceFingerprint(batch[number][0], batch[number][1], last_value, is_called)
            for number, last_value, is_called in fetch_all(conn, query)
        ]
    return found


def large_object_content(
    conn: Connection, mode: str, algorithm: str
) -> t.Tuple[TableFingerprint, t.Optional[TableFingerprint]]:
    """The content of the large objects, and their rights unless they are only counted."""
    if mode == "counts":
        count = fetch_value(conn, "SELECT count(*) FROM pg_largeobject_metadata")
        return TableFingerprint("", "large objects", count), None
    start = "start" if algorithm == LEGACY_ALGORITHM else "int8send(start)"
    count, digest = fetch_all(conn, _LARGE_OBJECTS.format(digest=digest_of_rows(("oid", start, "part"), algorithm)))[0]
    properties = digest_of_rows(("oid", 'owner COLLATE "C"', 'description COLLATE "C"', "array_send(rights)"))
    rights = fetch_all(conn, _OBJECT_RIGHTS.format(digest=properties))[0]
    return TableFingerprint("", "large objects", count, digest), TableFingerprint("", "rights", *rights)


def _measure(
    options: ConnectionOptions,
    snapshot: t.Optional[str],
    queries: t.Sequence[_Query],
    jobs: int,
    stop: threading.Event,
    lock_timeout: float,
) -> t.List[t.Tuple[catalog.Table, TableFingerprint]]:
    found = in_sessions(
        queries,
        lambda: snapshot_reader(options, snapshot, lock_timeout),
        _read_digests,
        parallel=jobs,
        stop=stop,
        cancel=interrupt,
    )
    if stop.is_set():
        raise RecoveryError(ErrorKind.INTERRUPTED, "The fingerprint was interrupted.")
    return [item for batch in found for item in batch]


def _read_digests(conn: Session, query: _Query) -> t.List[t.Tuple[catalog.Table, TableFingerprint]]:
    statement, tables = query
    with conn.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.errors.LockNotAvailable:
            names = ", ".join(f"{table.schema}.{table.name}" for table in tables[:3])
            raise locked(f"Another session waits to change a table that the fingerprint reads: {names}.") from None
        except psycopg2.Error as error:
            raise query_error(error) from None
        return [
            (tables[number], TableFingerprint(tables[number].schema, tables[number].name, rows, digest))
            for number, rows, digest in cursor.fetchall()
        ]
