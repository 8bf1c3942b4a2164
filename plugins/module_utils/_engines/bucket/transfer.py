# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single objects and whole folders, up and down: sent only when they differ, never half visible."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import mimetypes
import os
import typing as t
from dataclasses import dataclass, field, replace

from ..._core.digest import Tally, bare_etag, file_chunks, same_etag
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.options import option
from ..._core.parallel import for_each
from ..._core.progress import Progress
from ..._core.sizes import counted, first_of
from ..._store.base import ARCHIVE_CLASSES, TIERING_CLASS, Headers, ObjectInfo, ObjectStore, put_shown
from ..._store.directory import DirectoryStore
from ..._store.s3 import S3Store
from .compare import EXCLUDED_FILE, excluded_names
from .gaps import SHOWN
from .local import DIGEST, PARTIAL, Digests, digests_of, is_same, local_digests, refuse_way_out, walk


@dataclass(frozen=True)
class TransferOptions:
    """Options of a transfer. if_none_match refuses to replace an object; the next three are for sync only.

    prefixes: only objects whose keys begin with one of these are downloaded. archived: C(skip) leaves out objects in an
    archive storage class, C(fail) refuses them before a file is written.
    """

    headers: Headers = field(default_factory=Headers)
    if_none_match: bool = False
    delete: bool = False
    prefixes: t.Sequence[str] = ()
    archived: t.Literal["fail", "skip"] = "fail"
    parallel: int = field(default=8, metadata=option("parallel_files"))
    check_mode: bool = False


@dataclass
class TransferResult:
    """One object, or the files of a sync by what becomes of them. bytes_transferred is what was sent or fetched.

    files_archived objects were left out; archived_files are the keys of some.
    """

    changed: bool = False
    key: t.Optional[str] = None
    path: t.Optional[str] = None
    size: t.Optional[int] = None
    sha256: t.Optional[str] = None
    etag: t.Optional[str] = None
    resumed_from: int = 0
    bytes_transferred: int = 0
    created: t.List[str] = field(default_factory=list)
    updated: t.List[str] = field(default_factory=list)
    deleted: t.List[str] = field(default_factory=list)
    unchanged: int = 0
    files_archived: int = 0
    archived_files: t.List[str] = field(default_factory=list)


def upload_file(
    store: ObjectStore, key: str, path: str, options: TransferOptions, progress: Progress
) -> TransferResult:
    """Send a file unless the object has its bytes. Raises RecoveryError(already_exists) with if_none_match."""
    digests = local_digests(path)
    if digests is None:
        what = f"{path} is a folder." if os.path.isdir(path) else f"There is no file {path}."
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step="Check src; for a folder set sync.")
    progress.phase(f"sending {key}", total_items=1, total_bytes=digests.size)
    return _upload(store, key, digests, lambda: progress.watch(file_chunks(path)), options, _type_of(path))


def upload_content(store: ObjectStore, key: str, data: bytes, options: TransferOptions) -> TransferResult:
    """As upload_file, for bytes at hand."""
    return _upload(store, key, digests_of([data]), lambda: [data], options, _type_of(key))


def copy_object(store: ObjectStore, source: str, key: str, options: TransferOptions) -> TransferResult:
    """Copy within the bucket, on the server's side. Raises RecoveryError(object_missing or unsupported)."""
    if not isinstance(store, S3Store):
        raise RecoveryError(ErrorKind.UNSUPPORTED, "Only an S3 store copies objects.", next_step="Use src.")
    info = store.head(source)
    if info is None:
        raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {source} in {store.location}.")
    there = store.head(key)
    _refuse_taken(store, key, there, options)
    result = TransferResult(key=key, size=info.size, etag=info.etag, sha256=_digest_of(info))
    if there is not None and _is_copy(store, info, there) and _headers_fit(there, options.headers):
        return result
    result.changed = True
    if not options.check_mode:
        headers = None
        if options.headers != Headers():
            # Headers replace those of the source, its digest with them.
            kept = {DIGEST: result.sha256} if result.sha256 else {}
            headers = replace(options.headers, metadata={**options.headers.metadata, **kept})
        store.copy(source, key, headers)
        shown = store.head(key)
        if shown is None or not (_is_copy(store, info, shown) or _have_same_bytes(store, info, shown)):
            raise _not_shown(store, key)
        result.etag = shown.etag
    return result


