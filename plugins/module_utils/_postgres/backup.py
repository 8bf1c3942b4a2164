# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up one PostgreSQL database as a set: dump, hash, compress, store and fingerprint at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from .._core.clock import PhaseListener, Timings, compact_instant, format_instant, utc_now
from .._core.codec import require_codec
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .._core.sizes import readable_size
from .._core.version import VERSION
from .._sets.audit import audited
from .._sets.fingerprint import Fingerprint
from .._sets.identity import Identity, require_identity, require_source_kind
from .._sets.layout import check_source
from .._sets.manifest import DATABASE_ENGINE, Manifest
from .._sets.writer import SetWriter, StoredFile, sizes_of
from .._store.base import ObjectStore
from .catalog import ServerFacts
from .client import ClientPrograms, find_client
from .connection import ConnectionOptions, connection
from .dump import DumpedFile, Selection, dump_arguments, dump_roles, follow_dump, start_dump
from .extension_rows import ExtensionRows, rows_left_out
from .fingerprint import Scope, take_fingerprint
from .identity import identity_of
from .profiles import PROFILES, with_profile
from .properties import PROPERTIES_FILE, read_properties
from .snapshot import HeldSnapshot, held_snapshot, refuse_blind
from .structure import structure_of
from .toc import Toc, sequence_values


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and where to. lock_timeout is in seconds; jobs counts pg_dump's workers.

    accept_identity: the identity of a database that continues the sets of another one.
    on_toc is called with the table of contents of the dump, from the thread of the backup; on_manifest with the
    manifest of the committed set, which a host without the identity of an encrypted store cannot read again.
    """

    connection: ConnectionOptions
    source: str
    tier: str = "daily"
    jobs: int = 2
    codec: str = "zstd"
    level: t.Optional[int] = None
    selection: Selection = field(default_factory=Selection)
    profile: str = "none"
    fingerprint: str = "full"
    spool_dir: t.Optional[str] = None
    lock_timeout: float = 30
    parallel: int = 4
    accept_identity: t.Optional[str] = None
    check_mode: bool = False
    listener: t.Optional[PhaseListener] = None
    on_toc: t.Optional[t.Callable[[Toc], None]] = None
    on_manifest: t.Optional[t.Callable[[Manifest], None]] = None


@dataclass(frozen=True)
class BackupResult:
    """A committed set. Bytes: plain as dumped, stored as the set refers to, uploaded and reused by this run."""

    changed: bool
    set_id: str
    source: str
    tier: str
    recovery_point: str
    lsn: t.Optional[str]
    objects: int
    tables: int
    rows: t.Optional[int]
    bytes_plain: int
    bytes_stored: int
    bytes_uploaded: int
    bytes_reused: int
    throughput: float
    timings: t.Mapping[str, float]
    coverage: t.Mapping[str, t.Any]
    summary: str


def back_up(request: BackupRequest, store: ObjectStore) -> BackupResult:
    """Take one backup set of a database.

    Raises RecoveryError with a kind that names the reason; then no set was written, earlier sets are as
    they were, no lock stays and no child process runs.
    """
    check_source(request.source)
    timings = Timings(request.listener)
    with contextlib.ExitStack() as stack:
        # First of all, so that a server that lets nobody in is seen as a backup that failed.
        record = audited(store, request.source, "backup", {"tier": request.tier}, check_mode=request.check_mode)
        outcome = stack.enter_context(record)
        moved: t.List[Identity] = []
        with timings.phase("preflight"):
            require_codec(request.codec)
            held = stack.enter_context(
                held_snapshot(
                    request.connection,
                    request.source,
                    request.lock_timeout,
                    with_profile(request.selection, request.profile),
                    lambda facts: moved.extend(_moved_from(request, store, facts)),
                )
            )
            client = find_client(held.facts.major, request.connection.client_bin_dir)
            refuse_blind(held.tables, request.connection)
            spool = _spool(stack, request.spool_dir, held)
            run = _Run(request, store, held, client, spool, timings, moved)
        if request.check_mode:
            return run.predicted()
        result = run.complete()
        outcome.update(set_id=result.set_id, bytes=result.bytes_stored, seconds=timings.total())
        if moved:
            outcome["identity_changed"] = {"from": str(moved[0]), "to": request.accept_identity}
    return result


class _Run:
    """The state of one backup while its parts overlap."""

    def __init__(
        self,
        request: BackupRequest,
        store: ObjectStore,
        held: HeldSnapshot,
        client: ClientPrograms,
        spool: str,
        timings: Timings,
        moved: t.Sequence[Identity],
    ) -> None:
        self._request, self._store, self._held, self._client = request, store, held, client
        self._spool, self._timings, self._moved = spool, timings, moved
        self._stop = threading.Event()
        self._toc: t.Optional[Toc] = None
        self._fingerprint: t.Optional[t.Any] = None
        self._left_out: t.Optional[t.Any] = None
        self._roles_refused: t.Optional[str] = None
        self._created_at = utc_now()

    def complete(self) -> BackupResult:
        dump_folder = os.path.join(self._spool, "dump")
        request = self._request
        arguments = dump_arguments(
            self._client,
            with_profile(request.selection, request.profile),
            jobs=request.jobs,
            snapshot=self._held.snapshot,
            lock_timeout=request.lock_timeout,
            folder=dump_folder,
            encoding=self._held.facts.encoding,
        )
        with contextlib.ExitStack() as stack:
            side = stack.enter_context(ThreadPoolExecutor(max_workers=3))
            stack.callback(self._stop.set)
            with self._timings.phase("dump"):
                child = stack.enter_context(start_dump(arguments, request.connection))
                writer = stack.enter_context(
                    SetWriter(
                        self._store,
                        request.source,
                        request.tier,
                        codec=request.codec,
                        level=request.level,
                        parallel=request.parallel,
                        on_failure=child.kill,
                    )
                )
                roles = side.submit(self._dump_roles)
                try:
                    for file in follow_dump(child, dump_folder, lambda toc: self._on_toc(toc, side, child.kill)):
                        self._add(writer, dump_folder, file)
                except RecoveryError:
                    self._raise_first_cause(writer)
                    raise
            self._write_properties()
            writer.add(self._spool, PROPERTIES_FILE, "properties")
            if roles.result():
                writer.add(self._spool, "globals.sql", "globals")
            with self._timings.phase("wait for uploads"):
                stored = writer.finish()
            fingerprint = self._fingerprint.result() if self._fingerprint else None
            with self._timings.phase("commit"):
                manifest = writer.commit(self._manifest(stored, fingerprint))
            if request.on_manifest is not None:
                request.on_manifest(manifest)
        return self._result(manifest, stored)

    def predicted(self) -> BackupResult:
        """What check mode can know: the size of the tables, not what they compress to."""
        size = sum(table.size for table in self._held.tables)
        return BackupResult(
            changed=True,
            set_id=compact_instant(self._held.recovery_point),
            source=self._request.source,
            tier=self._request.tier,
            recovery_point=format_instant(self._held.recovery_point),
            lsn=self._held.lsn,
            objects=0,
            tables=len(self._held.tables),
            rows=None,
            bytes_plain=size,
            bytes_stored=0,
            bytes_uploaded=0,
            bytes_reused=0,
            throughput=0.0,
            timings=self._timings.as_dict(),
            coverage={},
            summary=f"Would back up {len(self._held.tables)} tables, about {readable_size(size)} in the database.",
        )

    def _on_toc(self, toc: Toc, side: ThreadPoolExecutor, kill: t.Callable[[], None]) -> None:
        # pg_dump holds its locks by now.
        self._held.require_visible_rows()
        self._toc = toc
        if self._request.on_toc is not None:
            self._request.on_toc(toc)
        self._left_out = side.submit(
            rows_left_out, self._request.connection, self._held.snapshot, scope_of(toc), self._request.lock_timeout
        )
        if self._request.fingerprint == "none":
            return
        self._fingerprint = side.submit(self._take_fingerprint, toc)
        self._fingerprint.add_done_callback(lambda future: kill() if future.exception() else None)

    def _take_fingerprint(self, toc: Toc) -> Fingerprint:
        with self._timings.phase("fingerprint"):
            return take_fingerprint(
                self._request.connection,
                self._request.fingerprint,
                jobs=self._request.jobs,
                scope=scope_of(toc),
                snapshot=self._held.snapshot,
                sequences=sequence_values(toc),
                structure=structure_of(toc),
                stop=self._stop,
                lock_timeout=self._request.lock_timeout,
            )

    def _dump_roles(self) -> bool:
        path = os.path.join(self._spool, "globals.sql")
        self._roles_refused = dump_roles(self._client, self._request.connection, path, self._held.facts.encoding)
        return self._roles_refused is None

    def _write_properties(self) -> None:
        options = self._request.connection
        with connection(options, application="lifeline.recovery backup") as conn:
            data = read_properties(conn, options.database).to_json()
        with open(os.path.join(self._spool, PROPERTIES_FILE), "wb") as stream:
            stream.write(data)

    def _add(self, writer: SetWriter, folder: str, file: DumpedFile) -> None:
        writer.add(folder, file.path, file.role, file.schema, file.table)

    def _raise_first_cause(self, writer: SetWriter) -> None:
        """pg_dump was killed because something else failed: raise that instead."""
        if self._fingerprint is not None and self._fingerprint.done():
            self._fingerprint.result()
        writer.raise_failure()

    def _manifest(self, stored: t.Sequence[StoredFile], fingerprint: t.Optional[Fingerprint]) -> Manifest:
        held, request = self._held, self._request
        entries = tuple(item.entry for item in stored)
        return Manifest(
            set_id=compact_instant(held.recovery_point),
            source=request.source,
            tier=request.tier,
            engine=DATABASE_ENGINE,
            recovery_point=format_instant(held.recovery_point),
            lsn=held.lsn,
            created_at=format_instant(self._created_at),
            finished_at=format_instant(utc_now()),
            tool_version=VERSION,
            server=self._server(),
            client={"pg_dump": self._client.version},
            objects=entries,
            fingerprint=fingerprint,
            coverage=self._coverage(),
            sizes=sizes_of(stored),
            timings=self._timings.as_dict(),
        )

    def _server(self) -> t.Dict[str, t.Any]:
        """The facts of the server, and what the source was before a change that the operator accepted."""
        identity = identity_of(self._held.facts, self._request.connection)
        known = {"address": identity.address} if identity.address else {}
        before = {"identity_before": str(self._moved[0])} if self._moved else {}
        return {**asdict(self._held.facts), **known, **before}

    def _coverage(self) -> t.Dict[str, t.Any]:
        toc = self._required_toc()
        missing = list(PROFILES[self._request.profile].not_covered)
        left_out = [str(rows) for rows in self._rows_left_out()]
        missing += left_out
        if self._roles_refused is not None:
            missing.append(f"roles and memberships ({self._roles_refused})")
        return {
            "schemas": sorted({entry.schema for entry in toc.of_kind("TABLE") if entry.schema}),
            "tables": len(toc.of_kind("TABLE DATA")),
            "functions": len(toc.of_kind("FUNCTION", "PROCEDURE")),
            "triggers": len(toc.of_kind("TRIGGER")),
            "policies": len(toc.of_kind("POLICY")),
            "grants": len(toc.of_kind("ACL", "DEFAULT ACL")),
            "extensions": sorted(entry.tag for entry in toc.of_kind("EXTENSION")),
            "roles": self._roles_refused is None,
            "profile": self._request.profile,
            "excluded": asdict(with_profile(self._request.selection, self._request.profile)),
            "not_covered": missing,
            "notes": [*self._held.notes, *(f"Not in the set: {rows}." for rows in left_out)],
        }

    def _rows_left_out(self) -> t.List[ExtensionRows]:
        return self._left_out.result() if self._left_out else []

    def _required_toc(self) -> Toc:
        if self._toc is None:
            raise RecoveryError(ErrorKind.DUMP_FAILED, "pg_dump wrote no table of contents.")
        return self._toc

    def _result(self, manifest: Manifest, stored: t.Sequence[StoredFile]) -> BackupResult:
        timings = self._timings.as_dict()
        size = manifest.sizes
        rows = manifest.fingerprint.rows if manifest.fingerprint else None
        tables = int(manifest.coverage["tables"])
        return BackupResult(
            changed=True,
            set_id=manifest.set_id,
            source=manifest.source,
            tier=manifest.tier,
            recovery_point=manifest.recovery_point,
            lsn=manifest.lsn,
            objects=len(stored),
            tables=tables,
            rows=rows,
            bytes_plain=size["plain"],
            bytes_stored=size["stored"],
            bytes_uploaded=size["uploaded"],
            bytes_reused=size["reused"],
            throughput=round(size["plain"] / max(timings["total"], 0.001), 1),
            timings=timings,
            coverage=manifest.coverage,
            summary=(
                f"Set {manifest.set_id} of {manifest.source} ({manifest.tier}): {tables} tables, "
                f"{'not counted' if rows is None else rows} rows, {readable_size(size['plain'])} in "
                f"{timings['total']:.1f} s; {readable_size(size['uploaded'])} uploaded, "
                f"{readable_size(size['reused'])} reused{self._warning()}."
            ),
        )

    def _warning(self) -> str:
        left_out = self._rows_left_out()
        return f"; NOT in the set: {'; '.join(map(str, left_out[:5]))}" if left_out else ""


def scope_of(toc: Toc) -> Scope:
    """What a dump with this table of contents holds."""
    return Scope(
        tables=frozenset((entry.schema, entry.tag) for entry in toc.of_kind("TABLE DATA")),
        views=frozenset((entry.schema, entry.tag) for entry in toc.of_kind("MATERIALIZED VIEW")),
        large_objects=bool(toc.of_kind("BLOBS")),
    )


def _moved_from(request: BackupRequest, store: ObjectStore, facts: ServerFacts) -> t.List[Identity]:
    """The former identity of the source, when its change was accepted. An undo set is of whatever is replaced."""
    if request.tier == "undo":
        return []
    known = require_source_kind(store, request.source, DATABASE_ENGINE)
    current = identity_of(facts, request.connection)
    former = require_identity(request.source, known, current, request.accept_identity)
    return [former] if former else []


def _spool(stack: contextlib.ExitStack, parent: t.Optional[str], held: HeldSnapshot) -> str:
    """A private folder for the dump, with room for at least the largest table; removed at the end."""
    spool = stack.enter_context(scratch_folder("lifeline-spool-", parent))
    largest = max((table.size for table in held.tables), default=0)
    free = shutil.disk_usage(spool).free
    if free < largest:
        raise RecoveryError(
            ErrorKind.SPOOL_FULL,
            f"The spool folder {os.path.dirname(spool)} has {readable_size(free)} free; "
            f"the largest table has {readable_size(largest)}.",
            left="No backup set was written; earlier sets are as they were.",
            next_step="Set spool_dir to a file system with more room.",
        )
    return spool
