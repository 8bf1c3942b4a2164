# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows that an operator requested: complete tables, rows that match a condition, or rows by key."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.statements import Reference
from ..server.names import QualifiedName, parse_qualified_name

_PIECE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|(?P<comment>--|/\*)|(?P<end>;)|(?P<open>\()|(?P<close>\))|.""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Keys:
    """Values of some columns, as texts; no columns mean those of the key of the table."""

    columns: t.Tuple[str, ...]
    values: t.Tuple[t.Tuple[str, ...], ...]


@dataclass(frozen=True)
class Root:
    """One requested table, with all its rows unless where or keys limit them."""

    table: QualifiedName
    where: t.Optional[str] = None
    keys: t.Optional[Keys] = None

    @property
    def is_complete(self) -> bool:
        return self.where is None and self.keys is None


def read_roots(
    tables: t.Sequence[str], where: t.Mapping[str, t.Any], keys: t.Mapping[str, t.Any]
) -> t.Tuple[Root, ...]:
    """The options tables, where and keys together; a table named by one of the latter need not be in the first.

    Raises RecoveryError(invalid_options).
    """
    conditions = {parse_qualified_name(name): _condition(name, text) for name, text in where.items()}
    values = {parse_qualified_name(name): _keys(name, given) for name, given in keys.items()}
    both = sorted(str(name) for name in set(conditions) & set(values))
    if both:
        raise _mistake(f"Rows of {', '.join(both)} are asked for by `where` and by `keys`.", "Use one of the two.")
    names = dict.fromkeys([*(parse_qualified_name(name) for name in tables), *conditions, *values])
    return tuple(Root(name, conditions.get(name), values.get(name)) for name in names)


def read_references(given: t.Sequence[t.Mapping[str, t.Any]]) -> t.Tuple[Reference, ...]:
    """The option references: table, columns, parent, parent_columns of each."""
    found = []
    for item in given:
        columns, parent_columns = tuple(item["columns"]), tuple(item["parent_columns"])
        if not columns or len(columns) != len(parent_columns):
            raise _mistake(
                f"A reference of {item['table']} has {len(columns)} columns for {len(parent_columns)} of its parent.",
                "Give as many columns as parent_columns, at least one.",
            )
        found.append(
            Reference(
                parse_qualified_name(item["table"]), columns, parse_qualified_name(item["parent"]), parent_columns
            )
        )
    return tuple(found)


def _condition(name: str, given: t.Any) -> str:
    text = str(given).strip()
    depth = 0
    for match in _PIECE.finditer(text):
        depth += bool(match["open"]) - bool(match["close"])
        if match["end"] or match["comment"] or depth < 0:
            break
    else:
        if text and not depth:
            return text
    raise _mistake(
        f"The condition for {name} is not one SQL expression: {text!r}.",
        "Write what would stand after WHERE, without semicolon or comment, with every parenthesis closed.",
    )


def _keys(name: str, given: t.Any) -> Keys:
    columns: t.Tuple[str, ...] = ()
    values = given
    if isinstance(given, t.Mapping):
        if set(given) != {"columns", "values"}:
            raise _mistake(f"The keys of {name} have the entries {', '.join(given)}.", "Give `columns` and `values`.")
        columns, values = tuple(given["columns"]), given["values"]
    if not isinstance(values, list) or not values:
        raise _mistake(f"The keys of {name} are not a list with at least one key.", "Give a list of keys.")
    rows = dict.fromkeys(
        tuple(_text(name, part) for part in (value if isinstance(value, list) else [value])) for value in values
    )
    if len({len(row) for row in rows}) != 1 or (columns and len(next(iter(rows))) != len(columns)):
        raise _mistake(f"The keys of {name} do not all have as many parts as columns.", "Give a list for each key.")
    return Keys(columns, tuple(rows))


def _text(name: str, part: t.Any) -> str:
    if part is None or isinstance(part, (t.Mapping, list)):
        raise _mistake(f"A key of {name} is {part!r}, which is no value.", "Give numbers or texts.")
    return str(part).lower() if isinstance(part, bool) else str(part)


def _mistake(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)
