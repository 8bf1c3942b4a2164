# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that stays open and passes nothing ends a run; a long statement does not."""

from __future__ import annotations

import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fakes.dripping import HEADERS, LARGE, dripping_server
from tests.support.fakes.stalling import stalling_proxy
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


@pytest.fixture
def shop(postgres: PostgresServer, database: str) -> str:
    postgres.psql(
        database,
        "CREATE TABLE big AS SELECT n AS id, repeat(md5(n::text), 30) AS x FROM generate_series(1, 20000) n;"
        "CREATE TABLE small AS SELECT 1 AS id;",
    )
    return database


def backup(server: PostgresServer, database: str, store: Options, port: int, **extra: t.Any) -> Options:
    login = {**server.module_options(database), "login_port": port, "connect_timeout": 2, "stall_timeout": 2}
    return run_module("pg_backup", {"source": "shop", "store": store, **login, **extra})


@pytest.mark.parametrize("everything", [False, True])
def test_pg_dump_that_gets_no_more_rows_ends(
    postgres: PostgresServer, shop: str, folder_store: Options, everything: bool
) -> None:
    """everything: new connections stall as well, else only the one that carries the rows."""
    with stalling_proxy(postgres.port) as proxy:
        proxy.budget = 2_000_000
        if everything:
            threading.Thread(target=_stall_all_after_first, args=(proxy,), daemon=True).start()
        began = time.monotonic()
        with pytest.raises(ModuleFailed) as caught:
            backup(postgres, shop, folder_store, proxy.port)
    kind = caught.value.result["error_kind"]
    # The fingerprint may be the first that notices, as it connects.
    assert kind == "timeout" or (everything and kind == "unreachable"), caught.value.result
    assert time.monotonic() - began < 120
    [record, *_rest] = run_module("audit_info", {"source": "shop", "store": folder_store})["records"]
    assert (record["status"], record["details"]["error_kind"]) == ("failed", kind)


@pytest.mark.parametrize("budget", [100, 3000, 20_000])
def test_a_statement_whose_answer_does_not_come_ends(postgres: PostgresServer, shop: str, budget: int) -> None:
    """The budgets end in the login, in the first statement, and in the checks."""
    login = {**postgres.module_options(shop), "connect_timeout": 2, "stall_timeout": 2}
    checks = [{"type": "sql", "query": "SELECT repeat(x, 20) FROM big LIMIT 200", "min": 1}]
    with stalling_proxy(postgres.port) as proxy:
        proxy.budget = budget
        began = time.monotonic()
        with pytest.raises(ModuleFailed) as caught:
            run_module("integrity_check", {**login, "login_port": proxy.port, "checks": checks})
    assert caught.value.result.get("error_kind") in ("timeout", "unreachable", "check_failed"), caught.value.result
    assert time.monotonic() - began < 120


def test_a_long_statement_that_the_server_works_on_is_not_ended(postgres: PostgresServer, shop: str) -> None:
    login = {**postgres.module_options(shop), "stall_timeout": 1}
    checks = [{"type": "sql", "query": "SELECT count(pg_sleep(4))", "min": 1}]
    assert run_module("integrity_check", {**login, "checks": checks})["verdict"] == "passed"


def test_an_index_that_takes_long_does_not_end_a_restore(
    postgres: PostgresServer, shop: str, folder_store: Options
) -> None:
    postgres.psql(
        shop,
        "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_sleep(3); RETURN $1; END$$; CREATE INDEX ON small (slow(id));",
    )
    run_module("pg_backup", {"source": "shop", "store": folder_store, **postgres.module_options(shop)})
    copy = f"{shop}_copy"
    login = {**postgres.module_options("postgres"), "stall_timeout": 1}
    try:
        run_module("pg_restore", {"source": "shop", "store": folder_store, "target_db": copy, **login})
    finally:
        postgres.drop_database(copy)


def test_a_restore_into_a_stalled_connection_ends(postgres: PostgresServer, shop: str, folder_store: Options) -> None:
    run_module("pg_backup", {"source": "shop", "store": folder_store, **postgres.module_options(shop)})
    login = {**postgres.module_options("postgres"), "connect_timeout": 2, "stall_timeout": 2}
    copy = f"{shop}_copy"
    with stalling_proxy(postgres.port) as proxy:
        proxy.upload_budget = 1_000_000
        began = time.monotonic()
        try:
            with pytest.raises(ModuleFailed) as caught:
                arguments = {"source": "shop", "store": folder_store, "target_db": copy, **login}
                run_module("pg_restore", {**arguments, "login_port": proxy.port})
        finally:
            postgres.drop_database(f"{copy}_restoring")
    assert caught.value.result["error_kind"] == "timeout", caught.value.result
    assert time.monotonic() - began < 120


def _stall_all_after_first(proxy: t.Any) -> None:
    proxy.stalled.wait(60)
    proxy.stall_all = True


def test_a_store_that_drips_its_answers_ends_a_run() -> None:
    """One store drips its status line, one its headers, one its objects; the three runs wait in parallel."""
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(_error_of_dripping_store, (b"", HEADERS, LARGE))) <= {"timeout", "unreachable"}


def _error_of_dripping_store(quick: bytes) -> str:
    with dripping_server(quick) as url:
        store = {"provider": "generic", "endpoint_url": url, "bucket": "b", "region": "x", "timeout": 1}
        keys = {"access_key": "k", "secret_key": "s"}
        began = time.monotonic()
        with pytest.raises(ModuleFailed) as caught:
            run_module("r2_object", {"files": {**store, **keys}, "key": "large", "dest": "/tmp/never"})
    assert time.monotonic() - began < 120
    return str(caught.value.result["error_kind"])


def test_an_object_that_drips_ends_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.lifeline.recovery.plugins.module_utils._core import deadline
    from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
    from ansible_collections.lifeline.recovery.plugins.module_utils._store.s3 import S3Store
    from ansible_collections.lifeline.recovery.plugins.module_utils._store.s3_client import S3Settings

    # So that a mebibyte is waited for no longer than a second.
    monkeypatch.setattr(deadline, "SLOWEST", 1024 * 1024)
    with dripping_server(LARGE) as url:
        store = S3Store(S3Settings("generic", "b", "", url, "x", "k", "s", None, None, 2, 1))
        began = time.monotonic()
        with pytest.raises(RecoveryError) as caught:
            list(store.read("large"))
    assert caught.value.kind == "timeout"
    assert time.monotonic() - began < 20
