# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inserts rows that a table lacks. Existing rows stay unchanged; the undo set holds the keys of the new rows."""

from __future__ import annotations

import abc
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import counted
from ..archive.statements import Column
from ..restore_rows.description import SetTable
from ..restore_rows.merge import UNTOUCHED
from ..restore_rows.rows_set import RowsToKeep
from ..restore_rows.target_tables import TargetTable
from ..server.catalog_columns import CatalogColumn
from ..server.confined import run
from ..server.connection import fetch_all, fetch_value, quote_identifier
from ..server.equality import ComparedType, equal, output_text
from ..server.landing import make_table
from .rows_repair import LISTED, RowsRepair

MISSING, _MADE = 'pg_temp."lifeline missing"', 'pg_temp."lifeline made"'
_LONGEST = 200

_REQUIRED = """
SELECT a.attname::text FROM pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
ORDER BY a.attnum
"""


class Given(t.NamedTuple):
    """A column that the new rows get a value for: an expression of the missing rows, and the type of that."""

    column: CatalogColumn
    expression: str
    compared: ComparedType


class RowsInsertion(RowsRepair):
    """Inserts the rows of a query. A row exists if the table has one with the same values in some of the columns."""

    rights = "missing"
    phrase = "inserts rows into"
    #: A column of the query that shows people, such as a mail address; results have it masked.
    masked: t.Optional[str] = None

    @abc.abstractmethod
    def given(self) -> t.Sequence[Given]:
        """The columns with values. Called in the open transaction."""

    @abc.abstractmethod
    def missing(self, given: t.Sequence[Given]) -> str:
        """The query of the missing rows, with the names of the given columns first."""

    def locks(self) -> t.Mapping[str, t.Sequence[TargetTable]]:
        # Other sessions insert no row in the meantime, so that a table without a unique key gets no second one.
        return {"SHARE ROW EXCLUSIVE": [self.target]}

    def find(self) -> t.Tuple[str, t.Mapping[str, t.Any]]:
        self._given = self.given()
        self._filled = {name: self.filling(name) for name in self._unfilled()}
        self._query = self.missing(self._given)
        make_table(self.session, MISSING, self._query)
        self.count = run(self.session, f"INSERT INTO {MISSING} {self._query}")
        self._require_no_conflict()
        texts = [output_text(one.column.quoted) for one in self._given]
        self._list(texts)
        return self.digest(MISSING, texts), {"columns": [one.column.name for one in self._given]}

    def change(self) -> None:
        names = ", ".join(map(quote_identifier, self._identity()))
        make_table(self.session, _MADE, f"SELECT {names} FROM {self.target.source}")
        columns = [one.column.quoted for one in self._given]
        values = [f"m.{column}" for column in columns]
        inserted = (
            f"INSERT INTO {self.target.name.quoted} "
            f"({', '.join([*columns, *map(quote_identifier, self._filled)])}) OVERRIDING SYSTEM VALUE "
            f"SELECT {', '.join([*values, *self._filled.values()])} FROM {MISSING} m RETURNING {names}"
        )
        run(self.session, f"WITH made AS ({inserted}) INSERT INTO {_MADE} SELECT * FROM made")

    def verify(self) -> None:
        """Count the new rows, and search for missing rows again."""
        made = fetch_value(self.session, f"SELECT count(*) FROM {_MADE}")
        still = fetch_value(self.session, f"SELECT count(*) FROM ({self._query}) q")
        if made != self.count or still:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"{made:,} of {self.count:,} rows were inserted into {self.target.name}; {still:,} are still missing.",
                left=UNTOUCHED,
                next_step="A trigger or rule changed them: set `triggers` to disable.",
            )

    def settle(self) -> t.Mapping[str, t.Any]:
        columns = [column for column in self.target.columns if not column.generated]
        listed = ", ".join(column.quoted for column in columns)
        undo = self.keep(
            RowsToKeep(
                SetTable(
                    self.target.name,
                    tuple(Column(column.name, column.type) for column in columns),
                    self.target.key.columns if self.target.key else (),
                    (),
                ),
                f"SELECT {listed} FROM {self.target.source} WHERE false",
                f"SELECT * FROM {_MADE}",
            )
        )
        return {**undo, **super().settle()}

    def sentence(self, done: bool) -> str:
        does = "Inserted" if done else "Would insert"
        return f"{does} {counted(self.count, 'row')} into {self.target.name}."

    def column(self, option: str, name: str) -> CatalogColumn:
        """Raises RecoveryError(schema_drift) for a column that the table lacks or computes."""
        found = self.target.column(name)
        if found is None or found.generated:
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"`{option}` must name a column of {self.target.name} that can be set, got {name!r}.",
                next_step=f"The table has {', '.join(one.name for one in self.target.columns if not one.generated)}.",
            )
        return found

    def _identity(self) -> t.Sequence[str]:
        """The columns of the key, or all columns of a table without one."""
        if self.target.key is not None:
            return self.target.key.columns
        return [column.name for column in self.target.columns if not column.generated]

    def _unfilled(self) -> t.List[str]:
        """Columns that must not be null, and that get no value."""
        names = [row[0] for row in fetch_all(self.conn, _REQUIRED, (self.target.oid,))]
        return [name for name in names if name not in {one.column.name for one in self._given}]

    def filling(self, name: str) -> str:
        """The expression of a required column without a default: a new UUID for a key."""
        column = self.column("values", name)
        if column.type == "uuid" and self.target.key is not None and self.target.key.columns == (name,):
            return "pg_catalog.gen_random_uuid()"
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`values` must have a value of the column {name} of {self.target.name}: it must not be null, and it has "
            "no default.",
            next_step="Add the column to `values`.",
        )

    def _require_no_conflict(self) -> None:
        """Raise RecoveryError(conflict) if a row that exists has a unique value of a missing row."""
        given = {one.column.name: one for one in self._given}
        for key in self.target.keys:
            if not self.count or not set(key.columns) <= set(given):
                continue
            same = " AND ".join(
                equal(f"l.{quote_identifier(name)}", given[name].column.compared, f"m.{quote_identifier(name)}",
                      given[name].compared)
                for name in key.columns
            )  # fmt: skip
            texts = ", ".join(output_text(f"l.{quote_identifier(name)}") for name in key.columns)
            joined = f"{MISSING} m JOIN {self.target.source} l ON {same}"
            taken = fetch_value(self.session, f"SELECT pg_catalog.concat_ws(', ', {texts}) FROM {joined} LIMIT 1")
            if taken is not None:
                raise RecoveryError(
                    ErrorKind.CONFLICT,
                    f"A row of {self.target.name} has {', '.join(key.columns)} {taken} of a row that is missing.",
                    left=UNTOUCHED,
                    next_step="Correct that row, or set other `values`.",
                )

    def _list(self, texts: t.Sequence[str]) -> None:
        """The first rows, in the order of their texts."""
        names = [one.column.name for one in self._given]
        shown = [f"pg_catalog.left({text}, {_LONGEST})" for text in texts]
        positions = ", ".join(str(number + 1) for number in range(len(shown)))
        extra = [self.masked] if self.masked else []
        query = f"SELECT {', '.join([*shown, *extra])} FROM {MISSING} ORDER BY {positions} LIMIT {LISTED}"
        for row in fetch_all(self.session, query):
            values = dict(zip(names, row))
            line = ", ".join(f"{name}={'null' if text is None else text}" for name, text in values.items())
            people = [masked(row[-1])] if extra else []
            self.rows.append({"values": values, **({"shown": people[0]} if people else {})})
            self.lines.append(("", ", ".join([line, *people])))


def masked(text: t.Optional[str]) -> str:
    """The first character and the domain of a mail address; of another text, the first character.

    A name of one or two characters is masked completely.
    """
    name, at, domain = (text or "").rpartition("@")
    hidden = name if at else domain
    return f"{hidden[:1] if len(hidden) > 2 else ''}***{at}{domain if at else ''}"