def download_file(
    store: ObjectStore, key: str, path: str, options: TransferOptions, progress: Progress
) -> TransferResult:
    """Fetch an object unless the file has its bytes; an earlier try that was cut short is continued.

    The file appears when it is whole. Raises RecoveryError: object_missing, damaged when the bytes are not those
    of the digest that the object carries, spool_full.
    """
    info = store.head(key)
    if info is None:
        raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {store.location}.")
    result = TransferResult(key=key, path=path, size=info.size, etag=info.etag, sha256=_digest_of(info))
    there = local_digests(path)
    if there is not None and is_same(store, info, there):
        result.sha256 = there.sha256
        return result
    result.changed = True
    if options.check_mode:
        return result
    progress.phase(f"fetching {key}", total_items=1, total_bytes=info.size)
    with _disk_errors(path):
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, "a folder is in the way")
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with _Partial(path, info) as partial:
            result.resumed_from = partial.offset
            progress.add(size=partial.offset)
            fetched = _fetch(store, key, partial, result, progress)
            if partial.offset and not _matches_metadata(info, fetched):
                # The part of an earlier attempt belongs to other content.
                partial.restart()
                result.resumed_from = 0
                fetched = _fetch(store, key, partial, result, progress)
            if fetched.size != info.size or (result.sha256 and fetched.sha256 != result.sha256):
                partial.discard()
                raise RecoveryError(
                    ErrorKind.DAMAGED,
                    f"The content that {store.location} returned for {key} does not match the recorded digest.",
                    left=f"{path} is unchanged.",
                    next_step="Run it again; if it fails again, use another copy.",
                )
            result.sha256 = fetched.sha256
            partial.finish(path)
    return result


def _fetch(store: ObjectStore, key: str, partial: _Partial, result: TransferResult, progress: Progress) -> Digests:
    """The digests of the whole after the rest was fetched."""
    with partial.stream() as stream:
        for chunk in progress.watch(store.read(key, start=partial.offset)):
            stream.write(chunk)
            result.bytes_transferred += len(chunk)
    return digests_of(file_chunks(partial.path))


def _matches_metadata(info: ObjectInfo, fetched: Digests) -> bool:
    """Whether size and digests agree with the metadata; an ETag is not always an MD5."""
    etag = bare_etag(info.etag)
    return (
        fetched.size == info.size
        and _digest_of(info) in (None, fetched.sha256)
        and (_digest_of(info) is not None or "-" in etag or etag in ("", fetched.md5))
    )


def download_range(
    store: ObjectStore, key: str, path: str, start: int, length: int, options: TransferOptions
) -> TransferResult:
    """Fetch some bytes of an object into a file. Raises RecoveryError(object_missing)."""
    info = store.head(key)
    if info is None:
        raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {store.location}.")
    if start >= info.size:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The range begins at {start}, and {key} has {info.size} bytes.",
            next_step="Give a range_start within the object.",
        )
    collected = bytearray()
    stream = store.read(key, start=start)
    for chunk in stream:
        collected += chunk[: length - len(collected)]
        if len(collected) >= length:
            break
    digests = digests_of([bytes(collected)])
    there = local_digests(path)
    result = TransferResult(key=key, path=path, size=digests.size, sha256=digests.sha256)
    result.changed = there is None or there.sha256 != digests.sha256
    if result.changed and not options.check_mode:
        with _disk_errors(path):
            temporary = _partial_path(path)
            with open(temporary, "wb") as target:
                target.write(collected)
            os.replace(temporary, path)
        result.bytes_transferred = digests.size
    return result


def remove_objects(store: ObjectStore, keys: t.Iterable[str], options: TransferOptions) -> TransferResult:
    """Delete objects. Raises RecoveryError(access_denied) for one that the store holds on to."""
    result = TransferResult()
    for key in keys:
        if store.head(key) is None:
            continue
        result.deleted.append(key)
        if not options.check_mode:
            reason = store.remove(key)
            if reason is not None:
                raise RecoveryError(
                    ErrorKind.ACCESS_DENIED,
                    f"{store.location} holds on to {key}: {reason}",
                    left=f"{len(result.deleted) - 1} objects were deleted before it.",
                    next_step="Wait until its lock ends.",
                )
            if store.head(key) is not None:
                raise RecoveryError(
                    ErrorKind.STORE_FAILED,
                    f"{store.location} confirmed that it deleted {key}, and still lists it.",
                    left=f"{len(result.deleted) - 1} objects were deleted before it.",
                    next_step="Check the store, then run it again.",
                )
    result.changed = bool(result.deleted)
    return result


