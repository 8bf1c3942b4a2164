# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore is safe to start, can be finished, and names what it cannot restore."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import typing as t

import psycopg2
import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.toc import Toc, TocEntry
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore import databases
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.in_place import (
    locked_database,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.ownership import Replacement
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.swap import exchange
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import connection
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server

Options = dict[str, t.Any]


def back_up(server: PostgresServer, database: str, store: Options) -> Options:
    return run_module("pg_backup", {"source": "app", "store": store, **server.module_options(database)})


def restore(server: PostgresServer, target: str, store: Options, *, check: bool = False, **options: t.Any) -> Options:
    arguments = {"source": "app", "store": store, "target_db": target, **server.module_options(), **options}
    return run_module("pg_restore", arguments, check_mode=check)


def in_place(server: PostgresServer, target: str, store: Options, **options: t.Any) -> Options:
    return restore(server, target, store, mode="in_place", recovery_confirm=target, **options)


def value(server: PostgresServer, database: str, sql: str) -> t.Any:
    with server.session(database) as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def remove(server: PostgresServer, name: str) -> None:
    """Drop a database and what failed restores into it kept."""
    with server.session() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (name,))
        found = [row[0] for row in cursor.fetchall()]
    for database in found:
        server.drop_database(database)


@pytest.fixture
def copies(postgres: PostgresServer, database: str) -> t.Iterator[str]:
    """The name of a database that a test restores into; removed at the end."""
    yield f"{database}_copy"
    remove(postgres, f"{database}_copy")


@pytest.mark.parametrize("version", available_versions())
def test_hash_partitions_by_an_enum_are_restored(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str
) -> None:
    server = servers(version)
    name = server.create_database()
    server.psql(
        name,
        """
        CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
        CREATE TABLE people (id int, m mood NOT NULL) PARTITION BY HASH (m);
        CREATE TABLE people_0 PARTITION OF people FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE people_1 PARTITION OF people FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO people SELECT g, (ARRAY['sad','ok','happy'])[1 + g % 3]::mood FROM generate_series(1, 60) g;
        CREATE TABLE years (y int, m mood NOT NULL) PARTITION BY RANGE (y);
        CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (1) TO (5) PARTITION BY HASH (m);
        CREATE TABLE years_1_0 PARTITION OF years_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE TABLE years_2 PARTITION OF years FOR VALUES FROM (5) TO (9);
        INSERT INTO years SELECT 1 + g % 8, 'ok' FROM generate_series(1, 40) g;
        """,
    )
    back_up(server, name, folder_store)
    copy = f"{name}_copy"
    try:
        # The partitions of an enum hold other rows when the numbers of its values differ; the tree holds the same rows.
        assert restore(server, copy, folder_store)["fingerprint"]["equal"] is True
        for table in ("people", "years"):
            sql = f"SELECT array_agg(t ORDER BY t)::text FROM public.{table} t"
            assert value(server, copy, sql) == value(server, name, sql)
        with server.session(name) as cursor:
            cursor.execute("DELETE FROM people WHERE id = 1")
        assert in_place(server, name, folder_store)["fingerprint"]["equal"] is True
    finally:
        remove(server, name)


