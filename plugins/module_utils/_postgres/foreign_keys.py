# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Foreign keys proved by anti-join, because a constraint that claims to be valid may not be."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all, fetch_value, quote_identifier

_KEYS = """
    SELECT o.conname, n.nspname, c.relname, pn.nspname, p.relname, o.confmatchtype::text,
           ARRAY(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY k(num, pos)
                 JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.num ORDER BY k.pos),
           ARRAY(SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY k(num, pos)
                 JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.num ORDER BY k.pos)
    FROM pg_constraint o
    JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class p ON p.oid = o.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE o.contype = 'f' AND o.conparentid = 0 AND (%(validated)s OR o.convalidated)
      AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s))
    ORDER BY n.nspname, c.relname, o.conname
"""


@dataclass(frozen=True)
class ForeignKey:
    """columns of schema.table refer to parent_columns of the parent; full is MATCH FULL."""

    name: str
    schema: str
    table: str
    parent_schema: str
    parent_table: str
    full: bool
    columns: t.Tuple[str, ...]
    parent_columns: t.Tuple[str, ...]


def foreign_keys(
    conn: Connection, schemas: t.Optional[t.Sequence[str]] = None, *, include_not_valid: bool = True
) -> t.List[ForeignKey]:
    """Every foreign key of the catalog; those of partitions are covered by their parent's."""
    rows = fetch_all(conn, _KEYS, {"schemas": list(schemas) if schemas else None, "validated": include_not_valid})
    return [
        ForeignKey(name, schema, table, parent_schema, parent, match == "f", tuple(columns), tuple(parents))
        for name, schema, table, parent_schema, parent, match, columns, parents in rows
    ]


def violation_filter(key: ForeignKey) -> str:
    """FROM and WHERE of the child rows, alias C(child), that have no parent."""
    equal = " AND ".join(
        f"parent.{quote_identifier(parent)} = child.{quote_identifier(column)}"
        for column, parent in zip(key.columns, key.parent_columns)
    )
    present = [f"child.{quote_identifier(column)} IS NOT NULL" for column in key.columns]
    relevant = f"({' OR '.join(present)})" if key.full else " AND ".join(present)
    return (
        f"FROM {quote_identifier(key.schema, key.table)} child WHERE {relevant} AND NOT EXISTS "
        f"(SELECT FROM {quote_identifier(key.parent_schema, key.parent_table)} parent WHERE {equal})"
    )


def count_violations(conn: Connection, key: ForeignKey) -> int:
    return int(fetch_value(conn, f"SELECT count(*) {violation_filter(key)}"))
