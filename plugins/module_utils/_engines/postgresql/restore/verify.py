# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that a set in the store can be restored: every object read, the archive decoded, rows counted."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass

from ...._core.clock import Timings, format_instant, utc_now
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.parallel import for_each
from ...._core.process import Child, scratch_folder
from ...._repository.audit import write_audit
from ...._repository.fetch import FetchedObject, fetch_objects, read_object
from ...._repository.manifest import (
    BUCKET_ENGINE,
    DATABASE_ENGINE,
    ROWS_ENGINE,
    SQLITE_ENGINE,
    SQLITE_ROWS_ENGINE,
    Manifest,
    ObjectEntry,
)
from ...._repository.references import check_presence, check_stored, distinct_objects, require_present
from ...._repository.verification import Verification, record_verification
from ...._store.base import ObjectStore
from ...sqlite.opened import open_set
from ..archive.archive_contents import require_restorable
from ..archive.archive_files import require_own_files
from ..archive.dump import TOC_NAME, read_toc
from ..archive.toc import parse_toc
from ..server.client import ClientPrograms, find_client

_SQLITE_ENGINES = (SQLITE_ENGINE, SQLITE_ROWS_ENGINE)


@dataclass(frozen=True)
class VerifyRequest:
    """depth: presence asks the store for each object; digests reads them; decode also runs pg_restore.

    complete is false if the manifest was narrowed to one table, which is no archive that could be restored.
    """

    depth: str = "decode"
    spool_dir: t.Optional[str] = None
    client_bin_dir: t.Optional[str] = None
    parallel: int = 4
    record: bool = True
    complete: bool = True


@dataclass(frozen=True)
class VerifyResult:
    """A set that equals its manifest, to the requested depth. bytes_read counts stored bytes."""

    changed: bool
    set_id: str
    source: str
    tier: str
    depth: str
    status: str
    objects: int
    bytes_read: int
    rows: t.Optional[int]
    tables: int
    timings: t.Mapping[str, float]
    summary: str


def verify_set(store: ObjectStore, manifest: Manifest, request: VerifyRequest) -> VerifyResult:
    """Verify a set and, with record, note the outcome in the store.

    Raises RecoveryError: damaged or object_missing if the set differs from its manifest (recorded too),
    client_missing or client_too_old if this host cannot decode the set.
    """
    timings = Timings()
    try:
        seen = _verify(store, manifest, request, timings)
    except RecoveryError as error:
        if request.record and error.kind in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
            _record(store, manifest, request.depth, "failed", error.damaged)
        raise
    if request.record:
        _record(store, manifest, request.depth, "passed", ())
    return VerifyResult(
        changed=request.record,
        set_id=manifest.set_id,
        source=manifest.source,
        tier=manifest.tier,
        depth=request.depth,
        status="passed",
        objects=seen.objects,
        bytes_read=seen.size,
        rows=seen.rows,
        tables=sum(1 for entry in manifest.objects if entry.role in ("data", "table")),
        timings=timings.as_dict(),
        summary=(
            f"Set {manifest.set_id} of {manifest.source}: "
            f"{seen.objects} objects are as recorded ({request.depth}{', as stored' if seen.sealed else ''})."
        ),
    )


def decode_archive(client: ClientPrograms, folder: str) -> None:
    """Have pg_restore read the whole archive in folder. Raises RecoveryError(damaged) when it cannot."""
    require_own_files(folder)
    arguments = [client.path("pg_restore"), "--exit-on-error", "--file=/dev/null", folder]
    with Child(arguments, {**os.environ, "LC_ALL": "C"}) as child:
        complaints = list(child.lines())
        if child.wait() != 0:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"pg_restore cannot read the archive: {' '.join(complaints[-3:])}.",
                next_step="Use another set.",
            )


def check_rows(manifest: Manifest, fetched: t.Iterable[FetchedObject]) -> None:
    """Compare the rows in the archive with the fingerprint. Raises RecoveryError(damaged)."""
    if manifest.fingerprint is None:
        return
    expected = {(table.schema, table.name): table.rows for table in manifest.fingerprint.tables}
    seen = {(item.entry.schema, item.entry.table): item for item in fetched if item.rows is not None}
    for name, rows in expected.items():
        item = seen.get(name)
        if item is None or item.rows != rows:
            counted = "no data" if item is None else f"{item.rows} rows"
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"The set {manifest.set_id} holds {counted} of table {'.'.join(name)}, "
                f"which had {rows} at its recovery point.",
                next_step="Use another set; this one lost rows before it was stored.",
                details={"damaged": [] if item is None else [item.entry.key]},
            )


