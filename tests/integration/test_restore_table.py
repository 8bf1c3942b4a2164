# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows come back from a set into the live tables, and nothing else changes."""

from __future__ import annotations

import shutil
import subprocess
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.fingerprint import (
    take_fingerprint,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fingerprint import Fingerprint, compare
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]

SCHEMA = """
CREATE SCHEMA "Odd Schema";
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN grade AS int CHECK (VALUE BETWEEN 1 AND 6);
CREATE TABLE parents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, notes json);
CREATE TABLE children (
    id bigserial PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE, name varchar(40) NOT NULL, mark grade,
    feels mood[], loud text GENERATED ALWAYS AS (upper(name)) STORED, born date, points numeric);
CREATE TABLE "Odd Schema"."Book ings" (
    child bigint REFERENCES children ON DELETE CASCADE, "Day" date, room int, "some ""quoted"" name" text DEFAULT 'x',
    PRIMARY KEY (child, "Day"));
CREATE SEQUENCE numbers;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER shouts BEFORE INSERT OR UPDATE ON children FOR EACH ROW EXECUTE FUNCTION shout();
ALTER TABLE children DISABLE TRIGGER shouts;
CREATE INDEX by_name ON children (lower(name));
CREATE STATISTICS together ON parent, mark FROM children;
CREATE VIEW glad AS SELECT * FROM children WHERE 'glad' = ANY (feels);
CREATE MATERIALIZED VIEW marks AS SELECT mark, count(*) FROM children GROUP BY mark;
ALTER TABLE children ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON children USING (parent = 1);
CREATE POLICY by_child ON parents USING (EXISTS (SELECT FROM children c WHERE c.parent = id));
COMMENT ON COLUMN children.born IS 'day of birth';
GRANT SELECT ON children, glad TO PUBLIC;
CREATE TABLE tree (id int PRIMARY KEY, above int REFERENCES tree, label text);
CREATE TABLE hens (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE eggs (id int PRIMARY KEY, hen int NOT NULL REFERENCES hens);
CREATE TABLE log (at timestamptz, what text, extra json);
CREATE TABLE events (id int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parents (email, notes) SELECT 'p' || n || '@example.org', '{"a": 1}' FROM generate_series(1, 40) n;
INSERT INTO children (parent, name, mark, feels, born, points)
    SELECT 1 + n % 40, E'child\\t' || n, 1 + n % 6, '{glad,sad}', '2015-01-01'::date + n, n * 1.50
    FROM generate_series(1, 200) n;
INSERT INTO "Odd Schema"."Book ings" SELECT 1 + n % 200, '2026-01-01'::date + n, n, E'line\\n' || n
    FROM generate_series(1, 600) n;
INSERT INTO tree SELECT n, nullif(n / 2, 0), 'node ' || n FROM generate_series(1, 63) n;
INSERT INTO hens SELECT n, n FROM generate_series(1, 10) n;
INSERT INTO eggs SELECT n, n FROM generate_series(1, 10) n;
ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs;
INSERT INTO log SELECT '2026-01-01'::timestamptz + n % 5 * interval '1 h', 'same', '{"b":2}'
    FROM generate_series(1, 30) n;
INSERT INTO events SELECT n, '2025-06-01'::date + n * 3, 'event ' || n FROM generate_series(1, 150) n;
"""


class Town:
    """The database, what it was at the backup, and the module on it."""

    def __init__(
        self, server: PostgresServer, database: str, store: Options, before: Fingerprint | None = None
    ) -> None:
        self.server, self.database, self.store = server, database, store
        self.before = before or take_fingerprint(server.options(database), "full")

    def run(self, statement: str) -> list[t.Any]:
        with self.server.session(self.database) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def restore(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        given = {"source": "town", "store": self.store, "recovery_environment": "sandbox", **options}
        return run_module(
            "pg_restore_table", {**self.server.module_options(self.database), **given}, check_mode=check_mode
        )

    def differences(self) -> list[str]:
        """The differences to the state at the backup, without sequences."""
        now = take_fingerprint(self.server.options(self.database), "full")
        return [
            item.what
            for item in compare(self.before, now, views_refreshed=True).differences
            if not item.what.startswith("sequence")
        ]


@pytest.fixture(scope="module")
def template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Town]:
    """A database with keys, cycles, partitions and odd names, and a set of it, to be copied."""
    database = postgres.create_database()
    postgres.psql(database, SCHEMA)
    store = {"provider": "directory", "path": str(tmp_path_factory.mktemp("town") / "store")}
    run_module("pg_backup", {"source": "town", "store": store, **postgres.module_options(database)})
    yield Town(postgres, database, store)
    postgres.drop_database(database)


