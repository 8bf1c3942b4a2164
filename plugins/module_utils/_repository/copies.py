# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of sets in further stores: the stored bytes as they are, proved on their way, the manifest last."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.digest import Tally
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.parallel import for_each
from .._store.base import ObjectStore, put_proved, read_all
from .audit import write_audit
from .catalogue import is_unreadable, list_sets, load_set, previous_set
from .layout import SetName, objects_prefix, set_key
from .manifest import Manifest, ObjectEntry, without_etags
from .references import check_presence, referenced_objects


@dataclass(frozen=True)
class CopiedSet:
    """The cost of a copy: objects and stored bytes that were sent, without those that the target had."""

    set_id: str
    objects: int
    bytes_copied: int


def copy_to_all(store: ObjectStore, manifest: Manifest) -> None:
    """Bring every copy of the store up to this set, with older sets that it missed since its newest one.

    An undo set is not copied, because it must not wait for another store. Raises RecoveryError(copy_failed)
    that names each store that failed; the set itself is whole.
    """
    if manifest.tier == "undo":
        return
    failures = []
    for target in store.copies:
        try:
            copy_missing(store, target, manifest.source, manifest.tier)
        except RecoveryError as error:
            failures.append(f"{target.location}: {error.what}")
    if failures:
        raise RecoveryError(
            ErrorKind.COPY_FAILED,
            f"The set {manifest.set_id} is in {store.location}, but was not copied: {' '.join(failures)}",
            left="The set itself is whole.",
            next_step="Mend the copy; the next backup brings it up to date.",
            details={"set_id": manifest.set_id, "changed": True},
        )


def copy_missing(first: ObjectStore, second: ObjectStore, source: str, tier: str) -> t.List[CopiedSet]:
    """Copy the sets of a tier that are newer than the newest in second; only the newest, when second has none.

    A set that is damaged stops none of the others. Raises its error, or the error of the store, at the end.
    """
    there = {name.set_id for name in list_sets(second, source, tier)}
    names = [name for name in list_sets(first, source, tier) if name.set_id not in there]
    newest = max(there, default="")
    wanted = [name for name in names if name.set_id > newest] if there else names[-1:]
    copied: t.List[CopiedSet] = []
    failure: t.Optional[RecoveryError] = None
    for name in wanted:
        try:
            copied.append(copy_set(first, second, name))
        except RecoveryError as error:
            if not is_unreadable(error) and error.kind != ErrorKind.OBJECT_MISSING:
                raise
            failure = failure or error
    if failure is not None:
        raise failure
    return copied


def copy_set(first: ObjectStore, second: ObjectStore, name: SetName, *, parallel: int = 8) -> CopiedSet:
    """Copy one set. Raises RecoveryError: damaged when the first store's bytes are not as recorded."""
    manifest = load_set(first, name)
    previous = previous_set(second, name.source, name.tier)
    held = {entry.key: entry.stored_sha256 for entry in previous.objects} if previous else {}
    with NameIndex() as there:
        there.add_all((item.key, item.size) for item in second.list(objects_prefix(name.source, name.tier)))

        def missing() -> t.Iterator[ObjectEntry]:
            for entry in referenced_objects(first, manifest):
                # The same content may be compressed to other bytes, which only the digest shows.
                same = held.get(entry.key, entry.stored_sha256) == entry.stored_sha256
                if there.get(entry.key) != entry.stored_size or not same:
                    there.add(entry.key, entry.stored_size)
                    yield entry

        sizes = list(for_each(missing(), lambda entry: _copy_object(first, second, entry), parallel=parallel))
    # An ETag is the first store's own, and would make the second's object look replaced. All else is copied as it is
    # stored, with the code that authenticates it, which a host without the key could not write.
    document = without_etags(read_all(first, set_key(*name)), set_key(*name))
    put_proved(second, set_key(*name), document, if_absent=True)
    size = sum(sizes)
    write_audit(second, name.source, "copy", "succeeded", {"set_id": name.set_id, "tier": name.tier, "bytes": size})
    return CopiedSet(name.set_id, len(sizes), size)


def _copy_object(first: ObjectStore, second: ObjectStore, entry: ObjectEntry) -> int:
    tally = Tally()
    second.put(entry.key, _proved(first, entry, tally))
    check_presence(second, entry)
    return tally.size


def _proved(store: ObjectStore, entry: ObjectEntry, tally: Tally) -> t.Iterator[bytes]:
    """The stored bytes; an error at their end aborts the upload, so nothing bad becomes visible."""
    yield from tally.watch(store.read(entry.key))
    if (tally.size, tally.sha256) != (entry.stored_size, entry.stored_sha256):
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The object {entry.key} in {store.location} does not match its manifest.",
            left="The object was not copied.",
            next_step="Run backup_verify on the set, then back up again.",
            damaged=[entry.key],
        )
