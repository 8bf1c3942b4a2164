# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A number that only grows: rows of a table, a maximum, or the result of a query, compared with earlier runs."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass
from decimal import Decimal

from .._core.clock import format_instant, utc_now
from .._engines.postgresql.server.connection import fetch_value
from .._engines.sqlite.schema import quoted
from .catalog import find_columns, readable_relation
from .check import CannotVerify, Check, Context, Value
from .history import LONGEST_NUMBER, LONGEST_REASON
from .options import OptionReader
from .result import Finding
from .values import plain_value, query_subject


@dataclass(frozen=True)
class Monotonic(Check):
    """The number of rows, the maximum of a column, or the number that a query gives, is not less than it was.

    table: of the engine. accept_decrease: the reason why the number may be less once.
    """

    table: t.Any
    column: t.Optional[str]
    query: t.Optional[str]
    schemas: t.Tuple[str, ...]
    accept_decrease: t.Optional[str]

    @classmethod
    def read(cls, options: OptionReader) -> Monotonic:
        check = cls(
            table=cls._table(options),
            column=options.optional_text("column"),
            query=options.optional_text("query"),
            schemas=options.texts("search_path") or ("public",),
            accept_decrease=options.optional_text("accept_decrease"),
        )
        options.one_of("table", "query")
        if check.column and not options.given("table"):
            options.mistake("column needs a table")
        if len(check.accept_decrease or "") > LONGEST_REASON:
            options.mistake(f"accept_decrease must have at most {LONGEST_REASON} characters")
        return check

    @staticmethod
    def _table(options: OptionReader) -> t.Any:
        return options.optional_table("table")

    @property
    def subject(self) -> str:
        if self.query:
            return query_subject(self.query)
        return f"{self.table} (maximum of {self.column})" if self.column else str(self.table)

    def run(self, context: Context) -> Finding:
        # First, because the session has one open query at a time.
        key = self._key(context)
        number = self._number(context)
        if context.history is None:
            return self._uncompared(number, "source and store are not set, so there is no earlier run")
        former, now = context.history.find(key), format_instant(utc_now())
        if former is None:
            if number is not None:
                context.history.keep(key, self.subject, Value(number, now))
            return self._uncompared(number, "this is the first run")
        if number is not None and number >= former.number:
            context.history.keep(key, self.subject, Value(number, now, former.accepted))
            return self._compared(True, number, former, "expected at least that")
        reason = self.accept_decrease
        if number is None or reason is None or reason == former.accepted:
            # The next run is compared with the same value, so that the decrease stays visible.
            context.history.keep(key, self.subject, former)
            return self._compared(False, number, former, self._advice(former))
        context.history.keep(key, self.subject, Value(number, now, reason))
        return self._compared(True, number, former, f"the decrease is accepted: {reason}")

    def _advice(self, former: Value) -> str:
        if self.accept_decrease is not None and self.accept_decrease == former.accepted:
            return "the reason in accept_decrease was used for an earlier decrease, give another"
        return "if that is intended, such as after a restore of an earlier state, set accept_decrease to the reason"

    def _uncompared(self, number: t.Optional[Decimal], why: str) -> Finding:
        message = f"{self.subject}: {_shown(number)}; nothing was compared, because {why}."
        return Finding(None, None, {"value": plain_value(number)}, message)

    def _compared(self, holds: bool, number: t.Optional[Decimal], former: Value, result: str) -> Finding:
        expected = {"min": plain_value(former.number), "since": former.at}
        message = f"{self.subject}: {_shown(number)}, after {_shown(former.number)} at {former.at}; {result}."
        return Finding(holds, expected, {"value": plain_value(number)}, message)

    def _number(self, context: Context) -> t.Optional[Decimal]:
        value = self._from_table(context) if self.query is None else self._from_query(context)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise CannotVerify(f"{self.subject} must give a number, and texts do not sort like numbers.")
        number = Decimal(str(value))
        if not number.is_finite() or len(f"{number:f}") > LONGEST_NUMBER:
            raise CannotVerify(f"{self.subject} must give a finite number of at most {LONGEST_NUMBER} digits.")
        return number

    def _from_query(self, context: Context) -> t.Any:
        rows = context.query(str(self.query), self.schemas)
        if len(rows.columns) != 1:
            raise CannotVerify(f"The query must return one column for a number, got {len(rows.columns)}.")
        found = rows.take(2)
        if len(found) != 1:
            raise CannotVerify(f"The query must return one row for a number, got {len(found) + rows.skip_all()}.")
        return found[0][0]

    def _from_table(self, context: Context) -> t.Any:
        relation = readable_relation(context.connection, self.table)
        measure = "count(*)"
        if self.column:
            column = find_columns(context.connection, relation, [self.column])[0]
            measure = f"max(c.{column.quoted})"
        return fetch_value(context.connection, f"SELECT {measure} FROM {relation.name.quoted} c")

    def _database(self, context: Context) -> str:
        return str(fetch_value(context.connection, "SELECT current_database()"))

    def _key(self, context: Context) -> str:
        """The same for the same measure of the same database, whatever the check is called."""
        measure = [self._database(context), str(self.table or ""), self.column, self.query, list(self.schemas)]
        return hashlib.sha256(json.dumps(measure).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class SqliteMonotonic(Monotonic):
    """The same of an SQLite file or a D1 database, whose tables have no schema."""

    @staticmethod
    def _table(options: OptionReader) -> t.Any:
        return options.optional_text("table")

    def _from_table(self, context: Context) -> t.Any:
        measure = f"max(c.{quoted(self.column)})" if self.column else "count(*)"
        return context.connection.value(f"SELECT {measure} FROM {quoted(self.table)} c")

    def _database(self, context: Context) -> str:
        return str(context.connection.engine.location)


def _shown(number: t.Optional[Decimal]) -> str:
    return "no value" if number is None else str(plain_value(number))