def sync_up(
    store: ObjectStore, prefix: str, folder: str, options: TransferOptions, progress: Progress
) -> TransferResult:
    """Make the objects below prefix those of the folder. Objects without a file go only with delete."""
    prefix = _as_folder(prefix)
    result = TransferResult(path=folder, key=prefix)
    there = {item.key: item for item in store.list(prefix)}
    files = {prefix + key: path for key, path in walk(folder)}
    _refuse_to_empty(options, files, there, f"the folder {folder}", f"{store.location} below {prefix!r}")

    def judge(item: t.Tuple[str, str]) -> t.Tuple[str, str, Digests, bool]:
        key, path = item
        digests = local_digests(path)
        if digests is None:
            raise _changed_during_copy(key)
        same = is_same(store, there.get(key), digests)
        if same and options.headers != Headers():
            info = store.head(key)
            same = info is not None and _headers_fit(info, options.headers)
        return key, path, digests, same

    wanted = []
    for key, path, digests, same in for_each(sorted(files.items()), judge, parallel=options.parallel):
        if same:
            result.unchanged += 1
        else:
            wanted.append((key, path, digests))
            (result.updated if key in there else result.created).append(key)
    progress.phase("sending", total_items=len(wanted), total_bytes=sum(item[2].size for item in wanted))

    def send(item: t.Tuple[str, str, Digests]) -> int:
        key, path, digests = item
        _upload(store, key, digests, lambda: progress.watch(file_chunks(path)), options, _type_of(path))
        progress.add(1)
        return digests.size

    if not options.check_mode:
        with _counted("sent") as count:
            for size in for_each(wanted, send, parallel=options.parallel):
                count()
                result.bytes_transferred += size
    if options.delete:
        result.deleted = remove_objects(store, sorted(set(there) - set(files)), options).deleted
    return _sorted(result)


def sync_down(
    store: ObjectStore, prefix: str, folder: str, options: TransferOptions, progress: Progress
) -> TransferResult:
    """Make the files of a folder those of the objects below prefix. Files without an object go only with delete.

    Keys that the folder cannot hold, and archived objects, are refused, all together, before anything is written.
    Where archived objects are left out, their files stay unchanged.
    """
    prefix = _as_folder(prefix)
    result = TransferResult(path=folder, key=prefix)
    # An object of no bytes whose name ends so is a folder that some consoles make.
    chosen = (item for item in store.list(prefix) if item.key.startswith(tuple(options.prefixes) or ""))
    listed = {item.key[len(prefix) :]: item for item in chosen if item.size or not item.key.endswith("/")}
    _refuse_names(listed, folder)
    there = {os.path.join(folder, *name.split("/")): item for name, item in listed.items()}
    refuse_way_out(folder, there)
    present = {path for _key, path in walk(folder)} if os.path.isdir(folder) else set()
    _refuse_to_empty(options, there, present, f"{store.location} below {prefix!r}", f"the folder {folder}")

    def judge(item: t.Tuple[str, ObjectInfo]) -> t.Tuple[str, ObjectInfo, bool]:
        path, info = item
        digests = local_digests(path)
        try:
            return path, info, digests is not None and is_same(store, info, digests)
        except RecoveryError as error:
            if error.kind != ErrorKind.ARCHIVED:
                raise
            return path, info, False

    judged = list(for_each(sorted(there.items()), judge, parallel=options.parallel))
    archived = _archived(store, [info for _path, info, same in judged if not same], options)
    wanted = []
    for path, info, same in judged:
        if same:
            result.unchanged += 1
        elif info.key not in archived:
            wanted.append((path, info))
            (result.updated if path in present else result.created).append(path)
    progress.phase("fetching", total_items=len(wanted), total_bytes=sum(info.size for _path, info in wanted))
    quiet = Progress(None, "")

    def fetch(item: t.Tuple[str, ObjectInfo]) -> t.Tuple[str, str, t.Optional[int]]:
        path, info = item
        try:
            fetched: t.Optional[int] = download_file(store, info.key, path, options, quiet).bytes_transferred
        except RecoveryError as error:
            # Some stores reveal the archive only when they refuse the object.
            if error.kind != ErrorKind.ARCHIVED or options.archived != "skip":
                raise
            fetched = None
        progress.add(1, info.size)
        return path, info.key, fetched

    if not options.check_mode:
        with _counted("fetched") as count:
            for path, key, size in for_each(wanted, fetch, parallel=options.parallel):
                if size is None:
                    archived.add(key)
                    (result.updated if path in present else result.created).remove(path)
                    continue
                count()
                result.bytes_transferred += size
    result.files_archived, result.archived_files = len(archived), sorted(archived)[:SHOWN]
    if options.delete:
        result.deleted = sorted(present - set(there))
        if not options.check_mode:
            for path in result.deleted:
                os.unlink(path)
    return _sorted(result)


