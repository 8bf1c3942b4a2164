# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Grandfather, father, son: which sets of a tier stay. Pure: it sees names and instants, not the store."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, option
from .recovery_points import is_implausible

#: Name of the rule, how many, and what two sets of one period have in common.
_PERIODS: t.Tuple[t.Tuple[str, str, t.Callable[[datetime], t.Any]], ...] = (
    ("hourly", "keep_hourly", lambda instant: instant.strftime("%Y%m%d%H")),
    ("daily", "keep_daily", lambda instant: instant.strftime("%Y%m%d")),
    ("weekly", "keep_weekly", lambda instant: instant.isocalendar()[:2]),
    ("monthly", "keep_monthly", lambda instant: instant.strftime("%Y%m")),
    ("yearly", "keep_yearly", lambda instant: instant.year),
)


@dataclass(frozen=True)
class Policy:
    """How many periods keep their newest set; None and 0 keep none for that rule. Periods are UTC, weeks ISO.

    Only periods that have sets count, so a source whose backups stopped loses nothing by waiting.
    keep_within is in seconds before now. minimum is how many of the newest stay in any case, at least 1.
    """

    keep_hourly: t.Optional[int] = None
    keep_daily: t.Optional[int] = None
    keep_weekly: t.Optional[int] = None
    keep_monthly: t.Optional[int] = None
    keep_yearly: t.Optional[int] = None
    keep_within: t.Optional[float] = field(default=None, metadata=INTERNAL)
    minimum: int = field(default=1, metadata=option(default=None))

    def require_sound(self) -> None:
        """Raise RecoveryError(invalid_options) for what no person can have meant."""
        counts = [getattr(self, field_name) for _name, field_name, _period in _PERIODS]
        if any(count is not None and count < 0 for count in counts) or (self.keep_within or 0) < 0:
            raise _invalid("A keep_ option is negative.", "Give 0 or more.")
        if self.minimum < 1:
            raise _invalid("minimum must be at least 1.", "Give 1 or more: the newest set always stays.")


#: The default policies: a day of hours, a month of days, a quarter of weeks, a year of months.
DEFAULTS: t.Mapping[str, Policy] = {
    "hourly": Policy(keep_hourly=24),
    "daily": Policy(keep_daily=30, minimum=7),
    "weekly": Policy(keep_weekly=12, minimum=4),
    "monthly": Policy(keep_monthly=12, minimum=3),
    "emergency": Policy(keep_within=90 * 86400.0),
    "undo": Policy(keep_within=30 * 86400.0),
}


@dataclass(frozen=True)
class Decision:
    """One set; reasons why it stays, none when it goes."""

    set_id: str
    reasons: t.Tuple[str, ...]

    @property
    def stays(self) -> bool:
        return bool(self.reasons)


@dataclass(frozen=True)
class Known:
    """The known facts of the sets of a tier, by id.

    proved: the deepest verification that a set passed, C(digests) or C(decode). failed: sets whose last verification
    or last restore failed. unreadable: sets whose manifest cannot be used. latest: a set dated later counts for no
    rule and stays.
    """

    proved: t.Mapping[str, str] = field(default_factory=dict)
    failed: t.AbstractSet[str] = frozenset()
    unreadable: t.AbstractSet[str] = frozenset()
    latest: t.Optional[datetime] = None


def decide(set_ids: t.Iterable[str], policy: Policy, known: Known, now: datetime) -> t.List[Decision]:
    """The decision on each set of one tier, oldest first.

    The newest set, the newest of the most deeply verified sets, the newest verified set and the minimum always stay.
    A set whose verification or restore failed fills a place of a rule only when no other set is left for that place.
    Sets that cannot be read and sets dated in the future stay, and take no place of another set.
    """
    policy.require_sound()
    newest_first = sorted(set(set_ids), reverse=True)
    reasons: t.Dict[str, t.List[str]] = {set_id: [] for set_id in newest_first}
    judged = []
    for set_id in newest_first:
        if known.latest is not None and is_implausible(set_id, known.latest):
            reasons[set_id].append("dated in the future")
        elif set_id in known.unreadable:
            reasons[set_id].append("unreadable")
        else:
            judged.append(set_id)
    good = [set_id for set_id in judged if set_id not in known.failed]
    for reason, chosen in _always(judged, good, known):
        reasons[chosen].append(reason)
    for set_id in [*good, *(set_id for set_id in judged if set_id in known.failed)][: policy.minimum]:
        reasons[set_id].append("minimum")
    for name, field_name, period in _PERIODS:
        for set_id in _of_periods(judged, good, getattr(policy, field_name) or 0, period):
            reasons[set_id].append(name)
    if policy.keep_within:
        since = now - timedelta(seconds=policy.keep_within)
        for set_id in judged:
            if parse_instant(set_id) >= since:
                reasons[set_id].append("within")
    return [Decision(set_id, tuple(reasons[set_id])) for set_id in reversed(newest_first)]


def _always(judged: t.Sequence[str], good: t.Sequence[str], known: Known) -> t.Iterator[t.Tuple[str, str]]:
    """Reason and set: the newest, the newest that did not fail, the newest verified and the newest decoded."""
    if judged:
        yield "newest", judged[0]
    if good and good[0] != judged[0]:
        yield "newest not failed", good[0]
    for reason, depths in (("newest verified", ("digests", "decode")), ("newest decoded", ("decode",))):
        chosen = next((set_id for set_id in good if known.proved.get(set_id) in depths), None)
        if chosen is not None:
            yield reason, chosen


def _of_periods(
    judged: t.Sequence[str], good: t.Sequence[str], count: int, period: t.Callable[[datetime], t.Any]
) -> t.Iterator[str]:
    """The newest good set of so many periods; where there are fewer, the newest failed set of further periods."""
    seen: t.Set[t.Any] = set()
    for set_id in (*good, *judged):
        if len(seen) >= count:
            return
        this = period(parse_instant(set_id))
        if this not in seen:
            seen.add(this)
            yield set_id


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="Nothing was removed.", next_step=next_step)
