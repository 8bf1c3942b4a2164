# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applies retention to one source or to all, one change for each source."""

from __future__ import annotations

from datetime import datetime, timedelta

from .._core.errors import ErrorKind, RecoveryError
from .._repository.catalogue import list_sets
from .._repository.prune import PruneRequest, PruneResult, SourcePrune, prune_summary
from .._store.base import ObjectStore
from .change import perform


def prune(store: ObjectStore, request: PruneRequest, now: datetime) -> PruneResult:
    """Apply retention to a source, or to all. In check mode nothing is written, and the result is that of a real run.

    now must come from clocks that agree (agreed_now). A set that cannot be read is kept and listed, and stops the
    sweep of its tier, because the set may need any object.

    Raises RecoveryError: invalid_options for an unsound policy, unknown_source for a source without sets.
    """
    if request.policy is not None:
        if request.tier is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`tier` is required with the keep_ options, and none is named.",
                left="Nothing was removed.",
                next_step="Set `tier`, or leave the keep_ options out for the defaults of each tier.",
            )
        request.policy.require_sound()
    result = PruneResult()
    names = list_sets(store, request.source, request.tier)
    sources = sorted({name.source for name in names})
    if request.source is not None and not sources and not _has_objects(store, request.source):
        raise RecoveryError(
            ErrorKind.UNKNOWN_SOURCE,
            f"{store.location} holds no backup set of the source {request.source!r}.",
            next_step="Check source, bucket and prefix with lifeline.recovery.backup_info.",
        )
    for source in sources or ([request.source] if request.source else []):
        perform(SourcePrune(store, source, request, now, result))
    if not request.check_mode:
        # Not younger than a day, whatever the grace: an upload may be of a backup that runs.
        store.tidy(now - timedelta(seconds=max(request.grace, 86400)))
    result.changed = bool(result.removed or result.objects_removed or result.audit_removed)
    result.summary = prune_summary(result, request.check_mode)
    return result


def _has_objects(store: ObjectStore, source: str) -> bool:
    return next(iter(store.list(f"{source}/")), None) is not None
