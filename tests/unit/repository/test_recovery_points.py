# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which set is chosen, and how exposed a source is."""

from __future__ import annotations

import typing as t
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.layout import (
    SetName,
    parse_set_key,
    set_key,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.recovery_points import (
    Selection,
    longest_gap,
    missing_days,
    select,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.retention import Known, Policy, decide

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


TIERS_OF_SAFETY = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from(["emergency", "undo"])), max_size=20, unique_by=lambda one: one[0]
)


@given(HOURS, TIERS_OF_SAFETY, st.sampled_from(["latest", "random"]), st.none() | st.integers(0, 500), st.integers())
def test_safety_copies_are_chosen_only_by_tier_or_id(
    hours: list[int], copies: list[tuple[int, str]], which: str, incident: int | None, seed: int
) -> None:
    others = sets_at(hours)
    safety = [name for hour, tier in copies for name in sets_at([hour], tier)]
    before = None if incident is None else NOON + timedelta(hours=incident)
    selection = Selection(which=which, before=before, seed=seed)

    def chosen(names: list[SetName]) -> SetName | None:
        try:
            return select(names, selection, "school")
        except RecoveryError as error:
            assert error.kind == ErrorKind.NO_BACKUP_SET
            return None

    assert chosen([*others, *safety]) == chosen(others)
    for name in safety:
        assert select([*others, *safety], Selection(which=name.set_id, tier=name.tier), "school") == name
        assert select([*others, *safety], Selection(which=name.set_id), "school").set_id == name.set_id
    if safety:
        newest = max(safety, key=lambda name: (name.set_id, name.tier))
        with pytest.raises(RecoveryError, match=f"Only `tier` or its id chooses a safety copy, .* {newest.set_id}"):
            select(safety, Selection(which=which), "school")


def test_an_id_of_several_tiers_needs_the_tier() -> None:
    names = [name for tier in ("daily", "weekly", "undo") for name in sets_at([1], tier)]
    set_id = names[0].set_id
    with pytest.raises(RecoveryError, match=r"exists in 2 tiers \(daily, weekly\); `tier` must name one") as caught:
        select(names, Selection(which=set_id), "school")
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS
    assert select(names, Selection(which=set_id, tier="daily"), "school") == names[0]
    assert select(names[1:], Selection(which=set_id), "school") == names[1]


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


def sets_on(days: t.Iterable[int], tier: str = "daily") -> list[SetName]:
    """One set at noon so many days before NOON, the first of March."""
    return [SetName("school", tier, compact_instant(NOON - timedelta(days=back))) for back in days]


def test_a_gap_is_found_across_the_end_of_a_month() -> None:
    there = [back for back in range(40) if back not in (1, 2, 28, 29)]
    assert missing_days(sets_on(there), 30, NOON) == [
        date(2026, 1, 31),
        date(2026, 2, 1),
        date(2026, 2, 27),
        date(2026, 2, 28),
    ]
    # A check of the objects of one month alone would have missed these.
    assert missing_days(sets_on(there), 28, NOON) == [date(2026, 2, 27), date(2026, 2, 28)]
    assert missing_days(sets_on(range(40)), 30, NOON) == []


def test_a_young_source_is_judged_from_its_first_set_on() -> None:
    assert missing_days(sets_on([0]), 30, NOON) == []
    assert missing_days(sets_on([0, 1, 3]), 30, NOON) == [date(2026, 2, 27)]
    # A set before the timer existed proves nothing, a set of the timer does.
    assert missing_days([*sets_on([0, 1]), *sets_on([9], "emergency")], 30, NOON) == []
    assert missing_days([*sets_on([0, 1]), *sets_on([3], "weekly")], 30, NOON) == [date(2026, 2, 27)]


def test_today_is_not_missing_before_it_is_over() -> None:
    night = datetime(2026, 3, 1, 0, 0, 1, tzinfo=timezone.utc)
    assert missing_days(sets_on(range(1, 40)), 30, night) == []
    assert missing_days(sets_on(range(1, 40)), 30, night + timedelta(days=1)) == [date(2026, 3, 1)]
    assert missing_days(sets_on([2, 3]), 1, NOON) == []


def test_days_are_those_of_utc_and_any_set_but_undo_makes_one_present() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=14)))
    late = SetName("school", "daily", "20260227T235959Z")
    assert missing_days([late, *sets_on([3])], 30, east) == [date(2026, 2, 28)]
    assert missing_days([*sets_on([0, 2]), *sets_on([1], "weekly")], 30, NOON) == []
    # A safety copy is no backup of its day.
    assert missing_days([*sets_on([0, 2]), *sets_on([1], "emergency")], 30, NOON) == [date(2026, 2, 28)]
    assert missing_days([*sets_on([0, 2]), *sets_on([1], "undo")], 30, NOON) == [date(2026, 2, 28)]
    assert missing_days(sets_on([0, 7, 14], "weekly"), 30, NOON) is None
    assert missing_days([], 30, NOON) is None


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 60))
def test_retention_adds_no_gap(taken: set[int], days: int) -> None:
    names = sets_on(taken)
    stays = {
        item.set_id
        for item in decide([name.set_id for name in names], Policy(keep_daily=days), Known(), NOON)
        if item.stays
    }
    kept = [name for name in names if name.set_id in stays]
    assert missing_days(kept, days, NOON) == missing_days(names, days, NOON)
