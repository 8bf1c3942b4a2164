# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables that match the patterns of a backup, by the rules of pg_dump.

https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-PATTERNS
"""

from __future__ import annotations

import re
import typing as t

from .dump import Selection


def is_dumped(selection: Selection, schema: str, name: str) -> bool:
    """Whether pg_dump writes the definition of a table, for which it locks the table."""
    if selection.include_schemas and not any(_is_schema(pattern, schema) for pattern in selection.include_schemas):
        return False
    return not (
        any(_is_schema(pattern, schema) for pattern in selection.exclude_schemas)
        or any(is_table(pattern, schema, name) for pattern in selection.exclude_tables)
    )


def has_rows_dumped(selection: Selection, schema: str, name: str) -> bool:
    """Whether pg_dump writes the rows of a table."""
    return is_dumped(selection, schema, name) and not any(
        is_table(pattern, schema, name) for pattern in selection.exclude_table_data
    )


def is_table(pattern: str, schema: str, name: str) -> bool:
    """Whether a pattern for tables is meant; one without a schema is taken for every schema."""
    *schemas, last = _expressions(pattern)
    return _matches(last, name) and (not schemas or _matches(schemas[-1], schema))


def _is_schema(pattern: str, schema: str) -> bool:
    return _matches(_expressions(pattern)[-1], schema)


def _matches(expression: str, name: str) -> bool:
    try:
        return re.fullmatch(expression, name, re.DOTALL) is not None
    except re.error:
        # pg_dump refuses such a pattern itself.
        return False


def _expressions(pattern: str) -> t.List[str]:
    """A regular expression for each part between dots. Quoted text is literal, other text is in lower case."""
    parts, quoted, position = [""], False, 0
    while position < len(pattern):
        letter = pattern[position]
        if letter == '"':
            if quoted and pattern[position + 1 : position + 2] == '"':
                parts[-1] += '"'
                position += 1
            else:
                quoted = not quoted
        elif quoted:
            parts[-1] += re.escape(letter)
        elif letter == ".":
            parts.append("")
        else:
            parts[-1] += {"*": ".*", "?": ".", "$": r"\$"}.get(letter, letter.lower())
        position += 1
    return parts
