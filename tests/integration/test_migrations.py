# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations are applied completely or not at all, in order, once, and with a ledger that the Supabase CLI reads."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fakes.stalling import stalling_proxy
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]
LEDGER = "supabase_migrations.schema_migrations"


@dataclass
class Project:
    """A database, and the folder of its migrations."""

    server: PostgresServer
    database: str
    folder: Path

    def write(self, name: str, text: str | bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def arguments(self, **options: t.Any) -> Options:
        given = {"migrations_path": str(self.folder), "recovery_confirm": self.database, **options}
        return {**self.server.module_options(self.database), **given}

    def migrate(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        return run_module("pg_migrate", self.arguments(**options), check_mode=check_mode)

    def refused(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        """The error of a run that must leave the database unchanged."""
        before = self.server.plain_dump(self.database)
        with pytest.raises(ModuleFailed) as caught:
            self.migrate(check_mode=check_mode, **options)
        assert self.server.plain_dump(self.database) == before
        assert "Unexpected" not in caught.value.result["msg"]
        return caught.value.result

    def run(self, sql: str) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def ledger(self) -> list[tuple[t.Any, ...]]:
        return self.run(f"SELECT version, name, statements FROM {LEDGER} ORDER BY 1")

    def versions(self) -> list[str]:
        return [row[0] for row in self.ledger()]


@pytest.fixture
def project(postgres: PostgresServer, database: str, tmp_path: Path) -> Project:
    found = Project(postgres, database, tmp_path / "migrations")
    found.folder.mkdir()
    return found


@pytest.fixture
def started(project: Project) -> Project:
    """A project with one applied migration, whose table has a row."""
    project.write("20250101000000_init.sql", "CREATE TABLE courses (id text PRIMARY KEY, title text NOT NULL);")
    project.migrate()
    project.run("INSERT INTO courses VALUES ('algebra', 'Algebra')")
    return project


@pytest.mark.parametrize("version", available_versions())
def test_pending_migrations_run_in_order_once(
    servers: t.Callable[[str], PostgresServer], version: str, tmp_path: Path
) -> None:
    server = servers(version)
    project = Project(server, server.create_database(), tmp_path / "migrations")
    project.write("20250102000000_second.sql", "-- notes\nINSERT INTO a VALUES (1);\n\nINSERT INTO a VALUES (2)")
    project.write("20250101000000_first.sql", "\ufeffCREATE TABLE a (b int);\r\nCREATE VIEW v AS SELECT b FROM a;\r\n")
    project.write("README.md", "")
    planned = project.migrate(check_mode=True)
    assert [(one["version"], one["statement_count"]) for one in planned["pending"]] == [
        ("20250101000000", 2), ("20250102000000", 2)
    ]  # fmt: skip
    assert planned["pending"][1]["statements"][1] == {"number": 2, "line": 4, "statement": "INSERT INTO A VALUES"}
    assert (planned["changed"], planned["skipped"]) == (True, ["README.md"])
    assert project.run("SELECT to_regnamespace('supabase_migrations'), to_regclass('a')") == [(None, None)]
    done = project.migrate()
    assert (done["changed"], done["applied"]) == (True, ["20250101000000", "20250102000000"])
    assert done["plan_digest"] == planned["plan_digest"]
    assert project.run("SELECT b FROM v ORDER BY 1") == [(1,), (2,)]
    assert project.ledger() == [
        ("20250101000000", "first", ["CREATE TABLE a (b int)", "CREATE VIEW v AS SELECT b FROM a"]),
        ("20250102000000", "second", ["INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)"]),
    ]
    again = project.migrate()
    assert (again["changed"], again["applied"], again["unchanged"]["next_step"]) == (
        False,
        [],
        "Nothing is left to do.",
    )
    server.drop_database(project.database)


def test_a_migration_that_fails_leaves_the_database_unchanged(started: Project) -> None:
    started.write("20250102000000_good.sql", "CREATE TABLE tags (id int);")
    started.write(
        "20250103000000_bad.sql",
        "ALTER TABLE courses ADD COLUMN level int;\nDROP TABLE tags;\n\nUPDATE courses\n  SET missing = 1;\n",
    )
    started.write("20250104000000_later.sql", "SELECT 1;")
    with pytest.raises(ModuleFailed) as caught:
        started.migrate()
    result = caught.value.result
    assert result["error_kind"] == "migration_failed"
    assert (
        'statement 3 (line 4, UPDATE COURSES SET MISSING = 1), at line 5 of 20250103000000_bad.sql: column "missing"'
        in (result["what"])
    )
    assert (result["statement"], result["line"], result["failed"]) == (3, 5, True)
    assert result["applied_migrations"] == ["20250102000000"]
    assert result["left"] == (
        "Nothing of 20250103000000_bad.sql is in the database. Applied before, and in effect: 20250102000000. "
        "Not run: 20250104000000."
    )
    assert started.versions() == ["20250101000000", "20250102000000"]
    assert started.run("SELECT * FROM courses, to_regclass('tags')") == [("algebra", "Algebra", "tags")]
    assert started.refused()["applied_migrations"] == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1;\nDROP TABLE courses", "needs a confirmation"),
        ("SELECT 1;\nSELECT 1 / 0;", "division by zero"),
        ("CREATE TABLE x (a int UNIQUE);\n" + "INSERT INTO x VALUES (1);\n" * 2, "statement 3 (line 3, "),
        ("CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE c (a int REFERENCES p DEFERRABLE INITIALLY DEFERRED); "
         "INSERT INTO c VALUES (1);", "a deferred constraint or trigger"),
        ("DO $$ BEGIN COMMIT; END $$;", "invalid transaction termination"),
        ("SET client_encoding = 'LATIN1';\nSELECT 1;", "changes how the server reads the text"),
        ("SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT '\\';", "changes how the server"),
        ("SELECT 'unfinished", "ends within a string"),
    ],
)  # fmt: skip
def test_whatever_fails_leaves_no_trace(started: Project, sql: str, message: str) -> None:
    started.write("20250102000000_bad.sql", sql)
    confirm = {"recovery_confirm": None} if "confirmation" in message else {}
    result = started.refused(**confirm)
    if not confirm:
        assert message in result["msg"]
    else:
        assert result["error_kind"] == "confirmation_required"
        assert "runs statement 2 (line 2, DROP TABLE COURSES) of 20250102000000_bad.sql on" in result["msg"]


def test_the_first_migration_that_fails_creates_no_ledger(project: Project) -> None:
    project.write("1_bad.sql", "CREATE TABLE a (b int); SELECT * FROM missing;")
    assert project.refused()["error_kind"] == "migration_failed"
    assert project.run("SELECT to_regnamespace('supabase_migrations')") == [(None,)]


def test_settings_roles_and_temporary_tables_of_a_file_end_with_it(project: Project) -> None:
    project.run(
        "DROP ROLE IF EXISTS release_owner; CREATE ROLE release_owner; GRANT ALL ON SCHEMA public TO release_owner"
    )
    project.write(
        "1_owner.sql",
        "SELECT set_config('search_path', '', false); SET ROLE release_owner; CREATE TABLE public.a (b int); "
        "CREATE TEMP TABLE leftover (c int); SET standard_conforming_strings = off; SELECT '\\';'; "
        "SET lock_timeout = 1; SELECT pg_advisory_unlock_all();",
    )
    project.write(
        "2_check.sql",
        "CREATE TABLE seen AS SELECT current_user::text AS role, current_setting('search_path') AS path, "
        "to_regclass('leftover') IS NULL AS gone, current_setting('lock_timeout') AS patience, '\\' AS quote;",
    )
    project.migrate(lock_timeout=7)
    assert project.run("SELECT * FROM seen") == [("postgres", '"$user", public', True, "7s", "\\")]
    assert project.run("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'a'") == [("release_owner",)]
    project.write("3_alone.sql", "SET ROLE release_owner; SET search_path = ''; CREATE TABLE public.c (d int);")
    assert project.migrate(without_transaction=["3"])["applied"] == ["3"]
    assert project.migrate()["changed"] is False
    project.run("DROP OWNED BY release_owner; DROP ROLE release_owner")


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1;\nCREATE INDEX CONCURRENTLY ON courses (title);", "statement 2 (line 2, CREATE INDEX CONCURRENTLY"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;", "statement 1 (line 1, BEGIN)"),
        ("VACUUM courses;", "VACUUM"),
    ],
)
def test_a_file_that_one_transaction_cannot_hold_is_refused_before_anything_runs(
    started: Project, sql: str, place: str
) -> None:
    started.write("20250102000000_good.sql", "CREATE TABLE tags (id int);")
    started.write("20250103000000_alone.sql", sql)
    for check_mode in (True, False):
        result = started.refused(check_mode=check_mode)
        assert result["error_kind"] == "migration_refused"
        assert place in result["msg"]
        assert "add 20250103000000 to `without_transaction`" in result["next_step"]
    done = started.migrate(without_transaction=["20250103000000"])
    assert done["applied"] == ["20250102000000", "20250103000000"]
    assert [one["transaction"] for one in done["pending"]] == [True, False]
    assert started.migrate()["changed"] is False


