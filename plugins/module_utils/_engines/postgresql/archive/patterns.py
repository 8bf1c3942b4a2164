# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables and schemas that match the patterns of a backup, by the rules of pg_dump.

https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-PATTERNS
"""

from __future__ import annotations

import re
import typing as t

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_WILD = re.compile(r"[*?|()\[\]{}+^\\]")


Match = t.Callable[[str, str], bool]


def table_matcher(pattern: str, path: t.Sequence[str], names: t.Collection[t.Tuple[str, str]]) -> Match:
    """Whether pg_dump applies a pattern for tables to a schema and name.

    A pattern without a schema applies to tables that are found without one: path lists the schemas of the search path,
    and names the tables of the database.
    """
    *schemas, last = _expressions(pattern)
    if schemas:
        return lambda schema, name: _matches(last, name) and _matches(schemas[-1], schema)

    def is_found(schema: str, name: str) -> bool:
        if not _matches(last, name):
            return False
        return next((place for place in path if (place, name) in names), None) == schema

    return is_found


def is_schema(pattern: str, schema: str) -> bool:
    """Whether pg_dump applies a pattern for schemas to a schema."""
    return _matches(_expressions(pattern)[-1], schema)


def is_name(pattern: str) -> bool:
    """Whether a pattern names one object: outside quotes it holds no letter with a meaning in patterns."""
    return _WILD.search(_QUOTED.sub("", pattern)) is None


def unquoted(pattern: str) -> t.Tuple[str, ...]:
    """The parts of a pattern that is a name, as the catalog spells them."""
    return tuple(re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in _expressions(pattern))


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
