# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The finding of a check, and the verdict of a run of checks."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.severity import CHECK_STATUSES, ERROR, FAILED, PASSED, SKIPPED, WARNING

Sample = t.Sequence[t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Finding:
    """The finding of one check before its severity is applied. sample: offending rows, at most as many as requested.

    holds: None if there was nothing to compare, so that the check has neither passed nor failed.
    """

    holds: t.Optional[bool]
    expected: t.Any
    actual: t.Any
    message: str
    sample: Sample = ()


@dataclass(frozen=True)
class CheckResult:
    """One check of a run. status: passed, failed, warning, error (could not be verified) or skipped."""

    name: str
    type: str
    status: str
    severity: str
    expected: t.Any
    actual: t.Any
    message: str
    sample: Sample = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """All results of a run in the order of their descriptions. verdict: passed, failed or error.

    error_kind: the reason why no check ran, such as C(invalid_options) for invalid checks.
    """

    verdict: str
    summary: str
    counts: t.Mapping[str, int]
    checks: t.Sequence[CheckResult]
    timings: t.Mapping[str, float] = field(default_factory=dict)
    junit_path: t.Optional[str] = None
    error_kind: t.Optional[str] = None


def weigh(finding: Finding, severity: str) -> str:
    """The status of a check that ran; one of severity warning never fails a run by default."""
    if finding.holds is None:
        return SKIPPED
    if finding.holds:
        return PASSED
    return WARNING if severity == WARNING else FAILED


def count_statuses(results: t.Iterable[CheckResult]) -> t.Dict[str, int]:
    counts = dict.fromkeys(CHECK_STATUSES, 0)
    for result in results:
        counts[result.status] += 1
    return counts


def judge(results: t.Sequence[CheckResult], *, warnings_fail: bool = False) -> str:
    """The verdict: failed if a check failed, error if a check could not run.

    A run in which no check compared anything is an error: an unread database is not a sound one.
    """
    statuses = {result.status for result in results}
    if FAILED in statuses or (warnings_fail and WARNING in statuses):
        return FAILED
    if ERROR in statuses or statuses <= {SKIPPED}:
        return ERROR
    return PASSED


def summarise(results: t.Sequence[CheckResult]) -> str:
    """One sentence: the number of checks, and the names of those that did not pass."""
    phrases = []
    for status, phrase in ((FAILED, "failed"), (ERROR, "could not be verified"), (WARNING, "gave a warning")):
        names = [result.name for result in results if result.status == status]
        if names:
            phrases.append(f"{len(names)} {phrase} ({', '.join(names)})")
    total = f"{len(results)} check{'' if len(results) == 1 else 's'}"
    skipped = sum(result.status == SKIPPED for result in results)
    if phrases:
        return f"Of {total}, {'; '.join(phrases)}."
    if skipped == len(results):
        return f"Of {total}, none ran or had anything to compare."
    return f"{total} passed." if not skipped else f"Of {total}, {len(results) - skipped} passed and {skipped} skipped."
