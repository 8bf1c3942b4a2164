# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up the files of a bucket as a set: only what changed is read, only what is new is stored."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import sqlite3
import threading
import typing as t
from concurrent.futures import Future
from dataclasses import dataclass, replace

from .._core.clock import Timings, compact_instant, format_instant, utc_now
from .._core.codec import CODECS, compress, decompress, require_codec
from .._core.digest import Tally, bare_etag, file_chunks, same_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.parallel import for_each
from .._core.process import scratch_folder
from .._core.progress import Progress
from .._core.sizes import readable_size
from .._core.version import VERSION
from .._sets.audit import audited
from .._sets.catalogue import list_sets, load_set, verifications
from .._sets.fetch import read_object
from .._sets.identity import require_source_kind
from .._sets.layout import check_source, object_key, objects_prefix
from .._sets.manifest import BUCKET_ENGINE, Manifest, ObjectEntry
from .._sets.references import sample
from .._sets.writer import SetWriter
from .._store.base import ARCHIVE_CLASSES, TIERING_CLASS, ObjectInfo, ObjectStore
from .gaps import Gaps
from .inventory import KEPT_HEADERS, Catalogue, FileEntry, headers_of, listed_time, parse_line, parts_of

#: Up to this size a file is held in memory; larger ones go through the spool folder.
IN_MEMORY = 4 * 1024 * 1024

#: A file that packs to more than this share of its size is stored as it is.
_WORTH_PACKING = 0.95
_SAMPLE = 256 * 1024
_NOT_WORTH_A_TRY = 100

#: From so many new objects on, a listing costs less than asking for each.
_MANY = 500


@dataclass(frozen=True)
class BucketBackupRequest:
    """What to back up. prefixes limit the files, none takes all; keys does so by name. parallel counts files.

    archived: fail, or skip to leave files out that lie in an archive storage class and cannot be read.
    state_dir keeps the last inventory of an encrypted source on this host, which cannot read it from the store.
    """

    source: str
    tier: str = "daily"
    prefixes: t.Tuple[str, ...] = ()
    keys: t.Optional[t.Sequence[str]] = None
    codec: str = "zstd"
    archived: str = "fail"
    parallel: int = 16
    spool_dir: t.Optional[str] = None
    state_dir: t.Optional[str] = None
    progress_file: t.Optional[str] = None
    check_mode: bool = False


@dataclass(frozen=True)
class BucketBackupResult:
    """A committed set. files_changed were read, files_gone are in the last set and no more in the bucket.

    files_without_etag count as unchanged by their size and time alone. files_archived could not be read and were left
    out; archived_files are the names of some. not_covered: what the set does not hold, in sentences.
    """

    changed: bool
    set_id: str
    source: str
    tier: str
    recovery_point: str
    files: int
    files_changed: int
    files_gone: int
    files_without_etag: int
    files_archived: int
    archived_files: t.Sequence[str]
    not_covered: t.Sequence[str]
    bytes_plain: int
    bytes_read: int
    bytes_uploaded: int
    objects_uploaded: int
    requests: int
    timings: t.Mapping[str, float]
    summary: str


def back_up_bucket(request: BucketBackupRequest, origin: ObjectStore, store: ObjectStore) -> BucketBackupResult:
    """Take one backup set of a bucket. A file that is deleted in the bucket stays in the sets that have it.

    Raises RecoveryError; then no set was written, and earlier sets are as they were.
    """
    check_source(request.source)
    require_codec(request.codec)
    with audited(store, request.source, "backup", {"tier": request.tier}, check_mode=request.check_mode) as outcome:
        if request.tier != "undo":
            require_source_kind(store, request.source, BUCKET_ENGINE)
        with scratch_folder("lifeline-bucket-", request.spool_dir) as folder, listing_errors():
            result = _Run(request, origin, store, folder).complete()
        outcome.update(set_id=result.set_id, files=result.files, bytes=result.bytes_uploaded)
    return result


def inventory_lines(store: ObjectStore, manifest: Manifest, state_dir: t.Optional[str] = None) -> t.Iterator[bytes]:
    """The lines of a set's inventory, by key, as they are stored. Raises RecoveryError as read_object."""
    return part_lines(store, manifest, "inventory", state_dir)


def part_lines(
    store: ObjectStore, manifest: Manifest, role: str, state_dir: t.Optional[str] = None
) -> t.Iterator[bytes]:
    """The lines of all parts of a role."""
    for part in manifest.objects:
        if part.role == role:
            # Not splitlines, which also ends a line at a carriage return within one.
            yield from filter(None, _part(store, part, state_dir).split(b"\n"))


