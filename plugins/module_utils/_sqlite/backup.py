# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up a database of SQLite or D1 as a set, which is committed only when it was loaded here and found equal."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import typing as t
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from .._core.clock import Timings, compact_instant, format_instant, utc_now
from .._core.codec import require_codec
from .._core.digest import file_chunks
from .._core.documents import read_document
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.process import scratch_folder
from .._core.progress import Progress
from .._core.shapes import anything, list_of, mapping_of, optional, record, text, whole
from .._core.sizes import readable_size
from .._core.version import VERSION
from .._sets.audit import audited
from .._sets.fetch import fetch_objects
from .._sets.identity import require_identity, require_source_kind
from .._sets.layout import check_source, sql_key
from .._sets.manifest import SQLITE_ENGINE, SQLITE_ROWS_ENGINE, Manifest
from .._sets.writer import SetWriter, sizes_of
from .._store.base import ObjectStore
from .engine import Bound, Engine
from .file import FileEngine, require_sqlite
from .load import Aside, Loaded, ReferencesRefused, load_files
from .schema import Schema, Table, quoted, read_schema
from .script import Dump, TableContent, content_of, different_tables, ignore_checks, require_all_rows, write_dump
from .stand_ins import missing_parents
from .structure import Structure, structure_differences, structure_of
from .virtual import not_covered
from .virtual import not_rebuilt as empty_indexes

_CONTENT_FILE = "content.json"

#: Characters of one definition. D1 takes statements of 100 KB.
_LARGEST = 10_000_000

_NOTHING_WRITTEN = "No backup set was written; earlier sets are unchanged."

#: What a set recorded of its content. Sets without an algorithm recorded the rows alone.
_ALGORITHM = "sqlite-rows-and-structure"
_ORDER = {"schema": 0, "table": 1, "after": 2}


