# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows belong to a tenant: those that name it, and those that refer to one of these, however far."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.engine import Bound, Engine
from .._sqlite.exact import literal
from .._sqlite.rows import Row, read_rows, row_digest
from .._sqlite.schema import Schema, Table, quoted
from .references import Reference, names_of, table_of

#: A condition must leave room for the columns in a statement of D1.
_LONGEST_CONDITION = 40_000

#: The program of a statement of D1 has 25,000 steps at most, and each value takes one or two.
_MOST_VALUES = 6000

#: Rows that are asked for by key come by the hundred.
_FIRST_PAGE = 400

Key = t.Tuple[t.Any, ...]

#: The digest of the values of each row by its key.
Rows = t.Dict[Key, bytes]


@dataclass(frozen=True)
class Tenant:
    """Whose rows are meant: rows of a table by their keys, and all rows that have such a key in one of the columns."""

    table: str
    keys: t.Sequence[t.Any]
    columns: t.Sequence[str] = ()
    references: t.Sequence[t.Mapping[str, t.Any]] = ()


class Condition(t.NamedTuple):
    """Rows of a table whose columns have one of these values."""

    table: str
    columns: t.Tuple[str, ...]
    values: t.Sequence[Key]


def told_apart(table: Table, *engines: Engine) -> Table:
    """The table with its rows told apart by its primary key, as long as all rows have one.

    The number of a row is no identity: once a row is gone another may get it.
    """
    if not table.is_numbered or not any(column.pk for column in table.columns):
        return table
    keyed = replace(table, rowid=None)
    without = " OR ".join(f"{name} IS NULL" for name in keyed.keys)
    for engine in engines:
        (answer,) = engine.run([Bound(f"SELECT 1 FROM {quoted(table.name)} WHERE {without} LIMIT 1", reads_only=True)])
        if answer.rows:
            return table
    return keyed


def conditions_of(tenant: Tenant, schema: Schema) -> t.List[Condition]:
    """What finds the rows that name a tenant. Raises RecoveryError(invalid_options)."""
    root = table_of(schema, tenant.table)
    whole = sorted((column for column in root.columns if column.pk), key=lambda column: column.pk)
    names = tuple(column.name for column in whole)
    keys = [tuple(key) if isinstance(key, list) else (key,) for key in tenant.keys]
    if not names or not keys or any(len(key) != len(names) for key in keys):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The keys of {root.name} have to be as many values as its primary key ({', '.join(names) or 'none'}).",
            next_step="Give at least one key, as a list where it has several parts.",
        )
    if tenant.columns and len(names) != 1:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"Columns cannot name a tenant whose key has {len(names)} parts.",
            next_step="Give references instead.",
        )
    found = [Condition(root.name, names, keys)]
    for name in tenant.columns:
        holders = [table for table in schema.of_kind("table") if name.lower() in map(str.lower, table.stored)]
        if not holders:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"No table of the set has a column {name}.", next_step="Check columns."
            )
        found += [Condition(table.name, names_of(table, [name]), keys) for table in holders]
    return found


def rows_that_belong(
    engine: Engine,
    tables: t.Mapping[str, Table],
    references: t.Iterable[Reference],
    conditions: t.Iterable[Condition],
    noted: t.Callable[[int], None],
) -> t.Dict[str, Rows]:
    """The rows that the conditions find, and those that refer to one of them. Raises those of the engine."""
    children: t.Dict[str, t.List[Reference]] = {}
    for reference in references:
        if reference.child in tables:
            children.setdefault(reference.parent, []).append(reference)
    found: t.Dict[str, Rows] = {}
    waiting = [item for item in conditions if item.table in tables]
    while waiting:
        pending: t.Dict[Reference, t.Dict[Key, None]] = {}
        for condition in waiting:
            table = tables[condition.table]
            known = found.setdefault(table.name, {})
            for key, values in find_rows(engine, table, condition.columns, condition.values):
                if tuple(key) in known:
                    continue
                known[tuple(key)] = row_digest(values)
                noted(1)
                for reference in children.get(table.name, ()):
                    value = values_of(table, values, reference.parent_columns)
                    if value is not None:
                        pending.setdefault(reference, {})[value] = None
        waiting = [Condition(item.child, item.columns, list(values)) for item, values in pending.items()]
    return found


def find_rows(
    engine: Engine, table: Table, columns: t.Sequence[str], values: t.Sequence[Key]
) -> t.Iterator[t.Tuple[Row, Row]]:
    """Key and values of the rows whose columns have one of these values."""
    for condition in among([quoted(name) for name in columns], values):
        yield from read_rows(engine, table, condition, first=_FIRST_PAGE)


def rows_by_key(engine: Engine, table: Table, keys: t.Sequence[Key]) -> t.Iterator[t.Tuple[Row, Row]]:
    """Key and values of the rows with these keys, as many as there are."""
    for condition in among(table.keys, keys):
        yield from read_rows(engine, table, condition, first=_FIRST_PAGE)


def values_of(table: Table, values: Row, columns: t.Iterable[str]) -> t.Optional[Key]:
    """The values of some columns, None when one of them is NULL, which refers to nothing."""
    picked = tuple(values[table.stored.index(name)] for name in columns)
    return None if None in picked else picked


def among(names: t.Sequence[str], values: t.Iterable[Key]) -> t.Iterator[str]:
    """Conditions, none too long, that together pick these values of the columns, which are given as SQL."""
    held: t.List[str] = []
    size = 0
    for value in values:
        text = literal(value[0]) if len(names) == 1 else f"({','.join(map(literal, value))})"
        full = size + len(text.encode()) > _LONGEST_CONDITION or (len(held) + 1) * len(names) > _MOST_VALUES
        if held and full:
            yield _among(names, held)
            held, size = [], 0
        held.append(text)
        size += len(text.encode()) + 1
    if held:
        yield _among(names, held)


def _among(names: t.Sequence[str], held: t.Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} IN ({','.join(held)})"
    return f"({', '.join(names)}) IN (VALUES {','.join(held)})"
