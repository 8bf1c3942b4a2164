# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns finished files into stored objects, and a complete collection of them into a backup set."""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from .._core.clock import compact_instant
from .._core.codec import CODECS, compress, decompress
from .._core.digest import Tally, file_chunks, file_tally, same_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.plain_files import is_plain_name
from .._core.sealing import Sealing
from .._store.base import ObjectInfo, ObjectStore, put_proved
from .catalogue import UnreadableSet, list_sets, load_sets, previous_set, verifications
from .copies import copy_to_all
from .layout import SetName, object_key, set_key
from .manifest import ROLES, Manifest, ObjectEntry, parse_manifest

#: From this size on, compressing one file is worth several threads.
_LARGE = 64 * 1024 * 1024

_OPEN = Sealing()


@dataclass(frozen=True)
class StoredFile:
    """What became of one file; uploaded is the number of bytes sent for it, 0 when it was reused."""

    entry: ObjectEntry
    uploaded: int


class SetWriter:
    """Stores files under the digest of their plain bytes and commits the set at the end.

    on_failure is called when a file failed, for who feeds files and would else notice at the end.
    Used as a context: leaving it without commit leaves no set, at most unreferenced objects.
    """

    def __init__(
        self,
        store: ObjectStore,
        source: str,
        tier: str,
        *,
        codec: str,
        parallel: int,
        level: t.Optional[int] = None,
        on_failure: t.Optional[t.Callable[[], None]] = None,
    ) -> None:
        self._store, self._source, self._tier = store, source, tier
        self._codec, self._level = codec, level
        self._on_failure = on_failure
        self._pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="object")
        self._lock = threading.Lock()
        self._claimed: t.Dict[str, Future[StoredFile]] = {}
        # Processors that the uploads themselves leave over; each thread costs some 10 MB.
        self._threads = min(4, (os.cpu_count() or 1) // (parallel + 1))
        self._futures: t.List[Future[StoredFile]] = []
        self._older: t.Optional[t.Dict[str, ObjectEntry]] = None
        self._unreadable: t.Sequence[UnreadableSet] = ()
        previous = previous_set(store, source, tier)
        self._previous = {entry.key: entry for entry in previous.objects} if previous else {}
        self._damaged = {key for item in verifications(store, source, tier).values() for key in item.damaged}

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(
        self, folder: str, path: str, role: str, schema: str = "", table: str = "", *, encrypt: bool = True
    ) -> None:
        """Take a finished file: hash, store unless the tier has its content, and remove it from the folder.

        Without encrypt it stays readable for who holds no key.
        """
        encrypted = encrypt and self._store.sealing.encrypts
        if role not in ROLES or not is_plain_name(path):
            raise ValueError(f"a set cannot hold the file {path!r} of the role {role!r}")
        template = ObjectEntry(path, role, "", self._codec, 0, "", 0, "", schema, table, encrypted=encrypted)
        future = self._pool.submit(self._take, os.path.join(folder, path), template)
        future.add_done_callback(self._notice)
        self._futures.append(future)

    def finish(self) -> t.List[StoredFile]:
        """Wait for all files; then ask the store for each object, because only what it shows is there."""
        stored = [future.result() for future in self._futures]
        return list(self._pool.map(self._confirm, stored))

    def raise_failure(self) -> None:
        """Raise what stopped the first file that failed, if one did."""
        for future in self._futures:
            if future.done() and not future.cancelled():
                future.result()

    def commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest last, then the copies. A taken name moves on by a second. Returns it as written.

        Raises RecoveryError(copy_failed) when the set exists here, but not in every copy.
        """
        manifest = replace(manifest, recipients=self._store.sealing.recipients)
        for _attempt in range(5):
            key = set_key(self._source, self._tier, manifest.set_id)
            try:
                put_proved(self._store, key, self._document(manifest, key), if_absent=True)
                copy_to_all(self._store, manifest)
                return manifest
            except RecoveryError as error:
                if error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
            later = manifest.recovery_instant + timedelta(seconds=_attempt + 1)
            manifest = replace(manifest, set_id=compact_instant(later))
        raise RecoveryError(
            ErrorKind.ALREADY_EXISTS,
            f"Sets of {self._source!r} exist for this and the next seconds.",
            left="No set was written.",
            next_step="Run the backup again.",
        )

    def _document(self, manifest: Manifest, key: str) -> bytes:
        """The manifest as it is stored. What a reader would refuse must not be written, so it is read first."""
        data = manifest.to_json(self._store.sealing)
        try:
            parse_manifest(data, key, SetName(self._source, self._tier, manifest.set_id), self._store.sealing)
        except RecoveryError as error:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"This backup cannot be described in a manifest. {error.what}",
                left="No backup set was written; earlier sets are as they were.",
                next_step="Report it with the names of the tables or files concerned.",
            ) from None
        return data

    def _notice(self, future: Future[StoredFile]) -> None:
        if self._on_failure is not None and not future.cancelled() and future.exception() is not None:
            self._on_failure()

    def _take(self, file: str, template: ObjectEntry) -> StoredFile:
        tally = file_tally(file)
        with self._lock:
            twin = self._claimed.get(tally.sha256)
            mine: Future[StoredFile] = Future()
            if twin is None:
                self._claimed[tally.sha256] = mine
        if twin is not None:
            entry = twin.result().entry
            os.unlink(file)
            return StoredFile(
                replace(entry, path=template.path, role=template.role, schema=template.schema, table=template.table), 0
            )
        try:
            stored = self._store_file(file, tally, template)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(stored)
        os.unlink(file)
        return stored

    def _store_file(self, file: str, tally: Tally, template: ObjectEntry) -> StoredFile:
        sealing = self._store.sealing if template.encrypted else _OPEN
        key, known = self._place(tally.sha256, tally.size, sealing)
        if known is not None:
            entry = replace(known, plain_sha256=tally.sha256, path=template.path, role=template.role)
            return StoredFile(replace(entry, schema=template.schema, table=template.table), 0)
        threads = self._threads if tally.size >= _LARGE else 0
        packed = Tally()
        chunks = compress(file_chunks(file), self._codec, level=self._level, threads=threads)
        self._store.put(key, packed.watch(sealing.encrypt(chunks)))
        entry = replace(
            template,
            key=key,
            plain_size=tally.size,
            plain_sha256=tally.sha256,
            stored_size=packed.size,
            stored_sha256=packed.sha256,
        )
        return StoredFile(entry, packed.size)

    def _place(self, plain_sha256: str, size: int, sealing: Sealing) -> t.Tuple[str, t.Optional[ObjectEntry]]:
        """Where the content lies or will lie, and its entry when the tier holds it whole."""
        generation = 0
        while True:
            key = object_key(self._source, self._tier, sealing.name_of(self._source, plain_sha256, generation))
            entry = self._previous.get(key)
            info = self._store.head(key)
            if info is not None and entry is None:
                # An older set may describe these bytes; storing others over them would damage that set.
                entry = self._older_entries().get(key)
            if info is not None and entry is not None and key not in self._damaged and _is_as_recorded(info, entry):
                return key, entry
            # Encrypted anew it has other bytes, which must not take the place of what a set describes.
            taken = entry is not None or key in self._damaged or (info is not None and bool(self._unreadable))
            if not sealing.encrypts and info is not None and entry is None and self._unreadable:
                return key, self._adopted(key, plain_sha256, size, info)
            if not sealing.encrypts or not taken:
                return key, None
            generation += 1

    def _older_entries(self) -> t.Dict[str, ObjectEntry]:
        """What the readable sets of the tier describe. The others are noted, because they may describe more."""
        with self._lock:
            if self._older is None:
                self._older = {}
                names = list_sets(self._store, self._source, self._tier)
                manifests, self._unreadable = load_sets(self._store, names)
                for entry in (entry for manifest in manifests for entry in manifest.objects):
                    self._older.setdefault(entry.key, entry)
            return self._older

    def _adopted(self, key: str, plain_sha256: str, size: int, info: ObjectInfo) -> t.Optional[ObjectEntry]:
        """An object that only an unreadable set may describe, read and found to hold the content; else None.

        Other bytes in its place would damage that set, should its manifest be repaired.
        """
        for codec in dict.fromkeys((self._codec, *CODECS)):
            stored, plain = Tally(), Tally()
            with contextlib.suppress(RecoveryError):
                for chunk in decompress(stored.watch(self._store.read(key)), codec, limit=size):
                    plain.add(chunk)
                if plain.sha256 == plain_sha256 and stored.size == info.size:
                    return ObjectEntry("", "data", key, codec, size, plain_sha256, stored.size, stored.sha256)
        return None

    def _confirm(self, stored: StoredFile) -> StoredFile:
        info = self._store.head(stored.entry.key)
        if info is None or not _is_as_recorded(info, stored.entry):
            seen = "missing" if info is None else f"{info.size} bytes"
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"{self._store.location} accepted {stored.entry.key} with {stored.entry.stored_size} bytes, "
                f"but shows it as {seen}.",
                left="No backup set was written; earlier sets are as they were.",
                next_step="Check the store, then run the backup again.",
            )
        if not stored.uploaded:
            # Its lock began with the set that stored it, and must last as long as this one's.
            self._store.retain(stored.entry.key)
        return replace(stored, entry=replace(stored.entry, etag=info.etag))


def sizes_of(stored: t.Sequence[StoredFile]) -> t.Dict[str, int]:
    """What a manifest says of the sizes of a set, in bytes. An object that several files share is stored once."""
    held = sum(entry.stored_size for entry in {item.entry.key: item.entry for item in stored}.values())
    uploaded = sum(item.uploaded for item in stored)
    return {
        "plain": sum(item.entry.plain_size for item in stored),
        "stored": held,
        "uploaded": uploaded,
        "reused": held - uploaded,
    }


def _is_as_recorded(info: ObjectInfo, entry: ObjectEntry) -> bool:
    return info.size == entry.stored_size and same_etag(info.etag, entry.etag) is not False
