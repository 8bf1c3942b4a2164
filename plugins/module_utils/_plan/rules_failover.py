# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about failover: the order of steps that prevents two primaries, or none."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, WARNING
from .facts import methods_of_kind
from .findings import Hit, Rule
from .model import Method, Plan

#: Steps that make another database writable.
_RISE = ("promote", "restore_new", "activate_secondary")


def _missing(step: str, message: str, *, only_with: str = "") -> t.Callable[[Plan, date], t.Iterator[Hit]]:
    """A rule that a failover violates if a step does not precede the promotion of the other database."""

    def judge(plan: Plan, today: date) -> t.Iterator[Hit]:
        for index, method in methods_of_kind(plan, "failover"):
            if only_with and only_with not in method.steps:
                continue
            if step not in method.steps[: _rise(method)]:
                yield Hit(f"methods[{index}].steps", f"{method.name}: {message}")

    return judge


def _not_awaited(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, method in methods_of_kind(plan, "failover"):
        if "wait_writable" not in method.steps:
            yield Hit(f"methods[{index}].steps", f"{method.name}: no step waits until the new primary accepts writes.")


def _dns_early(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, method in methods_of_kind(plan, "failover"):
        steps = method.steps
        ready = [steps.index(step) for step in (*_RISE, "wait_writable") if step in steps]
        for switch in ("switch_dns", "switch_config"):
            if switch in steps and ready and steps.index(switch) < max(ready):
                yield Hit(
                    f"methods[{index}].steps[{steps.index(switch)}]",
                    f"{method.name}: users are sent to a database that does not exist yet.",
                )
                break


def _no_way_back(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, method in methods_of_kind(plan, "failover"):
        if "roll_back" not in method.steps:
            yield Hit(f"methods[{index}].steps", f"{method.name}: a failed step leaves the failover incomplete.")


def _rise(method: Method) -> int:
    """The index of the promotion; after the last step if there is none."""
    return min((method.steps.index(step) for step in _RISE if step in method.steps), default=len(method.steps))


RULES = (
    Rule(
        "failover_unfenced",
        ERROR,
        "T6",
        "The old primary is fenced before another one is promoted.",
        "Block its writes and test that (step fence) before the step that promotes another one.",
        _missing("fence", "the old primary may still accept writes, which are lost or fork the data."),
    ),
    Rule(
        "failover_lag_unchecked",
        ERROR,
        "T6",
        "The lag of a replica is measured before it is promoted.",
        "Measure bytes and seconds (step check_lag), and refuse above a limit.",
        _missing("check_lag", "data that the replica has not received is lost without a warning.", only_with="promote"),
    ),
    Rule(
        "failover_not_awaited",
        ERROR,
        "T6",
        "The new primary accepted a write before it is used.",
        "Wait until it accepts a write (step wait_writable).",
        _not_awaited,
    ),
    Rule(
        "failover_dns_early",
        ERROR,
        "T6",
        "Names change after the new primary accepted a write.",
        "Put switch_dns and switch_config after wait_writable.",
        _dns_early,
    ),
    Rule(
        "failover_no_rollback",
        WARNING,
        "T6",
        "A failover that fails has a rollback.",
        "Describe the rollback of each step (step roll_back).",
        _no_way_back,
    ),
)
