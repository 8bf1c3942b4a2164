# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the system catalogs say: tables, columns, structure. SQL for PostgreSQL 14 to 18."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from .connection import Connection, fetch_all, fetch_value

#: Relations of users: not the system's, and not made by an extension.
_USER_RELATION = """
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

_TABLES = f"""
    SELECT c.oid, n.nspname, c.relname, pg_table_size(c.oid), c.relrowsecurity, c.relforcerowsecurity,
           pg_has_role(c.relowner, 'USAGE')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_USER_RELATION}
      AND (%(schemas)s::text[] IS NULL
           OR (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[])))
    ORDER BY pg_table_size(c.oid) DESC, n.nspname, c.relname
"""

_COLUMNS = """
    SELECT a.attrelid, a.attname, a.atttypid
    FROM pg_attribute a
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""

_TYPES = """
    SELECT t.oid, t.typname, t.typtype::text, t.typbasetype, t.typelem, t.typnamespace = 'pg_catalog'::regnamespace,
           t.typcategory::text
    FROM pg_type t
"""

#: Category to a query that gives (identity, definition). What another major version prints in other
#: words is compared by identity alone; NOT NULL constraints are left out because only 18 lists them.
_STRUCTURE = {
    "schemas": """
        SELECT quote_ident(n.nspname), coalesce(array_to_string(ARRAY(
                   SELECT a::text FROM unnest(n.nspacl) a WHERE a::text !~ '^pg_' ORDER BY 1), ','), '')
        FROM pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
    """,
    "extensions": "SELECT quote_ident(extname), '' FROM pg_extension WHERE extname <> 'plpgsql'",
    "types": """
        SELECT format('%I.%I', n.nspname, t.typname),
               t.typtype::text || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                                            FROM pg_enum e WHERE e.enumtypid = t.oid), '')
               || coalesce(format_type(nullif(t.typbasetype, 0), t.typtypmod), '')
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype IN ('e', 'd', 'r') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    """,
    "functions": """
        SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
               concat_ws(' ', p.prokind, l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
                         format_type(p.prorettype, NULL), p.proconfig, p.prosrc)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    """,
}

#: The same for what belongs to a relation; {relations} is the filter on pg_class c and pg_namespace n.
_RELATION_STRUCTURE = {
    "relations": """
        SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text || c.relpersistence::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {relations}
    """,
    "columns": """
        SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname),
               concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                         pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND {relations}
    """,
    "constraints": """
        SELECT format('%I on %I.%I', o.conname, n.nspname, c.relname), pg_get_constraintdef(o.oid)
        FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE o.contype IN ('c', 'f', 'p', 'u', 'x') AND {relations}
    """,
    "indexes": """
        SELECT format('%I.%I', n.nspname, i.relname), pg_get_indexdef(i.oid)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE x.indisvalid AND {relations}
    """,
    "triggers": """
        SELECT format('%I on %I.%I', g.tgname, n.nspname, c.relname), g.tgenabled::text || pg_get_triggerdef(g.oid)
        FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT g.tgisinternal AND {relations}
    """,
    "row security": """
        SELECT format('%I.%I', n.nspname, c.relname), concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND {relations}
    """,
    "policies": """
        SELECT format('%I on %I.%I', p.polname, n.nspname, c.relname),
               concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
                         pg_get_expr(p.polwithcheck, p.polrelid),
                         ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE r::regrole::text END
                               FROM unnest(p.polroles) r ORDER BY 1))
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {relations}
    """,
    "grants": """
        SELECT format('%s on %I.%I to %s', g.privilege_type, n.nspname, c.relname,
                      CASE WHEN g.grantee = 0 THEN 'public' ELSE g.grantee::regrole::text END), g.is_grantable::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
        WHERE g.grantee <> c.relowner AND {relations}
    """,
}


