# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbers of a drill: how long the recovery took, and how much a loss would cost at worst."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from .._repository.recovery_points import longest_gap
from .model import Mark, Phase, PhaseStatus

INCIDENT_MARK = "incident"
FAILURE_PHASE = "failure"
RECOVERED_PHASES = ("verify", "first_access")


@dataclass(frozen=True)
class RecoverySpan:
    """Monotonic seconds from the incident until the recovered source was proved usable.

    problem: why it could not be measured, a sentence; then all numbers are None.
    """

    seconds: t.Optional[float] = None
    began: t.Optional[float] = None
    ended: t.Optional[float] = None
    problem: str = ""


@dataclass(frozen=True)
class Exposure:
    """seconds: the longest gap; None without any recovery point. after_incident: points left out.

    history_seconds: how far back the oldest known point lies; window_covered: whether that fills the window.
    """

    seconds: t.Optional[float]
    gap: t.Optional[t.Tuple[datetime, datetime]]
    points: t.Tuple[datetime, ...]
    history_seconds: float
    window_covered: bool
    after_incident: int


def incident_instant(
    incident_at: t.Optional[datetime], phases: t.Sequence[Phase], marks: t.Sequence[Mark]
) -> t.Optional[datetime]:
    """The instant given, else the mark C(incident), else the start of the phase C(failure)."""
    if incident_at is not None:
        return incident_at
    marked = [mark.at for mark in marks if mark.name == INCIDENT_MARK]
    failed = [phase.started_at for phase in phases if phase.name == FAILURE_PHASE]
    return min(marked or failed, default=None)


def measure_recovery(
    phases: t.Sequence[Phase], marks: t.Sequence[Mark], incident_at: t.Optional[datetime]
) -> RecoverySpan:
    """The wall span from the incident to the end of the last proof, with all waiting in between."""
    proofs = [phase for phase in last_attempts(phases) if phase.name in RECOVERED_PHASES]
    if not proofs:
        return RecoverySpan(problem="The timeline shows neither a verification nor a first access after the recovery.")
    if any(phase.status != PhaseStatus.OK for phase in proofs):
        return RecoverySpan(problem="The recovery was never proved usable: its verification or first access failed.")
    anchor = _incident_reading(phases, marks, incident_at, proofs[0])
    if anchor is None:
        return RecoverySpan(problem="The start of the incident is unknown.")
    began, boot = anchor
    ends = [phase.began + phase.seconds for phase in proofs if phase.began is not None and phase.boot == boot]
    if len(ends) != len(proofs):
        return RecoverySpan(problem="The machine restarted between the incident and the end of the recovery.")
    ended = max(ends)
    if ended < began or any(phase.began is not None and phase.began < began for phase in proofs):
        return RecoverySpan(
            problem="The recovery was proved before the incident began, so the proof is not of this one."
        )
    return RecoverySpan(ended - began, began, ended)


def measure_exposure(points: t.Iterable[datetime], incident_at: datetime, window_seconds: float) -> Exposure:
    """The longest gap between consecutive recovery points in the window, the one up to the incident included.

    A gap that reaches into the window counts whole: a loss at its end would have cost all of it.
    """
    known = set(points)
    before = [point for point in known if point <= incident_at]
    window_start = incident_at - timedelta(seconds=window_seconds)
    gap = longest_gap(before, window_start, incident_at)
    if gap is None:
        return Exposure(None, None, (), 0.0, False, len(known))
    return Exposure(
        seconds=gap.seconds,
        gap=(gap.earlier, gap.later),
        points=gap.points,
        history_seconds=(incident_at - min(before)).total_seconds(),
        window_covered=min(before) <= window_start,
        after_incident=len(known) - len(before),
    )


def last_attempts(phases: t.Sequence[Phase]) -> t.List[Phase]:
    """Each phase once: of those tried again, the last attempt, which settles how it ended."""
    latest: t.Dict[str, Phase] = {}
    for phase in phases:
        latest[phase.name] = phase
    return list(latest.values())


def _incident_reading(
    phases: t.Sequence[Phase], marks: t.Sequence[Mark], incident_at: t.Optional[datetime], fallback: Phase
) -> t.Optional[t.Tuple[float, str]]:
    readings = [(mark.monotonic, mark.boot, mark.at) for mark in marks if mark.name == INCIDENT_MARK]
    readings += [
        (phase.began, phase.boot, phase.started_at)
        for phase in phases
        if phase.name == FAILURE_PHASE and phase.began is not None
    ]
    if not readings:
        if incident_at is None or fallback.began is None or any(phase.name == FAILURE_PHASE for phase in phases):
            return None
        return fallback.began - (fallback.started_at - incident_at).total_seconds(), fallback.boot
    began, boot, at = min(readings, key=lambda reading: reading[2])
    if incident_at is not None and incident_at < at:
        began -= (at - incident_at).total_seconds()
    return began, boot
