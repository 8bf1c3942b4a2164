# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a database that is dumped: patterns, and the tables that they apply to.

A table that is left out is left out with its partitions and inheritance children, which hold its rows.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.nearest import nearest
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from ..server.names import QualifiedName
from .patterns import is_name, is_schema, table_matcher, unquoted

#: The first pg_dump that leaves out children by itself: https://www.postgresql.org/docs/16/app-pgdump.html
_CHILDREN_SINCE = 16

#: The kinds that pg_dump applies patterns for tables to.
_RELATIONS = """
    SELECT c.oid, n.nspname, c.relname, c.relispartition FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY n.nspname, c.relname
"""

_CHILDREN = "SELECT i.inhparent, i.inhrelid FROM pg_inherits i ORDER BY i.inhrelid"

_SCHEMAS = "SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_' ORDER BY n.nspname"

#: pg_dump applies a pattern without a schema by the default search path of the session, which connections replace.
_DEFAULT_PATH = "SELECT s.reset_val FROM pg_settings s WHERE s.name = 'search_path'"


@dataclass(frozen=True)
class Selection:
    """The part of a database that is dumped. Patterns are those of pg_dump; tables are given as C(schema.table)."""

    include_schemas: t.Tuple[str, ...] = ()
    exclude_schemas: t.Tuple[str, ...] = ()
    exclude_tables: t.Tuple[str, ...] = ()
    exclude_table_data: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Relations:
    """The relations of a database. children: the partitions and inheritance children of each. path: search path.

    partitions: the relations that are partitions.
    """

    names: t.Mapping[int, QualifiedName]
    children: t.Mapping[int, t.Sequence[int]]
    schemas: t.Sequence[str]
    path: t.Sequence[str]
    partitions: t.AbstractSet[int] = frozenset()

    def with_children(self, oids: t.Iterable[int]) -> t.Set[int]:
        """These relations, their children, and the children of those."""
        found: t.Set[int] = set()
        pending = list(oids)
        while pending:
            oid = pending.pop()
            if oid not in found:
                found.add(oid)
                pending.extend(self.children.get(oid, ()))
        return found & set(self.names)


def read_relations(conn: Connection, path: t.Sequence[str]) -> Relations:
    """The relations that the snapshot of the connection shows; path as read by read_path."""
    children: t.Dict[int, t.List[int]] = {}
    for parent, child in fetch_all(conn, _CHILDREN):
        children.setdefault(parent, []).append(child)
    found = fetch_all(conn, _RELATIONS)
    return Relations(
        {oid: QualifiedName(schema, name) for oid, schema, name, _is_partition in found},
        children,
        [row[0] for row in fetch_all(conn, _SCHEMAS)],
        path,
        frozenset(row[0] for row in found if row[3]),
    )


def read_path(conn: Connection) -> t.Tuple[str, ...]:
    """The schemas that pg_dump finds tables in that are named without a schema. No transaction may be open."""
    default = fetch_value(conn, _DEFAULT_PATH)
    with conn.cursor() as cursor:
        cursor.execute("BEGIN READ ONLY")
        try:
            cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (default,))
            # A qualified call without operators: the path that is in force may be that of another role.
            cursor.execute("SELECT pg_catalog.current_schemas(false)")
            return tuple(cursor.fetchone()[0])
        finally:
            cursor.execute("ROLLBACK")


