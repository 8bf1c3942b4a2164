# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of the session that hold the chosen rows of a set. They end with the session, whatever ends that."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ..server.confined import Session, run
from ..server.connection import fetch_all, quote_identifier, quote_literal
from ..server.driver import psycopg2
from ..server.equality import equal
from ..server.landing import CopySource, land_rows, make_table
from ..server.names import QualifiedName
from ..server.refusals import server_message
from .columns import Matching
from .description import Rows, SetTable
from .lines import Wanted, copy_field, is_comparable, matching_lines
from .local import LocalObjects
from .scope import Keys
from .target_tables import TargetTable

#: From this number of keys on, having the server pick the rows is quicker than looking at each line.
_MOST_KEYS = 200_000

NUMBER, SUPPORT = quote_identifier("lifeline row"), quote_identifier("lifeline support")


@dataclass
class Staged:
    """One table: where it goes, its columns, and the session's tables with rows and keys.

    target_scope: conditions on the alias l; the live rows that exact may delete fulfil one of them.
    """

    number: int
    table: SetTable
    target: TargetTable
    matching: Matching
    target_scope: t.List[str] = field(default_factory=list)
    raw_is_complete: bool = False

    @property
    def rows(self) -> str:
        return f'pg_temp."lifeline rows {self.number}"'

    @property
    def raw(self) -> str:
        return f'pg_temp."lifeline raw {self.number}"'

    @property
    def keys(self) -> str:
        return f'pg_temp."lifeline keys {self.number}"'

    @property
    def changes(self) -> str:
        return f'pg_temp."lifeline changes {self.number}"'

    @property
    def columns(self) -> t.List[str]:
        """The live columns that the set knows, quoted."""
        return [column.quoted for _name, column in self.matching.pairs]

    @property
    def native_columns(self) -> t.List[str]:
        """Those of columns whose statistics need no code of users."""
        return [column.quoted for _name, column in self.matching.pairs if column.native]

    @property
    def key_columns(self) -> t.Tuple[str, ...]:
        """The live key, or without one all columns."""
        return (
            self.target.key.columns if self.target.key else tuple(column.name for _name, column in self.matching.pairs)
        )

    def text(self, alias: str) -> str:
        """A whole row as one text, equal exactly when all its values are."""
        return f'ROW({", ".join(f"{alias}.{column}" for column in self.columns)})::text COLLATE "C"'

    def same_key(self, one: str, other: str) -> str:
        """A condition: both aliases show the row with the same key, or without a key the same row."""
        key = self.target.key
        if key is None:
            return f"{self.text(one)} = {self.text(other)}"
        pairs = zip(key.columns, key.operators)
        return " AND ".join(
            f"{one}.{quote_identifier(name)} {operator} {other}.{quote_identifier(name)}" for name, operator in pairs
        )

    def refers(
        self,
        columns: t.Sequence[str],
        child: str,
        parent: str,
        parent_columns: t.Sequence[str],
        parent_table: t.Optional[TargetTable] = None,
    ) -> str:
        """A condition: the child's columns equal those of the parent, by default of the same table; live names."""
        return equal_columns(self.target, columns, child, parent_table or self.target, parent_columns, parent)


def equal_columns(
    one: TargetTable,
    columns: t.Sequence[str],
    alias: str,
    other: TargetTable,
    others: t.Sequence[str],
    other_alias: str,
    *,
    renamed: t.Optional[t.Sequence[str]] = None,
) -> str:
    """A condition: the columns under one alias equal those under the other, whatever operators users have made.

    renamed: the names that the columns of the one have under its alias, where they are not those of its table.
    """
    pairs = []
    for mine, theirs, shown in zip(columns, others, renamed or columns):
        types = [table.require_column(name).compared for table, name in ((one, mine), (other, theirs))]
        sides = [f"{alias}.{quote_identifier(shown)}", f"{other_alias}.{quote_identifier(theirs)}"]
        pairs.append(equal(sides[0], types[0], sides[1], types[1]))
    return " AND ".join(pairs)


def prepare(conn: Session, staged: Staged) -> None:
    """Make the table for rows, with the live types, so that what the set holds is read as these."""
    columns = [f"l.{column}" for column in staged.columns]
    columns += [f'NULL::text AS "lifeline gone {number}"' for number, _name in enumerate(staged.matching.gone)]
    for relation in (staged.rows, staged.raw):
        listed = f"{', '.join(columns) + ',' if columns else ''} false AS {SUPPORT}"
        make_table(conn, relation, f"SELECT {listed} FROM {staged.target.source} l")
        run(
            conn.raw,
            f"ALTER TABLE {relation} ALTER {SUPPORT} SET DEFAULT false, "
            f"ADD {NUMBER} bigint GENERATED BY DEFAULT AS IDENTITY",
        )


