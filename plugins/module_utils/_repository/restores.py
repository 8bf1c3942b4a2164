# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of the last restore of each set: one small document for each restored set.

Only facts of the set are recorded. A target that exists, lacks a role or is locked does not depend on the set.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from .._core.clock import format_instant, utc_now
from .._core.shapes import instant, integer, list_of, one_of, optional, record, text
from .._store.base import ObjectStore
from .layout import restored_key, restored_prefix
from .manifest import Manifest
from .records import read_records, write_record

#: How many objects a record names.
_NAMED = 20

_RECORD = record(
    {
        "set_id": text(r"\d{8}T\d{6}Z"),
        "restored_at": instant,
        "status": one_of("passed", "failed"),
        "error_kind": optional(text(longest=100)),
        "objects": list_of(text(longest=1000)),
        "object_count": integer(),
    }
)


@dataclass(frozen=True)
class RestoreOutcome:
    """The last restore of a set. objects names some of the object_count that were refused or not equal."""

    set_id: str
    restored_at: str
    status: str
    error_kind: t.Optional[str] = None
    objects: t.Tuple[str, ...] = ()
    object_count: int = 0

    @property
    def failed(self) -> bool:
        return self.status != "passed"


def record_restore(
    store: ObjectStore, manifest: Manifest, error_kind: t.Optional[str], objects: t.Sequence[str] = ()
) -> None:
    """Write how a restore of the set ended; error_kind is None if the restored data was equal to the set."""
    outcome = RestoreOutcome(
        manifest.set_id,
        format_instant(utc_now()),
        "passed" if error_kind is None else "failed",
        error_kind,
        tuple(name[:1000] for name in objects[:_NAMED]),
        len(objects),
    )
    document = {**asdict(outcome), "objects": list(outcome.objects)}
    write_record(store, restored_key(manifest.source, manifest.tier, manifest.set_id), document)


def restore_outcomes(store: ObjectStore, source: str, tier: str) -> t.Dict[str, RestoreOutcome]:
    """Set id to its last restore, for every set of the tier that was ever restored. A broken record is none."""
    documents = read_records(
        store, restored_prefix(source, tier), _RECORD, lambda set_id: restored_key(source, tier, set_id)
    )
    return {
        set_id: RestoreOutcome(**{**document, "objects": tuple(document["objects"])})
        for set_id, document in documents.items()
    }
