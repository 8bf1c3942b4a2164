# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what a backup of a bucket has to read: what the bucket lists, compared with the last inventory."""

from __future__ import annotations

import typing as t

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.name_index import NameIndex
from ..._core.parallel import for_each
from ..._core.progress import Progress
from ..._repository.catalogue import list_sets, load_set
from ..._repository.content import Recorded, Seen, StoredContent
from ..._repository.layout import object_key, objects_prefix
from ..._repository.manifest import BUCKET_ENGINE, Manifest
from ..._repository.references import sample
from ..._store.base import ObjectInfo, ObjectStore
from .inventory import Catalogue, FileEntry, parse_line
from .inventory_parts import inventory_lines, part_lines


class ListedPresence:
    """Knows what a tier holds from one listing, and asks only for an object that would be reused."""

    def __init__(self, store: ObjectStore, source: str, tier: str, catalogue: Catalogue) -> None:
        self._store, self._source, self._tier, self._catalogue = store, source, tier, catalogue
        self._listed = NameIndex()

    def take_listing(self) -> None:
        prefix = objects_prefix(self._source, self._tier)
        self._listed.add_all((item.key.rpartition("/")[2], item.size) for item in self._store.list(prefix))

    def look(self, name: str, key: str) -> Seen:
        info = self._store.head(key) if name in self._listed else None
        held = self._catalogue.held(name)
        # The catalogue knows only the objects that the last set needs.
        return Seen(info.size if info else None, None, Recorded(*held) if held else None, others_may_need_it=True)

    def remember(self, digest: str, stored: StoredContent) -> None:
        self._catalogue.remember(digest, vars(stored))

    def remembered(self, digest: str) -> t.Optional[StoredContent]:
        found = self._catalogue.remembered(digest)
        return StoredContent(**found) if found else None

    def forget_lost(self, damaged: t.Collection[str], *, parallel: int) -> None:
        """Take the lines of files whose object is missing or damaged out of the catalogue. damaged: keys of objects."""
        known = map(parse_line, self._catalogue.lines())
        for key in [entry.key for entry in known if not self._is_listed(entry) or self._key(entry) in damaged]:
            self._catalogue.forget(key)
        # Listings may be stale, so a sample of objects is checked with HEAD, and all of them when one is missing.
        chosen: t.Iterable[FileEntry] = map(parse_line, sample(self._catalogue.lines()))
        for _pass in range(2):
            lost = [key for key in for_each(chosen, self._lost, parallel=parallel) if key is not None]
            if not lost:
                break
            for key in lost:
                self._catalogue.forget(key)
            chosen = map(parse_line, self._catalogue.lines())

    def close(self) -> None:
        self._listed.close()

    def _is_listed(self, entry: FileEntry) -> bool:
        return self._listed.get(entry.object) == entry.stored_size

    def _lost(self, entry: FileEntry) -> t.Optional[str]:
        """The key of a file whose object the store does not show."""
        info = self._store.head(self._key(entry))
        return None if info is not None and info.size == entry.stored_size else entry.key

    def _key(self, entry: FileEntry) -> str:
        return object_key(self._source, self._tier, entry.object)


def take_previous(store: ObjectStore, source: str, tier: str, catalogue: Catalogue, state_dir: t.Optional[str]) -> bool:
    """Read the inventory of the newest readable set into the catalogue. If there is none, every file counts as new.

    Returns whether this host cannot decrypt the inventory: then only the objects of the set are known.
    """
    for name in reversed(list_sets(store, source, tier)):
        try:
            manifest = load_set(store, name)
            if manifest.engine == BUCKET_ENGINE:
                return _take_one(store, manifest, catalogue, state_dir)
        except RecoveryError as error:
            catalogue.clear_old()
            if error.kind not in (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST, ErrorKind.OBJECT_MISSING):
                raise
    return False


def _take_one(store: ObjectStore, manifest: Manifest, catalogue: Catalogue, state_dir: t.Optional[str]) -> bool:
    if set(manifest.recipients) != set(store.sealing.recipients):
        # Objects for other recipients cannot be read by the recipients of now, or by more than those.
        return False
    try:
        lines = inventory_lines(store, manifest, state_dir)
        # Sets of earlier versions know only the clock of the backup host.
        catalogue.add_old(lines, str(manifest.server.get("listed_at") or manifest.recovery_point))
        catalogue.add_held(catalogue.old_lines(), judged=True)
        return False
    except RecoveryError as error:
        if error.kind != ErrorKind.NO_IDENTITY:
            raise
        catalogue.clear_old()
        catalogue.add_held(part_lines(store, manifest, "references"))
        return True


def listed_files(
    origin: ObjectStore, prefixes: t.Sequence[str], keys: t.Optional[t.Sequence[str]], progress: Progress
) -> t.Iterator[ObjectInfo]:
    """The files of a bucket below some prefixes, or those of some keys."""
    if keys is not None:
        for key in keys:
            info = origin.head(key)
            if info is not None:
                yield info
        return
    for prefix in prefixes or ("",):
        for info in origin.list(prefix):
            progress.add(1, info.size)
            # The object of the prefix itself is no file below it.
            if info.key:
                yield info
