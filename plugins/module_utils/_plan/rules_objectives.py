# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about objectives: promises, schedules and estimates must agree."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, WARNING
from .durations import spoken
from .facts import methods_with, schedule_gap
from .findings import Hit, Rule
from .model import Objectives, Plan, Source

#: A longer RPO belongs to dumps, not to recovery to the second.
LOOSE_RPO_SECONDS = 6 * 3600


def _objective_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        missing = [
            name.upper()
            for name in ("rto", "rpo")
            if getattr(source.objectives, f"{name}_seconds") is None
            and not any(getattr(item.objectives, f"{name}_seconds") for item in source.classes)
        ]
        if missing:
            yield Hit(f"sources[{index}].objectives", f"{source.name} has no {' and no '.join(missing)}.")


def _rpo_gap(plan: Plan, today: date) -> t.Iterator[Hit]:
    for path, owner, objectives, source in _objectives(plan):
        gap, rpo = schedule_gap(source), objectives.rpo_seconds
        if rpo is None or gap is None or _restores_to_time(plan, source) or gap <= rpo:
            continue
        yield Hit(
            f"{path}.rpo_seconds",
            f"{owner} may lose {spoken(rpo)}, but its backups leave gaps of {spoken(gap)}.",
        )


def _rpo_loose(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        rpo = source.objectives.rpo_seconds
        if source.pitr.enabled and rpo is not None and rpo >= LOOSE_RPO_SECONDS:
            yield Hit(
                f"sources[{index}].objectives.rpo_seconds",
                f"{source.name} may lose {spoken(rpo)}, yet any second can be restored: the values disagree.",
            )


def _rpo_of_versions(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        for number, item in enumerate(source.classes):
            rpo, gap = item.objectives.rpo_seconds, schedule_gap(source)
            if item.covered_by != "versions" or rpo is None or _restores_to_time(plan, source):
                continue
            if gap is None or gap > rpo:
                lost = f"loses {spoken(gap)}" if gap else "has no backup"
                yield Hit(
                    f"sources[{index}].classes[{number}].objectives.rpo_seconds",
                    f"{item.name} may lose {spoken(rpo)}, but its versions are stored in {source.name}, which {lost}.",
                )


def _pitr_without_method(plan: Plan, today: date) -> t.Iterator[Hit]:
    if methods_with(plan, "restore_to_time"):
        return
    for index, source in enumerate(plan.sources):
        if source.pitr.enabled:
            yield Hit(f"sources[{index}].pitr", f"No method restores {source.name} to a point in time.")


def _rto_estimate(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, scenario in enumerate(plan.scenarios):
        longest = scenario.estimate_seconds.max or scenario.estimate_seconds.min
        for source in plan.sources:
            rto = source.objectives.rto_seconds
            if scenario.source in (None, source.name) and rto is not None and longest is not None and longest > rto:
                yield Hit(
                    f"scenarios[{index}].estimate_seconds",
                    f"{scenario.name} takes up to {spoken(longest)}, but the RTO of {source.name} is {spoken(rto)}.",
                )


def _estimate_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, scenario in enumerate(plan.scenarios):
        if scenario.estimate_seconds.min is None and scenario.estimate_seconds.max is None:
            yield Hit(f"scenarios[{index}].estimate_seconds", f"The duration of {scenario.name} is not estimated.")


def _objectives(plan: Plan) -> t.Iterator[t.Tuple[str, str, Objectives, Source]]:
    """Path, owner, and the objectives that backups must meet."""
    for index, source in enumerate(plan.sources):
        yield f"sources[{index}].objectives", source.name, source.objectives, source
        for number, item in enumerate(source.classes):
            if item.covered_by == "backup":
                yield f"sources[{index}].classes[{number}].objectives", item.name, item.objectives, source


def _restores_to_time(plan: Plan, source: Source) -> bool:
    return source.pitr.enabled and bool(methods_with(plan, "restore_to_time"))


RULES = (
    Rule(
        "objective_missing",
        ERROR,
        None,
        "Each source has an RTO and an RPO.",
        "Agree on both with the owner of the data, and set them.",
        _objective_missing,
    ),
    Rule(
        "rpo_gap",
        ERROR,
        "T9",
        "The longest gap of a schedule is not longer than the RPO, unless a method restores to a point in time.",
        "Back up more often, configure recovery to a point in time, or accept the longer RPO.",
        _rpo_gap,
    ),
    Rule(
        "rpo_loose",
        WARNING,
        "T9",
        "A source with recovery to the second has no RPO of hours.",
        "State the RPO of the recovery to a point in time, or the incidents in which it does not help.",
        _rpo_loose,
    ),
    Rule(
        "rpo_of_versions",
        WARNING,
        "T9",
        "Data that is recovered from versions within a source has no better objective than the source.",
        "Keep the versions in another place as well, or promise the objective of the source's backups.",
        _rpo_of_versions,
    ),
    Rule(
        "pitr_without_method",
        ERROR,
        None,
        "Recovery to a point in time has a method.",
        "Describe the method with the step restore_to_time, and rehearse it.",
        _pitr_without_method,
    ),
    Rule(
        "rto_estimate",
        ERROR,
        "T9",
        "No scenario is estimated to take longer than the RTO.",
        "Make the recovery faster, or accept the longer RTO for this scenario.",
        _rto_estimate,
    ),
    Rule(
        "estimate_missing",
        WARNING,
        None,
        "Each scenario has an estimate.",
        "Rehearse it once and set the measured duration.",
        _estimate_missing,
    ),
)
