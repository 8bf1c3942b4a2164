# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up the files of a bucket as a set: only what changed is read, only what is new is stored."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from dataclasses import dataclass, field

from ..._core.clock import format_instant
from ..._core.errors import guaranteed
from ..._core.name_index import NameIndex
from ..._core.options import INTERNAL, FilePath, option
from ..._core.parallel import for_each
from ..._core.sizes import readable_size
from ..._repository.commit import SetFacts
from ..._repository.content import ContentStore
from ..._repository.engine import BackupRequest, BackupResult, BackupRun
from ..._repository.layout import object_key
from ..._repository.manifest import BUCKET_ENGINE, Manifest
from ..._repository.packing import where_smaller
from ..._repository.writer import SetWriter
from ..._store.base import ARCHIVE_CLASSES, TIERING_CLASS, ObjectStore
from ..._store.s3 import S3Store
from .file_reader import FileReader, Listed, listing_errors
from .gaps import Gaps
from .inventory import KEPT_HEADERS, Catalogue, FileEntry, headers_of, parse_line
from .inventory_parts import add_inventory
from .listing import ListedPresence, listed_files, take_previous


@dataclass(frozen=True)
class BucketBackupRequest(BackupRequest):
    """A backup of a bucket. parallel counts files.

    prefixes limits the files to some prefixes, keys to some names. archived: fail, or skip to leave out the files that
    lie in an archive storage class and cannot be read. state_dir keeps the last inventory of an encrypted source on
    this host, which cannot decrypt the inventory in the store.
    """

    parallel_option: t.ClassVar[str] = "parallel_files"

    parallel: int = field(default=16, metadata=option("parallel_files"))
    prefixes: t.Tuple[str, ...] = ()
    keys: t.Optional[t.Sequence[str]] = field(default=None, metadata=INTERNAL)
    archived: t.Literal["fail", "skip"] = "fail"
    state_dir: t.Optional[FilePath] = None


@dataclass(frozen=True)
class BucketBackupResult(BackupResult):
    """files_changed were read, files_gone are in the last set and no more in the bucket.

    files_without_etag count as unchanged by their size and time alone. files_archived could not be read and were left
    out; archived_files are the names of some. not_covered: what the set does not hold, in sentences.
    """

    files: int
    files_changed: int
    files_gone: int
    files_without_etag: int
    files_archived: int
    archived_files: t.Sequence[str]
    not_covered: t.Sequence[str]
    bytes_read: int
    objects_uploaded: int
    requests: int

    def audit_details(self) -> t.Dict[str, t.Any]:
        return {**super().audit_details(), "files": self.files}


@dataclass
class _Counts:
    """The counts of one backup. size and changed_size are in bytes, as the bucket listed the files."""

    files: int = 0
    size: int = 0
    changed: int = 0
    changed_size: int = 0
    gone: int = 0
    without_etag: int = 0
    read: int = 0
    uploaded: int = 0
    objects: int = 0


