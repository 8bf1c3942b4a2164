# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of integrity_check."""

from __future__ import annotations

import typing as t

from .._core.severity import PASSED, SKIPPED
from .._engines.postgresql.restore.proof import Rules, compare_with
from .._integrity.history import AuditHistory
from .._integrity.result import Report
from .._repository.audit import write_audit
from .._repository.catalogue import find_set
from .._repository.layout import check_source
from .postgres_requests import connection_options
from .requests import Params, required_source
from .sqlite_requests import sqlite_engine
from .store_requests import opened_store, readable_store, set_selection


def check_target(params: Params) -> t.Any:
    """The options that open the sessions of the engine's checks."""
    if params["engine"] == "sqlite":
        return lambda: sqlite_engine(params, read_only=True)
    return connection_options(params)


def set_comparison(params: Params) -> t.Optional[t.Callable[[t.Any], t.List[t.Dict[str, str]]]]:
    """Compares the database of the connection with the set that store, source and set name, if they do."""
    if not params["store"] or not params["source"]:
        return None
    options = connection_options(params)

    def compare(_connection: t.Any) -> t.List[t.Dict[str, str]]:
        store = readable_store(params, params["source"])
        manifest = find_set(store, params["source"], set_selection(params))
        comparison = compare_with(options, manifest, store, Rules(), jobs=2)
        found = [vars(difference) for difference in comparison.differences]
        if found and comparison.note:
            found.append({"what": "definitions", "expected": "compared by meaning", "actual": comparison.note})
        return found

    return compare


def check_history(params: Params) -> t.Optional[AuditHistory]:
    """The results of earlier checks of the source, or None if store or source is unset."""
    if not params["store"] or not params["source"]:
        return None
    return AuditHistory(lambda: opened_store(params), check_source(params["source"]))


def check_recorder(
    params: Params, history: t.Optional[AuditHistory], *, check_mode: bool
) -> t.Optional[t.Callable[[Report], None]]:
    """A function that writes an audit record with the failed checks, without rows; None if `record` is false."""
    if not params["record"]:
        return None
    source, store = check_source(required_source(params)), opened_store(params)

    def record(report: Report) -> None:
        wrong = [check.name for check in report.checks if check.status not in (PASSED, SKIPPED)]
        details: t.Dict[str, t.Any] = {"summary": report.summary, "counts": dict(report.counts), "not_passed": wrong}
        if history and history.measured:
            details["measured"] = history.measured
        if report.error_kind:
            details["error_kind"] = report.error_kind
        write_audit(store, source, "check", report.verdict, details)

    return None if check_mode else record
