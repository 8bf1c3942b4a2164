# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs checks one after the other; an error of one neither makes it pass nor stops the others."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, FilePath, Secret, option
from .._core.severity import ERROR, PASSED, SKIPPED, WARNING
from .._store.base import ObjectStore
from .check import CompareFingerprint, Connection, Context, History
from .junit import prepare_junit, write_junit
from .plan import PlannedCheck, plan_checks
from .registry import DIALECTS, Dialect
from .result import CheckResult, Report, count_statuses, judge, summarise, weigh

NEVER = "never"


@dataclass(frozen=True)
class IntegrityRequest:
    """A run of checks on one database.

    target: the target of the sessions of the engine. checks: descriptions of the operator.
    fail_on: error, warning or never. sample: rows to show per finding. timeout: seconds for
    each statement, 0 for no limit. junit_path: where to write a JUnit report, if anywhere.
    files: the bucket whose files rows name. record: stores the report in the audit log.
    run_as: the PostgreSQL role whose rights the checks have; None: a superuser's checks may only read.
    secrets: values that checks send, by the names that descriptions use.
    history: the values of earlier runs on the source, if it has a store.
    """

    target: t.Any = field(metadata=INTERNAL)
    checks: t.Sequence[t.Any] = field(metadata=option(type=t.Sequence[t.Mapping[str, t.Any]]))
    engine: str = field(default="postgresql", metadata=option(choices=("postgresql", "sqlite", "bucket")))
    fail_on: str = field(default=ERROR, metadata=option(choices=(ERROR, WARNING, NEVER)))
    sample: int = 5
    timeout: int = field(default=300, metadata=option(default=600))
    junit_path: t.Optional[FilePath] = None
    compare_fingerprint: t.Optional[CompareFingerprint] = None
    files: t.Optional[ObjectStore] = field(default=None, metadata=INTERNAL)
    record: t.Optional[t.Callable[[Report], None]] = None
    run_as: t.Optional[str] = None
    secrets: t.Mapping[str, Secret] = field(default_factory=dict, metadata=option(default={}), repr=False)
    history: t.Optional[History] = field(default=None, metadata=INTERNAL)


def check_integrity(request: IntegrityRequest) -> Report:
    """Run all checks and judge them.

    Raises RecoveryError: invalid_options before anything runs; unreachable, access_denied or
    target_missing when no session could be opened; check_failed when the verdict is not passed and
    fail_on is not never; what record raises. All but the first carry the report in their details.
    """
    if request.sample < 0 or request.timeout < 0:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The options sample and timeout must not be negative.",
            left="No check was run.",
            next_step="Set sample to 0 to show no rows, and timeout to 0 for no limit.",
        )
    dialect = DIALECTS[request.engine]
    try:
        planned = plan_checks(
            dialect.checks,
            request.checks,
            fingerprint_known=request.compare_fingerprint is not None,
            secrets=request.secrets,
        )
    except RecoveryError as error:
        # The state of the content is unknown, so the last checks must not count as the newest result.
        report = Report(ERROR, error.what, {}, [], error_kind=error.kind)
        raise (_recorded(request, report, error) or error) from None
    if request.junit_path:
        prepare_junit(request.junit_path)
    timings = Timings()
    try:
        with timings.phase("connect"):
            wanted = any(plan.check.needs_database for plan in planned)
            conn = dialect.open(request.target) if wanted else _NoDatabase()
    except RecoveryError as error:
        report = _report(request, [_unverified(plan, error.what) for plan in planned], timings)
        unopened = error.restated(details=_as_details(report))
        raise (_recorded(request, report, unopened) or unopened) from None
    with timings.phase("checks"):
        results = _run_all(request, dialect, conn, planned)
    report = _report(request, results, timings)
    failure = None
    if report.verdict != PASSED and request.fail_on != NEVER:
        failure = RecoveryError(
            ErrorKind.CHECK_FAILED,
            report.summary,
            left="The database was only read.",
            next_step="See the messages and samples of these checks in the result.",
            details=_as_details(report),
        )
    failure = _recorded(request, report, failure)
    if failure is not None:
        raise failure
    return report


