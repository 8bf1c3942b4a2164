# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual tables: which can be made again, how, and with which settings."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

from ..._core.errors import ErrorKind, RecoveryError
from .engine import Bound, Engine
from .exact import decode_row, exact_columns, literal
from .schema import Column, Schema, Table, quoted
from .statements import solid_tokens, tokens, unquoted

_USING = re.compile(
    r"CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+(?P<module>\w+)\s*(?:\((?P<arguments>.*)\)\s*)?$",
    re.IGNORECASE | re.DOTALL,
)
#: FTS5 writes this one itself, by what its version of SQLite can read.
_VERSION = "version"


def refilled(table: Table) -> t.Optional[str]:
    """The way to restore the content of a virtual table: C(rows), C(rebuild) or C(none needed); None if impossible."""
    module, arguments = _module(table.sql)
    if module == "fts5vocab":
        return "none needed"
    if module != "fts5":
        return None
    content = _option(arguments, "content")
    if content is None:
        return "rows"
    return "rebuild" if content else None


def rebuild(table: Table) -> str:
    """The statement that makes a full-text index again from the table that it is of."""
    return f"INSERT INTO {quoted(table.name)}({quoted(table.name)}) VALUES ('rebuild')"


def not_rebuilt(engine: Engine, schema: Schema) -> t.Dict[str, str]:
    """The full-text indexes that cannot be made again from what they are of, with the reason that SQLite gives."""
    found = {}
    for table in schema.of_kind("virtual"):
        if refilled(table) != "rebuild":
            continue
        _fts, arguments = _module(table.sql)
        content = _option(arguments, "content") or ""
        names = [_option(arguments, "content_rowid") or "rowid", *_columns(arguments)]
        # Double quotes would make a text of a column that there is not.
        listed = ", ".join("`" + name.replace("`", "``") + "`" for name in names)
        query = f"SELECT {listed} FROM {quoted(content)} LIMIT 0"
        try:
            engine.run([Bound(query, reads_only=True)])
        except RecoveryError as error:
            if error.kind != ErrorKind.QUERY_FAILED:
                raise
            found[table.name] = error.what
    return found


def settings(engine: Engine, schema: Schema) -> t.List[t.Tuple[str, str, t.Any]]:
    """Table, name and value of what full-text indexes were configured with, such as the weights of C(rank)."""
    found: t.List[t.Tuple[str, str, t.Any]] = []
    columns = exact_columns(("k", "v"), native=not engine.loses_bytes)
    for table in schema.of_kind("virtual"):
        if _module(table.sql)[0] != "fts5":
            continue
        query = f"SELECT {columns} FROM {quoted(f'{table.name}_config')} ORDER BY k"
        try:
            (answer,) = engine.run([Bound(query, reads_only=True)])
        except RecoveryError as error:
            if error.kind != ErrorKind.QUERY_FAILED:
                raise
            # A damaged index may lack the table of its settings.
            continue
        decoded = [decode_row(row, 2) for row in answer.rows]
        found += [(table.name, str(name), value) for name, value in decoded if name != _VERSION]
    return found


def configure(table: str, name: str, value: str) -> str:
    """The statement that sets a setting to a value, which is given as SQL."""
    return f"INSERT INTO {quoted(table)}({quoted(table)}, rank) VALUES({literal(name)}, {value})"


def not_covered(schema: Schema) -> t.List[str]:
    """The virtual tables that stay empty after a restore: a full-text index without content, and other kinds."""
    return [table.name for table in schema.of_kind("virtual") if refilled(table) is None]


def with_rows(schema: Schema) -> t.List[Table]:
    """The tables whose rows are read: plain ones, and full-text ones that hold their own."""
    return [
        table
        for table in schema.tables
        if table.kind == "table" or (table.kind == "virtual" and refilled(table) == "rows")
    ]


def readable(table: Table) -> Table:
    """Where the rows of a table are read: of a full-text table that SQLite cannot open, from the table of its content.

    https://www.sqlite.org/fts5.html#fts5_data_structures
    """
    if not table.damage:
        return table
    names = _columns(_module(table.sql)[1])
    columns = tuple(Column(f"c{place}", "", 0, 0) for place in range(len(names)))
    return replace(table, name=f"{table.name}_content", kind="shadow", columns=columns, rowid="id")


def opened(table: Table) -> Table:
    """A full-text table that SQLite cannot open, with its columns as its definition names them."""
    if not table.damage:
        return table
    return replace(table, columns=tuple(Column(name, "", 0, 0) for name in _columns(_module(table.sql)[1])))


def _module(sql: str) -> t.Tuple[str, t.List[str]]:
    """The module of a virtual table in small letters, and its arguments."""
    found = _USING.match(sql)
    if found is None:
        return "", []
    arguments, depth = [""], 0
    for token in tokens(found.group("arguments") or ""):
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and depth == 0:
            arguments.append("")
        elif token.kind != "comment":
            arguments[-1] += token.text
    return found.group("module").lower(), [item.strip() for item in arguments]


def _option(arguments: t.Iterable[str], name: str) -> t.Optional[str]:
    """The value of an option such as C(content='messages'); None where it is not given."""
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key.strip().lower() == name:
            return unquoted(value.strip())
    return None


def _columns(arguments: t.Iterable[str]) -> t.List[str]:
    """The columns of a full-text table: every argument that sets no option, without words as UNINDEXED."""
    found = []
    for argument in arguments:
        parts = solid_tokens(argument)
        if parts and not any(token.text == "=" for token in parts):
            found.append(unquoted(parts[0].text))
    return found
