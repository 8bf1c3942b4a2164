# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill as metrics for node_exporter's textfile collector, and for readers of OpenMetrics.

Only gauges, without timestamps on the samples, which the collector refuses
(https://github.com/prometheus/node_exporter#textfile-collector); instants are unix seconds.
"""

from __future__ import annotations

import typing as t

from .._core.clock import parse_instant
from .._core.openmetrics import END, Samples, gauge
from .._core.severity import CHECK_STATUSES, PASSED, VERDICTS
from .._pages.report_format import Report, origin_of


def drill_metrics(report: Report, earlier: t.Sequence[Report]) -> str:
    """All metrics of the newest drill. earlier: previous reports of the same drill, for its last success."""
    names = {key: report[key] for key in ("source", "scenario", "environment")}
    names["data_origin"] = origin_of(report)
    rto, rpo, fingerprint = report["rto"], report["rpo"], report["fingerprint"] or {}
    lines: t.List[str] = []

    def add(name: str, text: str, samples: Samples) -> None:
        lines.extend(gauge(f"lifeline_drill_{name}", text, [({**names, **labels}, value) for labels, value in samples]))

    def add_known(name: str, text: str, value: t.Optional[float]) -> None:
        # An unknown value has no sample: a zero would look like a perfect result.
        add(name, text, [] if value is None else [({}, value)])

    add("verdict", "1 for the verdict of the newest drill, 0 for the others.", _one_of(VERDICTS, report["verdict"]))
    add("last_run_timestamp_seconds", "When the newest drill ended.", [({}, _unix(report))])
    success = _last_success([*earlier, report])
    add("last_success_timestamp_seconds", "When a drill last passed; 0 when none ever did.", [({}, success)])
    add_known("rto_objective_seconds", "The recovery time objective.", rto["objective_seconds"])
    add_known("rto_measured_seconds", "Time from the incident to the proved recovery.", rto["measured_seconds"])
    add_known("rto_met", "Whether the recovery time met its objective.", _truth(rto["met"]))
    estimate = report.get("estimate_seconds") or {}
    add_known("estimate_min_seconds", "The shortest recovery time that is estimated.", estimate.get("min"))
    add_known("estimate_max_seconds", "The longest recovery time that is estimated.", estimate.get("max"))
    over = _truth(report.get("estimate_exceeded"))
    add_known("estimate_exceeded", "Whether the recovery took longer than estimated.", over)
    add_known("rpo_objective_seconds", "The recovery point objective.", rpo["objective_seconds"])
    add_known("rpo_observed_seconds", "Data loss, by the newest recovered marker row.", rpo["observed_seconds"])
    add_known("rpo_exposure_seconds", "Longest gap between recovery points in the window.", rpo["exposure_seconds"])
    add_known("rpo_met", "Whether data loss and exposure met their objective.", _truth(rpo["met"]))
    add("phase_seconds", "Length of each phase; attempts add up.", _phases(report))
    add("checks", "Checks of the recovered data by status.", _counts(report))
    add("check_passed", "Whether a check of the recovered data passed.", _by_name(report["checks"], "name", "check"))
    add("self_test_caught", "Whether damage to the set was caught.", _by_name(report["self_tests"], "damage", "damage"))
    add_known("fingerprint_equal", "Whether the recovered data equal the set.", _truth(fingerprint.get("equal")))
    add_known("fingerprint_rows", "Rows that were compared.", fingerprint.get("rows"))
    removed = _truth(report.get("sandbox", {}).get("removed"))
    add_known("sandbox_removed", "Whether the sandbox is gone.", removed)
    return "\n".join([*lines, END]) + "\n"


def _one_of(values: t.Iterable[str], actual: str) -> Samples:
    return [({"verdict": value}, 1.0 if value == actual else 0.0) for value in values]


def _last_success(reports: t.Sequence[Report]) -> float:
    return max((_unix(report) for report in reports if report["verdict"] == PASSED), default=0.0)


def _unix(report: Report) -> float:
    return parse_instant(report["finished_at"]).timestamp()


def _phases(report: Report) -> Samples:
    seconds: t.Dict[str, float] = {}
    for phase in report["phases"]:
        seconds[phase["name"]] = seconds.get(phase["name"], 0.0) + phase["seconds"]
    return [({"phase": name}, value) for name, value in seconds.items()]


def _counts(report: Report) -> Samples:
    statuses = [check["status"] for check in report["checks"]]
    return [({"status": status}, float(statuses.count(status))) for status in CHECK_STATUSES]


def _by_name(items: t.Sequence[Report], key: str, label: str) -> Samples:
    # One series a name, for equal series make the collector drop the whole file; the worst one stands.
    worst: t.Dict[str, float] = {}
    for item in items:
        good = item.get("status") == "passed" or item.get("caught") is True
        worst[item[key]] = min(worst.get(item[key], 1.0), 1.0 if good else 0.0)
    return [({label: name}, value) for name, value in worst.items()]


def _truth(value: t.Optional[bool]) -> t.Optional[float]:
    return None if value is None else float(value)