def test_a_failure_without_a_transaction_names_what_stays_in_effect(started: Project) -> None:
    started.run("INSERT INTO courses VALUES ('geometry', 'Algebra')")
    started.write(
        "20250102000000_half.sql",
        "CREATE TABLE tags (id int);\nCREATE UNIQUE INDEX CONCURRENTLY twice ON courses (title);\nSELECT 1;",
    )
    started.write("20250103000000_open.sql", "CREATE TABLE a (b int);\nBEGIN;\nDROP TABLE a;\nSELECT * FROM missing;")
    alone = ["20250102000000", "20250103000000"]
    with pytest.raises(ModuleFailed) as caught:
        started.migrate(without_transaction=alone)
    result = caught.value.result
    assert (result["error_kind"], result["in_effect"], result["statement"]) == ("migration_failed", 1, 2)
    assert "Statement 1 of 3 is in effect" in result["left"]
    assert "Invalid indexes that it left: public.twice; drop them." in result["left"]
    assert started.versions() == ["20250101000000"]
    started.run("DROP INDEX twice; DROP TABLE tags; DELETE FROM courses WHERE id = 'geometry'")
    with pytest.raises(ModuleFailed) as caught:
        started.migrate(without_transaction=alone)
    assert caught.value.result["in_effect"] == 1
    assert started.run("SELECT to_regclass('a')") == [("a",)]
    started.run("DROP TABLE a")
    started.write("20250103000000_open.sql", "CREATE TABLE a (b int);\nBEGIN;\nDROP TABLE a;\n")
    with pytest.raises(ModuleFailed, match="begins a transaction in statement 2 and does not end it"):
        started.migrate(without_transaction=alone)
    assert (started.run("SELECT to_regclass('a')"), started.versions()) == (
        [("a",)], ["20250101000000", "20250102000000"]
    )  # fmt: skip


