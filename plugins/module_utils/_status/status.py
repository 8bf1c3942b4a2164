# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a source in one dictionary: facts, breaches and metrics."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .._core.openmetrics import write_metrics
from .._core.options import FAMILY, FilePath
from .._core.severity import SEVERITIES
from .._core.sizes import readable_seconds
from .judge import judge, level_of, with_last
from .model import (
    EVENTS,
    ArchiveFact,
    AttemptFact,
    BackupFact,
    Breach,
    CheckFact,
    DrillFact,
    Facts,
    KeptFact,
    OperationFact,
    Reach,
    ReplicationFact,
    RestoreFact,
    StoreFact,
    Thresholds,
    VerificationFact,
    VolumeFact,
)
from .observe import Memory, Scope, observe
from .openmetrics import status_metrics


@dataclass(frozen=True)
class StatusRequest:
    """The objects to observe, the thresholds, and the files for state and metrics."""

    scope: Scope = field(metadata=FAMILY)
    limits: Thresholds = field(metadata=FAMILY)
    state_dir: t.Optional[FilePath] = None
    metrics_textfile: t.Optional[FilePath] = None
    check_mode: bool = False


@dataclass(frozen=True)
class Status:
    """See the fields of Facts; level is C(ok) or the highest severity of the breaches."""

    source: str
    level: str
    reachable: t.Optional[bool]
    reach: t.Optional[Reach]
    stores: t.Sequence[StoreFact]
    sets: int
    backup: t.Optional[BackupFact]
    rpo_seconds: t.Optional[float]
    exposure_seconds: t.Optional[float]
    verification: VerificationFact
    restore: RestoreFact
    attempt: t.Optional[AttemptFact]
    check: t.Optional[CheckFact]
    drill: t.Optional[DrillFact]
    operations: t.Sequence[OperationFact]
    replication: t.Optional[ReplicationFact]
    archive: t.Optional[ArchiveFact]
    kept: t.Sequence[KeptFact]
    storage: t.Sequence[t.Mapping[str, t.Any]]
    breaches: t.Sequence[Breach]
    summary: str


def recovery_status(request: StatusRequest, now: datetime) -> Status:
    """Observe, judge, and write the metrics.

    Raises RecoveryError: invalid_options, library_missing, and report_failed if state or metrics cannot be written.
    """
    _require_sensible(request.limits, request.scope)
    memory = Memory.of(request.state_dir, request.scope.source)
    facts = observe(request.scope, request.limits, memory, now)
    breaches = with_last(facts, judge(facts, request.limits, now), memory.last)
    memory.last = breaches
    if not request.check_mode:
        _leave(request, memory, status_metrics(facts, request.limits, breaches, now), breaches)
    return Status(
        source=facts.source,
        level=level_of(breaches),
        reachable=facts.reach.ok if facts.reach else None,
        reach=facts.reach,
        stores=facts.stores,
        sets=facts.sets,
        backup=facts.backup,
        rpo_seconds=request.limits.rpo,
        exposure_seconds=facts.exposure_seconds,
        verification=facts.verification,
        restore=facts.restore,
        attempt=facts.attempt,
        check=facts.check,
        drill=facts.drill,
        operations=facts.operations,
        replication=facts.replication,
        archive=facts.archive,
        kept=facts.kept,
        storage=[_volume(one) for one in facts.volumes],
        breaches=breaches,
        summary=_summary(facts, breaches),
    )


def _require_sensible(limits: Thresholds, scope: Scope) -> None:
    for event, severity in limits.severities.items():
        if event not in EVENTS or severity not in SEVERITIES:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"severities has {event}: {severity}, which is unknown.",
                left="Nothing was read or written.",
                next_step=f"Set for {', '.join(EVENTS)} one of {', '.join(SEVERITIES)}.",
            )
    if scope.capacity is not None and scope.capacity <= 0:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"capacity_bytes must be above 0, got {scope.capacity}.",
            left="Nothing was read or written.",
            next_step="Set a number of bytes above 0.",
        )
    if not 0 < limits.storage_used <= limits.storage_full <= 1:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "storage_used and storage_full must be ratios above 0 and up to 1, in this order.",
            left="Nothing was read or written.",
            next_step="Set them, for example to 0.8 and 0.95.",
        )


def _leave(request: StatusRequest, memory: Memory, metrics: str, breaches: t.Sequence[Breach]) -> None:
    """Write both, each also if the other fails; the error has the result in its details."""
    problems: t.List[RecoveryError] = []
    try:
        memory.keep()
    except RecoveryError as error:
        problems.append(error)
    try:
        if request.metrics_textfile:
            write_metrics(request.metrics_textfile, metrics)
    except RecoveryError as error:
        problems.append(error)
    if problems:
        raise problems[0].restated(details={"breaches": breaches})


def _volume(volume: VolumeFact) -> t.Dict[str, t.Any]:
    return {
        "place": volume.place,
        "used_bytes": volume.used_bytes,
        "size_bytes": volume.size_bytes,
        "used_ratio": volume.used_ratio,
    }


def _summary(facts: Facts, breaches: t.Sequence[Breach]) -> str:
    if breaches:
        return " ".join(breach.message for breach in breaches)
    if facts.backup is None:
        return f"{facts.source}: no breach was found in the facts that were read."
    age = readable_seconds(facts.backup.age_seconds)
    return f"{facts.source}: no breach. The newest of {facts.sets} sets is {age} old."
