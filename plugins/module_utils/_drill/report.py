# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill as data: assembled, validated, and printed in five lines."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import format_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.severity import CHECK_STATUSES, PASSED, VERDICTS
from .._pages.phrases import estimate_range, number, plural, span
from .._pages.report_format import DataOrigin, Report, headline, origin_of
from .judge import judge
from .measure import incident_instant, last_attempts
from .model import Evidence, Judgement, Phase, PhaseStatus

SCHEMA = "lifeline.recovery/drill-report/1"


@dataclass(frozen=True)
class DrillFacts:
    """The facts of a report that are not evidence. set_facts and versions are for readers of the report."""

    scenario: str
    source: str
    environment: str
    started_at: datetime
    finished_at: datetime
    data_origin: str = DataOrigin.SOURCE
    backup_set: t.Optional[str] = None
    recovery_point: t.Optional[datetime] = None
    versions: t.Mapping[str, t.Any] = field(default_factory=dict)
    set_facts: t.Mapping[str, t.Any] = field(default_factory=dict)


def build_report(facts: DrillFacts, evidence: Evidence) -> Report:
    """Judge the evidence and give the report in the form of L(SCHEMA). Raises RecoveryError(invalid_options)."""
    judgement = judge(evidence)
    incident_at = incident_instant(evidence.incident_at, evidence.phases, evidence.marks)
    origin = judgement.rto.began
    report: Report = {
        "schema": SCHEMA,
        "scenario": facts.scenario,
        "source": facts.source,
        "environment": facts.environment,
        "data_origin": facts.data_origin,
        "verdict": judgement.verdict,
        "reasons": list(judgement.reasons),
        "notes": [*_origin_notes(facts), *judgement.notes],
        "started_at": format_instant(facts.started_at),
        "finished_at": format_instant(facts.finished_at),
        "backup_set": facts.backup_set,
        "recovery_point": _instant(facts.recovery_point),
        "incident_at": _instant(incident_at),
        "rto": _rto(judgement),
        "rpo": _rpo(judgement, evidence),
        "estimate_seconds": _estimate(evidence),
        "estimate_exceeded": judgement.estimate_exceeded,
        "phases": [_phase(phase, origin) for phase in evidence.phases],
        "marks": [
            {"name": mark.name, "at": format_instant(mark.at), "status": mark.status, "note": mark.note}
            for mark in evidence.marks
        ],
        "slowest_phase": _slowest(evidence.phases, judgement),
        "checks": [
            {
                **check.extra,
                "name": check.name,
                "status": check.status,
                "expected": check.expected,
                "actual": check.actual,
                "proves_data": check.proves_data,
            }
            for check in evidence.checks
        ],
        "fingerprint": _fingerprint(evidence),
        "self_tests": [{**test.extra, "damage": test.damage, "caught": test.caught} for test in evidence.self_tests],
        "sandbox": {"used": evidence.sandbox_used, "removed": evidence.sandbox_removed},
        "set_facts": dict(facts.set_facts),
        "versions": dict(facts.versions),
    }
    validate_report(report)
    return report