@pytest.fixture
def target(postgres: PostgresServer, template: Town, folder_store: Options) -> t.Iterator[Town]:
    """A copy of the template, with a copy of its store."""
    database = postgres.create_database(template=template.database)
    shutil.copytree(template.store["path"], folder_store["path"])
    yield Town(postgres, database, folder_store, template.before)
    postgres.drop_database(database)


def test_a_deleted_parent_comes_back_with_what_the_cascade_took(target: Town) -> None:
    target.run("DELETE FROM parents WHERE id IN (3, 7)")
    assert len(target.differences()) == 3
    result = target.restore(keys={"parents": [3, 7]}, closure="children")
    assert target.differences() == []
    counts = {item["table"]: item["inserts"] for item in result["tables"]}
    assert counts == {"public.parents": 2, "public.children": 10, '"Odd Schema"."Book ings"': 30}
    assert result["foreign_keys"]["violated"] == []
    assert target.restore(keys={"parents": [3, 7]}, closure="children")["changed"] is False


@pytest.mark.parametrize("version", available_versions())
def test_every_version_restores_rows_and_tables(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str
) -> None:
    server = servers(version)
    database = server.create_database()
    try:
        server.psql(database, SCHEMA)
        run_module("pg_backup", {"source": "town", "store": folder_store, **server.module_options(database)})
        target = Town(server, database, folder_store)
        target.run("DELETE FROM parents WHERE id = 3; DROP TABLE tree; UPDATE events SET what = 'x'")
        target.restore(keys={"parents": [3]}, closure="children")
        target.restore(tables=["tree", "events"], mode="exact")
        assert target.differences() == []
    finally:
        server.drop_database(database)


def test_only_the_objects_of_the_tables_are_fetched(target: Town) -> None:
    target.run("DELETE FROM tree WHERE id > 31")
    result = target.restore(tables=["tree"])
    assert target.differences() == []
    assert result["bytes_fetched"] < result["bytes_in_set"] / 2


def test_children_whose_parents_are_gone_bring_these_along(target: Town) -> None:
    target.run("DELETE FROM parents WHERE id = 5")
    with pytest.raises(ModuleFailed) as refused:
        target.restore(where={"children": "parent = 5"})
    assert refused.value.result["error_kind"] == "conflict"
    assert "closure" in refused.value.result["msg"]
    target.restore(where={"children": "parent = 5"}, closure="parents")
    assert target.differences() == ["table Odd Schema.Book ings"]


def test_mode_missing_leaves_rows_that_changed_alone(target: Town) -> None:
    target.run("UPDATE children SET name = 'new name' WHERE id = 4; DELETE FROM children WHERE id = 9")
    target.restore(tables=["children"])
    assert target.run("SELECT name FROM children WHERE id IN (4, 9) ORDER BY id") == [("new name",), ("child\t9",)]


def test_mode_merge_puts_back_what_a_bug_overwrote_and_keeps_what_is_new(target: Town) -> None:
    target.run("UPDATE children SET points = points + 0.00, mark = 1; INSERT INTO children (name) VALUES ('late')")
    result = target.restore(tables=["children"], mode="merge")
    assert result["tables"][0]["deletes"] == 0
    assert target.run("SELECT count(*) FROM children WHERE mark = 1") == [(33,)]
    assert target.run("SELECT count(*) FROM children WHERE name = 'late'") == [(1,)]


def test_mode_exact_makes_tables_equal_and_undo_takes_that_back(target: Town) -> None:
    target.run(
        "UPDATE tree SET label = 'x' WHERE id % 2 = 0; DELETE FROM tree WHERE id > 50;"
        "INSERT INTO tree VALUES (99, 1, 'n');"
        "DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 7); INSERT INTO log VALUES (now(), 'new', '{}');"
        "UPDATE events SET what = 'x', day = day + 1 WHERE id % 3 = 0; DELETE FROM events WHERE id < 9"
    )
    damaged = take_fingerprint(target.server.options(target.database), "full")
    result = target.restore(tables=["tree", "log", "events"], mode="exact")
    assert target.differences() == []
    assert result["fingerprint"] == {"equal": True, "tables": 4}
    undone = target.restore(**result["undo"])
    now = take_fingerprint(target.server.options(target.database), "full")
    assert undone["changed"] is True
    assert [item for item in compare(damaged, now).differences if not item.what.startswith("sequence")] == []


