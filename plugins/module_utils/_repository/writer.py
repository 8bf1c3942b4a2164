# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns finished files into stored objects, and a complete collection of them into a backup set."""

from __future__ import annotations

import os
import threading
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from .._core.digest import file_chunks, file_tally
from .._core.plain_files import is_plain_name
from .._store.base import ObjectStore
from .catalogue import UnreadableSet, list_sets, load_sets, previous_set
from .commit import SetFacts, StoredFile, commit_set
from .content import ContentStore, Recorded, Seen, StoredContent
from .manifest import ROLES, Manifest, ObjectEntry
from .packing import always


@dataclass(frozen=True)
class _File:
    path: str
    role: str
    schema: str
    table: str
    encrypted: bool


class SetWriter:
    """Stores files under the digest of their plain bytes and commits the set at the end.

    Used as a context: leaving it without commit leaves no set, at most unreferenced objects.
    """

    #: Called when a file failed, for an engine that adds files from a running program.
    on_failure: t.Optional[t.Callable[[], None]] = None

    def __init__(
        self,
        store: ObjectStore,
        source: str,
        tier: str,
        *,
        codec: str,
        parallel: int,
        level: t.Optional[int] = None,
    ) -> None:
        self._store, self._source, self._tier = store, source, tier
        packing = always(codec, level, parallel)
        self._content = ContentStore(store, source, tier, _ManifestPresence(store, source, tier), packing)
        self._pool = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="object")
        self._futures: t.List[Future[StoredFile]] = []
        self._stored: t.Optional[t.List[StoredFile]] = None

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._content.close()

    def add(
        self, folder: str, path: str, role: str, schema: str = "", table: str = "", *, encrypt: bool = True
    ) -> None:
        """Take a finished file: hash, store unless the tier has its content, and remove it from the folder.

        If encrypt is false, the file is readable without a key.
        """
        if role not in ROLES or not is_plain_name(path):
            raise ValueError(f"a set cannot hold the file {path!r} of the role {role!r}")
        file = _File(path, role, schema, table, encrypt and self._store.sealing.encrypts)
        future = self._pool.submit(self._take, os.path.join(folder, path), file)
        future.add_done_callback(self._report_failure)
        self._futures.append(future)

    def finish(self) -> t.List[StoredFile]:
        """Wait for all files; then ask the store for each object, because only what the store shows exists."""
        if self._stored is None:
            self._stored = list(self._pool.map(self._confirm, [future.result() for future in self._futures]))
        return self._stored

    def raise_failure(self) -> None:
        """Raise what stopped the first file that failed, if one did."""
        for future in self._futures:
            if future.done() and not future.cancelled():
                future.result()

    def commit(self, facts: SetFacts, timings: t.Mapping[str, float]) -> Manifest:
        """Finish, and write the manifest of the set. Raises as commit_set."""
        return commit_set(self._store, self._source, self._tier, facts, self.finish(), timings)

    def _report_failure(self, future: Future[StoredFile]) -> None:
        if self.on_failure is not None and not future.cancelled() and future.exception() is not None:
            self.on_failure()

    def _take(self, path: str, file: _File) -> StoredFile:
        plain = file_tally(path)
        stored = self._content.store(plain, lambda: file_chunks(path), encrypt=file.encrypted)
        os.unlink(path)
        entry = ObjectEntry(
            key=stored.key,
            codec=stored.codec,
            plain_size=plain.size,
            plain_sha256=plain.sha256,
            stored_size=stored.size,
            stored_sha256=stored.sha256,
            etag=stored.etag,
            **vars(file),
        )
        return StoredFile(entry, stored.uploaded or 0)

    def _confirm(self, stored: StoredFile) -> StoredFile:
        entry = stored.entry
        etag = self._content.confirm(entry.key, entry.stored_size, entry.etag)
        if not stored.uploaded:
            # Its lock began with the set that stored it, and must last as long as this one's.
            self._store.retain(entry.key)
        return replace(stored, entry=replace(entry, etag=etag))


class _ManifestPresence:
    """Asks the store for each object, and the manifests of the tier for what it should be."""

    def __init__(self, store: ObjectStore, source: str, tier: str) -> None:
        self._store, self._source, self._tier = store, source, tier
        previous = previous_set(store, source, tier)
        self._previous = _recorded(previous.objects) if previous else {}
        self._older: t.Optional[t.Dict[str, Recorded]] = None
        self._unreadable: t.Sequence[UnreadableSet] = ()
        self._remembered: t.Dict[str, StoredContent] = {}
        self._lock = threading.Lock()

    def look(self, name: str, key: str) -> Seen:
        recorded = self._previous.get(key)
        info = self._store.head(key)
        if info is None:
            return Seen(recorded=recorded)
        if recorded is None:
            # An older set may describe these bytes; storing others over them would damage that set.
            recorded = self._older_objects().get(key)
        return Seen(info.size, info.etag, recorded, bool(self._unreadable))

    def remember(self, digest: str, stored: StoredContent) -> None:
        self._remembered[digest] = stored

    def remembered(self, digest: str) -> t.Optional[StoredContent]:
        return self._remembered.get(digest)

    def _older_objects(self) -> t.Dict[str, Recorded]:
        """The objects of the readable sets of the tier. Unreadable sets may have more."""
        with self._lock:
            if self._older is None:
                names = list_sets(self._store, self._source, self._tier)
                manifests, self._unreadable = load_sets(self._store, names)
                # The oldest set that describes an object wins.
                self._older = _recorded(entry for manifest in reversed(manifests) for entry in manifest.objects)
            return self._older


def _recorded(entries: t.Iterable[ObjectEntry]) -> t.Dict[str, Recorded]:
    return {entry.key: Recorded(entry.codec, entry.stored_size, entry.stored_sha256, entry.etag) for entry in entries}