def _archived(store: ObjectStore, listed: t.Sequence[ObjectInfo], options: TransferOptions) -> t.Set[str]:
    """The keys of the listed objects that cannot be read. Raises RecoveryError(archived) unless they are left out."""

    def is_archived(info: ObjectInfo) -> t.Tuple[str, bool]:
        found = store.head(info.key)
        return info.key, found is not None and found.archived

    doubtful = [info for info in listed if info.storage_class in (*ARCHIVE_CLASSES, TIERING_CLASS)]
    keys = {key for key, archived in for_each(doubtful, is_archived, parallel=options.parallel) if archived}
    if keys and options.archived != "skip":
        raise RecoveryError(
            ErrorKind.ARCHIVED,
            f"{counted(len(keys), 'file')} of {store.location} in an archive storage class cannot be read: "
            f"{first_of(sorted(keys), 10)}.",
            left="No file was written.",
            next_step="Set archived=skip (recovery_archived for the playbook) to leave them out, or have the provider "
            "restore them to a readable class.",
            details={"files_archived": len(keys), "archived_files": sorted(keys)[:SHOWN]},
        )
    return keys


def sync_diff(result: TransferResult) -> t.Dict[str, str]:
    """The files that a sync changes, one in a line."""
    gone = sorted([*result.updated, *result.deleted])
    come = sorted([*result.created, *result.updated])
    return {
        "before": "".join(f"{name}{' (other content)' if name in result.updated else ''}\n" for name in gone),
        "after": "".join(f"{name}\n" for name in come),
    }


