# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up a database of SQLite or D1 as a set, which is committed only when it was loaded here and found equal."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from .._core.clock import Timings, compact_instant, format_instant, utc_now
from .._core.codec import require_codec
from .._core.digest import file_chunks
from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._core.progress import Progress
from .._core.shapes import anything, list_of, mapping_of, optional, record, text, whole
from .._core.sizes import readable_size
from .._core.version import VERSION
from .._sets.audit import audited
from .._sets.fetch import fetch_objects
from .._sets.identity import known_identity, require_identity, require_source_kind
from .._sets.layout import check_source
from .._sets.manifest import SQLITE_ENGINE, SQLITE_ROWS_ENGINE, Manifest
from .._sets.writer import SetWriter, sizes_of
from .._store.base import ObjectStore
from .engine import Bound, Engine
from .file import FileEngine, require_sqlite
from .load import load_files
from .schema import Schema, read_schema
from .script import Dump, TableContent, content_of, different_tables, require_all_rows, write_dump
from .structure import Structure, structure_differences, structure_of
from .virtual import not_covered

_CONTENT_FILE = "content.json"

#: What a set recorded of its content. Sets without an algorithm recorded the rows alone.
_ALGORITHM = "sqlite-rows-and-structure"
_ORDER = {"schema": 0, "table": 1, "after": 2}


@dataclass(frozen=True)
class SqliteBackupRequest:
    """What to back up. sql_name is a key for the whole dump as one file beside the sets, with the marks of strftime.

    attempts is how often to read again when the database changed while it was read. accept_identity: the database of D1
    that the source is from now on, as the error identity_changed prints it.
    """

    source: str
    tier: str = "daily"
    codec: str = "zstd"
    parallel: int = 3
    spool_dir: t.Optional[str] = None
    sql_name: t.Optional[str] = None
    attempts: int = 3
    allow_inconsistent: bool = False
    accept_identity: t.Optional[str] = None
    progress_file: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class SqliteBackupResult:
    """A committed set. consistent: the bookmark was the same before and after everything was read."""

    changed: bool
    set_id: str
    source: str
    tier: str
    recovery_point: str
    bookmark: t.Optional[str]
    consistent: bool
    tables: int
    rows: int
    not_covered: t.Sequence[str]
    bytes_plain: int
    bytes_uploaded: int
    sql_key: t.Optional[str]
    timings: t.Mapping[str, float]
    summary: str


@dataclass(frozen=True)
class OpenedSet:
    """A set that was loaded into the file at path and is what its content says.

    structure is that of the file. is_recorded: the set recorded its structure as well, and it was found equal; sets of
    earlier versions recorded rows only.
    """

    path: str
    schema: Schema
    content: t.Sequence[TableContent]
    structure: Structure
    is_recorded: bool = True

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.content)


def back_up_sqlite(request: SqliteBackupRequest, engine: Engine, store: ObjectStore) -> SqliteBackupResult:
    """Take one set, without holding the database up.

    Raises RecoveryError: identity_changed when the sets of the source are of another database of D1, inconsistent when
    it changed at every attempt, unsupported for what cannot be read, not_equal
    when what was written does not load as it was read, and those of engine and store. Then there is no set.
    """
    check_source(request.source)
    require_codec(request.codec)
    require_sqlite()
    if request.attempts < 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "attempts is below 1.", next_step="Give at least 1.")
    if request.sql_name and store.sealing.encrypts:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "sql_name would write a readable dump beside encrypted sets.",
            next_step="Leave it or encrypt_to out.",
        )
    with audited(store, request.source, "backup", {"tier": request.tier}, check_mode=request.check_mode) as outcome:
        if request.tier != "undo":
            require_source_kind(store, request.source, SQLITE_ENGINE)
        former = None
        if engine.identity is not None:
            known = known_identity(store, request.source, SQLITE_ENGINE)
            former = require_identity(request.source, known, engine.identity, request.accept_identity)
        if former is not None:
            outcome["identity_changed"] = {"from": str(former), "to": str(engine.identity)}
        with scratch_folder("lifeline-sqlite-", request.spool_dir) as folder:
            result = _Run(request, engine, store, folder).complete()
        outcome.update(set_id=result.set_id, tables=result.tables, rows=result.rows)
    return result


def open_set(store: ObjectStore, manifest: Manifest, folder: str, *, parallel: int = 3) -> OpenedSet:
    """Fetch a set, load it into a file, and compare that with its content.

    Raises RecoveryError: unsupported for a set of another kind, damaged, and those of the store.
    """
    manifest.require_kind(SQLITE_ENGINE, SQLITE_ROWS_ENGINE)
    fetch_objects(store, manifest.objects, folder, parallel=parallel)
    ordered = sorted(manifest.objects, key=lambda entry: (_ORDER.get(entry.role, 9), entry.path))
    path = os.path.join(folder, "loaded.sqlite")
    load_files(path, folder, [entry.path for entry in ordered if entry.role in _ORDER])
    content, structure = _read_content(folder, manifest.set_id)
    return _compared(path, content, structure, f"set {manifest.set_id}", ErrorKind.DAMAGED)


