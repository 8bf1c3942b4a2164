# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model as a JSON Schema, for editors. docs/recovery-plan.schema.json is what this makes."""

from __future__ import annotations

import typing as t

from . import fields
from .durations import PATTERN
from .fields import Key, keys_of
from .model import Plan
from .reader import FORMAT_VERSION


def json_schema() -> t.Dict[str, t.Any]:
    """A schema of draft 2020-12. It does not know dates, schedules and unique names as well as the reader does."""
    schema = _shape(Plan)
    schema["properties"]["version"] = {"const": FORMAT_VERSION, "description": keys_of(Plan)["version"].says}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "recovery_plan", **schema}


def _shape(shape: t.Any) -> t.Dict[str, t.Any]:
    keys = keys_of(shape)
    required = [name for name, key in keys.items() if key.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"description": key.says, **_key(key)} for name, key in keys.items()},
        **({"required": required} if required else {}),
    }


def _key(key: Key) -> t.Dict[str, t.Any]:
    described = _KINDS[key.kind](key)
    if key.required or key.kind == fields.ONE:
        return described
    # Null is "not given".
    return {"anyOf": [described, {"type": "null"}]}


def _list(key: Key, items: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    return {"type": "array", "items": items, **({"minItems": 1} if key.required else {})}


def _words(key: Key) -> t.Dict[str, t.Any]:
    if key.choices:
        return {"enum": list(key.choices)}
    # An element of a list is never empty, nor is what is required.
    filled = {"pattern": r"\S"} if key.required or key.kind == fields.TEXTS else {}
    return {"type": ["string", "number"], **filled}


_KINDS: t.Mapping[str, t.Callable[[Key], t.Dict[str, t.Any]]] = {
    fields.TEXT: _words,
    fields.DATE: lambda key: {"type": "string"},
    fields.SCHEDULE: lambda key: {"type": "string", "minLength": 1},
    fields.CHOICE: _words,
    fields.FLAG: lambda key: {"enum": [True, False, "true", "false", "yes", "no"]},
    fields.DURATION: lambda key: {
        "anyOf": [
            {"type": "number", "minimum" if key.zero else "exclusiveMinimum": 0},
            {"type": "string", "pattern": PATTERN},
        ]
    },
    fields.COUNT: lambda key: {"type": "integer", "minimum": 1},
    fields.TEXTS: lambda key: _list(key, _words(key)),
    fields.ONE: lambda key: _shape(key.shape),
    fields.MANY: lambda key: _list(key, _shape(key.shape)),
}