def test_rows_travel_together_and_a_wrong_one_is_named(project: Project) -> None:
    rows = [f"INSERT INTO a VALUES ({number}, 'it''s {number}');\n" for number in range(20000)]
    project.write("1_rows.sql", "CREATE TABLE a (b int UNIQUE, c text);\n" + "".join(rows))
    done = project.migrate()
    assert project.run("SELECT count(*), sum(b) FROM a") == [(20000, 199990000)]
    assert len(project.ledger()[0][2]) == 20001
    assert done["timings"]["apply"] < 30
    project.write("2_more.sql", "SELECT 1;\n" + rows[7].replace("(7", "(70000") + rows[8] + rows[9])
    result = project.refused()
    assert (result["statement"], result["line"]) == (3, 3)
    assert "duplicate key" in result["msg"] and "it's" not in result["msg"]


def test_an_old_ledger_is_upgraded_and_other_columns_stay(project: Project) -> None:
    project.run(
        f"CREATE SCHEMA supabase_migrations; CREATE TABLE {LEDGER} (version text PRIMARY KEY, created_by text); "
        f"INSERT INTO {LEDGER} VALUES ('1', 'cli')"
    )
    project.write("1_old.sql", "SELECT * FROM never;")
    project.write("2_new.sql", "SELECT 1;")
    assert project.migrate(check_mode=True)["edited"] == []
    assert project.refused(migrations_path=str(project.folder / "none"))["error_kind"] == "invalid_options"
    assert project.migrate()["applied"] == ["2"]
    assert project.run(f"SELECT * FROM {LEDGER} ORDER BY 1") == [
        ("1", "cli", None, None), ("2", None, ["SELECT 1"], "new")
    ]  # fmt: skip


