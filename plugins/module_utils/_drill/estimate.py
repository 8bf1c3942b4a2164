# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a recovery was estimated to take: read, compared with what was measured, and proposed from drills."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.severity import PASSED
from .._pages.phrases import FEWEST_DRILLS
from .._plan.fields import DURATION, Key
from .._plan.values import read_duration
from .model import Estimate

_Given = t.Mapping[str, t.Any]


_LENGTH = Key(DURATION, "A duration, as in a plan.")


def read_estimate(
    given: t.Optional[_Given], plan: t.Optional[_Given], scenario: str, source: str
) -> t.Optional[Estimate]:
    """The estimate given as C(min) and C(max), else the plan's of that scenario; None where there is none.

    A scenario of the plan that names another source does not count. Raises RecoveryError(invalid_options).
    """
    for found in (given, _planned(plan or {}, scenario, source)):
        if found:
            estimate = Estimate(_length(found, "min"), _length(found, "max"))
            if estimate.min_seconds and estimate.max_seconds and estimate.min_seconds > estimate.max_seconds:
                raise _refused("min is longer than max")
            if estimate != Estimate():
                return estimate
    return None


def exceeded(estimate: t.Optional[Estimate], measured: t.Optional[float]) -> t.Optional[bool]:
    """Whether the recovery took longer than estimated; None when one of both is not known."""
    if estimate is None or estimate.max_seconds is None or measured is None:
        return None
    return measured > estimate.max_seconds


def proposal(runs: t.Iterable[_Given]) -> t.Dict[str, t.Any]:
    """The estimate that the reports of one drill propose, as keys of a report.

    estimate_proposed_seconds: the fastest and the 90th percentile of those that passed, None while there are too few.
    estimate_drills: how many passed.
    """
    passed = [run["rto"]["measured_seconds"] for run in runs if run["verdict"] == PASSED]
    lengths = sorted(seconds for seconds in passed if seconds)
    enough = len(lengths) >= FEWEST_DRILLS
    return {
        "estimate_proposed_seconds": {"min": lengths[0], "max": nearest_rank(lengths, 90)} if enough else None,
        "estimate_drills": len(lengths),
    }


def nearest_rank(ordered: t.Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of the values do not exceed. ordered: from small to large, not empty."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def _planned(plan: _Given, scenario: str, source: str) -> t.Any:
    scenarios = plan.get("scenarios")
    for item in scenarios if isinstance(scenarios, list) else []:
        if isinstance(item, t.Mapping) and item.get("name") == scenario and item.get("source") in (None, source):
            return item.get("estimate_seconds")
    return None


def _length(given: t.Any, key: str) -> t.Optional[float]:
    if not isinstance(given, t.Mapping):
        raise _refused("it must be a dictionary with min and max")
    value = given.get(key)
    try:
        return None if value is None else read_duration(_LENGTH, value)
    except ValueError as error:
        raise _refused(f"{key} {error}") from None


def _refused(why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The estimate of the recovery time cannot be read: {why}.",
        left="Nothing was written.",
        next_step="Correct estimate_seconds, or the scenario in the plan.",
    )
