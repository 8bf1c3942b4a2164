# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the clock of this host with that of the store: dates decide which set is the newest and which set goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from .._core.clock import format_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.sizes import readable_seconds
from .._store.base import ObjectStore

#: The difference of clocks up to which dates are trusted: clocks drift by seconds, and a host with the wrong daylight
#: saving time differs by an hour.
TOLERANCE = timedelta(hours=2)


def latest_plausible(store: ObjectStore) -> datetime:
    """The latest instant that a set may be dated. The later of the two clocks counts, and the tolerance is added."""
    return max(utc_now(), store.now()) + TOLERANCE


def agreed_now(store: ObjectStore) -> datetime:
    """The earlier of the two clocks, which lets everything stay longer.

    Raises RecoveryError(clock_wrong) when the host's clock and the store's differ by more than the tolerance.
    """
    host, theirs = utc_now(), store.now()
    if abs(host - theirs) > TOLERANCE:
        raise RecoveryError(
            ErrorKind.CLOCK_WRONG,
            f"The clock of this host is {format_instant(host)}, that of the store {store.location} is "
            f"{format_instant(theirs)}: they differ by {readable_seconds(abs(host - theirs).total_seconds())}, "
            f"more than {readable_seconds(TOLERANCE.total_seconds())}.",
            left="Nothing was removed.",
            next_step="Set the clock that is wrong, then prune again.",
        )
    return min(host, theirs)
