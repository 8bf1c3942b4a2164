# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a document: JSON that a column of the type jsonb can hold, compared by value and not by its text."""

from __future__ import annotations

import decimal
import hashlib
import json
import typing as t
from dataclasses import dataclass

#: Digits before and after the point of numeric, which jsonb stores numbers as.
#: https://www.postgresql.org/docs/current/datatype-numeric.html
_DIGITS_BEFORE, _DIGITS_AFTER = 131072, 16383

#: A string cannot begin with this character, so that no string equals a number.
_NUMBER = "\x00"


@dataclass(frozen=True)
class Content:
    """A document that was read. size: bytes of its text. digest: sha256, equal for equal values. value: as JSON."""

    size: int
    digest: str
    value: t.Any


def parse_content(data: t.Union[bytes, str]) -> Content:
    """The content of a JSON text. Raises ValueError with a clause that names the problem.

    Equal are texts that jsonb stores as one value: whitespace, the order of keys and trailing zeros of numbers do not
    count. Refused is everything that jsonb refuses: text that is not UTF-8, NUL, half of a surrogate pair, NaN, and
    numbers beyond numeric.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)
        if "\\u0000" in text and _has_nul(value):
            raise ValueError("it holds the character NUL, which PostgreSQL cannot store")
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain_number)
        encoded = canonical.encode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which PostgreSQL cannot store") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return Content(len(raw), hashlib.sha256(encoded).hexdigest(), value)


def pretty_lines(content: t.Optional[Content]) -> t.List[str]:
    """The document as indented lines, for a diff that people read; none without a document."""
    if content is None:
        return []
    return json.dumps(content.value, sort_keys=True, indent=2, ensure_ascii=False, default=float).splitlines()


def _number(text: str) -> decimal.Decimal:
    try:
        number = decimal.Decimal(text)
        exponent = number.as_tuple().exponent
    except decimal.DecimalException:
        raise ValueError("it holds a number that PostgreSQL cannot store") from None
    if not isinstance(exponent, int) or number.adjusted() >= _DIGITS_BEFORE or -exponent > _DIGITS_AFTER:
        raise ValueError("it holds a number that PostgreSQL cannot store")
    return number


def _refuse_constant(name: str) -> t.Any:
    raise ValueError(f"it is not JSON ({name} is no number)")


def _plain_number(number: decimal.Decimal) -> str:
    """The same text for equal numbers: numeric has no negative zero, and jsonb compares without trailing zeros."""
    sign, digits, exponent = number.as_tuple()
    figures = "".join(map(str, digits)).lstrip("0")
    trimmed = figures.rstrip("0")
    if not trimmed:
        return f"{_NUMBER}0"
    return f"{_NUMBER}{'-' if sign else ''}{trimmed}e{int(exponent) + len(figures) - len(trimmed)}"


def _has_nul(value: t.Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and "\x00" in one:
            return True
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
    return False