def analyze(conn: Session, relation: str, columns: t.Iterable[str]) -> None:
    """Statistics of some columns. Statistics of a user's range type run the user's function."""
    listed = ", ".join(columns)
    if listed:
        run(conn.raw, f"ANALYZE {relation} ({listed})")


def require_condition(conn: Session, staged: Staged, condition: str) -> None:
    """Raise RecoveryError(invalid_options) when PostgreSQL does not understand the condition."""
    try:
        fetch_all(
            conn, f"EXPLAIN SELECT FROM {staged.rows} AS {quote_identifier(staged.table.name.name)} WHERE ({condition})"
        )
    except psycopg2.Error as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"PostgreSQL does not understand the condition for {staged.table.name}: {server_message(error)}.",
            next_step="Write it with the columns of that table alone, as after WHERE.",
        ) from None


def load_keys(conn: Session, staged: Staged, keys: Keys) -> t.Tuple[str, ...]:
    """Put keys that people gave into the table for keys; the live columns that they are values of."""
    columns = keys.columns or (staged.target.key.columns if staged.target.key else ())
    types = [staged.target.column(name) for name in columns]
    if not columns or None in types or len(columns) != len(keys.values[0]):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The keys of {staged.table.name} have {len(keys.values[0])} parts, "
            f"its key is ({', '.join(columns) or 'none'}).",
            next_step="Name columns of the live table and give one value for each.",
        )
    _make_keys(conn, staged, columns)
    try:
        with conn.cursor() as cursor:
            # A constant is read by its type's input function; a cast of a text may be the user's own.
            rows = (
                ", ".join(f"{quote_literal(part)}::{column.type}" for part, column in zip(key, types) if column)
                for key in keys.values
            )
            cursor.execute(f"INSERT INTO {staged.keys} VALUES {', '.join(f'({row})' for row in rows)}")
    except psycopg2.Error as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"A key of {staged.table.name} is no value of its column: {server_message(error)}.",
            next_step="Correct `keys`.",
        ) from None
    return columns


def load_stored_keys(conn: Session, staged: Staged, objects: LocalObjects, keys: Rows) -> t.Tuple[str, ...]:
    """Put the keys that an undo set is about into the table for keys; the live columns that they are values of."""
    columns = tuple(staged.matching.target_name(name) or name for name in keys.columns)
    _make_keys(conn, staged, columns)
    copy_rows(conn, staged.table.name, staged.target, staged.keys, columns, objects.lines(keys))
    return columns


def load_all(conn: Session, staged: Staged, objects: t.Optional[LocalObjects]) -> None:
    """Choose every row that the set has of the table; where objects is None, here and below, the live table."""
    _load(conn, staged, objects, staged.rows, None)


def load_raw(conn: Session, staged: Staged, objects: t.Optional[LocalObjects]) -> None:
    """Load every row, for the server to choose from."""
    if not staged.raw_is_complete:
        run(conn, f"TRUNCATE {staged.raw}")
        _load(conn, staged, objects, staged.raw, None)
        analyze(conn, staged.raw, staged.native_columns)
        staged.raw_is_complete = True


def load_matching(
    conn: Session,
    staged: Staged,
    objects: t.Optional[LocalObjects],
    wanted: t.Sequence[t.Tuple[t.Tuple[str, ...], str, str]],
    *,
    support: bool = False,
) -> int:
    """Choose the rows of which some columns are among values; how many were not chosen before.

    wanted: (live columns, a query of their values, the same condition on the alias r). Lines are looked at
    here where texts can be compared, and else all rows are loaded for the server to choose from.
    """
    condition = " OR ".join(f"({condition})" for _columns, _query, condition in wanted)
    if objects is None and staged.target.key is not None:
        run(conn, f"TRUNCATE {staged.raw}")
        _copy_target(conn, staged, staged.raw, f"{staged.target.source} r", condition)
        return choose(conn, staged, "true", support=support)
    # Without a key, rows are identified by their position among all rows.
    fetched = None if staged.raw_is_complete or staged.target.key is None else _filters(conn, staged, wanted)
    if fetched is None:
        load_raw(conn, staged, objects)
    else:
        run(conn, f"TRUNCATE {staged.raw}")
        _load(conn, staged, objects, staged.raw, fetched)
    return choose(
        conn, staged, " OR ".join(f"({condition})" for _columns, _query, condition in wanted), support=support
    )


