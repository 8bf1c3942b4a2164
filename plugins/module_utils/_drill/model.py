# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The evidence of a drill, and its judgement."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.options import FAMILY, option
from .._pages.phrases import FINGERPRINT_REFERENCE


class PhaseStatus:
    """C(unknown): the phase cannot be timed, because the machine restarted or its start is lost."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"

    ALL = (OK, FAILED, UNKNOWN)


@dataclass(frozen=True)
class Phase:
    """began: monotonic seconds of the boot C(boot); None where they are not known."""

    name: str
    started_at: datetime
    seconds: float
    status: str
    began: t.Optional[float] = None
    boot: str = ""
    note: str = ""


@dataclass(frozen=True)
class Mark:
    """One moment of the timeline, such as the incident, without a length."""

    name: str
    at: datetime
    monotonic: float
    boot: str
    status: str = PhaseStatus.OK
    note: str = ""


@dataclass(frozen=True)
class Objectives:
    """Seconds; None where the source has no such objective. window_seconds: how far exposure looks back."""

    rto_seconds: t.Optional[float] = None
    rpo_seconds: t.Optional[float] = None
    window_seconds: float = 7 * 86400


@dataclass(frozen=True)
class Estimate:
    """How long the recovery is expected to take, in seconds; None where that end was not estimated."""

    min_seconds: t.Optional[float] = None
    max_seconds: t.Optional[float] = None


@dataclass(frozen=True)
class Check:
    """proves_data: a pass of this check is only possible when the data themselves are back."""

    name: str
    status: str
    expected: t.Any = None
    actual: t.Any = None
    proves_data: bool = False
    mandatory: bool = False
    extra: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FingerprintResult:
    """The recovered content against the reference; equal is None when they could not be compared."""

    tables: int
    rows: int
    equal: t.Optional[bool]
    reference: str = FINGERPRINT_REFERENCE
    extra: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SelfTest:
    """A damaged copy of the set that verification must refuse; caught is None when that was not tried."""

    damage: str
    caught: t.Optional[bool]
    extra: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Everything that the verdict rests on.

    outcome: C(ran), C(skipped) or C(missed). recovery_points: the restorable instants of the source.
    marker_at: the newest marker row found in the recovered data. sandbox_removed: None if it was not checked.
    estimate: nothing rests on it; longer than estimated is only a warning.
    """

    objectives: Objectives = field(default=Objectives(), metadata=FAMILY)
    estimate: t.Optional[Estimate] = None
    outcome: str = field(default="ran", metadata=option(choices=("ran", "skipped", "missed")))
    phases: t.Tuple[Phase, ...] = ()
    marks: t.Tuple[Mark, ...] = ()
    incident_at: t.Optional[datetime] = None
    recovery_points: t.Tuple[datetime, ...] = ()
    marker_at: t.Optional[datetime] = None
    checks: t.Tuple[Check, ...] = ()
    fingerprint: t.Optional[FingerprintResult] = None
    self_tests: t.Tuple[SelfTest, ...] = ()
    self_tests_required: bool = True
    sandbox_used: bool = True
    sandbox_removed: t.Optional[bool] = None
    notes: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class RecoveryTime:
    """began and ended are monotonic seconds; both None when the time could not be measured."""

    objective_seconds: t.Optional[float]
    measured_seconds: t.Optional[float]
    met: t.Optional[bool]
    began: t.Optional[float] = None
    ended: t.Optional[float] = None


@dataclass(frozen=True)
class RecoveryLoss:
    """points: the recovery points that exposure was taken from. gap: both ends of the longest gap."""

    objective_seconds: t.Optional[float]
    observed_seconds: t.Optional[float]
    exposure_seconds: t.Optional[float]
    met: t.Optional[bool]
    points: t.Tuple[datetime, ...] = ()
    gap: t.Optional[t.Tuple[datetime, datetime]] = None


@dataclass(frozen=True)
class Judgement:
    """reasons: why the verdict is what it is, weightiest first. notes: what else a reader must know.

    estimate_exceeded: None when there is no estimate, or nothing was measured.
    """

    verdict: str
    reasons: t.Tuple[str, ...]
    notes: t.Tuple[str, ...]
    rto: RecoveryTime
    rpo: RecoveryLoss
    estimate_exceeded: t.Optional[bool] = None