def test_rows_that_refer_to_each_other_in_a_circle_come_back_together(target: Town) -> None:
    target.run("ALTER TABLE hens DISABLE TRIGGER ALL; ALTER TABLE eggs DISABLE TRIGGER ALL")
    target.run("DELETE FROM hens WHERE id < 4; DELETE FROM eggs WHERE id < 4")
    target.run("ALTER TABLE hens ENABLE TRIGGER ALL; ALTER TABLE eggs ENABLE TRIGGER ALL")
    target.restore(keys={"hens": [1, 2, 3]}, closure="both")
    assert target.differences() == []


def test_a_branch_of_a_tree_comes_back_from_its_root(target: Town) -> None:
    target.run(
        "WITH RECURSIVE below AS (SELECT 5 AS id UNION SELECT t.id FROM tree t JOIN below b ON t.above = b.id) "
        "DELETE FROM tree WHERE id IN (SELECT id FROM below)"
    )
    result = target.restore(keys={"tree": [5]}, closure="children")
    assert result["tables"][0]["inserts"] == 15
    assert target.differences() == []


def test_check_mode_shows_rows_and_changes_nothing(target: Town) -> None:
    target.run("UPDATE children SET name = 'wrong' WHERE id = 4; DELETE FROM children WHERE id = 9")
    damaged = take_fingerprint(target.server.options(target.database), "full")
    shown = target.restore(tables=["children"], mode="merge", _ansible_diff=True, check_mode=True)
    assert shown["plan"]["tables"]["public.children"] == {"insert": 1, "update": 1, "delete": 0}
    assert "name='wrong'" in shown["diff"]["before"]
    assert "id='9'" in shown["diff"]["after"]
    assert "mark" not in shown["diff"]["before"]
    assert compare(damaged, take_fingerprint(target.server.options(target.database), "full")).equal
    assert run_module("backup_info", {"source": "town", "store": target.store, "tier": "undo"})["sets"] == []


def test_a_diff_is_complete_or_counts_what_it_leaves_out(target: Town) -> None:
    target.run("UPDATE tree SET label = 'wrong' WHERE id % 2 = 0; DELETE FROM tree WHERE id > 40")

    def shown(**options: t.Any) -> list[str]:
        requested = {"tables": ["tree"], "mode": "merge", **options}
        return target.restore(**requested, _ansible_diff=True, check_mode=True)["diff"]["after"].splitlines()

    assert len(shown()) == 20 + 20 + 1
    assert "public.tree: 20 of 23 rows to insert are shown; `diff_rows` 0 shows all rows" in shown()
    assert len(shown(diff_rows=0)) == len(shown(diff_rows=23)) == 20 + 23


def test_production_wants_a_confirmation_for_anything_but_inserts(target: Town) -> None:
    target.run("UPDATE children SET name = 'wrong' WHERE id = 4")
    with pytest.raises(ModuleFailed) as refused:
        target.restore(tables=["children"], mode="merge", recovery_environment="production")
    assert refused.value.result["error_kind"] == "confirmation_required"
    assert f"this updates 1 row of public.children in '{target.database}' in production" in refused.value.result["what"]
    planned = target.restore(tables=["children"], mode="merge", check_mode=True)
    confirmed = {"recovery_environment": "production", "recovery_confirm": planned["plan_digest"]}
    target.restore(tables=["children"], mode="merge", **confirmed)
    assert target.differences() == []


def test_a_plan_is_refused_as_the_restore_would_be_and_leaves_nothing(target: Town) -> None:
    target.run("UPDATE children SET name = 'wrong' WHERE id = 4")
    requested = {"tables": ["children"], "mode": "merge", "plan_only": True, "recovery_environment": "production"}
    with pytest.raises(ModuleFailed) as refused:
        target.restore(**requested)
    assert refused.value.result["error_kind"] == "confirmation_required"
    planned = target.restore(**requested, recovery_confirm=refused.value.result["plan_digest"])
    assert (planned["changed"], planned["undo"]) == (True, {})
    assert target.run("SELECT name FROM children WHERE id = 4") == [("wrong",)]
    assert run_module("backup_info", {"source": "town", "store": target.store, "tier": "undo"})["sets"] == []


