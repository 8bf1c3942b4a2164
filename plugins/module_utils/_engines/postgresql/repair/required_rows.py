# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inserts a row that an application requires, or one for each row of another table that has none."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import FAMILY, SUBOPTIONS
from ...._store.base import ObjectStore
from ..restore_rows.scope import read_roots
from ..server.catalog_columns import CatalogColumn
from ..server.connection import fetch_all, quote_identifier
from ..server.driver import psycopg2
from ..server.equality import equal, output_text
from ..server.refusals import server_message
from .constants import constant, invalid
from .insertion import Given, RowsInsertion
from .rows_repair import RepairRequest

_PARENT = "for_each.table"
_SHOWN = quote_identifier("lifeline shown")


@dataclass(frozen=True)
class ForEach:
    """The table whose rows each need a row. columns: column of the new row to column of this table.

    where: a condition on its rows. shown: a column whose masked value describes a row in results.
    """

    table: str
    columns: t.Mapping[str, str]
    where: t.Optional[str] = None
    shown: t.Optional[str] = None


@dataclass(frozen=True)
class RequiredRowsRequest:
    """values: column to value of the new rows. match: the columns that identify a row."""

    repair: RepairRequest = field(metadata=FAMILY)
    values: t.Mapping[str, t.Any] = field(default_factory=dict)
    match: t.Sequence[str] = ()
    for_each: t.Optional[ForEach] = field(default=None, metadata=SUBOPTIONS)


class RequiredRows(RowsInsertion):
    """Inserts rows with values of the request. Rows that exist stay unchanged, whatever their other values are."""

    operation = "insert_required_rows"
    changed_state = "present"

    def __init__(self, request: RequiredRowsRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.repair, store)
        self._request = request
        each = request.for_each
        self.masked = _SHOWN if each and each.shown else None
        if each:
            self.details["for_each"] = each.table

    def read_tables(self) -> t.Mapping[str, str]:
        each = self._request.for_each
        return {_PARENT: each.table} if each else {}

    def given(self) -> t.Sequence[Given]:
        request, each = self._request, self._request.for_each
        found = []
        for name, value in request.values.items():
            column = self.column("values", name)
            found.append(Given(column, constant(self.session, column, value), column.compared))
        for name, source in (each.columns if each else {}).items():
            if name in request.values:
                raise invalid(f"The column {name} must be in `values` or in `for_each.columns`, got both.")
            column, parent = self.column("for_each.columns", name), self._parent_column(source)
            found.append(Given(column, f"p.{parent.quoted}", parent.compared))
        self._match = self._matched({one.column.name for one in found})
        return found

    def missing(self, given: t.Sequence[Given]) -> str:
        each = self._request.for_each
        same = " AND ".join(
            equal(f"l.{one.column.quoted}", one.column.compared, one.expression, one.compared)
            for one in given
            if one.column.name in self._match
        )
        absent = f"NOT EXISTS (SELECT FROM {self.target.source} l WHERE {same})"
        columns = [f"{one.expression} AS {one.column.quoted}" for one in given]
        if each is None:
            return f"SELECT {', '.join(columns)} WHERE {absent}"
        if each.shown:
            text = output_text(f"p.{self._parent_column(each.shown).quoted}")
            columns.append(f"pg_catalog.min({text}) AS {_SHOWN}")
        own = [f"p.{self._parent_column(name).quoted}" for name in each.columns.values()]
        conditions = " AND ".join([absent, *(f"{column} IS NOT NULL" for column in own)])
        return f"SELECT {', '.join(columns)} FROM {self._parents(each)} p WHERE {conditions} GROUP BY {', '.join(own)}"

    def nothing(self) -> str:
        if self._request.for_each is None:
            return f"{self.target.name} has the row already."
        return f"{self.target.name} has a row for each row of {self.others[_PARENT].name}."

    def _matched(self, given: t.Collection[str]) -> t.Sequence[str]:
        """The columns that decide whether a row exists."""
        request, key = self._request, self.target.key
        default = list(request.for_each.columns) if request.for_each else list(key.columns if key else ())
        wanted = list(request.match) or default
        missing = [name for name in wanted if name not in given]
        if missing or not wanted:
            raise invalid(
                "`match` must name columns that `values` or `for_each.columns` set, "
                f"got {', '.join(missing) or 'none'}.",
                "Without `match`, a row exists if its primary key does.",
            )
        null = [name for name in wanted if name in request.values and request.values[name] is None]
        if null:
            raise invalid(f"The column {null[0]} of `match` must have a value, got null.")
        return wanted

    def _parent_column(self, name: str) -> CatalogColumn:
        parent = self.others[_PARENT]
        found = parent.column(name)
        if found is None:
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"`for_each` must name columns of {parent.name}, got {name!r}.",
                next_step=f"The table has {', '.join(one.name for one in parent.columns)}.",
            )
        return found

    def _parents(self, each: ForEach) -> str:
        """The rows of the other table, which has its own name in the condition of an operator."""
        table = self.others[_PARENT].name
        if not each.where:
            return table.quoted
        (root,) = read_roots((), {each.table: each.where}, {})
        query = f"SELECT * FROM {table.quoted} AS {quote_identifier(table.name)} WHERE ({root.where})"
        try:
            fetch_all(self.session, f"EXPLAIN {query}")
        except psycopg2.Error as error:
            raise invalid(
                f"PostgreSQL does not understand `for_each.where`: {server_message(error)}.",
                "Write it with the columns of that table alone, as after WHERE.",
            ) from None
        return f"({query})"
