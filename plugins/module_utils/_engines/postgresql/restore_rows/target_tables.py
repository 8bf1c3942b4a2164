# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables that rows are restored into, from the catalog of the target."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.statements import Reference
from ..server.catalog_columns import CatalogColumn, catalog_columns
from ..server.connection import Connection, fetch_all, fetch_value, quote_identifier
from ..server.foreign_keys import ForeignKey, foreign_keys
from ..server.names import QualifiedName


@dataclass(frozen=True)
class UniqueKey:
    """Columns that identify rows, and the equality operator of each, with its schema."""

    name: str
    columns: t.Tuple[str, ...]
    operators: t.Tuple[str, ...]
    primary: bool
    nullable: bool


@dataclass(frozen=True)
class TargetTable:
    """kind: relkind. keys: its whole, valid unique indexes over plain columns, the primary key first.

    triggers: (name, tgenabled) of the triggers that people made and that fire.
    """

    oid: int
    name: QualifiedName
    kind: str
    columns: t.Tuple[CatalogColumn, ...]
    keys: t.Tuple[UniqueKey, ...]
    triggers: t.Tuple[t.Tuple[str, str], ...]
    owned: bool

    @property
    def source(self) -> str:
        """For FROM: its own rows, or those of all its partitions."""
        return ("" if self.kind == "p" else "ONLY ") + self.name.quoted

    @property
    def key(self) -> t.Optional[UniqueKey]:
        """The key of its rows: the primary key, or else a unique key whose columns are never null."""
        return next((key for key in self.keys if not key.nullable), None)

    def column(self, name: str) -> t.Optional[CatalogColumn]:
        return next((column for column in self.columns if column.name == name), None)

    def require_column(self, name: str) -> CatalogColumn:
        """Raises RecoveryError(schema_drift) for a column that the table lacks."""
        column = self.column(name)
        if column is None:
            raise RecoveryError(
                ErrorKind.SCHEMA_DRIFT,
                f"The table {self.name} has no column {name}, which a reference names.",
                next_step="Correct `references`, or map the column with `column_map`.",
            )
        return column


def read_target_tables(conn: Connection, names: t.Iterable[QualifiedName]) -> t.Dict[QualifiedName, TargetTable]:
    """Those of the names that exist as tables. Needs a search_path without the schemas of users."""
    wanted = list(names)
    parameters = ([name.schema for name in wanted], [name.name for name in wanted])
    relations = fetch_all(conn, _RELATIONS, parameters)
    oids = [row[0] for row in relations]
    columns = catalog_columns(conn, oids)
    keys, triggers = (_by_table(fetch_all(conn, sql, {"tables": oids})) for sql in (_KEYS, _TRIGGERS))
    return {
        QualifiedName(schema, name): TargetTable(
            oid,
            QualifiedName(schema, name),
            kind,
            columns.get(oid, ()),
            tuple(UniqueKey(row[0], tuple(row[1]), tuple(row[2]), row[3], row[4]) for row in keys.get(oid, ())),
            tuple((row[0], row[1]) for row in triggers.get(oid, ())),
            owned,
        )
        for oid, schema, name, kind, owned in relations
    }


def read_target_references(conn: Connection) -> t.List[Reference]:
    """The foreign keys of the target as references."""
    return [
        Reference(key.table.name, key.columns, key.parent.name, key.parent_columns)
        for key in foreign_keys(conn)
        if not key.period
    ]


def keys_touching(
    conn: Connection, tables: t.Collection[QualifiedName], reduced: t.Collection[QualifiedName]
) -> t.List[ForeignKey]:
    """The valid foreign keys of these tables, and those to tables that lost or changed rows."""
    return [key for key in foreign_keys(conn) if key.valid and (key.table.name in tables or key.parent.name in reduced)]


def require_rights(
    conn: Connection,
    table: TargetTable,
    mode: str,
    *,
    role: t.Optional[str],
    disable_triggers: bool,
    read_only: bool = False,
) -> None:
    """Raise RecoveryError(access_denied or rls_blind) that names what the role lacks on the table.

    role: the one that works on the rows, or None for the login role.
    """
    name, enters, blind = fetch_all(conn, _SEES, (role, table.oid))[0]
    if not enters:
        raise _denied(name, ["USAGE"], f"SCHEMA {quote_identifier(table.name.schema)}")
    if blind:
        raise RecoveryError(
            ErrorKind.RLS_BLIND,
            f"Row level security hides rows of {table.name} from the role {name}.",
            next_step="Connect as the table's owner, a superuser, or a role with BYPASSRLS"
            f"{', or correct `run_as`' if role else ''}.",
        )
    needed = ["SELECT"]
    if not read_only:
        needed += {"missing": ["INSERT"], "merge": ["INSERT", "UPDATE"], "exact": ["INSERT", "UPDATE", "DELETE"]}[mode]
    lacking = [right for right in needed if not fetch_value(conn, _MAY, (name, table.oid, right))]
    if lacking:
        raise _denied(name, lacking, table.name.quoted)
    sequences = [] if read_only else fetch_all(conn, _SEQUENCES, (name, name, table.oid))
    for schema, sequence, select, update in sequences:
        lacking = ["SELECT"] * (not select) + ["UPDATE"] * (not update)
        if lacking:
            raise _denied(name, lacking, f"SEQUENCE {quote_identifier(schema, sequence)}")
    if disable_triggers and table.triggers and not table.owned and not read_only:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"Only the owner of {table.name} may disable its triggers ({', '.join(n for n, _s in table.triggers)}).",
            next_step="Connect as its owner, or set `triggers` to fire if what they do may happen again.",
        )


