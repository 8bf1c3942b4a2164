# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a tenant: rows that name it, and rows that refer to these, at any depth.

A row that names another tenant belongs to that tenant, whatever the row refers to.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import option
from ...._repository.row_changes import MissingKeys
from ..engine import Bound, Engine
from ..exact import literal
from ..rows import Row, read_rows, row_digest
from ..schema import Schema, Table, quoted
from ..values import from_json
from .references import Reference, collations_of, names_of, table_of

#: A condition must leave room for the columns in a statement of D1.
_LONGEST_CONDITION = 40_000

#: The program of a statement of D1 has 25,000 steps at most, and each value takes one or two.
_MOST_VALUES = 6000

#: Rows that are asked for by key come by the hundred.
_FIRST_PAGE = 400

#: So many missing keys are named.
_NAMED = 10

Key = t.Tuple[t.Any, ...]

#: The digest of the values of each row by its key.
Rows = t.Dict[Key, bytes]


@dataclass(frozen=True)
class Tenant:
    """Whose rows are meant: rows of a table by their keys, and all rows that have such a key in one of the columns."""

    table: str
    keys: t.Sequence[t.Any] = field(metadata=option(shown=True))
    columns: t.Sequence[str] = ()


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


def identified_by_key(table: Table, *engines: Engine) -> Table:
    """The table with its rows identified by its primary key, if all rows have one.

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
    keys = checked_keys(root, names, tenant.keys)
    if tenant.columns and len(names) != 1:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"Columns cannot name a tenant whose key has {len(names)} parts.",
            next_step="Give references instead.",
        )
    stored = _stored_keys(engine, tables[root.name], names, keys)
    missing = missing_keys(engine, tables[root.name], names, keys)
    if missing is not None:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The set has no row of {root.name} with the key {missing.named[0]}.",
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


def checked_keys(table: Table, columns: t.Sequence[str], given: t.Sequence[t.Any]) -> t.List[Key]:
    """The keys as values. Raises RecoveryError(invalid_options) unless each has as many parts as columns."""
    keys = [tuple(map(from_json, key if isinstance(key, (list, tuple)) else [key])) for key in given]
    if any(isinstance(part, bool) for key in keys for part in key):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"A key of {table.name} is true or false, a boolean, which SQLite does not store.",
            next_step="Quote the key in YAML if it is a string.",
        )
    if not columns or not keys or any(len(key) != len(columns) for key in keys):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"Each key of {table.name} must have as many values as its primary key ({', '.join(columns) or 'none'}).",
            next_step="Give at least one key, as a list if the key has several columns.",
        )
    return keys


def missing_keys(
    engine: Engine, table: Table, columns: t.Sequence[str], keys: t.Sequence[Key]
) -> t.Optional[MissingKeys]:
    """The keys that no row has; None if each has one."""
    wanted = list(dict.fromkeys(keys))
    stored = _stored_keys(engine, table, columns, wanted)
    known = {tuple(map(str, key)) for key in stored}
    # Where the column ignores case, each key has a row that is written in another way.
    missing = [key for key in wanted if tuple(map(str, key)) not in known] if len(stored) < len(wanted) else []
    named = tuple(", ".join(map(repr, key)) for key in missing[:_NAMED])
    return MissingKeys(table.name, len(missing), len(wanted), named) if missing else None


def _stored_keys(engine: Engine, table: Table, columns: t.Sequence[str], keys: t.Sequence[Key]) -> t.List[Key]:
    positions = [table.stored.index(name) for name in columns]
    rows = find_rows(engine, table, columns, keys)
    return list(dict.fromkeys(tuple(values[place] for place in positions) for _key, values in rows))


def rows_of_tenant(
    engine: Engine,
    tables: t.Mapping[str, Table],
    references: t.Iterable[Reference],
    owner: Owner,
) -> t.Dict[str, Rows]:
    """The rows that name a tenant, and rows that refer to one of them and name no tenant. Raises as the engine."""
    starts = [
        (tables[name], find_rows(engine, tables[name], naming.columns, owner.keys, naming.collations))
        for name, namings in owner.names.items()
        if name in tables
        for naming in namings
    ]
    # Other rows of the table of tenants are other tenants.
    followed = [reference for reference in references if reference.child != owner.table]
    return with_children(engine, tables, followed, starts, lambda name: _names_no_tenant(owner.names.get(name, ())))


def with_children(
    engine: Engine,
    tables: t.Mapping[str, Table],
    references: t.Iterable[Reference],
    starts: t.Iterable[t.Tuple[Table, t.Iterable[t.Tuple[Row, Row]]]],
    condition: t.Callable[[str], str] = lambda _name: "",
) -> t.Dict[str, Rows]:
    """The rows of starts, and all that refer to one of them, however far; condition narrows the latter by table."""
    children: t.Dict[str, t.List[Reference]] = {}
    for reference in references:
        if reference.child in tables:
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

    for table, rows in starts:
        take(table, rows)
    while pending:
        waiting, pending = list(pending.items()), {}
        for reference, values in waiting:
            child = tables[reference.child]
            found_rows = find_rows(
                engine, child, reference.columns, list(values), reference.collations, condition(reference.child)
            )
            take(child, found_rows)
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


def _names_no_tenant(namings: t.Iterable[Naming]) -> str:
    return "".join(f" AND ({' OR '.join(f'{quoted(name)} IS NULL' for name in naming.columns)})" for naming in namings)


def _forms(value: Key) -> t.Iterator[Key]:
    """A column without a type holds a number as it was written: as a number, or as its digits."""
    yield value
    (part,) = value
    if isinstance(part, int):
        yield (str(part),)
    elif isinstance(part, str) and part.lstrip("-").isdigit() and str(int(part)) == part:
        yield (int(part),)
