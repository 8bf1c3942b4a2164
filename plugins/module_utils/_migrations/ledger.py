# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ledger of applied migrations, as "supabase migration" keeps it, and the ledgers of other tools.

The table and its columns: https://github.com/supabase/cli (pkg/migration/history.go, 1d1e7191). An old table has the
column version only; the Management API adds columns, which stay unchanged.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value, quote_identifier, quote_literal
from .._engines.postgresql.server.names import QualifiedName
from .script import SEPARATOR

_RELATION = """
SELECT c.oid, c.relkind::text,
  ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal ORDER BY 1),
  c.relhasrules, c.relrowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""

_COLUMNS = """
SELECT attname::text, format_type(atttypid, NULL)
FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
"""

#: The types that the columns have, and those that other versions of the tool gave them.
_TYPES = {
    "version": ("text", "character varying", "bigint"),
    "name": ("text", "character varying"),
    "statements": ("text[]", "character varying[]"),
}

#: The digest of Script.digest. sha256() also exists on servers in FIPS mode, which have no md5().
_DIGEST = f"encode(sha256(convert_to(array_to_string(statements, {quote_literal(SEPARATOR)}), 'UTF8')), 'hex')"


@dataclass(frozen=True)
class Row:
    """A recorded migration. digest: of its statements; None if the ledger does not have them."""

    version: str
    name: t.Optional[str] = None
    digest: t.Optional[str] = None


@dataclass(frozen=True)
class Ledger:
    """A ledger as it was read. columns: empty if the table does not exist. rows: by version."""

    name: QualifiedName
    columns: t.FrozenSet[str] = frozenset()
    rows: t.Mapping[str, Row] = field(default_factory=dict)
    has_schema: bool = True

    @property
    def definitions(self) -> t.List[str]:
        """The statements that create or upgrade the table; none if it is complete."""
        table, found = self.name.quoted, []
        if not self.has_schema:
            found.append(f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(self.name.schema)}")
        if not self.columns:
            found.append(f"CREATE TABLE IF NOT EXISTS {table} (version pg_catalog.text NOT NULL PRIMARY KEY)")
        added = {"statements": "pg_catalog.text[]", "name": "pg_catalog.text"}
        return found + [
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}"
            for column, kind in added.items()
            if column not in self.columns
        ]


def read_ledger(conn: Connection, name: QualifiedName) -> Ledger:
    """Raises RecoveryError(unsupported) for a table that is no ledger, or that would run code of its owner."""
    found = fetch_all(conn, _RELATION, tuple(name))
    if not found:
        return Ledger(name, has_schema=fetch_value(conn, "SELECT to_regnamespace(%s)", (_schema(name),)) is not None)
    oid, kind, triggers, has_rules, has_policies = found[0]
    if kind != "r":
        raise _unusable(name, "it is no table")
    if triggers or has_rules:
        raise _unusable(name, f"it has the trigger {triggers[0]}" if triggers else "it has a rule")
    if has_policies:
        raise _unusable(name, "row-level security may hide its rows")
    types = dict(fetch_all(conn, _COLUMNS, (oid,)))
    if "version" not in types:
        raise _unusable(name, "it has no column version")
    if {"dirty", "inserted_at"} & set(types):
        raise _unusable(name, "it is that of golang-migrate or Ecto")
    for column, accepted in _TYPES.items():
        if types.get(column, accepted[0]) not in accepted:
            raise _unusable(name, f"the column {column} has the type {types[column]}")
    columns = frozenset(types)
    rows = [Row(*row) for row in fetch_all(conn, _rows_query(name, columns))]
    return Ledger(name, columns, {row.version: row for row in rows})


def _rows_query(name: QualifiedName, columns: t.Collection[str]) -> str:
    title = "name::text" if "name" in columns else "NULL"
    digest = f"CASE WHEN statements IS NOT NULL THEN {_DIGEST} END" if "statements" in columns else "NULL"
    return f"SELECT version::text, {title}, {digest} FROM {name.quoted} ORDER BY 1"


def recorded_statements(conn: Connection, name: QualifiedName, versions: t.Sequence[str]) -> t.Dict[str, t.List[str]]:
    """The statements that the ledger has of these versions, by version; without those that it has none of."""
    query = f"SELECT version::text, statements::text[] FROM {name.quoted} WHERE version::text = ANY (%s)"
    return {
        version: [one or "" for one in statements]
        for version, statements in fetch_all(conn, query, (list(versions),))
        if statements is not None
    }


def record(conn: Connection, name: QualifiedName, version: str, title: str, statements: t.Sequence[str]) -> None:
    """Insert the row of a migration, or replace it. Names are qualified, because the session has any search path."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {name.quoted} (version, name, statements) VALUES (%s, %s, %s::pg_catalog.text[]) "
            "ON CONFLICT (version) DO UPDATE SET name = EXCLUDED.name, statements = EXCLUDED.statements",
            (version, title, list(statements)),
        )


