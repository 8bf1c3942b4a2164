# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the manifest that makes stored objects a backup set. No other code builds a manifest."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .._core.clock import compact_instant, format_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.version import VERSION
from .._store.base import ObjectStore, put_proved
from .copies import copy_to_all
from .fingerprint import Fingerprint
from .layout import SetName, set_key
from .manifest import Manifest, ObjectEntry, parse_manifest

#: How many seconds later the set is named when the name of its recovery point is taken.
_ATTEMPTS = 5


@dataclass(frozen=True)
class StoredFile:
    """One file of a set as it was stored; uploaded is the number of bytes sent for it, 0 when it was reused."""

    entry: ObjectEntry
    uploaded: int


@dataclass(frozen=True)
class SetFacts:
    """The facts of a complete dump. began: when the backup started, by the clock of this host.

    sizes: for a set that needs more objects than its manifest lists; otherwise the sizes of the stored files are used.
    """

    engine: str
    recovery_point: datetime
    began: datetime
    server: t.Mapping[str, t.Any]
    coverage: t.Mapping[str, t.Any]
    lsn: t.Optional[str] = None
    client: t.Mapping[str, t.Any] = field(default_factory=dict)
    fingerprint: t.Optional[Fingerprint] = None
    sizes: t.Optional[t.Mapping[str, int]] = None


def commit_set(
    store: ObjectStore,
    source: str,
    tier: str,
    facts: SetFacts,
    stored: t.Sequence[StoredFile],
    timings: t.Mapping[str, float],
) -> Manifest:
    """Write the manifest of a set, then the copies of the set. Returns the manifest as it was written.

    If another set has the name of the recovery point, the set is named one second later.
    Raises RecoveryError(copy_failed) when the set exists in this store, but not in every copy.
    """
    manifest = Manifest(
        set_id=compact_instant(facts.recovery_point),
        source=source,
        tier=tier,
        engine=facts.engine,
        recovery_point=format_instant(facts.recovery_point),
        lsn=facts.lsn,
        created_at=format_instant(facts.began),
        finished_at=format_instant(utc_now()),
        tool_version=VERSION,
        server=dict(facts.server),
        client=dict(facts.client),
        objects=tuple(item.entry for item in stored),
        fingerprint=facts.fingerprint,
        coverage=dict(facts.coverage),
        sizes=dict(facts.sizes or sizes_of(stored)),
        timings=dict(timings),
        recipients=store.sealing.recipients,
    )
    for attempt in range(_ATTEMPTS):
        key = set_key(source, tier, manifest.set_id)
        try:
            put_proved(store, key, _document(store, manifest, key), if_absent=True)
        except RecoveryError as error:
            if error.kind != ErrorKind.ALREADY_EXISTS:
                raise
            later = facts.recovery_point + timedelta(seconds=attempt + 1)
            manifest = replace(manifest, set_id=compact_instant(later))
            continue
        copy_to_all(store, manifest)
        return manifest
    raise RecoveryError(
        ErrorKind.ALREADY_EXISTS,
        f"The store has sets of {source!r} for this second and the next {_ATTEMPTS - 1} seconds.",
        left="No set was written.",
        next_step="Run the backup again.",
    )


def sizes_of(stored: t.Sequence[StoredFile]) -> t.Dict[str, int]:
    """The sizes of a set in bytes, for its manifest. An object that several files share is counted once."""
    held = sum(entry.stored_size for entry in {item.entry.key: item.entry for item in stored}.values())
    uploaded = sum(item.uploaded for item in stored)
    return {
        "plain": sum(item.entry.plain_size for item in stored),
        "stored": held,
        "uploaded": uploaded,
        "reused": held - uploaded,
    }


def _document(store: ObjectStore, manifest: Manifest, key: str) -> bytes:
    """The manifest as it is stored, parsed first: a manifest that readers refuse must not be written."""
    data = manifest.to_json(store.sealing)
    try:
        parse_manifest(data, key, SetName(manifest.source, manifest.tier, manifest.set_id), store.sealing)
    except RecoveryError as error:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"This backup cannot be described in a manifest. {error.what}",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Report it with the names of the tables or files concerned.",
        ) from None
    return data
