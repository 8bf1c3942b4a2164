# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables and columns from the system catalogs. SQL for PostgreSQL 14 to 18."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all, fetch_value

#: Relations that hold rows of users: their own, and those of extensions. pg_dump dumps rows of an extension only
#: where its script marked the table as configuration, and then those that meet the condition.
_TABLES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'm', s.size, c.relrowsecurity, c.relforcerowsecurity,
           pg_has_role(c.relowner, 'USAGE'), c.relispopulated, coalesce(e.extname, ''),
           coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    CROSS JOIN LATERAL (SELECT coalesce(pg_table_size(c.oid), 0) AS size) s
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
      AND (%(schemas)s::text[] IS NULL
           OR (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[])))
    ORDER BY s.size DESC, n.nspname, c.relname
"""

#: Virtual generated columns are no data: PostgreSQL computes them from the other columns when they are read.
_COLUMNS = """
    SELECT a.attrelid, a.attname, a.atttypid
    FROM pg_attribute a
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped AND (%s OR a.attgenerated <> 'v')
    ORDER BY a.attrelid, a.attnum
"""

_TYPES = """
    SELECT t.oid, t.typname, t.typtype::text, t.typbasetype, t.typelem,
           t.typnamespace = 'pg_catalog'::regnamespace AND t.oid < 16384, t.typcategory::text,
           CASE WHEN t.typsend <> 0 THEN p.proname END
    FROM pg_type t LEFT JOIN pg_proc p ON p.oid = t.typsend
"""

#: Definitions that a change of rows must leave unchanged: columns, row security, and which triggers fire.
_DEFINITIONS = """
    SELECT c.oid, c.relrowsecurity, c.relforcerowsecurity,
           ARRAY(SELECT ROW(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull)::text FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum),
           ARRAY(SELECT ROW(g.oid, g.tgenabled)::text FROM pg_trigger g WHERE g.tgrelid = c.oid ORDER BY g.oid),
           ARRAY(SELECT ROW(o.oid, o.convalidated)::text FROM pg_constraint o WHERE o.conrelid = c.oid ORDER BY o.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))
    ORDER BY c.oid
