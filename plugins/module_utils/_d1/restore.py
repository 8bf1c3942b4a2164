# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set into a new database of D1, or a new file, and proves it equal."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sqlite3
import typing as t
from contextlib import nullcontext
from dataclasses import dataclass

from .._core.clock import Timings, compact_instant, utc_now
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.process import scratch_folder
from .._sets.audit import audited
from .._sets.identity import Identity, elsewhere, identity_in
from .._sets.manifest import Manifest
from .._sqlite.engine import Bound, Engine
from .._sqlite.file import FileEngine
from .._sqlite.foreign import open_dump
from .._sqlite.opened import OpenedSet, open_set, refused_by_d1, refusing
from .._sqlite.portable import UNLIMITED, dropped, is_empty, portable_statements
from .._sqlite.schema import read_schema
from .._sqlite.script import CHECKS, content_of, different_tables, versions
from .._sqlite.structure import structure_differences, structure_of, without_numbers
from .._store.base import ObjectStore
from .api import D1Api, D1Facts
from .engine import D1Engine
from .whole import apply_whole


@dataclass(frozen=True)
class D1RestoreRequest:
    """database is the target's name or id. mode new makes it, or takes an empty one; in_place replaces what is in it.

    Without an API path is a new file.
    """

    mode: str = "new"
    environment: str = "production"
    confirm: t.Optional[str] = None
    database: t.Optional[str] = None
    path: t.Optional[str] = None
    location: t.Optional[str] = None
    jurisdiction: t.Optional[str] = None
    spool_dir: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class D1RestoreResult:
    """A restored and proved database. created: it was made for this.

    previous_bookmark, or for a file the copy at previous_path, is the way back from in_place.
    """

    changed: bool
    set_id: t.Optional[str]
    source: t.Optional[str]
    database: str
    uuid: t.Optional[str]
    created: bool
    tables: int
    rows: int
    bookmark: t.Optional[str]
    previous_bookmark: t.Optional[str]
    previous_path: t.Optional[str]
    plan_digest: str
    not_covered: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


@dataclass(frozen=True)
class Origin:
    """What is restored. name is for messages; identity is the database that it was taken of, where known.

    audited notes how the restore ended at the target, where there is a store.
    """

    name: str
    open: t.Callable[[str], OpenedSet]
    set_id: t.Optional[str] = None
    source: t.Optional[str] = None
    not_covered: t.Sequence[str] = ()
    identity: t.Optional[Identity] = None
    audited: t.Callable[[str, bool], t.ContextManager[t.Dict[str, t.Any]]] = lambda _target, _check: nullcontext({})


def of_set(store: ObjectStore, manifest: Manifest, *, parallel: int) -> Origin:
    """A set of a store."""

    def audited_here(target: str, check_mode: bool) -> t.ContextManager[t.Dict[str, t.Any]]:
        told = {"set_id": manifest.set_id, "target": target}
        return audited(store, manifest.source, "restore", told, check_mode=check_mode)

    return Origin(
        f"set {manifest.set_id}",
        lambda folder: open_set(store, manifest, folder, parallel=parallel),
        manifest.set_id,
        manifest.source,
        tuple(manifest.coverage.get("not_covered", ())),
        identity_in(manifest),
        audited_here,
    )


def of_dump(path: str) -> Origin:
    """A text of SQL that another tool wrote."""
    return Origin(path, lambda folder: open_dump(path, folder))


def restore_d1(origin: Origin, api: t.Optional[D1Api], request: D1RestoreRequest) -> D1RestoreResult:
    """Restore a set or a dump. When that fails, what was made for it goes, and what was replaced is sent back.

    Raises RecoveryError: target_exists for one with tables, confirmation_required to replace them, damaged, not_equal,
    service_failed, and those of the store.
    """
    timings = Timings()
    target = str(request.database or request.path)
    with origin.audited(target, request.check_mode) as record:
        with scratch_folder("lifeline-d1-", request.spool_dir) as folder:
            with timings.phase("fetch and prove"):
                opened = origin.open(folder)
            if api is not None:
                _require_loadable(origin, opened)
            if api is None:
                outcome = (
                    _over_file(origin, opened, request) if request.mode == "in_place" else _into_file(opened, request)
                )
            elif request.mode == "in_place":
                outcome = _in_place(api, origin, opened, request, folder, timings)
            else:
                outcome = _into_new(api, opened, request, folder, timings)
        record.update(rows=opened.rows)
    lost = sorted(set(opened.structure) - set(without_numbers(opened.structure))) if api is not None else []
    tables = len(opened.schema.of_kind("table"))
    would = "Would restore" if request.check_mode else "Restored"
    ending = ", proved equal."
    if not opened.is_recorded:
        ending = ", rows proved equal; the set is of an earlier version and recorded no definitions to compare."
    if opened.aside and api is None:
        left_out = "; ".join(opened.not_proved)
        ending = f", rows proved equal. Left out, as {refusing()}: {left_out}."
        note(f"{target} is incomplete. To restore what was left out, use a host with a newer SQLite, or D1.")
    if request.check_mode:
        ending = "; all that is in it now would go." if request.mode == "in_place" else "."
    return D1RestoreResult(
        changed=True,
        set_id=origin.set_id,
        source=origin.source,
        database=target,
        uuid=outcome.uuid,
        created=outcome.created,
        tables=tables,
        rows=opened.rows,
        bookmark=outcome.bookmark,
        previous_bookmark=outcome.previous_bookmark,
        previous_path=outcome.previous_path,
        plan_digest=outcome.digest,
        not_covered=[*origin.not_covered, *lost, *(opened.aside if api is None else ())],
        timings=timings.as_dict(),
        summary=f"{would} {tables} tables with {opened.rows} rows of {origin.name} to {target}{ending}",
    )