def test_versions_without_a_file_and_older_files_are_refused_with_the_repair(started: Project) -> None:
    started.write("20240101000000_older.sql", "CREATE TABLE older (a int);")
    result = started.refused()
    assert (result["error_kind"], result["older"]) == ("conflict", ["20240101000000"])
    assert "set `include_older` to true" in result["next_step"]
    assert started.migrate(include_older=True)["applied"] == ["20240101000000"]
    (started.folder / "20250101000000_init.sql").unlink()
    for check_mode in (True, False):
        result = started.refused(check_mode=check_mode)
        assert result["without_file"] == ["20250101000000"]
        assert "set `state` to reverted and `migrations` to [20250101000000]" in result["next_step"]
    for file in started.folder.iterdir():
        file.unlink()
    assert started.refused()["without_file"] == ["20240101000000", "20250101000000"]


def test_an_empty_folder_is_no_work(project: Project) -> None:
    assert project.migrate()["unchanged"]["reason"] == f"{project.folder} has no migration."
    assert project.run("SELECT to_regnamespace('supabase_migrations')") == [(None,)]


def test_an_edited_file_is_noticed_where_the_ledger_has_statements(started: Project) -> None:
    # A comment, the end of lines and how another tool split the file are no edit.
    started.write("20250101000000_init.sql", "-- c\r\nCREATE TABLE courses (id text PRIMARY KEY, title text NOT NULL)")
    started.run(f"UPDATE {LEDGER} SET statements = ARRAY['-- c' || E'\\n' || statements[1] || ';']")
    assert started.migrate()["edited"] == []
    started.write("20250101000000_init.sql", "CREATE TABLE courses (id text PRIMARY KEY, title text);")
    noticed = started.migrate()
    assert (noticed["changed"], noticed["edited"]) == (False, ["20250101000000_init.sql"])
    assert "Edited after they were applied: 20250101000000_init.sql." in json.dumps(noticed["warnings"])
    assert started.refused(on_edited="fail")["error_kind"] == "conflict"
    started.run(f"UPDATE {LEDGER} SET statements = NULL")
    assert started.migrate(on_edited="fail")["edited"] == []


def test_the_ledger_is_changed_without_running_a_statement(project: Project) -> None:
    project.write("1_a.sql", "CREATE TABLE a (b int);")
    project.write("2_b.sql", "CREATE TABLE b (b int);")
    assert project.refused(state="recorded")["msg"].startswith("`migrations` is required")
    assert project.refused(state="recorded", migrations=["3"])["error_kind"] == "invalid_options"
    recorded = project.migrate(state="recorded", migrations=["1"])
    assert (recorded["undo"], project.ledger()) == (
        {"state": "reverted", "migrations": ["1"]}, [("1", "a", ["CREATE TABLE a (b int)"])]
    )  # fmt: skip
    assert project.migrate(state="recorded", migrations=["1"])["changed"] is False
    assert project.migrate()["applied"] == ["2"]
    assert project.run("SELECT to_regclass('a'), to_regclass('b')") == [(None, "b")]
    assert project.migrate(state="reverted", migrations=["1", "2", "9"], check_mode=True)["migrations"] == ["1", "2"]
    reverted = project.migrate(state="reverted", migrations=["2", "9"])
    assert (reverted["migrations"], project.versions()) == (["2"], ["1"])
    assert project.run("SELECT to_regclass('b')") == [("b",)]
    project.migrate(**reverted["undo"])
    assert project.versions() == ["1", "2"]
    assert project.migrate(state="reverted", migrations=["9"])["changed"] is False


