# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set into a new database of D1, or a new file, and proves it equal."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import typing as t
from dataclasses import dataclass

from .._core.clock import Timings
from .._core.confirmation import plan_digest, require_confirmation
from .._core.digest import file_chunks
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._sets.audit import write_audit
from .._sets.manifest import Manifest
from .._sqlite.backup import OpenedSet, open_set
from .._sqlite.file import FileEngine
from .._sqlite.foreign import open_dump
from .._sqlite.portable import dropped, is_empty, portable_statements
from .._sqlite.schema import read_schema
from .._sqlite.script import content_of, different_tables
from .._store.base import ObjectStore
from .api import D1Api, D1Facts
from .engine import D1Engine

_ORDER_MATTERS_NOT = ("indexes", "triggers", "views")


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
    """A restored and proved database. created: it was made for this. previous_bookmark: the way back from in_place."""

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
    plan_digest: str
    not_covered: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


@dataclass(frozen=True)
class Origin:
    """What is restored: name is for messages; audit is told of the outcome, where there is a store."""

    name: str
    open: t.Callable[[str], OpenedSet]
    set_id: t.Optional[str] = None
    source: t.Optional[str] = None
    not_covered: t.Sequence[str] = ()
    audit: t.Optional[t.Callable[[str, t.Mapping[str, t.Any]], object]] = None


def of_set(store: ObjectStore, manifest: Manifest, *, parallel: int) -> Origin:
    """A set of a store."""

    def audit(status: str, details: t.Mapping[str, t.Any]) -> None:
        write_audit(store, manifest.source, "restore", status, {"set_id": manifest.set_id, **details})

    return Origin(
        f"set {manifest.set_id}",
        lambda folder: open_set(store, manifest, folder, parallel=parallel),
        manifest.set_id,
        manifest.source,
        tuple(manifest.coverage.get("not_covered", ())),
        audit,
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
    try:
        with scratch_folder("lifeline-d1-", request.spool_dir) as folder:
            with timings.phase("fetch and prove"):
                opened = origin.open(folder)
            outcome = _Outcome(created=True)
            if api is None:
                _into_file(opened, request)
            elif request.mode == "in_place":
                outcome = _in_place(api, origin, opened, request, folder, timings)
            else:
                outcome = _into_new(api, opened, request, folder, timings)
    except RecoveryError as error:
        if not request.check_mode and origin.audit:
            with contextlib.suppress(RecoveryError):
                origin.audit("failed", {"target": target, "error_kind": error.kind})
        raise
    if not request.check_mode and origin.audit:
        origin.audit("succeeded", {"target": target})
    tables = len(opened.schema.of_kind("table"))
    would = "Would restore" if request.check_mode else "Restored"
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
        plan_digest=outcome.digest,
        not_covered=origin.not_covered,
        timings=timings.as_dict(),
        summary=f"{would} {tables} tables with {opened.rows} rows of {origin.name} to {target}, proved equal.",
    )


@dataclass(frozen=True)
class _Outcome:
    """What a way of restoring did, or would do."""

    uuid: t.Optional[str] = None
    created: bool = False
    bookmark: t.Optional[str] = None
    previous_bookmark: t.Optional[str] = None
    digest: str = ""


def _in_place(
    api: D1Api, origin: Origin, opened: OpenedSet, request: D1RestoreRequest, folder: str, timings: Timings
) -> _Outcome:
    """Replace all that is in a database by one import, after its bookmark was noted."""
    found = api.require(request.database or "")
    before = api.bookmark(found.uuid)
    digest = plan_digest({"origin": origin.name, "rows": opened.rows, "database": found.uuid, "bookmark": before})
    if request.check_mode:
        return _Outcome(found.uuid, False, before, before, digest)
    require_confirmation(request.environment, request.confirm, found.name, digest)
    try:
        with timings.phase("import"):
            _import(api, found, opened, folder, dropped(read_schema(D1Engine(api, found.uuid, found.name))))
        with timings.phase("prove"):
            _prove(api, found, opened)
    except RecoveryError as error:
        error.left = _sent_back(api, found, before, maybe=error.details.get("applied") == "unknown")
        raise
    return _Outcome(found.uuid, False, api.bookmark(found.uuid), before, digest)


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
            _import(api, made, opened, folder, ())
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


def _import(api: D1Api, target: D1Facts, opened: OpenedSet, folder: str, first: t.Sequence[str]) -> None:
    path = os.path.join(folder, "import.sql")
    engine = FileEngine(opened.path, read_only=True)
    try:
        with open(path, "w", encoding="utf-8", newline="") as stream:
            stream.writelines(f"{statement};\n" for statement in portable_statements(engine, opened.schema, first))
            # A file that is known is not taken again, which would be wrong after what it made was replaced.
            stream.write(f"-- {secrets.token_hex(8)}\n")
    finally:
        engine.close()
    api.import_file(target.uuid, path, _md5(path))


def _prove(api: D1Api, made: D1Facts, opened: OpenedSet) -> None:
    engine = D1Engine(api, made.uuid, made.name)
    schema = read_schema(engine)
    different = different_tables(content_of(engine, schema), opened.content)
    different += [
        kind for kind in _ORDER_MATTERS_NOT if sorted(getattr(schema, kind)) != sorted(getattr(opened.schema, kind))
    ]
    if different:
        raise RecoveryError(
            ErrorKind.NOT_EQUAL,
            f"What D1 holds after the import differs in {', '.join(different[:10])}.",
            next_step="Report it with the schema of these tables.",
        )


def _into_file(opened: OpenedSet, request: D1RestoreRequest) -> None:
    path = request.path or ""
    if os.path.exists(path):
        raise RecoveryError(ErrorKind.TARGET_EXISTS, f"There is a file {path}.", next_step="Give another path.")
    if request.check_mode:
        return
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


def _md5(path: str) -> str:
    """What the import protocol names a file by."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in file_chunks(path):
        digest.update(chunk)
    return digest.hexdigest()
