# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of a database of SQLite, read through an engine."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from functools import cached_property

from ..._core.errors import ErrorKind, RecoveryError
from .engine import Bound, Engine, StatementResult
from .exact import MOST_COLUMNS
from .statements import solid_tokens, split_statements

#: Names that SQLite and D1 keep for themselves.
_OWN = re.compile(r"(sqlite_|_cf_)", re.IGNORECASE)

_ROWIDS = ("rowid", "_rowid_", "oid")
_TABLES_AT_ONCE = 50


@dataclass(frozen=True)
class Column:
    """hidden: 0 for a column, 1 for one that a virtual table hides, 2 and 3 for generated ones. pk: its place in it."""

    name: str
    type: str
    hidden: int
    pk: int


class ForeignKey(t.NamedTuple):
    """The columns of a table and those of its parent; without parent_columns its primary key is meant."""

    columns: t.Tuple[str, ...]
    parent: str
    parent_columns: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """kind: table, virtual or shadow. rowid is the name that its row numbers are asked by, None where it has none.

    damage: why SQLite cannot open a virtual table. collations: how the primary key compares texts, where this may be
    otherwise than byte by byte.
    """

    name: str
    kind: str
    sql: str
    columns: t.Tuple[Column, ...]
    rowid: t.Optional[str]
    foreign_keys: t.Tuple[ForeignKey, ...] = ()
    damage: str = ""
    collations: t.Tuple[str, ...] = ()

    @cached_property
    def stored(self) -> t.Tuple[str, ...]:
        """The columns that hold what was put in, without those that are generated."""
        return tuple(column.name for column in self.columns if column.hidden == 0)

    @cached_property
    def is_numbered(self) -> bool:
        """Whether its rows have a number that no column holds."""
        names = self.key_names
        types = [column.type.upper() for column in self.columns if column.pk]
        return self.rowid is not None and not (
            len(names) == 1 and types == ["INTEGER"] and not _is_descending(self.sql)
        )

    @cached_property
    def key_names(self) -> t.Tuple[str, ...]:
        """The columns of the primary key in their order."""
        ordered = sorted((column for column in self.columns if column.pk), key=lambda column: column.pk)
        return tuple(column.name for column in ordered)

    @cached_property
    def collates(self) -> bool:
        """Whether some column may compare texts otherwise than byte by byte."""
        return "collate" in self.sql.lower()

    @cached_property
    def keys(self) -> t.Tuple[str, ...]:
        """The order of its rows: the row number or the primary key, as SQL.

        Texts are compared byte by byte, so rows differ even if a collation of the columns treats them as equal.
        """
        if self.rowid is not None:
            return (self.rowid,)
        exactly = " COLLATE BINARY" if self.collates else ""
        return tuple(f"{quoted(name)}{exactly}" for name in self.key_names)

    @cached_property
    def order(self) -> t.Tuple[str, ...]:
        """The keys as the table itself sorts them, so that no page is sorted again."""
        if not self.collations:
            return self.keys
        return tuple(f"{quoted(name)} COLLATE {rule}" for name, rule in zip(self.key_names, self.collations))


@dataclass(frozen=True)
class Schema:
    """tables are in the order in which they were made.

    definitions are kind, name and SQL of whatever has some, but for shadow tables, which virtual ones make. reserved
    are tables with a name that D1 keeps for itself, which no set holds.
    """

    tables: t.Tuple[Table, ...]
    has_sequence: bool
    definitions: t.Tuple[t.Tuple[str, str, str], ...] = ()
    reserved: t.Tuple[str, ...] = ()

    def of_kind(self, kind: str) -> t.List[Table]:
        return [table for table in self.tables if table.kind == kind]

    def table(self, name: str) -> t.Optional[Table]:
        """A table by its name in any case."""
        return next((table for table in self.tables if table.name.lower() == name.lower()), None)

    def statements(self, kind: str) -> t.List[str]:
        """The definitions of a kind: index, trigger or view."""
        return [sql for one, _name, sql in self.definitions if one == kind]

    def names(self, kind: str) -> t.List[str]:
        return [name for one, name, _sql in self.definitions if one == kind]


def _is_descending(sql: str) -> bool:
    """Whether a column is INTEGER PRIMARY KEY DESC, which by a quirk of SQLite is no name of the row number."""
    upper = [token.text.upper() for token in solid_tokens(sql)]
    return any(upper[place : place + 3] == ["PRIMARY", "KEY", "DESC"] for place in range(len(upper)))


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def is_own(name: str) -> bool:
    """Whether SQLite or D1 made it for itself."""
    return _OWN.match(name) is not None


def written_names(table: Table) -> t.List[str]:
    """The columns of INSERT, as SQL. If no column holds the row number, it is added, because rows may refer to it."""
    return [*([table.rowid] if table.is_numbered and table.rowid else []), *map(quoted, table.stored)]


def written_values(table: Table, key: t.Sequence[t.Any], values: t.Sequence[t.Any]) -> t.List[t.Any]:
    """The values for written_names."""
    return [*key, *values] if table.is_numbered else list(values)


def insert_head(table: Table, verb: str = "INSERT") -> str:
    """The statement that writes a row, up to its values."""
    return f"{verb} INTO {quoted(table.name)}({', '.join(written_names(table))}) VALUES"


