# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the backups that Supabase keeps by the objectives."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import format_instant
from .._core.options import option
from .._core.sizes import readable_seconds
from .answers import Backup, Backups, Project, RestorePoint
from .course import HEALTHY
from .window import describe_window

#: A backup that ended in these states can never be restored.
_LOST = ("FAILED", "CANCELLED")


@dataclass(frozen=True)
class Wanted:
    """rpo is in seconds and None for no check; window_days is the required reach in days, 0 for no check."""

    rpo: t.Optional[float] = field(default=None, metadata=option("rpo_seconds", type=int))
    window_days: int = 0
    pitr: bool = False


@dataclass(frozen=True)
class Finding:
    """code is a stable name: no_backups, newest_failed, too_old, gap_too_long, pitr_disabled, window_short, status."""

    code: str
    message: str


@dataclass(frozen=True)
class BackupInfo:
    """One daily backup. age_seconds is since it was taken."""

    id: t.Optional[int]
    physical: bool
    status: str
    taken_at: str
    age_seconds: float


@dataclass(frozen=True)
class Judgement:
    """newest is the last restorable instant, and age_seconds its age.

    exposure_seconds is the longest time between restorable instants, up to now.
    """

    project: Project
    pitr_enabled: bool
    window: t.Optional[t.Mapping[str, t.Any]]
    backups: t.Sequence[BackupInfo]
    newest: t.Optional[str]
    age_seconds: t.Optional[float]
    exposure_seconds: t.Optional[float]
    findings: t.Sequence[Finding]
    ok: bool
    summary: str


@dataclass(frozen=True)
class Listing:
    """As Judgement, without findings."""

    project: Project
    status: str
    pitr_enabled: bool
    window: t.Optional[t.Mapping[str, t.Any]]
    backups: t.Sequence[BackupInfo]
    newest: t.Optional[str]
    age_seconds: t.Optional[float]
    restore_point: t.Optional[RestorePoint]
    summary: str


def listing(project: Project, backups: Backups, point: t.Optional[RestorePoint], now: datetime) -> Listing:
    """The backups as facts. Pure."""
    facts = judge(project, backups, Wanted(), now)
    reached = f"the newest instant is {facts.newest}" if facts.newest else "no instant can be restored"
    daily = f"{len(facts.backups)} daily backups, point-in-time recovery {'on' if facts.pitr_enabled else 'off'}"
    return Listing(
        project=project,
        status=project.status,
        pitr_enabled=facts.pitr_enabled,
        window=facts.window,
        backups=facts.backups,
        newest=facts.newest,
        age_seconds=facts.age_seconds,
        restore_point=point,
        summary=f"{project.name!r} ({project.ref}) is {project.status}: {daily}; {reached}.",
    )


def judge(project: Project, backups: Backups, wanted: Wanted, now: datetime) -> Judgement:
    """The facts and the findings. Pure."""
    instants = _restorable(backups)
    newest = instants[-1] if instants else None
    age = max(0.0, (now - newest).total_seconds()) if newest else None
    exposure = _exposure(backups, instants, now)
    findings = list(_findings(project, backups, wanted, now, instants, age, exposure))
    reached = f"newest restorable instant {readable_seconds(age)} ago" if age is not None else "nothing to restore"
    wrong = "; ".join(finding.message for finding in findings)
    return Judgement(
        project=project,
        pitr_enabled=backups.pitr_enabled,
        window=describe_window(backups.window),
        backups=[_info(backup, now) for backup in backups.backups],
        newest=format_instant(newest) if newest else None,
        age_seconds=age,
        exposure_seconds=exposure,
        findings=findings,
        ok=not findings,
        summary=f"{project.name!r} ({project.ref}): {reached}. {wrong or 'No finding.'}",
    )


def _restorable(backups: Backups) -> t.List[datetime]:
    """Oldest first. Of a window only its ends, and later daily backups, because a window has no gap."""
    window = backups.window if backups.pitr_enabled else None
    completed = [backup.taken_at for backup in backups.backups if backup.status == "COMPLETED"]
    if window is None:
        return sorted(completed)
    return [window.earliest, window.latest, *sorted(instant for instant in completed if instant > window.latest)]


def _exposure(backups: Backups, instants: t.Sequence[datetime], now: datetime) -> t.Optional[float]:
    if not instants:
        return None
    apart = list(zip(instants, [*instants[1:], now]))
    if backups.pitr_enabled and backups.window:
        apart = apart[1:]
    return max(max(0.0, (after - before).total_seconds()) for before, after in apart)


def _findings(
    project: Project,
    backups: Backups,
    wanted: Wanted,
    now: datetime,
    instants: t.Sequence[datetime],
    age: t.Optional[float],
    exposure: t.Optional[float],
) -> t.Iterator[Finding]:
    if project.status != HEALTHY:
        yield Finding("status", f"The project is {project.status}.")
    if age is None or exposure is None:
        yield Finding("no_backups", "No backup can be restored.")
    newest = backups.backups[0] if backups.backups else None
    if newest and newest.status in _LOST:
        yield Finding("newest_failed", f"The newest backup, of {format_instant(newest.taken_at)}, is {newest.status}.")
    if wanted.pitr and not backups.pitr_enabled:
        yield Finding("pitr_disabled", "Point-in-time recovery is not enabled.")
    if wanted.rpo is not None and age is not None and exposure is not None:
        limit = readable_seconds(wanted.rpo)
        if age > wanted.rpo:
            yield Finding("too_old", f"The newest is {readable_seconds(age)} old; the limit is {limit}.")
        elif exposure > wanted.rpo:
            yield Finding(
                "gap_too_long", f"Backups are up to {readable_seconds(exposure)} apart; the limit is {limit}."
            )
    reach = (now - instants[0]) if instants else None
    if reach is not None and reach < timedelta(days=wanted.window_days):
        young = project.created_at and now - project.created_at < timedelta(days=wanted.window_days)
        since = " The project itself is younger than that." if young else ""
        yield Finding(
            "window_short",
            f"The oldest is {readable_seconds(reach.total_seconds())} old; {wanted.window_days:g} days are required."
            f"{since}",
        )


def _info(backup: Backup, now: datetime) -> BackupInfo:
    age = (now - backup.taken_at).total_seconds()
    return BackupInfo(backup.id, backup.physical, backup.status, format_instant(backup.taken_at), age)
