# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a database as JSON can hold them and as operators compare them."""

from __future__ import annotations

import math
import typing as t
from datetime import date, time, timedelta
from decimal import Decimal

from .options import as_number

#: Maximum number of characters of a value in a result.
_LONGEST = 200

_TRUE = ("true", "t", "yes")
_FALSE = ("false", "f", "no")


def plain_value(value: t.Any) -> t.Any:
    """Numbers, texts, lists and dictionaries only; long texts cut, bytes in hexadecimal."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _cut("\\x" + bytes(value).hex())
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, t.Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _cut(str(value))


def same_value(expected: t.Any, actual: t.Any) -> bool:
    """Whether a value of the operator equals a value of the database: 10, 10.0 and "10" are the same number."""
    if expected is None or actual is None:
        return expected is None and actual is None
    if isinstance(actual, bool) or isinstance(expected, bool):
        return _as_boolean(expected) is not None and _as_boolean(expected) == _as_boolean(actual)
    if isinstance(actual, (int, float, Decimal)):
        wanted, is_now = as_number(expected), as_number(actual)
        return str(expected).lower() == str(actual).lower() if is_now is None else wanted == is_now
    if isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(actual) == len(expected) and all(map(same_value, expected, actual))
    if isinstance(actual, t.Mapping) and isinstance(expected, t.Mapping):
        return actual.keys() == expected.keys() and all(same_value(expected[key], actual[key]) for key in actual)
    if isinstance(actual, (bytes, bytearray, memoryview)):
        return str(expected) == "\\x" + bytes(actual).hex()
    return str(expected) == str(actual)


def _as_boolean(value: t.Any) -> t.Optional[bool]:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def query_subject(query: str) -> str:
    """The beginning of a query on one line, as the name of its check."""
    line = " ".join(query.split())
    return line if len(line) <= 60 else line[:59] + "\N{HORIZONTAL ELLIPSIS}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
