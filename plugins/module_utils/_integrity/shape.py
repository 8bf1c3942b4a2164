# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape a JSON document should have: a small subset of JSON Schema's words with the same meaning.

https://json-schema.org/draft/2020-12/json-schema-validation (type, enum, required, minItems);
properties and items as in its core.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_KEYS = ("type", "required", "properties", "items", "min_items", "enum")


@dataclass(frozen=True)
class Shape:
    """A node of the expected shape; an empty or None field sets no expectation."""

    types: t.Tuple[str, ...] = ()
    required: t.Tuple[str, ...] = ()
    properties: t.Mapping[str, Shape] = field(default_factory=dict)
    items: t.Optional[Shape] = None
    min_items: int = 0
    enum: t.Optional[t.Tuple[t.Any, ...]] = None


def read_shape(description: t.Any, mistakes: t.List[str], place: str = "shape") -> Shape:
    """Build a Shape from what a person wrote; what is wrong with it is appended to mistakes."""
    if not isinstance(description, t.Mapping):
        mistakes.append(f"{place} must be a dictionary")
        return Shape()
    for key in description:
        if key not in _KEYS:
            mistakes.append(f"{place}: unknown key {key!r}, known are {', '.join(_KEYS)}")
    properties = description.get("properties")
    properties = {} if properties is None else properties
    if not isinstance(properties, t.Mapping):
        mistakes.append(f"{place}.properties must be a dictionary")
        properties = {}
    items = description.get("items")
    return Shape(
        types=_types(description, mistakes, place),
        required=_texts(description, "required", mistakes, place),
        properties={
            str(name): read_shape(inner, mistakes, f"{place}.properties.{name}") for name, inner in properties.items()
        },
        items=None if items is None else read_shape(items, mistakes, f"{place}.items"),
        min_items=_min_items(description, mistakes, place),
        enum=_enum(description, mistakes, place),
    )


def parse_json(text: str) -> t.Any:
    """As json.loads, but strict: NaN and Infinity are no JSON. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def first_problem(shape: Shape, value: t.Any, place: str = "$") -> t.Optional[str]:
    """Where the document leaves its shape and how, without repeating what it holds; None when it fits."""
    kind = _kind(value)
    if shape.types and kind not in shape.types and not (kind == "integer" and "number" in shape.types):
        return f"{place} is of type {kind}, not {' or '.join(shape.types)}"
    if shape.enum is not None and not any(_kind(value) == _kind(one) and value == one for one in shape.enum):
        return f"{place} is none of the values allowed"
    if isinstance(value, dict):
        return _problem_of_object(shape, value, place)
    if isinstance(value, list):
        return _problem_of_array(shape, value, place)
    return None


def _problem_of_object(shape: Shape, value: t.Mapping[str, t.Any], place: str) -> t.Optional[str]:
    for name in shape.required:
        if name not in value:
            return f"{place}.{name} is missing"
    for name, inner in shape.properties.items():
        problem = first_problem(inner, value[name], f"{place}.{name}") if name in value else None
        if problem:
            return problem
    return None


def _problem_of_array(shape: Shape, value: t.Sequence[t.Any], place: str) -> t.Optional[str]:
    if len(value) < shape.min_items:
        return f"{place} has {len(value)} items, not at least {shape.min_items}"
    for index, item in enumerate(value if shape.items else ()):
        problem = first_problem(t.cast(Shape, shape.items), item, f"{place}[{index}]")
        if problem:
            return problem
    return None


def _kind(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        # 2.0 is an integer in JSON Schema as well.
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _types(description: t.Mapping[str, t.Any], mistakes: t.List[str], place: str) -> t.Tuple[str, ...]:
    types = _texts(description, "type", mistakes, place)
    unknown = [name for name in types if name not in _TYPES]
    if unknown:
        mistakes.append(f"{place}.type: {', '.join(unknown)} is none of {', '.join(_TYPES)}")
    return types


def _texts(description: t.Mapping[str, t.Any], key: str, mistakes: t.List[str], place: str) -> t.Tuple[str, ...]:
    value = description.get(key)
    items = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        mistakes.append(f"{place}.{key} must be a list of texts")
        return ()
    return tuple(items)


def _min_items(description: t.Mapping[str, t.Any], mistakes: t.List[str], place: str) -> int:
    value = description.get("min_items")
    text = "0" if value is None else str(value)
    if isinstance(value, bool) or not text.isdigit():
        mistakes.append(f"{place}.min_items must be a whole number")
        return 0
    return int(text)


def _enum(description: t.Mapping[str, t.Any], mistakes: t.List[str], place: str) -> t.Optional[t.Tuple[t.Any, ...]]:
    value = description.get("enum")
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        mistakes.append(f"{place}.enum must be a list of values")
        return None
    return tuple(value)


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is no JSON")
