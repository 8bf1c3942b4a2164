# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times of the clock as systemd has them, as rules of recurrence (RFC 5545) that a controller understands."""

from __future__ import annotations

import re
import typing as t

from .errors import ErrorKind, RecoveryError

_DAYS = {"mon": "MO", "tue": "TU", "wed": "WE", "thu": "TH", "fri": "FR", "sat": "SA", "sun": "SU"}

#: The used part of systemd.time(7): one weekday, a day of the month or its last seven days, a time in UTC.
_CALENDAR = re.compile(
    r"(?:(?P<weekday>[A-Za-z]{3,9}) )?\*-(?P<months>\*|\d\d?(?:,\d\d?)*)(?:-(?P<day>\*|\d\d?)|(?P<last>~0?7/1)) "
    r"(?P<hour>\*|\d\d?):(?P<minute>\d\d?)(?::(?P<second>\d\d?))? UTC"
)


def recurrence(calendar: str) -> str:
    """C(Sun *-*-* 03:00:00 UTC) as C(DTSTART;TZID=UTC:20260101T030000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU).

    C(Fri *-*~07/1 10:00:00 UTC) is the last Friday of each month. Raises RecoveryError(invalid_options) for what has no
    such rule.
    """
    found = _CALENDAR.fullmatch(calendar.strip())
    weekday = _DAYS.get((found["weekday"] or "")[:3].lower()) if found else None
    if found is None or (found["weekday"] and weekday is None) or (found["last"] and weekday is None):
        raise _no_rule(calendar)
    if not all(lowest <= int(number) <= highest for number, lowest, highest in _numbers(found)):
        raise _no_rule(calendar)
    hour = "00" if found["hour"] == "*" else f"{int(found['hour']):02d}"
    start = f"DTSTART;TZID=UTC:20260101T{hour}{int(found['minute']):02d}{int(found['second'] or 0):02d}"
    return f"{start} RRULE:{';'.join(_parts(found, weekday))}"


def _numbers(found: t.Match[str]) -> t.Iterator[t.Tuple[str, int, int]]:
    """Each number with the least and the most that it may be."""
    bounds = {"day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}
    for name, (lowest, highest) in bounds.items():
        if found[name] not in (None, "*"):
            yield found[name], lowest, highest
    for month in found["months"].split(",") if found["months"] != "*" else ():
        yield month, 1, 12


def _parts(found: t.Match[str], weekday: t.Optional[str]) -> t.Iterator[str]:
    by_day, months = found["day"] not in (None, "*"), found["months"] != "*"
    if found["hour"] == "*":
        yield "FREQ=HOURLY"
    elif by_day or found["last"]:
        yield "FREQ=MONTHLY"
    else:
        yield "FREQ=WEEKLY" if weekday else "FREQ=DAILY"
    yield "INTERVAL=1"
    if months:
        yield "BYMONTH=" + ",".join(str(int(month)) for month in found["months"].split(","))
    if by_day:
        yield f"BYMONTHDAY={int(found['day'])}"
    if weekday:
        yield f"BYDAY={'-1' if found['last'] else ''}{weekday}"


def _no_rule(calendar: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"{calendar!r} cannot be written as a rule of recurrence.",
        next_step="Write it like '*-*-* 02:00:00 UTC', 'Sun *-*-* 03:00:00 UTC' or 'Fri *-*~07/1 10:00:00 UTC'.",
    )
