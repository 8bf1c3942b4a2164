# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source is one database: another one does not continue its sets, nor is it replaced by name alone."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import D1Server
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


@pytest.fixture
def two(postgres: PostgresServer, database: str) -> t.Iterator[tuple[str, str]]:
    other = postgres.create_database()
    for name in (database, other):
        postgres.psql(name, "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1, 'a'), (2, 'b');")
    yield database, other
    postgres.drop_database(other)


def backup(server: PostgresServer, database: str, store: Options, **extra: t.Any) -> Options:
    return run_module("pg_backup", {"source": "shop", "store": store, **server.module_options(database), **extra})


def refused(module: str, arguments: Options) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        run_module(module, arguments)
    return caught.value.result


def system_identifier(server: PostgresServer) -> str:
    with server.session() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        return str(cursor.fetchone()[0])


def audit(store: Options) -> list[Options]:
    return t.cast("list[Options]", run_module("audit_info", {"source": "shop", "store": store})["records"])


def test_a_renamed_database_is_another_one(
    postgres: PostgresServer, two: tuple[str, str], folder_store: Options
) -> None:
    first, other = two
    backup(postgres, first, folder_store)
    postgres.drop_database(other)
    with postgres.session() as cursor:
        cursor.execute(f'ALTER DATABASE "{first}" RENAME TO "{other}"')
    arguments = {"source": "shop", "store": folder_store, **postgres.module_options(other)}
    assert refused("pg_backup", arguments)["error_kind"] == "identity_changed"


def test_a_database_that_was_dropped_and_made_again_is_the_same(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    backup(postgres, database, folder_store)
    postgres.drop_database(database)
    postgres.create_database(database)
    backup(postgres, database, folder_store)


def test_another_server_with_the_same_names_is_refused(
    postgres: PostgresServer,
    servers: t.Callable[[str], PostgresServer],
    two: tuple[str, str],
    folder_store: Options,
) -> None:
    backup(postgres, two[0], folder_store)
    there = servers("16")
    there.create_database(two[0])
    try:
        arguments = {"source": "shop", "store": folder_store, **there.module_options(two[0])}
        result = refused("pg_backup", arguments)
        assert result["error_kind"] == "identity_changed"
        run_module("pg_backup", {**arguments, "accept_identity": result["identity"]})
    finally:
        there.drop_database(two[0])


def test_a_server_that_hides_its_identifier_is_known_by_its_address(
    postgres: PostgresServer, two: tuple[str, str], folder_store: Options
) -> None:
    first, other = two
    role = f"managed_{first}"
    for name in two:
        postgres.psql(name, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    postgres.psql(first, f"CREATE ROLE {role} LOGIN PASSWORD 'managed-secret-1' BYPASSRLS IN ROLE pg_read_all_data")
    login = {"login_user": role, "login_password": "managed-secret-1"}
    try:
        backup(postgres, first, folder_store, **login)
        backup(postgres, first, folder_store, **login)
        arguments = {"source": "shop", "store": folder_store, **postgres.module_options(first), **login}
        result = refused("pg_backup", {**arguments, "login_host": "localhost"})
        assert result["identity"] == f"localhost:{postgres.port}/{first}"
        assert refused("pg_backup", {**arguments, "login_db": other})["error_kind"] == "identity_changed"
    finally:
        for name in two:
            postgres.psql(name, f"DROP OWNED BY {role}")
        postgres.psql(first, f"DROP ROLE {role}")


def test_a_database_that_the_set_is_not_of_is_replaced_only_by_the_digest(
    postgres: PostgresServer, two: tuple[str, str], folder_store: Options
) -> None:
    first, other = two
    backup(postgres, first, folder_store)
    login = {**postgres.module_options("postgres"), "source": "shop", "store": folder_store}
    swap = {**login, "mode": "swap", "target_db": other, "recovery_environment": "production"}
    by_name = refused("pg_restore", {**swap, "recovery_confirm": other})
    assert by_name["error_kind"] == "confirmation_required"
    assert first in by_name["msg"] and other in by_name["msg"]
    done = run_module("pg_restore", {**swap, "recovery_confirm": by_name["plan_digest"]})
    undo = {**swap, "mode": "undo", "undo_db": done["undo"]["undo_db"]}
    assert refused("pg_restore", {**undo, "recovery_confirm": other})["error_kind"] == "confirmation_required"

    # The database of the set is confirmed by its name.
    own = run_module("pg_restore", {**swap, "target_db": first, "recovery_confirm": first})
    for name in (done["undo"]["undo_db"], own["undo"]["undo_db"]):
        postgres.drop_database(name)


def test_rows_of_a_database_that_the_set_is_not_of_need_the_digest(
    postgres: PostgresServer, two: tuple[str, str], folder_store: Options
) -> None:
    first, other = two
    backup(postgres, first, folder_store)
    postgres.psql(other, "UPDATE t SET x = 'changed'")
    rows = {"source": "shop", "store": folder_store, **postgres.module_options(other), "tables": ["public.t"]}
    given = {**rows, "mode": "exact", "recovery_environment": "production"}
    by_name = refused("pg_restore_table", {**given, "recovery_confirm": other})
    assert by_name["error_kind"] == "confirmation_required", by_name
    run_module("pg_restore_table", {**given, "recovery_confirm": by_name["plan_digest"]})
    postgres.psql(first, "UPDATE t SET x = 'changed'")
    run_module("pg_restore_table", {**given, "login_db": first, "recovery_confirm": first})


def test_another_database_of_d1_with_the_same_name_is_another_source(d1: D1Server, folder_store: Options) -> None:
    where = d1.options(f"shop-{secrets.token_hex(4)}")
    fill = {**where, "sql": "CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES ('a'), ('b')"}
    production = {"recovery_environment": "production", "recovery_confirm": where["database"]}
    saved = {**where, "source": "shop", "store": folder_store}

    run_module("d1_database", where)
    run_module("d1_execute", fill)
    run_module("d1_backup", saved)
    run_module("d1_restore", {**saved, **production, "mode": "in_place"})
    run_module("d1_database", {**where, **production, "state": "absent"})
    run_module("d1_database", where)
    run_module("d1_execute", fill)

    result = refused("d1_backup", saved)
    assert result["error_kind"] == "identity_changed"
    assert result["identity"].endswith(f"/{where['database']}") and result["identity"] != result["known_identity"]
    replaced = refused("d1_restore", {**saved, **production, "mode": "in_place"})
    assert replaced["error_kind"] == "confirmation_required"
    assert f"the target is {result['identity']}" in replaced["msg"]
    run_module("d1_execute", {**where, "sql": "UPDATE t SET x = 'c'"})
    rows = refused("d1_restore", {**saved, **production, "mode": "difference"})
    assert rows["error_kind"] == "confirmation_required"
    run_module("d1_backup", {**saved, "accept_identity": result["identity"]})
    assert audit(folder_store)[0]["details"]["identity_changed"]["to"] == result["identity"]
