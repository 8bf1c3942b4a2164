# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about retention: long enough to recover from, not longer than allowed."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, INFO, WARNING
from .durations import INTERVALS, spoken
from .facts import kept_seconds, tiers_of
from .findings import Hit, Rule
from .model import Plan, Source


def _keep_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        for name, tier in tiers_of(source):
            if tier.keep is None:
                yield Hit(
                    f"sources[{index}].tiers.{name}.keep",
                    f"The number of {name} sets of {source.name} to keep is not set.",
                )


def _pruning_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        for name, tier in tiers_of(source):
            if tier.keep is not None and tier.pruned_by in (None, "nobody"):
                yield Hit(
                    f"sources[{index}].tiers.{name}.pruned_by",
                    f"{tier.keep} {name} sets of {source.name} are to be kept, but no program removes older ones.",
                )


def _pruned_by_lifecycle(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        for name, tier in tiers_of(source):
            if tier.pruned_by == "lifecycle":
                yield Hit(
                    f"sources[{index}].tiers.{name}.pruned_by",
                    f"A lifecycle rule removes {name} sets of {source.name}. Sets share objects, and a reused "
                    "object keeps its first date, so the rule deletes objects of the newest set.",
                )


def _kept_too_short(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        kept, every = kept_seconds(source), _proof_interval(plan, source)
        if kept is not None and every is not None and kept <= every:
            yield Hit(
                f"sources[{index}].tiers",
                f"Sets of {source.name} are removed after {spoken(kept)}, but a restore verifies one only every "
                f"{spoken(every)}: when a damaged set is found, the last intact one may be removed already.",
            )


def _kept_too_long(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        kept, limit = kept_seconds(source), source.keep_at_most_seconds
        if kept is not None and limit is not None and kept > limit:
            yield Hit(
                f"sources[{index}].keep_at_most_seconds",
                f"Sets of {source.name} are kept for {spoken(kept)}, but may be kept only for {spoken(limit)}.",
            )


def _limit_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        if source.personal and source.keep_at_most_seconds is None:
            yield Hit(
                f"sources[{index}].keep_at_most_seconds",
                f"{source.name} holds personal data, and the maximum age of its backups is not set.",
            )


def _record_too_long(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, record in enumerate(plan.records):
        kept, limit = record.keep_seconds, record.at_most_seconds
        if kept is not None and limit is not None and kept > limit:
            yield Hit(
                f"records[{index}].keep_seconds",
                f"Records of {record.name} are kept for {spoken(kept)}, but may be kept only for {spoken(limit)}.",
            )


def _erasure_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    named = [source.name for source in plan.sources if source.personal]
    if named and not plan.erasure.replayed:
        yield Hit(
            "erasure.replayed",
            f"Personal data that was erased from {' and '.join(named)} after a backup is restored with it.",
        )


def _proof_interval(plan: Plan, source: Source) -> t.Optional[float]:
    """The interval in seconds at which a restore verifies backups of the source."""
    rehearsed = {item.name for item in plan.scenarios if item.source in (None, source.name)}
    every = [item.every for item in plan.verification if item.proves == "restored" and item.every]
    every += [item.every for item in plan.drills if item.scenario in rehearsed]
    return min((float(INTERVALS[name]) for name in every), default=None)


RULES = (
    Rule(
        "keep_missing",
        WARNING,
        None,
        "Each tier states the number of sets to keep.",
        "Set keep.",
        _keep_missing,
    ),
    Rule(
        "pruning_missing",
        WARNING,
        "T4",
        "A program removes sets beyond the number to keep, in every store.",
        "Name it in pruned_by: the playbook prune, or the provider.",
        _pruning_missing,
    ),
    Rule(
        "pruned_by_lifecycle",
        ERROR,
        "T4",
        "No lifecycle rule of a bucket deletes backup sets.",
        "Remove the rule, run the playbook prune on schedule, and set pruned_by: prune.",
        _pruned_by_lifecycle,
    ),
    Rule(
        "kept_too_short",
        ERROR,
        None,
        "Sets are kept longer than the interval of restores that verify them.",
        "Keep sets longer, or restore one more often.",
        _kept_too_short,
    ),
    Rule(
        "kept_too_long",
        ERROR,
        None,
        "Sets are not kept longer than allowed.",
        "Keep fewer sets of the longest tier.",
        _kept_too_long,
    ),
    Rule(
        "limit_missing",
        INFO,
        None,
        "The plan sets the maximum age of backups with personal data.",
        "Ask the data protection officer, and set keep_at_most_seconds.",
        _limit_missing,
    ),
    Rule(
        "record_too_long",
        ERROR,
        None,
        "Records are not kept longer than allowed.",
        "Delete them earlier.",
        _record_too_long,
    ),
    Rule(
        "erasure_missing",
        WARNING,
        "T18",
        "Erasures of personal data since the backup are repeated after its restore.",
        "Keep the list of erasures outside of the source, and apply it after each restore.",
        _erasure_missing,
    ),
)