def _recorded(
    request: IntegrityRequest, report: Report, failure: t.Optional[RecoveryError]
) -> t.Optional[RecoveryError]:
    """The failure that is raised after the report was recorded, or could not be recorded."""
    if request.record is None:
        return failure
    try:
        request.record(report)
    except RecoveryError as error:
        return RecoveryError(
            failure.kind if failure else error.kind,
            f"{failure.what if failure else report.summary} The audit record failed: {error.what}",
            left="The database was only read.",
            next_step=failure.next_step if failure else error.next_step,
            details={**_as_details(report), **(failure.details if failure else {})},
        )
    return failure


class _NoDatabase:
    """The connection of a run whose checks need none."""

    closed = False

    def close(self) -> None:
        """There is nothing to release."""


def run_check(dialect: Dialect, plan: PlannedCheck, context: Context, timeout: int) -> CheckResult:
    """One check in a transaction of its own. Never raises."""
    began = time.monotonic()
    expected: t.Any = None
    actual: t.Any = None
    sample: t.Sequence[t.Mapping[str, t.Any]] = ()
    try:
        with contextlib.ExitStack() as stack:
            if plan.check.needs_database and plan.check.needs_transaction:
                session = stack.enter_context(dialect.transaction(context.connection, timeout, context.run_as))
                context = replace(context, connection=session)
            finding = plan.check.run(context)
        status, message = weigh(finding, plan.severity), finding.message
        expected, actual, sample = finding.expected, finding.actual, finding.sample
    except Exception as error:
        status, message = dialect.explain(error, timeout=timeout, show_values=context.sample > 0)
        if status != ERROR and plan.severity == WARNING:
            status = WARNING
    seconds = round(time.monotonic() - began, 3)
    return CheckResult(plan.name, plan.type, status, plan.severity, expected, actual, message, sample, seconds)


def _run_all(
    request: IntegrityRequest, dialect: Dialect, conn: Connection, planned: t.Sequence[PlannedCheck]
) -> t.List[CheckResult]:
    results = []
    try:
        for plan in planned:
            if plan.skip:
                message = "It is disabled in its description."
                results.append(CheckResult(plan.name, plan.type, SKIPPED, plan.severity, None, None, message))
                continue
            if conn.closed and plan.check.needs_database:
                try:
                    conn = dialect.open(request.target)
                except RecoveryError as error:
                    results.append(_unverified(plan, f"The connection was lost: {error.what}"))
                    continue
            timeout = request.timeout if plan.timeout is None else plan.timeout
            deadline = time.monotonic() + timeout if timeout else float("inf")
            context = Context(
                conn,
                request.sample,
                deadline,
                request.compare_fingerprint,
                request.files,
                dialect.ask,
                request.run_as,
                request.secrets,
                request.history,
            )
            results.append(run_check(dialect, plan, context, timeout))
    finally:
        conn.close()
    return results


def _unverified(plan: PlannedCheck, message: str) -> CheckResult:
    return CheckResult(plan.name, plan.type, SKIPPED if plan.skip else ERROR, plan.severity, None, None, message)


def _report(request: IntegrityRequest, results: t.Sequence[CheckResult], timings: Timings) -> Report:
    if request.junit_path:
        write_junit(request.junit_path, results)
    return Report(
        verdict=judge(results, warnings_fail=request.fail_on == WARNING),
        summary=summarise(results),
        counts=count_statuses(results),
        checks=results,
        timings=timings.as_dict(),
        junit_path=request.junit_path,
    )


def _as_details(report: Report) -> t.Dict[str, t.Any]:
    return {
        "verdict": report.verdict,
        "summary": report.summary,
        "counts": report.counts,
        "checks": report.checks,
        "timings": report.timings,
        "junit_path": report.junit_path,
    }
