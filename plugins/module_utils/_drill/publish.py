# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill judged and its report written: all files of one folder, then C(latest)."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, replace

from .._core.clock import parse_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.severity import ERROR, FAILED, MISSED, PASSED, SKIPPED
from .._pages.page import render_page
from .._pages.report_format import Report
from .._repository.audit import write_audit
from .._store.base import ObjectStore
from .estimate import proposal
from .evidence import DrillRequest
from .journal import Journal, read_journal
from .junit import drill_junit
from .openmetrics import drill_metrics
from .report import DrillFacts, build_report, summarise
from .report_files import REPORT_NAME, folder_name, point_latest, read_history, reserve_folder, same_drill, write_file

#: Stable classes for scripts; 2 and 4 belong to wrong options and refused steps, where no report exists.
EXIT_CLASSES = {PASSED: 0, FAILED: 1, ERROR: 3, SKIPPED: 3, MISSED: 3}

#: The collector of metrics runs as a user of its own; the file names tables of checks, and holds no row.
_METRICS_MODE = 0o644


@dataclass(frozen=True)
class DrillResult:
    """report_dir and the paths are what would be written in check mode."""

    changed: bool
    verdict: str
    exit_class: int
    reasons: t.Sequence[str]
    notes: t.Sequence[str]
    rto: Report
    rpo: Report
    estimate_seconds: t.Optional[Report]
    estimate_exceeded: t.Optional[bool]
    estimate_proposed_seconds: t.Optional[Report]
    estimate_drills: int
    phases: t.Sequence[Report]
    report_dir: str
    report_html: str
    report_json: str
    earlier_drills: int
    broken_reports: t.Sequence[str]
    summary: t.Sequence[str]


def publish_report(request: DrillRequest, store: t.Optional[ObjectStore] = None) -> DrillResult:
    """Judge the evidence and write the report; if store is set, write an audit record.

    Raises RecoveryError: invalid_options, report_failed, and check_failed for a verdict other than passed if the
    request requires passed; the report is written before that.
    """
    report = _judged(request)
    history = read_history(request.reports_dir)
    earlier = same_drill(history, report)
    report.update(proposal([*earlier, report]))
    reports_dir = os.path.abspath(request.reports_dir)
    name = folder_name(parse_instant(report["started_at"]), request.scenario)
    folder = os.path.join(reports_dir, name)
    if not request.check_mode:
        folder = reserve_folder(reports_dir, name)
        _write(folder, report, earlier, history.broken)
        point_latest(reports_dir, folder)
        if request.metrics_textfile:
            write_file(request.metrics_textfile, drill_metrics(report, earlier), _METRICS_MODE)
    result = DrillResult(
        changed=True,
        verdict=report["verdict"],
        exit_class=EXIT_CLASSES[report["verdict"]],
        reasons=report["reasons"],
        notes=report["notes"],
        rto=report["rto"],
        rpo=report["rpo"],
        estimate_seconds=report["estimate_seconds"],
        estimate_exceeded=report["estimate_exceeded"],
        estimate_proposed_seconds=report["estimate_proposed_seconds"],
        estimate_drills=report["estimate_drills"],
        phases=report["phases"],
        report_dir=folder,
        report_html=os.path.join(folder, "report.html"),
        report_json=os.path.join(folder, REPORT_NAME),
        earlier_drills=len(earlier),
        broken_reports=history.broken,
        summary=summarise(report),
    )
    if store is not None and not request.check_mode:
        _record(store, request, result)
    if request.fail_on_verdict and report["verdict"] != PASSED:
        raise _verdict_error(result, written=not request.check_mode)
    return result


def _judged(request: DrillRequest) -> Report:
    journal = _journal(request.journal)
    given = request.evidence
    evidence = replace(given, phases=journal.phases, marks=journal.marks, notes=(*journal.problems, *given.notes))
    now = utc_now()
    facts = DrillFacts(
        scenario=request.scenario,
        source=request.source,
        environment=request.environment,
        data_origin=request.data_origin,
        started_at=journal.started_at or now,
        finished_at=journal.finished_at or now,
        backup_set=request.backup_set,
        recovery_point=request.recovery_point,
        versions=request.versions,
        set_facts=request.set_facts,
    )
    return build_report(facts, evidence)


def _journal(path: t.Optional[str]) -> Journal:
    if path is None:
        return Journal()
    # A drill that stopped before its first phase has no journal, and needs its report all the more.
    if not os.path.exists(path):
        return Journal(problems=(f"No phase was recorded: there is no journal at {path}.",))
    return read_journal(path)


def _write(folder: str, report: Report, earlier: t.Sequence[Report], broken: t.Sequence[str]) -> None:
    write_file(os.path.join(folder, "report.html"), render_page(report, earlier, broken))
    write_file(os.path.join(folder, "junit.xml"), drill_junit(report))
    write_file(os.path.join(folder, "metrics.prom"), drill_metrics(report, earlier), _METRICS_MODE)
    # Last, for it makes the folder a report.
    write_file(os.path.join(folder, REPORT_NAME), json.dumps(report, indent=2, ensure_ascii=False, default=str) + "\n")


def _record(store: ObjectStore, request: DrillRequest, result: DrillResult) -> None:
    details = {
        "scenario": request.scenario,
        "environment": request.environment,
        "data_origin": request.data_origin,
        "set_id": request.backup_set,
        "rto": {name: result.rto[name] for name in ("objective_seconds", "measured_seconds", "met")},
        "rpo": {name: result.rpo[name] for name in ("objective_seconds", "observed_seconds", "met")},
        "report": os.path.basename(result.report_dir),
    }
    try:
        write_audit(store, request.source, "drill", result.verdict, details)
    except RecoveryError as error:
        raise RecoveryError(
            error.kind,
            f"The audit record of the drill could not be written: {error.what}",
            left=f"Its report is in {result.report_dir}.",
            next_step=error.next_step,
        ) from None


def _verdict_error(result: DrillResult, *, written: bool) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CHECK_FAILED,
        f"The verdict of the drill is {result.verdict}: {' '.join(result.reasons[:3])}",
        left=f"The report is in {result.report_dir}." if written else "Nothing was written in check mode.",
        next_step="Read the reasons in it, mend the cause and drill again.",
        details=dict(vars(result)),
    )
