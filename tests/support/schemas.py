# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schemas of OpenAPI documents, held to the letter."""

from __future__ import annotations

import typing as t

import jsonschema

Schema = dict[str, t.Any]


def strict(schema: t.Any, *, all_of: bool = True, optional: t.Collection[str] = ()) -> t.Any:
    """A schema that takes no property that it does not name, and with all_of wants all of those."""
    if isinstance(schema, list):
        return [strict(item, all_of=all_of, optional=optional) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: strict(item, all_of=all_of, optional=optional) for name, item in value.items()}
        else:
            found[key] = strict(value, all_of=all_of, optional=optional)
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found["additionalProperties"] = False
        if all_of:
            found["required"] = sorted(set(schema["properties"]) - set(optional) | set(schema.get("required", ())))
    return found


def check(value: t.Any, schema: Schema) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def fields(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """The paths to all properties."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        if isinstance(value, dict):
            yield (*path, key)
        yield from fields(item, (*path, key))
