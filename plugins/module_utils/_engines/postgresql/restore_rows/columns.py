# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pairs the columns of a set's table with those of the target table."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..server.catalog_columns import CatalogColumn
from .description import SetTable
from .target_tables import TargetTable


@dataclass(frozen=True)
class Matching:
    """pairs: (column of the set, live column). gone: columns of the set that the target table no longer has."""

    pairs: t.Tuple[t.Tuple[str, CatalogColumn], ...]
    gone: t.Tuple[str, ...]

    def target_name(self, column: str) -> t.Optional[str]:
        return next((target.name for name, target in self.pairs if name == column), None)

    def set_name(self, column: str) -> t.Optional[str]:
        return next((name for name, target in self.pairs if target.name == column), None)


def match_columns(table: SetTable, target: TargetTable, column_map: t.Mapping[str, str], *, tolerant: bool) -> Matching:
    """Pair the columns by name, or by column_map (set to live).

    Raises RecoveryError(schema_drift) for any difference unless tolerant, and invalid_options for a wrong map.
    """
    of_objects = (*table.rows, *([table.keys] if table.keys else []))
    stored = dict.fromkeys(name for rows in of_objects for name in rows.columns)
    if not of_objects:
        stored = dict.fromkeys(column.name for column in table.columns)
    for old, new in column_map.items():
        if old not in stored or target.column(new) is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`column_map` of {table.name} maps {old!r} to {new!r}, "
                + (f"which {target.name} lacks." if old in stored else "and the set has no such column."),
                next_step="Map columns of the set to columns of the live table.",
            )
    pairs, gone = [], []
    for name in stored:
        column = target.column(column_map.get(name, name))
        if column is None or column.generated:
            gone.append(name)
        else:
            pairs.append((name, column))
    matched = Matching(tuple(pairs), tuple(gone))
    drift = _drift(table, target, matched)
    if drift and not tolerant:
        raise RecoveryError(
            ErrorKind.SCHEMA_DRIFT,
            f"The table {target.name} is not what it was: {'; '.join(drift)}.",
            next_step="Map renamed columns with `column_map`, or set `on_schema_drift` to common_columns.",
            details={"drift": drift},
        )
    if target.key and not set(target.key.columns) <= {column.name for _name, column in pairs}:
        raise RecoveryError(
            ErrorKind.SCHEMA_DRIFT,
            f"The key of {target.name} ({', '.join(target.key.columns)}) has columns that the set lacks.",
            next_step="Map them with `column_map`, or restore into another schema.",
        )
    return matched


def _drift(table: SetTable, target: TargetTable, matched: Matching) -> t.List[str]:
    found = [f"its column {name} is gone" for name in matched.gone]
    taken = {column.name for _name, column in matched.pairs}
    found += [
        f"the set does not know its column {column.name}"
        for column in target.columns
        if column.name not in taken and not column.generated
    ]
    for name, column in matched.pairs:
        before = table.type_of(name)
        if before is not None and before != column.type:
            found.append(f"its column {column.name} was {before} and is {column.type}")
    return found