def _require_loadable(origin: Origin, opened: OpenedSet) -> None:
    """Raise RecoveryError(unsupported) for rows that D1 would refuse at the end of an import."""
    reasons = refused_by_d1(opened)
    if reasons:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"D1 cannot hold rows of {origin.name}: {' '.join(reasons[:10])}",
            next_step="Restore into a file, correct these rows, back the file up, and restore that set to D1.",
        )


@dataclass(frozen=True)
class _Outcome:
    """What a way of restoring did, or would do."""

    uuid: t.Optional[str] = None
    created: bool = False
    bookmark: t.Optional[str] = None
    previous_bookmark: t.Optional[str] = None
    previous_path: t.Optional[str] = None
    digest: str = ""


def _in_place(
    api: D1Api, origin: Origin, opened: OpenedSet, request: D1RestoreRequest, folder: str, timings: Timings
) -> _Outcome:
    """Replace all that is in a database by one import, after its bookmark was noted."""
    found = api.require(request.database or "")
    before = api.bookmark(found.uuid)
    digest = plan_digest({"origin": origin.name, "rows": opened.rows, "database": found.uuid, "bookmark": before})
    if request.check_mode:
        return _Outcome(found.uuid, bookmark=before, previous_bookmark=before, digest=digest)
    other = elsewhere(origin.identity, Identity(found.uuid, found.name))
    require_confirmation(request.environment, request.confirm, found.name, digest, elsewhere=other)
    try:
        with timings.phase("import"):
            _fill(api, found, opened, folder, dropped(read_schema(D1Engine(api, found.uuid, found.name))), False)
        with timings.phase("prove"):
            _prove(api, found, opened)
    except RecoveryError as error:
        error.left = _sent_back(api, found, before, maybe=error.details.get("applied") == "unknown")
        raise
    return _Outcome(found.uuid, bookmark=api.bookmark(found.uuid), previous_bookmark=before, digest=digest)


def _sent_back(api: D1Api, found: D1Facts, before: str, *, maybe: bool) -> str:
    """What was left of a database that could not be replaced. maybe: an import may still go on, and is ended so."""
    try:
        if not maybe and api.bookmark(found.uuid) == before:
            return f"{found.name} is as it was."
        api.restore(found.uuid, before)
    except RecoveryError as error:
        return (
            f"{found.name} could not be sent back ({error.what}); do it with d1_time_travel and the bookmark {before}."
        )
    return f"{found.name} was sent back to its bookmark {before}, and is as it was."


def _into_new(api: D1Api, opened: OpenedSet, request: D1RestoreRequest, folder: str, timings: Timings) -> _Outcome:
    found = api.find(request.database or "")
    if found is not None and not is_empty(D1Engine(api, found.uuid, found.name)):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"The D1 database {found.name} is not empty.",
            next_step="Restore into a database of another name, or delete it first with lifeline.recovery.d1_database.",
        )
    if request.check_mode:
        return _Outcome(found.uuid if found else None, found is None)
    made = found or api.create(request.database or "", location=request.location, jurisdiction=request.jurisdiction)
    try:
        with timings.phase("import"):
            _fill(api, made, opened, folder, (), True)
        with timings.phase("prove"):
            _prove(api, made, opened)
        return _Outcome(made.uuid, found is None, api.bookmark(made.uuid))
    except RecoveryError as error:
        if found is None:
            with contextlib.suppress(RecoveryError):
                api.delete(made.uuid)
                error.left = f"The database {made.name} that was made for it was deleted again."
        else:
            error.left = f"The database {made.name}, which was empty, may hold a part of it."
        raise


