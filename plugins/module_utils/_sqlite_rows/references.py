# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What refers to what in a database of SQLite: foreign keys, and what is told of columns that no key declares."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.engine import Bound, Engine
from .._sqlite.schema import Schema, Table, quoted

_TABLES_AT_ONCE = 50


@dataclass(frozen=True)
class Reference:
    """The columns of a child have the values of the columns of its parent, or NULL."""

    child: str
    columns: t.Tuple[str, ...]
    parent: str
    parent_columns: t.Tuple[str, ...]


def read_references(engine: Engine, schema: Schema) -> t.List[Reference]:
    """The foreign keys between tables of a database. Raises those of the engine."""
    tables = schema.of_kind("table")
    found: t.List[Reference] = []
    for start in range(0, len(tables), _TABLES_AT_ONCE):
        some = tables[start : start + _TABLES_AT_ONCE]
        answers = engine.run(
            [Bound(f"PRAGMA foreign_key_list({quoted(table.name)})", reads_only=True) for table in some]
        )
        for table, answer in zip(some, answers):
            found += _of_table(schema, table, [dict(zip(answer.columns, row)) for row in answer.rows])
    return list(dict.fromkeys(found))


def told_references(schema: Schema, told: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[Reference]:
    """References that no key declares: table, columns, parent, parent_columns of each.

    Raises RecoveryError(invalid_options) for a table or column that there is not.
    """
    found = []
    for item in told:
        columns, parent_columns = item["columns"], item["parent_columns"]
        if not columns or len(columns) != len(parent_columns):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"A reference of {item['table']} has {len(columns)} columns for {len(parent_columns)} of its parent.",
                next_step="Give as many columns as parent_columns, at least one.",
            )
        child, parent = table_of(schema, item["table"]), table_of(schema, item["parent"])
        found.append(Reference(child.name, names_of(child, columns), parent.name, names_of(parent, parent_columns)))
    return found


def table_of(schema: Schema, name: str) -> Table:
    """A table by its name in any case. Raises RecoveryError(invalid_options)."""
    found = next((table for table in schema.of_kind("table") if table.name.lower() == name.lower()), None)
    if found is None:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The set has no table {name}.",
            next_step="Check the name, or choose another set.",
        )
    return found


def names_of(table: Table, names: t.Sequence[str]) -> t.Tuple[str, ...]:
    """Stored columns by their names in any case. Raises RecoveryError(invalid_options)."""
    known = {name.lower(): name for name in table.stored}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The table {table.name} has no stored column {missing[0]}.",
            next_step="Check the name.",
        )
    return tuple(known[name.lower()] for name in names)


def _of_table(schema: Schema, table: Table, rows: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[Reference]:
    """SQLite takes any name for a parent, and judges it when rows are written; what is not there is no reference."""
    parents = {item.name.lower(): item for item in schema.of_kind("table")}
    keys: t.Dict[int, t.List[t.Mapping[str, t.Any]]] = {}
    for row in rows:
        keys.setdefault(int(row["id"]), []).append(row)
    for parts in keys.values():
        parent = parents.get(str(parts[0]["table"]).lower())
        if parent is None:
            continue
        parts.sort(key=lambda part: int(part["seq"]))
        theirs = [part["to"] for part in parts]
        if None in theirs:
            whole = sorted((column for column in parent.columns if column.pk), key=lambda column: column.pk)
            theirs = [column.name for column in whole]
        mine = [str(part["from"]) for part in parts]
        if len(mine) == len(theirs):
            yield Reference(
                table.name, names_of(table, mine), parent.name, names_of(parent, [str(name) for name in theirs])
            )
