# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document into the model. Every problem is told with its path, all at once; none stops the reading."""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass
from datetime import date

from . import fields
from .durations import parse_seconds
from .fields import Key, keys_of
from .model import Plan
from .placeholders import is_placeholder
from .schedule import longest_gap

FORMAT_VERSION = 1
_LONGEST = 200 * 366 * 86400.0
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Problem:
    """path: as in C(sources[0].objectives.rpo_seconds); empty for the document itself."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'the plan'}: {self.message}"


@dataclass(frozen=True)
class Reading:
    """plan counts only when there are no problems."""

    plan: Plan
    problems: t.Tuple[Problem, ...]


def read_plan(document: t.Any) -> Reading:
    """Read what YAML or JSON made of a plan."""
    reader = _Reader()
    plan = reader.shape(Plan, document, "")
    if plan is not None and plan.version is not None and plan.version != FORMAT_VERSION:
        reader.problem("version", f"must be {FORMAT_VERSION}")
    return Reading(plan or Plan(), tuple(reader.problems))


class _Reader:
    def __init__(self) -> None:
        self.problems: t.List[Problem] = []
        self._readers: t.Mapping[str, t.Callable[[Key, t.Any, str], t.Any]] = {
            fields.TEXT: self._text,
            fields.DATE: self._date,
            fields.SCHEDULE: self._schedule,
            fields.CHOICE: self._choice,
            fields.FLAG: self._flag,
            fields.DURATION: self._duration,
            fields.COUNT: self._count,
            fields.TEXTS: self._texts,
            fields.ONE: self._one,
            fields.MANY: self._many,
        }

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def shape(self, shape: t.Any, value: t.Any, path: str) -> t.Any:
        if not isinstance(value, t.Mapping):
            return self._no(path, "must be a dictionary")
        keys = keys_of(shape)
        found: t.Dict[str, t.Any] = {}
        for name, key in keys.items():
            place = f"{path}.{name}" if path else name
            given = value.get(name)
            if given is not None:
                read = self._readers[key.kind](key, given, place)
                if read is not None:
                    found[name] = read
            elif key.required:
                self.problem(place, "is required")
        for name in value:
            if name not in keys:
                self._unknown(f"{path}.{name}" if path else str(name), str(name), keys)
        return shape(**found)

    def _unknown(self, path: str, name: str, keys: t.Iterable[str]) -> None:
        close = difflib.get_close_matches(name, list(keys), n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(keys)}"
        self.problem(path, f"is unknown; {hint}")

    def _text(self, key: Key, value: t.Any, path: str) -> t.Optional[str]:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return self._no(path, "must be a text")
        if key.required and not str(value).strip():
            return self._no(path, "must not be empty")
        return str(value)

    def _date(self, key: Key, value: t.Any, path: str) -> t.Optional[str]:
        text = value.isoformat()[:10] if isinstance(value, date) else str(value).strip()
        if is_placeholder(text):
            return text
        try:
            return date.fromisoformat(text[:10]).isoformat()
        except ValueError:
            return self._no(path, "must be a date such as 2026-03-01")

    def _schedule(self, key: Key, value: t.Any, path: str) -> t.Optional[str]:
        try:
            longest_gap(str(value))
        except ValueError as error:
            return self._no(path, f"is no schedule: {error}")
        return str(value)

    def _choice(self, key: Key, value: t.Any, path: str) -> t.Optional[str]:
        if value in key.choices:
            return str(value)
        close = difflib.get_close_matches(str(value), key.choices, n=1)
        hint = f", did you mean {close[0]}?" if close else ""
        return self._no(path, f"must be one of {', '.join(key.choices)}, not {str(value)!r}{hint}")

    def _flag(self, key: Key, value: t.Any, path: str) -> t.Optional[bool]:
        truth = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
        return self._no(path, "must be true or false") if truth is None else truth

    def _duration(self, key: Key, value: t.Any, path: str) -> t.Optional[float]:
        negative = isinstance(value, (int, float)) and value < 0
        seconds = 0.0 if negative else parse_seconds(value)
        if seconds is None:
            return self._no(path, "must be seconds, or a length such as 15m, 4h, 30d, 12w or 1y")
        if negative or seconds > _LONGEST or (seconds == 0 and not key.zero):
            limit = "not be negative" if key.zero else "be above 0"
            return self._no(path, "must be below 200 years" if seconds else f"must {limit}")
        return seconds

    def _count(self, key: Key, value: t.Any, path: str) -> t.Optional[int]:
        text = str(value).strip()
        if isinstance(value, bool) or not text.lstrip("-").isdigit():
            return self._no(path, "must be a whole number")
        return int(text) if int(text) > 0 else self._no(path, "must be above 0")

    def _texts(self, key: Key, value: t.Any, path: str) -> t.Optional[t.Tuple[str, ...]]:
        if not isinstance(value, (list, tuple)):
            return self._no(path, "must be a list")
        if key.required and not value:
            return self._no(path, "must not be empty")
        read = self._choice if key.choices else self._text
        element = Key(fields.TEXT, key.says, required=True, choices=key.choices)
        found = [read(element, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return tuple(item for item in found if item is not None)

    def _one(self, key: Key, value: t.Any, path: str) -> t.Any:
        return self.shape(key.shape, value, path)

    def _many(self, key: Key, value: t.Any, path: str) -> t.Optional[t.Tuple[t.Any, ...]]:
        if not isinstance(value, (list, tuple)):
            return self._no(path, "must be a list")
        if key.required and not value:
            return self._no(path, "must not be empty")
        found = [self.shape(key.shape, item, f"{path}[{index}]") for index, item in enumerate(value)]
        seen: t.Dict[str, int] = {}
        for index, item in enumerate(found):
            # People share roles, and a person may have several.
            name = getattr(item, "name", None) if not hasattr(item, "role") else None
            if name and seen.setdefault(name, index) != index:
                self.problem(f"{path}[{index}].name", f"is {name!r}, as that of {path}[{seen[name]}] is")
        return tuple(item for item in found if item is not None)

    def _no(self, path: str, message: str) -> t.Any:
        self.problem(path, message)
        return None