def _fill(api: D1Api, target: D1Facts, opened: OpenedSet, folder: str, first: t.Sequence[str], alone: bool) -> None:
    """Have D1 run all that makes the database; alone: nobody else writes to it."""
    file = FileEngine(opened.path, read_only=True)
    try:
        engine = D1Engine(api, target.uuid, target.name, exclusive=alone)
        apply_whole(api, target, engine, portable_statements(file, opened, first), folder)
    finally:
        file.close()
        if opened.unchecked:
            # A failed import leaves the setting of the connection behind.
            with contextlib.suppress(RecoveryError):
                engine.run([Bound(CHECKS.format("OFF"))])


def _prove(api: D1Api, made: D1Facts, opened: OpenedSet) -> None:
    _require_same(D1Engine(api, made.uuid, made.name), opened, "D1")


def _require_same(engine: Engine, opened: OpenedSet, where: str) -> None:
    different = differences_from(engine, opened)
    if different:
        raise RecoveryError(
            ErrorKind.NOT_EQUAL,
            f"What {where} holds after the restore differs in {', '.join(different[:10])}.",
            next_step="Report it with the schema of these tables.",
        )


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


def _over_file(origin: Origin, opened: OpenedSet, request: D1RestoreRequest) -> _Outcome:
    """Replace all that is in a file in one transaction; a copy of before stays beside it."""
    path = request.path or ""
    if not os.path.exists(path):
        raise RecoveryError(
            ErrorKind.TARGET_MISSING, f"There is no file {path}.", next_step="Check path, or use mode new."
        )
    live, theirs = FileEngine(path), FileEngine(opened.path, read_only=True)
    try:
        state, schema = live.state(), read_schema(live)
        held = [(item.table, item.rows, item.digest) for item in content_of(live, schema)]
        digest = plan_digest({"origin": origin.name, "rows": opened.rows, "path": path, "held": held})
        if request.check_mode:
            return _Outcome(digest=digest)
        require_confirmation(request.environment, request.confirm, path, digest)
        copy = _copy_beside(live, path)
        live.judge_references(False)
        statements = portable_statements(theirs, opened.as_loaded(theirs), dropped(schema), UNLIMITED)
        live.apply(itertools.chain(statements, versions(theirs)), state)
        try:
            _require_same(live, opened, path)
        except RecoveryError as error:
            live.copy_from(copy)
            error.left = f"{path} is as it was."
            raise
        return _Outcome(digest=digest, previous_path=copy)
    except sqlite3.Error as error:
        raise RecoveryError(
            ErrorKind.RESTORE_FAILED,
            f"{path} cannot be replaced: {error}.",
            left=f"{path} is as it was.",
            next_step="Make room, or end what holds it locked.",
        ) from None
    finally:
        live.close()
        theirs.close()


def _copy_beside(live: FileEngine, path: str) -> str:
    """A copy of a file, for whom the file is for, under a name that nothing has."""
    stamp = compact_instant(utc_now())
    for number in range(100):
        copy = f"{path}.before-{stamp}{f'-{number}' if number else ''}"
        try:
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        try:
            shutil.copymode(path, copy)
            live.copy_to(copy)
        except BaseException:
            os.unlink(copy)
            raise
        return copy
    raise RecoveryError(ErrorKind.TARGET_EXISTS, f"There are too many copies of {path}.", next_step="Move some away.")


def _into_file(opened: OpenedSet, request: D1RestoreRequest) -> _Outcome:
    path = request.path or ""
    if os.path.exists(path):
        raise RecoveryError(ErrorKind.TARGET_EXISTS, f"There is a file {path}.", next_step="Give another path.")
    beside = [name for name in (f"{path}-wal", f"{path}-journal", f"{path}-shm") if os.path.exists(name)]
    if beside:
        # SQLite would take them for those of the new file, and write what they hold into it.
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"There are files of an earlier database beside {path}: {', '.join(beside)}.",
            next_step="Move them away, or give another path.",
        )
    if request.check_mode:
        return _Outcome(created=True)
    try:
        # The folder of the dump may be on another file system.
        shutil.copyfile(opened.path, f"{path}.new")
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.SPOOL_FULL if error.errno == errno.ENOSPC else ErrorKind.ACCESS_DENIED,
            f"{path} cannot be written: {error.strerror}.",
            next_step="Correct path or make room.",
        ) from None
    made = FileEngine(path, read_only=True)
    try:
        _require_same(made, opened, path)
    finally:
        made.close()
    return _Outcome(created=True)
