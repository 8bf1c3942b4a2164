# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rebuilds lost rows of a table of media from a scan of its bucket."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field, replace

from .._core.digest import Tally, file_chunks
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY
from .._core.parallel import for_each
from .._core.process import scratch_folder
from .._engines.postgresql.repair.constants import constant, invalid
from .._engines.postgresql.repair.insertion import Given, RowsInsertion
from .._engines.postgresql.repair.rows_repair import RepairRequest
from .._engines.postgresql.restore_rows.lines import copy_field
from .._engines.postgresql.server.equality import equal
from .._engines.postgresql.server.landing import CopySource, land_rows, make_table
from .._repository.change import ChangePlan
from .._store.base import ObjectStore
from .ledger import Ledger
from .scan import MediaRequest, Scan
from .table import find_media

_CANDIDATES = 'pg_temp."lifeline objects"'
_NULL = b"\\N"
#: Tables that only the service itself may write: rows without bytes, and bytes without rows, cannot be repaired there.
_OF_SERVICE = ("storage",)


@dataclass(frozen=True)
class MediaRebuildRequest:
    """values: column to value of the new rows, for columns that do not describe the file."""

    media: MediaRequest
    repair: RepairRequest = field(metadata=FAMILY)
    values: t.Mapping[str, t.Any] = field(default_factory=dict)


class MediaRebuild(RowsInsertion):
    """Inserts a row for each object that has none and is older than the grace. Existing rows stay unchanged."""

    operation = "rebuild_media"
    changed_state = "rebuilt"

    def __init__(self, request: MediaRebuildRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.repair, store)
        self._request, self._files = request, request.media.files
        self.details["bucket"] = self._files.location
        self._reads = "digest" in request.media.compare

    def plan(self) -> ChangePlan:
        folder = self.resources.enter_context(scratch_folder("lifeline-media-", self._request.media.spool_dir))
        self._lines = os.path.join(folder, "objects.copy")
        with self.timings.phase("scan"):
            self._scan_bucket(folder)
        return super().plan()

    def _scan_bucket(self, folder: str) -> None:
        """Write a line of each object without a row, with what its row will state."""
        media = self._request.media
        with contextlib.closing(Ledger(folder)) as ledger, open(self._lines, "wb") as stream:
            scan = Scan(replace(media, compare=()), ledger)
            scan.run()
            if scan.bucket_missing:
                raise RecoveryError(
                    ErrorKind.TARGET_MISSING,
                    f"The bucket {self._files.location} does not exist, so that no row can be rebuilt from it.",
                    next_step="Restore the bucket first, or correct `files`.",
                )
            for line in for_each(scan.orphans(), self._line, parallel=media.parallel):
                stream.write(line)

    def _line(self, listed: t.Tuple[str, int, str]) -> bytes:
        """The COPY line of an object: path, size, type, digest; empty for one that was deleted."""
        key, size, _etag = listed
        info = self._files.head(key, size=size)
        if info is None:
            return b""
        tally = Tally()
        if self._reads:
            for chunk in self._files.open(key, size=size).chunks:
                tally.add(chunk)
        kind = info.headers.content_type if info.headers else None
        path = f"{self._request.media.media.path_prefix}{key}"
        fields = [path, str(info.size), kind, tally.sha256 if self._reads else None]
        return b"\t".join(_NULL if text is None else copy_field(text) for text in fields) + b"\n"

    def read_tables(self) -> t.Mapping[str, str]:
        return {}

    def given(self) -> t.Sequence[Given]:
        request = self._request
        self._media = find_media(self.conn, request.media.media, request.media.bucket)
        self._require_own_table()
        described = {name: self._media.columns.get(name) for name in ("path", "size", "type", "digest")}
        landed = [(column.name if column else f"no {name}", column) for name, column in described.items()]
        shape = (f"l.{column.quoted}" if column else f'NULL::text AS "no {name}"' for name, column in described.items())
        make_table(self.session, _CANDIDATES, f"SELECT {', '.join(shape)} FROM {self.target.source} l")
        land_rows(self.session, self.target.source, _CANDIDATES, landed, CopySource(file_chunks(self._lines)))
        given = [Given(column, f"c.{column.quoted}", column.compared) for column in described.values() if column]
        if not self._reads:
            given = [one for one in given if one.column is not described["digest"]]
        values = dict(request.values)
        if "bucket" in self._media.columns:
            values.setdefault(self._media.columns["bucket"].name, request.media.bucket)
        for name, value in values.items():
            column = self.column("values", name)
            if column in [one.column for one in given]:
                raise invalid(f"`values` must not have the column {name}, which describes the object.")
            given.append(Given(column, constant(self.session, column, value), column.compared))
        return given

    def missing(self, given: t.Sequence[Given]) -> str:
        path = self._media.columns["path"]
        same = equal(f"l.{path.quoted}", path.compared, f"c.{path.quoted}", path.compared)
        columns = ", ".join(f"{one.expression} AS {one.column.quoted}" for one in given)
        return (
            f"SELECT {columns} FROM {_CANDIDATES} c WHERE NOT EXISTS "
            f"(SELECT FROM {self.target.source} l WHERE {same} AND {self._media.of_bucket('l')})"
        )

    def filling(self, name: str) -> str:
        digest = self._media.columns.get("digest")
        if digest is not None and digest.name == name:
            raise invalid(
                f"The column {name} of {self.target.name} must not be null.",
                "Add digest to `compare`: each new object is then read for its digest.",
            )
        return super().filling(name)

    def nothing(self) -> str:
        return f"Each object of {self._files.location} that is older than the grace has a row in {self.target.name}."

    def _require_own_table(self) -> None:
        if self.target.name.schema in _OF_SERVICE:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"Rows of {self.target.name} are made by the storage service, not by SQL.",
                next_step="Set `media.table` to a table of the application; upload files through the service.",
            )
