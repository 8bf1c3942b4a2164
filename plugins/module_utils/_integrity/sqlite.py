# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of an SQLite file or a D1 database, which use the same engine."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .._core.errors import RecoveryError
from .._core.severity import ERROR, FAILED
from .._engines.sqlite.engine import Bound, Engine
from .._engines.sqlite.file import FileEngine
from .._engines.sqlite.schema import quoted, read_schema
from .._engines.sqlite.statements import split_statements
from .check import CannotVerify, Check, Connection, Context, NotThere
from .counts import Bounds
from .options import OptionReader
from .result import Finding
from .values import plain_value

_MISSING = ("no such table", "no such column")


class SqliteSession:
    """A read-only engine as the connection of a run of checks."""

    closed = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def rows(self, text: str) -> t.List[t.Dict[str, t.Any]]:
        (answer,) = self.engine.run([Bound(text, reads_only=True)])
        return [dict(zip(answer.columns, row)) for row in answer.rows]

    def value(self, text: str) -> t.Any:
        (answer,) = self.engine.run([Bound(text, reads_only=True)])
        return answer.rows[0][0]

    def close(self) -> None:
        self.engine.close()


def reading_statement(query: str) -> str:
    """A query of the operator. Raises CannotVerify unless it is one statement that only reads."""
    try:
        statements = list(split_statements(query))
    except RecoveryError as error:
        raise CannotVerify(error.what) from None
    if len(statements) != 1 or not statements[0].reads_only:
        raise CannotVerify("The query must be one statement that only reads.")
    return statements[0].text


class SqliteRows:
    """The rows of a query of the operator. Raises CannotVerify if it does more than read."""

    def __init__(self, context: Context, query: str, _schemas: t.Sequence[str]) -> None:
        (answer,) = context.connection.engine.run([Bound(reading_statement(query), reads_only=True)])
        self.columns: t.List[str] = list(answer.columns)
        self._rows = [tuple(row) for row in answer.rows]

    def take(self, most: int) -> t.List[t.Tuple[t.Any, ...]]:
        taken, self._rows = self._rows[: max(most, 0)], self._rows[max(most, 0) :]
        return taken

    def __iter__(self) -> t.Iterator[t.Tuple[t.Any, ...]]:
        return iter(self.take(len(self._rows)))

    def skip_all(self) -> int:
        return len(self.take(len(self._rows)))


def open_sqlite(target: t.Callable[[], Engine]) -> SqliteSession:
    return SqliteSession(target())


@contextlib.contextmanager
def no_transaction(connection: Connection, timeout: int, _run_as: t.Optional[str]) -> t.Iterator[Connection]:
    """Each statement sees one state; D1 has no transaction over several requests, and a limit of its own."""
    if isinstance(connection.engine, FileEngine):
        connection.engine.limit_statements(timeout)
    yield connection


def explain_sqlite(error: BaseException, *, timeout: int, show_values: bool) -> t.Tuple[str, str]:
    """Status and message of a failed check."""
    if isinstance(error, NotThere):
        return FAILED, str(error)
    if isinstance(error, CannotVerify):
        return ERROR, str(error)
    if isinstance(error, RecoveryError):
        return (FAILED if any(text in error.what for text in _MISSING) else ERROR), error.what
    return ERROR, f"It failed with {type(error).__name__}."


@dataclass(frozen=True)
class QuickCheck(Check):
    """quick_check of SQLite finds no fault in the file."""

    @classmethod
    def read(cls, options: OptionReader) -> QuickCheck:
        return cls()

    @property
    def subject(self) -> str:
        return "of the file"

    def run(self, context: Context) -> Finding:
        found = [str(next(iter(row.values()))) for row in context.connection.rows("PRAGMA quick_check")]
        sound = found == ["ok"]
        message = "SQLite finds the file sound." if sound else f"SQLite finds {len(found)} faults in the file."
        shown = [] if sound else [{"fault": text} for text in found[: context.sample]]
        return Finding(sound, "ok", "ok" if sound else len(found), message, shown)


