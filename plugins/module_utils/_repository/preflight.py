# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves what a store does by doing it: write, read back, list, and try to delete what a lock should hold."""

from __future__ import annotations

import secrets
import typing as t
from dataclasses import dataclass

from .._core.clock import Timings, compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore, read_all
from .layout import PROBES
from .lifecycle import judge_lifecycle

_RULES = {
    "safe": "no lifecycle rule deletes its objects",
    "unknown": "its lifecycle rules were NOT checked, because they may not be read",
}


@dataclass(frozen=True)
class StoreCheck:
    """The proved capabilities of the store. lock: held, absent, or refused where deleting is forbidden without a lock.

    lifecycle: safe, or unknown where the lifecycle rules of the bucket may not be read.
    """

    changed: bool
    location: str
    writes: bool
    reads: bool
    lists: bool
    conditional: bool
    encrypts: bool
    lock: str
    locked_until: t.Optional[str]
    lifecycle: str
    clock_difference: float
    timings: t.Mapping[str, float]
    summary: str


def check_store(store: ObjectStore, *, require_lock: bool) -> StoreCheck:
    """Write a probe and see what can be done with it; a probe that is locked stays until its lock ends.

    Raises RecoveryError: the store's own, store_failed when it does not give back what it took, not_locked when a
    lock is required or configured and the probe could be deleted, expiring_rule when a lifecycle rule of the bucket
    deletes objects of the store.
    """
    timings = Timings()
    with timings.phase("lifecycle"):
        lifecycle = judge_lifecycle(store)
    if lifecycle.expiring_rules:
        raise lifecycle.as_error(store.location)
    key, data = f"{PROBES}{compact_instant(utc_now())}-{secrets.token_hex(4)}", secrets.token_bytes(1000)
    with timings.phase("write"):
        store.sealing.require_usable()
        before = utc_now()
        store.put(key, [data])
    with timings.phase("read"):
        if read_all(store, key) != data:
            raise _lying(store, key, "gives back other bytes than it took")
        info = store.head(key)
        if info is None or info.size != len(data):
            raise _lying(store, key, "does not show what it took")
    with timings.phase("list"):
        if key not in {item.key for item in store.list(PROBES)}:
            raise _lying(store, key, "does not list what it took")
    with timings.phase("condition"):
        conditional = _refuses_second(store, key)
    with timings.phase("delete"):
        reason = store.remove(key)
        gone = store.head(key) is None
    if reason is None and not gone:
        raise _lying(store, key, "confirmed a deletion and still lists the object")
    locked = info.locked_until is not None
    lock = "absent" if gone else "held" if locked or require_lock else "refused"
    if gone and (require_lock or store.locks):
        raise RecoveryError(
            ErrorKind.NOT_LOCKED,
            f"{store.location} let a probe be deleted that a lock should hold.",
            left="Only the probe is gone.",
            next_step="Turn on object lock for the bucket, or add a lock rule with lifeline.recovery.r2_bucket_lock.",
        )
    return StoreCheck(
        changed=True,
        location=store.location,
        writes=True,
        reads=True,
        lists=True,
        conditional=conditional,
        encrypts=store.sealing.encrypts,
        lock=lock,
        locked_until=info.locked_until.isoformat() if info.locked_until else None,
        lifecycle=lifecycle.state,
        clock_difference=round((info.modified - before).total_seconds(), 1),
        timings=timings.as_dict(),
        summary=(
            f"{store.location} writes, reads and lists; its lock is {lock}; "
            f"it {'refuses' if conditional else 'allows'} a second object of one name; "
            f"{_RULES[lifecycle.state]}; {'encrypted' if store.sealing.encrypts else 'not encrypted'}."
        ),
    )


def _refuses_second(store: ObjectStore, key: str) -> bool:
    try:
        store.put(key, [b"second"], if_absent=True)
    except RecoveryError as error:
        if error.kind not in (ErrorKind.ALREADY_EXISTS, ErrorKind.ACCESS_DENIED):
            raise
        return True
    return False


def _lying(store: ObjectStore, key: str, what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.STORE_FAILED,
        f"{store.location} {what} ({key}).",
        left="Only a probe was written.",
        next_step="Do not trust it with backups before this is mended.",
    )
