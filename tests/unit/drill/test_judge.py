# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts of drills: passed, failed, and error if a part could not be verified."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._drill.judge import judge
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.measure import measure_exposure
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.model import (
    Check,
    FingerprintResult,
    Mark,
    Objectives,
    SelfTest,
)
from tests.support.data.drill_reports import BOOT, INCIDENT, sample_evidence

SEVERITY = ("passed", "failed", "error")
SAMPLE = sample_evidence()


def evidence(**facts):
    return replace(SAMPLE, **facts)


def phases(**changes):
    """The sample's phases with some changed; None removes one."""
    changed = []
    for phase in SAMPLE.phases:
        facts = changes.get(phase.name, {})
        if facts is not None:
            changed.append(replace(phase, **facts))
    return tuple(changed)


def before(*seconds):
    return tuple(INCIDENT - timedelta(seconds=number) for number in seconds)


def objectives(**facts):
    return replace(SAMPLE.objectives, **facts)


DATA = Check("rows", "passed", 1, 1, proves_data=True)
SHAPE = Check("indexes", "passed", [], [])
SLIPPED = (*SAMPLE.self_tests[1:], SelfTest("flipped_byte", False))
UNTRIED = (*SAMPLE.self_tests[1:], SelfTest("flipped_byte", None))

CASES = {
    "all is well": ("passed", {}),
    "no objectives": ("passed", {"objectives": Objectives()}),
    "as slow as the objective allows": ("passed", {"objectives": objectives(rto_seconds=26.76)}),
    "slower than the objective": ("failed", {"objectives": objectives(rto_seconds=26.759)}),
    "lost as much as allowed": ("passed", {"objectives": objectives(rpo_seconds=3412)}),
    "a marker older than the objective": ("failed", {"marker_at": before(3601)[0]}),
    "a gap longer than the objective": ("failed", {"recovery_points": before(24, 3700)}),
    "a gap up to the incident": ("failed", {"recovery_points": before(3700), "marker_at": before(1)[0]}),
    "no recovery point": ("error", {"recovery_points": ()}),
    "no recovery point and no objective": (
        "passed",
        {"recovery_points": (), "objectives": objectives(rpo_seconds=None)},
    ),
    "only later recovery points": ("error", {"recovery_points": before(-5)}),
    "no marker": ("error", {"marker_at": None}),
    "no marker and no objective": ("error", {"marker_at": None, "objectives": Objectives()}),
    "a marker ahead of the incident": ("error", {"marker_at": before(-0.001)[0]}),
    "a marker at the incident": ("passed", {"marker_at": INCIDENT}),
    "no fingerprint": ("error", {"fingerprint": None}),
    "no fingerprint but a check of data": ("error", {"fingerprint": None, "checks": (DATA,)}),
    "a fingerprint that was not compared": ("error", {"fingerprint": FingerprintResult(38, 9, None)}),
    "another fingerprint": ("failed", {"fingerprint": FingerprintResult(38, 9, False)}),
    "nothing but a fingerprint": ("passed", {"checks": ()}),
    "an empty database": ("error", {"fingerprint": FingerprintResult(0, 0, True), "checks": (SHAPE,)}),
    "no rows, but a check of data": ("passed", {"fingerprint": FingerprintResult(3, 0, True), "checks": (DATA,)}),
    "a failed check": ("failed", {"checks": (DATA, replace(SHAPE, status="failed"))}),
    "a check that could not run": ("error", {"checks": (DATA, replace(SHAPE, status="error"))}),
    "a failed and an impossible check": (
        "error",
        {"checks": (replace(DATA, status="failed"), replace(SHAPE, status="error"))},
    ),
    "a warning": ("passed", {"checks": (DATA, replace(SHAPE, status="warning"))}),
    "a skipped check": ("passed", {"checks": (DATA, replace(SHAPE, status="skipped"))}),
    "a skipped mandatory check": ("error", {"checks": (DATA, replace(SHAPE, status="skipped", mandatory=True))}),
    "damage that slipped through": ("failed", {"self_tests": SLIPPED}),
    "damage that was not tried": ("error", {"self_tests": UNTRIED}),
    "no damage tried": ("error", {"self_tests": ()}),
    "no damage to try": ("passed", {"self_tests": (), "self_tests_required": False}),
    "the sandbox still exists": ("failed", {"sandbox_removed": False}),
    "the removal of the sandbox was not checked": ("error", {"sandbox_removed": None}),
    "no sandbox": ("passed", {"sandbox_removed": None, "sandbox_used": False}),
    "a phase failed": ("failed", {"phases": phases(restore={"status": "failed"})}),
    "the teardown failed": (
        "failed",
        {"phases": (*SAMPLE.phases, replace(SAMPLE.phases[-1], name="teardown", status="failed"))},
    ),
    "a phase of another boot": ("error", {"phases": phases(restore={"status": "unknown", "began": None, "boot": ""})}),
    "a restart between two phases": ("error", {"phases": phases(verify={"boot": "two"}, first_access={"boot": "two"})}),
    "no verification": ("error", {"phases": phases(verify=None, first_access=None)}),
    "no first access": ("passed", {"phases": phases(first_access=None)}),
    "no phases": ("error", {"phases": ()}),
    "no phase records the incident": ("error", {"phases": phases(failure=None), "marks": (), "incident_at": None}),
    "a restore that failed explains what is missing": (
        "failed",
        {
            "phases": (*SAMPLE.phases[:7], replace(SAMPLE.phases[7], status="failed")),
            "marker_at": None,
            "fingerprint": None,
            "checks": (),
            "self_tests": (),
        },
    ),
    "skipped": ("skipped", {"outcome": "skipped"}),
    "missed": ("missed", {"outcome": "missed"}),
}


