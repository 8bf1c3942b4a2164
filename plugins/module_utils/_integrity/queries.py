# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL queries of the operator, and the age of the newest row."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.clock import format_instant, parse_instant
from .._core.errors import RecoveryError
from .._core.sizes import readable_seconds
from .._engines.postgresql.server.connection import fetch_all, quote_literal
from .._engines.postgresql.server.names import QualifiedName
from .catalog import find_columns, readable_relation
from .check import Answer, CannotVerify, Check, Context
from .options import OptionReader, as_number
from .result import Finding
from .session import Rows
from .values import plain_value, query_subject, same_value

_EXPECTATIONS = ("equals", "rows", "empty", "min", "max")

#: pg_type.oid of date, timestamp, timestamptz.
_INSTANTS = (1082, 1114, 1184)


@dataclass(frozen=True)
class Sql(Check):
    """A query returns one value, a number of rows, given rows, or none. It runs in a read-only transaction."""

    query: str
    schemas: t.Tuple[str, ...]
    expectation: t.Mapping[str, t.Any]

    @classmethod
    def read(cls, options: OptionReader) -> Sql:
        expectation: t.Dict[str, t.Any] = {}
        query = options.text("query")
        schemas = options.texts("search_path") or ("public",)
        # "equals: null" is a valid expectation, so it counts as set.
        if options.has("equals"):
            expectation["equals"] = options.raw("equals")
        for key in ("min", "max"):
            bound = options.number(key)
            if bound is not None:
                expectation[key] = plain_value(bound)
        empty = options.optional_boolean("empty")
        if empty is not None:
            expectation["empty"] = empty
        rows = _rows_option(options)
        if rows is not None:
            expectation["rows"] = rows
        if not expectation and not any(map(options.given, _EXPECTATIONS)):
            options.mistake(f"one of {', '.join(_EXPECTATIONS)} is required")
        elif len(expectation) > 1 and set(expectation) != {"min", "max"}:
            options.mistake(f"{' and '.join(expectation)} exclude each other")
        return cls(query, schemas, expectation)

    @property
    def subject(self) -> str:
        return query_subject(self.query)

    def run(self, context: Context) -> Finding:
        rows = context.query(self.query, self.schemas)
        if "empty" in self.expectation:
            return self._judge_empty(context, rows)
        if isinstance(self.expectation.get("rows"), int):
            return self._judge_number(context, rows)
        if "rows" in self.expectation:
            return self._judge_rows(context, rows, self.expectation["rows"])
        return self._judge_value(context, rows)

    def _judge_empty(self, context: Context, rows: Answer) -> Finding:
        shown = rows.take(context.sample)
        count = len(shown) + rows.skip_all()
        holds = (count == 0) is self.expectation["empty"]
        wanted = "none" if self.expectation["empty"] else "at least one"
        message = f"The query gave {count} row{'' if count == 1 else 's'}; expected {wanted}."
        return Finding(holds, self.expectation, count, message, [] if holds else _dictionaries(rows, shown))

    def _judge_number(self, context: Context, rows: Answer) -> Finding:
        shown = rows.take(context.sample)
        count = len(shown) + rows.skip_all()
        holds = count == self.expectation["rows"]
        message = f"The query gave {count} row{'' if count == 1 else 's'}; expected {self.expectation['rows']}."
        return Finding(holds, self.expectation, count, message, [] if holds else _dictionaries(rows, shown))

    def _judge_rows(self, context: Context, rows: Answer, wanted: t.Sequence[t.Any]) -> Finding:
        found = rows.take(len(wanted) + 1)
        further = rows.skip_all()
        different = [
            place
            for place in range(max(len(found), len(wanted)))
            if place >= len(found) or place >= len(wanted) or not _same_row(wanted[place], found[place], rows.columns)
        ]
        message = "The query gave the expected rows."
        if different:
            message = (
                f"The query gave {len(found) + further} rows; expected {len(wanted)}, "
                f"and the first that differs is number {different[0] + 1}."
            )
        shown = [found[place] for place in different if place < len(found)][: context.sample]
        return Finding(not different, self.expectation, len(found) + further, message, _dictionaries(rows, shown))

    def _judge_value(self, context: Context, rows: Answer) -> Finding:
        if len(rows.columns) != 1:
            raise CannotVerify(f"The query must return one column for a value, got {len(rows.columns)}.")
        found = rows.take(2)
        if len(found) != 1:
            count = len(found) + rows.skip_all()
            return Finding(
                False, self.expectation, None, f"The query returned {count} rows; expected one row for a value."
            )
        value = found[0][0]
        number = as_number(value)
        least, most = as_number(self.expectation.get("min")), as_number(self.expectation.get("max"))
        if "equals" in self.expectation:
            holds = same_value(self.expectation["equals"], value)
        elif value is not None and number is None:
            raise CannotVerify("The query must return a number for min and max.")
        else:
            holds = number is not None and (least is None or number >= least) and (most is None or number <= most)
        shown = context.show(value)
        wanted = ", ".join(f"{key} {_quoted(bound)}" for key, bound in self.expectation.items())
        return Finding(holds, self.expectation, shown, f"The query gave {_quoted(shown)}; expected {wanted}.")


