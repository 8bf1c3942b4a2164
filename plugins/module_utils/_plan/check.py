# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan judged by every rule, and the judgement told."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass
from datetime import date

from .._core.errors import ErrorKind, RecoveryError
from .facts import first_steps_due
from .findings import ERROR, SEVERITIES, WARNING, Finding
from .model import Plan
from .reader import read_plan
from .registry import RULES

#: What fails, and which severities do it.
FAIL_ON: t.Mapping[str, t.Tuple[str, ...]] = {"error": (ERROR,), "warning": (ERROR, WARNING), "never": ()}


@dataclass(frozen=True)
class PlanResult:
    """verdict: passed or failed. counts: severity to number. table: lines for people. rules: how many were applied.

    first_steps: what is done once, with name, due and done, the soonest first; due is None while it cannot be told.
    """

    platform: str
    verdict: str
    findings: t.Tuple[Finding, ...]
    counts: t.Mapping[str, int]
    rules: int
    summary: str
    table: t.Tuple[str, ...]
    first_steps: t.Tuple[t.Mapping[str, t.Optional[str]], ...]


def check_plan(document: t.Any, today: date, fail_on: str = "error") -> PlanResult:
    """Read the plan and judge it.

    Raises RecoveryError(invalid_options) with every problem when it cannot be read, and
    RecoveryError(check_failed) with the whole result when a finding is as severe as fail_on says.
    """
    reading = read_plan(document)
    if reading.problems:
        told = "; ".join(str(problem) for problem in reading.problems)
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The recovery plan cannot be read: {told}.",
            left="No rule was applied.",
            next_step="Correct these places; docs/recovery-plan.md lists the keys.",
            details={"problems": reading.problems},
        )
    result = _judged(reading.plan, today, fail_on)
    if result.verdict == "failed":
        raise RecoveryError(
            ErrorKind.CHECK_FAILED,
            result.summary,
            left="A plan is only read; nothing was changed.",
            next_step="Each finding says what to do.",
            details={field.name: getattr(result, field.name) for field in dataclasses.fields(result)},
        )
    return result


def find(plan: Plan, today: date) -> t.List[Finding]:
    """Every finding, the severest first, then in the order of the rules and of the plan."""
    found = [
        Finding(rule.id, rule.severity, rule.trap, hit.path, hit.message, rule.next_step)
        for rule in RULES
        for hit in rule.judge(plan, today)
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _judged(plan: Plan, today: date, fail_on: str) -> PlanResult:
    findings = tuple(find(plan, today))
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    failed = any(counts[severity] for severity in FAIL_ON[fail_on])
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
        return f"The plan of {platform} is sound by all {len(RULES)} rules."
    told = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for word, number in _named(counts) if number)
    return f"The plan of {platform} has {told}."


def _named(counts: t.Mapping[str, int]) -> t.Iterator[t.Tuple[str, int]]:
    words = {"info": "hint"}
    return ((words.get(severity, severity), counts[severity]) for severity in SEVERITIES)


def _table(findings: t.Sequence[Finding]) -> t.Iterator[str]:
    """One line a finding, in columns: severity, trap, path, what is wrong."""
    width = max((len(finding.path) for finding in findings), default=0)
    for finding in findings:
        yield f"{finding.severity:<8}{finding.trap or '':<5}{finding.path:<{width}}  {finding.message}"