@pytest.mark.parametrize("name", CASES)
def test_verdict(name):
    verdict, facts = CASES[name]

    judgement = judge(evidence(**facts))

    assert judgement.verdict == verdict, judgement.reasons
    assert (judgement.rto.met is False, judgement.rpo.met is False) == (False, False) or verdict != "passed"
    assert judgement.reasons
    assert all(reason.endswith(".") for reason in judgement.reasons)


def test_the_recovery_time_spans_the_waits_between_phases():
    rto = judge(SAMPLE).rto

    assert rto.measured_seconds == pytest.approx(26.76)
    assert rto.measured_seconds > sum(phase.seconds for phase in SAMPLE.phases[1:])


def test_clock_starts_at_the_failure_even_if_the_incident_is_later():
    later = INCIDENT + timedelta(seconds=10)
    given_later = judge(evidence(incident_at=later, marks=(), marker_at=INCIDENT, recovery_points=(INCIDENT,)))

    assert given_later.rto.measured_seconds == pytest.approx(26.76)


def test_the_clock_starts_at_an_earlier_incident():
    earlier = judge(evidence(incident_at=INCIDENT - timedelta(seconds=10), marker_at=before(40)[0]))

    assert earlier.rto.measured_seconds == pytest.approx(36.76)


def test_an_incident_that_is_only_known_by_the_wall_clock_is_measured_from():
    judgement = judge(evidence(phases=phases(failure=None), marks=()))

    assert judgement.rto.measured_seconds == pytest.approx(26.76)


def test_the_mark_of_the_incident_starts_the_clock():
    mark = Mark("incident", INCIDENT - timedelta(seconds=5), 995.0, BOOT)
    judgement = judge(evidence(marks=(mark,), incident_at=None, marker_at=before(60)[0], recovery_points=before(60)))

    assert judgement.rto.measured_seconds == pytest.approx(31.76)
    assert judgement.rpo.observed_seconds == 55


def test_a_later_attempt_that_worked_settles_a_phase():
    first = replace(SAMPLE.phases[7], status="failed")

    assert judge(evidence(phases=(*SAMPLE.phases[:7], first, *SAMPLE.phases[7:]))).verdict == "passed"


def test_a_proof_from_before_the_incident_is_no_proof():
    early = tuple(
        replace(phase, began=phase.began - 100) if phase.name in ("verify", "first_access") else phase
        for phase in SAMPLE.phases
    )
    judgement = judge(evidence(phases=early))

    assert judgement.verdict == "error"
    assert judgement.rto.measured_seconds is None


def test_a_drill_right_after_the_nightly_dump_does_not_pass_an_objective_of_an_hour():
    nightly = before(600, 600 + 86400, 600 + 2 * 86400)
    judgement = judge(evidence(recovery_points=nightly, marker_at=before(601)[0]))

    assert judgement.rpo.observed_seconds == 601
    assert judgement.rpo.exposure_seconds == 86400
    assert (judgement.verdict, judgement.rpo.met) == ("failed", False)


def test_history_shorter_than_the_window_is_reported():
    notes = judge(evidence(recovery_points=before(30))).notes

    assert any("reach back 30 s, less than the look-back window of 24 h" in note for note in notes)


def test_a_history_that_fills_the_window_is_not_remarked_on():
    assert judge(evidence(recovery_points=before(*range(24, 90000, 3000)))).notes == ()


def test_a_gap_that_reaches_into_the_window_counts_whole():
    exposure = measure_exposure(before(60, 90000), INCIDENT, 86400)

    assert exposure.seconds == 90000 - 60
    assert exposure.window_covered


def test_points_older_than_the_window_do_not_count():
    exposure = measure_exposure(before(60, 86400, 90000, 900000), INCIDENT, 86400)

    assert exposure.points == before(86400, 60)


@pytest.mark.parametrize("objective", [None, 3600])
def test_the_verdict_of_the_loss_is_null_when_it_is_not_known(objective):
    judgement = judge(evidence(marker_at=None, objectives=objectives(rpo_seconds=objective)))

    assert judgement.rpo.met is None


