# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a document into the model. Every problem is reported with its path; none stops the reading."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.nearest import suggestion
from . import fields
from .fields import Key, keys_of
from .model import Plan
from .values import READERS

FORMAT_VERSION = 1


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
    """Read a parsed plan. A null is the same as a missing key."""
    reader = _Reader()
    plan = reader.shape(Plan, document, "")
    if plan is not None and plan.version not in (None, FORMAT_VERSION):
        reader.problem("version", f"must be {FORMAT_VERSION}")
    return Reading(plan or Plan(), tuple(reader.problems))


class _Reader:
    def __init__(self) -> None:
        self.problems: t.List[Problem] = []

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def shape(self, shape: t.Any, value: t.Any, path: str) -> t.Any:
        """An instance of a dataclass of the model, or None."""
        if not isinstance(value, t.Mapping):
            self.problem(path, "must be a dictionary")
            return None
        keys = keys_of(shape)
        found: t.Dict[str, t.Any] = {}
        for name, key in keys.items():
            given, place = value.get(name), f"{path}.{name}" if path else name
            if given is not None:
                found[name] = self._value(key, given, place)
            elif key.required:
                self.problem(place, "is required")
        for name in value:
            if name not in keys:
                self._unknown(f"{path}.{name}" if path else str(name), str(name), keys)
        return shape(**{name: item for name, item in found.items() if item is not None})

    def _unknown(self, path: str, name: str, keys: t.Iterable[str]) -> None:
        self.problem(path, f"is unknown; {suggestion(name, keys)}")

    def _value(self, key: Key, value: t.Any, path: str) -> t.Any:
        if key.kind == fields.ONE:
            return self.shape(key.shape, value, path)
        if key.kind in (fields.TEXTS, fields.MANY):
            return self._list(key, value, path)
        try:
            return READERS[key.kind](key, value)
        except ValueError as error:
            self.problem(path, str(error))
            return None

    def _list(self, key: Key, value: t.Any, path: str) -> t.Any:
        if not isinstance(value, (list, tuple)):
            self.problem(path, "must be a list")
            return None
        if key.required and not value:
            self.problem(path, "must not be empty")
        # An element of a list of texts is never empty.
        element = Key(
            fields.ONE if key.kind == fields.MANY else fields.TEXT, key.meaning, True, key.choices, shape=key.shape
        )
        found = [self._value(element, item, f"{path}[{index}]") for index, item in enumerate(value)]
        if key.unique:
            self._unique(found, path)
        return tuple(item for item in found if item is not None)

    def _unique(self, found: t.Sequence[t.Any], path: str) -> None:
        first: t.Dict[str, int] = {}
        for index, item in enumerate(found):
            name = getattr(item, "name", None)
            if name and first.setdefault(name, index) != index:
                self.problem(f"{path}[{index}].name", f"is {name!r}, which is the name of {path}[{first[name]}] too")