class DumpScope:
    """The relations that a dump of a selection holds, with the state of the catalog that relations show."""

    def __init__(self, selection: Selection, relations: Relations) -> None:
        self.selection, self._relations = selection, relations
        self._tables = _Exclusion(selection.exclude_tables, relations)
        self._rows = _Exclusion(selection.exclude_table_data, relations)

    def is_dumped(self, schema: str, name: str) -> bool:
        """Whether pg_dump writes the definition of a table, for which it locks the table."""
        chosen = self.selection
        if chosen.include_schemas and not any(is_schema(pattern, schema) for pattern in chosen.include_schemas):
            return False
        if any(is_schema(pattern, schema) for pattern in chosen.exclude_schemas):
            return False
        return (schema, name) not in self._tables.names

    def has_rows_dumped(self, schema: str, name: str) -> bool:
        """Whether pg_dump writes the rows of a table."""
        return self.is_dumped(schema, name) and (schema, name) not in self._rows.names

    def arguments(self, major: int) -> t.List[str]:
        """The options of pg_dump of this major version that take exactly what the selection names."""
        return [
            *(f"--schema={pattern}" for pattern in self.selection.include_schemas),
            *(f"--exclude-schema={pattern}" for pattern in self.selection.exclude_schemas),
            *self._tables.arguments("--exclude-table", major),
            *self._rows.arguments("--exclude-table-data", major),
        ]

    def missing_rows(self) -> t.List[QualifiedName]:
        """The tables, partitions and children included, whose definitions are dumped without their rows."""
        return sorted(name for name in self._rows.names if self.is_dumped(*name))

    def missing_partitions(self) -> t.Dict[QualifiedName, QualifiedName]:
        """The dumped tables that have partitions without definition in the dump, each with one of these."""
        names, known = self._relations.names, self._relations
        parents = {
            child: parent for parent, found in known.children.items() for child in found if child in known.partitions
        }
        missing: t.Dict[QualifiedName, QualifiedName] = {}
        for child in sorted(known.partitions & set(parents)):
            if self.is_dumped(*names[child]):
                continue
            parent: t.Optional[int] = parents[child]
            while parent is not None and parent in names:
                if self.is_dumped(*names[parent]):
                    missing.setdefault(names[parent], names[child])
                parent = parents.get(parent)
        return missing

    def require_known(self, named: Selection) -> t.List[str]:
        """Notes on patterns of named that match nothing; a name that matches nothing is refused.

        named is the part of the selection that the operator wrote. Raises RecoveryError(invalid_options).
        """
        notes = []
        for option, patterns in (
            ("include_schemas", named.include_schemas),
            ("exclude_schemas", named.exclude_schemas),
        ):
            for pattern in patterns:
                if not any(is_schema(pattern, schema) for schema in self._relations.schemas):
                    notes.append(_unmatched(option, "schema", pattern, self._relations.schemas))
        tables = [str(name) for name in self._relations.names.values()]
        for option, exclusion, patterns in (
            ("exclude_tables", self._tables, named.exclude_tables),
            ("exclude_table_data", self._rows, named.exclude_table_data),
        ):
            for pattern in patterns:
                if pattern in exclusion.unmatched:
                    # A table of this name in a schema outside the search path comes first.
                    last = unquoted(pattern)[-1]
                    same = [str(name) for name in self._relations.names.values() if name.name == last]
                    notes.append(_unmatched(option, "table", pattern, tables, same))
        return notes


class _Exclusion:
    """Patterns for tables. names: what they match, with children. unmatched: patterns that match nothing."""

    def __init__(self, patterns: t.Sequence[str], relations: Relations) -> None:
        self._patterns = patterns
        known = frozenset(relations.names.values())
        matched: t.Set[int] = set()
        self.unmatched: t.List[str] = []
        for pattern in patterns:
            matches = table_matcher(pattern, relations.path, known)
            found = {oid for oid, name in relations.names.items() if matches(*name)}
            matched |= found
            if not found:
                self.unmatched.append(pattern)
        closed = relations.with_children(matched)
        self.names = frozenset(relations.names[oid] for oid in closed)
        self._children = sorted(relations.names[oid] for oid in closed - matched)

    def arguments(self, option: str, major: int) -> t.List[str]:
        if major >= _CHILDREN_SINCE:
            return [f"{option}-and-children={pattern}" for pattern in self._patterns]
        return [
            *(f"{option}={pattern}" for pattern in self._patterns),
            *(f"{option}={quote_identifier(*name)}" for name in self._children),
        ]


def _unmatched(option: str, noun: str, pattern: str, known: t.Sequence[str], same: t.Sequence[str] = ()) -> str:
    """The note on a pattern; a name raises RecoveryError, because its rows would be in the set unnoticed."""
    if not is_name(pattern):
        return f"The pattern {pattern!r} of `{option}` matches no {noun}."
    near = same[0] if same else nearest(".".join(unquoted(pattern)), known)
    raise RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"`{option}` must name {noun}s that exist, and the database has no {noun} {pattern}.",
        left="No backup set was written; earlier sets are unchanged.",
        next_step=f"{f'Did you mean {near}? ' if near else ''}Correct the name, or remove it from the list.",
    )
