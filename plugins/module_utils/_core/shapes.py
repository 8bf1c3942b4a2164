# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes what a document must look like, so that one walk judges all of it.

A shape is a function: it takes a value and where the value stands, and raises ValueError that names the place.
"""

from __future__ import annotations

import re
import typing as t

from .clock import parse_instant
from .errors import RecoveryError

Shape = t.Callable[[t.Any, str], None]

#: Sizes and counts: SQLite and PostgreSQL keep them in 63 bits.
LARGEST_COUNT = 2**63 - 1


def anything(_value: t.Any, _place: str) -> None:
    """Accepts every value."""


def text(pattern: t.Optional[str] = None, *, longest: int = 10_000) -> Shape:
    """Text without NUL, of the whole pattern."""
    compiled = re.compile(pattern) if pattern is not None else None

    def judge(value: t.Any, place: str) -> None:
        if not isinstance(value, str) or len(value) > longest or "\0" in value:
            raise _wrong(place, value, "text")
        if compiled is not None and not compiled.fullmatch(value):
            raise _wrong(place, value, f"text like {pattern}")

    return judge


def integer(least: int = 0, most: int = LARGEST_COUNT) -> Shape:
    def judge(value: t.Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(place, value, f"a whole number from {least} to {most}")

    return judge


def number(value: t.Any, place: str) -> None:
    """Any number; documents hold none that are infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(place, value, "a number")


def flag(value: t.Any, place: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(place, value, "true or false")


def instant(value: t.Any, place: str) -> None:
    try:
        if isinstance(value, str) and len(value) <= 40:
            parse_instant(value)
            return
    except RecoveryError:
        pass
    raise _wrong(place, value, "an instant")


def one_of(*values: str) -> Shape:
    def judge(value: t.Any, place: str) -> None:
        if not isinstance(value, str) or value not in values:
            raise _wrong(place, value, f"one of {', '.join(values)}")

    return judge


def either(*shapes: Shape) -> Shape:
    """The first shape that fits; the last one's error when none does."""

    def judge(value: t.Any, place: str) -> None:
        for shape in shapes[:-1]:
            try:
                shape(value, place)
                return
            except ValueError:
                continue
        shapes[-1](value, place)

    return judge


def nothing(value: t.Any, place: str) -> None:
    if value is not None:
        raise _wrong(place, value, "null")


def optional(shape: Shape) -> Shape:
    return either(nothing, shape)


def list_of(shape: Shape, *, longest: int = 10_000_000) -> Shape:
    def judge(value: t.Any, place: str) -> None:
        if not isinstance(value, list) or len(value) > longest:
            raise _wrong(place, value, f"a list of at most {longest}")
        for position, item in enumerate(value):
            shape(item, f"{place}[{position}]")

    return judge


def mapping_of(shape: Shape) -> Shape:
    """A mapping of any keys to values of one shape."""

    def judge(value: t.Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(place, value, "a mapping")
        for name, item in value.items():
            shape(item, f"{place}.{_shown(name)}")

    return judge


def record(
    fields: t.Mapping[str, Shape], *, may_lack: t.Container[str] = (), others: t.Optional[Shape] = None
) -> Shape:
    """A mapping with these fields; others is the shape of any further field, and None allows no further field."""

    def judge(value: t.Any, place: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(place, value, "a mapping")
        inside = f"{place}." if place else ""
        for name, shape in fields.items():
            if name in value:
                shape(value[name], f"{inside}{name}")
            elif name not in may_lack:
                raise ValueError(f"{inside}{name} is missing")
        for name in value.keys() - fields.keys():
            if others is None:
                raise ValueError(f"{inside}{_shown(name)} is not known")
            others(value[name], f"{inside}{_shown(name)}")

    return judge


def _wrong(place: str, value: t.Any, wanted: str) -> ValueError:
    return ValueError(f"{place or 'the value'} is {_shown(value)}, which is not {wanted}")


def _shown(value: t.Any) -> str:
    """At most 80 characters, all printable: a message must not carry what a store's owner wants to print."""
    if isinstance(value, (dict, list)):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    return ascii(value)[:80]
