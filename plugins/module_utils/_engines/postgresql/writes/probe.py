# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attempts to write as the application does: writes of no row, in a transaction that is rolled back.

A login of the application proves all means. Without its password, a statement with the rights of the role proves the
means of tables, and the catalog shows the others.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass

from ...._core.errors import ErrorKind, RecoveryError
from ..server.confined import Confined, run
from ..server.connection import (
    Connection,
    ConnectionOptions,
    connection_error,
    fetch_all,
    fetch_value,
    quote_identifier,
)
from ..server.driver import psycopg2
from ..server.names import QualifiedName
from ..server.refusals import NO_RIGHT, query_error, server_message
from .catalog import Table
from .triggers import PROBE, REFUSED

#: Tables that statements of one role are tried on; the catalog shows the triggers and rights of all tables.
_TRIED = 20

#: PostgreSQL gives the client no SQLSTATE of a refused login, and each of these is refused after the password was
#: checked. https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/init/miscinit.c
_LOGIN_REFUSED = re.compile(r"role .* is not permitted to log in|permission denied for database", re.DOTALL)

#: A table that the role may write to, and the right that it has; a right on a column comes last.
_WRITABLE = """
    SELECT n.nspname::text, c.relname::text, x.kind, x.columns[1]
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
      SELECT CASE WHEN has_table_privilege(%(role)s, c.oid, 'INSERT') THEN 'INSERT'
                  WHEN has_table_privilege(%(role)s, c.oid, 'DELETE') THEN 'DELETE'
                  WHEN has_any_column_privilege(%(role)s, c.oid, 'UPDATE') THEN 'UPDATE' END AS kind,
             ARRAY(SELECT b.attname::text FROM pg_attribute b
                   WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped
                     AND has_column_privilege(%(role)s, c.oid, b.attnum, 'UPDATE')
                   ORDER BY b.attnum LIMIT 1) AS columns) x
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (%(oids)s::oid[] IS NULL OR c.oid = ANY (%(oids)s::oid[]))
      AND has_schema_privilege(%(role)s, n.oid, 'USAGE') AND x.kind IS NOT NULL
    ORDER BY n.nspname, c.relname LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Probe:
    """One attempt. proof: C(login) of the application, C(statement) with its rights, or C(catalog).

    refused: whether writes are refused. reason: of the server, or the fact of the catalog.
    """

    role: str
    proof: str
    refused: bool
    reason: str


class Write(t.NamedTuple):
    """A statement that writes no row."""

    table: QualifiedName
    sql: str


def writes_of(
    conn: Connection, role: str, tables: t.Optional[t.Sequence[Table]] = None, *, limit: int = _TRIED
) -> t.List[Write]:
    """Writes that the role has the right to, by the catalog: to these tables, or to any table of the database."""
    given = {"role": role, "limit": limit, "oids": None if tables is None else [one.state.oid for one in tables]}
    return [
        Write(QualifiedName(schema, name), _write(QualifiedName(schema, name), kind, column))
        for schema, name, kind, column in fetch_all(conn, _WRITABLE, given)
    ]


def _write(table: QualifiedName, kind: str, column: t.Optional[str]) -> str:
    if kind == "INSERT":
        return f"INSERT INTO {table.quoted} SELECT WHERE false"
    if kind == "DELETE":
        return f"DELETE FROM {table.quoted} WHERE false"
    return f"UPDATE {table.quoted} SET {quote_identifier(column or '')} = DEFAULT WHERE false"


def try_login(options: ConnectionOptions, write: t.Optional[Write]) -> Probe:
    """Log in as the application, and write. Raises RecoveryError for a failure that is no refusal of the role."""
    role = options.keywords.get("user", "")
    try:
        # Without the settings of other connections of this collection, as the application has none of them.
        conn = psycopg2.connect(**options.keywords)
    except psycopg2.OperationalError as error:
        found = _LOGIN_REFUSED.search(str(error))
        if found is None:
            raise connection_error(options, str(error)) from None
        return Probe(role, "login", True, found[0])
    with contextlib.closing(conn):
        conn.autocommit = True
        if write is None:
            return Probe(role, "login", False, "it logs in, and has the right to write to no table")
        run(conn, "BEGIN")
        try:
            run(conn, write.sql)
        except psycopg2.Error as error:
            if error.pgcode not in (NO_RIGHT, REFUSED):
                raise query_error(error, subject=f"a write of {role} to {write.table}") from None
            return Probe(role, "login", True, server_message(error))
        return Probe(role, "login", False, f"it can write to {write.table}")


def require_login(options: ConnectionOptions, write: t.Optional[Write]) -> None:
    """Raise RecoveryError(invalid_options) for a login of the application that cannot write before writes are stopped.

    A wrong password would be refused afterwards too, and prove nothing.
    """
    try:
        found = try_login(options, write)
        why = "" if write is not None and not found.refused else found.reason
    except RecoveryError as error:
        why = error.what.rstrip(".")
    if why:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`probe` must be a login that can write while writes are allowed: {why}.",
            next_step="Correct the password of `probe`, or name a role that writes.",
        )


def prove_statements(
    conn: Connection, roles: t.Sequence[str], tables: t.Sequence[Table], *, refused: bool
) -> t.List[Probe]:
    """Write with the rights of the roles to some of the tables, up to the first write that ends unexpectedly.

    A role that this session may not act for is left out, and so is a write that fails for another reason.
    """
    tried = (_try_statement(conn, role, write) for role in roles if tables for write in writes_of(conn, role, tables))
    found = []
    for probe in tried:
        if probe is not None:
            found.append(probe)
            if probe.refused is not refused:
                break
    return found


def _try_statement(conn: Connection, role: str, write: Write) -> t.Optional[Probe]:
    """Write in the session of the operator, which is exempt from triggers otherwise."""
    run(conn, "BEGIN")
    try:
        # With row_security = off, a table with row security would refuse the role.
        fetch_value(conn, "SELECT set_config(%s, 'on', true), set_config('row_security', 'on', true)", (PROBE,))
        run(Confined(conn, role), write.sql)
    except psycopg2.Error as error:
        return Probe(role, "statement", True, server_message(error)) if error.pgcode == REFUSED else None
    finally:
        run(conn, "ROLLBACK")
    return Probe(role, "statement", False, f"it can write to {write.table}")


def write_of(conn: Connection, role: str, tables: t.Sequence[Table]) -> t.Optional[Write]:
    """A write that the role has the right to, first to one of the tables; an insert to a table if it has none."""
    found = writes_of(conn, role, tables, limit=1) if tables else []
    found = found or writes_of(conn, role, limit=1)
    if not found and tables:
        return Write(tables[0].name, _write(tables[0].name, "INSERT", None))
    return next(iter(found), None)
