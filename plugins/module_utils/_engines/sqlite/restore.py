# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores all of a set, or of a dump, into a file of SQLite; what the same restore into D1 has in common with that."""

from __future__ import annotations

import abc
import contextlib
import errno
import itertools
import os
import shutil
import sqlite3
import typing as t
from dataclasses import dataclass, field

from ..._core.clock import compact_instant, utc_now
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.notices import note
from ..._core.options import FAMILY, INTERNAL, FilePath
from ..._core.process import scratch_folder
from ..._repository.change import Change, ChangePlan, Outcome, Safeguards
from ..._repository.identity import Identity, identity_in
from ..._repository.manifest import Manifest
from ..._store.base import ObjectStore
from .engine import Engine
from .file import FileEngine
from .foreign import open_dump
from .opened import OpenedSet, open_set, refusing
from .portable import UNLIMITED, dropped, portable_statements
from .schema import read_schema
from .script import content_of, different_tables, versions
from .structure import structure_differences, structure_of, without_numbers


@dataclass(frozen=True)
class Origin:
    """A set of a store, or a dump. name is for messages."""

    name: str
    open: t.Callable[[str], OpenedSet]
    store: t.Optional[ObjectStore] = None
    manifest: t.Optional[Manifest] = None

    @property
    def identity(self) -> t.Optional[Identity]:
        """The database that the set was taken of, where known."""
        return identity_in(self.manifest) if self.manifest else None


def of_set(store: ObjectStore, manifest: Manifest, *, parallel: int) -> Origin:
    """A set of a store."""
    return Origin(
        f"set {manifest.set_id}",
        lambda folder: open_set(store, manifest, folder, parallel=parallel),
        store,
        manifest,
    )


def of_dump(path: str) -> Origin:
    """A text of SQL that another tool wrote."""
    return Origin(path, lambda folder: open_dump(path, folder))


@dataclass(frozen=True)
class DatabaseRestoreRequest:
    """target: the name or id of a database of D1, or the path of a file."""

    target: str = field(metadata=INTERNAL)
    reason: t.Optional[str] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    spool_dir: t.Optional[FilePath] = None


@dataclass(frozen=True)
class DatabaseRestoreResult(Outcome):
    """A restored and verified database. created: the restore created the database.

    previous_bookmark, or for a file the copy at previous_path, takes a restore in place back.
    """

    set_id: t.Optional[str]
    source: t.Optional[str]
    recovery_point: t.Optional[str]
    database: str
    uuid: t.Optional[str]
    created: bool
    tables: int
    rows: int
    bookmark: t.Optional[str]
    previous_bookmark: t.Optional[str]
    previous_path: t.Optional[str]
    not_covered: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


class DatabaseRestore(Change[DatabaseRestoreResult]):
    """A restore of a whole database; subclasses know the target.

    Raises RecoveryError: target_exists, target_missing, unsupported for rows that the target refuses, damaged,
    not_equal, service_failed, and those of the store.
    """

    faults_of_set = (
        ErrorKind.DAMAGED,
        ErrorKind.OBJECT_MISSING,
        ErrorKind.UNSUPPORTED_MANIFEST,
        ErrorKind.NOT_EQUAL,
    )
    #: Whether the target is a file, which holds only what the SQLite of this host takes.
    is_file = False
    replaces = False

    def __init__(self, origin: Origin, request: DatabaseRestoreRequest) -> None:
        manifest = origin.manifest
        super().__init__(request.safeguards, origin.store, manifest.source if manifest else None)
        self.origin, self.request, self.target = origin, request, request.target
        self.restores = manifest
        self.details = {
            "set_id": manifest.set_id if manifest else None,
            "target": request.target,
            "reason": request.reason,
        }
        self.uuid: t.Optional[str] = None
        self.created = False
        self.bookmark: t.Optional[str] = None
        self.previous_bookmark: t.Optional[str] = None
        self.previous_path: t.Optional[str] = None

    def plan(self) -> ChangePlan:
        self.folder = self.resources.enter_context(scratch_folder("lifeline-d1-", self.request.spool_dir))
        with self.timings.phase("fetch and prove"):
            self.opened = self.origin.open(self.folder)
        self.details["rows"] = self.opened.rows
        return self.plan_target()

    @abc.abstractmethod
    def plan_target(self) -> ChangePlan:
        """Judge the target for the opened set."""

    @abc.abstractmethod
    def restored(self) -> t.ContextManager[Engine]:
        """The target after the restore, to read it."""

    def verify(self) -> None:
        with self.timings.phase("prove"), self.restored() as engine:
            different = differences_from(engine, self.opened)
        if different:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"After the restore {self.target} differs from the set in {', '.join(different[:10])}.",
                next_step="Report it with the schema of these tables.",
            )
        # A file may lack what the SQLite of this host refuses.
        self.equal = None if self.is_file and self.opened.aside else True

    def result(self, outcome: Outcome) -> DatabaseRestoreResult:
        opened, manifest = self.opened, self.origin.manifest
        aside = opened.aside if self.is_file else {}
        lost = [] if self.is_file else sorted(set(opened.structure) - set(without_numbers(opened.structure)))
        return DatabaseRestoreResult(
            **vars(outcome),
            set_id=manifest.set_id if manifest else None,
            source=self.source,
            recovery_point=manifest.recovery_point if manifest else None,
            database=self.target,
            uuid=self.uuid,
            created=self.created,
            tables=len(opened.schema.of_kind("table")),
            rows=opened.rows,
            bookmark=self.bookmark,
            previous_bookmark=self.previous_bookmark,
            previous_path=self.previous_path,
            not_covered=[*(manifest.coverage.get("not_covered", ()) if manifest else ()), *lost, *aside],
            timings=self.timings.as_dict(),
            summary=self._summary(bool(aside)),
        )

    def _summary(self, is_incomplete: bool) -> str:
        opened = self.opened
        ending = ", proved equal."
        if not opened.is_recorded:
            ending = ", rows proved equal; the set is of an earlier version and recorded no definitions to compare."
        if is_incomplete:
            ending = f", rows proved equal. Left out, as {refusing()}: {'; '.join(opened.not_proved)}."
            note(f"{self.target} is incomplete. To restore what was left out, use a host with a newer SQLite, or D1.")
        if not self.safeguards.acts:
            ending = "; the restore would delete all that is in it." if self.replaces else "."
        would = "Restored" if self.safeguards.acts else "Would restore"
        tables = len(opened.schema.of_kind("table"))
        return f"{would} {tables} tables with {opened.rows} rows of {self.origin.name} to {self.target}{ending}"


