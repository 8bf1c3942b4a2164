# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The longest gap of a schedule between two runs, and whether a window is open. Pure: it reads no clock."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

_SHORTHANDS = {
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Long enough to contain a century without a leap day.
_HORIZON_DAYS = 10 * 366


@dataclass(frozen=True)
class _Calendar:
    """either: as in cron, a day matches if its date or its weekday matches, instead of both."""

    months: t.FrozenSet[int]
    days: t.FrozenSet[int]
    weekdays: t.FrozenSet[int]
    seconds: t.Tuple[int, ...]
    either: bool = False

    def has(self, day: date) -> bool:
        by_date, by_weekday = day.day in self.days, day.weekday() in self.weekdays
        return day.month in self.months and (by_date or by_weekday if self.either else by_date and by_weekday)


@functools.lru_cache(maxsize=256)
def longest_gap(expression: str) -> float:
    """The longest time between two neighbouring runs in seconds.

    expression: calendar events of systemd (C(*-*-* 02:00:00 UTC), C(Mon..Fri *-*-* 06,18:30), C(daily)) or the five
    fields of cron, in UTC; years, last days of months and names of months are not supported.
    Raises ValueError with a sentence for other text, and for schedules that never run.
    """
    calendar = _parse(expression)
    previous: t.Optional[int] = None
    longest = within = max((b - a for a, b in zip(calendar.seconds, calendar.seconds[1:])), default=0)
    start = date(2095, 1, 1)
    runs = 0
    for number in range(_HORIZON_DAYS):
        if not calendar.has(start + timedelta(days=number)):
            continue
        runs += 1
        if previous is not None:
            longest = max(longest, number * 86400 + calendar.seconds[0] - previous)
        previous = number * 86400 + calendar.seconds[-1]
    if runs < 2:
        raise ValueError("never runs twice")
    return float(max(longest, within))


def is_open(expression: str, length_seconds: float, now: datetime) -> bool:
    """Whether a window that begins by the schedule, in UTC, and lasts so many seconds is open at the instant now.

    Raises ValueError as longest_gap does.
    """
    calendar = _parse(expression)
    now = now.astimezone(timezone.utc)
    for back in range(int(length_seconds // 86400) + 2):
        day = now.date() - timedelta(days=back)
        midnight = datetime.combine(day, time(), timezone.utc)
        if calendar.has(day) and any(
            0 <= (now - midnight).total_seconds() - second < length_seconds for second in calendar.seconds
        ):
            return True
    return False


def _parse(expression: str) -> _Calendar:
    text = _SHORTHANDS.get(expression.strip().lower(), expression.strip())
    parts = text.split()
    if not parts:
        raise ValueError("is empty")
    if len(parts) == 5 and ":" not in text:
        return _cron(parts)
    if parts and parts[-1].upper() == "UTC":
        parts = parts[:-1]
    weekdays = frozenset(range(7))
    if parts and parts[0][:3].lower() in _DAYS:
        weekdays = _weekdays(parts.pop(0))
    dates, times = "*-*-*", "00:00:00"
    for word in parts:
        if re.match(r"^[0-9*,./]+:[0-9*,./]+(:[0-9*,./]+)?$", word):
            times = word
        elif re.match(r"^(\*-)?[0-9*,./]+-[0-9*,./]+$", word):
            dates = word
        else:
            raise ValueError(f"{word!r} is not understood; write it as '*-*-* 02:00:00 UTC'")
    month, day = dates.split("-")[-2:]
    hour, minute, *second = times.split(":")
    return _Calendar(
        _numbers(month, 1, 12),
        _numbers(day, 1, 31),
        weekdays,
        _seconds(_numbers(hour, 0, 23), _numbers(minute, 0, 59), _numbers(second[0] if second else "0", 0, 59)),
    )


def _cron(parts: t.Sequence[str]) -> _Calendar:
    minute, hour, day, month, weekday = parts
    weekdays = _numbers(weekday, 0, 7)
    return _Calendar(
        _numbers(month, 1, 12),
        _numbers(day, 1, 31),
        frozenset((number - 1) % 7 for number in weekdays),
        _seconds(_numbers(hour, 0, 23), _numbers(minute, 0, 59), frozenset({0})),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )


def _seconds(hours: t.FrozenSet[int], minutes: t.FrozenSet[int], seconds: t.FrozenSet[int]) -> t.Tuple[int, ...]:
    return tuple(
        sorted(hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds)
    )


def _weekdays(word: str) -> t.FrozenSet[int]:
    found: t.Set[int] = set()
    for part in word.rstrip(",").split(","):
        ends = [name[:3].lower() for name in part.split("..")]
        if len(ends) > 2 or any(name not in _DAYS for name in ends):
            raise ValueError(f"{part!r} is not a day of the week")
        first, last = _DAYS.index(ends[0]), _DAYS.index(ends[-1])
        found.update((first + offset) % 7 for offset in range((last - first) % 7 + 1))
    return frozenset(found)


def _numbers(field: str, low: int, high: int) -> t.FrozenSet[int]:
    """The numbers of C(*), C(1,15), C(8..18), C(8-18) and C(*/5), C(0/15)."""
    found: t.Set[int] = set()
    for part in field.split(","):
        span, _slash, step = part.partition("/")
        ends = re.split(r"\.\.|-", span)
        if span == "*":
            first, last = low, high
        elif all(end.isdigit() for end in ends) and len(ends) <= 2:
            first, last = int(ends[0]), int(ends[-1])
            last = high if step and len(ends) == 1 else last
        else:
            raise ValueError(f"{part!r} is not understood; write it as '*-*-* 02:00:00 UTC'")
        if (step and (not step.isdigit() or int(step) < 1)) or not low <= first <= last <= high:
            raise ValueError(f"{part!r} must be from {low} to {high}")
        found.update(range(first, last + 1, int(step) if step else 1))
    return frozenset(found)
