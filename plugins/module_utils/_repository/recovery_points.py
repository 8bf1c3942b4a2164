# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chooses a recovery point among sets. Pure: it sees names and instants, not the store."""

from __future__ import annotations

import random
import typing as t
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import option
from .layout import TIERS, SetName

UNDO_TIER = "undo"

#: Safety copies show what the operator wanted to leave behind, so only a tier or an id chooses them.
SAFETY_TIERS = ("emergency", UNDO_TIER)


@dataclass(frozen=True)
class Selection:
    """Which set: C(latest), C(random) with seed, or an id; before keeps only older recovery points.

    Safety copies are only chosen when the tier or the id is given.
    """

    which: str = field(default="latest", metadata=option("set", default=None))
    before: t.Optional[datetime] = None
    tier: t.Optional[str] = field(default=None, metadata=option(choices=TIERS))
    seed: t.Optional[int] = None


@dataclass(frozen=True)
class Gap:
    """A stretch without a recovery point, and the points that it was found among."""

    earlier: datetime
    later: datetime
    points: t.Tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        return (self.later - self.earlier).total_seconds()


def is_implausible(set_id: str, latest: datetime) -> bool:
    """Whether a set is dated after latest, so that either its date or the clocks are wrong."""
    return parse_instant(set_id) > latest


def is_safety_copy(tier: str) -> bool:
    """Whether sets of the tier were taken before a dangerous step, and are no recovery points to choose unasked."""
    return tier in SAFETY_TIERS


def select(
    names: t.Iterable[SetName], selection: Selection, source: str, latest: t.Optional[datetime] = None
) -> SetName:
    """The chosen set. Raises RecoveryError(no_backup_set), which names the existing sets.

    A set that is dated after latest can only be chosen by its id. An id that several tiers have needs the tier
    (invalid_options); of a safety copy and another set, it means the other.
    """
    found = sorted((name for name in names if name.source == source), key=lambda name: (name.set_id, name.tier))
    by_id = selection.which not in ("latest", "random")
    candidates = [name for name in found if selection.tier in (None, name.tier)]
    if selection.before is not None:
        # An id has whole seconds: a set of the same second may be later, and hold the damage.
        limit = selection.before - timedelta(seconds=1)
        candidates = [name for name in candidates if parse_instant(name.set_id) <= limit]
    if by_id:
        candidates = [name for name in candidates if name.set_id == selection.which]
    elif latest is not None:
        candidates = [name for name in candidates if not is_implausible(name.set_id, latest)]
    if selection.tier is None:
        others = [name for name in candidates if not is_safety_copy(name.tier)]
        candidates = others or (candidates if by_id else [])
    if not candidates:
        raise _nothing(found, selection, source, latest)
    if by_id and len(candidates) > 1:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The set {selection.which} of {source!r} exists in {len(candidates)} tiers "
            f"({', '.join(name.tier for name in candidates)}); `tier` must name one of them.",
        )
    if selection.which == "random":
        return random.Random(selection.seed).choice(candidates)
    return candidates[-1]


def longest_gap(points: t.Iterable[datetime], since: datetime, until: datetime) -> t.Optional[Gap]:
    """The longest stretch without a recovery point between since and until; None without any point.

    A gap that reaches into the window counts whole: a loss at its end would have cost all of it.
    """
    known = sorted({point for point in points if point <= until})
    if not known:
        return None
    older = [point for point in known if point <= since]
    used = (*older[-1:], *(point for point in known if point > since))
    earlier, later = max(zip(used, [*used[1:], until]), key=lambda pair: pair[1] - pair[0])
    return Gap(earlier, later, used)


def missing_days(names: t.Iterable[SetName], days: int, now: datetime) -> t.Optional[t.List[date]]:
    """The calendar days in UTC, of so many up to today, on which no set shows one source; oldest first.

    Today is not missing before it is over, and no day is that lies before the first set of a timer: a young source is
    no gap. Safety copies do not count. None where no set is of the tier daily.
    """
    known = [(name.tier, parse_instant(name.set_id).date()) for name in names if not is_safety_copy(name.tier)]
    if not any(tier == "daily" for tier, _day in known):
        return None
    today = now.astimezone(timezone.utc).date()
    first = min(day for _tier, day in known)
    there = {day for _tier, day in known}
    judged = range(min(days - 1, (today - first).days), 0, -1)
    return [day for day in (today - timedelta(days=back) for back in judged) if day not in there]


def _nothing(
    found: t.Sequence[SetName], selection: Selection, source: str, latest: t.Optional[datetime]
) -> RecoveryError:
    if not found:
        return RecoveryError(
            ErrorKind.UNKNOWN_SOURCE,
            f"The store holds no backup set of the source {source!r}.",
            next_step="Check source, bucket and prefix with lifeline.recovery.backup_info.",
        )
    wanted = [selection.which]
    if selection.tier:
        wanted.append(f"tier {selection.tier}")
    if selection.before:
        wanted.append(f"before {selection.before.isoformat()}")
    future = [name.set_id for name in found if latest is not None and is_implausible(name.set_id, latest)]
    dated = f" Dated in the future, so that only its id chooses it: {', '.join(future[:5])}." if future else ""
    copies = [name for name in found if is_safety_copy(name.tier)] if selection.tier is None else []
    if copies:
        dated += (
            f" Only `tier` or its id chooses a safety copy, of which the newest is {copies[-1].set_id} "
            f"({copies[-1].tier})."
        )
    return RecoveryError(
        ErrorKind.NO_BACKUP_SET,
        f"No backup set of {source!r} matches {', '.join(wanted)}; there are {len(found)}, "
        f"from {found[0].set_id} ({found[0].tier}) to {found[-1].set_id} ({found[-1].tier}).{dated}",
        next_step="List them with lifeline.recovery.backup_info.",
    )