def require_readable(conn: Connection, role: t.Optional[str], keys: t.Iterable[ForeignKey]) -> None:
    """Raise RecoveryError(access_denied) for a table that the role cannot read, and the test of these keys must."""
    for table in dict.fromkeys(relation for key in keys for relation in (key.table, key.parent)):
        name, enters, may = fetch_all(conn, _READS, (role, table.oid))[0]
        if not enters:
            raise _denied(name, ["USAGE"], f"SCHEMA {quote_identifier(table.name.schema)}")
        if not may:
            raise _denied(name, ["SELECT"], table.name.quoted)


def _denied(role: str, lacking: t.Sequence[str], thing: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"The role {role} lacks the right {' and '.join(lacking)} on {thing}.",
        left="The live tables are unchanged.",
        next_step=f"GRANT {', '.join(lacking)} ON {thing} TO {quote_identifier(role)}, or connect as another role.",
    )


def _by_table(rows: t.Iterable[t.Tuple[t.Any, ...]]) -> t.Dict[int, t.List[t.Tuple[t.Any, ...]]]:
    """Rows by their first column, without it."""
    found: t.Dict[int, t.List[t.Tuple[t.Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row[1:])
    return found


_MAY = "SELECT has_table_privilege(%s::name, %s::oid, %s)"

_SEES = """
SELECT r.rolname::text, has_schema_privilege(r.oid, c.relnamespace, 'USAGE'),
  c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls)
  AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
FROM pg_class c CROSS JOIN pg_roles r WHERE r.rolname = coalesce(%s::name, current_user) AND c.oid = %s
"""

_READS = """
SELECT r.rolname::text, has_schema_privilege(r.oid, c.relnamespace, 'USAGE'),
  has_table_privilege(r.oid, c.oid, 'SELECT')
FROM pg_class c CROSS JOIN pg_roles r WHERE r.rolname = coalesce(%s::name, current_user) AND c.oid = %s
"""

#: Sequences that fill columns of the table; after a merge they are read and moved past the values of these columns.
_SEQUENCES = """
SELECT DISTINCT n.nspname::text, s.relname::text,
  has_sequence_privilege(%s::name, s.oid, 'SELECT'), has_sequence_privilege(%s::name, s.oid, 'UPDATE')
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s
  AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
ORDER BY 1, 2
"""

_RELATIONS = """
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, pg_has_role(c.relowner, 'USAGE')
FROM unnest(%s::text[], %s::text[]) w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
"""

_KEYS = """
SELECT x.indrelid, i.relname::text,
  ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int[]) WITH ORDINALITY u (n, p)
        JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.n WHERE u.p <= x.indnkeyatts ORDER BY u.p),
  ARRAY(SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)
        FROM unnest(x.indclass::oid[]) WITH ORDINALITY u (c, p)
        JOIN pg_opclass k ON k.oid = u.c
        JOIN pg_amop m ON m.amopfamily = k.opcfamily AND m.amopstrategy = 3
          AND m.amoplefttype = k.opcintype AND m.amoprighttype = k.opcintype
        JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE u.p <= x.indnkeyatts ORDER BY u.p),
  x.indisprimary,
  EXISTS (SELECT FROM unnest(x.indkey::int[]) WITH ORDINALITY u (n, p)
          JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.n
          WHERE u.p <= x.indnkeyatts AND NOT a.attnotnull)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am y ON y.oid = i.relam
WHERE x.indrelid = ANY (%(tables)s) AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
  AND y.amname = 'btree'
ORDER BY x.indrelid, x.indisprimary DESC, x.indnkeyatts, i.relname
"""

_TRIGGERS = """
SELECT g.tgrelid, g.tgname::text, g.tgenabled::text FROM pg_trigger g
WHERE g.tgrelid = ANY (%(tables)s) AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') ORDER BY 1, 2
"""
