# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges documents: whether they are JSON, and whether they match a JSON Schema."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from .._core.errors import ErrorKind, RecoveryError
from .content import Content, parse_content

try:
    import jsonschema
    import jsonschema.exceptions
    import referencing
except ImportError:
    jsonschema = None  # type: ignore[assignment]
    referencing = None  # type: ignore[assignment]

_LONGEST_PROBLEM = 300


class Verdict(t.NamedTuple):
    """content: of a text that is JSON. problem: why the document is not valid, as a clause; empty if it is."""

    content: t.Optional[Content]
    problem: str

    def without_value(self) -> Verdict:
        return self._replace(content=self.content and replace(self.content, value=None))


class Validator:
    """Judges documents by a JSON Schema; without one, a document has to be JSON.

    Raises RecoveryError: library_missing without jsonschema 4.18, invalid_options for a schema that is none.
    """

    def __init__(self, schema: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        self._validator: t.Any = None
        if not schema:
            return
        if referencing is None:
            raise RecoveryError(
                ErrorKind.LIBRARY_MISSING,
                "`json_schema` needs the Python library jsonschema, version 4.18 or newer, which is not installed.",
                next_step="Install it where this module runs: pip install 'jsonschema>=4.18'.",
            )
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.exceptions.SchemaError as error:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`json_schema` must be a JSON Schema: {error.message[:_LONGEST_PROBLEM]}."
            ) from None
        # An empty registry: a reference in the schema is never requested from the network.
        self._validator = kind(schema, registry=referencing.Registry())

    def judge(self, data: t.Union[bytes, str]) -> Verdict:
        try:
            content = parse_content(data)
        except ValueError as error:
            return Verdict(None, str(error))
        return Verdict(content, self._mismatch(data) if self._validator is not None else "")

    def _mismatch(self, data: t.Union[bytes, str]) -> str:
        try:
            found = jsonschema.exceptions.best_match(self._validator.iter_errors(json.loads(data)))
        except referencing.exceptions.Unresolvable as error:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`json_schema` refers to {error.ref!r}, which is not part of it.",
                next_step="Write the definition into the schema; references are not requested from the network.",
            ) from None
        except (ValueError, RecursionError):
            return "it cannot be compared with the schema"
        if found is None:
            return ""
        place = "/".join(map(str, found.absolute_path)) or "the document"
        return f"it does not match the schema at {place}: {found.message[:_LONGEST_PROBLEM]}"