@dataclass(frozen=True)
class Table:
    """One table that holds rows itself. size is in bytes, with TOAST; blind is true when RLS would hide rows."""

    oid: int
    schema: str
    name: str
    size: int
    blind: bool


@dataclass(frozen=True)
class ColumnType:
    """A type name of pg_catalog, or an empty name for any other; is_array for arrays of such a type."""

    name: str
    is_array: bool = False


@dataclass(frozen=True)
class ServerFacts:
    """What identifies a server and its database."""

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


def server_facts(conn: Connection) -> ServerFacts:
    with conn.cursor() as cursor:
        cursor.execute("""
            SELECT current_setting('server_version'), current_setting('server_version_num')::int, version(),
                   d.datname, pg_encoding_to_char(d.encoding), d.datcollate, pg_is_in_recovery(),
                   has_function_privilege('pg_control_system()', 'EXECUTE')
            FROM pg_database d WHERE d.datname = current_database()
        """)
        version, number, long_version, database, encoding, collation, in_recovery, may_identify = cursor.fetchone()
    identifier = fetch_value(conn, "SELECT system_identifier::text FROM pg_control_system()") if may_identify else None
    # Row hashes depend on it; version() names the platform the server was built for.
    order = "big" if any(part in long_version for part in ("s390", "powerpc64-", "ppc64-", "sparc")) else "little"
    return ServerFacts(version, number, identifier, database, encoding, collation, order, in_recovery)


def user_tables(conn: Connection, names: t.Optional[t.Collection[t.Tuple[str, str]]] = None) -> t.List[Table]:
    """Every table with rows of its own (leaf partitions, not their parents), or those of the names; largest first.

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
        Table(oid, schema, name, size or 0, secured and not sees_all and (forced or not owned))
        for oid, schema, name, size, secured, forced, owned in fetch_all(conn, _TABLES, given)
    ]


def column_types(conn: Connection, oids: t.Sequence[int]) -> t.Dict[int, t.List[t.Tuple[str, ColumnType]]]:
    """Table oid to its columns in order, each with the type under its domains."""
    types = {row[0]: row[1:] for row in fetch_all(conn, _TYPES)}
    columns: t.Dict[int, t.List[t.Tuple[str, ColumnType]]] = {oid: [] for oid in oids}
    for oid, name, type_oid in fetch_all(conn, _COLUMNS, (list(oids),)):
        columns[oid].append((name, _resolve(types, type_oid)))
    return columns


def structure(
    conn: Connection, relations: t.Optional[t.Collection[t.Tuple[str, str]]] = None
) -> t.Dict[str, t.Dict[str, str]]:
    """Category to {identity: digest of the definition}; limited to some (schema, name) relations."""
    found = {category: _digests(fetch_all(conn, sql)) for category, sql in _STRUCTURE.items()}
    condition, parameters = _USER_RELATION, None
    if relations is not None:
        condition += " AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))"
        parameters = {
            "schemas": [schema for schema, _name in relations],
            "names": [name for _schema, name in relations],
        }
    for category, sql in _RELATION_STRUCTURE.items():
        statement = sql.replace("{relations}", condition)
        if parameters is not None:
            statement = statement.replace("%I", "%%I").replace("to %s'", "to %%s'").replace("'%s on", "'%%s on")
        found[category] = _digests(fetch_all(conn, statement, parameters))
    return found


def _digests(rows: t.Iterable[t.Tuple[t.Any, ...]]) -> t.Dict[str, str]:
    return {identity: hashlib.sha256((definition or "").encode()).hexdigest()[:16] for identity, definition in rows}


def _resolve(types: t.Mapping[int, t.Tuple[t.Any, ...]], oid: int) -> ColumnType:
    name, kind, base, element, is_builtin, category = types[oid]
    if kind == "d":
        return _resolve(types, base)
    if not is_builtin:
        return ColumnType("")
    if category == "A" and element:
        inner = _resolve(types, element)
        return ColumnType(inner.name, is_array=True)
    return ColumnType(name if kind == "b" else "")
