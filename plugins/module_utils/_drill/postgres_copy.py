# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damages copies of a restored PostgreSQL database on the server of a sandbox, to test the comparison with the set."""

from __future__ import annotations

import contextlib
import secrets
import time
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.restore import databases
from .._engines.postgresql.restore.proof import Rules, compare_with
from .._engines.postgresql.server.catalog import server_facts
from .._engines.postgresql.server.connection import (
    ConnectionOptions,
    connection,
    fetch_all,
    fetch_value,
    quote_identifier,
    quote_literal,
)
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.refusals import IN_USE, query_error
from .._repository.manifest import Manifest
from .._store.base import ObjectStore
from .copies import Copy, CopyTests, Damage, run_copy_tests
from .fault import refused

KINDS = (
    "row_dropped_from_copy",
    "values_exchanged_in_copy",
    "value_changed_in_copy",
    "row_added_to_copy",
    "sequence_set_back_in_copy",
    "policy_removed_from_copy",
    "grant_removed_from_copy",
    "trigger_disabled_in_copy",
)

_APPLICATION = "lifeline.recovery drill"

#: Plain tables with the columns that no unique index, exclusion constraint or generated value is about, and the key
#: column where the only unique index is over one integer.
_TABLES = """
    SELECT n.nspname, c.relname,
        ARRAY(
            SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              AND NOT EXISTS (
                  SELECT FROM pg_index i
                  WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion) AND a.attnum = ANY (i.indkey)
              )
            ORDER BY a.attnum
        ),
        ARRAY(
            SELECT a.attname::text FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indnatts = 1
              AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
        ),
        (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2
"""

_POLICIES = """
    SELECT n.nspname, c.relname, p.polname
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY 1, 2, 3
"""

_GRANTS = """
    SELECT DISTINCT n.nspname, c.relname, r.rolname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN aclexplode(c.relacl) AS g
    JOIN pg_roles r ON r.oid = g.grantee
    WHERE c.relkind = 'r' AND g.grantee <> c.relowner
    ORDER BY 1, 2, 3
"""

_TRIGGERS = """
    SELECT n.nspname, c.relname, t.tgname
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgenabled = 'O' AND t.tgparentid = 0
    ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class PostgresCopyRequest:
    """connection leads to a maintenance database; system_identifier is that of the sandbox's server."""

    connection: ConnectionOptions
    database: str
    environment: str
    system_identifier: str


def run_postgres_copy_tests(store: ObjectStore, manifest: Manifest, request: PostgresCopyRequest) -> CopyTests:
    """Damage copies of a database that was restored from the set; the database itself is only read.

    Raises RecoveryError: not_a_sandbox unless the environment is a sandbox and the server is the one named,
    unsupported for a set without digests of its rows, and those of compare_with.
    """
    if request.environment != "sandbox":
        raise refused(f"recovery_environment is {request.environment!r}")
    with connection(request.connection, application=_APPLICATION) as conn:
        found = server_facts(conn).system_identifier
    if found != request.system_identifier:
        raise refused(f"the server is {found}, not the sandbox {request.system_identifier}")
    if manifest.fingerprint is None or manifest.fingerprint.mode != "full":
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The set {manifest.set_id} has no digests of its rows to compare with.",
            next_step="Take a set with fingerprint full.",
        )
    with connection(request.connection.with_database(request.database), application=_APPLICATION) as conn:
        damages = [*_row_damages(conn, manifest), *_sequence_damages(conn, manifest), *_definition_damages(conn)]
    return run_copy_tests(lambda: _copied(store, manifest, request), KINDS, damages)


class _DatabaseCopy:
    def __init__(self, store: ObjectStore, manifest: Manifest, options: ConnectionOptions) -> None:
        self._store, self._manifest, self._options = store, manifest, options

    def apply(self, damage: Damage) -> bool:
        # Neither triggers nor foreign keys nor event triggers act on the damage or prevent it.
        settings = {"session_replication_role": "replica"}
        with connection(self._options, application=_APPLICATION, settings=settings) as conn, conn.cursor() as cursor:
            try:
                cursor.execute("BEGIN")
                for statement in damage.statements:
                    cursor.execute(statement)
                    if cursor.rowcount == 0:
                        return False
                cursor.execute("COMMIT")
            except psycopg2.Error:
                return False
        return True

    def differences(self) -> t.Mapping[str, str]:
        rules = Rules(mode="full", views_refreshed=True)
        comparison = compare_with(self._options, self._manifest, self._store, rules, jobs=2)
        if comparison.equal:
            return {}
        return {item.what: f"{item.what} ({item.expected}, now {item.actual})" for item in comparison.differences}


@contextlib.contextmanager
def _copied(store: ObjectStore, manifest: Manifest, request: PostgresCopyRequest) -> t.Iterator[Copy]:
    """A copy of the database beside it, dropped at the end."""
    name = f"lifeline_damage_{secrets.token_hex(8)}"
    with connection(request.connection, application=_APPLICATION) as conn:
        try:
            _copy(conn, request.database, name)
            yield _DatabaseCopy(store, manifest, request.connection.with_database(name))
        finally:
            databases.drop(conn, name)


