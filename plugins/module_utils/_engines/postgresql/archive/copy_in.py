# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads the rows of a set from the store into empty tables: largest table first, several tables in parallel."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ...._core.parallel import in_sessions
from ...._repository.fetch import proved_rows
from ...._repository.manifest import ObjectEntry
from ...._store.base import ObjectStore
from ..server.catalog_columns import catalog_columns
from ..server.confined import SAFE_PATH, Confined, drop_role, writing_role
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier
from ..server.driver import psycopg2
from ..server.landing import CopySource, land_rows
from ..server.refusals import server_message
from .object_errors import ObjectFailure
from .roles import NAME, unquote
from .statements import copied_columns
from .toc import Toc, TocEntry

_DEFAULT_PATH = '"$user", public'

#: undefined_table, undefined_function, undefined_object, invalid_schema_name, undefined_column
_NOT_FOUND = ("42P01", "42883", "42704", "3F000", "42703")

_COPY = re.compile(rf"COPY ({NAME})\.({NAME}) ")

#: Tables whose rows run functions of users when they are loaded: in checks of the table and of domains, in generated
#: columns, and in the parts of their types. Functions in C and those of extensions were made by a superuser.
#: A superuser's own table is among them only where one of the functions is not a superuser's.
#: Whether a session may take the role of an owner is a right of its own since 16.
_RUN_CODE = """
    WITH RECURSIVE wanted AS (
        SELECT c.oid, c.relowner, n.oid AS namespace, n.nspname, c.relname
        FROM unnest(%s::text[], %s::text[]) w (schema, name)
        JOIN pg_namespace n ON n.nspname = w.schema
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    ), reached (tab, classid, objid) AS (
        SELECT w.oid, x.classid, x.objid
        FROM wanted w CROSS JOIN LATERAL (
            SELECT 'pg_constraint'::regclass::oid, o.oid FROM pg_constraint o
            WHERE o.contype = 'c' AND o.conrelid IN (SELECT w.oid UNION SELECT relid FROM pg_partition_tree(w.oid))
            UNION ALL SELECT 'pg_attrdef'::regclass, f.oid FROM pg_attrdef f WHERE f.adrelid = w.oid
            UNION ALL SELECT 'pg_type'::regclass, a.atttypid FROM pg_attribute a
            WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) x (classid, objid)
        UNION
        SELECT r.tab, x.classid, x.objid
        FROM reached r CROSS JOIN LATERAL (
            SELECT d.refclassid, d.refobjid FROM pg_depend d
            WHERE d.classid = r.classid AND d.objid = r.objid AND d.deptype = 'n'
              AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
            UNION ALL SELECT 'pg_constraint'::regclass, o.oid FROM pg_constraint o
            WHERE r.classid = 'pg_type'::regclass AND o.contypid = r.objid
            UNION ALL SELECT 'pg_type'::regclass, part FROM pg_type y
            CROSS JOIN LATERAL (
                VALUES (y.typbasetype), (y.typelem)
                UNION ALL SELECT g.rngsubtype FROM pg_range g WHERE y.oid IN (g.rngtypid, g.rngmultitypid)
                UNION ALL SELECT a.atttypid FROM pg_attribute a
                WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            ) parts (part)
            WHERE r.classid = 'pg_type'::regclass AND y.oid = r.objid AND part <> 0
        ) x (classid, objid)
    )
    SELECT w.nspname, w.relname, w.oid, o.rolname, has_schema_privilege(o.oid, w.namespace, 'USAGE'),
           has_table_privilege(o.oid, w.oid, 'INSERT')
    FROM wanted w JOIN pg_roles o ON o.oid = w.relowner
    WHERE (o.rolname <> current_user OR o.rolsuper)
      AND pg_has_role(o.oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
      AND EXISTS (
          SELECT FROM reached r JOIN pg_proc p ON r.classid = 'pg_proc'::regclass AND p.oid = r.objid
          JOIN pg_language l ON l.oid = p.prolang JOIN pg_roles m ON m.oid = p.proowner
          WHERE r.tab = w.oid AND l.lanname NOT IN ('c', 'internal') AND p.oid >= 16384
            AND NOT (o.rolsuper AND m.rolsuper)
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                            AND d.deptype = 'e')
      )
"""


