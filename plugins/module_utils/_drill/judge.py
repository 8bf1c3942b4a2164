# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on a drill. Pure: the same evidence always gives the same verdict.

Every rule adds findings, and the verdict is the worst of them. A proof that is missing makes it C(error), unless
the recovery itself failed: then there was nothing to prove, and the verdict is C(failed).
"""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.severity import ERROR, FAILED, MISSED, PASSED, SKIPPED, WARNING
from .._pages.phrases import exceeded_sentence, instant, named, number, plural, span
from .estimate import exceeded
from .measure import Exposure, RecoverySpan, incident_instant, last_attempts, measure_exposure, measure_recovery
from .model import Check, Evidence, Judgement, Objectives, Phase, PhaseStatus, RecoveryLoss, RecoveryTime

#: From best to worst; the other verdicts are of drills that did not run.
_SEVERITY = (PASSED, FAILED, ERROR)

#: Phases after the recovery, whose failure does not explain why a proof is missing.
_AFTERWARDS = ("teardown", "self_test", "self_tests")

_Finding = t.Tuple[str, str]
_Findings = t.List[_Finding]


def judge(evidence: Evidence) -> Judgement:
    """Weigh the evidence; see L(Judgement) for what comes out."""
    incident_at = incident_instant(evidence.incident_at, evidence.phases, evidence.marks)
    if evidence.outcome != "ran":
        return _not_run(evidence)
    recovered = not any(phase.name not in _AFTERWARDS for phase in _failed(evidence.phases))
    time_span = measure_recovery(evidence.phases, evidence.marks, incident_at)
    exposure = _exposure(evidence, incident_at)
    rto = _recovery_time(evidence.objectives, time_span, recovered)
    rpo = _recovery_loss(evidence, incident_at, exposure)
    findings: _Findings = [
        *_judge_phases(evidence.phases),
        *_judge_time(rto, time_span, recovered),
        *_judge_loss(evidence, rpo, incident_at, recovered),
        *_judge_data(evidence, recovered),
        *_judge_self_tests(evidence, recovered),
        *_judge_sandbox(evidence),
    ]
    verdict = max((finding[0] for finding in findings), key=_SEVERITY.index, default=ERROR)
    if verdict != PASSED:
        findings = [finding for finding in findings if finding[0] != PASSED]
    findings.sort(key=lambda finding: -_SEVERITY.index(finding[0]))
    notes = (
        *_time_notes(evidence, rto),
        *_exposure_notes(exposure, evidence.objectives),
        *_check_notes(evidence.checks),
        *evidence.notes,
    )
    reasons = tuple(text for _verdict, text in findings)
    return Judgement(verdict, reasons, notes, rto, rpo, exceeded(evidence.estimate, rto.measured_seconds))


def _not_run(evidence: Evidence) -> Judgement:
    reason = {
        SKIPPED: "The drill was skipped on purpose; nothing was recovered and nothing is proved.",
        MISSED: "The drill was due and did not run; nothing is proved.",
    }[evidence.outcome]
    objectives = evidence.objectives
    return Judgement(
        evidence.outcome,
        (reason,),
        evidence.notes,
        RecoveryTime(objectives.rto_seconds, None, None),
        RecoveryLoss(objectives.rpo_seconds, None, None, None),
    )


def _exposure(evidence: Evidence, incident_at: t.Optional[datetime]) -> t.Optional[Exposure]:
    if incident_at is None:
        return None
    return measure_exposure(evidence.recovery_points, incident_at, evidence.objectives.window_seconds)


def _recovery_time(objectives: Objectives, measured: RecoverySpan, recovered: bool) -> RecoveryTime:
    objective, seconds = objectives.rto_seconds, _milliseconds(measured.seconds)
    met: t.Optional[bool] = None
    if objective is not None:
        if not recovered:
            met = False
        elif seconds is not None:
            met = seconds <= objective
    return RecoveryTime(objective, seconds, met, measured.began, measured.ended)


def _recovery_loss(
    evidence: Evidence, incident_at: t.Optional[datetime], exposure: t.Optional[Exposure]
) -> RecoveryLoss:
    objective = evidence.objectives.rpo_seconds
    observed: t.Optional[float] = None
    # A marker ahead of the incident means two clocks that disagree: then there is no observation.
    if incident_at is not None and evidence.marker_at is not None and evidence.marker_at <= incident_at:
        observed = _milliseconds((incident_at - evidence.marker_at).total_seconds())
    longest = _milliseconds(exposure.seconds) if exposure else None
    met: t.Optional[bool] = None
    if objective is not None:
        known = [seconds for seconds in (observed, longest) if seconds is not None]
        if any(seconds > objective for seconds in known):
            met = False
        elif len(known) == 2:
            met = True
    return RecoveryLoss(
        objective, observed, longest, met, exposure.points if exposure else (), exposure.gap if exposure else None
    )


def _judge_phases(phases: t.Sequence[Phase]) -> t.Iterator[_Finding]:
    for phase in phases:
        if phase.status == PhaseStatus.UNKNOWN:
            yield ERROR, f"The phase {phase.name} cannot be timed: {phase.note or 'its length is not known'}."
    for phase in _failed(phases):
        yield FAILED, f"The phase {phase.name} failed{': ' + phase.note if phase.note else ''}."


def _judge_time(rto: RecoveryTime, measured: RecoverySpan, recovered: bool) -> t.Iterator[_Finding]:
    if rto.measured_seconds is None:
        yield ERROR if recovered else FAILED, f"The recovery time was not measured. {measured.problem}"
    elif rto.met:
        yield (
            PASSED,
            f"Recovered in {span(rto.measured_seconds)}; the objective is {span(rto.objective_seconds or 0)}.",
        )
    elif rto.met is False:
        yield (
            FAILED,
            f"The recovery took {span(rto.measured_seconds)}, longer than the objective of "
            f"{span(rto.objective_seconds or 0)}.",
        )
    else:
        yield PASSED, f"Recovered in {span(rto.measured_seconds)}; the source has no objective for it."


def _judge_loss(
    evidence: Evidence, rpo: RecoveryLoss, incident_at: t.Optional[datetime], recovered: bool
) -> t.Iterator[_Finding]:
    unverified = ERROR if recovered else FAILED
    objective = rpo.objective_seconds
    if incident_at is None:
        yield unverified, "The data loss is unknown, because the start of the incident is unknown."
    elif evidence.marker_at is None:
        yield unverified, "The data loss is unknown, because the recovered data has no marker row."
    elif rpo.observed_seconds is None:
        yield (
            ERROR,
            f"The newest recovered marker ({instant(evidence.marker_at)}) is later than the incident "
            f"({instant(incident_at)}): the clocks disagree, so the data loss is not known.",
        )
    elif objective is None:
        yield PASSED, f"{_marker_age(rpo)} The source has no objective for it."
    elif rpo.observed_seconds > objective:
        yield (
            FAILED,
            f"{_marker_age(rpo)} That is more than the objective of {span(objective)}.",
        )
    if objective is None:
        return
    if rpo.exposure_seconds is None:
        yield unverified, "The exposure is not known, for no recovery point before the incident was given."
    elif rpo.exposure_seconds > objective:
        yield (
            FAILED,
            f"The longest gap between recovery points is {span(rpo.exposure_seconds)}: another moment would have cost "
            f"more than the objective of {span(objective)}.",
        )
    elif rpo.observed_seconds is not None and rpo.met:
        yield (
            PASSED,
            f"{_marker_age(rpo)} The longest gap between recovery points is {span(rpo.exposure_seconds)}; "
            f"the objective is {span(objective)}.",
        )


def _marker_age(rpo: RecoveryLoss) -> str:
    """The upper bound of the loss, which may be longer than each gap: a marker is written before its backup begins."""
    return (
        f"At most the last {span(rpo.observed_seconds or 0.0)} were lost: the newest recovered marker row is that old, "
        "and was written before its backup began."
    )


def _judge_data(evidence: Evidence, recovered: bool) -> t.Iterator[_Finding]:
    fingerprint, checks = evidence.fingerprint, evidence.checks
    equal = fingerprint is not None and fingerprint.equal is True
    if fingerprint is None or fingerprint.equal is None:
        yield (
            ERROR if recovered else FAILED,
            "The recovered data were not compared with their content before the incident.",
        )
    elif not fingerprint.equal:
        yield FAILED, f"The recovered data differ from {fingerprint.reference}."
    else:
        yield (
            PASSED,
            f"{plural(fingerprint.tables, 'table')} with {plural(fingerprint.rows, 'row')} "
            f"{'is' if fingerprint.tables == 1 else 'are'} equal to {fingerprint.reference}.",
        )
    for status, phrase in (
        (ERROR, "could not run"),
        (FAILED, "failed"),
    ):
        names = [check.name for check in checks if check.status == status]
        if names:
            yield status, f"{plural(len(names), 'check')} {phrase}: {named(names)}."
    left_out = [check.name for check in checks if check.status == SKIPPED and check.mandatory]
    if left_out:
        yield ERROR, f"{plural(len(left_out), 'mandatory check')} did not run: {named(left_out)}."
    passed = [check for check in checks if check.status == PASSED]
    if passed:
        yield PASSED, f"{number(len(passed))} of {plural(len(checks), 'check')} passed."
    proofs = any(check.proves_data for check in passed)
    if recovered and not proofs and not (equal and fingerprint is not None and fingerprint.rows > 0):
        yield ERROR, "Nothing proves that data came back: no check of data passed and no row was compared."


def _judge_self_tests(evidence: Evidence, recovered: bool) -> t.Iterator[_Finding]:
    tests = evidence.self_tests
    untried = [test.damage for test in tests if test.caught is None]
    slipped = [test.damage for test in tests if test.caught is False]
    if not tests and evidence.self_tests_required:
        unverified = ERROR if recovered else FAILED
        yield unverified, "No damaged copy was tried, so nothing shows that this drill can fail."
    if untried:
        yield ERROR, f"Damage that was not tried: {named(untried)}."
    if slipped:
        yield FAILED, f"Damage that was not caught: {named(slipped)}."
    if tests and not untried and not slipped:
        yield PASSED, f"Damage to the set was caught: {number(len(tests))} of {plural(len(tests), 'kind')}."


def _judge_sandbox(evidence: Evidence) -> t.Iterator[_Finding]:
    if not evidence.sandbox_used:
        return
    if evidence.sandbox_removed is None:
        yield ERROR, "The removal of the sandbox was not checked."
    elif not evidence.sandbox_removed:
        yield FAILED, "The sandbox was not removed, and has a copy of the data."
    else:
        yield PASSED, "The sandbox was removed."


def _time_notes(evidence: Evidence, rto: RecoveryTime) -> t.Iterator[str]:
    if exceeded(evidence.estimate, rto.measured_seconds) and evidence.estimate is not None:
        yield exceeded_sentence(rto.measured_seconds or 0.0, evidence.estimate.max_seconds or 0.0)


def _exposure_notes(exposure: t.Optional[Exposure], objectives: Objectives) -> t.Iterator[str]:
    if exposure is None:
        return
    if exposure.points and not exposure.window_covered:
        yield (
            f"The recovery points reach back {span(exposure.history_seconds)}, less than the look-back window of "
            f"{span(objectives.window_seconds)}; the exposure before that time is unknown."
        )
    if exposure.after_incident:
        points = plural(exposure.after_incident, "recovery point")
        yield f"{points} later than the incident did not count."


def _check_notes(checks: t.Sequence[Check]) -> t.Iterator[str]:
    warned = [check.name for check in checks if check.status == WARNING]
    skipped = [check.name for check in checks if check.status == SKIPPED and not check.mandatory]
    if warned:
        yield f"{plural(len(warned), 'check')} gave a warning: {named(warned)}."
    if skipped:
        yield f"Left out, so that it proves nothing: {named(skipped)}."


def _failed(phases: t.Sequence[Phase]) -> t.List[Phase]:
    return [phase for phase in last_attempts(phases) if phase.status == PhaseStatus.FAILED]


def _milliseconds(seconds: t.Optional[float]) -> t.Optional[float]:
    return None if seconds is None else round(seconds, 3)
