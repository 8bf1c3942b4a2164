# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lag of a standby in bytes and in seconds. Pure; an unknown lag is None, never 0."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._engines.postgresql.server.lsn import format_lsn, parse_lsn
from .facts import Server


@dataclass(frozen=True)
class Lag:
    """bytes: WAL that the standby has not replayed. seconds: the maximum age of its last equal state.

    replay_age is the seconds since the newest replayed commit; it grows on an idle primary too.
    """

    bytes: t.Optional[int]
    seconds: t.Optional[float]
    replay_age: t.Optional[float]


def parse_position(text: t.Optional[str]) -> t.Optional[int]:
    return parse_lsn(text) if text else None


def format_position(position: t.Optional[int]) -> t.Optional[str]:
    return None if position is None else format_lsn(position)


def distance(ahead: t.Optional[int], behind: t.Optional[int]) -> t.Optional[int]:
    return None if ahead is None or behind is None else max(0, ahead - behind)


def goal_of(standby: Server, primary: t.Optional[Server]) -> t.Optional[int]:
    """The position that the standby should reach: that of the primary, else the announced position while it streams."""
    if primary is not None:
        return primary.written
    if not standby.streaming or standby.receiver is None:
        return None
    known = [position for position in (standby.receiver.announced, standby.received) if position is not None]
    return max(known) if known else None


def measure(standby: Server, goal: t.Optional[int], now: datetime, caught_up_in: t.Optional[float] = None) -> Lag:
    """Lag of a standby against the goal; now is from the clock of the primary if it is known, as commits are.

    caught_up_in is the measured seconds until the standby reached the goal. If it is None, the time of the newest
    replayed commit limits the missing data: the standby has everything older.
    """
    behind = distance(goal, standby.replayed)
    age = None if standby.replayed_at is None else max(0.0, (now - standby.replayed_at).total_seconds())
    if behind == 0:
        seconds: t.Optional[float] = 0.0
    elif caught_up_in is not None:
        seconds = caught_up_in
    else:
        seconds = age
    return Lag(behind, _rounded(seconds), _rounded(age))


def worst(values: t.Iterable[t.Optional[float]]) -> t.Optional[float]:
    """The largest value; None if one is unknown, or there is none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known) if known and len(known) == len(found) else None


def _rounded(seconds: t.Optional[float]) -> t.Optional[float]:
    return None if seconds is None else round(seconds, 3)