@dataclass(frozen=True)
class SqliteBackupRequest:
    """What to back up. sql_name names the whole dump as one file beside the sets of the tier, with marks of strftime.

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
    """A committed set. consistent: the bookmark was the same before and after everything was read.

    not_proved: what the set holds as text, because this host's SQLite refuses it.
    """

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
    not_proved: t.Sequence[str]
    bytes_plain: int
    bytes_uploaded: int
    sql_key: t.Optional[str]
    timings: t.Mapping[str, float]
    summary: str


@dataclass(frozen=True)
class OpenedSet:
    """A set that was loaded into the file at path and is what its content says.

    schema and structure hold what the file lacks as well, because this host's SQLite refuses it: aside, by what it is.
    unchecked: tables with rows that break a CHECK. not_rebuilt: full-text indexes that stay empty. is_recorded: the set
    recorded its structure as well, and it was found equal; sets of earlier versions recorded rows only.
    """

    path: str
    schema: Schema
    content: t.Sequence[TableContent]
    structure: Structure
    is_recorded: bool = True
    aside: t.Mapping[str, Aside] = field(default_factory=dict)
    unchecked: t.Collection[str] = ()
    not_rebuilt: t.Collection[str] = ()

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.content)

    @property
    def not_proved(self) -> t.List[str]:
        return [f"{what} ({aside.reason})" for what, aside in sorted(self.aside.items())]

    def as_loaded(self, engine: Engine) -> OpenedSet:
        """What the file itself holds, without what was put aside."""
        schema = read_schema(engine)
        empty = tuple(empty_indexes(engine, schema))
        return replace(self, schema=schema, structure=structure_of(engine, schema), aside={}, not_rebuilt=empty)


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
        known = require_source_kind(store, request.source, SQLITE_ENGINE)
        former = None
        if engine.identity is not None:
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
    recorded = _read_content(folder, manifest.set_id)
    files = [
        (entry.path, entry.table or "" if entry.role == "table" else "") for entry in ordered if entry.role in _ORDER
    ]
    loaded = load_files(path, folder, files, recorded.get("stand_ins"))
    opened = opened_file(path, loaded, recorded.get("not_rebuilt", ()))
    content = [TableContent(**item) for item in recorded["tables"]]
    different = _differences(opened, content, recorded.get("structure"))
    if different:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"What was loaded of set {manifest.set_id} differs in {', '.join(different[:10])}.",
            next_step="Use another set.",
        )
    return replace(opened, is_recorded=recorded.get("structure") is not None)


_CONTENT = record(
    {
        "tables": list_of(record({"table": text(), "rows": whole(), "digest": text()})),
        "structure": optional(mapping_of(text(longest=_LARGEST))),
        "stand_ins": mapping_of(text(longest=_LARGEST)),
        "not_rebuilt": list_of(text()),
    },
    may_lack=("structure", "stand_ins", "not_rebuilt"),
    others=anything,
)


def _read_content(folder: str, set_id: str) -> t.Dict[str, t.Any]:
    """What the set says that it holds. Raises RecoveryError(damaged)."""
    what = f"{_CONTENT_FILE} of the set {set_id}"
    try:
        with open(os.path.join(folder, _CONTENT_FILE), "rb") as stream:
            document = read_document(stream.read(), what, next_step="Use another set.")
        _CONTENT(document, "")
    except (OSError, ValueError) as error:
        raise RecoveryError(ErrorKind.DAMAGED, f"{what} is damaged: {error}.", next_step="Use another set.") from None
    return document


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
        document = {
            "algorithm": _ALGORITHM,
            "tables": [asdict(item) for item in dump.content],
            "structure": dict(dump.structure),
            "stand_ins": dict(dump.stand_ins),
            "not_rebuilt": list(dump.not_rebuilt),
        }
        json.dump(document, stream)
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


def opened_file(
    path: str, loaded: t.Optional[Loaded] = None, not_rebuilt: t.Optional[t.Collection[str]] = None
) -> OpenedSet:
    """A database that was loaded into a file, with what it holds and what was put aside.

    not_rebuilt: the full-text indexes that stay empty, where a set recorded them.
    """
    loaded = loaded or Loaded()
    engine = FileEngine(path, read_only=True)
    try:
        schema = read_schema(engine)
        content = content_of(engine, schema)
        if not_rebuilt is None:
            not_rebuilt = [name for name in empty_indexes(engine, schema) if not loaded.aside]
        whole = _completed(schema, loaded.aside)
        structure = structure_of(engine, whole)
    finally:
        engine.close()
    for what, aside in loaded.aside.items():
        if what.startswith("setting "):
            # INSERT INTO "f"("f", rank) VALUES('name', value)
            structure[what] = aside.sql[aside.sql.find(", ", aside.sql.find("VALUES(")) + 2 : -1]
    return OpenedSet(
        path,
        whole,
        content,
        structure,
        aside=dict(loaded.aside),
        unchecked=tuple(loaded.unchecked),
        not_rebuilt=tuple(not_rebuilt),
    )


def _completed(schema: Schema, aside: t.Mapping[str, Aside]) -> Schema:
    """The schema of a file with the definitions that were put aside, in place of those of stand-ins."""
    if not aside:
        return schema
    found = [(*what.partition(" ")[::2], item.sql) for what, item in aside.items()]
    replaced = {name: sql for kind, name, sql in found if kind == "table"}
    tables = [
        replace(table, sql=replaced[table.name], kind=_table_kind(replaced[table.name]))
        if table.name in replaced
        else table
        for table in schema.tables
    ]
    known = {table.name for table in tables}
    tables += [Table(name, "virtual", sql, (), "rowid") for name, sql in replaced.items() if name not in known]
    definitions = [
        (kind, name, replaced.get(name, sql) if kind == "table" else sql) for kind, name, sql in schema.definitions
    ]
    definitions += [
        (kind, name, sql)
        for kind, name, sql in found
        if kind in ("index", "view", "trigger") or (kind == "table" and name not in known)
    ]
    return replace(schema, tables=tuple(tables), definitions=tuple(definitions))


def _table_kind(sql: str) -> str:
    return "virtual" if sql.split()[1].upper() == "VIRTUAL" else "table"


def _differences(opened: OpenedSet, content: t.Iterable[TableContent], structure: t.Optional[Structure]) -> t.List[str]:
    """Tables with other rows, and what is missing, additional or other where the structure is known."""
    found = different_tables(opened.content, content)
    if structure is None:
        return [*found, *opened.not_proved]
    return [*found, *structure_differences(structure, opened.structure)]


class _Run:
    def __init__(self, request: SqliteBackupRequest, engine: Engine, store: ObjectStore, folder: str) -> None:
        self._request, self._engine, self._store, self._folder = request, engine, store, folder
        self._timings = Timings()
        self._began = utc_now()
        self._progress = Progress(None if request.check_mode else request.progress_file, request.source)

    def complete(self) -> SqliteBackupResult:
        request = self._request
        if request.sql_name:
            # A name that is no key fails before anything is read.
            self._sql_key()
        if request.check_mode:
            with self._timings.phase("read"):
                schema = read_schema(self._engine)
            return self._result(
                "", self._engine.bookmark(), True, schema, self._not_covered(schema), [], [], 0, 0, None
            )
        with self._timings.phase("read"):
            self._engine = self._engine.snapshot(self._folder)
            bookmark, consistent, schema, dump, work = self._read()
        with self._timings.phase("prove"):
            not_proved = self._prove(work, dump)
        with self._timings.phase("store"):
            key = self._store_whole(work, dump) if request.sql_name else None
            missing = self._not_covered(schema, dump.not_rebuilt)
            manifest = self._commit(work, dump, schema, bookmark, consistent, missing, not_proved, key)
        self._progress.end()
        self._notify(schema, dump)
        sizes = manifest.sizes
        return self._result(
            manifest.set_id,
            bookmark,
            consistent,
            schema,
            missing,
            not_proved,
            dump.content,
            sizes["plain"],
            sizes["uploaded"],
            key,
        )

    def _prove(self, work: str, dump: Dump) -> t.List[str]:
        """Load the dump as D1 loads it and compare. What this host's SQLite refuses, and so is not proved.

        Raises RecoveryError(not_equal).
        """
        path = os.path.join(work, "loaded.sqlite")
        where = self._engine.location
        try:
            try:
                loaded = load_files(path, work, dump.files, dump.stand_ins, judged=True)
                opened = opened_file(path, loaded, dump.not_rebuilt)
            except ReferencesRefused as refused:
                os.unlink(path)
                loaded = load_files(path, work, dump.files, dump.stand_ins)
                opened = opened_file(path, loaded, dump.not_rebuilt)
                reasons = refused_by_d1(opened) or ([] if opened.aside else [f"{refused}."])
                if reasons:
                    note(f"D1 refuses rows of {where}, a file takes them. {' '.join(reasons)}")
        except RecoveryError as error:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"What was read of {where} does not load: {error.what}",
                left=_NOTHING_WRITTEN,
                next_step="Check the database with PRAGMA integrity_check; report the schema of the table if it is ok.",
            ) from None
        different = _differences(opened, dump.content, dump.structure)
        if different:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"What was loaded of {where} differs in {', '.join(different[:10])}.",
                left=_NOTHING_WRITTEN,
                next_step="Report it with the schema of these tables.",
            )
        os.unlink(path)
        if loaded.unchecked:
            broken = ", ".join(loaded.unchecked)
            note(f"Rows of {broken} break a CHECK of their table. A restore writes these rows without the check.")
            ignore_checks(work)
        return opened.not_proved

    def _notify(self, schema: Schema, dump: Dump) -> None:
        for table in schema.tables:
            if table.damage:
                note(
                    f"The virtual table {table.name} cannot be opened: {table.damage} A restore makes its index again."
                )
        for notice in dump.notices:
            note(notice)

    def _read(self) -> t.Tuple[t.Optional[str], bool, Schema, Dump, str]:
        """Read until the bookmark is the same before and after."""
        for attempt in range(1, self._request.attempts + 1):
            work = os.path.join(self._folder, str(attempt))
            os.mkdir(work)
            self._progress.phase("reading")
            self._began = utc_now()
            bookmark, before = self._engine.bookmark(), self._engine.state()
            schema, dump = self._read_once(work)
            counted = self._engine.state() == before
            if counted:
                require_all_rows(self._engine, schema, dump.content)
            if counted and self._engine.state() == before:
                return bookmark, True, schema, dump, work
        if not self._request.allow_inconsistent:
            raise RecoveryError(
                ErrorKind.INCONSISTENT,
                f"{self._engine.location} changed while it was read, {self._request.attempts} times.",
                left=_NOTHING_WRITTEN,
                next_step="Back up when less is written, or raise attempts; allow_inconsistent takes what was read.",
            )
        return bookmark, False, schema, dump, work

    def _store_whole(self, work: str, dump: Dump) -> str:
        """The dump as one file under the name that was asked for."""
        key = self._sql_key()

        def chunks() -> t.Iterator[bytes]:
            for name, _table in dump.files:
                yield from file_chunks(os.path.join(work, name))

        self._store.put(key, chunks())
        return key

    def _read_once(self, work: str) -> t.Tuple[Schema, Dump]:
        try:
            schema = read_schema(self._engine)
            return schema, write_dump(self._engine, schema, work, self._progress.add)
        except RecoveryError as error:
            if error.kind != ErrorKind.QUERY_FAILED:
                raise
            raise RecoveryError(
                ErrorKind.QUERY_FAILED,
                f"{self._engine.location} cannot be read: {error.what}",
                left=_NOTHING_WRITTEN,
                next_step="Check the database with PRAGMA integrity_check.",
            ) from None

    def _sql_key(self) -> str:
        """The key of the dump as one file. Each tier has its own, which is pruned with the sets that name it."""
        request = self._request
        return sql_key(request.source, request.tier, self._began.strftime(request.sql_name or ""))

    def _commit(
        self,
        work: str,
        dump: Dump,
        schema: Schema,
        bookmark: t.Optional[str],
        consistent: bool,
        missing: t.Sequence[str],
        not_proved: t.Sequence[str],
        key: t.Optional[str],
    ) -> Manifest:
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
                    "not_covered": list(missing),
                    "not_proved": list(not_proved),
                    **({"sql_key": key} if key else {}),
                },
                timings=self._timings.as_dict(),
            )

    def _not_covered(self, schema: Schema, empty: t.Mapping[str, str] = MappingProxyType({})) -> t.List[str]:
        encoding = "UTF-8"
        if not self._engine.loses_bytes:
            (answer,) = self._engine.run([Bound("PRAGMA encoding", reads_only=True)])
            encoding = str(answer.rows[0][0])
        other = [] if encoding == "UTF-8" else [f"the encoding {encoding} (restored as UTF-8)"]
        if not self._engine.loses_bytes:
            other += [f"the table {name} (D1 keeps the name for itself)" for name in schema.reserved]
        other += [f"the content of the full-text index {name} ({reason})" for name, reason in empty.items()]
        return [*not_covered(schema), *other]

    def _result(
        self,
        set_id: str,
        bookmark: t.Optional[str],
        consistent: bool,
        schema: Schema,
        missing: t.Sequence[str],
        not_proved: t.Sequence[str],
        content: t.Sequence[TableContent],
        plain: int,
        uploaded: int,
        key: t.Optional[str],
    ) -> SqliteBackupResult:
        request, tables = self._request, len(schema.of_kind("table"))
        rows, timings = sum(item.rows for item in content), self._timings.as_dict()
        told = f"Set {set_id} of {request.source} ({request.tier}): {tables} tables, {rows} rows, "
        proved = "loaded and found equal"
        if not_proved:
            proved = f"rows loaded and found equal; kept as text, not proved, as {refusing()}: {'; '.join(not_proved)}"
        told += f"{readable_size(plain)}, {proved}; {readable_size(uploaded)} uploaded."
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
            not_proved=not_proved,
            bytes_plain=plain,
            bytes_uploaded=uploaded,
            sql_key=key,
            timings=timings,
            summary=told,
        )


def refusing() -> str:
    """Why something was put aside, for messages."""
    return f"SQLite {sqlite3.sqlite_version} of this host refuses them"


def refused_by_d1(opened: OpenedSet) -> t.List[str]:
    """Why D1, where foreign keys are always on, refuses rows of a set: one sentence for each pair of tables.

    A stand-in compares texts byte by byte and lacks unique columns, so nothing is known of such a table.
    """
    engine = FileEngine(opened.path, read_only=True)
    unknown = {what.partition(" ")[2].lower() for what in opened.aside if what.startswith("table ")}
    found: t.Dict[t.Tuple[str, str], int] = {}
    try:
        for table in opened.schema.of_kind("table"):
            # A parent without a unique index is an error of the pragma.
            with contextlib.suppress(RecoveryError):
                (answer,) = engine.run([Bound(f"PRAGMA foreign_key_check({quoted(table.name)})", reads_only=True)])
                for row in answer.rows:
                    pair = (str(row[0]), str(row[2]))
                    if not unknown.intersection(name.lower() for name in pair):
                        found[pair] = found.get(pair, 0) + 1
        keyless = missing_parents(engine, opened.schema).refused
    finally:
        engine.close()
    return [
        *(f"{count} rows of {child} refer to missing rows of {parent}." for (child, parent), count in found.items()),
        *keyless,
    ]
