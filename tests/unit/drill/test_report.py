# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of the report, its validator, and the five lines for a person."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.evidence import (
    read_checks,
    read_fingerprint,
    read_self_tests,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.openmetrics import drill_metrics
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.report import summarise, validate_report
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.page import render_page
from tests.support.data.drill_reports import sample_report, variant

KEYS = {
    "schema", "scenario", "source", "environment", "verdict", "started_at", "finished_at", "backup_set",
    "recovery_point", "incident_at", "rto", "rpo", "phases", "checks", "fingerprint", "self_tests", "versions",
}  # fmt: skip


@pytest.mark.parametrize("name", ["passed", "first", "failed", "error", "crowded"])
def test_every_report_has_the_promised_form(name):
    report = variant(name)[0]

    validate_report(report)
    assert set(report) >= KEYS
    assert report["schema"] == "lifeline.recovery/drill-report/1"
    assert set(report["rto"]) == {"objective_seconds", "measured_seconds", "met"}
    assert set(report["rpo"]) >= {"objective_seconds", "observed_seconds", "exposure_seconds", "met"}
    for phase in report["phases"]:
        assert set(phase) >= {"name", "started_at", "seconds", "status"}
    for check in report["checks"]:
        assert set(check) >= {"name", "status", "expected", "actual"}
    for test in report["self_tests"]:
        assert set(test) >= {"damage", "caught"}


def at(report, path, value):
    *parents, last = path
    target = report
    for key in parents:
        target = target[key]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return report


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema"], "lifeline.recovery/drill-report/2"),
        (["schema"], KeyError),
        (["scenario"], ""),
        (["verdict"], "green"),
        (["started_at"], "yesterday"),
        (["started_at"], None),
        (["incident_at"], KeyError),
        (["incident_at"], 5),
        (["backup_set"], KeyError),
        (["rto"], None),
        (["rto", "measured_seconds"], -1),
        (["rto", "measured_seconds"], True),
        (["rto", "measured_seconds"], float("nan")),
        (["rto", "met"], "yes"),
        (["rpo", "exposure_seconds"], KeyError),
        (["phases"], {}),
        (["phases", 0], "backup"),
        (["phases", 0, "status"], "running"),
        (["phases", 0, "seconds"], "1"),
        (["checks", 0, "actual"], KeyError),
        (["checks", 0, "status"], "ok"),
        (["self_tests", 0, "caught"], "yes"),
        (["self_tests", 0, "caught"], KeyError),
        (["fingerprint"], KeyError),
        (["fingerprint", "rows"], None),
        (["fingerprint", "equal"], KeyError),
        (["versions"], []),
        (["reasons"], "because"),
    ],
)
def test_a_report_of_another_form_is_refused_with_the_place(path, value):
    broken = at(copy.deepcopy(sample_report()), path, value)

    with pytest.raises(RecoveryError) as caught:
        validate_report(broken)
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS
    assert str(path[0]) in caught.value.what


@pytest.mark.parametrize("value", [None, [], "report", 5])
def test_report_must_be_a_dictionary(value):
    with pytest.raises(RecoveryError):
        validate_report(value)


def test_the_report_is_json():
    assert json.loads(json.dumps(sample_report(), allow_nan=False)) == sample_report()


def test_the_slowest_phase_of_the_recovery_is_named():
    assert sample_report()["slowest_phase"] == {"name": "restore", "seconds": 14.2}


def test_the_summary_has_five_lines():
    assert summarise(sample_report()) == [
        "Passed: drill database_loss of school (sandbox).",
        "RTO: measured 26.8 s, objective 5 min.",
        "RPO: lost at most 25.1 s (age of the newest marker row), exposure 56 min 52 s, objective 1 h.",
        "Proof: 1\u202f284\u202f310 rows in 38 tables equal; 8 of 8 checks passed; 5 of 5 kinds of damage caught.",
        "Slowest phase: restore, 14.2 s.",
    ]


def test_report_of_sample_data_marks_each_name_of_the_source():
    report = sample_report(data_origin="sample")

    assert report["data_origin"] == "sample"
    assert summarise(report)[0] == ("Passed: drill database_loss over sample data, no rehearsal of school (sandbox).")
    assert "It does not count as a rehearsal of school." in report["notes"][0]
    page = render_page(report)
    assert "<h1>Passed with sample data</h1>" in page
    assert "The source was lost" not in page
    assert 'data_origin="sample"' in drill_metrics(report, [])


def test_loss_is_reported_as_age_of_the_marker():
    reasons = " ".join(sample_report()["reasons"])
    assert "At most the last 25.1 s were lost: the newest recovered marker row is that old" in reasons


def test_checks_are_shown_as_sentences():
    report = sample_report()
    report["checks"][0].update(expected={"enabled": True, "min_policies": 1}, actual=[])
    report["checks"][1]["message"] = "All sequences are ahead of their columns."
    page = render_page(report)
    assert "Expected enabled: yes, min policies: 1, found none." in page
    assert "All sequences are ahead of their columns." in page
    assert "{&quot;enabled&quot;" not in page


def test_summary_of_a_failed_drill_gives_the_reason():
    lines = summarise(variant("error")[0])

    assert len(lines) == 5
    assert "measured unknown, objective 5 min" in lines[1]
    assert "lost unknown" in lines[2]
    assert lines[-1] == "Why: The removal of the sandbox was not checked."


class TestReading:
    def test_results_of_integrity_checks_are_understood(self):
        check = read_checks(
            [{"name": "rows", "type": "row_count", "status": "passed", "expected": 1, "actual": 2, "sample": [{}] * 9}]
        )[0]

        assert check.proves_data
        assert len(check.extra["sample"]) == 5

    @pytest.mark.parametrize(
        ("given", "proves"), [({"type": "indexes"}, False), ({"proves_data": True}, True), ({}, False)]
    )
    def test_whether_a_check_proves_data(self, given, proves):
        assert read_checks([{"name": "a", "status": "passed", **given}])[0].proves_data is proves

    @pytest.mark.parametrize(
        "check", [{}, {"name": "a"}, {"name": "a", "status": "ok"}, {"name": " ", "status": "passed"}]
    )
    def test_a_check_without_name_or_status_is_refused(self, check):
        with pytest.raises(RecoveryError, match=r"checks\[0\]"):
            read_checks([check])

    def test_text_is_no_answer(self):
        with pytest.raises(RecoveryError, match="caught must be true"):
            read_self_tests([{"damage": "missing", "caught": "False"}])

    @pytest.mark.parametrize(
        "given", [{"tables": 1}, {"tables": 1, "rows": "2"}, {"tables": -1, "rows": 2, "equal": True}]
    )
    def test_a_fingerprint_without_numbers_is_refused(self, given):
        with pytest.raises(RecoveryError, match="fingerprint"):
            read_fingerprint(given)

    def test_no_fingerprint_is_none(self):
        assert read_fingerprint({}) is None
