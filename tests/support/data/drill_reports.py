# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sample drill reports: passed, first, failed, error and crowded."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from ansible_collections.lifeline.recovery.plugins.module_utils._drill.estimate import proposal
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.evidence import (
    read_checks,
    read_fingerprint,
    read_self_tests,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.model import (
    Estimate,
    Evidence,
    Mark,
    Objectives,
    Phase,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.report import DrillFacts, build_report
from ansible_collections.lifeline.recovery.plugins.module_utils._pages.report_format import Report

INCIDENT = datetime(2026, 3, 2, 2, 47, 31, 250000, tzinfo=timezone.utc)
BOOT = "sample"

#: name, seconds after the incident, length
PHASES = (
    ("backup", -24.6, 14.31),
    ("failure", 0.0, 0.42),
    ("detection", 0.44, 2.05),
    ("decision", 2.51, 0.38),
    ("preflight", 3.9, 0.21),
    ("fetch", 4.12, 2.37),
    ("provision", 6.5, 0.33),
    ("restore", 6.85, 14.2),
    ("verify", 21.07, 3.88),
    ("first_access", 26.4, 0.36),
)

CHECKS: t.Tuple[t.Dict[str, t.Any], ...] = (
    {"name": "All foreign keys hold", "type": "foreign_keys", "expected": [], "actual": []},
    {"name": "Sequences are not behind their columns", "type": "sequences", "expected": [], "actual": []},
    {"name": "Indexes are valid", "type": "indexes", "expected": [], "actual": []},
    {
        "name": "Children are protected by row security",
        "type": "rls",
        "expected": {"enabled": True, "min_policies": 1},
        "actual": {"enabled": True, "policies": 4},
    },
    {"name": "There are profiles", "type": "row_count", "expected": {"min": 1}, "actual": 48210},
    {"name": "Every child has a parent", "type": "orphans", "expected": 0, "actual": 0},
    {"name": "A booking arrived in the last day", "type": "freshness", "expected": "≤ 86400 s", "actual": "312 s"},
    {"name": "Course content has lessons", "type": "json", "expected": 0, "actual": 0},
)

SELF_TESTS = (
    ("flipped_byte", "The stored bytes of public.lessons have another digest than its entry in the manifest."),
    ("truncated", "The object of public.lessons has 1183402 bytes, and by the manifest 2366805."),
    ("missing", "The object of public.lessons is missing."),
    ("empty_but_valid", "public.lessons holds 0 rows, and by the fingerprint 412800."),
    ("dropped_rows", "public.lessons holds 412799 rows, and by the fingerprint 412800."),
)


def sample_evidence(incident: datetime = INCIDENT, slower: float = 1.0) -> Evidence:
    """A drill that passed; slower stretches the phases after the incident."""
    phases = tuple(_phase(incident, name, offset, seconds, slower) for name, offset, seconds in PHASES)
    newest = incident - timedelta(seconds=24)
    return Evidence(
        objectives=Objectives(rto_seconds=300, rpo_seconds=3600, window_seconds=86400),
        phases=phases,
        marks=(Mark("incident", incident, 1000.0, BOOT),),
        incident_at=incident,
        recovery_points=tuple(newest - timedelta(seconds=3412 * index) for index in range(29)),
        marker_at=incident - timedelta(seconds=25.1),
        checks=read_checks([{"status": "passed", "seconds": 0.1, **check} for check in CHECKS]),
        fingerprint=read_fingerprint({"mode": "full", "tables": 38, "rows": 1284310, "equal": True, "differences": []}),
        self_tests=read_self_tests([{"damage": damage, "caught": True, "how": how} for damage, how in SELF_TESTS]),
        sandbox_removed=True,
    )


def sample_report(
    evidence: t.Optional[Evidence] = None, scenario: str = "database_loss", data_origin: str = "source"
) -> Report:
    given = evidence or sample_evidence()
    incident = given.incident_at or INCIDENT
    facts = DrillFacts(
        scenario=scenario,
        source="school",
        environment="sandbox",
        data_origin=data_origin,
        started_at=incident - timedelta(seconds=38),
        finished_at=incident + timedelta(seconds=44),
        backup_set="20260302T024707Z",
        recovery_point=incident - timedelta(seconds=24),
        versions={"postgresql": "16.10", "pg_dump": "18.0", "ansible": "2.19.4", "lifeline.recovery": "1.0.0"},
        set_facts={
            "tier": "hourly",
            "objects": 42,
            "bytes_plain": 734003200,
            "bytes_stored": 183500800,
            "bytes_uploaded": 5242880,
        },
    )
    # Through JSON, as a report is read back.
    return t.cast(Report, json.loads(json.dumps(build_report(facts, given))))


def sample_history(count: int = 11) -> t.List[Report]:
    """A drill a week; one too slow, one that could not be verified."""
    reports = []
    for week in range(count, 0, -1):
        incident = INCIDENT - timedelta(days=7 * week, minutes=7 * (week % 3))
        evidence = sample_evidence(incident, max(0.9, 1.7 - 0.055 * (count - week)) + 0.12 * (week % 3))
        if week == 8:
            evidence = sample_evidence(incident, 13)
        if week == 5:
            evidence = replace(evidence, marker_at=None)
        reports.append(sample_report(evidence))
    return reports


def variant(name: str) -> t.Tuple[Report, t.List[Report], t.List[str]]:
    """A report, its history, and the names of broken reports."""
    report, earlier, broken = _variant(name)
    report.update(proposal([*earlier, report]))
    return report, earlier, broken


def _variant(name: str) -> t.Tuple[Report, t.List[Report], t.List[str]]:
    evidence = sample_evidence()
    if name == "first":
        points = evidence.recovery_points[:1]
        evidence = replace(evidence, estimate=Estimate(None, 60), recovery_points=points)
        return sample_report(replace(evidence, phases=evidence.phases[-2:-1])), [], []
    if name == "failed":
        return sample_report(_failing(sample_evidence(slower=14))), sample_history(), ["20260105T024400Z-database_loss"]
    if name == "error":
        phases = (*evidence.phases[:7], replace(evidence.phases[7], status="failed", note="pg_restore ended with 1"))
        evidence = replace(
            evidence,
            phases=phases,
            estimate=Estimate(20, 120),
            marker_at=None,
            fingerprint=None,
            checks=(),
            self_tests=(),
            sandbox_removed=None,
            notes=("Restore the set: pg_restore ended with 1.",),
        )
        return sample_report(evidence), sample_history(3), []
    if name == "crowded":
        return sample_report(_crowded(evidence), "database_loss_" + "with_a_long_name_" * 4), sample_history(40), []
    return sample_report(), sample_history(), []


def _phase(incident: datetime, name: str, offset: float, seconds: float, slower: float) -> Phase:
    if offset >= 0:
        offset, seconds = offset * slower, seconds * slower
    return Phase(name, incident + timedelta(seconds=offset), seconds, "ok", 1000.0 + offset, BOOT)


def _failing(evidence: Evidence) -> Evidence:
    checks = [{"status": "passed", **check} for check in CHECKS]
    checks[0].update(
        status="failed",
        actual=[{"constraint": "children_parent_id_fkey", "table": "public.children", "orphans": 3}],
        message="1 of 14 foreign keys are broken (children_parent_id_fkey of public.children: 3 rows).",
        sample=[{"table": "public.children", "row": {"id": 17, "parent_id": 4}}],
    )
    checks[6].update(status="warning", actual="97200 s", message="The newest booking is 27 h old.")
    return replace(
        evidence,
        estimate=Estimate(60, 240),
        checks=read_checks(checks),
        recovery_points=tuple(INCIDENT - timedelta(hours=hours) for hours in (1, 2, 3, 9, 10, 11, 12, 30)),
        marker_at=INCIDENT - timedelta(seconds=3590),
        self_tests=(*evidence.self_tests[:4], replace(evidence.self_tests[4], caught=False, extra={})),
        fingerprint=read_fingerprint(
            {"tables": 38, "rows": 1284307, "equal": False, "differences": ["public.children: 3 rows are missing"]}
        ),
    )


def _crowded(evidence: Evidence) -> Evidence:
    statuses = ("passed", "passed", "passed", "skipped", "failed", "passed", "warning", "error")
    checks = [
        {
            "name": f"Check {number} of {'a_column_with_a_name_that_never_ends_' * (number % 3)}lessons",
            "status": statuses[number % len(statuses)],
            "expected": {"rows": number, "columns": ["id"] * (number % 9)},
            "actual": {"rows": number},
            "message": "The result differs from the expectation.",
        }
        for number in range(40)
    ]
    phases = [
        _phase(INCIDENT, f"phase {number} " + "with a long name " * (number % 4), number * 0.3 - 2, 0.02 * number, 1)
        for number in range(24)
    ]
    phases = [*phases, *evidence.phases]
    return replace(evidence, estimate=Estimate(1200, 3600), checks=read_checks(checks), phases=tuple(phases))