"""


@dataclass(frozen=True)
class Table:
    """One relation that holds rows itself. size is in bytes, with TOAST; blind is true when RLS would hide rows.

    extension names the extension whose configuration the table holds, or is empty. condition is the SQL clause that
    its rows must meet to be dumped; it may be empty.
    """

    oid: int
    schema: str
    name: str
    size: int
    blind: bool
    is_view: bool = False
    is_populated: bool = True
    extension: str = ""
    condition: str = ""


@dataclass(frozen=True)
class ColumnType:
    """The type under its domains. name is empty unless it is a plain type of pg_catalog.

    send is the function in pg_catalog that gives its bytes, where these mean the same in every database, else
    empty. element is the type of the elements of an array of a plain type of pg_catalog.
    """

    name: str
    is_array: bool = False
    send: str = ""
    element: str = ""


@dataclass(frozen=True)
class ServerFacts:
    """The identity of a server and its database."""

    version: str
    version_num: int
    system_identifier: t.Optional[str]
    database: str
    encoding: str
    collation: str
    byte_order: str
    in_recovery: bool

    @property
    def major(self) -> int:
        return self.version_num // 10000


def available_extensions(conn: Connection) -> t.Set[str]:
    """The names of the extensions whose files the server has."""
    return {str(row[0]) for row in fetch_all(conn, "SELECT name FROM pg_catalog.pg_available_extensions")}


def system_identifier(conn: Connection) -> t.Optional[str]:
    """The identifier that a cluster and its standbys share; None if the role may not read it."""
    if not fetch_value(conn, "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"):
        return None
    return t.cast(str, fetch_value(conn, "SELECT system_identifier::text FROM pg_control_system()"))


def server_facts(conn: Connection) -> ServerFacts:
    with conn.cursor() as cursor:
        cursor.execute("""
            SELECT current_setting('server_version'), current_setting('server_version_num')::int, version(),
                   d.datname, pg_encoding_to_char(d.encoding), d.datcollate, pg_is_in_recovery()
            FROM pg_database d WHERE d.datname = current_database()
        """)
        version, number, long_version, database, encoding, collation, in_recovery = cursor.fetchone()
    identifier = system_identifier(conn)
    # Row hashes depend on it; version() names the platform the server was built for.
    order = "big" if any(part in long_version for part in ("s390", "powerpc64-", "ppc64-", "sparc")) else "little"
    return ServerFacts(version, number, identifier, database, encoding, collation, order, in_recovery)


def user_tables(conn: Connection, names: t.Optional[t.Collection[t.Tuple[str, str]]] = None) -> t.List[Table]:
    """Every table with rows of its own (leaf partitions, not their parents), or those of the names; largest first.

    Tables of extensions are left out.
    """
    return [table for table in stored_relations(conn, names) if not table.is_view and not table.extension]


def stored_relations(conn: Connection, names: t.Optional[t.Collection[t.Tuple[str, str]]] = None) -> t.List[Table]:
    """Every relation whose rows pg_dump knows: tables, leaf partitions, materialized views, extension configuration.

    The size of a table waits for the table's lock, so that names keep tables out that do not matter.
    """
    wanted = None if names is None else sorted(names)
    given = {
        "schemas": None if wanted is None else [schema for schema, _name in wanted],
        "names": None if wanted is None else [name for _schema, name in wanted],
    }
    role = fetch_all(conn, "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    sees_all = bool(role and role[0][0])
    return [
        Table(
            oid, schema, name, size, secured and not sees_all and (forced or not owned), is_view, populated,
            extension, condition,
        )
        for oid, schema, name, is_view, size, secured, forced, owned, populated, extension, condition
        in fetch_all(conn, _TABLES, given)
    ]  # fmt: skip


def column_types(
    conn: Connection, oids: t.Sequence[int], *, virtual: bool = False
) -> t.Dict[int, t.List[t.Tuple[str, ColumnType]]]:
    """Table oid to its columns in order, each with the type under its domains; virtual ones only if asked for."""
    types = {row[0]: _Type(*row[1:]) for row in fetch_all(conn, _TYPES)}
    columns: t.Dict[int, t.List[t.Tuple[str, ColumnType]]] = {oid: [] for oid in oids}
    for oid, name, type_oid in fetch_all(conn, _COLUMNS, (list(oids), virtual)):
        columns[oid].append((name, _column_type(types, type_oid)))
    return columns


def definitions(conn: Connection, relations: t.Iterable[t.Tuple[str, str]]) -> t.List[t.Tuple[t.Any, ...]]:
    """The current definitions of these (schema, name) relations, for a later comparison."""
    names = list(relations)
    parameters = {"schemas": [schema for schema, _name in names], "names": [name for _schema, name in names]}
    return fetch_all(conn, _DEFINITIONS, parameters)


@dataclass(frozen=True)
class _Type:
    name: str
    kind: str
    base: int
    element: int
    is_builtin: bool
    category: str
    send: t.Optional[str]


def _column_type(types: t.Mapping[int, _Type], oid: int) -> ColumnType:
    found = types[oid]
    while found.kind == "d":
        oid, found = found.base, types[found.base]
    if not found.is_builtin:
        return ColumnType("")
    is_array = found.category == "A" and bool(found.element)
    element = types[found.element] if is_array else None
    return ColumnType(
        found.name if found.kind == "b" and not is_array else "",
        is_array,
        found.send or "" if _is_portable(types, found) else "",
        element.name if element is not None and element.is_builtin and element.kind == "b" else "",
    )


def _is_portable(types: t.Mapping[int, _Type], found: _Type) -> bool:
    """Whether the bytes hold no OID, which another database gives to the same thing differently."""
    if found.category == "A" and found.element:
        return _is_portable(types, types[found.element])
    return found.is_builtin and found.kind in "brm" and not found.name.startswith("reg")