def forget(conn: Connection, name: QualifiedName, versions: t.Sequence[str]) -> None:
    """Delete the rows of these versions."""
    with conn.cursor() as cursor:
        for version in versions:
            cursor.execute(f"DELETE FROM {name.quoted} WHERE version = %s", (version,))


class OtherLedger(t.NamedTuple):
    """A ledger of another tool. failed: its last migration did not end."""

    tool: str
    table: QualifiedName
    failed: str

    def __str__(self) -> str:
        return f"{self.table} of {self.tool}{self.failed}"


#: Tables of other tools: the name, columns that it has, and the tool. A longer list of columns is tried first.
_TOOLS: t.Sequence[t.Tuple[str, t.FrozenSet[str], str]] = (
    ("schema_migrations", frozenset(["version", "dirty"]), "golang-migrate"),
    ("schema_migrations", frozenset(["version", "inserted_at"]), "Ecto"),
    ("schema_migrations", frozenset(["version"]), "dbmate or Rails"),
    ("flyway_schema_history", frozenset(["installed_rank"]), "Flyway"),
    ("_prisma_migrations", frozenset(["migration_name"]), "Prisma"),
    ("databasechangelog", frozenset(["exectype"]), "Liquibase"),
    ("alembic_version", frozenset(["version_num"]), "Alembic"),
    ("django_migrations", frozenset(["app"]), "Django"),
    ("knex_migrations", frozenset(["batch"]), "Knex"),
    ("__drizzle_migrations", frozenset(["hash"]), "Drizzle"),
    ("goose_db_version", frozenset(["version_id"]), "goose"),
    ("changes", frozenset(["change_id", "project"]), "Sqitch"),
)

#: Tables outside of the schemas that a platform upgrades itself.
_CANDIDATES = """
SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text),
  has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relname = ANY (%s) AND n.nspname <> ALL (%s)
GROUP BY n.nspname, c.relname, c.oid, n.oid ORDER BY 1, 2
"""

_PLATFORM = ("auth", "storage", "realtime", "_realtime", "supabase_functions", "_analytics", "_supavisor", "net")

#: Whether the last migration of a tool failed, for tools that record that.
_FAILURES = {
    "golang-migrate": "SELECT ', which is dirty at version ' || version FROM {table} WHERE dirty LIMIT 1",
    "Flyway": "SELECT ', in which version ' || coalesce(version, script) || ' failed' FROM {table} WHERE NOT success",
    "Prisma": "SELECT ', in which ' || migration_name || ' did not end' FROM {table} "
    "WHERE finished_at IS NULL AND rolled_back_at IS NULL",
}


def other_ledgers(conn: Connection, own: QualifiedName) -> t.List[OtherLedger]:
    """The ledgers of other tools in the database."""
    names = sorted({name for name, _columns, _tool in _TOOLS})
    found = []
    for schema, table, columns, is_readable in fetch_all(conn, _CANDIDATES, (names, list(_PLATFORM))):
        name = QualifiedName(schema, table)
        tool = next((tool for known, has, tool in _TOOLS if known == table and has <= set(columns)), None)
        if tool is None or name == own or (table == "schema_migrations" and "statements" in columns):
            continue
        failed = _failure(conn, tool, name) if is_readable else ""
        found.append(OtherLedger(tool, name, failed))
    return found


def _failure(conn: Connection, tool: str, name: QualifiedName) -> str:
    """The sentence about a failed migration. The columns of a table that only looks like a ledger have other types."""
    if tool not in _FAILURES:
        return ""
    types = dict(fetch_all(conn, _COLUMNS, (fetch_value(conn, _RELATION, tuple(name)),)))
    plain = ("text", "character varying", "bigint", "integer", "boolean", "timestamp with time zone")
    needed = {"golang-migrate": ("version", "dirty"), "Flyway": ("version", "script", "success")}
    columns = needed.get(tool, ("migration_name", "finished_at", "rolled_back_at"))
    if any(types.get(column) not in plain for column in columns):
        return ""
    return str(fetch_value(conn, _FAILURES[tool].format(table=name.quoted)) or "")


def _schema(name: QualifiedName) -> str:
    return quote_identifier(name.schema)


def _unusable(name: QualifiedName, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNSUPPORTED,
        f"`ledger` must be the table of migrations that the Supabase CLI keeps, got {name}: {why}.",
        next_step="Check `ledger`. Migrations of other tools are applied by these tools.",
    )