_CONTENT = record(
    {
        "tables": list_of(record({"table": text(), "rows": whole(), "digest": text()})),
        "structure": optional(mapping_of(anything)),
    },
    may_lack=("structure",),
    others=anything,
)


def _read_content(folder: str, set_id: str) -> t.Tuple[t.List[TableContent], t.Optional[Structure]]:
    """What the set says that its tables hold, and its structure if known. Raises RecoveryError(damaged)."""
    what = f"{_CONTENT_FILE} of the set {set_id}"
    try:
        with open(os.path.join(folder, _CONTENT_FILE), "rb") as stream:
            document = read_document(stream.read(), what, next_step="Use another set.")
        _CONTENT(document, "")
    except (OSError, ValueError) as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"{what} is damaged: {error}.", next_step="Use another set.") from None
    return [TableContent(**item) for item in document["tables"]], document.get("structure")


def commit_dump(
    writer: SetWriter,
    folder: str,
    dump: Dump,
    *,
    source: str,
    tier: str,
    engine: str,
    began: datetime,
    server: t.Mapping[str, t.Any],
    coverage: t.Mapping[str, t.Any],
    timings: t.Mapping[str, float],
) -> Manifest:
    """Store the files of a dump and what they hold, then the manifest of the set. Raises those of the writer."""
    with open(os.path.join(folder, _CONTENT_FILE), "w", encoding="utf-8") as stream:
        tables = [asdict(item) for item in dump.content]
        json.dump({"algorithm": _ALGORITHM, "tables": tables, "structure": dict(dump.structure)}, stream)
    for place, (name, table) in enumerate(dump.files):
        role = "table" if table else "schema" if place == 0 else "after"
        writer.add(folder, name, role, "main" if table else "", table)
    writer.add(folder, _CONTENT_FILE, "content")
    stored = writer.finish()
    return writer.commit(
        Manifest(
            set_id=compact_instant(began),
            source=source,
            tier=tier,
            engine=engine,
            recovery_point=format_instant(began),
            lsn=None,
            created_at=format_instant(began),
            finished_at=format_instant(utc_now()),
            tool_version=VERSION,
            server=dict(server),
            client={},
            objects=tuple(item.entry for item in stored),
            fingerprint=None,
            coverage=dict(coverage),
            sizes=sizes_of(stored),
            timings=dict(timings),
        )
    )


def facts_of(engine: Engine, bookmark: t.Optional[str]) -> t.Dict[str, t.Any]:
    """What a set records of its database, for identity_in as well."""
    known = {"database": engine.identity.database, "database_id": engine.identity.identifier} if engine.identity else {}
    return {"location": engine.location, "bookmark": bookmark, **known}


def opened_file(path: str) -> OpenedSet:
    """A database that was loaded into a file, with what it holds."""
    engine = FileEngine(path, read_only=True)
    try:
        schema = read_schema(engine)
        return OpenedSet(path, schema, content_of(engine, schema), structure_of(engine, schema))
    finally:
        engine.close()


