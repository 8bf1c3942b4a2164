# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations as people write them."""

from __future__ import annotations

import re
import typing as t

#: The units of a duration; a year is the longest of a month, a quarter and a year.
UNITS: t.Mapping[str, int] = {
    "s": 1,
    "min": 60,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "y": 366 * 86400,
}
#: A number without a unit is in seconds. The JSON Schema has the same pattern.
PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*(s|min|m|h|d|w|y)?\s*$"

#: The maximum length of each interval in seconds.
INTERVALS: t.Mapping[str, int] = {
    "continuous": 3600,
    "daily": 86400,
    "weekly": 7 * 86400,
    "monthly": 31 * 86400,
    "quarterly": 92 * 86400,
    "yearly": 366 * 86400,
}


def parse_seconds(value: t.Any) -> t.Optional[float]:
    """Seconds of C(3600), C("3600"), C("4h"), C("15m"), C("30d") or C("12w"); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    match = re.match(PATTERN, str(value))
    if match is None:
        return None
    number, unit = re.sub(r"[a-z\s]", "", str(value)), match.group(2)
    return float(number) * UNITS[unit or "s"]


def spoken(seconds: float) -> str:
    """The largest unit with a whole number: C(4 h), C(90 min), C(30 d)."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0 and (unit != "d" or seconds > size):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"
