# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows that a logical dump leaves out because their table belongs to an extension."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..server.connection import ConnectionOptions, fetch_all, fetch_value, quote_identifier
from .fingerprint import Scope, snapshot_reader


@dataclass(frozen=True)
class ExtensionRows:
    """A table with rows that no set holds. rows is None where the role may not read the table."""

    schema: str
    table: str
    extension: str
    rows: t.Optional[int]

    def __str__(self) -> str:
        rows = "rows" if self.rows is None else f"{self.rows} rows"
        return f"{rows} of {self.schema}.{self.table}, a table of the extension {self.extension}"


_TABLES = """
    SELECT n.nspname, c.relname, e.extname,
           has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    WHERE c.relkind = 'r' ORDER BY n.nspname, c.relname
"""


def rows_left_out(
    options: ConnectionOptions, snapshot: str, scope: Scope, lock_timeout: float
) -> t.List[ExtensionRows]:
    """Tables of extensions that hold rows and are not in the scope of the dump, as the snapshot shows them.

    lock_timeout is in seconds. Raises RecoveryError(unreachable, access_denied).
    """
    with snapshot_reader(options, snapshot, lock_timeout) as conn:
        found = []
        for schema, name, extension, readable in fetch_all(conn, _TABLES):
            if (schema, name) in scope.tables:
                continue
            rows = (
                fetch_value(conn, f"SELECT count(*) FROM ONLY {quote_identifier(schema, name)}") if readable else None
            )
            if rows != 0:
                found.append(ExtensionRows(schema, name, extension, rows))
    return found