class _Partial:
    """An incomplete download in the folder of its file, with a note of the version of the object.

    As a context it is this process's alone. Raises RecoveryError(backup_running) when another fetches it.
    """

    def __init__(self, path: str, info: ObjectInfo) -> None:
        self.path = _partial_path(path)
        self._target = path
        self._note = f"{self.path}.json"
        self._version = {"etag": info.etag, "size": info.size, "modified": info.modified.isoformat()}
        self._info = info
        self._lock: t.Optional[t.TextIO] = None
        self.offset = 0

    def __enter__(self) -> _Partial:
        self._lock = open(f"{self.path}.lock", "w", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"Another download to {self._target} is running.",
                next_step="Wait for it, or choose another dest.",
            ) from None
        with contextlib.suppress(OSError, ValueError), open(self._note, encoding="utf-8") as stream:
            if json.load(stream) == self._version and self._info.etag:
                self.offset = min(os.path.getsize(self.path), self._info.size)
        if not self.offset:
            self.restart()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._lock.name)
            self._lock.close()

    def restart(self) -> None:
        self.discard()
        self.offset = 0
        with open(self._note, "w", encoding="utf-8") as stream:
            json.dump(self._version, stream)

    def stream(self) -> t.BinaryIO:
        return open(self.path, "ab")

    def finish(self, path: str) -> None:
        with open(self.path, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(self.path, path)
        os.unlink(self._note)

    def discard(self) -> None:
        for path in (self.path, self._note):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _upload(
    store: ObjectStore,
    key: str,
    digests: Digests,
    chunks: t.Callable[[], t.Iterable[bytes]],
    options: TransferOptions,
    content_type: t.Optional[str],
) -> TransferResult:
    there = store.head(key)
    _refuse_taken(store, key, there, options)
    result = TransferResult(key=key, size=digests.size, sha256=digests.sha256)
    headers = replace(
        options.headers,
        content_type=options.headers.content_type or content_type,
        metadata={**options.headers.metadata, DIGEST: digests.sha256},
    )
    if there is not None and is_same(store, there, digests) and _headers_fit(there, options.headers):
        result.etag = there.etag
        return result
    result.changed = True
    if options.check_mode:
        return result
    sent = _as_digested(chunks(), digests, key)
    shown = put_shown(store, key, sent, digests.size, if_absent=options.if_none_match, headers=headers)
    result.etag, result.bytes_transferred = shown.etag, digests.size
    return result


def _as_digested(chunks: t.Iterable[bytes], digests: Digests, key: str) -> t.Iterator[bytes]:
    """The chunks; an error at their end aborts the upload when they are not those that were digested."""
    seen = Tally()
    try:
        yield from seen.watch(chunks)
    except OSError:
        raise _changed_during_copy(key) from None
    if seen.sha256 != digests.sha256:
        raise _changed_during_copy(key)


def _changed_during_copy(key: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.STORE_FAILED,
        f"The file of {key} changed or went while it was sent.",
        left="The object is unchanged.",
        next_step="Run it again.",
    )


def _not_shown(store: ObjectStore, key: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.STORE_FAILED,
        f"{store.location} accepted {key}, but does not show it.",
        left="",
        next_step="Check the store, then run it again.",
    )


def _is_copy(store: ObjectStore, source: ObjectInfo, other: ObjectInfo) -> bool:
    """Whether both have the same bytes: by our digest or one ETag, else by reading.

    Two ETags that differ prove different bytes only where neither is missing or made of parts.
    """
    if source.size != other.size:
        return False
    same = same_etag(source.etag, other.etag)
    if same or _both_digests(source, other):
        return True
    if same is False and "-" not in bare_etag(source.etag) + bare_etag(other.etag):
        return False
    return _have_same_bytes(store, source, other)


def _have_same_bytes(store: ObjectStore, source: ObjectInfo, other: ObjectInfo) -> bool:
    if source.size != other.size:
        return False
    return digests_of(store.read(source.key)) == digests_of(store.read(other.key))


def _as_folder(prefix: str) -> str:
    """A folder's keys begin with its name and a slash; else "site" would be "site-old" as well."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _refuse_to_empty(
    options: TransferOptions, sending: t.Sized, receiving: t.Sized, sender: str, receiver: str
) -> None:
    if options.delete and not sending and receiving:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"There is nothing in {sender}, so that with delete all {len(receiving)} files of {receiver} would go.",
            next_step="Check the names; to delete on purpose, use state=absent or remove the folder.",
        )


@contextlib.contextmanager
def _counted(done: str) -> t.Iterator[t.Callable[[], None]]:
    """Add to an error the number of files that were finished before it."""
    counter = [0]

    def count() -> None:
        counter[0] += 1

    try:
        yield count
    except RecoveryError as error:
        left = f"{counter[0]} files were {done} before it, the others are unchanged."
        raise error.restated(left=left, details={"changed": counter[0] > 0, **error.details}) from None


def _partial_path(path: str) -> str:
    """A hidden name in the same folder that no other file has, also when the name is long."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, PARTIAL + hashlib.sha256(name.encode()).hexdigest()[:24])


def _headers_fit(info: ObjectInfo, wanted: Headers) -> bool:
    """Whether every header that was asked for is there already."""
    if info.headers is None:
        return True
    metadata = info.headers.metadata
    return all(
        value in (None, getattr(info.headers, name)) for name, value in vars(wanted).items() if name != "metadata"
    ) and all(metadata.get(name) == value for name, value in wanted.metadata.items())


def _refuse_taken(store: ObjectStore, key: str, there: t.Optional[ObjectInfo], options: TransferOptions) -> None:
    if there is not None and options.if_none_match:
        raise RecoveryError(
            ErrorKind.ALREADY_EXISTS,
            f"There is an object {key} in {store.location} already.",
            left="The object is unchanged.",
            next_step="Choose another key, or leave if_none_match out.",
        )


def _refuse_names(listed: t.Mapping[str, ObjectInfo], folder: str) -> None:
    refuses = DirectoryStore(folder).refuses
    problems = {name: refuses(name, item.size) for name, item in listed.items()}
    sizes = sorted((name, item.size) for name, item in listed.items())
    problems.update(dict.fromkeys(excluded_names(sizes, refuses), EXCLUDED_FILE))
    refused = [f"{name!r} ({problem})" for name, problem in problems.items() if problem]
    if refused:
        more = "; ..." if len(refused) > 10 else ""
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The folder {folder} cannot hold {len(refused)} of {len(listed)} keys: {'; '.join(refused[:10])}{more}.",
            next_step="Download each of them by itself, with a dest of your choice.",
        )


def _digest_of(info: ObjectInfo) -> t.Optional[str]:
    return info.headers.metadata.get(DIGEST) if info.headers else None


def _both_digests(one: ObjectInfo, other: ObjectInfo) -> bool:
    return _digest_of(one) is not None and _digest_of(one) == _digest_of(other)


def _type_of(path: str) -> t.Optional[str]:
    return mimetypes.guess_type(path)[0]


def _sorted(result: TransferResult) -> TransferResult:
    result.created.sort()
    result.updated.sort()
    result.changed = bool(result.created or result.updated or result.deleted)
    return result


@contextlib.contextmanager
def _disk_errors(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = ErrorKind.SPOOL_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ErrorKind.ACCESS_DENIED
        raise RecoveryError(
            kind,
            f"{path} cannot be written: {error.strerror}.",
            left=f"{path} is unchanged; the downloaded part is kept in the same folder, and the next run resumes.",
            next_step="Make room or correct the path, then run it again.",
        ) from None