def test_code_without_schema_names_finds_its_tables(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    postgres.psql(
        database,
        """
        CREATE SCHEMA shop; SET search_path = shop, public;
        CREATE TABLE shop.rate (r int); INSERT INTO shop.rate VALUES (2);
        CREATE FUNCTION shop.rate_now() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT max(r) FROM rate); END$$;
        CREATE TABLE shop.sale (id int, CHECK (shop.rate_now() IS NULL OR id > 0));
        INSERT INTO shop.sale VALUES (1), (2);
        CREATE MATERIALIZED VIEW shop.total AS SELECT sum(id) * shop.rate_now() AS total FROM shop.sale;
        """,
    )
    with postgres.session() as cursor:
        cursor.execute(f'ALTER DATABASE "{database}" SET search_path TO shop, public')
    with postgres.session(database) as cursor:
        cursor.execute("REFRESH MATERIALIZED VIEW shop.total")
    back_up(postgres, database, folder_store)
    restored = restore(postgres, copies, folder_store)
    assert restored["not_restored"] == []
    assert value(postgres, copies, "SELECT count(*) FROM shop.sale") == 2
    assert value(postgres, copies, "SELECT total FROM shop.total") == 6


def test_a_view_that_cannot_be_refreshed_is_named_and_stops_nothing(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    postgres.psql(
        database,
        """
        CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1);
        CREATE TABLE public.gate (open bool); INSERT INTO public.gate VALUES (true);
        CREATE FUNCTION public.gated() RETURNS int LANGUAGE plpgsql AS
            $$BEGIN IF current_database() LIKE '%restoring%' OR current_database() LIKE '%copy'
              THEN RAISE EXCEPTION 'the archive server is away'; END IF; RETURN 1; END$$;
        CREATE MATERIALIZED VIEW public.broken AS SELECT public.gated() AS g;
        CREATE MATERIALIZED VIEW public.fine AS SELECT id FROM public.t;
        """,
    )
    back_up(postgres, database, folder_store)
    restored = restore(postgres, copies, folder_store)
    (missing,) = restored["not_restored"]
    assert missing["object"] == "materialized view public.broken"
    assert "the archive server is away" in missing["reason"]
    assert "materialized view public.broken" in restored["summary"]
    assert value(postgres, copies, "SELECT count(*) FROM public.fine") == 1
    remove(postgres, copies)
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, copies, folder_store, materialized_views="required")
    assert caught.value.result["failed_objects"][0]["object"] == "materialized view public.broken"
    empty = restore(postgres, copies, folder_store, materialized_views="without_data")
    assert len(empty["not_restored"]) == 2


def test_one_refused_object_is_named_and_everything_else_is_restored(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    postgres.psql(
        database,
        """
        CREATE TABLE public.parent (id int PRIMARY KEY); INSERT INTO public.parent VALUES (1);
        CREATE TABLE public.child (id int, parent_id int REFERENCES public.parent);
        INSERT INTO public.child VALUES (1, 1);
        CREATE TABLE public.other (id int PRIMARY KEY); INSERT INTO public.other VALUES (7);
        ALTER TABLE public.child DISABLE TRIGGER ALL;
        INSERT INTO public.child VALUES (2, 99);
        ALTER TABLE public.child ENABLE TRIGGER ALL;
        """,
    )
    back_up(postgres, database, folder_store)
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, copies, folder_store)
    error = caught.value.result
    assert "child_parent_id_fkey" in error["what"]
    assert "ADD CONSTRAINT child_parent_id_fkey" in error["failed_objects"][0]["statement"]
    assert "set object_errors to report" in error["next_step"]
    kept = next(name for name in error["left"].split("'") if "_restoring_" in name)
    assert value(postgres, kept, "SELECT id FROM public.other") == 7
    reported = restore(postgres, copies, folder_store, object_errors="report")
    assert reported["fingerprint"]["equal"] is False
    assert "not equal" in reported["summary"]
    assert value(postgres, copies, "SELECT count(*) FROM public.child") == 2
    # The database that the failed restore kept was removed by the next one.
    assert value(postgres, "postgres", f"SELECT count(*) FROM pg_database WHERE datname = '{kept}'") == 0


def test_user_mappings_and_grantors_count_as_roles(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    mapped, grantor, grantee = (f"{kind}_{secrets.token_hex(4)}" for kind in ("mapped", "grantor", "grantee"))
    with postgres.session(database) as cursor:
        for role in (mapped, grantor, grantee):
            cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE TABLE public.t (id int);"
            f"CREATE USER MAPPING FOR {mapped} SERVER far OPTIONS (password 'x');"
            f"GRANT SELECT ON public.t TO {grantor} WITH GRANT OPTION; SET SESSION AUTHORIZATION {grantor};"
            f"GRANT SELECT ON public.t TO {grantee}; RESET SESSION AUTHORIZATION"
        )
    back_up(postgres, database, folder_store)
    with postgres.session(database) as cursor:
        for role in (mapped, grantor, grantee):
            cursor.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, copies, folder_store)
    assert set(caught.value.result["roles"]) == {mapped, grantor, grantee}
    restored = restore(postgres, copies, folder_store, create_roles=True)
    assert restored["fingerprint"]["equal"] is True
    remove(postgres, copies)
    with postgres.session() as cursor:
        for role in (mapped, grantor, grantee):
            cursor.execute(f"DROP ROLE {role}")


def test_checks_run_as_the_owner_of_the_table(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    owner = f"owner_{secrets.token_hex(4)}"
    with postgres.session(database) as cursor:
        cursor.execute(
            f"CREATE ROLE {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner}; SET ROLE {owner};"
            "CREATE FUNCTION public.spy() RETURNS bool LANGUAGE plpgsql AS $$BEGIN"
            " IF current_database() ~ 'copy' THEN PERFORM 1;"
            " IF current_user <> session_user AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
            " THEN RETURN true; ELSE RAISE EXCEPTION 'runs as %', current_user; END IF; END IF; RETURN true; END$$;"
            "CREATE DOMAIN public.checked AS int CHECK (public.spy());"
            "CREATE TABLE public.t (id public.checked); INSERT INTO public.t VALUES (1); RESET ROLE;"
            f"REVOKE ALL ON SCHEMA public FROM {owner}"
        )
    back_up(postgres, database, folder_store)
    restored = restore(postgres, copies, folder_store)
    assert restored["fingerprint"]["equal"] is True
    remove(postgres, copies)
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, copies, folder_store, rows_as="login")
    assert "runs as postgres" in caught.value.result["what"]
    remove(postgres, copies)
    with postgres.session(database) as cursor:
        cursor.execute(f"DROP OWNED BY {owner}; DROP ROLE {owner}")


