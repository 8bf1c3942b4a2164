# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code of an ordinary database user never runs with the rights of the tool, and cannot blind a comparison."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

import pytest

from tests.support.data.hostile import Hostile, hostile_database
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = t.Dict[str, t.Any]

ROWS = "SELECT id, m, a, s::varchar, (p).one, (p).two, l::int[] FROM app.parent ORDER BY id"
BEFORE = [(n, "good", n, f"[{n},{n + 2})", n, n, [n]) for n in range(1, 6)]


@pytest.fixture(params=available_versions())
def hostile(request: pytest.FixtureRequest, servers: t.Callable[[str], PostgresServer]) -> t.Iterator[Hostile]:
    with hostile_database(servers(request.param)) as found:
        yield found


@pytest.fixture
def saved(hostile: Hostile, folder_store: Options) -> t.Callable[..., t.Dict[str, t.Any]]:
    """The hostile database with a set of it; gives a function that runs a module on both."""

    def run(name: str, *, check_mode: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        login = hostile.server.module_options(hostile.database)
        given = {"source": "hostile", "store": folder_store, **login, **options}
        if name == "pg_restore_table":
            given["recovery_environment"] = "sandbox"
        try:
            return run_module(name, given, check_mode=check_mode)
        finally:
            hostile.require_harmless()

    run("pg_backup")
    return run


def test_the_attack_succeeds_where_nothing_confines_it(hostile: Hostile) -> None:
    with hostile.server.session(hostile.database) as cursor:
        cursor.execute("SELECT count(*) FROM app.seen WHERE attacked")

    with pytest.raises(AssertionError, match="superuser"):
        hostile.require_harmless()


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("triggers", ["disable", "fire"])
def test_row_restores_run_code_of_users_as_the_owner(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]], triggers: str, check_mode: bool
) -> None:
    common: Options = {"triggers": triggers, "check_mode": check_mode, "closure": "both"}
    hostile.run("DELETE FROM app.child; DELETE FROM app.parent WHERE id = 2")
    missing = saved("pg_restore_table", keys={"app.parent": [2]}, mode="missing", **common)
    hostile.run("UPDATE app.parent SET m = 'bad', a = a + 1, s = '[7,9)', p = ROW(9, 9), l = '{9}' WHERE id = 3")
    merged = saved("pg_restore_table", where={"app.parent": "m = 'bad' OR a > 3"}, mode="merge", **common)
    hostile.run("INSERT INTO app.parent (id, m) VALUES (9, 'bad')")
    exact = saved("pg_restore_table", tables=["app.parent", "app.child"], mode="exact", **common)

    assert missing["changed"] and exact["changed"]
    if not check_mode:
        assert hostile.values(ROWS) == BEFORE
        assert merged["tables"]


@pytest.mark.parametrize("column", ["m = 'bad'", "a = 7", "s = '[7,9)'", "p = ROW(7, 7)", "l = '{7}'"])
def test_a_lying_cast_or_operator_hides_no_difference(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]], column: str
) -> None:
    hostile.run(f"UPDATE app.parent SET {column} WHERE id = 4")

    result = saved("pg_restore_table", tables=["app.parent"], mode="merge")

    assert [(table["updates"], table["table"]) for table in result["tables"]] == [(1, "app.parent")]
    assert hostile.values(ROWS) == BEFORE


