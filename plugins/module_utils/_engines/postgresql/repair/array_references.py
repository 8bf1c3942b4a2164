# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes ids from an array column that refer to no row of the referenced table. PostgreSQL has no such foreign key."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import FAMILY, SUBOPTIONS
from ...._core.sizes import counted
from ...._store.base import ObjectStore
from ..archive.statements import Column
from ..restore_rows.description import SetTable
from ..restore_rows.merge import UNTOUCHED
from ..restore_rows.rows_set import RowsToKeep
from ..restore_rows.target_tables import TargetTable, UniqueKey
from ..server.catalog_columns import CatalogColumn
from ..server.confined import run
from ..server.connection import fetch_all, fetch_value, quote_identifier
from ..server.equality import ComparedType, compared_types, equal, output_text
from ..server.landing import make_table
from .rows_repair import LISTED, RepairRequest, RowsRepair

_FOUND = 'pg_temp."lifeline dangling"'
_PLACE, _TABLE, _KEPT, _DROPPED, _REPEATED = (
    quote_identifier(f"lifeline {name}") for name in ("place", "table", "kept", "dropped", "repeated")
)

_PARTS = (_DROPPED, _REPEATED)
_SAME_PLACE = f"f.{_PLACE} = l.ctid AND f.{_TABLE} = l.tableoid"
_PARENT = "references.table"
_WIDTH = 500

#: Types of ids by pg_type.typname, and how they compare: texts with all others, numbers and UUIDs with their like.
_KINDS = {
    **dict.fromkeys(("int2", "int4", "int8"), "number"),
    **dict.fromkeys(("text", "varchar", "bpchar"), "text"),
    "uuid": "uuid",
}


@dataclass(frozen=True)
class ReferencedColumn:
    """The column that the ids refer to."""

    table: str
    column: str = "id"


@dataclass(frozen=True)
class ArrayReferencesRequest:
    """duplicates: whether an id that a row has more than once is kept as often, or once."""

    column: str
    references: ReferencedColumn = field(metadata=SUBOPTIONS)
    repair: RepairRequest = field(metadata=FAMILY)
    duplicates: t.Literal["keep", "drop"] = "keep"