def test_a_copy_of_a_subscriber_does_not_replicate(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.t (id int)")
        cursor.execute(
            "CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION p "
            "WITH (connect = false, slot_name = 'production_slot')"
        )
    try:
        back_up(postgres, database, folder_store)
        restored = restore(postgres, copies, folder_store)
        assert restored["not_restored"][0]["object"] == "subscription sub"
        sql = "SELECT subenabled::text || coalesce(subslotname, '') FROM pg_subscription s JOIN pg_database d "
        sql += f"ON d.oid = s.subdbid WHERE datname = '{copies}'"
        assert value(postgres, copies, sql) == "false"
        done = in_place(postgres, database, folder_store)
        assert done["fingerprint"]["equal"] is True
        assert value(postgres, database, sql.replace(copies, database)) == "falseproduction_slot"
    finally:
        for name in (database, copies):
            with postgres.session(name) as cursor:
                cursor.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub")


def test_in_place_silences_event_triggers_and_replaces_servers(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(
        database,
        """
        CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1);
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
        CREATE FUNCTION public.no_drop() RETURNS event_trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'nothing may be dropped'; END$$;
        CREATE EVENT TRIGGER keep_all ON sql_drop EXECUTE FUNCTION public.no_drop();
        ALTER EVENT TRIGGER keep_all ENABLE ALWAYS;
        """,
    )
    back_up(postgres, database, folder_store)
    with postgres.session(database) as cursor:
        cursor.execute("DELETE FROM public.t")
    done = in_place(postgres, database, folder_store)
    assert done["fingerprint"]["equal"] is True
    assert value(postgres, database, "SELECT count(*) FROM public.t") == 1
    assert value(postgres, database, "SELECT evtenabled::text FROM pg_event_trigger") == "A"


def test_in_place_refuses_rows_that_no_set_holds(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(
        database,
        """
        CREATE EXTENSION citext; CREATE SCHEMA q; CREATE TABLE q.orders (id int PRIMARY KEY);
        ALTER EXTENSION citext ADD TABLE q.orders; INSERT INTO q.orders SELECT generate_series(1, 25);
        CREATE TABLE public.t (id int, name public.citext);
        """,
    )
    back_up(postgres, database, folder_store)
    for options in ({}, {"_ansible_check_mode": True}):
        with pytest.raises(ModuleFailed) as caught:
            in_place(postgres, database, folder_store, **options)
        assert caught.value.result["error_kind"] == "unsupported"
        assert "q.orders" in caught.value.result["what"]
    assert value(postgres, database, "SELECT count(*) FROM q.orders") == 25


def test_in_place_refuses_what_the_set_would_not_bring_back(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.t (id int)")
    back_up(postgres, database, folder_store)
    with postgres.session(database) as cursor:
        cursor.execute("CREATE SCHEMA later; CREATE VIEW later.v AS SELECT id FROM public.t")
    with pytest.raises(ModuleFailed) as caught:
        in_place(postgres, database, folder_store)
    assert "view later.v" in caught.value.result["what"]
    assert value(postgres, database, "SELECT count(*) FROM later.v") == 0


def test_in_place_gives_up_on_locks_in_time(postgres: PostgresServer, database: str) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.t (id int)")
    entry = TocEntry(1, False, "t", "TABLE", "", "", "public", "postgres", (), "")
    toc = Toc((1, 14), database, "", "", (entry,))
    with postgres.session(database) as holder, connection(postgres.options()) as admin:
        holder.execute("BEGIN; LOCK TABLE public.t IN ROW EXCLUSIVE MODE")
        began = time.monotonic()
        locked = locked_database(
            postgres.options(database), admin, Replacement(toc), lock_timeout=3, terminate_sessions=False
        )
        with pytest.raises(RecoveryError) as caught, contextlib.ExitStack() as stack:
            stack.enter_context(locked)
        assert caught.value.kind == "locked"
        assert time.monotonic() - began < 8
        holder.execute("INSERT INTO public.t VALUES (1); COMMIT")


def test_no_acknowledged_row_is_lost_by_in_place(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.orders (id int PRIMARY KEY, pad text)")
        cursor.execute("INSERT INTO public.orders SELECT -g, repeat('x', 500) FROM generate_series(1, 20000) g")
    back_up(postgres, database, folder_store)
    acknowledged: list[int] = []
    over = threading.Event()

    def write(first: int) -> None:
        number = first
        while not over.is_set():
            with contextlib.suppress(psycopg2.Error), postgres.session(database) as cursor:
                while not over.is_set():
                    number += 1
                    cursor.execute("INSERT INTO public.orders VALUES (%s)", (number,))
                    acknowledged.append(number)
                    time.sleep(0.02)

    writers = [threading.Thread(target=write, args=(1_000_000 * (index + 1),)) for index in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    try:
        done = in_place(postgres, database, folder_store, terminate_sessions=True)
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert done["fingerprint"]["equal"] is True
    copy = f"{database}_undo"
    restore(postgres, copy, folder_store, set=done["undo"]["set"], tier="undo")
    try:
        found: set[int] = set()
        for name in (database, copy):
            with postgres.session(name) as cursor:
                cursor.execute("SELECT id FROM public.orders")
                found |= {row[0] for row in cursor.fetchall()}
        assert len(acknowledged) > 20
        assert set(acknowledged) - found == set()
    finally:
        remove(postgres, copy)


def test_a_swap_that_is_killed_leaves_the_live_database_open(postgres: PostgresServer, database: str) -> None:
    other = postgres.create_database(f"{database}_new")
    with postgres.session(database) as busy:
        busy.execute("SELECT 1")
        with connection(postgres.options()) as conn:
            current, replacement = databases.find(conn, database), databases.find(conn, other)
            assert current is not None and replacement is not None
            with pytest.raises(RecoveryError) as caught:
                exchange(
                    postgres.options(), current, replacement, f"{database}_old", end_sessions=False, lock_timeout=5
                )
            assert caught.value.kind == "target_in_use"
    killed = threading.Event()

    def kill() -> None:
        with postgres.session() as cursor:
            while not killed.is_set():
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%RENAME%'"
                )
                killed.wait(0.05)

    killer = threading.Thread(target=kill)
    with postgres.session(database):
        killer.start()
        with pytest.raises(RecoveryError):
            exchange(postgres.options(), current, replacement, f"{database}_old", end_sessions=False, lock_timeout=5)
        killed.set()
        killer.join()
    assert value(postgres, database, "SELECT datallowconn FROM pg_database WHERE datname = current_database()")
    assert value(postgres, other, "SELECT 1") == 1
    postgres.drop_database(other)


def test_a_swap_checks_the_identity_of_both_databases(postgres: PostgresServer, database: str) -> None:
    other = postgres.create_database(f"{database}_new")
    with connection(postgres.options()) as conn:
        current, replacement = databases.find(conn, database), databases.find(conn, other)
    assert current is not None and replacement is not None
    postgres.drop_database(database)
    postgres.create_database(database)
    with pytest.raises(RecoveryError) as caught:
        exchange(postgres.options(), current, replacement, f"{database}_old", end_sessions=True, lock_timeout=5)
    assert caught.value.kind == "conflict"
    assert value(postgres, other, "SELECT 1") == 1
    postgres.drop_database(other)


def test_an_undo_counts_the_sessions_of_both_databases_and_refuses_them(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    postgres.create_database(copies)
    undo = {"target_db": database, "mode": "undo", "undo_db": copies, "recovery_confirm": database}
    back_up(postgres, database, folder_store)
    with postgres.session(database) as first, postgres.session(copies) as second:
        first.execute("SELECT 1")
        second.execute("SELECT 1")
        planned = restore(postgres, database, folder_store, **undo, check=True)
        assert planned["plan"]["sessions"] == 2
        with pytest.raises(ModuleFailed) as caught:
            restore(postgres, database, folder_store, **undo)
    assert caught.value.result["error_kind"] == "target_in_use"


def test_a_plan_refuses_prepared_transactions_that_a_restore_would_wait_for(folder_store: Options) -> None:
    with postgres_server("15", settings={"max_prepared_transactions": "2"}) as server:
        name, kept = server.create_database("school"), server.create_database("kept")
        back_up(server, name, folder_store)
        server.psql(kept, "BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'order 7'")
        server.psql(name, "BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'order 8'")
        for options in ({"mode": "swap"}, {"mode": "in_place"}, {"mode": "undo", "undo_db": kept}):
            with pytest.raises(ModuleFailed) as caught:
                restore(server, name, folder_store, **options, terminate_sessions=True, check=True)
            assert caught.value.result["error_kind"] == "target_in_use"
            assert "1 prepared transaction" in caught.value.result["msg"]


def test_restores_into_one_target_exclude_each_other_whatever_they_log_in_to(
    postgres: PostgresServer, database: str, copies: str, folder_store: Options
) -> None:
    back_up(postgres, database, folder_store)
    login = postgres.options("template1")
    with (
        connection(login) as conn,
        databases.restore_lock(conn, login, copies),
        pytest.raises(ModuleFailed) as caught,
    ):
        restore(postgres, copies, folder_store)
    assert caught.value.result["error_kind"] == "target_in_use"
