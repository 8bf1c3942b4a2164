# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up a database of SQLite or D1 as a set, which is committed only when it was loaded here and found equal."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from ..._core.clock import utc_now
from ..._core.digest import file_chunks
from ..._core.errors import ErrorKind, RecoveryError, guaranteed
from ..._core.notices import note
from ..._core.options import INTERNAL
from ..._core.sizes import readable_size
from ..._repository.commit import SetFacts
from ..._repository.engine import BackupRequest, BackupResult, BackupRun
from ..._repository.layout import sql_key
from ..._repository.manifest import SQLITE_ENGINE, Manifest
from ..._repository.writer import SetWriter
from ..._store.base import ObjectStore
from .engine import Bound, Engine
from .file import require_sqlite
from .load_proof import prove_dump
from .opened import refusing
from .schema import Schema, read_schema
from .script import Dump, require_all_rows, write_dump
from .stored_dump import add_dump, facts_of
from .virtual import not_covered

_NOTHING_WRITTEN = "No backup set was written; earlier sets are unchanged."


@dataclass(frozen=True)
class SqliteBackupRequest(BackupRequest):
    """A backup of a database. accept_identity is for D1, because a file has no identity.

    sql_name names the complete dump as one file in the folder of the tier, with marks of strftime. attempts is how
    often to read again when the database changed while it was read.
    """

    parallel: int = field(default=3, metadata=INTERNAL)
    accept_identity: t.Optional[str] = None
    sql_name: t.Optional[str] = None
    attempts: int = 3
    allow_inconsistent: bool = False

    def require_valid(self, store: ObjectStore) -> None:
        super().require_valid(store)
        if self.attempts < 1:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`attempts` must be at least 1, got {self.attempts}.",
                left=_NOTHING_WRITTEN,
                next_step="Set `attempts` to 1 or more.",
            )
        if self.sql_name and store.sealing.encrypts:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "sql_name would write a readable dump of an encrypted set.",
                left=_NOTHING_WRITTEN,
                next_step="Remove sql_name or encrypt_to.",
            )
        # A name that cannot be a key fails before anything is read.
        self.sql_key(utc_now())

    def sql_key(self, began: datetime) -> t.Optional[str]:
        """The key of the dump as one file. Each tier has its own, which is pruned with the sets that name it."""
        return sql_key(self.source, self.tier, began.strftime(self.sql_name)) if self.sql_name else None


@dataclass(frozen=True)
class SqliteBackupResult(BackupResult):
    """consistent: the bookmark was the same before and after everything was read.

    not_proved: what the set holds as text, because this host's SQLite refuses it.
    """

    bookmark: t.Optional[str]
    consistent: bool
    tables: int
    rows: int
    not_covered: t.Sequence[str]
    not_proved: t.Sequence[str]
    sql_key: t.Optional[str]

    def audit_details(self) -> t.Dict[str, t.Any]:
        return {**super().audit_details(), "tables": self.tables, "rows": self.rows}


@dataclass(frozen=True)
class _Reading:
    """The content that one attempt read, and its files in folder. consistent: no session wrote during the attempt."""

    began: datetime
    bookmark: t.Optional[str]
    consistent: bool
    schema: Schema
    dump: Dump
    folder: str


