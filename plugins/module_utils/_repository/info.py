# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes the sets of a store for people and for checks: age, size, change, verification."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import option
from .._store.base import ObjectStore
from .catalogue import UnreadableSet, list_sets, try_sets
from .clocks import TOLERANCE
from .layout import TIERS, SetName
from .manifest import ROWS_ENGINE, SQLITE_ROWS_ENGINE, Manifest
from .recovery_points import Selection, is_implausible, is_safety_copy, longest_gap, missing_days, select
from .verification import Verification, verifications

#: By so many seconds clocks may differ before the age of a set means nothing.
CLOCKS_DIFFER = 300

#: The size of a set is compared with the median of so many sets before it.
_TREND = 10


@dataclass(frozen=True)
class InfoRequest:
    """Which sets to describe; rpo and window are in seconds; limit counts sets per source, newest first.

    Safety copies are counted separately.
    days: each of so many days up to today must have a set; 0 judges no day.
    """

    source: t.Optional[str] = None
    tier: t.Optional[str] = field(default=None, metadata=option(choices=TIERS))
    selection: t.Optional[Selection] = None
    rpo: t.Optional[float] = field(default=None, metadata=option("rpo_seconds", type=int))
    window: float = field(default=7 * 86400, metadata=option("window_seconds", type=int))
    limit: int = 100
    days: int = 0


@dataclass(frozen=True)
class SetInfo:
    """One set. size_change is the ratio to the median of up to ten sets of its tier before it, minus one; None for
    the first.

    duration_seconds is the duration of the backup. problem: why a manifest cannot be used; then the numbers are 0.
    authentic: whether the manifest carries the code of the name_key; None without a key to check it with.
    """

    set_id: str
    source: str
    tier: str
    engine: str
    recovery_point: str
    age_seconds: float
    duration_seconds: float
    bytes_plain: int
    bytes_stored: int
    tables: int
    rows: t.Optional[int]
    files: t.Optional[int]
    size_change: t.Optional[float]
    verified: t.Optional[Verification]
    server_version: str
    problem: t.Optional[str]
    authentic: t.Optional[bool] = None

    @property
    def shows_source(self) -> bool:
        """Whether it is a recovery point of the whole source: no safety copy, nor rows of some tables."""
        return not is_safety_copy(self.tier) and self.engine not in (ROWS_ENGINE, SQLITE_ROWS_ENGINE)


@dataclass(frozen=True)
class SourceInfo:
    """A source as a whole. exposure_seconds is the longest gap between recovery points in the window.

    missing_days are days in UTC (C(2026-03-01)) without a usable set; None where days were not judged.
    """

    source: str
    sets: int
    newest: t.Optional[str]
    newest_verified: t.Optional[str]
    age_seconds: t.Optional[float]
    exposure_seconds: t.Optional[float]
    rpo_seconds: t.Optional[float]
    rpo_met: t.Optional[bool]
    missing_days: t.Optional[t.Sequence[str]]


@dataclass(frozen=True)
class InfoResult:
    """sets are newest first; selected is the one that the selection chose; unreadable sets have a problem."""

    sets: t.Sequence[SetInfo]
    sources: t.Sequence[SourceInfo]
    selected: t.Optional[SetInfo]
    unreadable: t.Sequence[UnreadableSet] = ()


def describe_sets(
    store: ObjectStore, request: InfoRequest, now: datetime, names: t.Optional[t.Sequence[SetName]] = None
) -> InfoResult:
    """Read the manifests and describe the sets; a source without sets has none, unless one must be selected.

    names: the result of list_sets for the request, if the caller has it.

    Raises RecoveryError: unknown_source or no_backup_set when a selection was asked for and finds nothing,
    invalid_options.
    """
    if (request.days or 0) < 0:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "days is negative.", next_step="Give 0 to judge no day.")
    if names is None:
        names = list_sets(store, request.source, request.tier)
    if request.selection is not None:
        if not request.source:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "A set can only be chosen of one source.", next_step="Set source."
            )
        chosen = select(names, request.selection, request.source, now + TOLERANCE)
    else:
        chosen = None
    by_source: t.Dict[str, t.List[SetName]] = {}
    for name in names:
        by_source.setdefault(name.source, []).append(name)
    described: t.List[SetInfo] = []
    sources: t.List[SourceInfo] = []
    for source, mine in sorted(by_source.items()):
        recent = _newest(mine, request.limit)
        if chosen is not None and chosen not in recent:
            recent = [chosen, *recent]
        infos = _described(store, recent, try_sets(store, recent), now)
        sources.append(_summary(source, mine, infos, request, now))
        described.extend(reversed(infos))
    selected = next((info for info in described if chosen == (info.source, info.tier, info.set_id)), None)
    unreadable = [
        UnreadableSet(info.source, info.tier, info.set_id, info.problem) for info in described if info.problem
    ]
    return InfoResult(described if chosen is None else [selected] if selected else [], sources, selected, unreadable)


