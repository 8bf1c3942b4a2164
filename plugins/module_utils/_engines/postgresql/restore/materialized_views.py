# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Populates the materialized views of an archive, whose rows no archive holds.

PostgreSQL runs the query of a materialized view as its owner, who cannot take another role within it.
"""

from __future__ import annotations

import typing as t

from ..archive.object_errors import ObjectFailure
from ..archive.toc import Toc
from ..server.connection import Connection, ConnectionOptions, connection, fetch_value, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import server_message

KIND = "MATERIALIZED VIEW DATA"


def refresh(options: ConnectionOptions, toc: Toc, *, search_path: str, timeout: float = 0) -> t.List[ObjectFailure]:
    """Refresh in the order of the archive, in which a view comes after those that it reads.

    search_path is that of the database: a function of the query may name tables without their schema.
    timeout, in seconds, bounds each view where it is not 0. Returns the views that stay without rows.
    """
    entries = toc.of_kind(KIND)
    if not entries:
        return []
    failures = []
    with connection(options, application="lifeline.recovery restore") as conn:
        for entry in entries:
            name = quote_identifier(entry.schema, entry.tag)
            if not fetch_value(conn, "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'm'", (name,)):
                continue
            reason = _refresh(conn, name, "", timeout)
            if reason is not None:
                reason = _refresh(conn, name, search_path, timeout)
            if reason is not None:
                failures.append(
                    ObjectFailure(
                        f"materialized view {entry.schema}.{entry.tag}",
                        f"it is without rows, because its refresh failed: {reason}",
                        entry.definition.strip(),
                    )
                )
    return failures


def left_empty(toc: Toc) -> t.Tuple[ObjectFailure, ...]:
    """The materialized views that have rows when they are refreshed, for a restore that does not."""
    return tuple(
        ObjectFailure(f"materialized view {entry.schema}.{entry.tag}", "it is without rows, as the options ask for")
        for entry in toc.of_kind(KIND)
    )


def _refresh(conn: Connection, name: str, search_path: str, timeout: float) -> t.Optional[str]:
    try:
        with conn.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (search_path,))
            cursor.execute("SELECT pg_catalog.set_config('statement_timeout', %s, true)", (f"{int(timeout * 1000)}ms",))
            cursor.execute(f"REFRESH MATERIALIZED VIEW {name}")
            cursor.execute("COMMIT")
    except psycopg2.Error as error:
        if conn.closed or error.pgcode is None:
            raise
        with conn.cursor() as cursor:
            cursor.execute("ROLLBACK")
        return server_message(error)
    return None