@dataclass(frozen=True)
class _Seen:
    """The objects that a verification read; sealed: compared in their stored form, because there is no identity."""

    objects: int
    size: int = 0
    rows: t.Optional[int] = None
    sealed: bool = False


def _verify(store: ObjectStore, manifest: Manifest, request: VerifyRequest, timings: Timings) -> _Seen:
    if manifest.engine == BUCKET_ENGINE:
        return _verify_bucket(store, manifest, request, timings)
    with timings.phase("presence"):
        for entry in _distinct(manifest):
            check_presence(store, entry)
    if request.depth == "presence":
        return _Seen(len(manifest.objects))
    # A set of rows has no archive to decode: its COPY lines are counted with the digests.
    if request.depth == "digests" or manifest.engine == ROWS_ENGINE or _is_sealed_sqlite(store, manifest):
        with timings.phase("digests"):
            fetched = fetch_objects(store, manifest.objects, None, parallel=request.parallel)
        check_rows(manifest, fetched)
        sealed = bool(manifest.recipients) and not store.sealing.can_read
        if manifest.engine == DATABASE_ENGINE and request.complete and not sealed:
            require_restorable(manifest, parse_toc(read_object(store, manifest.object_at(TOC_NAME))))
        return _seen(fetched, sealed=sealed)
    if manifest.engine in _SQLITE_ENGINES:
        with timings.phase("decode"), scratch_folder("lifeline-verify-", request.spool_dir) as folder:
            rows = open_set(store, manifest, folder, parallel=request.parallel).rows
        return _Seen(len(manifest.objects), manifest.stored_bytes, rows)
    client = find_client(int(manifest.server["version_num"]) // 10000, request.client_bin_dir)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("lifeline-verify-", request.spool_dir))
        with timings.phase("digests"):
            fetched = fetch_objects(store, manifest.objects, folder, parallel=request.parallel)
        check_rows(manifest, fetched)
        with timings.phase("decode"):
            require_own_files(folder)
            require_restorable(manifest, read_toc(folder))
            decode_archive(client, folder)
    return _seen(fetched, sealed=False)


def _is_sealed_sqlite(store: ObjectStore, manifest: Manifest) -> bool:
    """Without an identity nothing can be loaded; stored digests are all there is to compare."""
    return manifest.engine in _SQLITE_ENGINES and bool(manifest.recipients) and not store.sealing.can_read


def _seen(fetched: t.Sequence[FetchedObject], *, sealed: bool) -> _Seen:
    rows = None if sealed else sum(item.rows or 0 for item in fetched)
    return _Seen(len(fetched), sum(item.entry.stored_size for item in fetched), rows, sealed)


def _verify_bucket(store: ObjectStore, manifest: Manifest, request: VerifyRequest, timings: Timings) -> _Seen:
    """The objects of a bucket are many, so that their presence is read from a listing."""
    with timings.phase("presence"):
        objects = require_present(store, manifest)
    if request.depth == "presence":
        return _Seen(objects)
    with timings.phase("digests"):
        entries = distinct_objects(store, manifest, plain=store.sealing.can_read)
        size = sum(for_each(entries, lambda entry: check_stored(store, entry), parallel=request.parallel))
    return _Seen(objects, size, None, bool(manifest.recipients) and not store.sealing.can_read)


def _distinct(manifest: Manifest) -> t.List[ObjectEntry]:
    return list({entry.key: entry for entry in manifest.objects}.values())


def _record(store: ObjectStore, manifest: Manifest, depth: str, status: str, damaged: t.Tuple[str, ...]) -> None:
    now = format_instant(utc_now())
    record_verification(
        store, manifest.source, manifest.tier, Verification(manifest.set_id, now, depth, status, damaged)
    )
    write_audit(
        store, manifest.source, "verify", status, {"set_id": manifest.set_id, "tier": manifest.tier, "depth": depth}
    )