def test_a_migration_is_taken_back_by_its_file_with_its_row(started: Project) -> None:
    started.write("20250102000000_tags.sql", "CREATE TABLE tags (id int);")
    started.write("20250103000000_more.sql", "CREATE TABLE more (id int);")
    before = started.server.plain_dump(started.database)
    started.migrate()
    down = {"state": "rolled_back", "migrations": ["20250102000000", "20250103000000"]}
    assert "has no file 20250103000000_NAME.down.sql" in started.refused(**down)["msg"]
    started.write("20250102000000_tags.down.sql", "DROP TABLE tags;")
    started.write("20250103000000_more.down.sql", "DROP TABLE more; DROP TABLE missing;")
    assert started.refused(**{**down, "migrations": ["20250102000000"]})["newer"] == ["20250103000000"]
    assert started.refused(**down, recovery_confirm=None)["error_kind"] == "confirmation_required"
    result = started.refused(**down)
    assert (result["error_kind"], result["statement"]) == ("migration_failed", 2)
    started.write("20250103000000_more.down.sql", "DROP TABLE more;")
    planned = started.migrate(**down, check_mode=True)
    done = started.migrate(**{**down, "recovery_confirm": planned["plan_digest"]})
    assert done["rolled_back"] == ["20250103000000", "20250102000000"]
    assert started.server.plain_dump(started.database) == before
    assert started.migrate(**down)["changed"] is False


@pytest.mark.parametrize(
    ("sql", "tool"),
    [
        ("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean); "
         "INSERT INTO schema_migrations VALUES (7, true)", "golang-migrate, which is dirty at version 7"),
        ("CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)", "dbmate or Rails"),
        ("CREATE TABLE flyway_schema_history (installed_rank int, version varchar(50), script text, success boolean); "
         "INSERT INTO flyway_schema_history VALUES (1, '2.1', 'V2.sql', false)", "Flyway, in which version 2.1 failed"),
        ("CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz); "
         "INSERT INTO _prisma_migrations VALUES ('0_init')", "Prisma, in which 0_init did not end"),
        ("CREATE SCHEMA tool; CREATE TABLE tool.alembic_version (version_num text)", "Alembic"),
    ],
)  # fmt: skip
def test_the_ledger_of_another_tool_is_refused_by_its_name(project: Project, sql: str, tool: str) -> None:
    project.run(sql)
    project.write("1_a.sql", "SELECT 1;")
    result = project.refused()
    assert (result["error_kind"], tool in result["msg"]) == ("unsupported", True), result["msg"]
    assert project.migrate(ignored_ledgers=[result["ledgers"][0]["table"]])["applied"] == ["1"]


def test_ledgers_of_the_platform_do_not_count(project: Project) -> None:
    project.run("CREATE SCHEMA auth; CREATE TABLE auth.schema_migrations (version varchar(255) PRIMARY KEY)")
    project.write("1_a.sql", "SELECT 1;")
    assert project.migrate()["applied"] == ["1"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW {ledger} AS SELECT '1'::text AS version",
        "CREATE TABLE {ledger} (id int)",
        "CREATE TABLE {ledger} (version text PRIMARY KEY, statements jsonb)",
        "CREATE TABLE {ledger} (version text PRIMARY KEY); CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN CREATE TABLE taken (a int); RETURN NEW; END'; "
        "CREATE TRIGGER act BEFORE INSERT ON {ledger} FOR EACH ROW EXECUTE FUNCTION act()",
        "CREATE TABLE {ledger} (version text PRIMARY KEY); CREATE RULE act AS ON INSERT TO {ledger} DO ALSO SELECT 1",
        "CREATE TABLE {ledger} (version text PRIMARY KEY); ALTER TABLE {ledger} ENABLE ROW LEVEL SECURITY",
    ],
)
def test_a_table_that_is_no_ledger_or_runs_code_is_refused(project: Project, sql: str) -> None:
    project.run("CREATE SCHEMA supabase_migrations; " + sql.format(ledger=LEDGER))
    project.write("1_a.sql", "SELECT 1;")
    assert project.refused()["error_kind"] == "unsupported"


