# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The description of one check, read key by key; every mistake is collected, none stops the reading."""

from __future__ import annotations

import math
import typing as t
from decimal import Decimal, InvalidOperation

from .._core.errors import RecoveryError
from .._core.nearest import suggestion
from .._engines.postgresql.server.names import QualifiedName, parse_qualified_name
from .json_path import JsonPath, parse_path

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


class OptionReader:
    """Typed access to a dictionary of the operator.

    A method that finds a mistake records it and returns a harmless value, so callers read all their
    keys first; the values are valid only if mistakes is empty after finish(). Null counts as not set.
    """

    def __init__(self, given: t.Mapping[str, t.Any]) -> None:
        self._given = given
        self._known: t.List[str] = []
        self.mistakes: t.List[str] = []

    def given(self, key: str) -> bool:
        return self._given.get(key) is not None

    def has(self, key: str) -> bool:
        """As given, but an explicit null counts too."""
        return key in self._given

    def mistake(self, text: str) -> None:
        self.mistakes.append(text)

    def finish(self) -> None:
        """Record every unknown key."""
        for key in self._given:
            if key not in self._known:
                self.mistake(f"unknown option {key!r} ({suggestion(key, self._known)})")

    def raw(self, key: str) -> t.Any:
        self._known.append(key)
        return self._given.get(key)

    def text(self, key: str) -> str:
        return self._required(key, self.optional_text(key)) or ""

    def optional_text(self, key: str) -> t.Optional[str]:
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            self.mistake(f"{key} must be a text")
            return None
        text = str(value)
        if not text.strip() or "\0" in text:
            self.mistake(f"{key} must not be empty" if "\0" not in text else f"{key} holds a NUL character")
            return None
        return text

    def enum(self, key: str, choices: t.Sequence[str], default: str) -> str:
        value = self.optional_text(key)
        if value is None or value in choices:
            return value or default
        self.mistake(f"{key} must be one of {', '.join(choices)}")
        return default

    def boolean(self, key: str, default: bool) -> bool:
        value = self.optional_boolean(key)
        return default if value is None else value

    def optional_boolean(self, key: str) -> t.Optional[bool]:
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in _TRUE | _FALSE:
            self.mistake(f"{key} must be true or false")
            return None
        return word in _TRUE

    def integer(self, key: str, *, minimum: int = 0) -> t.Optional[int]:
        number = self.number(key)
        if number is None:
            return None
        if number != int(number):
            self.mistake(f"{key} must be a whole number")
            return None
        if number < minimum:
            self.mistake(f"{key} must be at least {minimum}")
            return None
        return int(number)

    def number(self, key: str) -> t.Optional[Decimal]:
        value = self.raw(key)
        if value is None:
            return None
        number = as_number(value)
        if number is None:
            self.mistake(f"{key} must be a number")
        return number

    def texts(self, key: str) -> t.Tuple[str, ...]:
        """A list of texts, or one text that counts as a list; empty if it is not set."""
        value = self.raw(key)
        if value is None:
            return ()
        items = value if isinstance(value, (list, tuple)) else [value]
        if not items:
            self.mistake(f"{key} must not be empty")
        for item in items:
            if not isinstance(item, (str, int)) or isinstance(item, bool) or not str(item).strip():
                self.mistake(f"{key} must be a list of texts")
                return ()
            if "\0" in str(item):
                self.mistake(f"{key} holds a NUL character")
                return ()
        return tuple(str(item) for item in items)

    def texts_by_name(self, key: str) -> t.Mapping[str, str]:
        """A dictionary of texts; empty if it is not set."""
        value = self.raw(key)
        if value is None:
            return {}
        if not isinstance(value, t.Mapping) or not all(
            isinstance(one, (str, int)) and not isinstance(one, bool) for one in value.values()
        ):
            self.mistake(f"{key} must be a dictionary of texts")
            return {}
        return {str(name): str(one) for name, one in value.items()}

    def path(self, key: str) -> t.Optional[JsonPath]:
        """A path to a value of a JSON document."""
        text = self.optional_text(key)
        if text is None:
            return None
        try:
            return parse_path(text)
        except ValueError as error:
            self.mistake(f"{key}: {error}")
            return None

    def required_texts(self, key: str) -> t.Tuple[str, ...]:
        return self._required(key, self.texts(key)) or ()

    def table(self, key: str) -> QualifiedName:
        return self.optional_table(key, required=True) or QualifiedName("", "")

    def optional_table(self, key: str, *, required: bool = False) -> t.Optional[QualifiedName]:
        text = self.text(key) if required else self.optional_text(key)
        return self._name(key, text) if text else None

    def tables(self, key: str) -> t.Tuple[QualifiedName, ...]:
        names = [self._name(key, text) for text in self.texts(key)]
        return tuple(name for name in names if name is not None)

    def one_of(self, *keys: str) -> None:
        """Record a mistake unless exactly one of the keys is set."""
        given = [key for key in keys if self.given(key)]
        if not given:
            self.mistake(f"one of {', '.join(keys)} is required")
        elif len(given) > 1:
            self.mistake(f"{' and '.join(given)} exclude each other")

    def _required(self, key: str, value: t.Any) -> t.Any:
        if not value and not self.given(key):
            self.mistake(f"{key} is required")
        return value

    def _name(self, key: str, text: str) -> t.Optional[QualifiedName]:
        try:
            return parse_qualified_name(text)
        except RecoveryError as error:
            self.mistake(f"{key}: {error.what.rstrip('.')}")
            return None


def as_number(value: t.Any) -> t.Optional[Decimal]:
    """A finite number, or None. Templates turn numbers into texts, so texts are accepted."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
