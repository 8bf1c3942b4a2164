# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a store holds: sets, their manifests, and what was verified."""

from __future__ import annotations

import contextlib
import json
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore, read_all
from .layout import TIERS, SetName, parse_set_key, set_key, sets_prefix, verified_key, verified_prefix
from .manifest import Manifest, parse_manifest
from .recovery_points import Selection, select

#: From the shallowest.
_DEPTHS = ("presence", "digests", "decode")


@dataclass(frozen=True)
class Verification:
    """The last verification of a set. damaged lists the object keys that were not as recorded."""

    set_id: str
    verified_at: str
    depth: str
    status: str
    damaged: t.Tuple[str, ...] = ()


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
    manifest = parse_manifest(data, key, store.sealing)
    if (manifest.source, manifest.tier, manifest.set_id) != tuple(name):
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The manifest {key} belongs to {manifest.source}/{manifest.tier}/{manifest.set_id}.",
            next_step="It was copied or renamed by hand; restore from its own place.",
        )
    return manifest


def find_set(store: ObjectStore, source: str, selection: Selection) -> Manifest:
    """The manifest of the set that the selection chooses."""
    return load_set(store, select(list_sets(store, source), selection, source))


def previous_set(store: ObjectStore, source: str, tier: str) -> t.Optional[Manifest]:
    """The newest readable set of a tier, or None when it has none."""
    for name in reversed(list_sets(store, source, tier)):
        try:
            return load_set(store, name)
        except RecoveryError as error:
            if error.kind not in (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST):
                raise
    return None


def verifications(store: ObjectStore, source: str, tier: str) -> t.Dict[str, Verification]:
    """Set id to its last verification, for every set of the tier that was ever verified. A broken record is none."""
    found = {}
    for item in store.list(verified_prefix(source, tier)):
        one = _verification(store, item.key)
        if one is not None:
            found[one.set_id] = one
    return found


def _verification(store: ObjectStore, key: str) -> t.Optional[Verification]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        document = json.loads(read_all(store, key))
        return Verification(**{**document, "damaged": tuple(document["damaged"])})
    return None


def record_verification(store: ObjectStore, source: str, tier: str, verification: Verification) -> None:
    """Note it, unless it found nothing because it did not look as deep as one that found damage."""
    key = verified_key(source, tier, verification.set_id)
    known = _verification(store, key) if verification.status == "passed" and store.head(key) is not None else None
    deeper = _DEPTHS[_DEPTHS.index(verification.depth) + 1 :]
    if known is not None and known.status != "passed" and known.depth in deeper:
        return
    document = json.dumps({**vars(verification), "damaged": list(verification.damaged)}, sort_keys=True)
    store.put(key, [document.encode() + b"\n"])


def _prefixes(source: t.Optional[str], tier: t.Optional[str]) -> t.List[str]:
    if source is None:
        return [""]
    return [sets_prefix(source, one) for one in ([tier] if tier else TIERS)]