def test_a_restore_that_changes_nothing_gives_the_compared_reason(target: Town) -> None:
    target.run("UPDATE tree SET label = 'wrong' WHERE id <= 50")
    missing = target.restore(tables=["tree"])
    assert (missing["changed"], missing["undo"]) == (False, {})
    assert missing["unchanged"]["reason"] == (
        "63 rows that were asked for are in the database already. "
        "50 rows of public.tree differ from the set and are left unchanged; `mode` merge restores them."
    )
    assert missing["unchanged"]["reason"] in missing["summary"]
    # A set that was taken after the damage.
    taking = {"source": "town", "store": target.store, **target.server.module_options(target.database)}
    with pytest.raises(ModuleFailed) as other:
        run_module("pg_backup", taking)
    run_module("pg_backup", {**taking, "accept_identity": other.value.result["identity"]})
    late = target.restore(tables=["tree"], mode="merge")
    assert "are equal in 63 rows that were asked for" in late["unchanged"]["reason"]
    assert f"the next older set is {missing['set_id']} (daily)" in late["unchanged"]["next_step"]
    assert (late["unchanged"]["earlier_set"], late["unchanged"]["earlier_tier"]) == (missing["set_id"], "daily")
    nothing = target.restore(where={"tree": "id > 1000"}, mode="merge")
    assert "holds no row that was asked for" in nothing["unchanged"]["reason"]
    done = target.restore(tables=["tree"], mode="merge", set=missing["set_id"])
    assert (done["changed"], done["unchanged"]) == (True, None)
    assert target.differences() == []


def test_keys_that_the_set_does_not_hold_are_named(target: Town) -> None:
    target.run("DELETE FROM tree WHERE id > 50; INSERT INTO tree VALUES (200, 1, 'new')")
    none = refusal(target, keys={"tree": [998, 999, 999]})
    assert none["error_kind"] == "rows_missing"
    assert "2 of 2 keys of public.tree: 998, 999." in none["msg"]
    # In mode exact, a row that the set does not hold goes, so that its key is found.
    gone = target.restore(keys={"tree": [200]}, mode="exact")
    assert [item["deletes"] for item in gone["tables"]] == [1]
    some = target.restore(keys={"tree": [62, 999]})
    assert some["missing_keys"] == {"public.tree": {"missing": 1, "wanted": 2, "keys": ["999"]}}
    assert [item["inserts"] for item in some["tables"]] == [1]
    assert "1 of 2 keys of public.tree: 999" in str(some["warnings"])
    requested = {
        "source": "one",
        "store": target.store,
        "keys": {"tree": [999]},
        **target.server.module_options(target.database),
    }
    with pytest.raises(ModuleFailed, match="The live database has none of the rows"):
        run_module("pg_export_rows", requested)


def test_a_sequence_is_moved_beyond_the_rows_that_came_back(target: Town) -> None:
    target.run("DELETE FROM children WHERE id > 150; SELECT setval('children_id_seq', 150)")
    assert target.restore(tables=["children"])["sequences"] == ["public.children_id_seq"]
    assert target.run("INSERT INTO children (name) VALUES ('next') RETURNING id") == [(201,)]


def test_a_dropped_table_comes_back_with_all_that_went_with_it(target: Town) -> None:
    target.run("DROP TABLE children CASCADE; DROP TYPE mood; DROP DOMAIN grade")
    assert len(target.differences()) > 10
    planned = target.restore(tables=["children"], check_mode=True)
    assert "TRIGGER children shouts" in planned["plan"]["makes"]
    assert target.run("SELECT to_regclass('children')") == [(None,)]
    result = target.restore(tables=["children"])
    assert target.differences() == []
    assert result["fingerprint"] == {"equal": True, "tables": 1}
    assert target.run("SELECT count(*) FROM marks") == [(6,)]
    assert target.run("INSERT INTO children (name) VALUES ('next') RETURNING id") == [(201,)]