def test_a_second_run_is_refused_and_another_tool_is_noticed(started: Project) -> None:
    started.write("20250102000000_slow.sql", "LOCK TABLE courses; CREATE TABLE tags (id int);")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with started.server.session(started.database) as reader:
        reader.execute("BEGIN; SELECT FROM courses")
        process = start_module("pg_migrate", started.arguments(lock_timeout=60))
        while started.run(waiting) == [(0,)]:
            assert process.poll() is None
        with pytest.raises(ModuleFailed, match="Another run applies migrations") as caught:
            started.migrate()
        assert caught.value.result["error_kind"] == "locked"
        reader.execute("COMMIT")
    output, _errors = process.communicate(timeout=60)
    assert json.loads(output)["applied"] == ["20250102000000"]
    # A tool that does not use the advisory lock has changed the ledger since the plan.
    started.write("20250103000000_more.sql", "CREATE TABLE more (id int);")
    with started.server.session(started.database) as other:
        other.execute(f"BEGIN; INSERT INTO {LEDGER} VALUES ('20250103000000')")
        process = start_module("pg_migrate", started.arguments(lock_timeout=60))
        while started.run(waiting) == [(0,)]:
            assert process.poll() is None
        other.execute("COMMIT")
    output, _errors = process.communicate(timeout=60)
    assert (json.loads(output)["error_kind"], started.run("SELECT to_regclass('more')")) == ("conflict", [(None,)])


def test_a_lock_of_another_session_is_waited_for_until_the_timeout(started: Project) -> None:
    started.write("20250102000000_alter.sql", "ALTER TABLE courses ADD COLUMN level int;")
    with started.server.session(started.database) as reader:
        reader.execute("BEGIN; SELECT FROM courses")
        result = started.refused(lock_timeout=0.2)
        assert (result["error_kind"], "raise `lock_timeout`" in result["next_step"]) == ("locked", True)


def test_a_connection_that_ends_in_a_migration_leaves_nothing(started: Project) -> None:
    started.write(
        "20250102000000_ends.sql", "CREATE TABLE tags (id int); SELECT pg_terminate_backend(pg_backend_pid());"
    )
    result = started.refused()
    assert (result["error_kind"], "Nothing of 20250102000000_ends.sql" in result["left"]) == ("unreachable", True)


def test_a_commit_whose_answer_is_lost_is_found_in_the_ledger(started: Project) -> None:
    started.write("20250102000000_a.sql", "CREATE TABLE tags (id int);")
    started.write("20250103000000_b.sql", "CREATE TABLE more (id int);")
    with stalling_proxy(started.server.port) as proxy:
        proxy.lose_answer_to = b"COMMIT\0"
        done = started.migrate(login_port=proxy.port)
    assert done["applied"] == ["20250102000000", "20250103000000"]
    assert started.run("SELECT to_regclass('tags'), to_regclass('more')") == [("tags", "more")]


def test_passwords_in_migrations_are_not_shown(project: Project) -> None:
    project.run("DROP ROLE IF EXISTS release_login")
    project.write(
        "1_role.sql", "CREATE ROLE release_login PASSWORD 'a-secret-password';\nSELECT 'a-secret-password' / 0;"
    )
    texts = [json.dumps(project.migrate(check_mode=True)), json.dumps(project.refused())]
    assert "a-secret-password" not in texts[0]
    assert "a-secret-password" not in texts[1].replace('syntax for type integer: \\"a-secret-password\\"', "")


def test_the_audit_log_has_the_run(started: Project, store: Options) -> None:
    started.write("20250102000000_a.sql", "SELECT 1;")
    started.write("20250103000000_b.sql", "SELECT 1 / 0;")
    with pytest.raises(ModuleFailed):
        started.migrate(source="app", store=store)
    (record,) = run_module("audit_info", {"source": "app", "store": store})["records"]
    assert (record["operation_type"], record["status"], record["details"]["applied"]) == (
        "migrate", "failed", ["20250102000000"]
    )  # fmt: skip
