# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller runs a schedule at the very instants at which systemd would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import datetime, timezone

import pytest
from dateutil.rrule import rrulestr

from ansible_collections.lifeline.recovery.plugins.module_utils._core.calendar import recurrence
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError

CALENDARS = {
    "*-*-* *:00:00 UTC": ["2026-03-01 01:00", "2026-03-01 02:00", "2026-03-01 03:00"],
    "*-*-* 02:00:00 UTC": ["2026-03-01 02:00", "2026-03-02 02:00", "2026-03-03 02:00"],
    "Sun *-*-* 03:00:00 UTC": ["2026-03-01 03:00", "2026-03-08 03:00", "2026-03-15 03:00"],
    "*-*-01 04:00:00 UTC": ["2026-03-01 04:00", "2026-04-01 04:00", "2026-05-01 04:00"],
    "Fri *-*~07/1 10:00:00 UTC": ["2026-03-27 10:00", "2026-04-24 10:00", "2026-05-29 10:00"],
    "*-01,04,07,10-01 09:30 UTC": ["2026-04-01 09:30", "2026-07-01 09:30", "2026-10-01 09:30"],
    "Monday *-*-* 10:00:00 UTC": ["2026-03-02 10:00", "2026-03-09 10:00", "2026-03-16 10:00"],
}


def instants(calendar: str, count: int) -> list[datetime]:
    start, rule = recurrence(calendar).split(" ")
    found = rrulestr(f"{start.replace(';TZID=UTC', '')}Z\n{rule}")
    return [
        moment.replace(tzinfo=timezone.utc) for moment in found.xafter(datetime(2026, 3, 1, tzinfo=timezone.utc), count)
    ]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_the_instants_are_those_of_the_calendar(calendar: str) -> None:
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in instants(calendar, 3)] == CALENDARS[calendar]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("calendar", CALENDARS)
def test_systemd_reckons_the_same_over_a_year(calendar: str) -> None:
    command = ["systemd-analyze", "calendar", "--iterations=24", "--base-time=2026-03-01 00:00:00 UTC", calendar]
    # A zone with a change of its clocks must not matter.
    shown = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "Europe/Berlin", "LC_ALL": "C"}
    ).stdout
    in_utc = re.findall(r"\(in UTC\): \w+ (\S+ \S+) UTC", shown)
    assert in_utc == [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in instants(calendar, 24)]


@pytest.mark.parametrize(
    "calendar",
    [
        "",
        "daily",
        "*-*-* 02:00:00",
        "Foo *-*-* 02:00:00 UTC",
        "Mon..Fri *-*-* 02:00 UTC",
        "*-*~07/1 02:00 UTC",
        "*-*-* 24:00 UTC",
        "*-*-* *:60 UTC",
        "*-13-* 02:00 UTC",
        "*-*-0 02:00 UTC",
        "*-*-32 02:00 UTC",
    ],
)
def test_unsupported_calendar_is_refused(calendar: str) -> None:
    with pytest.raises(RecoveryError, match="cannot be written as a rule"):
        recurrence(calendar)