def test_one_known_breach_is_enough_to_miss_the_objective():
    assert judge(evidence(marker_at=None, recovery_points=before(4000))).rpo.met is False


def test_passed_drill_names_its_proof():
    text = " ".join(judge(SAMPLE).reasons)

    assert all(word in text for word in ("26.8 s", "25.1 s", "38 tables", "8 of 8 checks", "5 of 5 kinds", "sandbox"))


def test_bad_news_comes_first_and_alone():
    reasons = judge(evidence(self_tests=SLIPPED, marker_at=None)).reasons

    assert "marker" in reasons[0]
    assert len(reasons) == 2


points = st.lists(st.floats(0.001, 200000), min_size=1, max_size=30)
checks = st.lists(
    st.builds(
        Check,
        st.text(min_size=1, max_size=5),
        st.sampled_from(("passed", "failed", "warning", "error", "skipped")),
        proves_data=st.booleans(),
        mandatory=st.booleans(),
    ),
    max_size=6,
)
fingerprints = st.none() | st.builds(
    FingerprintResult, st.integers(0, 3), st.integers(0, 3), st.sampled_from((True, False, None))
)
answers = st.sampled_from((True, False, None))
evidences = st.builds(
    evidence,
    objectives=st.builds(Objectives, st.none() | st.floats(1, 100), st.none() | st.floats(1, 90000)),
    marker_at=st.none() | st.floats(-100, 100000).map(lambda seconds: before(seconds)[0]),
    recovery_points=st.lists(st.floats(-100, 200000), max_size=10).map(lambda given_: before(*given_)),
    checks=checks.map(tuple),
    fingerprint=fingerprints,
    self_tests=st.lists(st.builds(SelfTest, st.text(min_size=1, max_size=5), answers), max_size=3).map(tuple),
    sandbox_removed=answers,
    sandbox_used=st.booleans(),
    phases=st.lists(st.sampled_from(("ok", "failed", "unknown")), min_size=10, max_size=10).map(
        lambda statuses: tuple(replace(phase, status=status) for phase, status in zip(SAMPLE.phases, statuses))
    )
    | st.just(SAMPLE.phases),
)


@given(evidences)
def test_nothing_passes_unproved(drill):
    judgement = judge(drill)

    if judgement.verdict == "passed":
        assert drill.fingerprint is not None
        assert drill.fingerprint.equal
        assert drill.fingerprint.rows or any(check.proves_data and check.status == "passed" for check in drill.checks)
        assert not any(check.status in ("failed", "error") for check in drill.checks)
        assert drill.self_tests
        assert all(test.caught for test in drill.self_tests)
        assert drill.sandbox_removed or not drill.sandbox_used
        assert judgement.rto.measured_seconds is not None
        assert judgement.rto.met is not False
        assert drill.marker_at is not None
        assert drill.marker_at <= INCIDENT
        assert judgement.rpo.met or drill.objectives.rpo_seconds is None


@given(evidences, st.sampled_from(("failed", "error")))
def test_another_bad_check_never_makes_the_verdict_better(drill, status):
    worse = replace(drill, checks=(*drill.checks, Check("more", status)))

    assert SEVERITY.index(judge(worse).verdict) >= SEVERITY.index(judge(drill).verdict)


@given(evidences, st.floats(0.5, 1))
def test_a_stricter_objective_never_makes_the_verdict_better(drill, factor):
    limits = drill.objectives
    stricter = replace(
        limits,
        rto_seconds=limits.rto_seconds and limits.rto_seconds * factor,
        rpo_seconds=limits.rpo_seconds and limits.rpo_seconds * factor,
    )

    assert SEVERITY.index(judge(replace(drill, objectives=stricter)).verdict) >= SEVERITY.index(judge(drill).verdict)


@given(evidences, st.floats(0, 100000))
def test_an_older_marker_never_makes_the_verdict_better(drill, seconds):
    if drill.marker_at is None or drill.marker_at > INCIDENT:
        return
    older = replace(drill, marker_at=drill.marker_at - timedelta(seconds=seconds))

    assert SEVERITY.index(judge(older).verdict) >= SEVERITY.index(judge(drill).verdict)


@given(points, st.floats(0, 1), st.floats(1, 200000))
def test_one_more_point_within_the_history_never_lengthens_the_exposure(seconds, share, window):
    exposure = measure_exposure(before(*seconds), INCIDENT, window)
    more = measure_exposure(before(*seconds, share * max(seconds)), INCIDENT, window)

    assert more.seconds <= exposure.seconds


@given(points, st.floats(1, 200000))
def test_the_exposure_is_at_least_the_wait_up_to_the_incident(seconds, window):
    exposure = measure_exposure(before(*seconds), INCIDENT, window)

    assert exposure.seconds >= round(min(seconds), 3) - 0.001
    assert exposure.gap[1] - exposure.gap[0] == timedelta(seconds=exposure.seconds)
