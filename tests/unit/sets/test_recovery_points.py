# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which set is chosen, and how exposed a source is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.layout import SetName, parse_set_key, set_key
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.recovery_points import (
    Selection,
    longest_gap,
    select,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOURS = st.lists(st.integers(0, 500), min_size=1, max_size=30, unique=True)


def sets_at(hours: list[int], tier: str = "daily") -> list[SetName]:
    return [SetName("school", tier, compact_instant(NOON + timedelta(hours=hour))) for hour in hours]


@given(HOURS)
def test_the_latest_is_the_newest(hours: list[int]) -> None:
    assert select(sets_at(hours), Selection(), "school") == sets_at([max(hours)])[0]


@given(HOURS, st.integers(0, 500))
def test_before_never_gives_a_set_that_may_hold_the_damage(hours: list[int], incident: int) -> None:
    before = NOON + timedelta(hours=incident)
    earlier = [hour for hour in hours if hour < incident]
    if earlier:
        assert select(sets_at(hours), Selection(before=before), "school") == sets_at([max(earlier)])[0]
    else:
        with pytest.raises(RecoveryError) as caught:
            select(sets_at(hours), Selection(before=before), "school")
        assert caught.value.kind == ErrorKind.NO_BACKUP_SET


def test_a_set_of_the_same_second_as_the_incident_is_not_chosen() -> None:
    incident = NOON + timedelta(milliseconds=900)
    with pytest.raises(RecoveryError):
        select(sets_at([0]), Selection(before=incident), "school")
    assert select(sets_at([0]), Selection(before=NOON + timedelta(seconds=1)), "school") == sets_at([0])[0]


@given(HOURS, st.integers())
def test_random_is_repeatable_and_from_the_list(hours: list[int], seed: int) -> None:
    chosen = select(sets_at(hours), Selection(which="random", seed=seed), "school")
    assert chosen in sets_at(hours)
    assert chosen == select(reversed(sets_at(hours)), Selection(which="random", seed=seed), "school")


def test_random_reaches_every_set_over_many_seeds() -> None:
    names = sets_at(list(range(10)))
    assert {select(names, Selection(which="random", seed=seed), "school") for seed in range(200)} == set(names)


def test_tier_and_source_limit_the_choice() -> None:
    names = [*sets_at([1], "weekly"), *sets_at([5], "daily"), SetName("other", "daily", "20270101T000000Z")]
    assert select(names, Selection(tier="weekly"), "school").tier == "weekly"
    assert select(names, Selection(), "school").set_id == sets_at([5])[0].set_id
    with pytest.raises(RecoveryError) as caught:
        select(names, Selection(), "nobody")
    assert caught.value.kind == ErrorKind.UNKNOWN_SOURCE


@given(HOURS)
def test_exposure_is_at_least_the_age_and_at_most_the_history(hours: list[int]) -> None:
    points = [NOON + timedelta(hours=hour) for hour in hours]
    now = NOON + timedelta(hours=501)
    gap = longest_gap(points, NOON, now)
    assert gap is not None
    assert (now - max(points)).total_seconds() <= gap.seconds <= (now - min(points)).total_seconds()


def test_a_nightly_dump_an_hour_ago_still_exposes_a_day() -> None:
    points = [NOON - timedelta(days=day, hours=1) for day in range(5)]
    gap = longest_gap(points, NOON - timedelta(days=7), NOON)
    assert gap is not None
    assert gap.seconds == 86400
    assert longest_gap([], NOON - timedelta(days=7), NOON) is None


def test_only_manifests_are_sets() -> None:
    name = SetName("school", "daily", "20260301T120000Z")
    assert parse_set_key(set_key(*name)) == name
    for key in (
        "school/daily/sets/x.json",
        "school/daily/verified/20260301T120000Z.json",
        "school/other/sets/20260301T120000Z.json",
    ):
        assert parse_set_key(key) is None