def _part(store: ObjectStore, part: ObjectEntry, state_dir: t.Optional[str]) -> bytes:
    kept = _kept_path(state_dir, part.key)
    if part.encrypted and not store.sealing.can_read and kept is not None:
        with contextlib.suppress(OSError), open(kept, "rb") as stream:
            data = stream.read()
            # Its name is the keyed digest of what it should hold.
            source = part.key.partition("/")[0]
            if store.sealing.name_of(source, hashlib.sha256(data).hexdigest()) == os.path.basename(kept):
                return data
    return read_object(store, part)


def _kept_path(state_dir: t.Optional[str], key: str) -> t.Optional[str]:
    return os.path.join(state_dir, key.rpartition("/")[2]) if state_dir else None


@dataclass(frozen=True)
class _Stored:
    """Where the bytes of a file lie; uploaded is how many were sent for it, None when they were there."""

    object: str
    codec: str
    size: int
    sha256: str
    uploaded: t.Optional[int]


class _Run:
    """One backup of a bucket."""

    def __init__(self, request: BucketBackupRequest, origin: ObjectStore, store: ObjectStore, folder: str) -> None:
        self._request, self._origin, self._store, self._folder = request, origin, store, folder
        self._timings = Timings()
        self._began = utc_now()
        self._progress = Progress(None if request.check_mode else request.progress_file, request.source)
        self._catalogue = Catalogue(folder)
        self._there = NameIndex()
        self._new = NameIndex()
        self._damaged = {
            key for item in verifications(store, request.source, request.tier).values() for key in item.damaged
        }
        self._claims: t.Dict[str, Future[_Stored]] = {}
        self._lock = threading.Lock()
        self._read = self._uploaded = self._objects = self._unmarked = 0
        self._gaps = Gaps()
        self._listed_at = ""
        self._hidden = False

    def complete(self) -> BucketBackupResult:
        with contextlib.closing(self._catalogue), self._there, self._new:
            with self._timings.phase("inventory"):
                self._origin.require_there()
                self._listed_at = format_instant(self._origin.now())
                self._take_inventory()
                self._unmarked = self._catalogue.without_etag()
                gone = self._catalogue.gone()
                self._leave_archived_out()
            files, size, changed, changed_size = self._catalogue.totals()
            if self._request.check_mode:
                return self._result("", files, changed, gone, size, changed_size)
            with self._timings.phase("files"):
                self._progress.phase("storing", total_items=changed, total_bytes=changed_size)
                for _done in for_each(self._catalogue.unknown(), self._take, parallel=self._request.parallel):
                    pass
                self._judge_archived()
            with self._timings.phase("confirm"):
                self._confirm()
            with self._timings.phase("commit"):
                files, size, unknown, _size = self._catalogue.totals()
                if unknown:
                    raise RuntimeError(f"{unknown} files were not taken")
                manifest = self._commit(files, size, changed, gone)
            self._progress.end()
            return self._result(manifest.set_id, files, changed, gone, size, self._read)

    def _take_inventory(self) -> None:
        request = self._request
        self._progress.phase("listing")
        self._take_previous()
        prefix = objects_prefix(request.source, request.tier)
        self._there.add_all((item.key.rpartition("/")[2], item.size) for item in self._store.list(prefix))
        self._catalogue.add_files(self._listed())
        # A line is worth nothing without its object.
        for key in list_of_lost(self._catalogue.lines(), self._is_there):
            self._catalogue.forget(key)
        self._doubt_listing()

    def _doubt_listing(self) -> None:
        """Ask for some objects that the listing showed, and for all when one of them is not there."""
        entries = (parse_line(line) for line in sample(self._catalogue.lines()))
        if all(missing is None for missing in for_each(entries, self._missing, parallel=self._request.parallel)):
            return
        everything = map(parse_line, self._catalogue.lines())
        for missing in list(for_each(everything, self._missing, parallel=self._request.parallel)):
            if missing is not None:
                self._catalogue.forget(missing)

    def _missing(self, entry: FileEntry) -> t.Optional[str]:
        """The key of a file whose object is not there."""
        return None if self._shows(entry.object, entry.stored_size) else entry.key

    def _shows(self, name: str, size: int) -> bool:
        info = self._store.head(object_key(self._request.source, self._request.tier, name))
        return info is not None and info.size == size

    def _listed(self) -> t.Iterator[t.Any]:
        if self._request.keys is not None:
            for key in self._request.keys:
                info = self._origin.head(key)
                if info is not None:
                    yield info
            return
        for prefix in self._request.prefixes or ("",):
            for info in self._origin.list(prefix):
                self._progress.add(1, info.size)
                # The object of the prefix itself is no file below it.
                if info.key:
                    yield info

    def _leave_archived_out(self) -> None:
        """Find archived files before anything is read; check mode reads nothing, so it asks for more of them."""
        classes = (*ARCHIVE_CLASSES, TIERING_CLASS) if self._request.check_mode else ARCHIVE_CLASSES
        keys = self._catalogue.unknown_of(classes)
        for key, archived in for_each(keys, self._is_archived, parallel=self._request.parallel):
            if archived:
                self._leave_out(key)
        self._judge_archived()

    def _is_archived(self, key: str) -> t.Tuple[str, bool]:
        info = self._origin.head(key)
        return key, info is not None and info.archived

    def _leave_out(self, key: str) -> None:
        self._gaps.add_archived(key)
        self._catalogue.forget(key, file_too=True)

    def _judge_archived(self) -> None:
        if self._gaps.archived and self._request.archived != "skip":
            raise self._gaps.archived_error(self._origin.location)

    def _take_previous(self) -> None:
        """The inventory of the newest set that can be read; without one every file counts as new."""
        for name in reversed(list_sets(self._store, self._request.source, self._request.tier)):
            try:
                manifest = load_set(self._store, name)
                if manifest.engine != BUCKET_ENGINE:
                    continue
                self._take_one(manifest)
                return
            except RecoveryError as error:
                self._catalogue.clear_old()
                if error.kind not in (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST, ErrorKind.OBJECT_MISSING):
                    raise

    def _take_one(self, manifest: Manifest) -> None:
        if set(manifest.recipients) != set(self._store.sealing.recipients):
            # What was stored for others cannot be read by those of now, or by more than those.
            return
        try:
            lines = inventory_lines(self._store, manifest, self._request.state_dir)
            # Sets of earlier versions know only this host's clock.
            self._catalogue.add_old(lines, str(manifest.server.get("listed_at") or manifest.recovery_point))
            self._catalogue.add_held(self._catalogue.old_lines(), judged=True)
        except RecoveryError as error:
            if error.kind != ErrorKind.NO_IDENTITY:
                raise
            # Which file is which stays hidden; which objects there are does not.
            self._hidden = True
            self._catalogue.clear_old()
            self._catalogue.add_held(part_lines(self._store, manifest, "references"))

    def _is_there(self, entry: FileEntry) -> bool:
        key = object_key(self._request.source, self._request.tier, entry.object)
        return self._there.get(entry.object) == entry.stored_size and key not in self._damaged

    def _take(self, file: t.Tuple[str, int, str, str]) -> None:
        key, size = file[:2]
        with contextlib.ExitStack() as stack:
            try:
                small = size <= IN_MEMORY
                opened = self._origin.open_small(key, size=size) if small else self._origin.open(key, size=size)
                info = opened.info
                if info.size <= IN_MEMORY:
                    data = b"".join(opened.chunks)
                    plain = Tally()
                    plain.add(data)
                    path = None
                else:
                    path, plain = stack.enter_context(self._spooled(opened.chunks, info.size))
            except RecoveryError as error:
                if error.kind == ErrorKind.ARCHIVED:
                    self._leave_out(key)
                    return
                if error.kind != ErrorKind.OBJECT_MISSING:
                    raise
                # Deleted since it was listed, unless the bucket goes on listing it.
                if any(listed.key == key for listed in itertools.islice(self._origin.list(key), 1)):
                    self._gaps.add_unreadable()
                self._catalogue.forget(key, file_too=True)
                return
            info = self._with_tags(info)
            stored = self._place(plain, lambda: file_chunks(path) if path else iter([data]))
        self._progress.add(1, plain.size)
        with self._lock:
            self._read += plain.size
            self._uploaded += stored.uploaded or 0
            self._objects += stored.uploaded is not None
        seen_etag, seen_time = self._seen_as(info, file)
        self._catalogue.know(
            FileEntry(
                key=key,
                size=plain.size,
                etag=seen_etag,
                modified=seen_time,
                sha256=plain.sha256,
                object=stored.object,
                codec=stored.codec,
                stored_size=stored.size,
                stored_sha256=stored.sha256,
                headers=headers_of(info),
            )
        )

    def _seen_as(self, info: ObjectInfo, file: t.Tuple[str, int, str, str]) -> t.Tuple[str, str]:
        """The ETag and the time that the next listing is compared with."""
        key, size, etag, modified = file
        if same_etag(info.etag, etag) is False and info.size == size:
            for now in itertools.islice(self._origin.list(key), 1):
                if (now.key, now.size, bare_etag(now.etag), format_instant(now.modified)) == file:
                    # Nothing changed: the store shows another ETag of an object than in its listings.
                    return etag, modified
        return info.etag or "", listed_time(info, size, etag, modified)

    def _with_tags(self, info: ObjectInfo) -> ObjectInfo:
        if info.headers is None or not info.tag_count:
            return info
        try:
            return replace(info, headers=replace(info.headers, tags=self._origin.tags(info.key)))
        except RecoveryError as error:
            if error.kind != ErrorKind.ACCESS_DENIED:
                raise
            self._gaps.add_untagged()
            return info

    @contextlib.contextmanager
    def _spooled(self, chunks: t.Iterable[bytes], size: int) -> t.Iterator[t.Tuple[str, Tally]]:
        if shutil.disk_usage(self._folder).free < size:
            raise _no_room(f"a file of {readable_size(size)}")
        path = os.path.join(self._folder, f"file-{threading.get_ident()}")
        plain = Tally()
        try:
            with open(path, "wb") as stream:
                for chunk in plain.watch(chunks):
                    with _spool_errors():
                        stream.write(chunk)
            yield path, plain
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _place(self, plain: Tally, chunks: t.Callable[[], t.Iterator[bytes]]) -> _Stored:
        """Where the content lies, stored now unless the tier has it. Two equal files are stored once."""
        digest = plain.sha256
        with self._lock:
            done = self._catalogue.remembered(digest)
            claim = self._claims.get(digest)
            mine: Future[_Stored] = Future()
            if done is None and claim is None:
                self._claims[digest] = mine
        if done is not None:
            return _Stored(**done, uploaded=None)
        if claim is not None:
            return replace(claim.result(), uploaded=None)
        try:
            stored = self._store_once(plain, chunks)
        except BaseException as error:
            mine.set_exception(error)
            raise
        place = {name: value for name, value in vars(stored).items() if name != "uploaded"}
        with self._lock:
            self._catalogue.remember(digest, place)
            del self._claims[digest]
        mine.set_result(stored)
        return stored

    def _store_once(self, plain: Tally, chunks: t.Callable[[], t.Iterator[bytes]]) -> _Stored:
        request, sealing, generation = self._request, self._store.sealing, 0
        while True:
            name = sealing.name_of(request.source, plain.sha256, generation)
            key = object_key(request.source, request.tier, name)
            size = self._there.get(name)
            if size is not None and key not in self._damaged and self._shows(name, size):
                held = self._catalogue.held(name)
                if held is not None and held[1] == size:
                    return _Stored(name, held[0], size, held[2], None)
                adopted = None if sealing.encrypts else self._adopted(name, key, plain)
                if adopted is not None:
                    return adopted
            if size is None or not sealing.encrypts:
                break
            # Encrypted anew it has other bytes, which must not take the place of what an older set describes.
            generation += 1
        while True:
            try:
                codec, packed = self._send(key, plain.size, chunks)
                break
            except RecoveryError as error:
                if error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
                # Another backup of this source stored the object first, encrypted to other bytes.
                generation += 1
                name = sealing.name_of(request.source, plain.sha256, generation)
                key = object_key(request.source, request.tier, name)
        self._new.add(name, packed.size)
        return _Stored(name, codec, packed.size, packed.sha256, packed.size)

    def _send(self, key: str, size: int, chunks: t.Callable[[], t.Iterator[bytes]]) -> t.Tuple[str, Tally]:
        """The codec and what was stored."""
        sealing, packed = self._store.sealing, Tally()
        if size <= IN_MEMORY:
            codec, data = _packed(self._request.codec, b"".join(chunks()))
            self._store.put(key, list(packed.watch(sealing.encrypt([data]))), if_absent=sealing.encrypts)
        else:
            codec = _codec_for(self._request.codec, chunks())
            sealed = packed.watch(sealing.encrypt(compress(chunks(), codec)))
            self._store.put(key, sealed, if_absent=sealing.encrypts)
        return codec, packed

    def _adopted(self, name: str, key: str, plain: Tally) -> t.Optional[_Stored]:
        """An object of an older set, read to prove it; None when it is not what its name says.

        It is stored again as it is: no set may need it any more, and to prune it then counts as new.
        """
        stored = b"".join(self._store.read(key)) if plain.size <= IN_MEMORY else None
        for codec in dict.fromkeys(("none", self._request.codec, *CODECS)):
            whole, content = Tally(), Tally()
            source = iter([stored]) if stored is not None else self._store.read(key)
            with contextlib.suppress(RecoveryError):
                for chunk in decompress(whole.watch(source), codec, limit=plain.size):
                    content.add(chunk)
                if content.sha256 == plain.sha256:
                    self._store.put(key, [stored] if stored is not None else self._store.read(key))
                    self._new.add(name, whole.size)
                    return _Stored(name, codec, whole.size, whole.sha256, None)
        return None

    def _confirm(self) -> None:
        """Only what the store shows is there: each new object, by a listing when they are many."""
        request = self._request
        with NameIndex() as listed:
            if len(self._new) > _MANY:
                prefix = objects_prefix(request.source, request.tier)
                listed.add_all((item.key.rpartition("/")[2], item.size) for item in self._store.list(prefix))
            names = ((name, size) for name, size in self._new.items() if listed.get(name) != size)
            for _done in for_each(names, self._confirm_one, parallel=request.parallel):
                pass
        if self._store.locks:
            reused = (entry for entry in map(parse_line, self._catalogue.lines()) if entry.object not in self._new)
            for _done in for_each(reused, self._retain, parallel=request.parallel):
                pass

    def _confirm_one(self, item: t.Tuple[str, int]) -> None:
        name, size = item
        key = object_key(self._request.source, self._request.tier, name)
        info = self._store.head(key)
        if info is None or info.size != size:
            seen = "missing" if info is None else f"{info.size} bytes"
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"{self._store.location} accepted {key} with {size} bytes, but shows it as {seen}.",
                left="No backup set was written; earlier sets are as they were.",
                next_step="Check the store, then run the backup again.",
            )

    def _retain(self, entry: FileEntry) -> None:
        self._store.retain(object_key(self._request.source, self._request.tier, entry.object))

    def _commit(self, files: int, size: int, changed: int, gone: int) -> Manifest:
        request, spool = self._request, os.path.join(self._folder, "parts")
        os.mkdir(spool)
        with SetWriter(
            self._store,
            request.source,
            request.tier,
            codec=request.codec,
            parallel=4,
        ) as writer:
            for number, part in enumerate(parts_of(self._catalogue.lines())):
                name = f"inventory-{number:06}.jsonl"
                _write_lines(os.path.join(spool, name), part)
                if self._store.sealing.encrypts:
                    # Who prunes, verifies or copies without a key needs to know which objects there are.
                    references = f"references-{number:06}.jsonl"
                    _write_lines(os.path.join(spool, references), [parse_line(line).to_reference() for line in part])
                    writer.add(spool, references, "references", encrypt=False)
                    self._keep(os.path.join(spool, name))
                writer.add(spool, name, "inventory")
            stored = writer.finish()
            entries = tuple(item.entry for item in stored)
            uploaded = self._uploaded + sum(item.uploaded for item in stored)
            self._uploaded = uploaded
            return writer.commit(
                Manifest(
                    set_id=compact_instant(self._began),
                    source=request.source,
                    tier=request.tier,
                    engine=BUCKET_ENGINE,
                    recovery_point=format_instant(self._began),
                    lsn=None,
                    created_at=format_instant(self._began),
                    finished_at=format_instant(utc_now()),
                    tool_version=VERSION,
                    server={"location": self._origin.location, "listed_at": self._listed_at},
                    client={},
                    objects=entries,
                    fingerprint=None,
                    coverage={
                        "files": files,
                        "files_changed": changed,
                        "files_gone": gone,
                        "files_without_etag": self._unmarked,
                        "files_archived": self._gaps.archived,
                        "headers": list(KEPT_HEADERS),
                        "not_covered": self._gaps.sentences(),
                        "prefixes": list(request.prefixes),
                    },
                    sizes={"plain": size, "stored": self._stored_size(), "uploaded": uploaded},
                    timings=self._timings.as_dict(),
                )
            )

    def _keep(self, path: str) -> None:
        """Keep a part on this host under the name that it gets in the store."""
        if not self._request.state_dir or self._store.sealing.can_read:
            return
        plain = Tally()
        for chunk in file_chunks(path):
            plain.add(chunk)
        name = self._store.sealing.name_of(self._request.source, plain.sha256)
        try:
            os.makedirs(self._request.state_dir, mode=0o700, exist_ok=True)
            kept = os.path.join(self._request.state_dir, name)
            with open(os.open(f"{kept}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                for chunk in file_chunks(path):
                    stream.write(chunk)
            os.replace(f"{kept}.new", kept)
        except OSError as error:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The folder {self._request.state_dir} cannot be written: {error.strerror}.",
                left="No backup set was written; earlier sets are as they were.",
                next_step="Set state_dir to a folder that this user may write, with room.",
            ) from None

    def _stored_size(self) -> int:
        with NameIndex() as sizes:
            sizes.add_all((entry.object, entry.stored_size) for entry in map(parse_line, self._catalogue.lines()))
            return sum(size for _name, size in sizes.items())

    def _result(self, set_id: str, files: int, changed: int, gone: int, size: int, read: int) -> BucketBackupResult:
        request, timings = self._request, self._timings.as_dict()
        return BucketBackupResult(
            changed=True,
            set_id=set_id or compact_instant(self._began),
            source=request.source,
            tier=request.tier,
            recovery_point=format_instant(self._began),
            files=files,
            files_changed=changed,
            files_gone=gone,
            files_without_etag=self._unmarked,
            files_archived=self._gaps.archived,
            archived_files=self._gaps.names(),
            not_covered=self._gaps.sentences(),
            bytes_plain=size,
            bytes_read=read,
            bytes_uploaded=self._uploaded,
            objects_uploaded=self._objects,
            requests=self._origin.requests + self._store.requests,
            timings=timings,
            summary=self._summary(set_id, files, changed, gone, size, timings["total"]),
        )

    def _summary(self, set_id: str, files: int, changed: int, gone: int, size: int, seconds: float) -> str:
        request = self._request
        told = f"{changed} new or changed, {gone} gone since the last set"
        if self._hidden:
            told = f"{changed} read, because this host cannot read the last inventory (set state_dir)"
        if self._unmarked:
            told += f"; {self._unmarked} have no ETag and were compared by size and time alone"
        if self._gaps.archived:
            told += f"; {self._gaps.archived} archived files were left out"
        if self._gaps.unreadable:
            told += f"; {self._gaps.unreadable} that the bucket lists could not be read, because it calls them missing"
        if request.check_mode:
            return f"Would store {files} files of {request.source}, {readable_size(size)}: {told}."
        return (
            f"Set {set_id} of {request.source} ({request.tier}): {files} files, {readable_size(size)}; {told}; "
            f"{readable_size(self._uploaded)} uploaded in {seconds:.1f} s."
        )


@contextlib.contextmanager
def listing_errors() -> t.Iterator[None]:
    """A database of names that cannot grow becomes RecoveryError(spool_full)."""
    try:
        yield
    except sqlite3.OperationalError:
        raise _no_room("the list of files") from None


@contextlib.contextmanager
def _spool_errors() -> t.Iterator[None]:
    try:
        yield
    except OSError:
        raise _no_room("what it has to hold") from None


def _no_room(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SPOOL_FULL,
        f"The spool folder has no room for {what}.",
        left="No backup set was written; earlier sets are as they were.",
        next_step="Set spool_dir to a file system with more room.",
    )


def list_of_lost(lines: t.Iterable[str], is_there: t.Callable[[FileEntry], bool]) -> t.List[str]:
    """The keys of the files whose object is not there."""
    return [entry.key for entry in map(parse_line, lines) if not is_there(entry)]


def _packed(codec: str, data: bytes) -> t.Tuple[str, bytes]:
    """The content packed, or as it is when that gains nothing."""
    if codec == "none" or len(data) < _NOT_WORTH_A_TRY:
        return "none", data
    packed = b"".join(compress([data], codec))
    return (codec, packed) if len(packed) <= _WORTH_PACKING * len(data) else ("none", data)


def _codec_for(codec: str, chunks: t.Iterator[bytes]) -> str:
    """The codec, or none when a sample of the content says that packing gains nothing."""
    sample = b""
    for chunk in chunks:
        sample += chunk
        if len(sample) >= _SAMPLE:
            break
    return _packed(codec, sample[:_SAMPLE])[0]


def _write_lines(path: str, lines: t.Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
