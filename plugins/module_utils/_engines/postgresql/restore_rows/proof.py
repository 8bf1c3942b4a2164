# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proof of a merge: sequences beyond the values of their columns, complete tables equal to the set."""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.manifest import Manifest
from ..server import catalog
from ..server.confined import Session
from ..server.connection import fetch_all, quote_identifier
from ..server.names import QualifiedName
from ..server.row_hash import algorithm_of, table_statement
from ..server.sequences import sequence_uses
from .merge import UNTOUCHED
from .selection import ChosenRows
from .staging import Staged


def advance_sequences(conn: Session, tables: t.Collection[QualifiedName]) -> t.List[str]:
    """Move the sequences of these tables past their columns, never back; the names of those that moved.

    Unlike rows, a sequence keeps its place when the transaction is taken back, which costs numbers and nothing else.
    """
    moved = []
    for use in sequence_uses(conn.raw, sorted({name.schema for name in tables})):
        if use.table.name not in tables or use.cycles:
            continue
        furthest, beyond = ("max", ">") if use.increment > 0 else ("min", "<")
        column, sequence = quote_identifier(use.column), use.sequence.name.quoted
        found = fetch_all(
            conn,
            f"SELECT pg_catalog.setval('{sequence.replace(chr(39), chr(39) * 2)}'::regclass, m.value::bigint) "
            f"FROM (SELECT {furthest}({column}) AS value FROM {use.table.name.quoted}) m, {sequence} q "
            f"WHERE m.value {beyond} q.last_value OR (m.value = q.last_value AND NOT q.is_called)",
        )
        if found:
            moved.append(str(use.sequence.name))
    return moved


def compare_complete_tables(
    conn: Session, chosen: t.Optional[ChosenRows], made: t.FrozenSet[QualifiedName], manifest: Manifest
) -> t.Dict[str, t.Any]:
    """Compare the digests of tables that were restored whole, or made again, with the set's; equal is None without any.

    Raises RecoveryError(not_equal).
    """
    if manifest.fingerprint is None or manifest.fingerprint.mode != "full":
        return {"equal": None, "tables": 0}
    names = set(made)
    partitions: t.Mapping[QualifiedName, QualifiedName] = {}
    if chosen is not None:
        partitions = chosen.partitions
        names |= {
            staged.table.name
            for staged in chosen.tables
            if staged.table.name in chosen.complete and _is_unchanged(staged) and not staged.table.keys
        }
    wanted = {
        (table.schema, table.name): table
        for table in manifest.fingerprint.tables
        if _lineage(QualifiedName(table.schema, table.name), partitions) & names
    }
    tables = [table for table in catalog.user_tables(conn.raw) if (table.schema, table.name) in wanted]
    columns = catalog.column_types(conn.raw, [table.oid for table in tables])
    algorithm = algorithm_of(manifest.fingerprint.algorithm)
    for table in tables:
        rows, digest = fetch_all(conn, table_statement(table, columns[table.oid], "full", algorithm))[0]
        expected = wanted[table.schema, table.name]
        if (rows, digest) != (expected.rows, expected.digest):
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The table {table.schema}.{table.name} has {rows} rows and does not equal the set's "
                f"{expected.rows} rows.",
                left=UNTOUCHED,
                next_step="A trigger or rule changed rows: set `triggers` to disable.",
            )
    return {"equal": True if tables else None, "tables": len(tables)}


def _lineage(name: QualifiedName, partitions: t.Mapping[QualifiedName, QualifiedName]) -> t.Set[QualifiedName]:
    """The table and all that it is a partition of."""
    names = {name}
    while name in partitions:
        name = partitions[name]
        names.add(name)
    return names


def _is_unchanged(staged: Staged) -> bool:
    """Whether the columns are the set's, with their types, so that digests can be compared."""
    target = [column for column in staged.target.columns if not column.generated]
    pairs = staged.matching.pairs
    return (
        not staged.matching.gone
        and len(pairs) == len(target)
        and all(name == column.name and staged.table.type_of(name) == column.type for name, column in pairs)
    )