class SqliteBackup:
    """The engine of SQLite and D1. A database is not blocked while it is read.

    Raises RecoveryError: identity_changed when the sets of the source are of another database of D1, inconsistent when
    the database changed at every attempt, unsupported for what cannot be read, not_equal when what was written does
    not load as it was read, and those of database and store.
    """

    kind = SQLITE_ENGINE

    def __init__(self, database: Engine, request: SqliteBackupRequest) -> None:
        self.request = request
        self._database = database
        self._read: t.Optional[_Reading] = None

    @contextlib.contextmanager
    def prepared(self, run: BackupRun) -> t.Iterator[None]:
        require_sqlite()
        run.require_source(self._database.identity)
        yield

    def predicted(self, run: BackupRun) -> SqliteBackupResult:
        with run.timings.phase("read"):
            schema = read_schema(self._database)
        tables = len(schema.of_kind("table"))
        return SqliteBackupResult(
            **run.predicted(0),
            bookmark=self._database.bookmark(),
            consistent=True,
            tables=tables,
            rows=0,
            not_covered=self._not_covered(schema),
            not_proved=[],
            sql_key=None,
            summary=f"Would back up {tables} tables of {self._database.location}."
            + _missing(self._not_covered(schema)),
        )

    def dump(self, run: BackupRun, writer: SetWriter) -> SetFacts:
        with run.timings.phase("read"):
            self._database = self._database.snapshot(run.folder)
            self._read = read = self._consistent_reading(run)
        with run.timings.phase("prove"):
            not_proved = prove_dump(read.dump, read.folder, self._database.location)
        with run.timings.phase("store"):
            key = self.request.sql_key(read.began)
            if key is not None:
                self._store_as_one_file(run, read, key)
            add_dump(writer, read.folder, read.dump)
            writer.finish()
        return SetFacts(
            engine=self.kind,
            recovery_point=read.began,
            began=read.began,
            server=facts_of(self._database, read.bookmark),
            coverage={
                "tables": len(read.schema.of_kind("table")),
                "rows": sum(item.rows for item in read.dump.content),
                "consistent": read.consistent,
                "not_covered": self._not_covered(read.schema, read.dump.not_rebuilt),
                "not_proved": not_proved,
                **({"sql_key": key} if key else {}),
            },
        )

    def result(self, run: BackupRun, manifest: Manifest) -> SqliteBackupResult:
        read = guaranteed(self._read)
        for table in read.schema.tables:
            if table.damage:
                note(
                    f"The virtual table {table.name} cannot be opened: {table.damage} A restore makes its index again."
                )
        for notice in read.dump.notices:
            note(notice)
        coverage, common = manifest.coverage, run.committed(manifest)
        proved = "loaded and found equal"
        if coverage["not_proved"]:
            unproved = "; ".join(coverage["not_proved"])
            proved = f"rows loaded and found equal; kept as text, not proved, as {refusing()}: {unproved}"
        return SqliteBackupResult(
            **common,
            bookmark=read.bookmark,
            consistent=read.consistent,
            tables=coverage["tables"],
            rows=coverage["rows"],
            not_covered=coverage["not_covered"],
            not_proved=coverage["not_proved"],
            sql_key=coverage.get("sql_key"),
            summary=(
                f"Set {manifest.set_id} of {manifest.source} ({manifest.tier}): {coverage['tables']} tables, "
                f"{coverage['rows']} rows, {readable_size(common['bytes_plain'])}, {proved}; "
                f"{readable_size(common['bytes_uploaded'])} uploaded.{_missing(coverage['not_covered'])}"
            ),
        )

    def _consistent_reading(self, run: BackupRun) -> _Reading:
        """Read until the state is the same before and after."""
        request, database = self.request, self._database
        for attempt in range(1, request.attempts + 1):
            folder = os.path.join(run.folder, str(attempt))
            os.mkdir(folder)
            run.progress.phase("reading")
            began = utc_now()
            bookmark, before = database.bookmark(), database.state()
            schema, dump = self._read_once(run, folder)
            consistent = database.state() == before
            if consistent:
                require_all_rows(database, schema, dump.content)
                consistent = database.state() == before
            if consistent:
                break
        if not consistent and not request.allow_inconsistent:
            raise RecoveryError(
                ErrorKind.INCONSISTENT,
                f"{database.location} changed while it was read, {request.attempts} times.",
                left=_NOTHING_WRITTEN,
                next_step="Back up when less is written, or raise attempts; allow_inconsistent takes what was read.",
            )
        return _Reading(began, bookmark, consistent, schema, dump, folder)

    def _read_once(self, run: BackupRun, folder: str) -> t.Tuple[Schema, Dump]:
        try:
            schema = read_schema(self._database)
            return schema, write_dump(self._database, schema, folder, run.progress.add)
        except RecoveryError as error:
            if error.kind != ErrorKind.QUERY_FAILED:
                raise
            raise RecoveryError(
                ErrorKind.QUERY_FAILED,
                f"{self._database.location} cannot be read: {error.what}",
                left=_NOTHING_WRITTEN,
                next_step="Check the database with PRAGMA integrity_check.",
            ) from None

    def _store_as_one_file(self, run: BackupRun, read: _Reading, key: str) -> None:
        def chunks() -> t.Iterator[bytes]:
            for name, _table in read.dump.files:
                yield from file_chunks(os.path.join(read.folder, name))

        run.store.put(key, chunks())

    def _not_covered(self, schema: Schema, empty: t.Mapping[str, str] = MappingProxyType({})) -> t.List[str]:
        encoding = "UTF-8"
        if not self._database.loses_bytes:
            (answer,) = self._database.run([Bound("PRAGMA encoding", reads_only=True)])
            encoding = str(answer.rows[0][0])
        other = [] if encoding == "UTF-8" else [f"the encoding {encoding} (restored as UTF-8)"]
        if not self._database.loses_bytes:
            other += [f"the table {name} (D1 keeps the name for itself)" for name in schema.reserved]
        other += [f"the content of the full-text index {name} ({reason})" for name, reason in empty.items()]
        return [*not_covered(schema), *other]


def _missing(sentences: t.Sequence[str]) -> str:
    return f" Not covered: {', '.join(sentences)}." if sentences else ""
