# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows belong to a tenant: those that name it, and those that refer to one of these, however far.

A row that names somebody else belongs to them, whatever it refers to.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError
from .._sqlite.engine import Bound, Engine
from .._sqlite.exact import literal
from .._sqlite.rows import Row, read_rows, row_digest
from .._sqlite.schema import Schema, Table, quoted
from .._sqlite.values import from_json
from .references import Reference, collations_of, names_of, table_of

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


class Naming(t.NamedTuple):
    """Columns that hold the key of a tenant, and how they are compared."""

    columns: t.Tuple[str, ...]
    collations: t.Tuple[str, ...]


@dataclass(frozen=True)
class Owner:
    """A tenant as a set knows it: the keys as they are stored, and by table the columns that name tenants."""

    table: str
    keys: t.Tuple[Key, ...]
    names: t.Mapping[str, t.Sequence[Naming]]


def told_apart(table: Table, *engines: Engine) -> Table:
    """The table with its rows told apart by its primary key, as long as all rows have one.

    The number of a row is no identity: once a row is gone another may get it.
    """
    if not table.is_numbered or not table.key_names:
        return table
    keyed = replace(table, rowid=None)
    without = " OR ".join(f"{quoted(name)} IS NULL" for name in table.key_names)
    for engine in engines:
        (answer,) = engine.run([Bound(f"SELECT 1 FROM {quoted(table.name)} WHERE {without} LIMIT 1", reads_only=True)])
        if answer.rows:
            return table
    return keyed


def find_owner(
    engine: Engine,
    schema: Schema,
    tables: t.Mapping[str, Table],
    tenant: Tenant,
    references: t.Iterable[Reference],
) -> Owner:
    """Look a tenant up. Raises RecoveryError(invalid_options) for a wish that cannot be meant."""
    root = table_of(schema, tenant.table)
    names = root.key_names
    keys = [tuple(map(from_json, key if isinstance(key, list) else [key])) for key in tenant.keys]
    if any(isinstance(part, bool) for key in keys for part in key):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "A key is true or false, which no row has.",
            next_step="Quote it, if it is a text.",
        )
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
    places = [root.stored.index(name) for name in names]
    stored = {
        tuple(values[place] for place in places): None
        for _key, values in find_rows(engine, tables[root.name], names, keys)
    }
    if len(stored) < len(set(keys)):
        known = {tuple(map(str, key)) for key in stored}
        missing = [key for key in keys if tuple(map(str, key)) not in known] or keys
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The set has no row of {root.name} with the key {', '.join(map(repr, missing[0]))}.",
            next_step="Check the keys (YAML takes 007 for a number, and yes for true), or choose an earlier set.",
        )
    compared = collations_of(engine, root, names)
    found: t.Dict[str, t.Dict[Naming, None]] = {root.name: {Naming(names, compared): None}}
    for name in tenant.columns:
        holders = [table for table in schema.of_kind("table") if name.lower() in _names(table)]
        if not holders:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"No table of the set has a column {name}.", next_step="Check columns."
            )
        for table in holders:
            found.setdefault(table.name, {})[Naming(names_of(table, [name]), compared)] = None
    for reference in references:
        if reference.parent == root.name and reference.parent_columns == names and reference.child != root.name:
            found.setdefault(reference.child, {})[Naming(reference.columns, reference.collations)] = None
    return Owner(root.name, tuple(stored), {name: list(namings) for name, namings in found.items()})


def rows_that_belong(
    engine: Engine,
    tables: t.Mapping[str, Table],
    references: t.Iterable[Reference],
    owner: Owner,
) -> t.Dict[str, Rows]:
    """The rows that name a tenant, and those that refer to one of them and name nobody. Raises those of the engine."""
    children: t.Dict[str, t.List[Reference]] = {}
    for reference in references:
        # Other rows of the table of tenants are other tenants.
        if reference.child in tables and reference.child != owner.table:
            children.setdefault(reference.parent, []).append(reference)
    found: t.Dict[str, Rows] = {}
    pending: t.Dict[Reference, t.Dict[Key, None]] = {}

    def take(table: Table, rows: t.Iterable[t.Tuple[Row, Row]]) -> None:
        known = found.setdefault(table.name, {})
        for key, values in rows:
            if tuple(key) in known:
                continue
            known[tuple(key)] = row_digest(values)
            for reference in children.get(table.name, ()):
                value = values_of(table, values, reference.parent_columns)
                if value is not None:
                    pending.setdefault(reference, {})[value] = None

    for name, namings in owner.names.items():
        for naming in namings:
            if name in tables:
                take(tables[name], find_rows(engine, tables[name], naming.columns, owner.keys, naming.collations))
    while pending:
        waiting, pending = list(pending.items()), {}
        for reference, values in waiting:
            table = tables[reference.child]
            free = _names_nobody(owner.names.get(reference.child, ()))
            take(table, find_rows(engine, table, reference.columns, list(values), reference.collations, free))
    return found


def find_rows(
    engine: Engine,
    table: Table,
    columns: t.Sequence[str],
    values: t.Sequence[Key],
    collations: t.Sequence[str] = (),
    also: str = "",
) -> t.Iterator[t.Tuple[Row, Row]]:
    """Key and values of the rows whose columns have one of these values, as the table compares or by collations."""
    names = [quoted(name) for name in columns]
    if collations and (table.collates or set(collations) != {"BINARY"}):
        names = [f"{name} COLLATE {collation}" for name, collation in zip(names, collations)]
    types = {column.name: column.type.upper() for column in table.columns}
    if len(columns) == 1 and types.get(columns[0], "") in ("", "BLOB"):
        values = list(dict.fromkeys(form for value in values for form in _forms(value)))
    for condition in among(names, values):
        yield from read_rows(engine, table, f"{condition}{also}", first=_FIRST_PAGE)


def rows_by_key(engine: Engine, table: Table, keys: t.Sequence[Key]) -> t.Iterator[t.Tuple[Row, Row]]:
    """Key and values of the rows with these keys, as many as there are."""
    for condition in among(table.keys, keys):
        yield from read_rows(engine, table, condition, first=_FIRST_PAGE)


def digests(rows: t.Iterable[t.Tuple[Row, Row]]) -> Rows:
    """The digest of each row by its key."""
    return {tuple(key): row_digest(values) for key, values in rows}


def values_of(table: Table, values: Row, columns: t.Iterable[str]) -> t.Optional[Key]:
    """The values of some columns, None when one of them is NULL, which refers to nothing.

    Raises RecoveryError(unsupported) for a column that is computed.
    """
    try:
        picked = tuple(values[table.stored.index(name)] for name in columns)
    except ValueError:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"Rows refer to a computed column of {table.name}, which is not followed.",
            next_step="Restore the set into a new database, and bring the rows over by hand.",
        ) from None
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


def _names(table: Table) -> t.Set[str]:
    return {column.name.lower() for column in table.columns if column.hidden != 1}


def _names_nobody(namings: t.Iterable[Naming]) -> str:
    return "".join(f" AND ({' OR '.join(f'{quoted(name)} IS NULL' for name in naming.columns)})" for naming in namings)


def _forms(value: Key) -> t.Iterator[Key]:
    """A column without a type holds a number as it was written: as a number, or as its digits."""
    yield value
    (part,) = value
    if isinstance(part, int):
        yield (str(part),)
    elif isinstance(part, str) and part.lstrip("-").isdigit() and str(int(part)) == part:
        yield (int(part),)