class BucketBackup:
    """The engine of buckets. A file that is deleted in the bucket stays in the sets that have it."""

    kind = BUCKET_ENGINE

    def __init__(self, origin: ObjectStore, request: BucketBackupRequest) -> None:
        self.request = request
        self._origin = origin
        self._counts, self._gaps, self._lock = _Counts(), Gaps(), threading.Lock()
        self._catalogue: t.Optional[Catalogue] = None
        self._presence: t.Optional[ListedPresence] = None
        self._content: t.Optional[ContentStore] = None
        self._listed_at = ""
        self._hidden = False

    @contextlib.contextmanager
    def prepared(self, run: BackupRun) -> t.Iterator[None]:
        request = self.request
        run.require_source(None)
        self._origin.require_there()
        with contextlib.ExitStack() as stack:
            stack.enter_context(listing_errors())
            self._catalogue = catalogue = stack.enter_context(contextlib.closing(Catalogue(run.folder)))
            self._presence = ListedPresence(run.store, request.source, request.tier, catalogue)
            stack.enter_context(contextlib.closing(self._presence))
            packing = where_smaller(request.codec)
            self._content = ContentStore(run.store, request.source, request.tier, self._presence, packing)
            stack.enter_context(contextlib.closing(self._content))
            yield

    def predicted(self, run: BackupRun) -> BucketBackupResult:
        counts = self._counts
        self._take_inventory(run)
        counts.read = counts.changed_size
        return BucketBackupResult(
            **run.predicted(counts.size),
            **self._result(run),
            summary=f"Would store {counts.files} files of {self.request.source}, {readable_size(counts.size)}: "
            f"{self._changes()}.",
        )

    def dump(self, run: BackupRun, writer: SetWriter) -> SetFacts:
        request, counts = self.request, self._counts
        catalogue, content = guaranteed(self._catalogue), guaranteed(self._content)

        reader = FileReader(self._origin, run.folder, self._gaps)

        def take(listed: Listed) -> None:
            run.progress.add(1, self._take(listed, reader))

        self._take_inventory(run)
        with run.timings.phase("files"):
            run.progress.phase("storing", total_items=counts.changed, total_bytes=counts.changed_size)
            for _done in for_each(catalogue.unknown(), take, parallel=request.parallel):
                pass
            self._refuse_archived()
        with run.timings.phase("confirm"):
            content.confirm_new(parallel=request.parallel)
            self._retain_reused(run.store)
            add_inventory(writer, run.store, request.source, catalogue.lines(), run.folder, request.state_dir)
            counts.uploaded += sum(item.uploaded for item in writer.finish())
        counts.files, counts.size, unknown, _size = catalogue.totals()
        if unknown:
            raise AssertionError(f"{unknown} files were not taken")
        return SetFacts(
            engine=self.kind,
            recovery_point=run.began,
            began=run.began,
            server={"location": self._origin.location, "listed_at": self._listed_at},
            coverage={
                "files": counts.files,
                "files_changed": counts.changed,
                "files_gone": counts.gone,
                "files_without_etag": counts.without_etag,
                "files_archived": self._gaps.archived,
                "headers": list(KEPT_HEADERS),
                "not_covered": self._gaps.sentences(),
                "prefixes": list(request.prefixes),
                "bucket": self._origin.bucket.settings() if isinstance(self._origin, S3Store) else {},
            },
            sizes={"plain": counts.size, "stored": self._stored_size(), "uploaded": counts.uploaded},
        )

    def result(self, run: BackupRun, manifest: Manifest) -> BucketBackupResult:
        counts, common = self._counts, run.committed(manifest)
        return BucketBackupResult(
            **common,
            **self._result(run),
            summary=f"Set {manifest.set_id} of {manifest.source} ({manifest.tier}): {counts.files} files, "
            f"{readable_size(counts.size)}; {self._changes()}; "
            f"{readable_size(counts.uploaded)} uploaded in {common['timings']['total']:.1f} s.",
        )

    def _take_inventory(self, run: BackupRun) -> None:
        request, counts = self.request, self._counts
        catalogue, presence = guaranteed(self._catalogue), guaranteed(self._presence)
        with run.timings.phase("inventory"):
            self._listed_at = format_instant(self._origin.now())
            run.progress.phase("listing")
            self._hidden = take_previous(run.store, request.source, request.tier, catalogue, request.state_dir)
            presence.take_listing()
            catalogue.add_files(listed_files(self._origin, request.prefixes, request.keys, run.progress))
            presence.forget_lost(guaranteed(self._content).damaged, parallel=request.parallel)
            counts.without_etag, counts.gone = catalogue.without_etag(), catalogue.gone()
            self._leave_archived_out(catalogue)
        counts.files, counts.size, counts.changed, counts.changed_size = catalogue.totals()

    def _leave_archived_out(self, catalogue: Catalogue) -> None:
        """Find archived files before anything is read; check mode reads nothing, so it asks for more of them."""
        classes = (*ARCHIVE_CLASSES, TIERING_CLASS) if self.request.check_mode else ARCHIVE_CLASSES
        keys = catalogue.unknown_of(classes)
        for key, archived in for_each(keys, self._is_archived, parallel=self.request.parallel):
            if archived:
                self._gaps.add_archived(key)
                catalogue.forget(key, file_too=True)
        self._refuse_archived()

    def _is_archived(self, key: str) -> t.Tuple[str, bool]:
        info = self._origin.head(key)
        return key, info is not None and info.archived

    def _refuse_archived(self) -> None:
        if self._gaps.archived and self.request.archived != "skip":
            raise self._gaps.archived_error(self._origin.location)

    def _take(self, listed: Listed, reader: FileReader) -> int:
        """Read and store a file. Returns its size."""
        catalogue = guaranteed(self._catalogue)
        with reader.read(listed) as file:
            if file is None:
                catalogue.forget(listed[0], file_too=True)
                return 0
            stored = guaranteed(self._content).store(file.plain, file.content)
        with self._lock:
            self._counts.read += file.plain.size
            self._counts.uploaded += stored.uploaded or 0
            self._counts.objects += stored.uploaded is not None
        catalogue.know(
            FileEntry(
                key=listed[0],
                size=file.plain.size,
                etag=file.etag,
                modified=file.modified,
                sha256=file.plain.sha256,
                object=stored.name,
                codec=stored.codec,
                stored_size=stored.size,
                stored_sha256=stored.sha256,
                headers=headers_of(file.info),
            )
        )
        return file.plain.size

    def _retain_reused(self, store: ObjectStore) -> None:
        if not store.locks:
            return
        content, request = guaranteed(self._content), self.request
        known = map(parse_line, guaranteed(self._catalogue).lines())
        keys = (object_key(request.source, request.tier, one.object) for one in known if not content.is_new(one.object))
        for _done in for_each(keys, store.retain, parallel=request.parallel):
            pass

    def _stored_size(self) -> int:
        with NameIndex() as sizes:
            known = map(parse_line, guaranteed(self._catalogue).lines())
            sizes.add_all((entry.object, entry.stored_size) for entry in known)
            return sum(size for _name, size in sizes.items())

    def _result(self, run: BackupRun) -> t.Dict[str, t.Any]:
        counts = self._counts
        return {
            "files": counts.files,
            "files_changed": counts.changed,
            "files_gone": counts.gone,
            "files_without_etag": counts.without_etag,
            "files_archived": self._gaps.archived,
            "archived_files": self._gaps.names(),
            "not_covered": self._gaps.sentences(),
            "bytes_read": counts.read,
            "objects_uploaded": counts.objects,
            "requests": self._origin.requests + run.store.requests,
        }

    def _changes(self) -> str:
        counts = self._counts
        text = f"{counts.changed} new or changed, {counts.gone} gone since the last set"
        if self._hidden:
            text = f"{counts.changed} read, because this host cannot read the last inventory (set state_dir)"
        if counts.without_etag:
            text += f"; {counts.without_etag} have no ETag and were compared by size and time alone"
        if self._gaps.archived:
            text += f"; {self._gaps.archived} archived files were left out"
        if self._gaps.unreadable:
            text += f"; {self._gaps.unreadable} that the bucket lists could not be read, because it calls them missing"
        return text
