# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For any sequence of sets and any policy: what must stay stays, and pruning twice is pruning once."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant, parse_instant
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.retention import DEFAULTS, Policy, decide

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

hours_ago = st.lists(st.integers(-2, 24 * 800), max_size=60, unique=True)
counts = st.one_of(st.none(), st.integers(0, 40))
policies = st.builds(
    Policy,
    keep_hourly=counts,
    keep_daily=counts,
    keep_weekly=counts,
    keep_monthly=counts,
    keep_yearly=counts,
    keep_within=st.one_of(st.none(), st.floats(0, 400 * 86400.0)),
    minimum=st.integers(1, 10),
)


def ids(hours: t.Iterable[int]) -> list[str]:
    return [compact_instant(NOW - timedelta(hours=hour)) for hour in hours]


def kept(set_ids: t.Iterable[str], policy: Policy, verified: t.Container[str] = ()) -> list[str]:
    return [decision.set_id for decision in decide(set_ids, policy, verified, NOW) if decision.stays]


@given(hours_ago, policies, st.data())
def test_what_must_stay_stays_and_twice_is_once(hours: list[int], policy: Policy, data: st.DataObject) -> None:
    sets = ids(hours)
    verified = data.draw(st.sets(st.sampled_from(sets)) if sets else st.just(set()))
    staying = kept(sets, policy, verified)
    assert set(sorted(sets)[-policy.minimum :]) <= set(staying) <= set(sets)
    assert not verified or max(verified) in staying
    assert kept(staying, policy, verified) == staying


@given(hours_ago, st.integers(1, 40))
def test_each_of_the_last_days_keeps_its_newest_set(hours: list[int], days: int) -> None:
    by_day: dict[str, str] = {}
    for set_id in sorted(ids(hours)):
        by_day[set_id[:8]] = set_id
    assert kept(ids(hours), Policy(keep_daily=days)) == [by_day[day] for day in sorted(by_day)[-days:]]


@given(hours_ago, policies, st.integers(0, 40))
def test_keeping_more_never_removes_more(hours: list[int], policy: Policy, more: int) -> None:
    richer = Policy(**{**vars(policy), "keep_daily": (policy.keep_daily or 0) + more})
    assert set(kept(ids(hours), policy)) <= set(kept(ids(hours), richer))


@given(st.integers(0, 3000))
def test_a_source_whose_backups_stopped_loses_nothing_by_waiting(later: int) -> None:
    sets = ids(range(0, 24 * 60, 24))
    waited = decide(sets, DEFAULTS["daily"], (), NOW + timedelta(days=later))
    assert [decision.set_id for decision in waited if decision.stays] == kept(sets, DEFAULTS["daily"])


@pytest.mark.parametrize(
    ("tier", "every", "count"), [("hourly", 1, 24), ("daily", 24, 30), ("weekly", 168, 12), ("monthly", 24 * 31, 12)]
)
def test_the_defaults_are_those_of_the_plans(tier: str, every: int, count: int) -> None:
    assert len(kept(ids(range(0, 100 * every, every)), DEFAULTS[tier])) == count


def test_a_corrupt_newest_set_does_not_push_out_the_newest_verified_one() -> None:
    sets = ids(range(0, 24 * 100, 24))
    old = sets[90]
    assert old not in kept(sets, DEFAULTS["daily"])
    assert old in kept(sets, DEFAULTS["daily"], {old})


def test_weeks_turn_on_monday_also_over_new_year() -> None:
    sets = ["20251228T030000Z", "20251229T030000Z", "20260104T030000Z", "20260105T030000Z"]
    assert kept(sets, Policy(keep_weekly=3)) == ["20251228T030000Z", "20260104T030000Z", "20260105T030000Z"]
    assert all(parse_instant(item) < NOW for item in sets)


@pytest.mark.parametrize("policy", [Policy(keep_daily=-1), Policy(keep_within=-1.0), Policy(minimum=0)])
def test_an_unsound_policy_is_refused(policy: Policy) -> None:
    with pytest.raises(RecoveryError, match=r"keep_|minimum"):
        decide(ids([1, 2]), policy, (), NOW)
