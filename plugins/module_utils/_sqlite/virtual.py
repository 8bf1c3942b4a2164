# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual tables: which can be made again, and how."""

from __future__ import annotations

import re
import typing as t

from .schema import Schema, Table, quoted

_FTS = re.compile(r"CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+fts5\s*\((?P<arguments>.*)\)\s*$", re.IGNORECASE | re.DOTALL)
_CONTENT = re.compile(r"\bcontent\s*=\s*(?P<quote>['\"]?)(?P<name>.*?)(?P=quote)\s*(?:,|$)", re.IGNORECASE | re.DOTALL)


def refilled(table: Table) -> t.Optional[str]:
    """How a virtual table gets its content back: C(rows) or C(rebuild); None when it cannot."""
    found = _FTS.match(table.sql)
    if found is None:
        return None
    content = _CONTENT.search(found.group("arguments"))
    if content is None:
        return "rows"
    return "rebuild" if content.group("name") else None


def rebuild(table: Table) -> str:
    """The statement that makes a full-text index again from the table that it is of."""
    return f"INSERT INTO {quoted(table.name)}({quoted(table.name)}) VALUES ('rebuild')"


def not_covered(schema: Schema) -> t.List[str]:
    """The virtual tables that stay empty after a restore: a full-text index without content, and other kinds."""
    return [table.name for table in schema.of_kind("virtual") if refilled(table) is None]


def with_rows(schema: Schema) -> t.List[Table]:
    """The tables whose rows are read: plain ones, and full-text ones that hold their own."""
    return [
        table
        for table in schema.tables
        if table.kind == "table" or (table.kind == "virtual" and refilled(table) == "rows")
    ]
