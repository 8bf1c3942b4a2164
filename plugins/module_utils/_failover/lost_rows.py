# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Saves the rows that only the old primary has, before a rewind drops them.

A table whose digests are equal on both sides is not read further. Of another one both sides send a hash of the key and
one of the row, in the same order, so that memory does not grow with the table. The rows that differ are then read by
their physical position, because nothing else writes to the old cluster.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import tempfile
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.backup.fingerprint import large_object_content, snapshot_reader
from .._engines.postgresql.restore_rows.lines import copy_field
from .._engines.postgresql.server.catalog import ColumnType, Table, column_types, user_tables
from .._engines.postgresql.server.confined import Session
from .._engines.postgresql.server.connection import (
    ConnectionOptions,
    connection,
    fetch_all,
    quote_identifier,
    quote_literal,
)
from .._engines.postgresql.server.equality import output_text
from .._engines.postgresql.server.row_hash import ALGORITHM, column_expression, table_statement

MANIFEST = "manifest.json"
_SCHEMA = "lifeline.recovery/lost-rows/1"
_DATABASES = "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
_KEYS = """
SELECT i.indrelid, array_agg(a.attname::text ORDER BY k.position)
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (attnum, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indisprimary GROUP BY i.indrelid
"""
#: Rows that are fetched in one round trip.
_AT_ONCE = 1000

_Columns = t.List[t.Tuple[str, ColumnType]]
_Hashes = t.Tuple[str, int]


@dataclass(frozen=True)
class LostTable:
    """The rows of a table that were saved. missing: their key is not on the new primary, or the table has no key.

    differing: the new primary has another row of the same key. file: COPY text of the columns, in the folder.
    """

    database: str
    table: str
    columns: t.Sequence[str]
    file: str
    missing: int
    differing: int


@dataclass(frozen=True)
class LostRows:
    """folder: of the files; empty if no row was saved. not_saved: sentences about content that was not saved."""

    folder: str
    tables: t.Sequence[LostTable]
    not_saved: t.Sequence[str]

    @property
    def rows(self) -> int:
        return sum(table.missing + table.differing for table in self.tables)


def save_lost_rows(
    old: ConnectionOptions, new: ConnectionOptions, folder: str, facts: t.Mapping[str, t.Any]
) -> LostRows:
    """Compare all databases of the old cluster with the new primary, and write the rows that differ to the folder.

    The folder must not exist; it is created with mode 0700 and gets a manifest, also if no row differs. Raises
    RecoveryError: target_exists, access_denied, unreachable, query_failed, limit_exceeded.
    """
    _make_folder(folder)
    with connection(old) as conn:
        names = [name for (name,) in fetch_all(conn, _DATABASES)]
    with connection(new) as conn:
        known = {name for (name,) in fetch_all(conn, _DATABASES)}
    tables: t.List[LostTable] = []
    not_saved: t.List[str] = []
    for name in names:
        saver = _Database(name, old, new if name in known else None, folder, len(tables))
        tables += saver.save()
        not_saved += saver.not_saved
    found = LostRows(folder, tables, not_saved)
    document = {"schema": _SCHEMA, **facts, "rows": found.rows, "not_saved": list(not_saved)}
    _write(os.path.join(folder, MANIFEST), [_manifest(document, tables)])
    return found


class _Database:
    """One database on both sides; new is None if only the old cluster has the database."""

    def __init__(
        self, name: str, old: ConnectionOptions, new: t.Optional[ConnectionOptions], folder: str, number: int
    ) -> None:
        self._name, self._folder, self._number = name, folder, number
        self._old, self._new = old.with_database(name), new.with_database(name) if new else None
        self.not_saved: t.List[str] = []

    def save(self) -> t.List[LostTable]:
        with snapshot_reader(self._old, None, 0) as old:
            if self._new is None:
                return self._save(old, None)
            with snapshot_reader(self._new, None, 0) as new:
                return self._save(old, new)

    def _save(self, old: Session, new: t.Optional[Session]) -> t.List[LostTable]:
        ours = user_tables(old)
        theirs = {(table.schema, table.name): table for table in (user_tables(new) if new else ())}
        blind = [table for table in (*ours, *theirs.values()) if table.blind]
        if blind:
            raise RecoveryError(
                ErrorKind.RLS_BLIND,
                f"Row security hides rows of {self._name}: {blind[0].schema}.{blind[0].name} from the login role.",
                next_step="Log in as a superuser or as a role with BYPASSRLS.",
            )
        columns = column_types(old, [table.oid for table in ours])
        other = column_types(new, [table.oid for table in theirs.values()]) if new else {}
        keys = dict(fetch_all(old, _KEYS))
        found = []
        for table in ours:
            twin = theirs.get((table.schema, table.name))
            shared = [one for one in columns[table.oid] if twin is None or one in other[twin.oid]]
            if len(shared) < len(columns[table.oid]):
                self.not_saved.append(
                    f"{self._name}: {table.schema}.{table.name} has other columns on the new primary; the columns that "
                    "both have were compared."
                )
            if new is not None and twin is not None and _digest(old, table, shared) == _digest(new, twin, shared):
                continue
            saved = self._save_table(old, new if twin else None, table, shared, keys.get(table.oid) or ())
            found += [saved] if saved else []
        if new is not None and _large_objects(old) != _large_objects(new):
            self.not_saved.append(f"{self._name}: large objects differ and were not saved.")
        return found

    def _save_table(
        self, old: Session, new: t.Optional[Session], table: Table, columns: _Columns, key: t.Sequence[str]
    ) -> t.Optional[LostTable]:
        key = [name for name in key if name in dict(columns)]
        counts = {True: 0, False: 0}
        with tempfile.TemporaryFile("w+", dir=self._folder, encoding="ascii") as positions:
            stream = _hashes(new, table, columns, key, position=False) if new else iter(())
            for has_twin, position in _lost(_hashes(old, table, columns, key, position=True), stream, bool(key)):
                counts[has_twin] += 1
                positions.write(f"{position}\n")
            # A cursor serves one query at a time.
            if not sum(counts.values()):
                return None
            positions.seek(0)
            name = f"{self._number + 1:05d}.copy"
            self._number += 1
            names = [column for column, _kind in columns]
            _write(os.path.join(self._folder, name), _lines(old, table, names, positions))
        return LostTable(self._name, f"{table.schema}.{table.name}", names, name, counts[False], counts[True])


