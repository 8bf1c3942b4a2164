# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verification of a set of any kind: compare with the manifest, record, report."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.clock import format_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._engines.verifiers import VERIFIERS
from .._repository.audit import write_audit
from .._repository.manifest import Manifest
from .._repository.verification import Verification, record_verification
from .._repository.verifier import Verified, VerifyRequest, VerifyRun
from .._store.base import ObjectStore


@dataclass(frozen=True)
class VerifyResult:
    """A set that equals its manifest to that depth. bytes_read counts stored bytes."""

    changed: bool
    set_id: str
    source: str
    tier: str
    depth: str
    status: str
    objects: int
    bytes_read: int
    rows: t.Optional[int]
    tables: int
    timings: t.Mapping[str, float]
    summary: str


def verify_set(store: ObjectStore, manifest: Manifest, request: VerifyRequest) -> VerifyResult:
    """Verify a set and, if `record` is true, write the outcome to the store.

    The depth of the result is digests if the set is encrypted and could not be decrypted for a deeper verification.
    Raises RecoveryError: damaged or object_missing if the set differs from its manifest, which is recorded as well;
    client_missing, client_too_old or no_identity if the set cannot be decoded on this host.
    """
    run = VerifyRun(store, manifest, request)
    depth = "digests" if run.is_sealed and request.depth == "decode" else request.depth
    try:
        verified = _verified(run)
    except RecoveryError as error:
        if request.record and error.kind in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
            _record(store, manifest, depth, "failed", error.damaged)
        raise
    if request.record:
        _record(store, manifest, depth, "passed", ())
    as_stored = ", as stored" if run.is_sealed and depth == "digests" else ""
    return VerifyResult(
        changed=request.record,
        set_id=manifest.set_id,
        source=manifest.source,
        tier=manifest.tier,
        depth=depth,
        status="passed",
        objects=verified.objects,
        bytes_read=verified.bytes_read,
        rows=verified.rows,
        tables=sum(1 for entry in manifest.objects if entry.role in ("data", "table")),
        timings=run.timings.as_dict(),
        summary=(
            f"Set {manifest.set_id} of {manifest.source}: "
            f"{verified.objects} objects are as recorded ({depth}{as_stored})."
        ),
    )


def _verified(run: VerifyRun) -> Verified:
    verifier = VERIFIERS[run.manifest.engine]
    verified = verifier.presence(run)
    if run.request.depth == "presence":
        return verified
    return verifier.digests(run) if run.request.depth == "digests" else verifier.decode(run)


def _record(store: ObjectStore, manifest: Manifest, depth: str, status: str, damaged: t.Tuple[str, ...]) -> None:
    now = format_instant(utc_now())
    record_verification(
        store, manifest.source, manifest.tier, Verification(manifest.set_id, now, depth, status, damaged)
    )
    write_audit(
        store, manifest.source, "verify", status, {"set_id": manifest.set_id, "tier": manifest.tier, "depth": depth}
    )
