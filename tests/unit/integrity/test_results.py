# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statuses, verdicts, sentences, and what JUnit makes of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.junit import TestCase, junit_xml
from ansible_collections.lifeline.recovery.plugins.module_utils._core.severity import CHECK_STATUSES
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.junit import as_case
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.result import (
    CheckResult,
    Finding,
    count_statuses,
    judge,
    summarise,
    weigh,
)


def result(status, name="a check", **facts):
    values = {"expected": 0, "actual": 1, "message": "One row is wrong.", "sample": [{"email": "someone"}], **facts}
    return CheckResult(name, "row_count", status, "error", **values)


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "skipped"], "passed"),
        (["passed", "warning"], "passed"),
        (["passed", "error"], "error"),
        (["error", "failed"], "failed"),
        (["skipped"], "error"),
        ([], "error"),
    ],
)
def test_unverified_run_never_passes(statuses, verdict):
    assert judge([result(status) for status in statuses]) == verdict


def test_warnings_fail_only_on_request():
    assert judge([result("warning")], warnings_fail=True) == "failed"


def test_a_failed_check_of_severity_warning_is_a_warning():
    assert weigh(Finding(False, 0, 1, ""), "warning") == "warning"
    assert weigh(Finding(False, 0, 1, ""), "error") == "failed"
    assert weigh(Finding(True, 0, 0, ""), "warning") == "passed"


def test_the_summary_names_every_check_that_is_not_well():
    results = [result("passed", "A"), result("failed", "B"), result("error", "C"), result("warning", "D")]

    assert summarise(results) == "Of 4 checks, 1 failed (B); 1 could not be verified (C); 1 gave a warning (D)."
    assert summarise(results[:1]) == "1 check passed."
    assert count_statuses(results) == {"passed": 1, "failed": 1, "warning": 1, "error": 1, "skipped": 0}


def test_junit_distinguishes_failures_errors_and_skipped_and_holds_no_rows():
    text = junit_xml("suite", [as_case(result(status, f"named {status}")) for status in CHECK_STATUSES])

    suite = ET.fromstring(text).find("testsuite")
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    children = {case.get("name"): [child.tag for child in case] for case in suite}
    assert children["named failed"] == ["failure"]
    assert children["named error"] == ["error"]
    assert children["named warning"] == ["system-out"]
    assert "someone" not in text


def test_junit_is_well_formed_whatever_a_database_holds():
    awkward = 'a \x00\x1b\ud800 <b> & ]]> "quoted" \N{GRINNING FACE}'

    text = junit_xml(awkward, [TestCase(awkward, "c", "failed", awkward, awkward)])

    case = ET.fromstring(text.encode("utf-8")).find("testsuite/testcase")
    assert "<b> & ]]>" in case.get("name")
