# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads single values of a plan. Pure: an invalid value raises ValueError with the expectation."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.nearest import nearest
from . import fields
from .durations import parse_seconds
from .fields import Key
from .placeholders import is_placeholder
from .schedule import longest_gap

_LONGEST = 200 * 366 * 86400.0
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def read_text(key: Key, value: t.Any) -> str:
    if key.choices:
        return read_enum(key, value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a text")
    if key.required and not str(value).strip():
        raise ValueError("must not be empty")
    return str(value)


def read_enum(key: Key, value: t.Any) -> str:
    if isinstance(value, str) and value in key.choices:
        return value
    close = nearest(value, key.choices)
    hint = f", did you mean {close}?" if close else ""
    raise ValueError(f"must be one of {', '.join(key.choices)}, not {str(value)!r}{hint}")


def read_date(key: Key, value: t.Any) -> str:
    """A date in ISO form, or a placeholder for it."""
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    if is_placeholder(text):
        return text
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise ValueError("must be a date such as 2026-03-01") from None


def read_schedule(key: Key, value: t.Any) -> str:
    try:
        longest_gap(str(value))
    except ValueError as error:
        raise ValueError(f"is not a schedule: {error}") from None
    return str(value)


def read_flag(key: Key, value: t.Any) -> bool:
    truth = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if truth is None:
        raise ValueError("must be true or false")
    return truth


def read_duration(key: Key, value: t.Any) -> float:
    """Seconds."""
    negative = isinstance(value, (int, float)) and value < 0
    seconds = 0.0 if negative else parse_seconds(value)
    if seconds is None:
        raise ValueError("must be seconds, or a duration such as 15min, 4h, 30d, 12w or 1y")
    if negative or (seconds == 0 and not key.zero):
        raise ValueError("must not be negative" if key.zero else "must be above 0")
    if seconds > _LONGEST:
        raise ValueError("must be below 200 years")
    return seconds


def read_count(key: Key, value: t.Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.lstrip("-").isdecimal():
        raise ValueError("must be a whole number")
    if int(text) < 1:
        raise ValueError("must be above 0")
    return int(text)


READERS: t.Mapping[str, t.Callable[[Key, t.Any], t.Any]] = {
    fields.TEXT: read_text,
    fields.DATE: read_date,
    fields.SCHEDULE: read_schedule,
    fields.ENUM: read_enum,
    fields.FLAG: read_flag,
    fields.DURATION: read_duration,
    fields.COUNT: read_count,
}
