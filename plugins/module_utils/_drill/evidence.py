# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of other modules, given as dictionaries, read into the evidence that a drill is judged by."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY, FilePath, option
from .._core.severity import CHECK_STATUSES
from .._pages.phrases import FINGERPRINT_REFERENCE
from .._pages.report_format import DataOrigin
from .estimate import read_estimate
from .model import Check, Evidence, FingerprintResult, SelfTest

_Given = t.Mapping[str, t.Any]

#: Types of integrity_check that can only pass when rows are there and right.
DATA_PROVING_TYPES = ("row_count", "sql", "freshness", "references", "json", "fingerprint")

#: Offending rows that the report keeps of one check; the rest stays in the module's result.
_SAMPLE_ROWS = 5


@dataclass(frozen=True)
class DrillRequest:
    """evidence: all but the timeline, which the journal holds. metrics_textfile: a second place for the metrics."""

    reports_dir: FilePath
    scenario: str
    source: str
    evidence: Evidence = field(metadata=FAMILY)
    journal: t.Optional[FilePath] = None
    environment: str = "sandbox"
    data_origin: str = field(default=DataOrigin.SOURCE, metadata=option(choices=(DataOrigin.SOURCE, DataOrigin.SAMPLE)))
    backup_set: t.Optional[str] = None
    recovery_point: t.Optional[datetime] = None
    versions: t.Mapping[str, t.Any] = field(default_factory=dict)
    set_facts: t.Mapping[str, t.Any] = field(default_factory=dict)
    metrics_textfile: t.Optional[FilePath] = None
    fail_on_verdict: bool = False
    check_mode: bool = False


def read_evidence(params: _Given) -> t.Dict[str, t.Any]:
    """The fields of Evidence that results of other modules are read for. Raises RecoveryError(invalid_options)."""
    for name in ("rto_seconds", "rpo_seconds", "window_seconds"):
        if params[name] is not None and not 0 < params[name] < float("inf"):
            raise _refused(name, "a length of time must be more than zero")
    return {
        "estimate": read_estimate(params["estimate_seconds"], params["plan"], params["scenario"], params["source"]),
        "checks": read_checks(params["checks"]),
        "fingerprint": read_fingerprint(params["fingerprint"]),
        "self_tests": read_self_tests(params["self_tests"]),
    }


def read_checks(given: t.Sequence[_Given]) -> t.Tuple[Check, ...]:
    """Results of integrity_check. C(proves_data) and C(mandatory) may be added to any of them.

    Raises RecoveryError(invalid_options).
    """
    return tuple(_check(item, f"checks[{index}]") for index, item in enumerate(given))


def read_self_tests(given: t.Sequence[_Given]) -> t.Tuple[SelfTest, ...]:
    """Results of drill_self_test: C(damage), and C(caught), which is null when it was not tried."""
    tests = []
    for index, item in enumerate(given):
        where = f"self_tests[{index}]"
        extra = {key: value for key, value in item.items() if key not in ("damage", "caught")}
        tests.append(SelfTest(_text(item, "damage", where), _answer(item, "caught", where), extra))
    return tuple(tests)


def read_fingerprint(given: t.Optional[_Given]) -> t.Optional[FingerprintResult]:
    """The comparison that pg_restore or drill_content returns: C(tables), C(rows), C(equal), C(reference)."""
    if not given:
        return None
    extra = {key: value for key, value in given.items() if key not in ("tables", "rows", "equal", "reference")}
    return FingerprintResult(
        tables=_count(given, "tables"),
        rows=_count(given, "rows"),
        equal=_answer(given, "equal", "fingerprint"),
        reference=_text({"reference": FINGERPRINT_REFERENCE, **given}, "reference", "fingerprint"),
        extra=extra,
    )


def _check(item: _Given, where: str) -> Check:
    status = item.get("status")
    if status not in CHECK_STATUSES:
        raise _refused(where, f"the status {status!r} is none of {', '.join(CHECK_STATUSES)}")
    extra = {key: item[key] for key in ("type", "message", "severity", "seconds") if key in item}
    sample = item.get("sample")
    if isinstance(sample, list) and sample:
        extra["sample"] = sample[:_SAMPLE_ROWS]
    proves = item.get("proves_data")
    return Check(
        name=_text(item, "name", where),
        status=str(status),
        expected=item.get("expected"),
        actual=item.get("actual"),
        proves_data=item.get("type") in DATA_PROVING_TYPES if proves is None else proves is True,
        mandatory=item.get("mandatory") is True,
        extra=extra,
    )


def _text(item: _Given, key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _refused(where, f"{key} must be a text")
    return value


def _answer(item: _Given, key: str, where: str) -> t.Optional[bool]:
    value = item.get(key)
    if value is not None and not isinstance(value, bool):
        raise _refused(where, f"{key} must be true, false or null")
    return value


def _count(item: _Given, key: str) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refused("fingerprint", f"{key} must be a whole number")
    return value


def _refused(where: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The drill cannot be judged: in {where}, {why}.",
        left="No report was written.",
        next_step="Pass the result of the module unchanged.",
    )