def validate_report(report: t.Any) -> None:
    """Refuse what is not a report of L(SCHEMA). Further keys are welcome. Raises RecoveryError(invalid_options)."""
    _expect(isinstance(report, dict), "report", "is not a dictionary")
    _expect(report.get("schema") == SCHEMA, "schema", f"is not {SCHEMA}")
    for key in ("scenario", "source", "environment"):
        _expect(isinstance(report.get(key), str) and report[key] != "", key, "is not a text")
    _expect(origin_of(report) in DataOrigin.ALL, "data_origin", f"is none of {', '.join(DataOrigin.ALL)}")
    _expect(report.get("verdict") in VERDICTS, "verdict", f"is none of {', '.join(VERDICTS)}")
    for key in ("started_at", "finished_at"):
        _expect_instant(report.get(key), key)
    for key in ("recovery_point", "incident_at"):
        _expect(key in report, key, "is missing")
        _expect_instant(report[key], key, or_null=True)
    _expect(report.get("backup_set", "") is None or isinstance(report.get("backup_set"), str), "backup_set", "is no id")
    _expect_objective(report, "rto", ("objective_seconds", "measured_seconds"))
    _expect_objective(report, "rpo", ("objective_seconds", "observed_seconds", "exposure_seconds"))
    for key in ("estimate_seconds", "estimate_proposed_seconds"):
        _expect_estimate(report.get(key), key)
    for index, phase in enumerate(_items(report, "phases")):
        where = f"phases[{index}]"
        _expect(isinstance(phase.get("name"), str), f"{where}.name", "is not a text")
        _expect_instant(phase.get("started_at"), f"{where}.started_at")
        _expect(_is_length(phase.get("seconds")), f"{where}.seconds", "is not a length in seconds")
        _expect(phase.get("status") in PhaseStatus.ALL, f"{where}.status", f"is none of {', '.join(PhaseStatus.ALL)}")
    for index, check in enumerate(_items(report, "checks")):
        where = f"checks[{index}]"
        _expect(isinstance(check.get("name"), str), f"{where}.name", "is not a text")
        _expect(check.get("status") in CHECK_STATUSES, f"{where}.status", f"is none of {', '.join(CHECK_STATUSES)}")
        _expect({"expected", "actual"} <= set(check), where, "lacks expected or actual")
    for index, test in enumerate(_items(report, "self_tests")):
        where = f"self_tests[{index}]"
        _expect(isinstance(test.get("damage"), str), f"{where}.damage", "is not a text")
        _expect(test.get("caught", "") in (True, False, None), f"{where}.caught", "is not true, false or null")
    fingerprint = report.get("fingerprint", "")
    _expect(fingerprint is None or isinstance(fingerprint, dict), "fingerprint", "is not a dictionary")
    if fingerprint is not None:
        for key in ("tables", "rows"):
            _expect(_is_length(fingerprint.get(key)), f"fingerprint.{key}", "is not a number")
        _expect(fingerprint.get("equal", "") in (True, False, None), "fingerprint.equal", "is not true, false or null")
    _expect(isinstance(report.get("versions"), dict), "versions", "is not a dictionary")
    for key in ("reasons", "notes"):
        texts = report.get(key, [])
        _expect(isinstance(texts, list) and all(isinstance(text, str) for text in texts), key, "is not a list of texts")


def summarise(report: Report) -> t.List[str]:
    """Five lines for a person: verdict, time, loss, proof, and the first reason or the slowest phase."""
    rto, rpo, fingerprint = report["rto"], report["rpo"], report["fingerprint"]
    passed = sum(check["status"] == "passed" for check in report["checks"])
    caught = sum(test["caught"] is True for test in report["self_tests"])
    content = "not compared"
    if fingerprint and fingerprint["equal"] is not None:
        relation = "equal" if fingerprint["equal"] else "NOT equal"
        content = f"{plural(fingerprint['rows'], 'row')} in {plural(fingerprint['tables'], 'table')} {relation}"
    slowest = report.get("slowest_phase")
    estimate = report.get("estimate_seconds")
    over = ""
    if estimate and report.get("estimate_exceeded"):
        over = f"; estimated {estimate_range(estimate['min'], estimate['max'])}"
    last = f"Slowest phase: {slowest['name']}, {span(slowest['seconds'])}." if slowest else "No phase was timed."
    if report["verdict"] != PASSED and report["reasons"]:
        last = "Why: " + report["reasons"][0]
    return [
        f"{headline(report)} ({report['environment']}).",
        f"RTO: measured {_measured(rto['measured_seconds'])}, objective {_limit(rto['objective_seconds'])}{over}.",
        f"RPO: lost {_lost(rpo['observed_seconds'])}, exposure {_measured(rpo['exposure_seconds'])}, "
        f"objective {_limit(rpo['objective_seconds'])}.",
        f"Proof: {content}; {number(passed)} of {plural(len(report['checks']), 'check')} passed; "
        f"{number(caught)} of {plural(len(report['self_tests']), 'kind')} of damage caught.",
        last,
    ]


def _origin_notes(facts: DrillFacts) -> t.Iterator[str]:
    if facts.data_origin == DataOrigin.SAMPLE:
        yield f"The data were generated for this drill. It does not count as a rehearsal of {facts.source}."


