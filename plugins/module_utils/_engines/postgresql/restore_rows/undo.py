# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live rows that are kept so that a merge can be undone."""

from __future__ import annotations

from ..archive.statements import Column
from ..server.connection import quote_identifier
from .description import SetTable
from .merge import KIND, PLACE, TABLE
from .rows_set import RowsToKeep
from .staging import Staged


def rows_to_keep(staged: Staged) -> RowsToKeep:
    """The rows as they are that will be changed or deleted, and the keys of all that will be touched.

    Restored in mode exact, the rows come back, and rows of those keys that were not there go again.
    """
    target = staged.target
    columns = tuple(Column(column.name, column.type) for _name, column in staged.matching.pairs)
    listed = ", ".join(f"l.{column}" for column in staged.columns)
    keys = ", ".join(f"c.{quote_identifier(name)}" for name in staged.key_columns)
    rows = (
        f"SELECT {listed} FROM {target.source} l JOIN {staged.changes} c "
        f"ON c.{PLACE} = l.ctid AND c.{TABLE} = l.tableoid WHERE c.{KIND} IN ('update', 'delete')"
    )
    if target.key is None:
        # Rows without a key count, so all that equal a touched one are kept.
        touched = f"SELECT {staged.text('c')} FROM {staged.changes} c"
        rows = f"SELECT {listed} FROM {target.source} l WHERE {staged.text('l')} IN ({touched})"
    return RowsToKeep(
        SetTable(target.name, columns, target.key.columns if target.key else (), ()),
        rows,
        f"SELECT {keys} FROM {staged.changes} c",
    )