def _digest(session: Session, table: Table, columns: _Columns) -> t.Any:
    return fetch_all(session, table_statement(table, columns, "full", ALGORITHM))


def _large_objects(session: Session) -> t.Any:
    return large_object_content(session.raw, "full", ALGORITHM)[0]


def _hashes(
    session: Session, table: Table, columns: _Columns, key: t.Sequence[str], *, position: bool
) -> t.Iterator[t.Tuple[t.Any, ...]]:
    """The hashes of key and row, and the physical position, in the order of the hashes."""
    texts = ", ".join(output_text(quote_identifier(name)) for name in key)
    joined = f"pg_catalog.concat_ws(pg_catalog.chr(31), {texts})" if key else "''::pg_catalog.text"
    hashed = f"pg_catalog.encode(pg_catalog.sha256(pg_catalog.textsend({joined})), 'hex')"
    row = ", ".join(column_expression(name, kind) for name, kind in columns)
    number = f"pg_catalog.hash_record_extended(ROW({row}), 0)"
    query = (
        f'SELECT {hashed} COLLATE pg_catalog."C" AS key, {number} AS row'
        f"{', pg_catalog.concat(ctid) AS position' if position else ''} "
        f"FROM ONLY {quote_identifier(table.schema, table.name)} ORDER BY 1, 2"
    )
    session.open(query)
    while True:
        rows = session.take(_AT_ONCE)
        yield from rows
        if len(rows) < _AT_ONCE:
            break
    session.finish()


def _lost(
    old: t.Iterator[t.Tuple[t.Any, ...]], new: t.Iterator[t.Tuple[t.Any, ...]], has_key: bool
) -> t.Iterator[t.Tuple[bool, str]]:
    """For each row that only old has: whether new has a row of the same key, and its position. Both are in order.

    Equal rows of a table without a key are counted. Pure.
    """
    merged = heapq.merge(
        ((key, row, 0, position) for key, row, position in old), ((key, row, 1, "") for key, row in new)
    )
    for _key, group in itertools.groupby(merged, key=_first):
        # With a key a group is at most a row of each side; without a key the table is one group, read row by row.
        if has_key:
            rows = list(group)
            theirs = [row[1] for row in rows if row[2]]
            yield from ((bool(theirs), row[3]) for row in rows if not row[2] and row[1] not in theirs)
        else:
            for _row, equal in itertools.groupby(group, key=_second):
                yield from _surplus(equal)


def _surplus(equal: t.Iterator[t.Tuple[t.Any, ...]]) -> t.Iterator[t.Tuple[bool, str]]:
    """Of rows that are equal, those of old come first; as many as new has are no loss."""
    waiting: t.List[str] = []
    for _key, _row, side, position in equal:
        if not side:
            waiting.append(position)
        elif waiting:
            waiting.pop()
    yield from ((False, position) for position in waiting)


def _first(row: t.Tuple[t.Any, ...]) -> t.Any:
    return row[0]


def _second(row: t.Tuple[t.Any, ...]) -> t.Any:
    return row[1]


def _lines(session: Session, table: Table, columns: t.Sequence[str], positions: t.IO[str]) -> t.Iterator[bytes]:
    values = ", ".join(output_text(quote_identifier(name)) for name in columns) or "NULL"
    source = quote_identifier(table.schema, table.name)
    while True:
        batch = [line.strip() for line in itertools.islice(positions, _AT_ONCE)]
        if not batch:
            return
        wanted = quote_literal("{" + ",".join(f'"{one}"' for one in batch) + "}")
        query = f"SELECT {values} FROM ONLY {source} WHERE ctid OPERATOR(pg_catalog.=) ANY ({wanted}::pg_catalog.tid[])"
        for row in fetch_all(session, query):
            yield b"\t".join(b"\\N" if one is None else copy_field(one) for one in row) + b"\n"


def _manifest(document: t.Mapping[str, t.Any], tables: t.Sequence[LostTable]) -> bytes:
    listed = [{**vars(table), "columns": list(table.columns)} for table in tables]
    return json.dumps({**document, "tables": listed}, indent=2, sort_keys=True).encode() + b"\n"


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS if isinstance(error, FileExistsError) else ErrorKind.ACCESS_DENIED,
            f"`rows_dir` must be a folder in which {folder} can be created: {error.strerror}.",
            next_step="Correct `rows_dir`.",
        ) from None


def _write(path: str, chunks: t.Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.writelines(chunks)
        stream.flush()
        os.fsync(stream.fileno())