def _rto(judgement: Judgement) -> Report:
    rto = judgement.rto
    return {"objective_seconds": rto.objective_seconds, "measured_seconds": rto.measured_seconds, "met": rto.met}


def _estimate(evidence: Evidence) -> t.Optional[Report]:
    estimate = evidence.estimate
    return None if estimate is None else {"min": estimate.min_seconds, "max": estimate.max_seconds}


def _rpo(judgement: Judgement, evidence: Evidence) -> Report:
    rpo = judgement.rpo
    gap = rpo.gap and {"from": format_instant(rpo.gap[0]), "until": format_instant(rpo.gap[1])}
    return {
        "objective_seconds": rpo.objective_seconds,
        "observed_seconds": rpo.observed_seconds,
        "exposure_seconds": rpo.exposure_seconds,
        "met": rpo.met,
        "marker_at": _instant(evidence.marker_at),
        "window_seconds": evidence.objectives.window_seconds,
        "recovery_points": [format_instant(point) for point in rpo.points],
        "longest_gap": gap,
    }


def _phase(phase: Phase, origin: t.Optional[float]) -> Report:
    offset = None if origin is None or phase.began is None else round(phase.began - origin, 3)
    return {
        "name": phase.name,
        "started_at": format_instant(phase.started_at),
        "seconds": round(phase.seconds, 3),
        "status": phase.status,
        "offset_seconds": offset,
        "note": phase.note,
    }


def _slowest(phases: t.Sequence[Phase], judgement: Judgement) -> t.Optional[Report]:
    began, ended = judgement.rto.began, judgement.rto.ended
    if began is None or ended is None:
        return None
    inside = [phase for phase in last_attempts(phases) if phase.began is not None and began <= phase.began <= ended]
    if not inside:
        return None
    slowest = max(inside, key=lambda phase: phase.seconds)
    return {"name": slowest.name, "seconds": round(slowest.seconds, 3)}


def _fingerprint(evidence: Evidence) -> t.Optional[Report]:
    result = evidence.fingerprint
    if result is None:
        return None
    compared = {"tables": result.tables, "rows": result.rows, "equal": result.equal, "reference": result.reference}
    return {**result.extra, **compared}


def _instant(instant: t.Optional[datetime]) -> t.Optional[str]:
    return None if instant is None else format_instant(instant)


def _measured(seconds: t.Optional[float]) -> str:
    return "unknown" if seconds is None else span(seconds)


def _lost(seconds: t.Optional[float]) -> str:
    # A marker row is written before its backup, so its age is an upper bound and may exceed the exposure.
    return "unknown" if seconds is None else f"at most {span(seconds)} (age of the newest marker row)"


def _limit(seconds: t.Optional[float]) -> str:
    return "none" if seconds is None else span(seconds)


def _items(report: Report, key: str) -> t.List[t.Dict[str, t.Any]]:
    items = report.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _invalid(key, "is not a list of dictionaries")
    return items


def _expect_objective(report: Report, key: str, lengths: t.Sequence[str]) -> None:
    value = report.get(key)
    if not isinstance(value, dict):
        raise _invalid(key, "is not a dictionary")
    for name in lengths:
        where = f"{key}.{name}"
        _expect(name in value, where, "is missing")
        _expect(value[name] is None or _is_length(value[name]), where, "is not a length in seconds")
    _expect(value.get("met", "") in (True, False, None), f"{key}.met", "is not true, false or null")


def _expect_estimate(value: t.Any, where: str) -> None:
    _expect(value is None or (isinstance(value, dict) and {"min", "max"} <= set(value)), where, "lacks min or max")
    for key in ("min", "max") if value else ():
        _expect(value[key] is None or _is_length(value[key]), f"{where}.{key}", "is not a length in seconds")


def _expect_instant(value: t.Any, where: str, *, or_null: bool = False) -> None:
    if value is None and or_null:
        return
    try:
        parse_instant(value)
    except (RecoveryError, AttributeError):
        raise _invalid(where, "is not an instant") from None


def _is_length(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _expect(holds: bool, where: str, why: str) -> None:
    if not holds:
        raise _invalid(where, why)


def _invalid(where: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The drill report is not valid: {where} {why}.",
        left="Nothing was written.",
    )