class ArrayReferences(RowsRepair):
    """Removes dangling ids of one array column. The order of the other ids stays, and other rows stay unchanged."""

    operation = "remove_dangling_references"
    rights = "merge"
    phrase = "removes dangling ids from rows of"
    changed_state = "repaired"

    def __init__(self, request: ArrayReferencesRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.repair, store)
        self._request = request
        self.details.update(column=request.column, references=dict(vars(request.references)))
        self._dropped = self._repeated = 0

    def read_tables(self) -> t.Mapping[str, str]:
        return {_PARENT: self._request.references.table}

    def locks(self) -> t.Mapping[str, t.Sequence[TargetTable]]:
        # Other sessions neither add a row that an id refers to, nor change an array.
        return {"SHARE": [self.others[_PARENT]], "SHARE ROW EXCLUSIVE": [self.target]}

    def find(self) -> t.Tuple[str, t.Mapping[str, t.Any]]:
        self._column = self._array_column()
        self._keys = [quote_identifier(name) for name in self._key().columns]
        self._require_one_dimension()
        query = self._query()
        make_table(self.session, _FOUND, query)
        self.count = run(self.session, f"INSERT INTO {_FOUND} {query}")
        numbers = ", ".join(f"coalesce(pg_catalog.sum(pg_catalog.cardinality({part})), 0)::int8" for part in _PARTS)
        ((self._dropped, self._repeated),) = fetch_all(self.session, f"SELECT {numbers} FROM {_FOUND}")
        self._require_parents()
        self._list()
        texts = [output_text(name) for name in (*self._keys, _KEPT)]
        return self.digest(_FOUND, texts), {
            "column": self._column.name,
            "references": f"{self.others[_PARENT].name}.{self._request.references.column}",
            "dropped": self._dropped,
            "duplicates": self._repeated,
        }

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        columns = [column for column in self.target.columns if not column.generated]
        listed = ", ".join(f"l.{column.quoted}" for column in columns)
        return self.keep(
            RowsToKeep(
                SetTable(
                    self.target.name,
                    tuple(Column(column.name, column.type) for column in columns),
                    self._key().columns,
                    (),
                ),
                f"SELECT {listed} FROM {self.target.source} l JOIN {_FOUND} f ON {_SAME_PLACE}",
                f"SELECT {', '.join(f'f.{key}' for key in self._keys)} FROM {_FOUND} f",
            )
        )

    def change(self) -> None:
        run(
            self.session,
            f"UPDATE {self.target.source} l SET {self._column.quoted} = f.{_KEPT} FROM {_FOUND} f WHERE {_SAME_PLACE}",
        )

    def verify(self) -> None:
        """Read every changed row again by its key."""
        key = self._key()
        same = " AND ".join(f"l.{name} {operator} f.{name}" for name, operator in zip(self._keys, key.operators))
        equal_arrays = " OPERATOR(pg_catalog.=) ".join(
            output_text(name) for name in (f"l.{self._column.quoted}", f"f.{_KEPT}")
        )
        changed = fetch_value(
            self.session,
            f"SELECT count(*) FROM {_FOUND} f JOIN {self.target.source} l ON {same} WHERE {equal_arrays}",
        )
        if changed != self.count:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"{self.count - changed:,} of {self.count:,} rows of {self.target.name} have other ids afterwards.",
                left=UNTOUCHED,
                next_step="A trigger or rule changed them: set `triggers` to disable.",
            )

    def sentence(self, done: bool) -> str:
        does = "Removed" if done else "Would remove"
        ids = f"{counted(self._dropped, 'dangling id')}"
        more = f" and {counted(self._repeated, 'duplicate')}" if self._repeated else ""
        return f"{does} {ids}{more} from {counted(self.count, 'row')} of {self.target.name}.{self._column.name}."

    def nothing(self) -> str:
        return f"Each id in {self.target.name}.{self._column.name} refers to a row of {self.others[_PARENT].name}."

    def _key(self) -> UniqueKey:
        if self.target.key is None:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"`table` must have a primary key, or a unique key without null values, got {self.target.name}.",
                next_step="Add a primary key: the rows are identified by it in the plan and in the undo set.",
            )
        return self.target.key

    def _array_column(self) -> CatalogColumn:
        """The column, whose elements are ids of a type that the referenced column can have."""
        column = self.target.column(self._request.column)
        if column is None or column.generated:
            problem = "has no column" if column is None else "computes its column"
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"The table {self.target.name} {problem} {self._request.column}.",
                next_step=f"Set `column` to one of {', '.join(one.name for one in self.target.columns)}.",
            )
        if column.compared.category != "A":
            raise RecoveryError(
                ErrorKind.UNSUPPORTED, f"`column` must be an array, got {column.name} of the type {column.type}."
            )
        element = fetch_value(self.conn, "SELECT typelem FROM pg_type WHERE oid = %s", (column.compared.oid,))
        self._element = compared_types(self.conn, [element])[element]
        parent = self.others[_PARENT].require_column(self._request.references.column)
        kinds = {self._kind(column.type, self._element), self._kind(parent.type, parent.compared)}
        if len(kinds - {"text"}) > 1:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"No element of {column.name} ({column.type}) can be a value of {parent.name} ({parent.type}).",
                next_step="Correct `column` or `references`.",
            )
        return column

    def _kind(self, name: str, compared: ComparedType) -> str:
        found = fetch_value(self.conn, "SELECT typname::text FROM pg_type WHERE oid = %s", (compared.oid,))
        kind = _KINDS.get(str(found)) if compared.built_in else None
        if kind is None:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"Ids must be whole numbers, texts or UUIDs, got {name}.",
                next_step="Correct `column` or `references`.",
            )
        return kind

    def _require_one_dimension(self) -> None:
        number = fetch_value(
            self.session,
            f"SELECT count(*) FROM {self.target.source} l WHERE pg_catalog.array_ndims(l.{self._column.quoted}) > 1",
        )
        if number:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"`column` must hold arrays of one dimension, but {self.target.name}.{self._column.name} has others in "
                f"{counted(number, 'row')}.",
                next_step="Correct these rows by hand: removing an element would leave no array.",
            )

    def _require_parents(self) -> None:
        """A referenced table that lost its rows must be restored first: every id would be removed."""
        parent = self.others[_PARENT]
        if not self.count or self.request.reports:
            return
        if not fetch_value(self.session, f"SELECT EXISTS (SELECT FROM {parent.name.quoted})"):
            raise RecoveryError(
                ErrorKind.ROWS_MISSING,
                f"{parent.name} has no row, so that all {self._dropped:,} ids in {self.count:,} rows of "
                f"{self.target.name} would be removed.",
                next_step=f"Restore {parent.name} from a backup set first.",
            )

    def _query(self) -> str:
        parent, column = self.others[_PARENT], self._column.quoted
        own = parent.require_column(self._request.references.column)
        matches = equal("u.value", self._element, f"p.{own.quoted}", own.compared)
        once = "e.found AND e.number = 1" if self._request.duplicates == "drop" else "e.found"
        again = "e.found AND e.number > 1" if self._request.duplicates == "drop" else "false"
        keys = "".join(f", l.{key}" for key in self._keys)
        return (
            f"SELECT l.ctid AS {_PLACE}, l.tableoid AS {_TABLE}{keys}, "
            f"r.kept AS {_KEPT}, r.dropped AS {_DROPPED}, r.repeated AS {_REPEATED} "
            f"FROM {self.target.source} l CROSS JOIN LATERAL ("
            f"SELECT coalesce(pg_catalog.array_agg(e.value ORDER BY e.place) FILTER (WHERE {once}), '{{}}') AS kept, "
            f"{_texts('NOT e.found')} AS dropped, {_texts(again)} AS repeated FROM ("
            f"SELECT u.value, u.place, EXISTS (SELECT FROM {parent.name.quoted} p WHERE {matches}) AS found, "
            "pg_catalog.row_number() OVER (PARTITION BY u.value ORDER BY u.place) AS number "
            f"FROM pg_catalog.unnest(l.{column}) WITH ORDINALITY u (value, place)) e) r "
            "WHERE r.dropped IS NOT NULL OR r.repeated IS NOT NULL"
        )

    def _list(self) -> None:
        """The first rows, in the order of their keys."""
        keys = ", ".join(f"f.{key}" for key in self._keys)
        texts = ", ".join(output_text(f"f.{key}") for key in self._keys)
        arrays = (output_text(name) for name in (f"l.{self._column.quoted}", f"f.{_KEPT}"))
        before, after = (f"pg_catalog.left({text}, {_WIDTH + 1})" for text in arrays)
        rows = fetch_all(
            self.session,
            f"SELECT pg_catalog.json_build_array({texts})::text, f.{_DROPPED}, f.{_REPEATED}, "
            f"pg_catalog.cardinality(f.{_KEPT}), {before}, {after} FROM {_FOUND} f JOIN {self.target.source} l "
            f"ON {_SAME_PLACE} ORDER BY {keys} LIMIT {LISTED}",
        )
        names = self._key().columns
        for key, dropped, repeated, kept, old, new in rows:
            values = dict(zip(names, json.loads(key)))
            self.rows.append({"key": values, "dropped": dropped or [], "duplicates": repeated or [], "kept": kept})
            named = ", ".join(f"{name}={value}" for name, value in values.items())
            self.lines.append(tuple(f"{named}, {self._column.name}={_short(text)}" for text in (old, new)))  # type: ignore[arg-type]


def _texts(condition: str) -> str:
    return f"pg_catalog.array_agg({output_text('e.value')} ORDER BY e.place) FILTER (WHERE {condition})"


def _short(text: str) -> str:
    return text[:_WIDTH] + ("…" if len(text) > _WIDTH else "")
