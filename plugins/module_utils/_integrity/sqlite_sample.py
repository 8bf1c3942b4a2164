# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random rows of a table of an SQLite file or a D1 database, which cannot sample a table by itself."""

from __future__ import annotations

import json
import random
import typing as t
from dataclasses import dataclass

from .._engines.sqlite.engine import Bound, Engine, StatementResult
from .._engines.sqlite.schema import Table, quoted, read_schema
from .check import Context, NotThere
from .options import OptionReader
from .row_sample import RowSample
from .sqlite import reading_statement

#: The keys of a table of so many rows are read completely, so that each row has the same chance.
_SMALL = 2000
#: Statements of one request, and the requests for rows of a large table.
_BATCH, _TRIES = 50, 4


@dataclass(frozen=True)
class SqliteRowSample(RowSample):
    """Of a large table the rows behind random row numbers are read. A table without row numbers is counted."""

    @staticmethod
    def _table(options: OptionReader) -> t.Any:
        return options.text("table")

    def _drawn(self, context: Context) -> t.Sequence[t.Sequence[t.Any]]:
        engine = context.connection.engine
        table = self._found(read_schema(engine).tables)
        chance = random.Random(self.seed)
        if table.rowid is not None:
            numbers = self._numbers(engine, table, chance)
            one, keys = f"WHERE {table.rowid} = ?", [table.rowid]
        else:
            count = int(context.connection.value(f"SELECT count(*) FROM {quoted(table.name)}"))
            numbers = chance.sample(range(count), min(self.rows, count))
            one, keys = (
                f"ORDER BY {', '.join(table.order)} LIMIT 1 OFFSET ?",
                [quoted(name) for name in table.key_names],
            )
        listed = ", ".join(f"{key} AS lifeline_key{number}" for number, key in enumerate(keys))
        source = f"SELECT *, {listed} FROM {quoted(table.name)} {one}"
        answers = _each(engine, self._statement(table, source, len(keys)), numbers)
        return [
            (json.dumps([str(value) for value in row[: len(keys)]]), *row[len(keys) :])
            for answer in answers
            for row in answer.rows
        ]

    def _found(self, tables: t.Sequence[Table]) -> Table:
        """The table, with the columns of the check. Raises NotThere."""
        for table in tables:
            if table.name.lower() == self.table.lower():
                known = {column.name.lower() for column in table.columns}
                missing = [name for name in self.columns if name.lower() not in known]
                if missing:
                    raise NotThere(f"The column {missing[0]} of {self.table} does not exist.")
                return table
        raise NotThere(f"The table {self.table} does not exist.")

    def _numbers(self, engine: Engine, table: Table, chance: random.Random) -> t.Sequence[int]:
        """Row numbers of existing rows, without regard to their order in the table."""
        name, rowid = quoted(table.name), table.rowid
        some, bounds = engine.run(
            [
                Bound(f"SELECT {rowid} FROM {name} ORDER BY 1 LIMIT {_SMALL + 1}", reads_only=True),
                Bound(f"SELECT min({rowid}), max({rowid}) FROM {name}", reads_only=True),
            ]
        )
        if len(some.rows) <= _SMALL:
            return chance.sample([int(row[0]) for row in some.rows], min(self.rows, len(some.rows)))
        least, most = map(int, bounds.rows[0])
        statement = f"SELECT {rowid} FROM {name} WHERE {rowid} >= ? ORDER BY {rowid} LIMIT 1"
        found: t.Dict[int, None] = {}
        for _attempt in range(_TRIES):
            starts = [chance.randint(least, most) for _row in range(self.rows)]
            found.update((int(row[0]), None) for answer in _each(engine, statement, starts) for row in answer.rows)
        return list(found)[: self.rows]

    def _statement(self, table: Table, source: str, keys: int) -> str:
        columns = [quoted(column.name) for column in table.columns if column.hidden != 1]
        selected = [
            *(f"lifeline_key{number}" for number in range(keys)),
            " + ".join(f"coalesce(length({name}), 0)" for name in columns) or "0",
            f"({self.condition}\n) IS TRUE" if self.condition else "1",
            *(f"trim(coalesce({quoted(name)}, ''), ' ' || char(9, 10, 11, 12, 13)) = ''" for name in self.columns),
        ]
        return reading_statement(f"SELECT {', '.join(selected)} FROM ({source})")


def _each(engine: Engine, statement: str, values: t.Sequence[int]) -> t.Iterator[StatementResult]:
    """The answers to a statement with each of the values."""
    for start in range(0, len(values), _BATCH):
        yield from engine.run([Bound(statement, [value], reads_only=True) for value in values[start : start + _BATCH]])
