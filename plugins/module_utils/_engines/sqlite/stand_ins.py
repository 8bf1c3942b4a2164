# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-ins during a load: for missing parents of foreign keys, and for tables that this host's SQLite cannot create.

D1 loads with foreign keys on. SQLite refuses to write a row of a table whose foreign key names a table that does not
exist, or columns without a unique index, also where the row refers to nothing.
https://www.sqlite.org/foreignkeys.html#fk_indexes
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .engine import Bound, Engine
from .schema import ForeignKey, Schema, Table, quoted
from .statements import solid_tokens, tokens

_INDEX = "lifeline_recovery_parent_"
_TYPE = re.compile(r"[A-Za-z0-9_]+(?: [A-Za-z0-9_]+)*(?: ?\([0-9, ]*\))?")


@dataclass(frozen=True)
class Parents:
    """Statements that make parents for foreign keys, and remove them after the rows.

    notices: sentences on what they do; refused: sentences on parents that nothing can stand in for.
    """

    made: t.Tuple[str, ...] = ()
    removed: t.Tuple[str, ...] = ()
    notices: t.Tuple[str, ...] = ()
    refused: t.Tuple[str, ...] = ()


def missing_parents(engine: Engine, schema: Schema) -> Parents:
    """The missing parents of the foreign keys of a database. Raises those of the engine."""
    made: t.List[str] = []
    removed: t.List[str] = []
    notices: t.List[str] = []
    refused: t.List[str] = []
    absent: t.Dict[str, t.List[t.Tuple[Table, ForeignKey]]] = {}
    keyless: t.Dict[t.Tuple[str, t.Tuple[str, ...]], t.Tuple[Table, Table, ForeignKey]] = {}
    for table in schema.of_kind("table"):
        for key in table.foreign_keys:
            parent = schema.table(key.parent)
            if parent is None or parent.kind != "table":
                absent.setdefault(key.parent.lower(), []).append((table, key))
            elif not _is_primary(parent, key):
                columns = tuple(sorted(name.lower() for name in key.parent_columns))
                keyless.setdefault((parent.name, columns), (table, parent, key))
    for children in absent.values():
        child, key = children[0]
        notices.append(
            f"{child.name} refers to the table {key.parent}, which does not exist: a restore into D1 makes an empty"
            f" table {key.parent} during the import and drops it again."
        )
        if schema.table(key.parent) is None:
            made.append(_parent_table(key.parent, [key for _child, key in children]))
            removed.append(f"DROP TABLE {quoted(key.parent)}")
    for number, (child, parent, key) in enumerate(keyless.values()):
        if _is_unique(engine, parent, key):
            continue
        notice = f"{child.name} refers to {', '.join(key.parent_columns) or 'the primary key'} of {parent.name},"
        if not _can_be_unique(engine, parent, key):
            refused.append(f"{notice} which is not unique.")
            continue
        notices.append(
            f"{notice} which has no unique index: a restore into D1 makes one during the import and drops it again."
        )
        name, listed = quoted(f"{_INDEX}{number}"), ", ".join(map(quoted, key.parent_columns))
        made.append(f"CREATE UNIQUE INDEX {name} ON {quoted(parent.name)}({listed})")
        removed.append(f"DROP INDEX {name}")
    return Parents(tuple(made), tuple(removed), tuple(notices), tuple(refused))


def is_plain_unique(sql: str) -> bool:
    """Whether an index is unique over whole columns of all rows, as a foreign key needs it."""
    solid = solid_tokens(sql)
    upper = [token.text.upper() for token in solid]
    if upper[1:2] != ["UNIQUE"]:
        return False
    opened = upper.index("(") if "(" in upper else len(upper)
    return all(token.kind in ("word", "quoted") or token.text in ",)" for token in solid[opened + 1 :]) and (
        "WHERE" not in upper[opened:]
    )


