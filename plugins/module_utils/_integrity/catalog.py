# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Catalog queries of the checks: existing relations, and whether the role can read every row of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import Connection, fetch_all, quote_identifier
from .._engines.postgresql.server.foreign_keys import Relation
from .._engines.postgresql.server.names import QualifiedName
from .check import CannotVerify, NotThere
from .options import OptionReader

TABLES = "rpf"
RELATIONS = "rpfvm"
SEQUENCES = "S"


@dataclass(frozen=True)
class Column:
    """A row of pg_attribute with its type from pg_type. category: typcategory of the type under any domain."""

    name: str
    type_oid: int
    type_name: str
    category: str
    element_oid: int

    @property
    def quoted(self) -> str:
        return quote_identifier(self.name)


@dataclass(frozen=True)
class Scope:
    """The schemas of a check of the whole catalog; every schema except those of the system if none is named."""

    schemas: t.Tuple[str, ...] = ()
    excluded: t.Tuple[str, ...] = ()

    @classmethod
    def read(cls, options: OptionReader) -> Scope:
        return cls(options.texts("schemas"), options.texts("exclude_schemas"))

    def __str__(self) -> str:
        return ", ".join(self.schemas) or "all schemas"

    def resolve(self, conn: Connection) -> t.List[str]:
        """The names of the existing schemas. Raises NotThere for a missing one that is named."""
        present = [row[0] for row in fetch_all(conn, _SCHEMAS)]
        missing = [name for name in self.schemas if name not in present]
        if missing:
            raise NotThere(f"There is no schema {', '.join(missing)}.")
        return [name for name in self.schemas or present if name not in self.excluded]


_SCHEMAS = """
SELECT nspname::text FROM pg_namespace
WHERE nspname !~ '^pg_(toast|temp|catalog)' AND nspname <> 'information_schema' ORDER BY 1
"""

_RELATION = """
SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = ANY (%s)
"""

_SIMILAR = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE lower(c.relname) = lower(%s) AND c.relkind = ANY (%s) AND n.nspname !~ '^pg_'
ORDER BY lower(n.nspname) = lower(%s) DESC, 1, 2 LIMIT 1
"""

_RIGHTS = """
SELECT current_user::text, n.nspname::text, has_schema_privilege(n.oid, 'USAGE'),
  has_table_privilege(c.oid, 'SELECT'), has_any_column_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""

_COLUMNS = """
SELECT a.attname::text, b.oid, format_type(a.atttypid, a.atttypmod), b.typcategory::text,
  CASE WHEN b.typcategory = 'A' THEN b.typelem ELSE 0 END
FROM pg_attribute a
JOIN pg_type y ON y.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN y.typbasetype = 0 THEN y.oid ELSE y.typbasetype END
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""

_PRIMARY_KEY = """
SELECT a.attname::text
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %s AND i.indisprimary ORDER BY k.position
"""


def find_relation(conn: Connection, name: QualifiedName, kinds: str = RELATIONS) -> Relation:
    """Find a relation regardless of rights. Raises NotThere, with the most similar existing name."""
    found = fetch_all(conn, _RELATION, [*name, list(kinds)])
    if found:
        return Relation(found[0][0], name, found[0][1])
    similar = fetch_all(conn, _SIMILAR, [name.name, list(kinds), name.schema])
    hint = f" There is {QualifiedName(*similar[0])}." if similar else ""
    noun = "sequence" if kinds == SEQUENCES else "table"
    raise NotThere(f"The {noun} {name} does not exist.{hint}")


def readable_relation(conn: Connection, name: QualifiedName, kinds: str = RELATIONS) -> Relation:
    """As find_relation. Raises CannotVerify if the role may not read it, or would not see all its rows."""
    relation = find_relation(conn, name, kinds)
    obstacle = reading_obstacle(conn, relation)
    if obstacle:
        raise CannotVerify(obstacle)
    return relation


def reading_obstacle(conn: Connection, relation: Relation) -> t.Optional[str]:
    """One sentence on the right that is missing to read all rows, or None."""
    role, schema, schema_usage, table, any_column, blinded = fetch_all(conn, _RIGHTS, [relation.oid])[0]
    if not schema_usage:
        return f"The role {role} lacks USAGE on the schema {schema}."
    if not table and not any_column:
        return f"The role {role} lacks SELECT on {relation.name}."
    if blinded:
        return (
            f"Row-level security would hide rows of {relation.name} from the role {role}: "
            "it needs BYPASSRLS, or to own a table without FORCE ROW LEVEL SECURITY."
        )
    return None


class Obstacles:
    """The missing rights that keep a check from some of the relations that it reads."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._found: t.Dict[str, None] = {}

    def hide(self, *relations: Relation) -> bool:
        """Whether a right to read all rows of these relations is missing."""
        found = [text for text in (reading_obstacle(self._conn, relation) for relation in relations) if text]
        self._found.update(dict.fromkeys(found))
        return bool(found)

    def added_to(self, message: str, *, passed: bool) -> str:
        """The message of a check with the missing rights. Raises CannotVerify where the check would pass."""
        if self._found and passed:
            raise CannotVerify(" ".join(self._found))
        return f"{message} Others could not be verified: {' '.join(self._found)}" if self._found else message


def find_columns(conn: Connection, relation: Relation, names: t.Sequence[str]) -> t.List[Column]:
    """The columns in the requested order. Raises NotThere, with the most similar existing name."""
    present = {row[0]: Column(*row) for row in fetch_all(conn, _COLUMNS, [relation.oid])}
    for name in names:
        if name not in present:
            similar = [known for known in present if known.lower() == name.lower()]
            hint = f" There is {similar[0]}." if similar else ""
            raise NotThere(f"The column {name} of {relation.name} does not exist.{hint}")
    return [present[name] for name in names]


def primary_key(conn: Connection, relation: Relation) -> t.List[str]:
    """The columns of the primary key in its order; empty when there is none."""
    return [row[0] for row in fetch_all(conn, _PRIMARY_KEY, [relation.oid])]


def row_columns(conn: Connection, relation: Relation, further: t.Sequence[str], alias: str) -> str:
    """A select list that identifies a row: the primary key, then the checked columns."""
    names = list(dict.fromkeys([*primary_key(conn, relation), *further]))
    return ", ".join(f"{alias}.{quote_identifier(name)}" for name in names)