def test_a_dropped_table_is_made_and_filled_as_its_owner(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    hostile.run("DROP TABLE app.child; DROP TABLE app.parent CASCADE")

    saved("pg_restore_table", tables=["app.parent", "app.child"], check_mode=True)
    saved("pg_restore_table", tables=["app.parent", "app.child"])

    assert hostile.values(ROWS) == BEFORE


@pytest.mark.parametrize("mode", ["new", "swap", "in_place"])
def test_a_restored_database_ran_no_code_of_users_with_the_rights_of_the_tool(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]], mode: str
) -> None:
    hostile.run("""
        CREATE FUNCTION app.whole(app.child) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
          $$BEGIN PERFORM app.attack(); RETURN true; END$$;
        ALTER TABLE app.child ADD CONSTRAINT behind_the_rows CHECK (app.whole(child.*));
        COMMENT ON CONSTRAINT behind_the_rows ON app.child IS 'validated when it is added';
        CREATE TYPE app.colour AS ENUM ('red');
        CREATE FUNCTION app.number(app.colour) RETURNS int LANGUAGE plpgsql AS
          $$BEGIN PERFORM app.attack(); RETURN 7; END$$;
        CREATE CAST (app.colour AS int) WITH FUNCTION app.number(app.colour) AS IMPLICIT;
        CREATE TABLE app.numbered (n int PRIMARY KEY);
        INSERT INTO app.numbered VALUES (7);
        CREATE TABLE app.coloured (c app.colour REFERENCES app.numbered);
        INSERT INTO app.coloured VALUES ('red');
        CREATE TABLE app.parted (a app.amount, id int) PARTITION BY LIST (a);
        CREATE TABLE app.part (a app.amount, id int, CHECK (app.zero(7) = id * 0));
        ALTER TABLE app.parted ATTACH PARTITION app.part FOR VALUES IN (1, 2);
        CREATE INDEX ON app.parted (id);
        INSERT INTO app.parted VALUES (1, 1), (2, 2);
        CREATE FUNCTION app.plus(app.amount, int) RETURNS app.amount LANGUAGE sql AS 'SELECT ($1 + $2)::app.amount';
        CREATE AGGREGATE app.total(int) (SFUNC = app.plus, STYPE = app.amount, INITCOND = '1');
        COMMENT ON AGGREGATE app.total(int) IS 'its first state is a value of the domain';
        CREATE VIEW app.totals AS SELECT app.total(id) FROM app.parted;
        -- PostgreSQL prints this check differently after a restore, so that definitions are replayed.
        ALTER TABLE app.child ADD state varchar CHECK (state IN ('new', 'old'))
    """)
    saved("pg_backup")
    target = f"{hostile.database}_copy" if mode == "new" else hostile.database
    login = hostile.server.module_options(target if mode == "in_place" else None)

    try:
        # Code that writes while the undo set is taken waits for the locks of this restore, which waits for that code.
        waiting = {"recovery_environment": "sandbox", "lock_timeout": 2}
        result = saved("pg_restore", target_db=target, mode=mode, **waiting, **login)

        replace(hostile, database=target).require_harmless()
        assert result["fingerprint"]["equal"] is True
        assert replace(hostile, database=target).values(ROWS) == BEFORE
    finally:
        if mode != "in_place":
            hostile.server.drop_database(target if mode == "new" else result["undo"]["undo_db"])


def test_an_undo_set_brings_back_what_users_types_held(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    hostile.run("UPDATE app.parent SET m = 'bad', p = ROW(8, 8) WHERE id = 1")
    changed = hostile.values(ROWS)
    result = saved("pg_restore_table", tables=["app.parent"], mode="merge")

    saved("pg_restore_table", tier="undo", set=result["undo"]["set"], mode="exact")

    assert hostile.values(ROWS) == changed


def test_a_tenant_is_taken_out_with_the_right_to_read(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    result = saved("pg_export_rows", source="tenant", keys={"app.parent": [1, 2]}, closure="both")

    assert result["rows"] == 4


def test_checks_can_only_read(hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    hostile.run("INSERT INTO app.child VALUES (77, 1, 'bad')")
    checks: t.List[Options] = [
        {"type": "row_count", "table": "app.parent", "equals": 5},
        {"type": "row_count", "table": "app.seen", "equals": 5},
        {"type": "foreign_keys"},
        {"type": "constraints"},
        {"type": "sequences"},
        {"type": "indexes"},
        {"type": "sql", "name": "functions", "query": "SELECT app.attack()", "rows": 1},
        {"type": "sql", "name": "view", "query": "SELECT count(*) FROM app.seen WHERE attacked", "min": 0},
        {"type": "sql", "name": "cast", "query": "SELECT m::text FROM app.child", "rows": 6},
        {"type": "sql", "name": "unqualified", "query": "SELECT m = 'bad' FROM app.child", "rows": 6},
        {"type": "orphans", "table": "app.child", "columns": ["m"], "parent": "app.moods", "parent_columns": ["m"]},
    ]

    result = saved("integrity_check", checks=checks, fail_on="never")

    assert [(check["name"], check["message"]) for check in result["checks"] if check["status"] == "error"] == []
    assert [check["type"] for check in result["checks"] if check["status"] == "failed"] == ["orphans"]


def test_a_deferred_trigger_cannot_wait_for_the_commit_of_the_tool(
    hostile: Hostile, saved: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    """It would run as the login role, so the restore is refused before PostgreSQL 18, which runs it as the owner."""
    hostile.run("""
        DELETE FROM app.child;
        CREATE FUNCTION app.late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          SET CONSTRAINTS ALL DEFERRED;
          PERFORM app.attack();
          -- Only once: each event of the update waits for COMMIT again, where the depth is 1.
          UPDATE app.child SET m = m WHERE id = NEW.id AND TG_OP = 'INSERT';
          RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON app.child DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION app.late()
    """)
    early = int(hostile.server.version) < 18

    with pytest.raises(ModuleFailed, match="pending trigger events") if early else contextlib.nullcontext():
        saved("pg_restore_table", tables=["app.child"], triggers="fire")

    assert len(hostile.values("SELECT FROM app.child")) == (0 if early else 5)


def test_the_state_of_replication_is_read_from_the_catalog_alone(hostile: Hostile) -> None:
    run_module("pg_replication_info", hostile.server.module_options(hostile.database))

    hostile.require_harmless()