def load_rows(
    options: ConnectionOptions,
    toc: Toc,
    entries: t.Sequence[ObjectEntry],
    store: ObjectStore,
    *,
    jobs: int,
    search_path: str = _DEFAULT_PATH,
    as_owner: bool = True,
) -> t.List[ObjectFailure]:
    """COPY every data object into its table. The tables exist, and nothing refers to them yet.

    Each table is one transaction that is committed only after its object was proved by its digests.
    Rows are written frozen, so that later readers write nothing. Code that rows run (checks of tables and domains,
    generated columns) runs with no more than the rights of the table's owner if as_owner is true. If this code does not
    find an object, it runs a second time with the search_path of the database.
    Returns the tables whose rows PostgreSQL refused; the other tables are loaded.
    Raises RecoveryError(damaged, object_missing, unreachable) and those of the store.
    """
    by_path = {entry.path: entry for entry in entries}
    tables = [entry for entry in toc.of_kind("TABLE DATA") if entry.file_name in by_path]
    with contextlib.ExitStack() as stack:
        confined: t.Mapping[t.Tuple[str, str], int] = {}
        if as_owner:
            granting = stack.enter_context(connection(options, application="lifeline.recovery restore"))
            confined = stack.enter_context(tables_with_code(granting, toc))
        loader = Loader(toc, confined, search_path, SEPARATE)

        @contextlib.contextmanager
        def prepared() -> t.Iterator[Connection]:
            with connection(options, application="lifeline.recovery restore") as conn:
                _prepare(conn, toc)
                yield conn

        failures = in_sessions(
            sorted(tables, key=lambda table: -by_path[table.file_name].plain_size),
            prepared,
            lambda conn, table: loader.load(conn, table, lambda: proved_rows(store, by_path[table.file_name])),
            parallel=jobs,
        )
    return sorted((failure for failure in failures if failure is not None), key=lambda failure: failure.object)


def _prepare(conn: Connection, toc: Toc) -> None:
    """Apply the settings of the archive that define how its text is read."""
    with conn.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for entry in toc.of_kind("ENCODING", "STDSTRINGS"):
            cursor.execute(entry.definition)


class Statements(t.NamedTuple):
    """The SQL that begins, ends and undoes the load of one table."""

    begin: str
    end: str
    undo: str


#: Each table is a transaction.
SEPARATE = Statements("BEGIN", "COMMIT", "ROLLBACK")
#: All tables are in one transaction. The local settings of a table would outlast its savepoint.
NESTED = Statements(
    "SAVEPOINT rows",
    "SET LOCAL search_path = pg_catalog; RELEASE SAVEPOINT rows",
    "ROLLBACK TO SAVEPOINT rows",
)


