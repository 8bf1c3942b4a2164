# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of YAML as constants of the types of columns."""

from __future__ import annotations

import json
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..server.catalog_columns import CatalogColumn
from ..server.confined import Session
from ..server.connection import fetch_value, quote_literal
from ..server.driver import psycopg2
from ..server.equality import output_text
from ..server.refusals import server_message

_JSON = ("json", "jsonb")


def constant(session: Session, column: CatalogColumn, value: t.Any) -> str:
    """A value as an expression that the input function of the type of the column reads.

    Raises RecoveryError(invalid_options) for a value that the type does not have.
    """
    if value is None:
        return f"NULL::{column.type}"
    text = _text(value, is_array=column.compared.category == "A", is_json=_is_json(session, column))
    if text is None or "\0" in text:
        raise invalid(f"`values` cannot hold {value!r} for the column {column.name} of the type {column.type}.")
    expression = f"{quote_literal(text)}::{column.type}"
    try:
        fetch_value(session, f"SELECT {output_text(expression)}")
    except psycopg2.Error as error:
        raise invalid(f"`values` has no value of the column {column.name}: {server_message(error)}.") from None
    return expression


def invalid(what: str, next_step: str = "Correct the options.") -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)


def _is_json(session: Session, column: CatalogColumn) -> bool:
    sql = "SELECT typname::text FROM pg_type WHERE oid = %s"
    return column.compared.built_in and fetch_value(session.raw, sql, (column.compared.oid,)) in _JSON


def _text(value: t.Any, *, is_array: bool, is_json: bool) -> t.Optional[str]:
    """The text of a value of YAML; None for a list or dictionary that the column cannot hold."""
    if is_json and not isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list) and is_array:
        items = [_element(item) for item in value]
        return None if None in items else f"{{{','.join(map(str, items))}}}"
    if isinstance(value, (list, dict)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _element(value: t.Any) -> t.Optional[str]:
    """An element of the text of an array."""
    if value is None:
        return "NULL"
    text = _text(value, is_array=True, is_json=False)
    if text is None or isinstance(value, list):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
