# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings from the state of two servers, without servers."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._replication.facts import (
    Extension,
    Receiver,
    Server,
    Slot,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._replication.judge import (
    Limits,
    judge_lag,
    judge_slots,
    judge_standby,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._replication.lag import (
    Lag,
    format_position,
    goal_of,
    measure,
    parse_position,
    worst,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
SETTINGS = {"max_connections": 100, "max_wal_senders": 10}

PRIMARY = Server(
    place="db1", in_recovery=False, server_version="15.8", now=NOON, system_identifier="7",
    timeline=1, settings=SETTINGS, extensions={}, slots=[], attached=[], base_backups=0, written=5000,
)  # fmt: skip
STANDBY = replace(
    PRIMARY, place="db2", in_recovery=True, written=None, received=4000, replayed=4000, paused=False,
    replayed_at=NOON - timedelta(hours=3), receiver=Receiver("streaming", "second", 4000, NOON),
)  # fmt: skip


@pytest.mark.parametrize("text", ["0/0", "0/5000148", "16/B374D848", "FFFFFFFF/FFFFFFFF"])
def test_positions_are_read_and_written(text: str) -> None:
    assert format_position(parse_position(text)) == text


def test_positions_continue_beyond_four_gibibytes() -> None:
    assert t.cast(int, parse_position("1/0")) - t.cast(int, parse_position("0/FFFFFFFF")) == 1


@pytest.mark.parametrize(
    ("standby", "primary", "caught_up_in", "expected"),
    [
        (STANDBY, None, None, (0, 0.0)),
        (STANDBY, PRIMARY, None, (1000, 10800.0)),
        (STANDBY, PRIMARY, 0.25, (1000, 0.25)),
        (replace(STANDBY, replayed=5000), PRIMARY, None, (0, 0.0)),
        (replace(STANDBY, replayed=6000), PRIMARY, None, (0, 0.0)),
        (replace(STANDBY, receiver=None), None, None, (None, 10800.0)),
        (replace(STANDBY, receiver=None, replayed_at=None), None, None, (None, None)),
        (replace(STANDBY, sees_receiver=False, receiver=None, replayed_at=None), None, None, (None, None)),
        # A clock that is behind the primary's makes no lag of less than nothing.
        (replace(STANDBY, replayed_at=NOON + timedelta(seconds=9)), PRIMARY, None, (1000, 0.0)),
        (replace(STANDBY, received=4500), None, None, (500, 10800.0)),
    ],
)
def test_lag(
    standby: Server, primary: Server | None, caught_up_in: float | None, expected: tuple[int | None, float | None]
) -> None:
    lag = measure(standby, goal_of(standby, primary), NOON, caught_up_in)
    assert (lag.bytes, lag.seconds) == expected


def test_the_worst_of_what_is_partly_unknown_is_unknown() -> None:
    assert (worst([1, 3, 2]), worst([1, None]), worst([])) == (3, None, None)


@pytest.mark.parametrize(
    ("standby", "primary", "said", "blocks"),
    [
        (STANDBY, PRIMARY, None, False),
        (replace(STANDBY, paused=True), None, "paused", True),
        (replace(STANDBY, receiver=None), None, "all that it received", False),
        (replace(STANDBY, receiver=None, received=4100), None, "100 B are left", True),
        (replace(STANDBY, receiver=None, received=None), None, "unknown", True),
        (replace(STANDBY, receiver=None), PRIMARY, "1000 B behind", True),
        (replace(STANDBY, receiver=None, replayed=5000), PRIMARY, "as far as the primary", False),
        (replace(STANDBY, system_identifier="8"), PRIMARY, "another cluster", True),
        (replace(STANDBY, system_identifier=None), PRIMARY, None, False),
        (replace(STANDBY, timeline=2), PRIMARY, "timeline 2", True),
        (replace(STANDBY, server_version="15.6"), PRIMARY, "15.6", False),
        (replace(STANDBY, settings={**SETTINGS, "max_wal_senders": 5}), PRIMARY, "max_wal_senders is 5", True),
        (replace(STANDBY, settings={**SETTINGS, "max_wal_senders": 50}), PRIMARY, None, False),
        (replace(STANDBY, apply_delay_ms=60000), PRIMARY, "on purpose by 1 min", False),
        (replace(STANDBY, base_backups=1), PRIMARY, "base backup", True),
        (replace(STANDBY, extensions={"postgis": Extension("3.3", False, None)}), None, "no files", True),
        (replace(STANDBY, extensions={"postgis": Extension("3.3", False, "3.4")}), None, "has 3.4", False),
    ],
)
def test_findings_of_a_standby(standby: Server, primary: Server | None, said: str | None, blocks: bool) -> None:
    known = primary if primary and primary.system_identifier in (standby.system_identifier, "7") else None
    found = list(judge_standby(standby, measure(standby, goal_of(standby, known), NOON), primary))
    assert [finding.blocks for finding in found] == ([] if said is None else [blocks])
    assert said is None or said in found[0].sentence


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        (Slot("second", "physical", True, "reserved", 0, False), None),
        (Slot("second", "physical", False, "reserved", 2048, False), "retains 2.0 KiB"),
        (Slot("second", "physical", False, "lost", None, True), "is lost"),
        (Slot("second", "physical", True, "unreserved", 4096, False), "about to be lost"),
        (Slot("third", "physical", True, "reserved", 0, False), "does not exist"),
    ],
)
def test_findings_of_slots(slot: Slot, said: str | None) -> None:
    found = [finding.sentence for finding in judge_slots(replace(PRIMARY, slots=[slot]), "second")]
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_lag_that_is_not_known_keeps_no_limit() -> None:
    assert list(judge_lag(Lag(None, None, None), Limits())) == []
    assert list(judge_lag(Lag(10, 1.0, None), Limits(10, 1.0))) == []
    assert len(list(judge_lag(Lag(11, 1.1, None), Limits(10, 1.0)))) == 2
    assert len(list(judge_lag(Lag(None, None, None), Limits(10, 1.0)))) == 2