def stand_in(table: Table) -> str:
    """A table that holds the rows of another one: the same columns, keys and types, without any other rule."""
    alias = table.key_names if table.kind == "table" and table.rowid and not table.is_numbered else ()
    upper = [token.text.upper() for token in tokens(table.sql) if token.kind in ("word", "other")]
    after = upper[len(upper) - upper[::-1].index(")") :] if ")" in upper else []
    strict = table.kind == "table" and "STRICT" in after
    counts = " AUTOINCREMENT" if "AUTOINCREMENT" in upper else ""
    types = {column.name: column.type for column in table.columns}
    parts = [
        quoted(name) + (f" INTEGER PRIMARY KEY{counts}" if name in alias else f" {_type(types[name])}".rstrip())
        for name in table.stored
    ]
    quirk = table.is_numbered and [types[name].upper() for name in table.key_names] == ["INTEGER"]
    if quirk:
        # As a rule of the table it would be a name of the row number.
        ends = ["" if name not in table.key_names else " PRIMARY KEY DESC" for name in table.stored]
        parts = [part + end for part, end in zip(parts, ends)]
    elif table.key_names and not alias:
        parts.append(f"PRIMARY KEY({', '.join(map(quoted, table.key_names))})")
    for key in table.foreign_keys:
        if set(key.columns) <= set(table.stored):
            parts.append(f"FOREIGN KEY({', '.join(map(quoted, key.columns))}) REFERENCES {_parent(key)}")
    options = [*(["STRICT"] if strict else []), *([] if table.rowid else ["WITHOUT ROWID"])]
    return f"CREATE TABLE {quoted(table.name)}({', '.join(parts)}) {', '.join(options)}".rstrip()


def _parent(key: ForeignKey) -> str:
    columns = f"({', '.join(map(quoted, key.parent_columns))})" if key.parent_columns else ""
    return f"{quoted(key.parent)}{columns}"


def _type(declared: str) -> str:
    """A declared type, or the one with its affinity where the text could be more than a type."""
    if not declared or _TYPE.fullmatch(declared):
        return declared
    upper = declared.upper()
    for affinity, signs in (("INTEGER", ("INT",)), ("TEXT", ("CHAR", "CLOB", "TEXT")), ("BLOB", ("BLOB",))):
        if any(sign in upper for sign in signs):
            return affinity
    return "REAL" if any(sign in upper for sign in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def _parent_table(name: str, keys: t.Iterable[ForeignKey]) -> str:
    columns: t.Dict[str, None] = {}
    rules: t.Dict[str, None] = {}
    for key in keys:
        implied = tuple(f"{_INDEX}{place}" for place in range(len(key.columns)))
        wanted = key.parent_columns or implied
        columns.update(dict.fromkeys(map(quoted, wanted)))
        rules[f"{'UNIQUE' if key.parent_columns else 'PRIMARY KEY'}({', '.join(map(quoted, wanted))})"] = None
    return f"CREATE TABLE {quoted(name)}({', '.join([*columns, *rules])})"


def _is_primary(parent: Table, key: ForeignKey) -> bool:
    if not key.parent_columns:
        return len(parent.key_names) == len(key.columns)
    return {name.lower() for name in key.parent_columns} == {name.lower() for name in parent.key_names}


def _is_unique(engine: Engine, parent: Table, key: ForeignKey) -> bool:
    """Whether a unique index of the parent is over the columns that a key names."""
    wanted = {name.lower() for name in key.parent_columns}
    (indexes,) = engine.run([Bound(f"PRAGMA index_list({quoted(parent.name)})", reads_only=True)])
    at = {name: place for place, name in enumerate(indexes.columns)}
    for row in indexes.rows:
        if not row[at["unique"]] or row[at["partial"]]:
            continue
        (answer,) = engine.run([Bound(f"PRAGMA index_info({quoted(str(row[at['name']]))})", reads_only=True)])
        place = answer.columns.index("name")
        if {str(part[place]).lower() for part in answer.rows} == wanted:
            return True
    return False


def _can_be_unique(engine: Engine, parent: Table, key: ForeignKey) -> bool:
    if not key.parent_columns or not {n.lower() for n in key.parent_columns} <= {n.lower() for n in parent.stored}:
        return False
    columns = [quoted(name) for name in key.parent_columns]
    some = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    listed = ", ".join(columns)
    query = f"SELECT 1 FROM {quoted(parent.name)} WHERE {some} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
    (answer,) = engine.run([Bound(query, reads_only=True)])
    return not answer.rows
