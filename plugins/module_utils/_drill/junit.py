# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill as JUnit: the verdict, each objective, each check and each kind of damage is one test case."""

from __future__ import annotations

import typing as t

from .._core.junit import TestCase, junit_xml
from .._core.severity import FAILED, MISSED, PASSED, SKIPPED, WARNING
from .._pages.phrases import compact, estimate_range, exceeded_sentence, span
from .._pages.report_format import Report

_CLASS = "lifeline.recovery.drill"

_Outcome = t.Tuple[str, str]


def drill_junit(report: Report) -> str:
    """The whole document. An objective that was not measured is an error, one that is not set is skipped."""
    suite = f"{_CLASS}.{report['scenario']}.{report['source']}"
    return junit_xml(
        suite, [_verdict(report), *_objectives(report), *_estimate(report), *_checks(report), *_proofs(report)]
    )


def _verdict(report: Report) -> TestCase:
    verdict, reasons = report["verdict"], report.get("reasons", [])
    # A drill that was due and did not run is a failure of the plan; a skipped one was decided.
    status = FAILED if verdict == MISSED else verdict
    message = reasons[0] if reasons else verdict
    return TestCase("verdict", f"{_CLASS}.verdict", status, message, "\n".join(reasons[1:]))


def _objectives(report: Report) -> t.Iterator[TestCase]:
    rto, rpo = report["rto"], report["rpo"]
    status, message = _objective(report, rto, {"measured": rto["measured_seconds"]})
    yield TestCase("rto", f"{_CLASS}.objective", status, message, seconds=rto["measured_seconds"] or 0.0)
    status, message = _objective(
        report, rpo, {"observed": rpo["observed_seconds"], "exposure": rpo["exposure_seconds"]}
    )
    yield TestCase("rpo", f"{_CLASS}.objective", status, message)


def _estimate(report: Report) -> t.Iterator[TestCase]:
    """Never a failure: JUnit knows no warnings, so a warning is a passed test with a message."""
    estimate, measured = report.get("estimate_seconds"), report["rto"]["measured_seconds"]
    if not estimate or measured is None:
        return
    message = f"measured {span(measured)}; estimate {estimate_range(estimate['min'], estimate['max'])}"
    if report.get("estimate_exceeded"):
        message = f"warning: {exceeded_sentence(measured, estimate['max'])}"
    yield TestCase("estimate", f"{_CLASS}.objective", PASSED, message)


def _objective(report: Report, objective: Report, measured: t.Mapping[str, t.Optional[float]]) -> _Outcome:
    limit = objective["objective_seconds"]
    values = "; ".join(f"{name} {'not measured' if value is None else span(value)}" for name, value in measured.items())
    if report["verdict"] in (SKIPPED, MISSED):
        return "skipped", f"the drill was {report['verdict']}"
    if limit is None:
        return "skipped", f"the source has no such objective ({values})"
    message = f"{values}; objective {span(limit)}"
    if objective["met"] is None:
        return "error", message
    return ("passed" if objective["met"] else "failed"), message


def _checks(report: Report) -> t.Iterator[TestCase]:
    for check in report["checks"]:
        status, message = check["status"], str(check.get("message") or check["status"])
        # JUnit knows no warnings: a warning is a passed test with a message.
        if status == WARNING:
            status, message = "passed", f"warning: {message}"
        detail = f"expected: {compact(check['expected'], 4000)}\nactual: {compact(check['actual'], 4000)}"
        yield TestCase(check["name"], f"{_CLASS}.check", status, message, detail, float(check.get("seconds") or 0.0))


def _proofs(report: Report) -> t.Iterator[TestCase]:
    fingerprint = report["fingerprint"]
    if fingerprint is not None:
        status, message = {
            True: ("passed", "the recovered data are equal to the backup set"),
            False: ("failed", "the recovered data differ from the backup set"),
            None: ("error", "the recovered data were not compared"),
        }[fingerprint["equal"]]
        yield TestCase("fingerprint", f"{_CLASS}.fingerprint", status, message)
    for test in report["self_tests"]:
        status, message = {
            True: ("passed", "the damage was caught"),
            False: ("failed", "the damage was not caught"),
            None: ("error", "the damage was not tried"),
        }[test["caught"]]
        yield TestCase(test["damage"], f"{_CLASS}.self_test", status, message, str(test.get("how") or ""))