def test_a_dropped_partitioned_table_comes_back_with_its_partitions(target: Town) -> None:
    target.run("DROP TABLE events; UPDATE tree SET label = 'x' WHERE id = 3")
    target.restore(tables=["events", "tree"], mode="merge")
    assert target.differences() == []


def test_a_table_that_cannot_be_made_leaves_nothing_behind(target: Town) -> None:
    target.run("DROP TABLE hens CASCADE; DROP TABLE eggs")
    with pytest.raises(ModuleFailed) as refused:
        target.restore(tables=["hens"])
    assert refused.value.result["error_kind"] == "restore_failed"
    assert target.run("SELECT to_regclass('hens')") == [(None,)]
    target.restore(tables=["hens", "eggs"])
    assert target.differences() == []


def test_triggers_that_fire_are_reported_when_they_change_rows(target: Town) -> None:
    target.run("ALTER TABLE children ENABLE TRIGGER shouts; DELETE FROM children WHERE id = 9")
    with pytest.raises(ModuleFailed) as refused:
        target.restore(tables=["children"], mode="exact", triggers="fire")
    assert refused.value.result["error_kind"] == "not_equal"
    target.restore(tables=["children"])
    assert target.run("SELECT name FROM children WHERE id = 9") == [("child\t9",)]
    assert target.run("SELECT tgenabled FROM pg_trigger WHERE tgname = 'shouts'") == [("O",)]


def refusal(target: Town, **options: t.Any) -> Options:
    """The failed result; the tables are unchanged."""
    before = take_fingerprint(target.server.options(target.database), "full")
    with pytest.raises(ModuleFailed) as refused:
        target.restore(**options)
    after = take_fingerprint(target.server.options(target.database), "full")
    assert compare(before, after).equal
    assert target.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'lifeline%'") == [(0,)]
    return refused.value.result


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({}, "invalid_options", "No table was named"),
        ({"tables": ["pupils"]}, "table_missing", "has no table public.pupils"),
        ({"tables": ["nowhere.children"]}, "table_missing", "public.children"),
        ({"where": {"children": "id = 1; DROP TABLE tree"}}, "invalid_options", "not one SQL expression"),
        ({"where": {"children": "id = 1) OR (true"}}, "invalid_options", "not one SQL expression"),
        ({"where": {"children": "nme = 'x'"}}, "invalid_options", 'column "nme" does not exist'),
        ({"where": {"children": "id ="}}, "invalid_options", "syntax error"),
        ({"keys": {"children": ["seven"]}}, "invalid_options", "invalid input syntax"),
        ({"keys": {"children": [[1, 2]]}}, "invalid_options", "2 parts"),
        ({"keys": {"children": []}}, "invalid_options", "at least one key"),
        ({"keys": {"children": [1]}, "where": {"children": "true"}}, "invalid_options", "by `where` and by `keys`"),
        ({"tables": ["children"], "column_map": {"children": {"nam": "name"}}}, "invalid_options", "no such column"),
        ({"tables": ["children"], "into": "elsewhere"}, "target_missing", "elsewhere.children"),
        ({"tables": ["tree"], "source": "village"}, "unknown_source", "village"),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_changes(target: Town, options: Options, kind: str, text: str) -> None:
    result = refusal(target, **options)
    assert result["error_kind"] == kind
    assert text in result["msg"]


def test_a_table_whose_columns_changed_is_refused_until_the_operator_decides(target: Town) -> None:
    target.run("ALTER TABLE tree RENAME label TO title; ALTER TABLE tree ADD extra int, ALTER id TYPE bigint")
    target.run("DELETE FROM tree WHERE id > 31")
    result = refusal(target, tables=["tree"])
    assert result["error_kind"] == "schema_drift"
    assert sorted(result["drift"]) == [
        "its column id was integer and is bigint",
        "its column label is gone",
        "the set does not know its column extra",
        "the set does not know its column title",
    ]
    target.restore(tables=["tree"], column_map={"tree": {"label": "title"}}, on_schema_drift="common_columns")
    assert target.run("SELECT count(*), count(title) FROM tree") == [(63, 63)]


def test_limits_hold_before_anything_changes(target: Town) -> None:
    target.run("DELETE FROM tree WHERE id > 31; INSERT INTO log SELECT now(), 'n', '{}' FROM generate_series(1, 9)")
    assert refusal(target, tables=["tree"], max_rows=31)["error_kind"] == "limit_exceeded"
    assert refusal(target, tables=["log"], mode="exact", max_deletes=8)["error_kind"] == "limit_exceeded"
    target.restore(tables=["tree"], max_rows=32)