def read_schema(engine: Engine) -> Schema:
    """Raises those of the engine."""
    objects, listed = engine.run(
        [
            Bound("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid", reads_only=True),
            Bound("PRAGMA table_list", reads_only=True),
        ]
    )
    at = {name: place for place, name in enumerate(listed.columns)}
    kinds = {
        row[at["name"]]: (row[at["type"]], bool(row[at["wr"]])) for row in listed.rows if row[at["schema"]] == "main"
    }
    found = [(str(kind), str(name), sql) for kind, name, sql in objects.rows]
    for kind, name, sql in found:
        _require_one_definition(engine.location, kind, name, sql)
    names = [(name, str(sql)) for kind, name, sql in found if kind == "table" and not is_own(name)]
    tables: t.List[Table] = []
    for start in range(0, len(names), _TABLES_AT_ONCE):
        some = [(name, sql, *kinds.get(name, ("table", False))) for name, sql in names[start : start + _TABLES_AT_ONCE]]
        tables += _described(engine, some)
    return Schema(
        tuple(tables),
        any(name == "sqlite_sequence" for _kind, name, _sql in found),
        tuple(
            (kind, name, str(sql))
            for kind, name, sql in found
            if sql and not is_own(name) and kinds.get(name, ("", False))[0] != "shadow"
        ),
        tuple(name for kind, name, _sql in found if kind == "table" and name.lower().startswith("_cf_")),
    )


def _described(engine: Engine, some: t.Sequence[t.Tuple[str, str, str, bool]]) -> t.Iterator[Table]:
    """Tables by name, SQL, kind, and whether they have no row number."""
    asked = [_questions(name) for name, _sql, _kind, _without in some]
    try:
        answers = engine.run([question for questions in asked for question in questions])
    except RecoveryError as error:
        if error.kind != ErrorKind.QUERY_FAILED or "virtual" not in [kind for _name, _sql, kind, _without in some]:
            raise
        # The index of a virtual table may be damaged, or its module may be missing: the other tables stay readable.
        if len(some) == 1:
            ((name, sql, kind, _without),) = some
            yield Table(name, kind, sql, (), "rowid", damage=error.what)
        for one in some if len(some) > 1 else ():
            yield from _described(engine, [one])
        return
    for place, (name, sql, kind, without_rowid) in enumerate(some):
        columns = tuple(
            Column(str(row["name"]), str(row["type"]), int(row["hidden"]), int(row["pk"]))
            for row in _dictionaries(answers[2 * place])
        )
        keys = tuple(_foreign_keys(_dictionaries(answers[2 * place + 1])))
        table = Table(name, kind, sql, columns, None if without_rowid else _rowid(columns), keys)
        if without_rowid and table.collates:
            table = replace(table, collations=_collations(engine, table))
        yield table


def _collations(engine: Engine, table: Table) -> t.Tuple[str, ...]:
    (indexes,) = engine.run([Bound(f"PRAGMA index_list({quoted(table.name)})", reads_only=True)])
    for index in _dictionaries(indexes):
        if index["origin"] == "pk":
            (answer,) = engine.run([Bound(f"PRAGMA index_xinfo({quoted(str(index['name']))})", reads_only=True)])
            found = {str(part["name"]): str(part["coll"]) for part in _dictionaries(answer) if part["key"]}
            if all(name in found for name in table.key_names):
                return tuple(quoted(found[name]) for name in table.key_names)
    return ()


def _questions(name: str) -> t.Tuple[Bound, Bound]:
    return (
        Bound(f"PRAGMA table_xinfo({quoted(name)})", reads_only=True),
        Bound(f"PRAGMA foreign_key_list({quoted(name)})", reads_only=True),
    )


def _dictionaries(answer: StatementResult) -> t.List[t.Dict[str, t.Any]]:
    return [dict(zip(answer.columns, row)) for row in answer.rows]


def _foreign_keys(rows: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[ForeignKey]:
    parts: t.Dict[int, t.List[t.Mapping[str, t.Any]]] = {}
    for row in rows:
        parts.setdefault(int(row["id"]), []).append(row)
    for _number, key in sorted(parts.items(), reverse=True):
        key.sort(key=lambda part: int(part["seq"]))
        given = tuple(str(part["to"]) for part in key if part["to"] is not None)
        yield ForeignKey(tuple(str(part["from"]) for part in key), str(key[0]["table"]), given)


def _require_one_definition(location: str, kind: str, name: str, sql: t.Any) -> None:
    """Raise RecoveryError(damaged) unless a definition is one CREATE statement, which backups and restores run again.

    SQLite reads only the first statement of what an owner of a file put into sqlite_schema.
    """
    try:
        statements = [statement.word for statement in split_statements(sql)] if sql is not None else ["CREATE"]
    except (RecoveryError, TypeError):
        statements = []
    if statements != ["CREATE"]:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The definition of the {kind} {name!r} of {location} is not one CREATE statement.",
            next_step="Check which program wrote the database, and drop or replace this definition.",
        )


def column_groups(table: Table) -> t.List[t.Tuple[str, ...]]:
    """The stored columns in groups that one statement of D1 can give beside the keys and the types of all."""
    most = MOST_COLUMNS - 2 * len(table.keys) - 4
    return [table.stored[start : start + most] for start in range(0, len(table.stored), most)] or [()]


def _rowid(columns: t.Sequence[Column]) -> t.Optional[str]:
    taken = {column.name.lower() for column in columns}
    key = [column for column in columns if column.pk]
    free = next((name for name in _ROWIDS if name not in taken), None)
    if free is None and len(key) == 1 and key[0].type.upper() == "INTEGER":
        return quoted(key[0].name)
    return free