def choose(conn: Session, staged: Staged, condition: str, *, support: bool = False) -> int:
    """Take the raw rows, alias r, that fulfil the condition and were not taken before; their number."""
    columns = "".join(f"{column}, " for column in staged.columns)
    listed = "".join(f"r.{column}, " for column in staged.columns)
    same = staged.same_key("x", "r") if staged.target.key else f"x.{NUMBER} = r.{NUMBER}"
    with conn.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {staged.rows} ({columns}{NUMBER}, {SUPPORT}) "
            f"SELECT {listed}r.{NUMBER}, {'true' if support else 'false'} FROM {staged.raw} r "
            f"WHERE ({condition}) AND NOT EXISTS (SELECT FROM {staged.rows} x WHERE {same})"
        )
        return int(cursor.rowcount)


def load_where(conn: Session, staged: Staged, objects: t.Optional[LocalObjects], condition: str) -> int:
    """Choose by a condition in the words of a person, in which the table has its own name."""
    alias = quote_identifier(staged.table.name.name)
    if objects is None and staged.target.key is not None:
        run(conn, f"TRUNCATE {staged.raw}")
        _copy_target(conn, staged, staged.raw, f"{staged.target.source} AS {alias}", condition)
        return choose(conn, staged, "true")
    load_raw(conn, staged, objects)
    numbers = f"SELECT {alias}.{NUMBER} FROM {staged.raw} AS {alias} WHERE ({condition})"
    return choose(conn, staged, f"r.{NUMBER} IN ({numbers})")


def _make_keys(conn: Session, staged: Staged, columns: t.Sequence[str]) -> None:
    listed = ", ".join(f"l.{quote_identifier(name)}" for name in columns)
    make_table(conn, staged.keys, f"SELECT {listed} FROM {staged.target.source} l")


def _filters(
    conn: Session, staged: Staged, wanted: t.Sequence[t.Tuple[t.Tuple[str, ...], str, str]]
) -> t.Optional[t.List[t.List[Wanted]]]:
    """The values to search for in the lines of each object; None if lines cannot be compared as text."""
    values = []
    for columns, query, _condition in wanted:
        for name in columns:
            column, stored = staged.target.column(name), staged.matching.set_name(name)
            if column is None or stored is None or not column.exact:
                return None
            if not is_comparable(staged.table.type_of(stored), column.type):
                return None
        texts = ", ".join(f"{quote_identifier(name)}::text" for name in columns)
        found = fetch_all(conn, f"SELECT DISTINCT {texts} FROM ({query}) v LIMIT {_MOST_KEYS + 1}")
        if len(found) > _MOST_KEYS:
            return None
        values.append(frozenset(tuple(copy_field(text) for text in row) for row in found if None not in row))
    return [
        [
            Wanted(tuple(rows.columns.index(staged.matching.set_name(name) or "") for name in columns), these)
            for (columns, _query, _condition), these in zip(wanted, values)
        ]
        for rows in staged.table.rows
    ]


def _load(
    conn: Session,
    staged: Staged,
    objects: t.Optional[LocalObjects],
    relation: str,
    filters: t.Optional[t.List[t.List[Wanted]]],
) -> None:
    if objects is None:
        _copy_target(conn, staged, relation, staged.target.source, "true")
        return
    positions = {name: f"lifeline gone {number}" for number, name in enumerate(staged.matching.gone)}
    for number, rows in enumerate(staged.table.rows):
        columns = [staged.matching.target_name(name) or positions[name] for name in rows.columns]
        lines = objects.lines(rows)
        chosen = lines if filters is None else matching_lines(lines, filters[number])
        copy_rows(conn, staged.table.name, staged.target, relation, columns, chosen)


def _copy_target(conn: Session, staged: Staged, relation: str, source: str, condition: str) -> None:
    columns = ", ".join(staged.columns)
    run(conn, f"INSERT INTO {relation} ({columns}) SELECT {columns} FROM {source} WHERE {condition}")


def copy_rows(
    conn: Session,
    name: QualifiedName,
    target: TargetTable,
    relation: str,
    columns: t.Sequence[str],
    lines: t.Iterator[bytes],
) -> int:
    """Bring lines of the set's table into a relation with columns of the live table, or texts; their number."""
    source = CopySource(lines)
    try:
        return land_rows(conn, target.source, relation, [(column, target.column(column)) for column in columns], source)
    except psycopg2.Error as error:
        if source.failure is not None:
            raise source.failure from None
        if error.pgcode is None:
            raise
        raise RecoveryError(
            ErrorKind.SCHEMA_DRIFT if error.pgcode[:2] in ("22", "23") else ErrorKind.RESTORE_FAILED,
            f"Rows of {name} no longer fit its columns: {server_message(error)}.",
            next_step="Restore into another schema with `into`, and convert them there.",
        ) from None