def test_a_value_that_a_new_row_took_is_shown(target: Town) -> None:
    target.run("DELETE FROM parents WHERE id = 3; INSERT INTO parents (email) VALUES ('p3@example.org')")
    result = refusal(target, keys={"parents": [3]})
    assert result["error_kind"] == "conflict"
    assert result["conflicts"] == [{"set": "3", "live": "41", "value": "p3@example.org"}]
    target.restore(tables=["parents"], mode="exact")
    assert target.run("SELECT id FROM parents WHERE email = 'p3@example.org'") == [(3,)]


def test_exact_deletes_no_row_outside_the_request(target: Town) -> None:
    target.run("INSERT INTO parents (email) VALUES ('new@example.org')")
    target.run("INSERT INTO children (parent, name) VALUES (41, 'new child')")
    result = refusal(target, tables=["parents"], mode="exact")
    assert result["error_kind"] == "conflict"
    assert "1 rows of public.children refer to rows of public.parents" in result["msg"]
    target.restore(tables=["parents"], mode="exact", closure="children")
    assert target.differences() == []


@pytest.mark.parametrize("as_login", [True, False])
def test_check_mode_names_each_right_that_the_restore_needs(target: Town, as_login: bool) -> None:
    """Each grant that a refusal asks for brings the next one, until the restore runs."""
    role = f"r{target.database}"
    target.run(
        f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'pw-of-a-test'; ALTER TABLE children NO FORCE ROW LEVEL SECURITY"
    )
    target.run("DELETE FROM children WHERE id = 9; UPDATE parents SET email = 'wrong' WHERE id = 5")
    login = {"login_user": role, "login_password": "pw-of-a-test"} if as_login else {"run_as": role}
    requested = {"tables": ["children", "parents"], "mode": "merge", "triggers": "fire", **login}
    asked = []
    result: dict[str, t.Any] = {}
    try:
        while True:
            try:
                target.restore(**requested, check_mode=True)
                break
            except ModuleFailed as refused:
                result = refused.result
            assert result["error_kind"] in ("access_denied", "rls_blind")
            grant = str(result["next_step"]).partition(", or connect")[0]
            if result["error_kind"] == "rls_blind":
                grant = f'ALTER ROLE "{role}" BYPASSRLS'
            asked.append(grant.partition(" TO ")[0])
            assert len(asked) < 20
            target.run(grant)
        done = target.restore(**requested)
        assert [(item["inserts"], item["updates"]) for item in done["tables"]] == [(1, 0), (0, 1)]
        assert 'GRANT SELECT, UPDATE ON SEQUENCE "public"."children_id_seq"' in asked
        assert 'GRANT SELECT ON "Odd Schema"."Book ings"' in asked
    finally:
        target.run(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_check_mode_finds_a_store_that_takes_no_undo_set(target: Town) -> None:
    target.run("UPDATE tree SET label = 'wrong' WHERE id = 4")
    store = Path(target.store["path"])
    unwritable = store / "town" / "undo"
    unwritable.write_text("in the way")
    result = refusal(target, tables=["tree"], mode="merge", check_mode=True)
    assert result["error_kind"] in ("access_denied", "store_failed")


def test_rows_that_another_session_locks_end_the_wait(target: Town) -> None:
    target.run("UPDATE tree SET label = 'x' WHERE id = 4")
    with target.server.session(target.database) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM tree WHERE id = 4 FOR UPDATE")
        with pytest.raises(ModuleFailed) as refused:
            target.restore(tables=["tree"], mode="merge", lock_timeout=0.2)
        cursor.execute("ROLLBACK")
    assert refused.value.result["error_kind"] == "locked"


def test_an_undo_set_is_verified_and_is_no_database(target: Town) -> None:
    target.run("UPDATE tree SET label = 'x' WHERE id = 4")
    undo = target.restore(tables=["tree"], mode="merge")["undo"]
    chosen = {"source": "town", "store": target.store, "tier": "undo", "set": undo["set"]}
    assert run_module("backup_verify", {**chosen, "client_bin_dir": str(target.server.bin_dir)})["rows"] == 1
    with pytest.raises(ModuleFailed) as refused:
        run_module("pg_restore", {**chosen, "target_db": "nothing", **target.server.module_options()})
    assert refused.value.result["error_kind"] == "unsupported"
    assert target.restore(tables=["tree"])["bytes_in_set"] > 1000
    listed = run_module("backup_info", {"source": "town", "store": target.store})["sets"]
    assert [item["tables"] for item in listed if item["tier"] == "undo"] == [1]


def test_a_damaged_object_is_noticed_before_anything_changes(target: Town) -> None:
    target.run("DELETE FROM tree WHERE id > 31")
    info = run_module("backup_info", {"source": "town", "store": target.store})["sets"][0]
    folder = Path(target.store["path"]) / "town" / info["tier"] / "objects"
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(data)
    assert refusal(target, tables=["tree"])["error_kind"] == "damaged"


@pytest.fixture
def small_disk(tmp_path: Path) -> t.Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_spool_ends_it_before_anything_changes(target: Town, small_disk: Path) -> None:
    target.run("UPDATE children SET name = repeat(md5(id::text), 1) || repeat('x', 8)")
    target.run("CREATE TABLE big AS SELECT n AS id, md5(n::text) AS text FROM generate_series(1, 60000) n")
    target.run("ALTER TABLE big ADD PRIMARY KEY (id)")
    run_module("pg_backup", {"source": "full", "store": target.store, **target.server.module_options(target.database)})
    target.run("UPDATE big SET text = text || id")
    refused = refusal(target, source="full", tables=["big"], mode="merge", spool_dir=str(small_disk))
    assert refused["error_kind"] == "spool_full"


def test_two_parallel_restores_restore_the_rows_once(target: Town) -> None:
    target.run("DELETE FROM parents WHERE id < 20")

    def one(_number: int) -> str:
        try:
            target.restore(keys={"parents": list(range(1, 20))}, closure="children")
        except ModuleFailed as refused:
            return str(refused.result["error_kind"])
        return "done"

    with ThreadPoolExecutor(2) as pool:
        outcomes = set(pool.map(one, range(2)))
    assert "done" in outcomes
    assert outcomes <= {"done", "conflict", "locked"}
    assert target.differences() == []


def test_an_export_of_one_family_goes_into_another_database(target: Town, postgres: PostgresServer) -> None:
    login = target.server.module_options(target.database)
    requested = {"source": "family", "store": target.store, "keys": {"parents": [3]}, "closure": "children", **login}
    counted = run_module("pg_export_rows", requested, check_mode=True)
    assert counted["set_id"] is None
    taken = run_module("pg_export_rows", requested)
    assert taken["tables"] == {"public.parents": 1, "public.children": 5, '"Odd Schema"."Book ings"': 15}
    target.run("DELETE FROM parents WHERE id = 3; UPDATE parents SET email = 'x' || id")
    other = postgres.create_database()
    try:
        postgres.psql(other, SCHEMA.split("INSERT INTO parents", maxsplit=1)[0])
        into = {"source": "family", "tier": "emergency", "store": target.store, "recovery_environment": "sandbox"}
        result = run_module("pg_restore_table", {**into, **postgres.module_options(other)})
        assert [item["inserts"] for item in result["tables"]] == [1, 5, 15]
        assert run_module("pg_restore_table", {**into, **postgres.module_options(other)})["changed"] is False
        with postgres.session(other) as cursor:
            cursor.execute('SELECT count(*) FROM "Odd Schema"."Book ings" b JOIN children c ON c.id = b.child')
            assert cursor.fetchone()[0] == 15
    finally:
        postgres.drop_database(other)


def test_an_export_takes_all_that_its_rows_need(target: Town) -> None:
    login = target.server.module_options(target.database)
    requested = {"source": "child", "store": target.store, "where": {"children": "id = 5"}, **login}
    assert run_module("pg_export_rows", requested)["tables"] == {
        "public.parents": 1, "public.children": 1, '"Odd Schema"."Book ings"': 3
    }  # fmt: skip
    target.run("DELETE FROM parents")
    assert run_module("pg_export_rows", {**requested, "from_source": "town"})["rows"] == 5
    with pytest.raises(ModuleFailed) as refused:
        run_module("pg_export_rows", {**requested, "where": {}})
    assert refused.value.result["error_kind"] == "invalid_options"