def differences_from(engine: Engine, opened: OpenedSet) -> t.List[str]:
    """Tables with other rows, and all else that is missing, additional or other in a database than in a set.

    Raises those of the engine.
    """
    schema = read_schema(engine)
    actual = structure_of(engine, schema)
    if engine.loses_bytes:
        expected = without_numbers(opened.structure)
    else:
        # A file has only what this host's SQLite takes.
        expected = {what: text for what, text in opened.structure.items() if what not in opened.aside}
        actual = {what: text for what, text in actual.items() if what not in opened.aside}
    return [
        *different_tables(content_of(engine, schema), opened.content),
        *structure_differences(expected, actual),
    ]


class FileRestore(DatabaseRestore):
    """Restores into a file that does not exist yet, and removes the file if the restore fails."""

    is_file = True

    def plan_target(self) -> ChangePlan:
        path = self.target
        if os.path.exists(path):
            raise RecoveryError(
                ErrorKind.TARGET_EXISTS, f"The file {path} exists.", next_step="Set `path` to a file that does not."
            )
        found = [name for name in (f"{path}-wal", f"{path}-journal", f"{path}-shm") if os.path.exists(name)]
        if found:
            # SQLite would take them for those of the new file, and write what they hold into it.
            raise RecoveryError(
                ErrorKind.TARGET_EXISTS,
                f"Files of an earlier database are in the way of {path}: {', '.join(found)}.",
                next_step="Move them away, or set `path` to another file.",
            )
        self.created = True
        return ChangePlan({}, path, destroys=False, does="creates")

    def act(self) -> None:
        path = self.target
        try:
            # The folder of the dump may be on another file system.
            shutil.copyfile(self.opened.path, f"{path}.new")
            os.replace(f"{path}.new", path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.new")
            raise RecoveryError(
                ErrorKind.SPOOL_FULL if error.errno == errno.ENOSPC else ErrorKind.ACCESS_DENIED,
                f"{path} cannot be written: {error.strerror}.",
                next_step="Correct `path` or make room.",
            ) from None

    def restored(self) -> t.ContextManager[Engine]:
        return contextlib.closing(FileEngine(self.target, read_only=True))

    def put_back(self, error: RecoveryError) -> RecoveryError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.target)
        return error


class FileReplacement(DatabaseRestore):
    """Replaces all that is in a file, in one transaction; a copy of the former file stays."""

    is_file = replaces = True

    def __init__(self, origin: Origin, request: DatabaseRestoreRequest) -> None:
        super().__init__(origin, request)
        self._has_written = False

    def plan_target(self) -> ChangePlan:
        path = self.target
        if not os.path.exists(path):
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The file {path} does not exist.",
                next_step="Correct `path`, or set `mode` to new.",
            )
        self._engine = FileEngine(path)
        self.resources.callback(self._engine.close)
        with self._errors():
            self._state, self._schema = self._engine.state(), read_schema(self._engine)
            held = [(item.table, item.rows, item.digest) for item in content_of(self._engine, self._schema)]
        facts = {"origin": self.origin.name, "rows": self.opened.rows, "path": path, "held": held}
        return ChangePlan(facts, path, destroys=True)

    def keep_undo(self) -> t.Mapping[str, str]:
        with self._errors():
            self.previous_path = _copy_of(self._engine, self.target)
        return {"path": self.previous_path}

    def act(self) -> None:
        theirs = FileEngine(self.opened.path, read_only=True)
        try:
            with self._errors():
                self._engine.judge_references(False)
                held = self.opened.as_loaded(theirs)
                statements = portable_statements(theirs, held, dropped(self._schema), UNLIMITED)
                self._engine.apply(itertools.chain(statements, versions(theirs)), self._state)
                self._has_written = True
        finally:
            theirs.close()

    def restored(self) -> t.ContextManager[Engine]:
        return contextlib.nullcontext(self._engine)

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._has_written and self.previous_path:
            self._engine.copy_from(self.previous_path)
        return error.restated(left=f"{self.target} is unchanged.")

    @contextlib.contextmanager
    def _errors(self) -> t.Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecoveryError(
                ErrorKind.RESTORE_FAILED,
                f"{self.target} cannot be replaced: {error}.",
                left=f"{self.target} is unchanged.",
                next_step="Make room, or end the program that holds the file locked.",
            ) from None


def _copy_of(engine: FileEngine, path: str) -> str:
    """A copy of a file with the rights of the file, in the same folder, under a new name."""
    stamp = compact_instant(utc_now())
    for number in range(100):
        copy = f"{path}.before-{stamp}{f'-{number}' if number else ''}"
        try:
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        try:
            shutil.copymode(path, copy)
            engine.copy_to(copy)
        except BaseException:
            os.unlink(copy)
            raise
        return copy
    raise RecoveryError(ErrorKind.TARGET_EXISTS, f"{path} has 100 copies of this second.", next_step="Run it again.")