@dataclass(frozen=True)
class SqliteForeignKeys(Check):
    """Every row keeps every foreign key, which SQLite checks only on request."""

    @classmethod
    def read(cls, options: OptionReader) -> SqliteForeignKeys:
        return cls()

    @property
    def subject(self) -> str:
        return "in all tables"

    def run(self, context: Context) -> Finding:
        broken = context.connection.rows("PRAGMA foreign_key_check")
        counts: t.Dict[str, int] = {}
        for row in broken:
            name = f"{row['table']} to {row['parent']}"
            counts[name] = counts.get(name, 0) + 1
        named = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
        message = f"Rows that point to nothing: {named}." if counts else "Every row keeps its foreign keys."
        shown = [{"table": row["table"], "rowid": row["rowid"], "parent": row["parent"]} for row in broken]
        return Finding(not broken, 0, len(broken), message, shown[: context.sample])


@dataclass(frozen=True)
class SqliteRowCount(Check):
    """The number of rows lies within bounds."""

    table: str
    bounds: Bounds

    @classmethod
    def read(cls, options: OptionReader) -> SqliteRowCount:
        return cls(options.text("table"), Bounds.read(options))

    @property
    def subject(self) -> str:
        return self.table

    def run(self, context: Context) -> Finding:
        return self.bounds.judge(
            self.table, int(context.connection.value(f"SELECT count(*) FROM {quoted(self.table)}"))
        )


@dataclass(frozen=True)
class SqliteTables(Check):
    """Named tables exist, and a minimum number of tables, without virtual tables and their shadow tables."""

    present: t.Tuple[str, ...]
    least: t.Optional[int]

    @classmethod
    def read(cls, options: OptionReader) -> SqliteTables:
        check = cls(options.texts("present"), options.integer("min_count"))
        if not options.given("present") and not options.given("min_count"):
            options.mistake("one of present, min_count is required")
        return check

    @property
    def subject(self) -> str:
        return ", ".join(self.present) if self.present else "the database"

    def run(self, context: Context) -> Finding:
        schema = read_schema(context.connection.engine)
        names = {table.name for table in schema.tables}
        missing = [name for name in self.present if name not in names]
        count = len(schema.of_kind("table"))
        problems = [f"missing are {', '.join(missing)}"] if missing else []
        if self.least is not None and count < self.least:
            problems.append(f"there are {count} tables, at least {self.least} were expected")
        message = "; ".join(problems) or "all expected tables exist"
        expected = {"present": list(self.present), "min_count": self.least}
        return Finding(
            not problems, expected, {"missing": missing, "count": count}, f"{message[0].upper()}{message[1:]}."
        )


@dataclass(frozen=True)
class SqliteOrphans(Check):
    """Every row whose columns are all filled has a row with these values in the parent table."""

    table: str
    columns: t.Tuple[str, ...]
    parent: str
    parent_columns: t.Tuple[str, ...]

    @classmethod
    def read(cls, options: OptionReader) -> SqliteOrphans:
        columns, parents = options.required_texts("columns"), options.required_texts("parent_columns")
        if columns and parents and len(columns) != len(parents):
            options.mistake("columns and parent_columns must be of the same number")
        return cls(options.text("table"), columns, options.text("parent"), parents)

    @property
    def subject(self) -> str:
        return f"{self.table} ({', '.join(self.columns)})"

    def run(self, context: Context) -> Finding:
        filled = " AND ".join(f"c.{quoted(name)} IS NOT NULL" for name in self.columns)
        pairs = zip(self.columns, self.parent_columns)
        matches = " AND ".join(f"p.{quoted(theirs)} = c.{quoted(mine)}" for mine, theirs in pairs)
        orphaned = (
            f"FROM {quoted(self.table)} c WHERE {filled} "
            f"AND NOT EXISTS (SELECT 1 FROM {quoted(self.parent)} p WHERE {matches})"
        )
        count = int(context.connection.value(f"SELECT count(*) {orphaned}"))
        shown: t.List[t.Dict[str, t.Any]] = []
        if count and context.sample > 0:
            listed = ", ".join(f"c.{quoted(name)}" for name in self.columns)
            found = context.connection.rows(f"SELECT {listed} {orphaned} LIMIT {context.sample}")
            shown = [{name: plain_value(value) for name, value in row.items()} for row in found]
        message = (
            f"{count} rows of {self.subject} point to nothing in {self.parent} ({', '.join(self.parent_columns)})."
        )
        return Finding(not count, 0, count, message, shown)