@dataclass(frozen=True)
class Freshness(Check):
    """The newest instant of a column, or of a query, is at most this many seconds old, and not in the future.

    An instant without a zone is read as UTC. at: the instant to measure from, the current time if None.
    """

    table: t.Optional[QualifiedName]
    column: t.Optional[str]
    query: t.Optional[str]
    schemas: t.Tuple[str, ...]
    max_age: int
    max_future: int
    at: t.Optional[datetime]

    @classmethod
    def read(cls, options: OptionReader) -> Freshness:
        max_future = options.integer("max_future")
        check = cls(
            table=options.optional_table("table"),
            column=options.optional_text("column"),
            query=options.optional_text("query"),
            schemas=options.texts("search_path") or ("public",),
            max_age=options.integer("max_age") or 0,
            max_future=300 if max_future is None else max_future,
            at=_instant_option(options),
        )
        options.one_of("table", "query")
        if options.given("table") != options.given("column") and not options.given("query"):
            options.mistake("column is required" if options.given("table") else "column needs a table")
        elif options.given("column") and options.given("query"):
            options.mistake("column and query exclude each other")
        if not options.given("max_age"):
            options.mistake("max_age is required")
        return check

    @property
    def subject(self) -> str:
        return f"{self.table} ({self.column})" if self.table else "of a query"

    def run(self, context: Context) -> Finding:
        newest, age = self._newest(context)
        expected = {"max_age": self.max_age}
        if newest is None:
            there = f"{self.table} has no row with a {self.column}" if self.table else "The query gave no instant"
            return Finding(False, expected, None, f"{there}, so no data is fresh.")
        seconds = round(age, 3)
        actual = {"newest": newest, "age": seconds}
        if -seconds > self.max_future:
            message = f"The newest instant is {newest}, {readable_seconds(-seconds)} ahead, so its age is unknown."
            return Finding(False, expected, actual, message)
        message = (
            f"The newest instant is {newest}, {readable_seconds(max(seconds, 0))} old; "
            f"expected at most {readable_seconds(self.max_age)}."
        )
        return Finding(seconds <= self.max_age, expected, actual, message)

    def _newest(self, context: Context) -> t.Tuple[t.Optional[str], float]:
        moment = quote_literal(format_instant(self.at)) + "::timestamptz" if self.at else "clock_timestamp()"
        instant = self._from_table(context) if self.table and self.column else self._from_query(context)
        sql = f"SELECT to_char(n, {_RFC_3339}), extract(epoch FROM {moment} - n)::float8 FROM ({instant}) v (n)"
        newest, age = fetch_all(context.connection, sql)[0]
        return newest, age or 0.0

    def _from_table(self, context: Context) -> str:
        relation = readable_relation(context.connection, t.cast(QualifiedName, self.table))
        column = find_columns(context.connection, relation, [str(self.column)])[0]
        if column.type_oid not in _INSTANTS:
            raise CannotVerify(
                f"The column {column.name} of {self.table} is of type {column.type_name}, not an instant."
            )
        finite = f"FILTER (WHERE isfinite(c.{column.quoted}))"
        return f"SELECT max(c.{column.quoted}) {finite}::timestamptz FROM {relation.name.quoted} c"

    def _from_query(self, context: Context) -> str:
        rows = Rows(context, str(self.query), self.schemas)
        if len(rows.columns) != 1:
            raise CannotVerify(f"The query must return one column for an instant, got {len(rows.columns)}.")
        found = rows.take(2)
        rows.close()
        if len(found) > 1:
            raise CannotVerify("The query must return one row for the newest instant; use max(...).")
        value = found[0][0] if found else None
        if value is None:
            return "SELECT NULL::timestamptz"
        if not isinstance(value, str):
            raise CannotVerify("The query must return a date or a timestamp.")
        return f"SELECT {quote_literal(value)}::timestamptz"


_RFC_3339 = '\'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"\''


def _rows_option(options: OptionReader) -> t.Any:
    """A number of rows, or the rows themselves: lists, dictionaries, or the values of a single column."""
    value = options.raw("rows")
    if value is None or isinstance(value, list):
        return value
    number = as_number(value)
    if number is None or number < 0 or number != int(number):
        options.mistake("rows must be a number of rows or a list of rows")
        return None
    return int(number)


def _instant_option(options: OptionReader) -> t.Optional[datetime]:
    text = options.optional_text("at")
    try:
        return parse_instant(text) if text else None
    except RecoveryError as error:
        options.mistake(f"at: {error.what.rstrip('.')}")
        return None


def _same_row(wanted: t.Any, found: t.Tuple[t.Any, ...], columns: t.Sequence[str]) -> bool:
    if isinstance(wanted, t.Mapping) and not (len(columns) == 1 and isinstance(found[0], t.Mapping)):
        return same_value(wanted, dict(zip(columns, found)))
    if isinstance(wanted, (list, tuple)) and not (len(columns) == 1 and isinstance(found[0], list)):
        return same_value(wanted, found)
    return len(found) == 1 and same_value(wanted, found[0])


def _dictionaries(rows: Answer, found: t.Sequence[t.Tuple[t.Any, ...]]) -> t.List[t.Dict[str, t.Any]]:
    return [{name: plain_value(value) for name, value in zip(rows.columns, row)} for row in found]


def _quoted(value: t.Any) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)
