# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a store holds: sets, their manifests, and what was verified."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.notices import note
from .._core.parallel import in_order
from .._store.base import ObjectStore, read_all
from .clocks import latest_plausible
from .layout import TIERS, SetName, parse_set_key, set_key, sets_prefix
from .manifest import Manifest, parse_manifest
from .recovery_points import Selection, is_safety_copy, select
from .verification import Verification, record_verification, verifications

__all__ = [
    "UnreadableSet",
    "Verification",
    "find_set",
    "is_unreadable",
    "list_sets",
    "load_set",
    "load_sets",
    "older_set",
    "previous_set",
    "record_verification",
    "try_set",
    "try_sets",
    "verifications",
]

#: Errors that fail only operations that need this set.
_UNREADABLE = (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST, ErrorKind.NO_BACKUP_SET)


@dataclass(frozen=True)
class UnreadableSet:
    """A set whose manifest cannot be used, and why."""

    source: str
    tier: str
    set_id: str
    problem: str


def list_sets(store: ObjectStore, source: t.Optional[str] = None, tier: t.Optional[str] = None) -> t.List[SetName]:
    """Every set of a source, or of all sources, by recovery point. Only names are read."""
    found = []
    for prefix in _prefixes(source, tier):
        for item in store.list(prefix):
            name = parse_set_key(item.key)
            if name is not None and tier in (None, name.tier):
                found.append(name)
    return sorted(found, key=lambda name: (name.set_id, name.source, name.tier))


def load_set(store: ObjectStore, name: SetName) -> Manifest:
    """The manifest of a set. Raises RecoveryError(no_backup_set, unsupported_manifest or damaged)."""
    key = set_key(*name)
    try:
        data = read_all(store, key)
    except RecoveryError as error:
        if error.kind != ErrorKind.OBJECT_MISSING:
            raise
        raise RecoveryError(
            ErrorKind.NO_BACKUP_SET,
            f"The set {name.set_id} of {name.source!r} has no manifest at {store.location}, so it is not a backup.",
            next_step="List the sets with lifeline.recovery.backup_info.",
        ) from None
    return parse_manifest(data, key, name, store.sealing)


def load_sets(store: ObjectStore, names: t.Sequence[SetName]) -> t.Tuple[t.List[Manifest], t.List[UnreadableSet]]:
    """The manifests of the sets that can be read, in the order of names, and the sets that cannot be read.

    Damage in one set is no reason to stop what needs the others. Raises RecoveryError for what fails of the store.
    """
    manifests: t.List[Manifest] = []
    unreadable: t.List[UnreadableSet] = []
    for name, loaded in zip(names, try_sets(store, names)):
        if isinstance(loaded, Manifest):
            manifests.append(loaded)
        else:
            unreadable.append(UnreadableSet(*name, loaded.what))
    return manifests, unreadable


def is_unreadable(error: RecoveryError) -> bool:
    """Whether the error is of one set alone, so that work on other sets can continue."""
    return error.kind in _UNREADABLE


def find_set(store: ObjectStore, source: str, selection: Selection) -> Manifest:
    """The manifest of the set that the selection chooses.

    A set dated in the future is only chosen by its id. Raises RecoveryError as select and load_set; for an unreadable
    newest set it names the newest set that can be read, because older data must not be restored unasked.
    """
    names = list_sets(store, source)
    chosen = select(names, selection, source, latest_plausible(store))
    try:
        return load_set(store, chosen)
    except RecoveryError as error:
        if selection.which != "latest" or not is_unreadable(error):
            raise
        older = [name for name in names if name.tier == chosen.tier and name.set_id < chosen.set_id]
        readable = _newest_readable(store, older)
        if readable is None:
            raise
        raise error.restated(
            next_step=f"{error.next_step} The newest older set that can be read is {readable.set_id}: give it as set."
        ) from None


def older_set(store: ObjectStore, chosen: Manifest) -> t.Optional[SetName]:
    """The newest set of the source that is older and no safety copy."""
    names = list_sets(store, chosen.source)
    older = [name for name in names if name.set_id < chosen.set_id and not is_safety_copy(name.tier)]
    return older[-1] if older else None


def previous_set(store: ObjectStore, source: str, tier: str) -> t.Optional[Manifest]:
    """The newest readable set of a tier, or None when it has none."""
    return _newest_readable(store, list_sets(store, source, tier))


def _newest_readable(store: ObjectStore, names: t.Sequence[SetName]) -> t.Optional[Manifest]:
    for name in reversed(names):
        loaded = try_set(store, name)
        if isinstance(loaded, Manifest):
            return loaded
    return None


def try_set(store: ObjectStore, name: SetName) -> t.Union[Manifest, RecoveryError]:
    """The manifest, or why it cannot be used, which is also noted. Raises RecoveryError for what fails of the store."""
    try:
        return load_set(store, name)
    except RecoveryError as error:
        if not is_unreadable(error):
            raise
        note(f"The set {name.set_id} of {name.source} ({name.tier}) was left out: {error.what}")
        return error


def try_sets(store: ObjectStore, names: t.Sequence[SetName]) -> t.List[t.Union[Manifest, RecoveryError]]:
    """As try_set for several sets, in their order. Manifests are small, so that latency is what costs."""
    return in_order(names, lambda name: try_set(store, name), parallel=8)


def _prefixes(source: t.Optional[str], tier: t.Optional[str]) -> t.List[str]:
    if source is None:
        return [""]
    return [sets_prefix(source, one) for one in ([tier] if tier else TIERS)]
