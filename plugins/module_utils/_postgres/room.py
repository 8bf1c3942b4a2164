# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes room within a live database for what an archive holds, in the transaction that loads it."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .connection import Connection, fetch_all, quote_identifier
from .toc import Toc

#: What lies outside some schemas and could fall with them.
_OUTSIDE = """
    SELECT 'relation ' || c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace::regnamespace::text <> ALL (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace::regnamespace::text <> ALL (%(schemas)s)
    UNION ALL
    SELECT 'constraint ' || o.conname || ' on ' || o.conrelid::regclass::text FROM pg_constraint o
    WHERE o.connamespace::regnamespace::text <> ALL (%(schemas)s)
    UNION ALL
    SELECT 'column ' || a.attname || ' of ' || a.attrelid::regclass::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace::regnamespace::text <> ALL (%(schemas)s) AND a.attnum > 0 AND NOT a.attisdropped
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

#: As initdb makes it; the archive holds only how it was changed since.
_PUBLIC = (
    "CREATE SCHEMA public AUTHORIZATION {owner}",
    "GRANT USAGE{create} ON SCHEMA public TO PUBLIC",
    "COMMENT ON SCHEMA public IS 'standard public schema'",
)


def statements_that_make_room(conn: Connection, toc: Toc) -> t.List[str]:
    """SQL that drops what the archive brings, and nothing else.

    Raises RecoveryError(unsupported) when something outside would fall with it.
    """
    schemas = _schemas(conn, toc)
    statements = [f"DROP SCHEMA {quote_identifier(schema)} CASCADE" for schema in schemas]
    if statements:
        _refuse_collateral(conn, schemas, statements)
    if "public" in schemas:
        modern = conn.server_version >= 150000
        owner, create = ("pg_database_owner", "") if modern else ("CURRENT_USER", ", CREATE")
        statements += [statement.format(owner=owner, create=create) for statement in _PUBLIC]
    for kind in ("PUBLICATION", "EVENT TRIGGER"):
        statements += [f"DROP {kind} IF EXISTS {quote_identifier(entry.tag)}" for entry in toc.of_kind(kind)]
    if toc.of_kind("BLOBS"):
        statements.append("SELECT pg_catalog.count(pg_catalog.lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata")
    return statements


def _schemas(conn: Connection, toc: Toc) -> t.List[str]:
    named = {entry.tag for entry in toc.of_kind("SCHEMA")} | {entry.schema for entry in toc.entries if entry.schema}
    there = {row[0] for row in fetch_all(conn, "SELECT nspname FROM pg_namespace")}
    return sorted(name for name in named & there if not name.startswith("pg_"))


def _refuse_collateral(conn: Connection, schemas: t.Sequence[str], statements: t.Sequence[str]) -> None:
    """Do it for a moment in a transaction that is rolled back, and see what else is gone."""
    quoted = {
        "schemas": [row[0] for row in fetch_all(conn, "SELECT quote_ident(s) FROM unnest(%s) s", (list(schemas),))]
    }
    before = {row[0] for row in fetch_all(conn, _OUTSIDE, quoted)}
    with conn.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute(_OUTSIDE, quoted)
            lost = sorted(before - {row[0] for row in cursor.fetchall()})
        finally:
            cursor.execute("ROLLBACK")
    if lost:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"Replacing the content would also remove {len(lost)} things outside the set: {', '.join(lost[:5])}.",
            left="The database is as it was.",
            next_step="Use mode swap, or drop these first and make them again afterwards.",
            details={"lost": lost},
        )