def _copy(conn: t.Any, database: str, name: str) -> None:
    text = f"CREATE DATABASE {quote_identifier(name)} TEMPLATE {quote_identifier(database)}"
    deadline = time.monotonic() + 10
    while True:
        try:
            with conn.cursor() as cursor:
                cursor.execute(text)
            return
        except psycopg2.Error as error:
            # Sessions that were just closed are still seen for a moment.
            if error.pgcode != IN_USE or time.monotonic() > deadline:
                raise query_error(error) from None
            time.sleep(0.2)


def _row_damages(conn: t.Any, manifest: Manifest) -> t.Iterator[Damage]:
    recorded = {(item.schema, item.name): item for item in manifest.fingerprint.tables} if manifest.fingerprint else {}
    tables = [row for row in fetch_all(conn, _TABLES) if (row[0], row[1]) in recorded]
    for schema, name, columns, keys, unique in tables:
        if not recorded[schema, name].rows or recorded[schema, name].digest is None:
            continue
        table, what = quote_identifier(schema, name), f"table {schema}.{name}"
        ends = f"DELETE FROM ONLY {table} WHERE ctid = (SELECT min(ctid) FROM ONLY {table})"
        yield Damage(KINDS[0], what, what, [ends])
        for column in columns:
            yield from _value_damages(table, what, quote_identifier(column))
        if unique <= len(keys):
            yield Damage(KINDS[3], what, what, [_added(table, columns, keys)])


def _value_damages(table: str, what: str, column: str) -> t.Iterator[Damage]:
    """Two rows whose values differ exchange them, or the second gets the first one's value.

    concat calls the output function of a type and no cast, which may run code of a user.
    """
    text = f'pg_catalog.concat({column}) COLLATE "C"'
    rows = (
        f"(SELECT ctid, {column} AS value, {text} AS shown FROM ONLY {table} ORDER BY {text} LIMIT 1) AS low,"
        f" (SELECT ctid, {column} AS value, {text} AS shown FROM ONLY {table} ORDER BY {text} DESC LIMIT 1) AS high"
    )
    other = "CASE WHEN t.ctid = low.ctid THEN high.value ELSE low.value END"
    for kind, value, hit in (
        (KINDS[1], other, "t.ctid IN (low.ctid, high.ctid)"),
        (KINDS[2], "low.value", "t.ctid = high.ctid"),
    ):
        statement = (
            f"UPDATE ONLY {table} AS t SET {column} = {value} FROM {rows} WHERE {hit} AND low.shown <> high.shown"
        )
        yield Damage(kind, what, what, [statement])


def _added(table: str, columns: t.Sequence[str], keys: t.Sequence[str]) -> str:
    """A copy of a row, with the next number in each column that is a unique integer."""
    names = [*map(quote_identifier, columns), *map(quote_identifier, keys)]
    values = [
        *map(quote_identifier, columns),
        *(f"(SELECT max({name}) + 1 FROM ONLY {table})" for name in map(quote_identifier, keys)),
    ]
    return (
        f"INSERT INTO {table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE "
        f"SELECT {', '.join(values)} FROM ONLY {table} LIMIT 1"
    )


def _sequence_damages(conn: t.Any, manifest: Manifest) -> t.Iterator[Damage]:
    for item in manifest.fingerprint.sequences if manifest.fingerprint else ():
        name = quote_identifier(item.schema, item.name)
        low = fetch_value(conn, "SELECT seqmin FROM pg_sequence WHERE seqrelid = pg_catalog.to_regclass(%s)", (name,))
        if low is None:
            continue
        back = item.last_value - 1 if item.last_value > low else item.last_value + 1
        what = f"sequence {item.schema}.{item.name}"
        yield Damage(KINDS[4], what, what, [f"SELECT pg_catalog.setval({quote_literal(name)}, {back}, true)"])


def _definition_damages(conn: t.Any) -> t.Iterator[Damage]:
    for schema, table, policy in fetch_all(conn, _POLICIES):
        what = f"POLICY: {schema}.{table} {policy}"
        statement = f"DROP POLICY {quote_identifier(policy)} ON {quote_identifier(schema, table)}"
        yield Damage(KINDS[5], what, what, [statement])
    for schema, table, role in fetch_all(conn, _GRANTS):
        what = f"ACL: {schema}.TABLE {table}"
        statement = f"REVOKE ALL ON TABLE {quote_identifier(schema, table)} FROM {quote_identifier(role)}"
        yield Damage(KINDS[6], what, what, [statement])
    for schema, table, trigger in fetch_all(conn, _TRIGGERS):
        what = f"TRIGGER: {schema}.{table} {trigger}"
        statement = f"ALTER TABLE {quote_identifier(schema, table)} DISABLE TRIGGER {quote_identifier(trigger)}"
        yield Damage(KINDS[7], what, what, [statement])
