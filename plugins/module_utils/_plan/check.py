# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a plan by every rule, and formats the result."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass
from datetime import date

from .._core.errors import ErrorKind, RecoveryError
from .._core.severity import ERROR, INFO, WARNING, at_least, most_severe_first
from .facts import first_steps_due
from .findings import FINDING_SEVERITIES, Finding
from .model import Plan
from .reader import read_plan
from .registry import RULES

#: The severities at which the check fails, by fail_on.
FAIL_ON: t.Mapping[str, t.Tuple[str, ...]] = {ERROR: at_least(ERROR), WARNING: at_least(WARNING), "never": ()}


@dataclass(frozen=True)
class PlanResult:
    """verdict: passed or failed. counts: severity to number. table: lines for people. rules: number of applied rules.

    first_steps: one-time steps with name, due and done, the earliest first; due is None if it cannot be computed.
    """

    platform: str
    verdict: str
    findings: t.Tuple[Finding, ...]
    counts: t.Mapping[str, int]
    rules: int
    summary: str
    table: t.Tuple[str, ...]
    first_steps: t.Tuple[t.Mapping[str, t.Optional[str]], ...]


def check_plan(document: t.Any, today: date, fail_on: str = ERROR) -> PlanResult:
    """Read the plan and judge it.

    Raises RecoveryError(invalid_options) with every problem if it cannot be read, and
    RecoveryError(check_failed) with the complete result if a finding has a severity of fail_on.
    """
    reading = read_plan(document)
    if reading.problems:
        problems = "; ".join(str(problem) for problem in reading.problems)
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The recovery plan cannot be read: {problems}.",
            left="No rule was applied.",
            next_step="Correct these keys; docs/recovery-plan.md lists all keys.",
            details={"problems": reading.problems},
        )
    result = _judged(reading.plan, today, fail_on)
    if result.verdict == "failed":
        raise RecoveryError(
            ErrorKind.CHECK_FAILED,
            result.summary,
            left="The check reads the plan and changes nothing.",
            next_step="Each finding has a next step.",
            details={field.name: getattr(result, field.name) for field in dataclasses.fields(result)},
        )
    return result


def find(plan: Plan, today: date) -> t.List[Finding]:
    """Every finding, the most severe first, then in the order of the rules and of the plan."""
    found = (
        Finding(rule.id, rule.severity, rule.trap, hit.path, hit.message, rule.next_step)
        for rule in RULES
        for hit in rule.judge(plan, today)
    )
    return most_severe_first(found, lambda finding: finding.severity)


def _judged(plan: Plan, today: date, fail_on: str) -> PlanResult:
    findings = tuple(find(plan, today))
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in FINDING_SEVERITIES}
    failed = any(finding.severity in FAIL_ON[fail_on] for finding in findings)
    return PlanResult(
        platform=plan.platform,
        verdict="failed" if failed else "passed",
        findings=findings,
        counts=counts,
        rules=len(RULES),
        summary=_summary(plan.platform, counts),
        table=tuple(_table(findings)),
        first_steps=tuple(
            {"name": step.name, "due": due.isoformat() if due else None, "done": step.done}
            for step, due in sorted(first_steps_due(plan), key=lambda item: item[0].after_days)
        ),
    )


def _summary(platform: str, counts: t.Mapping[str, int]) -> str:
    if not any(counts.values()):
        return f"The plan of {platform} has no finding; {len(RULES)} rules were applied."
    counted = ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for name, number in _named(counts) if number)
    return f"The plan of {platform} has {counted}."


def _named(counts: t.Mapping[str, int]) -> t.Iterator[t.Tuple[str, int]]:
    names = {INFO: "hint"}
    return ((names.get(severity, severity), counts[severity]) for severity in FINDING_SEVERITIES)


def _table(findings: t.Sequence[Finding]) -> t.Iterator[str]:
    """One line per finding, in columns: severity, trap, path, message."""
    width = max((len(finding.path) for finding in findings), default=0)
    for finding in findings:
        yield f"{finding.severity:<8}{finding.trap or '':<5}{finding.path:<{width}}  {finding.message}"
