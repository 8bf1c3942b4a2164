# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths to one value of a JSON document: C(lessons[0].title), with C([-1]) for the last element."""

from __future__ import annotations

import re
import typing as t

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?[0-9]{1,9})\]")


class MissingValue(Exception):
    """The document has no value at the path."""


class JsonPath(t.NamedTuple):
    """A path: names of keys and positions of elements."""

    text: str
    steps: t.Tuple[t.Union[str, int], ...]

    def __str__(self) -> str:
        return self.text


def parse_path(text: str) -> JsonPath:
    """Raises ValueError with a clause for a text that is no path."""
    steps: t.List[t.Union[str, int]] = []
    place = 0
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None or (text[place] == ".") != bool(steps and step.group(1)):
            raise ValueError(f"{text[:100]!r} is no path such as lessons[0].title")
        steps.append(step.group(1) or int(step.group(2)))
        place = step.end()
    return JsonPath(text, tuple(steps))


def find_value(path: JsonPath, document: t.Any) -> t.Any:
    """The value at the path; raises MissingValue if the document has none. null is a value."""
    for step in path.steps:
        try:
            if isinstance(step, str) != isinstance(document, dict) or isinstance(document, str):
                raise MissingValue
            document = document[step]
        except (LookupError, TypeError):
            raise MissingValue from None
    return document