def _newest(names: t.Sequence[SetName], limit: int) -> t.List[SetName]:
    """So many of the newest sets. Safety copies are counted separately, so that they displace no other set."""
    others = [name for name in names if not is_safety_copy(name.tier)][-limit:]
    copies = [name for name in names if is_safety_copy(name.tier)][-limit:]
    return sorted([*others, *copies], key=names.index)


def _described(
    store: ObjectStore,
    names: t.Sequence[SetName],
    loaded: t.Sequence[t.Union[Manifest, RecoveryError]],
    now: datetime,
) -> t.List[SetInfo]:
    verified = {tier: verifications(store, names[0].source, tier) for tier in {name.tier for name in names}}
    sizes: t.Dict[str, t.List[int]] = {}
    infos = []
    for name, manifest in zip(names, loaded):
        if isinstance(manifest, RecoveryError):
            infos.append(
                SetInfo(
                    name.set_id,
                    name.source,
                    name.tier,
                    "",
                    "",
                    0.0,
                    0.0,
                    0,
                    0,
                    0,
                    None,
                    None,
                    None,
                    None,
                    "",
                    manifest.what,
                )
            )
            continue
        plain = manifest.sizes["plain"]
        before = sizes.setdefault(name.tier, [])
        usual = statistics.median(before[-_TREND:]) if before else 0
        before.append(plain)
        infos.append(
            SetInfo(
                set_id=name.set_id,
                source=name.source,
                tier=name.tier,
                engine=manifest.engine,
                recovery_point=manifest.recovery_point,
                age_seconds=round((now - manifest.recovery_instant).total_seconds(), 3),
                duration_seconds=round(_instants_apart(manifest.created_at, manifest.finished_at), 3),
                bytes_plain=plain,
                bytes_stored=manifest.sizes["stored"],
                tables=_count(manifest.coverage.get("tables", 0)),
                rows=manifest.fingerprint.rows if manifest.fingerprint else manifest.coverage.get("rows"),
                files=manifest.coverage.get("files"),
                size_change=round(plain / usual - 1, 4) if usual else None,
                verified=verified[name.tier].get(name.set_id),
                server_version=str(manifest.server.get("version", "")),
                problem=_dated_ahead(name, now),
                authentic=manifest.authentic,
            )
        )
    return infos


def _dated_ahead(name: SetName, now: datetime) -> t.Optional[str]:
    """The problem of a set with a future date, which would otherwise be the newest until then."""
    if not is_implausible(name.set_id, now + TOLERANCE):
        return None
    return f"The set {name.set_id} of {name.source} ({name.tier}) is dated in the future; only its id chooses it."


def _instants_apart(earlier: str, later: str) -> float:
    return (parse_instant(later) - parse_instant(earlier)).total_seconds()


def _count(tables: t.Any) -> int:
    """Sets of rows name their tables, all others count them."""
    return len(tables) if isinstance(tables, list) else int(tables)


def _summary(
    source: str, names: t.Sequence[SetName], infos: t.Sequence[SetInfo], request: InfoRequest, now: datetime
) -> SourceInfo:
    usable = [info for info in infos if info.problem is None and (info.shows_source or request.tier is not None)]
    proved = [info for info in usable if info.verified is not None and info.verified.proved_depth is not None]
    points = [now - timedelta(seconds=info.age_seconds) for info in usable]
    gap = longest_gap(points, now - timedelta(seconds=request.window), now)
    exposure = gap.seconds if gap is not None else None
    age = usable[-1].age_seconds if usable else None
    met = None
    if request.rpo is not None:
        met = exposure is not None and exposure <= request.rpo and age is not None and age > -CLOCKS_DIFFER
    return SourceInfo(
        source=source,
        sets=len(names),
        newest=usable[-1].set_id if usable else None,
        newest_verified=proved[-1].set_id if proved else None,
        age_seconds=age,
        exposure_seconds=round(exposure, 3) if exposure is not None else None,
        rpo_seconds=request.rpo,
        rpo_met=met,
        missing_days=_missing(names, infos, request.days, now),
    )


def _missing(
    names: t.Sequence[SetName], infos: t.Sequence[SetInfo], days: t.Optional[int], now: datetime
) -> t.Optional[t.List[str]]:
    if not days:
        return None
    unusable = {(info.source, info.tier, info.set_id) for info in infos if info.problem is not None}
    found = missing_days([name for name in names if name not in unusable], days, now)
    return None if found is None else [day.isoformat() for day in found]
