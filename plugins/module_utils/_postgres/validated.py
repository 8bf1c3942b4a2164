# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constraints of an archive that run code of users over rows when they are added: they are added as their owner.

pg_dump adds a check behind the rows where the check depends on the table that it belongs to. PostgreSQL validates it
with the rights of the session. The expressions of indexes and the queries of materialized views it runs as the owner.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .confined import Confined, may_act_for
from .connection import Connection, fetch_value, quote_identifier
from .object_errors import ObjectFailure
from .toc import Toc, TocEntry

try:
    import psycopg2
except ImportError:
    psycopg2 = None  # type: ignore[assignment]


def split_validated(toc: Toc) -> t.Tuple[Toc, t.Tuple[TocEntry, ...]]:
    """The archive without constraints that run code of users; these, with the comments on them, in their order.

    A foreign key compares by operators of the server, unless a cast of users leads from one type to the other.
    """
    casts = any("AS IMPLICIT" in entry.definition for entry in toc.of_kind("CAST"))
    kinds = ("CHECK CONSTRAINT", "FK CONSTRAINT") if casts else ("CHECK CONSTRAINT",)
    numbers = {entry.dump_id for entry in toc.of_kind(*kinds)}
    chosen = tuple(
        entry
        for entry in toc.entries
        if entry.dump_id in numbers or (entry.kind == "COMMENT" and numbers.intersection(entry.dependencies))
    )
    return replace(toc, entries=tuple(entry for entry in toc.entries if entry not in chosen)), chosen


def add_validated(conn: Connection, entries: t.Iterable[TocEntry], *, confine: bool) -> t.List[ObjectFailure]:
    """Run the definitions within the open transaction; the entries that PostgreSQL refused.

    With confine, each runs with no more rights than its owner has, where the session may act for the owner.
    """
    failures = []
    with conn.cursor() as cursor:
        for entry in entries:
            cursor.execute("SAVEPOINT object")
            try:
                if confine and may_act_for(conn, entry.owner):
                    _add_confined(conn, entry)
                else:
                    cursor.execute(entry.definition)
                cursor.execute("RELEASE SAVEPOINT object")
            except psycopg2.Error as error:
                if error.pgcode is None:
                    raise
                cursor.execute("ROLLBACK TO SAVEPOINT object")
                failures.append(ObjectFailure(entry.title, str(error.diag.message_primary), entry.definition.strip()))
    return failures


def _add_confined(conn: Connection, entry: TocEntry) -> None:
    """The owner of a table needs USAGE on its schema to alter it, which the archive grants only at its end."""
    lacks = "SELECT NOT has_schema_privilege(%s::name, %s, 'USAGE')"
    schema, owner = quote_identifier(entry.schema), quote_identifier(entry.owner)
    granted = entry.schema and fetch_value(conn, lacks, (entry.owner, entry.schema))
    with conn.cursor() as cursor:
        if granted:
            cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {owner}")
        Confined(conn, entry.owner).run(entry.definition)
        if granted:
            cursor.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM {owner}")
