# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each publication keeps a version, and no role but that of a restore changes or deletes one."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]
PASSWORD = secrets.token_hex(8)


@dataclass
class Courses:
    """An application whose table of documents holds the published content, with an owner and a login of its own."""

    server: PostgresServer
    database: str
    mark: str

    def role(self, kind: str) -> str:
        return f"{kind}_{self.mark}"

    def protect(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        given = {"roles": [self.role("app")], "restore_roles": [self.role("restore")], **options}
        arguments = {**self.server.module_options(self.database), **given}
        return run_module("course_version_safeguards", arguments, check_mode=check_mode)

    def keep(self, **options: t.Any) -> Options:
        return self.protect(content_column="content", publisher=PUBLISHER, **options)

    def run(self, sql: str, kind: str = "", parameters: t.Any = None) -> list[tuple[t.Any, ...]]:
        login = {"user": self.role(kind), "password": PASSWORD} if kind else {}
        with self.server.session(self.database, **login) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def refusal(self, sql: str, kind: str = "app") -> str:
        """The reason of the server; empty if the statement ran."""
        try:
            self.run(sql, kind)
        except psycopg2.Error as error:
            return str(error)
        return ""

    def publish(self, content: t.Any, course: str = "algebra", kind: str = "app") -> None:
        sql = """
            INSERT INTO course_metadata (id, content) VALUES (%(id)s, %(content)s)
            ON CONFLICT (id) DO UPDATE SET content = excluded.content, etag = course_metadata.etag + 1,
              content_version = course_metadata.content_version + 1
        """
        self.run(sql, kind, {"id": course, "content": json.dumps(content)})

    def versions(self, course: str = "algebra") -> list[tuple[int, t.Any]]:
        return self.run(
            "SELECT version, snapshot FROM course_versions WHERE course_id = %s ORDER BY version", "", (course,)
        )

    def definitions(self) -> list[tuple[t.Any, ...]]:
        return self.run(
            "SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger "
            "WHERE NOT tgisinternal UNION ALL "
            "SELECT 'constraint', conrelid::regclass::text, pg_get_constraintdef(oid), '' FROM pg_constraint UNION ALL "
            "SELECT 'function', proname::text, pg_get_functiondef(oid), proacl::text FROM pg_proc "
            "WHERE oid >= 16384 AND prokind = 'f' UNION ALL "
            "SELECT 'schema', nspname::text, nspacl::text, '' FROM pg_namespace WHERE nspname !~ '^pg_' "
            "ORDER BY 1, 2, 3"
        )


@pytest.fixture
def courses(postgres: PostgresServer, database: str) -> t.Iterator[Courses]:
    postgres.psql(database, SCHEMA)
    found = Courses(postgres, database, secrets.token_hex(4))
    owner, app, restore = (found.role(kind) for kind in ("owner", "app", "restore"))
    with postgres.session(database) as cursor:
        for role in (owner, app, restore):
            cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        cursor.execute(
            f"""
            GRANT {owner} TO {restore};
            ALTER TABLE course_metadata ADD content jsonb;
            ALTER TABLE course_metadata OWNER TO {owner};
            ALTER TABLE course_versions OWNER TO {owner};
            GRANT USAGE ON SCHEMA auth TO PUBLIC;
            GRANT SELECT ON auth.users, tags TO {owner}, {app};
            GRANT ALL ON course_metadata, course_versions TO {app};
            CREATE POLICY app ON course_versions TO {app} USING (true) WITH CHECK (true);
            """
        )
    yield found
    with postgres.session(database) as cursor:
        cursor.execute(f"DROP OWNED BY {app}, {restore}, {owner} CASCADE; DROP ROLE {app}, {restore}, {owner}")


@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET snapshot = '0'", "TRUNCATE {}"])
def test_versions_are_changed_by_the_restore_role_only(courses: Courses, change: str) -> None:
    courses.publish({"v": 1})
    courses.run(
        "INSERT INTO course_versions (course_id, version, snapshot, published_by) VALUES ('algebra', 1, '1', %s)",
        "app", (PUBLISHER,),
    )  # fmt: skip
    done = courses.protect()
    assert {(one["role"], one["refused"]) for one in done["probes"]} == {
        (courses.role("app"), True), (courses.role("owner"), True),
    }  # fmt: skip
    assert courses.role("app") not in done["removers"] and courses.role("owner") in done["removers"]
    sql = change.format("course_versions")
    for kind in ("app", "owner", ""):
        assert "versions are kept for ever" in courses.refusal(sql, kind)
    assert "versions are kept for ever" in courses.refusal(f"SET session_replication_role = replica; {sql}", "")
    assert "versions are kept for ever" in courses.refusal("DELETE FROM course_metadata")
    assert courses.versions() == [(1, 1)]
    assert courses.refusal(sql, "restore") == ""
    assert courses.versions() != [(1, 1)]


def test_each_publication_keeps_one_version(courses: Courses) -> None:
    before = courses.definitions()
    planned = courses.keep(check_mode=True)
    assert (planned["changed"], courses.definitions()) == (True, before)
    assert "".join(f"{sql};\n" for sql in planned["statements"]) == planned["diff"]["prepared"]
    done = courses.keep()
    assert (done["statements"], done["undo"]) == (planned["statements"], {"state": "absent"})
    assert courses.keep()["changed"] is False

    courses.publish({"v": 1})
    courses.publish({"v": 2})
    # The application may insert the version itself.
    courses.run(
        "BEGIN; UPDATE course_metadata SET content_version = 3, content = '{\"v\": 3}' WHERE id = 'algebra'; "
        "INSERT INTO course_versions (course_id, version, snapshot, published_by) "
        f"VALUES ('algebra', 3, '3', '{PUBLISHER}'); COMMIT",
        "app",
    )
    assert courses.versions() == [(1, {"v": 1}), (2, {"v": 2}), (3, 3)]
    assert "its version stayed 3" in courses.refusal("UPDATE course_metadata SET content = '0'")
    # A draft, and a document that is deleted in the transaction that publishes it.
    for columns in ("(id) VALUES ('x')", "(id, content) VALUES ('x', '0')"):
        added = f"INSERT INTO course_metadata {columns}"
        courses.run(f"{added}; DELETE FROM course_metadata WHERE id = 'x'", "app")
    assert courses.run("SELECT DISTINCT course_id FROM course_versions") == [("algebra",)]

    # A changed function is replaced, and everything is removed again.
    (name,) = courses.run("SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ '^keep_version_'")[0]
    courses.run(f"ALTER FUNCTION {name} SECURITY INVOKER; GRANT EXECUTE ON FUNCTION {name} TO PUBLIC")
    assert courses.keep()["changed"] is True
    assert courses.keep(state="absent")["changed"] is True
    assert courses.definitions() == before
    assert courses.keep(state="absent")["changed"] is False


def test_two_parallel_publications_lose_no_version(courses: Courses) -> None:
    courses.keep()
    courses.publish(0)
    errors: list[str] = []

    def publish(number: int) -> None:
        # The application computes the number itself, so that both compute the same one.
        errors.append(
            courses.refusal(
                "SELECT content_version FROM course_metadata; SELECT pg_sleep(0.3); "
                f"UPDATE course_metadata SET content = '{number}', content_version = 2 WHERE id = 'algebra'"
            )
        )

    threads = [threading.Thread(target=publish, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(error) for error in errors) == [False, True]
    assert "its version stayed 2" in "".join(errors)
    ((_one, first), (number, second)) = courses.versions()
    assert (first, number) == (0, 2)
    assert courses.run("SELECT content FROM course_metadata") == [(second,)]


def test_the_code_of_another_session_gets_no_right_of_the_owner(courses: Courses) -> None:
    courses.keep()
    courses.run(f"CREATE SCHEMA evil AUTHORIZATION {courses.role('app')}")
    courses.run(
        "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS "
        "$$ BEGIN DELETE FROM public.course_versions; RETURN NULL; END $$; "
        "CREATE FUNCTION evil.differs(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false'; "
        "CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.differs)",
        "app",
    )
    for number in (1, 2):
        courses.run(
            "SET search_path = evil, public; SET row_security = off; "
            "INSERT INTO course_metadata (id, content) VALUES ('algebra', '1') ON CONFLICT (id) DO UPDATE SET "
            "content = '2', content_version = course_metadata.content_version + 1",
            "app",
        )
        assert [version for version, _content in courses.versions()] == list(range(1, number + 1))
    (name,) = courses.run("SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ '^keep_version_'")[0]
    stolen = "CREATE TEMP TABLE course_metadata (id text, content_version int, etag int, content jsonb); "
    stolen += f"CREATE TRIGGER t AFTER INSERT ON pg_temp.course_metadata FOR EACH ROW EXECUTE FUNCTION {name}"
    assert "permission denied" in courses.refusal(stolen)
    courses.run(f"GRANT USAGE ON SCHEMA lifeline_safeguards TO PUBLIC; GRANT EXECUTE ON FUNCTION {name} TO PUBLIC")
    assert "trigger of another table" in courses.refusal(
        f"{stolen}; INSERT INTO pg_temp.course_metadata VALUES ('a', 9)"
    )


def test_a_deferred_trigger_runs_with_the_rights_of_the_owner_of_its_table(courses: Courses) -> None:
    courses.keep()
    courses.publish({"v": 1})
    courses.publish({"v": 2})
    courses.run(f"CREATE SCHEMA own AUTHORIZATION {courses.role('owner')}")
    courses.run(
        "CREATE TABLE own.seen AS SELECT current_user::text AS role; "
        "CREATE FUNCTION own.look() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RESET ROLE; RETURN NULL; EXCEPTION WHEN OTHERS THEN "
        "INSERT INTO own.seen VALUES (current_user); RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER look AFTER UPDATE ON public.course_metadata DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION own.look()",
        "owner",
    )
    options = {**courses.server.module_options(courses.database), "documents": ["algebra"], "version": "1"}
    run_module("course_version_restore", {**options, "recovery_environment": "sandbox"})
    assert courses.run("SELECT * FROM own.seen") == [(courses.role("owner"),)] * 2


@pytest.mark.parametrize("session", ["", "restore"])
def test_a_restored_version_is_kept_once(courses: Courses, session: str) -> None:
    courses.keep(require_version=True)
    courses.publish({"v": 1})
    courses.publish({"v": 2})
    login = {"login_user": courses.role(session), "login_password": PASSWORD} if session else {}
    options = {**courses.server.module_options(courses.database), **login, "documents": ["algebra"], "version": "1"}
    run_module("course_version_restore", {**options, "recovery_environment": "sandbox"})
    assert courses.versions() == [(1, {"v": 1}), (2, {"v": 2}), (3, {"v": 1})]


def test_a_publication_without_a_version_is_refused(courses: Courses) -> None:
    courses.protect(require_version=True)
    courses.run("INSERT INTO course_metadata (id) VALUES ('algebra')", "app")
    assert "published without a row" in courses.refusal("UPDATE course_metadata SET content_version = 2")
    with_row = "INSERT INTO course_versions (course_id, version, snapshot, published_by) SELECT id, 2, '2', %s FROM m"
    courses.run(
        f"WITH m AS (UPDATE course_metadata SET content_version = 2 RETURNING id) {with_row}", "app", (PUBLISHER,)
    )
    assert courses.versions() == [(2, 2)]


def test_unsafe_tables_are_refused(courses: Courses) -> None:
    def failure(**options: t.Any) -> str:
        with pytest.raises(ModuleFailed) as failed:
            courses.protect(**options)
        return str(failed.value)

    assert "`publisher` is required" in failure(content_column="content")
    assert "`content_column` must be a column" in failure(content_column="conten", publisher=PUBLISHER)
    assert "must be roles of the server, got nobody_here" in failure(roles=["nobody_here"])
    assert "must not be roles of a restore" in failure(roles=[courses.role("restore")])
    app = {"login_user": courses.role("app"), "login_password": PASSWORD}
    assert "may not act for" in failure(**app, roles=[])
    courses.run("ALTER TABLE course_versions DROP CONSTRAINT course_versions_course_id_version_key")
    assert "must have a unique constraint" in failure(add_unique=False)
    courses.publish(0)
    row = "INSERT INTO course_versions (course_id, version, snapshot, published_by) VALUES ('algebra', 1, '1', %s)"
    for _time in range(2):
        courses.run(row, "app", (PUBLISHER,))
    assert "1 version of public.course_versions have more than one row" in failure()
    courses.run("ALTER TABLE course_versions FORCE ROW LEVEL SECURITY")
    assert "FORCE ROW LEVEL SECURITY" in failure()
    courses.run("ALTER TABLE course_versions NO FORCE ROW LEVEL SECURITY")
    courses.run("DELETE FROM course_versions WHERE ctid = (SELECT min(ctid) FROM course_versions)")
    with contextlib.closing(psycopg2.connect(**courses.server.options(courses.database).keywords)) as conn:
        conn.cursor().execute("LOCK TABLE course_versions")
        assert "PostgreSQL refused a safeguard of versions" in failure(lock_timeout=0.5)
    assert any("ADD CONSTRAINT" in statement for statement in courses.protect()["statements"])
    assert "duplicate key" in courses.refusal(row % f"'{PUBLISHER}'")
    assert courses.protect(state="absent")["changed"] is True
    assert courses.refusal(row % f"'{PUBLISHER}'") == ""
    courses.run("TRUNCATE course_versions")
    owner = courses.protect(roles=[courses.role("owner")])
    assert owner["not_held"] == [courses.role("owner")]


@pytest.mark.slow
def test_the_playbook_protects_the_versions_of_a_source(courses: Courses, tmp_path: Path) -> None:
    courses.publish({"v": 1})
    source = {
        "name": "app",
        "database": courses.database,
        "connection": {**courses.server.module_options(), "login_db": courses.database},
        "course_safeguards": {
            "roles": [courses.role("app")],
            "restore_roles": [courses.role("restore")],
            "content_column": "content",
            "publisher": PUBLISHER,
        },
    }
    done = play("protect_course_versions", {"recovery_sources": [source], "recovery_source": "app"}, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "each publication keeps a version" in done.stdout and "recovery_state=absent" in done.stdout
    courses.publish({"v": 2})
    assert courses.versions() == [(2, {"v": 2})]
    assert "versions are kept for ever" in courses.refusal("DELETE FROM course_versions")
