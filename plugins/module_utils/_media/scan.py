# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the table of media with its bucket, file by file."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass, field
from datetime import timedelta

from .._core.clock import format_instant
from .._core.digest import bare_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, SUBOPTIONS, FilePath, option
from .._core.parallel import for_each
from .._engines.postgresql.server.connection import ConnectionOptions
from .._store.base import ObjectInfo, ObjectStore
from .._store.s3 import S3Store
from .ledger import DAMAGED, MISSING, Ledger, Pair
from .table import MediaOptions, MediaRow, media_rows

Property = t.Literal["size", "type", "digest"]
#: The digest functions by the number of hexadecimal digits.
_HASHES = {32: "md5", 64: "sha256"}


@dataclass(frozen=True)
class MediaRequest:
    """The table and the bucket. bucket: the value of the column that names the bucket of a row.

    compare: the properties of files that are compared with those of rows. grace: seconds within which an object may
    be without a row, because its upload has not ended.
    """

    connection: ConnectionOptions
    files: ObjectStore = field(metadata=INTERNAL)
    media: MediaOptions = field(metadata={**SUBOPTIONS, **option(default={})})
    bucket: str = ""
    compare: t.Tuple[Property, ...] = ("size", "type")
    grace: float = field(default=3600, metadata=option("grace_seconds"))
    parallel: int = field(default=16, metadata=option("parallel_files"))
    run_as: t.Optional[str] = field(default=None, metadata=INTERNAL)
    spool_dir: t.Optional[FilePath] = field(default=None, metadata=INTERNAL)


class Scan:
    """The comparison. Findings are in the ledger.

    Raises RecoveryError: those of media_rows and of the bucket.
    """

    def __init__(self, request: MediaRequest, ledger: Ledger) -> None:
        self._request, self._files, self.ledger = request, request.files, ledger
        self.bucket_missing = False
        #: Objects that were written until this instant are orphaned without a row.
        self.settled = ""
        #: Rows whose digest has no known form.
        self.unknown_digests = 0

    def run(self) -> None:
        request, ledger = self._request, self.ledger
        if request.grace < 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`grace_seconds` must be at least 0, got {request.grace:g}."
            )
        # Rows first: a file that is uploaded after them is younger than the grace.
        rows = media_rows(request.connection, request.media, request.bucket, request.run_as)
        ledger.add_rows(rows)
        self.bucket_missing = isinstance(self._files, S3Store) and not self._files.bucket.exists()
        if self.bucket_missing:
            self.settled = "~"
        else:
            self._files.require_there()
            self.settled = format_instant(self._files.now() - timedelta(seconds=request.grace))
            ledger.add_objects(self._files.list())
        for row, kind, reason in for_each(ledger.pairs(), self._judged, parallel=request.parallel):
            if kind:
                ledger.add_finding(row, kind, reason)
        ledger.pair_names()

    def orphans(self) -> t.Iterator[t.Tuple[str, int, str]]:
        """Key, size and ETag of objects without a row, older than the grace."""
        return self.ledger.unclaimed(self.settled)

    def judge(self, row: MediaRow) -> t.Tuple[str, str]:
        """The class of a finding and the reason, by requests for the object; empty for a file that is as stated."""
        return self._compared(Pair(row, None, None))[1:]

    def _judged(self, pair: Pair) -> t.Tuple[MediaRow, str, str]:
        return (pair.row, MISSING, "the bucket is missing") if self.bucket_missing else self._compared(pair)

    def _compared(self, pair: Pair) -> t.Tuple[MediaRow, str, str]:
        row = pair.row
        refused = "the key is empty" if not row.key else self._files.refuses(row.key, row.size or 0)
        if refused:
            return row, MISSING, refused
        info: t.Optional[ObjectInfo] = None
        size, etag = pair.size, pair.etag
        needs_head = size is None or ("type" in self._request.compare and row.type is not None)
        if needs_head:
            # A listing may be stale, so that a missing object is requested.
            info = self._files.head(row.key, size=size)
            if info is None:
                return row, MISSING, ""
            size, etag = info.size, info.etag
        problem = self._difference(row, size, etag, info)
        return row, DAMAGED if problem else "", problem

    def _difference(
        self, row: MediaRow, size: t.Optional[int], etag: t.Optional[str], info: t.Optional[ObjectInfo]
    ) -> str:
        compare = self._request.compare
        if "size" in compare and row.size is not None and row.size != size:
            return f"the object has {size} bytes, the row {row.size}"
        kind = info.headers.content_type if info is not None and info.headers is not None else None
        if "type" in compare and row.type is not None and kind is not None and not same_type(row.type, kind):
            return f"the object has the type {kind}, the row {row.type}"
        if "digest" in compare and row.digest is not None and not self._has_digest(row, etag):
            return "the object has another digest than the row"
        return ""

    def _has_digest(self, row: MediaRow, etag: t.Optional[str]) -> bool:
        name, digest = parse_digest(str(row.digest))
        if not name:
            self.unknown_digests += 1
            return True
        if name == "md5" and bare_etag(etag).lower() == digest:
            return True
        tally = hashlib.new(name, usedforsecurity=False)
        try:
            for chunk in self._files.open(row.key).chunks:
                tally.update(chunk)
        except RecoveryError as error:
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return False
        return tally.hexdigest() == digest


def parse_digest(text: str) -> t.Tuple[str, str]:
    """The hash function and the hexadecimal digest of C(sha256:HEX), C(md5:HEX) or C(HEX); empty for another text."""
    digest = text.strip().strip('"').lower()
    for name in _HASHES.values():
        digest = digest[len(name) + 1 :] if digest.startswith((f"{name}:", f"{name}-")) else digest
    known = _HASHES.get(len(digest), "") if set(digest) <= set("0123456789abcdef") else ""
    return known, digest if known else ""


def same_type(stated: str, found: str) -> bool:
    """Whether two content types are one. Parameters such as a charset count only if both have some."""
    one, other = ([part.strip().lower() for part in kind.split(";") if part.strip()] for kind in (stated, found))
    return one == other if len(one) > 1 and len(other) > 1 else one[:1] == other[:1]
