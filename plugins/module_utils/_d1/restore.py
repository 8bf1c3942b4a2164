# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores a set into a new database of D1, or a new file, and proves it equal."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import typing as t
from dataclasses import dataclass

from .._core.clock import Timings
from .._core.digest import file_chunks
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._sets.audit import write_audit
from .._sets.manifest import Manifest
from .._sqlite.backup import OpenedSet, open_set
from .._sqlite.file import FileEngine
from .._sqlite.portable import is_empty, portable_statements
from .._sqlite.schema import read_schema
from .._sqlite.script import content_of
from .._store.base import ObjectStore
from .api import D1Api, D1Facts
from .engine import D1Engine

_ORDER_MATTERS_NOT = ("indexes", "triggers", "views")


@dataclass(frozen=True)
class D1RestoreRequest:
    """database is the target's name or id; one that is not there is made. Without an API path is a new file."""

    database: t.Optional[str] = None
    path: t.Optional[str] = None
    location: t.Optional[str] = None
    jurisdiction: t.Optional[str] = None
    parallel: int = 3
    spool_dir: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class D1RestoreResult:
    """A restored and proved database. created: it was made for this."""

    changed: bool
    set_id: str
    source: str
    database: str
    uuid: t.Optional[str]
    created: bool
    tables: int
    rows: int
    bookmark: t.Optional[str]
    not_covered: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


def restore_d1(
    store: ObjectStore, manifest: Manifest, api: t.Optional[D1Api], request: D1RestoreRequest
) -> D1RestoreResult:
    """Restore a set into a database that is new or empty. What was made for it goes again when that fails.

    Raises RecoveryError: target_exists for one with tables, damaged, not_equal, service_failed, and those of the store.
    """
    timings = Timings()
    target = str(request.database or request.path)
    try:
        with scratch_folder("lifeline-d1-", request.spool_dir) as folder:
            with timings.phase("fetch and prove"):
                opened = open_set(store, manifest, folder, parallel=request.parallel)
            if api is not None:
                uuid, created, bookmark = _into_d1(api, opened, request, folder, timings)
            else:
                uuid, created, bookmark = None, True, None
                _into_file(opened, request)
    except RecoveryError as error:
        if not request.check_mode:
            with contextlib.suppress(RecoveryError):
                details = {"set_id": manifest.set_id, "target": target, "error_kind": error.kind}
                write_audit(store, manifest.source, "restore", "failed", details)
        raise
    if not request.check_mode:
        write_audit(store, manifest.source, "restore", "succeeded", {"set_id": manifest.set_id, "target": target})
    tables = len(opened.schema.of_kind("table"))
    would = "Would restore" if request.check_mode else "Restored"
    return D1RestoreResult(
        changed=True,
        set_id=manifest.set_id,
        source=manifest.source,
        database=target,
        uuid=uuid,
        created=created,
        tables=tables,
        rows=opened.rows,
        bookmark=bookmark,
        not_covered=list(manifest.coverage.get("not_covered", ())),
        timings=timings.as_dict(),
        summary=f"{would} {tables} tables with {opened.rows} rows of set {manifest.set_id} to {target}, proved equal.",
    )


def _into_d1(
    api: D1Api, opened: OpenedSet, request: D1RestoreRequest, folder: str, timings: Timings
) -> t.Tuple[t.Optional[str], bool, t.Optional[str]]:
    found = api.find(request.database or "")
    if found is not None and not is_empty(D1Engine(api, found.uuid, found.name)):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"The D1 database {found.name} is not empty.",
            next_step="Restore into a database of another name, or delete it first with lifeline.recovery.d1_database.",
        )
    if request.check_mode:
        return found.uuid if found else None, found is None, None
    made = found or api.create(request.database or "", location=request.location, jurisdiction=request.jurisdiction)
    try:
        with timings.phase("import"):
            file = os.path.join(folder, "import.sql")
            _write(opened, file)
            api.import_file(made.uuid, file, _md5(file))
        with timings.phase("prove"):
            _prove(api, made, opened)
        return made.uuid, found is None, api.bookmark(made.uuid)
    except RecoveryError as error:
        if found is None:
            with contextlib.suppress(RecoveryError):
                api.delete(made.uuid)
                error.left = f"The database {made.name} that was made for it was deleted again."
        else:
            error.left = f"The database {made.name}, which was empty, may hold a part of it."
        raise


def _write(opened: OpenedSet, path: str) -> None:
    engine = FileEngine(opened.path, read_only=True)
    try:
        with open(path, "w", encoding="utf-8", newline="") as stream:
            stream.writelines(f"{statement};\n" for statement in portable_statements(engine, opened.schema))
    finally:
        engine.close()


def _prove(api: D1Api, made: D1Facts, opened: OpenedSet) -> None:
    engine = D1Engine(api, made.uuid, made.name)
    schema = read_schema(engine)
    found = content_of(engine, schema)
    different = sorted({item.table for item in set(found) ^ set(opened.content)})
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