class Loader:
    """Loads one table after another, in any thread. confined: the oids of tables whose rows run code of users."""

    def __init__(
        self, toc: Toc, confined: t.Mapping[t.Tuple[str, str], int], search_path: str, statements: Statements
    ) -> None:
        self._statements = statements
        self._made = {(entry.schema, entry.tag) for entry in toc.of_kind("TABLE")}
        self._confined, self._search_path = confined, search_path

    def load(
        self, conn: Connection, table: TocEntry, source: t.Callable[[], t.Iterator[bytes]]
    ) -> t.Optional[ObjectFailure]:
        """Load the rows that source gives; the failure when PostgreSQL refuses them."""
        error = self._copy(conn, table, CopySource(source()), "")
        if error is not None and error.pgcode in _NOT_FOUND:
            error = self._copy(conn, table, CopySource(source()), self._search_path)
        if error is None:
            return None
        # The context of a COPY quotes the row, so only its place is shown.
        place = re.search(r"COPY [^,]+, line \d+(?:, column [^:]+)?", error.diag.context or "")
        reason = server_message(error) + (f", {place.group(0)}" if place else "")
        return ObjectFailure(f"rows of table {table.schema}.{table.tag}", reason, table.copy_statement.strip())

    def _copy(self, conn: Connection, table: TocEntry, rows: CopySource, search_path: str) -> t.Any:
        """Copy in one transaction or savepoint; the error with which PostgreSQL refused the rows, or None."""
        statement = table.copy_statement.rstrip().rstrip(";")
        name = copy_target(table)
        try:
            with conn.cursor() as cursor:
                cursor.execute(self._statements.begin)
                role = writing_role(conn, [self._confined[name]]) if name in self._confined else None
                if role is not None:
                    self._copy_confined(conn, role, table, rows, search_path)
                    cursor.execute(self._statements.end)
                    return None
                if search_path:
                    cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (search_path,))
                # Only a table that was emptied in the same transaction may be frozen. Any other table is a
                # partitioned one that routes the rows, or belongs to an extension and has rows that must stay.
                if name == (table.schema, table.tag) and name in self._made:
                    cursor.execute(f"TRUNCATE ONLY {quote_identifier(*name)}")
                    statement += " WITH (FREEZE)"
                cursor.copy_expert(statement, rows)
                cursor.execute(self._statements.end)
        except psycopg2.Error as error:
            if conn.closed or error.pgcode is None:
                raise rows.failure or error from None
            with conn.cursor() as cursor:
                cursor.execute(self._statements.undo)
            if rows.failure is not None:
                raise rows.failure from None
            return error
        return None

    def _copy_confined(self, conn: Connection, role: str, table: TocEntry, rows: CopySource, search_path: str) -> None:
        """Land the rows first: code that runs within a COPY could take back the rights of the session."""
        name = copy_target(table)
        oid = self._confined[name]
        session = Confined(conn, role, path=f"{search_path}, pg_temp" if search_path else SAFE_PATH)
        known = {column.name: column for column in catalog_columns(conn, [oid]).get(oid, ())}
        columns = [(column, known[column]) for column in copied_columns(table.copy_statement)]
        quoted = quote_identifier(*name)
        land_rows(session, quoted, quoted, columns, rows)
        drop_role(conn, role)


def copy_target(table: TocEntry) -> t.Tuple[str, str]:
    """Schema and name of the table that the COPY statement of an entry fills.

    pg_dump loads a partition through the root of its tree where rows may belong to another partition on the target,
    as with hash partitions by an enum. An extension's table may be without a schema in no version up to 18.
    """
    match = _COPY.match(table.copy_statement)
    if match is None:
        return table.schema, table.tag
    schema, name = (unquote(part) for part in match.groups())
    return schema, name


@contextlib.contextmanager
def tables_with_code(conn: Connection, toc: Toc) -> t.Iterator[t.Dict[t.Tuple[str, str], int]]:
    """Tables of the archive whose rows run code of users, with their oids, for a Loader.

    An owner may lack USAGE on the schema or INSERT on the table. Those are granted within the context. An error leaves
    them granted: the caller drops the database or rolls back.
    """
    wanted = sorted({copy_target(entry) for entry in toc.of_kind("TABLE DATA")})
    rows = fetch_all(conn, _RUN_CODE, ([name[0] for name in wanted], [name[1] for name in wanted]))
    schemas = {(schema, owner) for schema, _name, _oid, owner, has_usage, _insert in rows if not has_usage}
    tables = {(schema, name, owner) for schema, name, _oid, owner, _usage, has_insert in rows if not has_insert}
    grants = [
        *((f"USAGE ON SCHEMA {quote_identifier(schema)}", owner) for schema, owner in sorted(schemas)),
        *((f"INSERT ON {quote_identifier(schema, name)}", owner) for schema, name, owner in sorted(tables)),
    ]
    with conn.cursor() as cursor:
        for what, owner in grants:
            cursor.execute(f"GRANT {what} TO {quote_identifier(owner)}")
        yield {(schema, name): oid for schema, name, oid, _owner, _usage, _insert in rows}
        for what, owner in grants:
            cursor.execute(f"REVOKE {what} FROM {quote_identifier(owner)}")
