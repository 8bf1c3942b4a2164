# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thaws a set in an archive storage class: requests every object, and waits until all are readable."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL
from .._core.parallel import for_each
from .._core.sizes import readable_seconds
from .._store.base import ObjectStore
from .manifest import Manifest
from .references import distinct_objects


@dataclass(frozen=True)
class ThawRequest:
    """days: how long the objects stay readable. If wait_seconds is 0, the thaw is requested and not awaited."""

    days: int = 3
    speed: t.Literal["expedited", "standard", "bulk"] = "standard"
    wait_seconds: int = 0
    poll_seconds: int = 60
    parallel: int = field(default=8, metadata=INTERNAL)
    check_mode: bool = False


@dataclass(frozen=True)
class ThawResult:
    """readable: the number of readable objects; changed: whether any had to be requested."""

    changed: bool
    set_id: str
    objects: int
    readable: int
    ready: bool
    timings: t.Mapping[str, float]
    summary: str


def thaw_set(store: ObjectStore, manifest: Manifest, request: ThawRequest) -> ThawResult:
    """Request the archived objects, and wait as long as the request allows.

    Raises RecoveryError: timeout if an object is not readable by then; the store continues to thaw requested objects.
    """
    timings = Timings()
    deadline = time.monotonic() + request.wait_seconds
    asked = False
    while True:
        with timings.phase("ask"):
            total, readable = _ask(store, manifest, request)
        asked = asked or readable < total
        if readable == total or request.check_mode or time.monotonic() >= deadline:
            break
        with timings.phase("wait"):
            time.sleep(min(request.poll_seconds, max(0.0, deadline - time.monotonic())))
    if readable < total and request.wait_seconds and not request.check_mode:
        raise RecoveryError(
            ErrorKind.TIMEOUT,
            f"{readable} of {total} objects of set {manifest.set_id} are readable after "
            f"{readable_seconds(request.wait_seconds)}.",
            left="The store continues to thaw the others.",
            next_step="Run it again later, or with a longer wait_seconds.",
            details={"objects": total, "readable": readable, "changed": True},
        )
    return ThawResult(
        changed=asked,
        set_id=manifest.set_id,
        objects=total,
        readable=readable,
        ready=readable == total,
        timings=timings.as_dict(),
        summary=f"{readable} of {total} objects of set {manifest.set_id} of {manifest.source} are readable.",
    )


def _ask(store: ObjectStore, manifest: Manifest, request: ThawRequest) -> t.Tuple[int, int]:
    def is_readable(key: str) -> bool:
        if request.check_mode:
            info = store.head(key)
            return info is not None and not info.archived
        return store.thaw(key, days=request.days, speed=request.speed)

    # The inventory of a bucket lists its other objects, so it must be readable first.
    parts = [is_readable(entry.key) for entry in manifest.objects if entry.role in ("inventory", "references")]
    if not all(parts):
        return len(manifest.objects), sum(parts)
    keys = (entry.key for entry in distinct_objects(store, manifest))
    readable = list(for_each(keys, is_readable, parallel=request.parallel))
    return len(readable), sum(readable)