class _Run:
    def __init__(self, request: SqliteBackupRequest, engine: Engine, store: ObjectStore, folder: str) -> None:
        self._request, self._engine, self._store, self._folder = request, engine, store, folder
        self._timings = Timings()
        self._began = utc_now()
        self._progress = Progress(None if request.check_mode else request.progress_file, request.source)

    def complete(self) -> SqliteBackupResult:
        request = self._request
        if request.check_mode:
            with self._timings.phase("read"):
                schema = read_schema(self._engine)
            return self._result("", self._engine.bookmark(), True, schema, [], 0, 0, None)
        with self._timings.phase("read"):
            self._engine = self._engine.snapshot(self._folder)
            bookmark, consistent, schema, dump, work = self._read()
        with self._timings.phase("prove"):
            path = os.path.join(work, "loaded.sqlite")
            load_files(path, work, [name for name, _table in dump.files])
            _compared(path, dump.content, dump.structure, self._engine.location, ErrorKind.NOT_EQUAL)
            os.unlink(path)
        with self._timings.phase("store"):
            key = self._store_whole(work, dump) if request.sql_name else None
            manifest = self._commit(work, dump, schema, bookmark, consistent)
        self._progress.end()
        sizes = manifest.sizes
        return self._result(
            manifest.set_id, bookmark, consistent, schema, dump.content, sizes["plain"], sizes["uploaded"], key
        )

    def _read(self) -> t.Tuple[t.Optional[str], bool, Schema, Dump, str]:
        """Read until the bookmark is the same before and after."""
        for attempt in range(1, self._request.attempts + 1):
            work = os.path.join(self._folder, str(attempt))
            os.mkdir(work)
            self._progress.phase("reading")
            self._began = utc_now()
            bookmark, before = self._engine.bookmark(), self._engine.state()
            schema = read_schema(self._engine)
            dump = write_dump(self._engine, schema, work, self._progress.add)
            counted = self._engine.state() == before
            if counted:
                require_all_rows(self._engine, dump.content)
            if counted and self._engine.state() == before:
                return bookmark, True, schema, dump, work
        if not self._request.allow_inconsistent:
            raise RecoveryError(
                ErrorKind.INCONSISTENT,
                f"{self._engine.location} changed while it was read, {self._request.attempts} times.",
                left="No backup set was written; earlier sets are as they were.",
                next_step="Back up when less is written, or raise attempts; allow_inconsistent takes what was read.",
            )
        return bookmark, False, schema, dump, work

    def _store_whole(self, work: str, dump: Dump) -> str:
        """The dump as one file under the name that was asked for."""
        key = self._began.strftime(self._request.sql_name or "")

        def chunks() -> t.Iterator[bytes]:
            for name, _table in dump.files:
                yield from file_chunks(os.path.join(work, name))

        self._store.put(key, chunks())
        return key

    def _commit(self, work: str, dump: Dump, schema: Schema, bookmark: t.Optional[str], consistent: bool) -> Manifest:
        request = self._request
        with SetWriter(
            self._store, request.source, request.tier, codec=request.codec, parallel=request.parallel
        ) as writer:
            return commit_dump(
                writer,
                work,
                dump,
                source=request.source,
                tier=request.tier,
                engine=SQLITE_ENGINE,
                began=self._began,
                server=facts_of(self._engine, bookmark),
                coverage={
                    "tables": len(schema.of_kind("table")),
                    "rows": sum(item.rows for item in dump.content),
                    "consistent": consistent,
                    "not_covered": self._not_covered(schema),
                },
                timings=self._timings.as_dict(),
            )

    def _not_covered(self, schema: Schema) -> t.List[str]:
        encoding = "UTF-8"
        if not self._engine.loses_bytes:
            (answer,) = self._engine.run([Bound("PRAGMA encoding", reads_only=True)])
            encoding = str(answer.rows[0][0])
        other = [] if encoding == "UTF-8" else [f"the encoding {encoding} (restored as UTF-8)"]
        if not self._engine.loses_bytes:
            other += [f"the table {name} (D1 keeps the name for itself)" for name in schema.reserved]
        return [*not_covered(schema), *other]

    def _result(
        self,
        set_id: str,
        bookmark: t.Optional[str],
        consistent: bool,
        schema: Schema,
        content: t.Sequence[TableContent],
        plain: int,
        uploaded: int,
        key: t.Optional[str],
    ) -> SqliteBackupResult:
        request, tables = self._request, len(schema.of_kind("table"))
        rows, timings = sum(item.rows for item in content), self._timings.as_dict()
        missing = self._not_covered(schema)
        told = f"Set {set_id} of {request.source} ({request.tier}): {tables} tables, {rows} rows, "
        told += f"{readable_size(plain)}, loaded and found equal; {readable_size(uploaded)} uploaded."
        if request.check_mode:
            told = f"Would back up {tables} tables of {self._engine.location}."
        if missing:
            told += f" Not covered: {', '.join(missing)}."
        return SqliteBackupResult(
            changed=True,
            set_id=set_id or compact_instant(self._began),
            source=request.source,
            tier=request.tier,
            recovery_point=format_instant(self._began),
            bookmark=bookmark,
            consistent=consistent,
            tables=tables,
            rows=rows,
            not_covered=missing,
            bytes_plain=plain,
            bytes_uploaded=uploaded,
            sql_key=key,
            timings=timings,
            summary=told,
        )


def _compared(
    path: str, content: t.Sequence[TableContent], structure: t.Optional[Structure], what: str, kind: str
) -> OpenedSet:
    """The loaded file. Raises RecoveryError of this kind for other rows, or another structure where one is known."""
    opened = opened_file(path)
    different = different_tables(opened.content, content)
    if structure is not None:
        different += structure_differences(structure, opened.structure)
    if different:
        raise RecoveryError(
            kind,
            f"What was loaded of {what} differs in {', '.join(different[:10])}.",
            left="No backup set was written; earlier sets are as they were." if kind == ErrorKind.NOT_EQUAL else "",
            next_step="Use another set." if kind == ErrorKind.DAMAGED else "Report it with the schema of these tables.",
        )
    return replace(opened, is_recorded=structure is not None)
