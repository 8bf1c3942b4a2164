# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pooler's sessions belong to the application as well: no module changes them."""

from __future__ import annotations

import contextlib
import typing as t

import psycopg2
import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.pgbouncer import PROGRAM, pgbouncer
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

_SHOWN = ("search_path", "row_security", "default_transaction_read_only", "jit", "datestyle", "statement_timeout",
          "lock_timeout", "extra_float_digits", "bytea_output", "client_connection_check_interval", "timezone",
          "client_encoding")  # fmt: skip


@pytest.fixture
def small(postgres: PostgresServer, database: str) -> str:
    postgres.psql(database, "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1, 'a'), (2, 'b');")
    return database


def modules(server: PostgresServer, database: str, port: int, store: Options) -> dict[str, Options]:
    """Every module that logs in to a server, with options that work without a pooler."""
    login = {**server.module_options(database), "login_port": port}
    rows = {**login, "source": "school", "store": store, "tables": ["public.t"]}
    return {
        "pg_backup": {**login, "source": "school", "store": store},
        "pg_restore": {**login, "source": "school", "store": store, "target_db": f"{database}_copy"},
        "pg_restore_table": {**rows, "recovery_environment": "sandbox"},
        "pg_export_rows": rows,
        "integrity_check": {**login, "checks": [{"name": "rows", "type": "sql", "query": "SELECT 1", "min": 1}]},
        "pg_replication_info": login,
    }


def settings_of(server: PostgresServer, database: str, port: int) -> list[tuple[str, ...]]:
    """The values of each pooled session, with so many parallel connections that every server session is among them."""
    keywords = {**server.options(database).keywords, "port": str(port)}
    shown = "SELECT " + ", ".join(f"current_setting('{name}')" for name in _SHOWN)
    with contextlib.ExitStack() as stack:
        cursors = []
        for _number in range(4):
            cursor = stack.enter_context(contextlib.closing(psycopg2.connect(**keywords))).cursor()
            cursor.execute(shown)
            cursors.append(cursor)
        return sorted({cursor.fetchone() for cursor in cursors})


@pytest.mark.parametrize(("ignored", "round_robin"), [("extra_float_digits", 0), ("extra_float_digits,options", 1)])
def test_a_transaction_pooler_is_refused_and_its_sessions_are_unchanged(
    postgres: PostgresServer, small: str, folder_store: Options, ignored: str, round_robin: int
) -> None:
    run_module("pg_backup", modules(postgres, small, postgres.port, folder_store)["pg_backup"])
    settings = {"ignore_startup_parameters": ignored, "server_round_robin": round_robin}
    with pgbouncer(postgres, "transaction", **settings) as port:
        before = settings_of(postgres, small, port)
        for module, arguments in modules(postgres, small, port, folder_store).items():
            with pytest.raises(ModuleFailed) as caught:
                run_module(module, arguments)
            assert caught.value.result["error_kind"] == "transaction_pooler", (module, caught.value.result)
        status = {**postgres.module_options(small), "login_port": port, "source": "school", "store": folder_store}
        assert "transaction pooler" in str(run_module("recovery_status", status))
        assert settings_of(postgres, small, port) == before


def test_a_statement_pooler_is_refused(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    with pgbouncer(postgres, "statement") as port, pytest.raises(ModuleFailed) as caught:
        run_module("pg_backup", modules(postgres, small, port, folder_store)["pg_backup"])
    assert caught.value.result["error_kind"] == "transaction_pooler"


@pytest.mark.parametrize("reset", ["DISCARD ALL", ""])
def test_a_session_pooler_gets_its_sessions_back_unchanged(
    postgres: PostgresServer, small: str, folder_store: Options, reset: str
) -> None:
    run_module("pg_backup", modules(postgres, small, postgres.port, folder_store)["pg_backup"])
    with pgbouncer(postgres, "session", server_reset_query=reset, default_pool_size=12) as port:
        before = settings_of(postgres, small, port)
        for module in ("pg_backup", "integrity_check", "pg_replication_info"):
            run_module(module, modules(postgres, small, port, folder_store)[module])
        assert settings_of(postgres, small, port) == before


def test_a_pooler_without_a_second_session_is_refused(
    postgres: PostgresServer, small: str, folder_store: Options
) -> None:
    settings = {"default_pool_size": 1, "query_wait_timeout": 2}
    with pgbouncer(postgres, "session", **settings) as port, pytest.raises(ModuleFailed) as caught:
        run_module("integrity_check", modules(postgres, small, port, folder_store)["integrity_check"])
    assert caught.value.result["error_kind"] == "transaction_pooler"
    assert "second session" in caught.value.result["msg"]


def test_sessions_find_the_catalog_before_temporary_tables(postgres: PostgresServer, database: str) -> None:
    from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import (
        connection,
    )

    with connection(postgres.options(database)) as conn, conn.cursor() as cursor:
        cursor.execute("SHOW search_path")
        assert cursor.fetchone()[0] == "pg_catalog, pg_temp"
        cursor.execute("SHOW jit")
        assert cursor.fetchone()[0] == "off"
        assert not conn.shared
