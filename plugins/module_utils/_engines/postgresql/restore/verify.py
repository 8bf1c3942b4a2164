# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verification of a PostgreSQL set: rows counted, the contents of the archive checked, the archive decoded."""

from __future__ import annotations

import os
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.process import Child, scratch_folder
from ...._repository.fetch import FetchedObject, fetch_objects, read_object
from ...._repository.manifest import Manifest
from ...._repository.verifier import SetVerifier, Verified, VerifyRun
from ..archive.archive_contents import require_restorable
from ..archive.archive_files import require_own_files
from ..archive.dump import TOC_NAME, read_toc
from ..archive.toc import parse_toc
from ..server.client import ClientPrograms, find_client


class RowsVerifier(SetVerifier):
    """A set of rows has no archive to decode; its COPY lines are counted while the digests are compared."""

    def digests(self, run: VerifyRun) -> Verified:
        return self._fetched(run, None)

    def _fetched(self, run: VerifyRun, folder: t.Optional[str]) -> Verified:
        manifest = run.manifest
        with run.timings.phase("digests"):
            fetched = fetch_objects(run.store, manifest.objects, folder, parallel=run.request.parallel)
        _require_rows(manifest, fetched)
        rows = None if run.is_sealed else sum(item.rows or 0 for item in fetched)
        return Verified(len(fetched), manifest.stored_bytes, rows)


class DatabaseVerifier(RowsVerifier):
    def digests(self, run: VerifyRun) -> Verified:
        verified = super().digests(run)
        if run.request.complete and not run.is_sealed:
            require_restorable(run.manifest, parse_toc(read_object(run.store, run.manifest.object_at(TOC_NAME))))
        return verified

    def decode(self, run: VerifyRun) -> Verified:
        manifest, request = run.manifest, run.request
        client = find_client(int(manifest.server["version_num"]) // 10000, request.client_bin_dir)
        with scratch_folder("lifeline-verify-", request.spool_dir) as folder:
            verified = self._fetched(run, folder)
            with run.timings.phase("decode"):
                require_own_files(folder)
                require_restorable(manifest, read_toc(folder))
                _decode_archive(client, folder)
        return verified


def _decode_archive(client: ClientPrograms, folder: str) -> None:
    arguments = [client.path("pg_restore"), "--exit-on-error", "--file=/dev/null", folder]
    with Child(arguments, {**os.environ, "LC_ALL": "C"}) as child:
        messages = list(child.lines())
        if child.wait() != 0:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"pg_restore cannot read the archive: {' '.join(messages[-3:])}.",
                next_step="Use another set.",
            )


def _require_rows(manifest: Manifest, fetched: t.Iterable[FetchedObject]) -> None:
    """Compare the rows in the archive with the fingerprint."""
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
                next_step="Use another set; this set lost rows before it was stored.",
                damaged=[] if item is None else [item.entry.key],
            )
