# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The longest gap of a schedule."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.schedule import longest_gap

HOUR = 3600
DAY = 24 * HOUR
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("*-*-* 02:00:00 UTC", DAY),
        ("*-*-* 02:00", DAY),
        ("02:00", DAY),
        ("daily", DAY),
        ("0 2 * * *", DAY),
        ("hourly", HOUR),
        ("*-*-* *:00/15:00", 15 * 60),
        ("*-*-* *:*:00/30", 30),
        ("*/15 * * * *", 15 * 60),
        ("*-*-* 08..18:00:00", 14 * HOUR),
        ("0 8-18 * * *", 14 * HOUR),
        ("Sun *-*-* 03:00:00 UTC", 7 * DAY),
        ("0 3 * * 0", 7 * DAY),
        ("0 3 * * 7", 7 * DAY),
        ("Mon..Fri 02:00", 3 * DAY),
        ("Sat..Mon 02:00", 5 * DAY),
        ("Mon,Wednesday,Fri 02:00", 3 * DAY),
        ("*-*-01 04:00:00 UTC", 31 * DAY),
        ("monthly", 31 * DAY),
        ("quarterly", 92 * DAY),
        ("yearly", 366 * DAY),
        ("*-*-31 00:00", 61 * DAY),
        ("*-02-29", 8 * 365 * DAY + DAY),
        # Of cron, a day counts when its date or its weekday is meant.
        ("0 2 1 * 1", 7 * DAY),
        ("0 2 1 * *", 31 * DAY),
        ("*-*-* 02,14:30", 12 * HOUR),
        ("*-*-1/7 00:00", 7 * DAY),
    ],
)
def test_the_longest_gap(expression: str, gap: float) -> None:
    assert longest_gap(expression) == gap


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "at night",
        "*-*-* 25:00",
        "*-13-01",
        "*-02-30",
        "0 2 * *",
        "60 * * * *",
        "0 2 * * 8",
        "Mux 02:00",
        "*-*-* 02:00 Europe/Berlin",
        "*/0 * * * *",
        "2026-01-01 00:00",
        "5..3:00",
        "*-*-~1",
    ],
)
def test_invalid_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        longest_gap(expression)


@settings(max_examples=40, deadline=None)
@given(
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    hours=st.sets(st.integers(0, 23), min_size=1),
    minutes=st.sets(st.sampled_from([0, 10, 20, 30, 40, 50]), min_size=1),
)
def test_the_gap_is_the_one_that_counting_finds(weekdays: set[int], hours: set[int], minutes: set[int]) -> None:
    times = ",".join(map(str, sorted(hours))) + ":" + ",".join(map(str, sorted(minutes)))
    expression = f"{','.join(_DAYS[day] for day in sorted(weekdays))} *-*-* {times}"
    start = datetime.combine(date(2026, 3, 2), datetime.min.time())
    runs = [
        start + timedelta(days=day, hours=hour, minutes=minute)
        for day in range(22)
        for hour in sorted(hours)
        for minute in sorted(minutes)
        if day % 7 in weekdays
    ]
    assert longest_gap(expression) == max((b - a).total_seconds() for a, b in zip(runs, runs[1:]))
