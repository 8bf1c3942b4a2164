# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup waits for tables that other sessions rewrite, and never saves them empty."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

import psycopg2
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, postgres_server

Options = dict[str, t.Any]


@pytest.fixture
def prices(postgres: PostgresServer, database: str) -> str:
    postgres.psql(
        database,
        "CREATE TABLE prices (id int PRIMARY KEY, v text);"
        "INSERT INTO prices SELECT n, 'old' FROM generate_series(1, 9) n;"
        "CREATE TABLE parts (id int, d int) PARTITION BY RANGE (d);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);"
        "INSERT INTO parts SELECT n, n FROM generate_series(1, 20) n; CREATE TABLE other (id int);",
    )
    return database


@contextlib.contextmanager
def reload(server: PostgresServer, database: str, statements: str, seconds: float) -> t.Iterator[None]:
    """Statements in a transaction that commits after some seconds; they have their locks when this begins."""
    conn = psycopg2.connect(**server.options(database).keywords)
    try:
        conn.cursor().execute(statements)
        timer = threading.Timer(seconds, conn.commit)
        timer.start()
        yield
        timer.join()
    finally:
        conn.close()


def rows_of(result: Options) -> int:
    return t.cast(int, result["rows"])


def backup(server: PostgresServer, database: str, store: Options, **extra: t.Any) -> Options:
    return run_module("pg_backup", {"source": "shop", "store": store, **server.module_options(database), **extra})


@pytest.mark.parametrize(
    "statements",
    [
        "TRUNCATE prices; INSERT INTO prices SELECT n, 'new' FROM generate_series(1, 5000) n",
        "DELETE FROM prices; ALTER TABLE prices ALTER COLUMN id TYPE bigint;"
        "INSERT INTO prices SELECT n, 'new' FROM generate_series(1, 5000) n",
        "DROP TABLE prices; CREATE TABLE prices AS SELECT n AS id, 'new' AS v FROM generate_series(1, 5000) n",
    ],
)
def test_a_table_that_is_reloaded_as_the_backup_begins_is_saved_with_its_new_rows(
    postgres: PostgresServer, prices: str, folder_store: Options, statements: str
) -> None:
    with reload(postgres, prices, statements, 3):
        result = backup(postgres, prices, folder_store, lock_timeout=60)
    assert rows_of(result) == 5000 + 20


def test_a_truncated_partition_is_waited_for(postgres: PostgresServer, prices: str, folder_store: Options) -> None:
    statements = "TRUNCATE parts; INSERT INTO parts SELECT n % 99 + 1, n % 99 + 1 FROM generate_series(1, 300) n"
    with reload(postgres, prices, statements, 2):
        result = backup(postgres, prices, folder_store, lock_timeout=60)
    assert rows_of(result) == 9 + 300


def test_the_wait_for_several_locked_tables_is_bounded_in_total(
    postgres: PostgresServer, prices: str, folder_store: Options
) -> None:
    began = time.monotonic()
    with (
        reload(postgres, prices, "LOCK TABLE prices", 1.5),
        reload(postgres, prices, "LOCK TABLE other", 9),
        pytest.raises(ModuleFailed) as caught,
    ):
        try:
            backup(postgres, prices, folder_store, lock_timeout=3)
        finally:
            waited = time.monotonic() - began
    assert caught.value.result["error_kind"] == "locked"
    assert waited < 6


@pytest.mark.parametrize(
    "left_out", [{"exclude_tables": ["public.price*"]}, {"exclude_tables": ["prices"]}, {"exclude_schemas": ["p?blic"]}]
)
def test_a_locked_table_that_is_left_out_does_not_stop_the_backup(
    postgres: PostgresServer, prices: str, folder_store: Options, left_out: Options
) -> None:
    postgres.psql(prices, "CREATE SCHEMA shop; CREATE TABLE shop.kept AS SELECT 1 AS id")
    with postgres.session(prices) as cursor:
        cursor.execute("BEGIN; LOCK TABLE prices")
        assert rows_of(backup(postgres, prices, folder_store, lock_timeout=2, **left_out)) in (1, 21)


