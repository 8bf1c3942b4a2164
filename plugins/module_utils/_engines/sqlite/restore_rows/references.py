# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The references in a database of SQLite: foreign keys, and references of options that no key declares."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..engine import Bound, Engine
from ..schema import Schema, Table, quoted


@dataclass(frozen=True)
class Reference:
    """The columns of a child have the values of the columns of its parent, or NULL; compared as the parent compares."""

    child: str
    columns: t.Tuple[str, ...]
    parent: str
    parent_columns: t.Tuple[str, ...]
    collations: t.Tuple[str, ...]


def read_references(engine: Engine, schema: Schema) -> t.List[Reference]:
    """The foreign keys between tables of a database. Raises those of the engine."""
    found = (item for table in schema.of_kind("table") for item in _of_table(engine, schema, table))
    return list(dict.fromkeys(found))


def collations_of(engine: Engine, table: Table, columns: t.Sequence[str]) -> t.Tuple[str, ...]:
    """How the columns compare texts, by the index that makes them unique; byte by byte where there is none."""
    bytewise = ("BINARY",) * len(columns)
    if not table.collates:
        return bytewise
    (indexes,) = engine.run([Bound(f"PRAGMA index_list({quoted(table.name)})", reads_only=True)])
    at = {name: place for place, name in enumerate(indexes.columns)}
    for row in indexes.rows:
        if not row[at["unique"]] or row[at["partial"]]:
            continue
        (answer,) = engine.run([Bound(f"PRAGMA index_xinfo({quoted(str(row[at['name']]))})", reads_only=True)])
        parts = [dict(zip(answer.columns, part)) for part in answer.rows]
        found = {str(part["name"]).lower(): str(part["coll"]) for part in parts if part["key"]}
        if set(found) == {column.lower() for column in columns}:
            return tuple(found[column.lower()] for column in columns)
    return bytewise


def undeclared_references(
    engine: Engine, schema: Schema, undeclared: t.Iterable[t.Mapping[str, t.Any]]
) -> t.List[Reference]:
    """References that no key declares: table, columns, parent, parent_columns of each.

    Raises RecoveryError(invalid_options) for a table or column that there is not.
    """
    found = []
    for item in undeclared:
        columns, parent_columns = item["columns"], item["parent_columns"]
        if not columns or len(columns) != len(parent_columns):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"A reference of {item['table']} has {len(columns)} columns for {len(parent_columns)} of its parent.",
                next_step="Give as many columns as parent_columns, at least one.",
            )
        child, parent = table_of(schema, item["table"]), table_of(schema, item["parent"])
        theirs = names_of(parent, parent_columns)
        compared = collations_of(engine, parent, theirs)
        found.append(Reference(child.name, names_of(child, columns), parent.name, theirs, compared))
    return found


def table_of(schema: Schema, name: str) -> Table:
    """A table by its name in any case. Raises RecoveryError(invalid_options)."""
    found = schema.table(name)
    if found is None or found.kind != "table":
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The set has no table {name}.",
            next_step="Check the name, or choose another set.",
        )
    return found


def names_of(table: Table, names: t.Sequence[str]) -> t.Tuple[str, ...]:
    """Columns by their names in any case. Raises RecoveryError(invalid_options)."""
    known = {column.name.lower(): column.name for column in table.columns if column.hidden != 1}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The table {table.name} has no column {missing[0]}.",
            next_step="Check the name.",
        )
    return tuple(known[name.lower()] for name in names)


def _of_table(engine: Engine, schema: Schema, table: Table) -> t.Iterator[Reference]:
    """SQLite takes any name for a parent, and judges it when rows are written; what is not there is no reference."""
    for key in table.foreign_keys:
        parent = schema.table(key.parent)
        if parent is None or parent.kind != "table":
            continue
        theirs = key.parent_columns or parent.key_names
        there = {column.name.lower() for column in parent.columns}
        if len(theirs) == len(key.columns) and {name.lower() for name in theirs} <= there:
            mine, columns = names_of(table, key.columns), names_of(parent, theirs)
            yield Reference(table.name, mine, parent.name, columns, collations_of(engine, parent, columns))
