# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up one PostgreSQL database as a set: dump, hash, compress, store and fingerprint in parallel."""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
from dataclasses import asdict, dataclass, field

from ...._core.errors import ErrorKind, RecoveryError, guaranteed
from ...._core.notices import note
from ...._core.options import FAMILY, option
from ...._core.sizes import readable_size
from ...._repository.commit import SetFacts
from ...._repository.engine import BackupRequest, BackupResult, BackupRun
from ...._repository.layout import TIERS
from ...._repository.manifest import DATABASE_ENGINE, Manifest
from ...._repository.writer import SetWriter
from ..archive.profiles import with_profile
from ..archive.selection import Selection
from ..server.catalog import Table
from ..server.client import ClientPrograms, find_client
from ..server.connection import ConnectionOptions
from ..server.identity import identity_of
from .snapshot import HeldSnapshot, held_snapshot, refuse_blind
from .snapshot_dump import SnapshotDump


@dataclass(frozen=True)
class PostgresBackupRequest(BackupRequest):
    """A backup of a database. lock_timeout is in seconds; jobs is the number of pg_dump's workers."""

    tier: str = field(default="daily", metadata=option(choices=TIERS))
    level: t.Optional[int] = field(default=None, metadata=option("compression_level"))
    accept_identity: t.Optional[str] = None
    jobs: int = 2
    selection: Selection = field(default_factory=Selection, metadata=FAMILY)
    profile: str = field(default="none", metadata=option(choices=("none", "supabase")))
    fingerprint: t.Literal["full", "counts", "none"] = "full"
    lock_timeout: float = field(default=30, metadata=option(type=int))


@dataclass(frozen=True)
class PostgresBackupResult(BackupResult):
    """objects counts the files of the set. bytes_reused: what the tier held already. rows: None if not counted."""

    lsn: t.Optional[str]
    objects: int
    tables: int
    rows: t.Optional[int]
    bytes_stored: int
    bytes_reused: int
    throughput: float
    coverage: t.Mapping[str, t.Any]

    def audit_details(self) -> t.Dict[str, t.Any]:
        return {**super().audit_details(), "bytes": self.bytes_stored}


class PostgresBackup:
    """The engine of PostgreSQL. dumped is known when dump has ended."""

    kind = DATABASE_ENGINE

    def __init__(self, connection: ConnectionOptions, request: PostgresBackupRequest) -> None:
        self.request = request
        self._connection = connection
        self._selection = with_profile(request.selection, request.profile)
        self._held: t.Optional[HeldSnapshot] = None
        self._client: t.Optional[ClientPrograms] = None
        self.dumped: t.Optional[SnapshotDump] = None

    @contextlib.contextmanager
    def prepared(self, run: BackupRun) -> t.Iterator[None]:
        options, request = self._connection, self.request
        with held_snapshot(
            options,
            request.source,
            request.lock_timeout,
            self._selection,
            request.selection,
            lambda facts: run.require_source(identity_of(facts, options)),
        ) as held:
            self._held = held
            self._client = find_client(held.facts.major, options.client_bin_dir)
            refuse_blind(held.tables, options)
            _require_space(run.folder, held.tables)
            yield

    def predicted(self, run: BackupRun) -> PostgresBackupResult:
        """The prediction of check mode: the size of the tables, uncompressed."""
        held = guaranteed(self._held)
        size = sum(table.size for table in held.tables)
        return PostgresBackupResult(
            **run.predicted(size, held.recovery_point),
            lsn=held.lsn,
            objects=0,
            tables=len(held.tables),
            rows=None,
            bytes_stored=0,
            bytes_reused=0,
            throughput=0.0,
            coverage={},
            summary=f"Would back up {len(held.tables)} tables, about {readable_size(size)} in the database.",
        )

    def dump(self, run: BackupRun, writer: SetWriter) -> SetFacts:
        held, client, request = guaranteed(self._held), guaranteed(self._client), self.request
        self.dumped = SnapshotDump(
            self._connection,
            held,
            client,
            run.folder,
            profile=request.profile,
            level=request.fingerprint,
            jobs=request.jobs,
            lock_timeout=request.lock_timeout,
            timings=run.timings,
            progress=run.progress,
        )
        self.dumped.run(writer)
        address = identity_of(held.facts, self._connection).address
        return SetFacts(
            engine=self.kind,
            recovery_point=held.recovery_point,
            began=run.began,
            server={
                **asdict(held.facts),
                **({"address": address} if address else {}),
                **({"identity_before": str(run.former)} if run.former else {}),
            },
            coverage=self.dumped.coverage(),
            lsn=held.lsn,
            client={"pg_dump": client.version},
            fingerprint=self.dumped.fingerprint,
        )

    def result(self, run: BackupRun, manifest: Manifest) -> PostgresBackupResult:
        for text in manifest.coverage["notes"]:
            note(text)
        common = run.committed(manifest)
        sizes, seconds = manifest.sizes, common["timings"]["total"]
        rows = manifest.fingerprint.rows if manifest.fingerprint else None
        tables = int(manifest.coverage["tables"])
        left_out = guaranteed(self.dumped).left_out
        missing = f"; NOT in the set: {'; '.join(map(str, left_out[:5]))}" if left_out else ""
        return PostgresBackupResult(
            **common,
            lsn=manifest.lsn,
            objects=len(manifest.objects),
            tables=tables,
            rows=rows,
            bytes_stored=sizes["stored"],
            bytes_reused=sizes["reused"],
            throughput=round(sizes["plain"] / max(seconds, 0.001), 1),
            coverage=manifest.coverage,
            summary=(
                f"Set {manifest.set_id} of {manifest.source} ({manifest.tier}): {tables} tables, "
                f"{'not counted' if rows is None else rows} rows, {readable_size(sizes['plain'])} in "
                f"{seconds:.1f} s; {readable_size(sizes['uploaded'])} uploaded, "
                f"{readable_size(sizes['reused'])} reused{missing}."
            ),
        )


def _require_space(folder: str, tables: t.Sequence[Table]) -> None:
    """Raise RecoveryError(spool_full) unless the folder has space for at least the largest table."""
    largest = max((table.size for table in tables), default=0)
    free = shutil.disk_usage(folder).free
    if free < largest:
        raise RecoveryError(
            ErrorKind.SPOOL_FULL,
            f"The spool folder {os.path.dirname(folder)} has {readable_size(free)} free; "
            f"the largest table has {readable_size(largest)}.",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Set spool_dir to a file system with more free space.",
        )