def test_nothing_is_held_while_a_lock_is_waited_for(
    postgres: PostgresServer, prices: str, folder_store: Options
) -> None:
    conn = psycopg2.connect(**postgres.options(prices).keywords)
    with contextlib.closing(conn), conn.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '300ms'; LOCK TABLE prices")
        thread = threading.Thread(target=backup, args=(postgres, prices, folder_store), kwargs={"lock_timeout": 30})
        thread.start()
        while True:
            with postgres.session(prices) as looking:
                looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'prices'::regclass")
                if looking.fetchone()[0]:
                    break
            time.sleep(0.1)
        # A backup that held other tables while it waits would make this a deadlock.
        cursor.execute("LOCK TABLE other; LOCK TABLE parts")
        conn.commit()
        thread.join()


def test_a_server_without_room_for_the_locks_is_backed_up(folder_store: Options) -> None:
    settings = {"max_locks_per_transaction": "10", "max_connections": "20"}
    with postgres_server("15", settings=settings) as server:
        name = server.create_database()
        server.psql(name, "".join(f"CREATE TABLE t{n} AS SELECT 1 AS id;\n" for n in range(90)))
        with reload(server, name, "TRUNCATE t1; INSERT INTO t1 SELECT generate_series(1, 100)", 2):
            assert rows_of(backup(server, name, folder_store, lock_timeout=30, jobs=1)) == 89 + 100


def test_a_table_that_is_rewritten_after_the_snapshot_is_noticed(postgres: PostgresServer, prices: str) -> None:
    from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server import table_locks
    from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import (
        connection,
        fetch_value,
    )

    with connection(postgres.options(prices)) as conn:
        locks = table_locks.TableLocks(conn, 5, lambda schema, name: name == "other")
        locks.begin()
        fetch_value(conn, "SELECT 1")
        # Locked tables cannot be rewritten; the others are found out.
        with postgres.session(prices) as cursor, pytest.raises(psycopg2.errors.LockNotAvailable):
            cursor.execute("SET lock_timeout = '200ms'; TRUNCATE other")
        locks.tables = [
            table_locks.Lockable(oid, "public", name)
            for oid, name in [(fetch_value(conn, "SELECT 'public.prices'::regclass::oid"), "prices")]
        ]
        assert locks.rewritten() == []
        with postgres.session(prices) as cursor:
            cursor.execute("TRUNCATE prices")
        assert locks.rewritten() == ["public.prices"]


def test_a_role_of_the_application_cannot_lock_backups_out(
    postgres: PostgresServer, prices: str, folder_store: Options
) -> None:
    role = f"app_{prices}"
    postgres.psql(prices, f"CREATE ROLE {role} LOGIN PASSWORD 'app-secret-1'")
    lock = "SELECT pg_advisory_lock(hashtextextended('lifeline.recovery backup of ' || 'shop', 0))"
    with postgres.session(prices, user=role, password="app-secret-1") as cursor:
        cursor.execute(lock)
        cursor.execute("SELECT 'lifeline.recovery backup ' || to_hex(hashtextextended('shop', 0))")
        cursor.execute(f"SET application_name = '{cursor.fetchone()[0]}'")
        result = backup(postgres, prices, folder_store)
        assert role in str(result["coverage"])
    with postgres.session(prices) as cursor:
        cursor.execute(lock)
        with pytest.raises(ModuleFailed) as caught:
            backup(postgres, prices, folder_store)
    assert caught.value.result["error_kind"] == "backup_running"
    [record, *_rest] = run_module("audit_info", {"source": "shop", "store": folder_store})["records"]
    assert (record["status"], record["details"]["error_kind"]) == ("failed", "backup_running")
    postgres.psql(prices, f"DROP ROLE {role}")
