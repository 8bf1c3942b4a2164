# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last verification of each set and its depth: one small document for each set."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.clock import parse_instant
from .._core.shapes import instant, list_of, mapping_of, one_of, record, text
from .._store.base import ObjectStore
from .layout import verified_key, verified_prefix
from .records import Document, read_record, read_records, write_record

#: From the shallowest. presence asks the store for each object and reads none, so that it proves no content.
DEPTHS = ("presence", "digests", "decode")

_RECORD = record(
    {
        "set_id": text(r"\d{8}T\d{6}Z"),
        "verified_at": instant,
        "depth": one_of(*DEPTHS),
        "status": one_of("passed", "failed"),
        "damaged": list_of(text(longest=2000)),
        "passed": mapping_of(instant),
    },
    may_lack=("passed",),
)


@dataclass(frozen=True)
class Verification:
    """The last verification of a set. damaged lists the object keys that were not as recorded.

    passed: the instant of the last verification that passed at each depth, since the last one that failed.
    """

    set_id: str
    verified_at: str
    depth: str
    status: str
    damaged: t.Tuple[str, ...] = ()
    passed: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def proved_depth(self) -> t.Optional[str]:
        """The deepest verification that the set passed; None for one that failed, or was only seen to be present."""
        if self.status != "passed":
            return None
        known = {self.depth, *self.passed}
        return next((depth for depth in reversed(DEPTHS[1:]) if depth in known), None)

    @property
    def proved_at(self) -> t.Optional[str]:
        """When the content of the set was last read and found as recorded."""
        if self.proved_depth is None:
            return None
        known = {self.depth: self.verified_at, **self.passed}
        return max((known[depth] for depth in DEPTHS[1:] if depth in known), key=parse_instant)

    @property
    def failed(self) -> bool:
        return self.status != "passed"


def verifications(store: ObjectStore, source: str, tier: str) -> t.Dict[str, Verification]:
    """Set id to its last verification, for every set of the tier that was ever verified. A broken record is none."""
    documents = read_records(
        store, verified_prefix(source, tier), _RECORD, lambda set_id: verified_key(source, tier, set_id)
    )
    return {set_id: _verification(document) for set_id, document in documents.items()}


def record_verification(store: ObjectStore, source: str, tier: str, verification: Verification) -> None:
    """Write the record, unless a deeper verification found damage that this one did not look for."""
    key = verified_key(source, tier, verification.set_id)
    stored = read_record(store, key, _RECORD) if verification.status == "passed" else None
    known = _verification(stored) if stored is not None else None
    deeper = DEPTHS[DEPTHS.index(verification.depth) + 1 :]
    if known is not None and known.failed and known.depth in deeper:
        return
    passed: t.Dict[str, str] = {}
    if not verification.failed:
        if known is not None and not known.failed:
            passed.update({known.depth: known.verified_at, **known.passed})
        passed[verification.depth] = verification.verified_at
    document = {**vars(verification), "damaged": list(verification.damaged), "passed": passed}
    write_record(store, key, document)


def _verification(document: Document) -> Verification:
    return Verification(**{**document, "damaged": tuple(document["damaged"])})
