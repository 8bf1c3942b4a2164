# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about proof: verifications of backups, and drills of scenarios."""

from __future__ import annotations

import typing as t
from datetime import date, timedelta

from .._core.severity import ERROR, WARNING
from .durations import INTERVALS
from .facts import first_steps_due, methods_of_kind
from .findings import Hit, Rule
from .model import Plan
from .placeholders import is_placeholder


def _verification_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    if not any(item.proves == "restored" for item in plan.verification):
        yield Hit("verification", "No verification restores a backup, so no restore is proved to work.")


def _freshness_by_rows(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, item in enumerate(plan.verification):
        if item.freshness == "application_rows":
            yield Hit(
                f"verification[{index}].freshness",
                f"{item.name} checks rows of the application, which can be new while backups are old.",
            )


def _verification_untimed(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, item in enumerate(plan.verification):
        if item.every is None:
            yield Hit(f"verification[{index}].every", f"The interval of {item.name} is not set.")


def _drill_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    rehearsed = {drill.scenario for drill in plan.drills}
    for index, scenario in enumerate(plan.scenarios):
        if scenario.name not in rehearsed:
            yield Hit(f"scenarios[{index}]", f"No drill rehearses {scenario.name}.")


def _drill_never_run(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, drill in enumerate(plan.drills):
        if is_placeholder(drill.last):
            yield Hit(f"drills[{index}].last", f"The drill of {drill.scenario} never ran.")


def _window_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    failovers = {method.name for _index, method in methods_of_kind(plan, "failover")}
    in_production = {scenario.name for scenario in plan.scenarios if scenario.method in failovers}
    for index, drill in enumerate(plan.drills):
        if drill.scenario in in_production and drill.window is None:
            yield Hit(
                f"drills[{index}].window",
                f"The drill of {drill.scenario} affects production, and its maintenance window is not set.",
            )


def _drill_overdue(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, drill in enumerate(plan.drills):
        if drill.last is None or is_placeholder(drill.last):
            continue
        due = date.fromisoformat(drill.last) + timedelta(seconds=INTERVALS[drill.every])
        if due < today:
            yield Hit(
                f"drills[{index}].last", f"The {drill.every} drill of {drill.scenario} was due on {due.isoformat()}."
            )


def _first_steps_undated(plan: Plan, today: date) -> t.Iterator[Hit]:
    if any(due is None for _step, due in first_steps_due(plan)):
        yield Hit("document.begun", "The date when the plan came into force is not set, so no first step is due.")


def _first_step_overdue(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, (step, due) in enumerate(first_steps_due(plan)):
        if due is not None and due < today and is_placeholder(step.done):
            yield Hit(f"first_steps[{index}].done", f"{step.name} was due on {due.isoformat()}.")


RULES = (
    Rule(
        "verification_missing",
        ERROR,
        None,
        "A verification restores backups.",
        "Restore one on schedule, as the role verify does at its level monthly.",
        _verification_missing,
    ),
    Rule(
        "verification_untimed",
        WARNING,
        None,
        "Each verification has an interval.",
        "Set every, and run it with a timer.",
        _verification_untimed,
    ),
    Rule(
        "freshness_by_rows",
        ERROR,
        "T8",
        "The age of a backup is judged by the backup.",
        "Judge the recovery point of the newest set, as backup_info does.",
        _freshness_by_rows,
    ),
    Rule(
        "drill_missing",
        WARNING,
        None,
        "Each scenario is rehearsed.",
        "Add a drill of the scenario.",
        _drill_missing,
    ),
    Rule(
        "drill_never_run",
        WARNING,
        None,
        "Each drill ran at least once.",
        "Run it, and set last.",
        _drill_never_run,
    ),
    Rule(
        "window_missing",
        WARNING,
        None,
        "A drill that fails over has a maintenance window.",
        "Agree on a window with the users of the platform, and set it.",
        _window_missing,
    ),
    Rule(
        "drill_overdue",
        ERROR,
        None,
        "No drill is overdue.",
        "Run the drill.",
        _drill_overdue,
    ),
    Rule(
        "first_steps_undated",
        WARNING,
        None,
        "The first steps have due dates.",
        "Set the date when the plan came into force.",
        _first_steps_undated,
    ),
    Rule(
        "first_step_overdue",
        ERROR,
        None,
        "No first step is overdue.",
        "Complete the step, and set done.",
        _first_step_overdue,
    ),
)
