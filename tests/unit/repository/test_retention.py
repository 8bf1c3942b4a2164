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
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.retention import (
    DEFAULTS,
    Known,
    Policy,
    decide,
)

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


NOTHING = Known()


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], Known]:
    """Sets, and for each of them what verification found, whether it can be read, and how it is dated."""
    sets = ids(draw(hours_ago))
    found = {set_id: draw(st.sampled_from(["", "failed", "digests", "decode", "unreadable"])) for set_id in sets}
    return sets, Known(
        proved={set_id: depth for set_id, depth in found.items() if depth in ("digests", "decode")},
        failed={set_id for set_id, depth in found.items() if depth == "failed"},
        unreadable={set_id for set_id, depth in found.items() if depth == "unreadable"},
        latest=NOW + timedelta(hours=1),
    )


def ids(hours: t.Iterable[int]) -> list[str]:
    return [compact_instant(NOW - timedelta(hours=hour)) for hour in hours]


def kept(set_ids: t.Iterable[str], policy: Policy, known: Known = NOTHING) -> list[str]:
    return [decision.set_id for decision in decide(set_ids, policy, known, NOW) if decision.stays]


@given(histories(), policies)
def test_retention_keeps_required_sets_and_is_idempotent(history: tuple[list[str], Known], policy: Policy) -> None:
    sets, known = history
    staying = kept(sets, policy, known)
    future = {set_id for set_id in sets if parse_instant(set_id) > NOW + timedelta(hours=1)}
    judged = sorted(set(sets) - known.unreadable - future)
    good = [set_id for set_id in judged if set_id not in known.failed]
    decoded = [set_id for set_id in good if known.proved.get(set_id) == "decode"]
    verified = [set_id for set_id in good if set_id in known.proved]
    assert known.unreadable | future <= set(staying) <= set(sets)
    assert set(judged[-1:]) | set(good[-1:]) | set(decoded[-1:]) | set(verified[-1:]) <= set(staying)
    assert set(good[-policy.minimum :]) <= set(staying)
    assert len(set(judged) & set(staying)) >= min(policy.minimum, len(judged))
    assert kept(staying, policy, known) == staying


@given(histories(), policies)
def test_no_failed_set_takes_the_place_of_a_good_one(history: tuple[list[str], Known], policy: Policy) -> None:
    sets, known = history
    decisions = decide(sets, policy, known, NOW)
    staying = {decision.set_id for decision in decisions if decision.stays}
    without_failed = kept([set_id for set_id in sets if set_id not in known.failed], policy, known)
    assert set(without_failed) <= staying
    for decision in decisions:
        # A rule that counts keeps a failed set only when the same rule keeps every good set, or its period.
        if decision.set_id in known.failed and "minimum" in decision.reasons:
            assert {d.set_id for d in decisions if d.set_id not in known.failed} <= staying


@given(histories(), policies, st.sampled_from(["digests", "decode"]))
def test_a_deeper_verification_of_a_set_never_removes_it(
    history: tuple[list[str], Known], policy: Policy, depth: str
) -> None:
    sets, known = history
    for set_id in kept(sets, policy, known):
        proved = Known({**known.proved, set_id: depth}, known.failed - {set_id}, known.unreadable, known.latest)
        if depth == "decode" or known.proved.get(set_id) != "decode":
            assert set_id in kept(sets, policy, proved)


def test_failed_sets_do_not_push_out_good_ones() -> None:
    sets = ids(range(0, 24 * 25, 24))
    failed = set(sets[:14])
    staying = set(kept(sets, Policy(keep_daily=14), Known(failed=failed)))
    assert set(sets) - failed <= staying
    assert len(staying & failed) == 3


def test_a_set_of_the_future_takes_no_place_and_stays() -> None:
    sets = ["20370101T000000Z", *ids(range(0, 24 * 20, 24))]
    known = Known(latest=NOW + timedelta(hours=1))
    assert kept(sets, Policy(keep_daily=5), known) == [*sorted(sets[1:6]), sets[0]]


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
    waited = decide(sets, DEFAULTS["daily"], NOTHING, NOW + timedelta(days=later))
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
    assert old in kept(sets, DEFAULTS["daily"], Known(proved={old: "digests"}))


def test_weeks_turn_on_monday_also_over_new_year() -> None:
    sets = ["20251228T030000Z", "20251229T030000Z", "20260104T030000Z", "20260105T030000Z"]
    assert kept(sets, Policy(keep_weekly=3)) == ["20251228T030000Z", "20260104T030000Z", "20260105T030000Z"]
    assert all(parse_instant(item) < NOW for item in sets)


@pytest.mark.parametrize("policy", [Policy(keep_daily=-1), Policy(keep_within=-1.0), Policy(minimum=0)])
def test_an_unsound_policy_is_refused(policy: Policy) -> None:
    with pytest.raises(RecoveryError, match=r"keep_|minimum"):
        decide(ids([1, 2]), policy, NOTHING, NOW)
