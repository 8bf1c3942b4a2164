# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Columns of tables from the catalog: their types, and which of these types users may have created."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all, quote_identifier
from .equality import ComparedType, compared_types


@dataclass(frozen=True)
class CatalogColumn:
    """type as format_type writes it. identity: a, d or empty. generated: computed by the server.

    exact: values that the type calls equal have equal texts. native: reading the type's texts runs no code of users.
    landing: the type below any domain if texts of that one can be read so; otherwise text, which by_input notes.
    schema: that of the type below any domain. compared: how its values compare.
    """

    name: str
    type: str
    not_null: bool
    identity: str
    generated: bool
    exact: bool
    native: bool
    landing: str
    by_input: bool
    schema: str
    compared: ComparedType

    @property
    def quoted(self) -> str:
        return quote_identifier(self.name)


def catalog_columns(conn: Connection, tables: t.Sequence[int]) -> t.Dict[int, t.Tuple[CatalogColumn, ...]]:
    """The columns of tables by oid, in their order. Needs a search_path without the schemas of users."""
    rows = fetch_all(conn, _COLUMNS, {"tables": list(tables)})
    types = compared_types(conn, [row[-1] for row in rows])
    found: t.Dict[int, t.Tuple[CatalogColumn, ...]] = {}
    for row in rows:
        found[row[0]] = (*found.get(row[0], ()), CatalogColumn(*row[1:-1], *(types[oid] for oid in row[-1:])))
    return found


#: Users can make domains, enums, ranges and composite types; only a superuser can make a base type.
_COLUMNS = """
WITH RECURSIVE bases (asked, oid) AS (
  SELECT DISTINCT atttypid, atttypid FROM pg_attribute WHERE attrelid = ANY (%(tables)s) AND attnum > 0
  UNION ALL
  SELECT b.asked, y.typbasetype FROM bases b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype = 'd'
), known AS (
  SELECT b.asked, y.oid, n.nspname::text AS schema,
    CASE WHEN y.typcategory = 'A' AND y.typelem <> 0 THEN e.typtype ELSE y.typtype END IN ('b', 'e')
      OR n.nspname = 'pg_catalog' AS readable
  FROM bases b JOIN pg_type y ON y.oid = b.oid JOIN pg_namespace n ON n.oid = y.typnamespace
  LEFT JOIN pg_type e ON e.oid = y.typelem
  WHERE y.typtype <> 'd'
)
SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
  a.attgenerated <> '', coalesce(l.collisdeterministic, true), k.readable AND k.oid = a.atttypid,
  CASE WHEN k.readable AND k.oid = a.atttypid THEN format_type(a.atttypid, a.atttypmod)
       WHEN k.readable THEN format_type(k.oid, -1) ELSE 'text' END,
  NOT k.readable, k.schema, a.atttypid
FROM pg_attribute a JOIN known k ON k.asked = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = ANY (%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
