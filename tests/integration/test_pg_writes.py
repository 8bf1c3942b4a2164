# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes of an application are stopped and proved to be refused, and the state before is restored exactly."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.stall import SupervisedCursor
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.writes.allow import AllowWrites
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.writes.request import WritesRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.writes.state import (
    WritesLog,
    WritesState,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.writes.stop import (
    StopWrites,
    refusal_of,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.kills import Call, killed_at
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers import supabase_project
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]
PASSWORD = secrets.token_hex(8)
ODD = 'Odd "Table"; DROP TABLE a; --'

#: Roles, privileges, settings and definitions of a database, as the catalogs have them.
_CATALOGS = """
SELECT 'role', r.rolname::text, r.rolcanlogin::text, r.rolconnlimit::text FROM pg_roles r WHERE r.rolname ~ %(mark)s
UNION ALL
SELECT 'database', d.datname::text, d.datacl::text, d.datconnlimit::text FROM pg_database d
WHERE d.datname = current_database()
UNION ALL
SELECT 'setting', s.setdatabase::text, s.setrole::text, s.setconfig::text FROM pg_db_role_setting s
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'table', c.oid::text, c.relname::text, c.relacl::text FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'column', a.attrelid::text, a.attname::text, a.attacl::text FROM pg_attribute a WHERE a.attacl IS NOT NULL
AND a.attrelid >= 16384
UNION ALL
SELECT 'trigger', g.tgrelid::text, g.tgname::text, g.tgenabled::text FROM pg_trigger g WHERE NOT g.tgisinternal
UNION ALL
SELECT 'function', p.oid::text, p.proname::text, p.proacl::text FROM pg_proc p WHERE p.oid >= 16384
UNION ALL
SELECT 'schema', n.oid::text, n.nspname::text, n.nspacl::text FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)'
ORDER BY 1, 2, 3, 4
"""


@dataclass
class Application:
    """A database of an application that logs in as a role of its own, and the store of its source."""

    server: PostgresServer
    database: str
    store: Options
    mark: str

    @property
    def role(self) -> str:
        return f"app_{self.mark}"

    @property
    def owner(self) -> str:
        return f"owner_{self.mark}"

    @property
    def login(self) -> Options:
        return {"login_user": self.role, "login_password": PASSWORD}

    def writes(self, state: str, *, check_mode: bool = False, **options: t.Any) -> Options:
        given = {**self.server.module_options(self.database), "source": "app", "store": self.store, "state": state}
        return run_module("pg_writes", {**given, "roles": [self.role], **options}, check_mode=check_mode)

    def stop(self, *means: str, **options: t.Any) -> Options:
        return self.writes("stopped", means=list(means), **options)

    def allow(self, **options: t.Any) -> Options:
        return self.writes("allowed", **options)

    def request(self, means: t.Sequence[t.Any], **options: t.Any) -> WritesRequest:
        """For runs within the process of the test."""
        connection = self.server.options(self.database)
        return WritesRequest(connection, "app", roles=(self.role,), means=tuple(means), **options)

    def opened(self) -> DirectoryStore:
        return DirectoryStore(Path(self.store["path"]))

    def run(self, sql: str, **login: t.Any) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database, **login) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def refusal(self, sql: str = "INSERT INTO a VALUES (1)", **login: t.Any) -> str:
        """The reason for which the application cannot run a statement; empty if it ran."""
        try:
            self.run(sql, **(login or {"user": self.role, "password": PASSWORD}))
        except psycopg2.Error as error:
            return str(error).strip()
        return ""

    def catalogs(self) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database) as cursor:
            cursor.execute(_CATALOGS, {"mark": self.mark})
            return list(cursor.fetchall())


_SCHEMA = """
CREATE ROLE {role} LOGIN PASSWORD '{password}' CONNECTION LIMIT 7;
CREATE ROLE {owner} LOGIN PASSWORD 'owner';
CREATE ROLE "Group {mark}";
GRANT "Group {mark}" TO {role};
CREATE TABLE a (id int, note text);
CREATE TABLE b (id int PRIMARY KEY, secret text);
CREATE TABLE c (id int REFERENCES b ON DELETE CASCADE);
CREATE TABLE "{odd}" (id int, "a'b" text);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
ALTER TABLE a OWNER TO {owner}; ALTER TABLE b OWNER TO {owner}; ALTER TABLE c OWNER TO {owner};
GRANT INSERT ON a TO {role};
GRANT SELECT ON a TO {owner};
GRANT ALL ON a TO "Group {mark}";
GRANT SELECT ON a TO PUBLIC;
GRANT INSERT, DELETE ON b TO {role} WITH GRANT OPTION;
GRANT UPDATE (secret), SELECT ON b TO {role};
GRANT ALL ON c, "{odd}", parted, part1 TO {role};
GRANT UPDATE ("a'b") ON "{odd}" TO PUBLIC;
"""


@contextlib.contextmanager
def application(server: PostgresServer, store: Options) -> t.Iterator[Application]:
    app = Application(server, server.create_database(), store, secrets.token_hex(4))
    names = {
        "role": app.role,
        "owner": app.owner,
        "mark": app.mark,
        "password": PASSWORD,
        "odd": ODD.replace('"', '""'),
    }
    try:
        server.psql(app.database, _SCHEMA.format(**names))
        yield app
    finally:
        server.drop_database(app.database)
        with server.session() as cursor:
            for role in (app.role, app.owner, f"Group {app.mark}"):
                cursor.execute(f'DROP ROLE IF EXISTS "{role}"')


@pytest.fixture
def app(postgres: PostgresServer, folder_store: Options) -> t.Iterator[Application]:
    with application(postgres, folder_store) as found:
        yield found


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Application]:
    """For tests that change nothing."""
    store = {"provider": "directory", "path": str(tmp_path_factory.mktemp("store"))}
    with application(postgres, store) as found:
        yield found


ALL = ("nologin", "connect", "read_only", "grants", "triggers")


@pytest.mark.parametrize(
    ("version", "means"),
    [*((available_versions()[0], (one,)) for one in ALL), *((version, ALL) for version in available_versions())],
)
def test_writes_are_refused_until_the_state_before_is_restored_exactly(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str, means: tuple[str, ...]
) -> None:
    with application(servers(version), folder_store) as app:
        assert app.refusal() == ""
        before = app.catalogs()
        planned = app.writes("stopped", means=list(means), check_mode=True)
        assert (planned["changed"], app.catalogs()) == (True, before)
        login = app.server.options(app.database, user=app.role, password=PASSWORD)
        with contextlib.closing(psycopg2.connect(**login.keywords)):
            stopped = app.stop(*means, probe=app.login)
        assert stopped["statements"] == planned["statements"]
        assert (stopped["changed"], stopped["sessions_ended"]) == (True, 1)
        assert app.refusal()
        assert {probe["refused"] for probe in stopped["probes"]} == {True}
        assert "login" in [probe["proof"] for probe in stopped["probes"]]
        assert app.stop(*means, probe=app.login)["changed"] is False
        assert app.catalogs() != before
        allowed = app.allow(probe=app.login)
        assert (allowed["changed"], allowed["differences"]) == (True, [])
        assert app.catalogs() == before
        assert app.refusal() == ""
        assert app.allow()["changed"] is False


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_privileges_and_settings_are_restored_exactly(
    postgres: PostgresServer, tmp_path: Path, data: st.DataObject
) -> None:
    store = {"provider": "directory", "path": str(tmp_path / secrets.token_hex(4))}
    with application(postgres, store) as app:
        grantees = [f'"{app.role}"', f'"Group {app.mark}"', f'"{app.owner}"', "PUBLIC"]
        rights = st.sampled_from(
            ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "ALL", "UPDATE (id)", "INSERT (id)"]
        )
        lines = ["REVOKE ALL ON a, b FROM PUBLIC"]
        for table in data.draw(st.lists(st.sampled_from(["a", "b", "c", "parted", "part1"]), max_size=8)):
            verb = data.draw(
                st.sampled_from(["GRANT {right} ON {table} TO {to}{option}", "REVOKE {right} ON {table} FROM {to}"])
            )
            to = data.draw(st.sampled_from(grantees))
            option = data.draw(st.sampled_from(["", " WITH GRANT OPTION"])) if to != "PUBLIC" else ""
            lines.append(verb.format(right=data.draw(rights), table=table, to=to, option=option))
        here = f" IN DATABASE {app.database}"
        database = st.sampled_from(
            [f"{verb} {right} ON DATABASE {app.database} {to}"
             for verb, to in (("GRANT", f"TO {grantees[1]}"), ("REVOKE", "FROM PUBLIC"), ("GRANT", f"TO {grantees[0]}"))
             for right in ("CONNECT", "TEMPORARY", "ALL")]
            + [f"ALTER {who} SET default_transaction_read_only = {value}" for value in ("off", "on")
               for who in (f"DATABASE {app.database}", *(f"ROLE {app.role}{within}" for within in ("", here)))]
            + [f"ALTER DATABASE {app.database} SET work_mem = '8MB'"]
        )  # fmt: skip
        lines += data.draw(st.lists(database, max_size=4))
        app.run("; ".join(lines))
        before = app.catalogs()
        means = data.draw(st.lists(st.sampled_from(ALL), min_size=1, unique=True))
        perform(StopWrites(app.request(means), app.opened()))
        perform(StopWrites(app.request(data.draw(st.sampled_from([means, list(ALL)]))), app.opened()))
        done = perform(AllowWrites(app.request([]), app.opened()))
        assert (app.catalogs(), list(done.differences)) == (before, []), (lines, means)


#: The calls that change something: documents of the store, and commits.
_CALLS = (
    Call(DirectoryStore, "put"),
    Call(SupervisedCursor, "execute", lambda _cursor, statement, *_parameters: statement == "COMMIT"),
)


def test_a_stop_and_an_end_that_are_killed_at_any_moment_are_undone(app: Application) -> None:
    before = app.catalogs()

    def perform_when_free(change: t.Callable[[], t.Any]) -> None:
        """The session of a killed process ends a moment later, and its lock with it."""
        deadline = time.monotonic() + 20
        while True:
            try:
                perform(change())
                return
            except RecoveryError as error:
                if error.kind != ErrorKind.LOCKED or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def stop() -> StopWrites:
        return StopWrites(app.request(ALL), app.opened())

    def allow() -> AllowWrites:
        return AllowWrites(app.request(()), app.opened())

    for change in (stop, allow):
        for moment in itertools.count(1):
            if change is allow:
                perform_when_free(stop)
            killed = killed_at(moment, lambda one=change: perform(one()), _CALLS)
            perform_when_free(allow)
            assert app.catalogs() == before, (change, moment)
            if not killed:
                break
        assert moment > 10


def test_triggers_refuse_every_way_to_write_and_no_other_table(app: Application) -> None:
    """Also for a role that switches triggers off, and where names of the application hide those of the system."""
    app.run(
        f"""
        CREATE SCHEMA evil;
        CREATE FUNCTION evil.format(text, text, text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
        CREATE FUNCTION evil.equal(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.equal);
        ALTER DATABASE {app.database} SET search_path = evil, pg_catalog, public;
        GRANT USAGE ON SCHEMA evil TO PUBLIC;
        ALTER TABLE a ADD PRIMARY KEY (id);
        INSERT INTO b VALUES (1);
        INSERT INTO c VALUES (1);
        """
    )
    app.stop("triggers", tables=["a", "c", "public.part1", f'"{ODD.replace(chr(34), chr(34) * 2)}"'])
    replica = f"SET SESSION AUTHORIZATION {app.owner}"
    for sql in (
        "INSERT INTO a VALUES (2)", "DELETE FROM a", "TRUNCATE a", "UPDATE a SET note = DEFAULT",
        "WITH new AS (INSERT INTO a VALUES (2) RETURNING id) SELECT id FROM new",
        "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x'", "INSERT INTO parted VALUES (1)",
        "INSERT INTO part1 VALUES (1)", "TRUNCATE parted", "DELETE FROM b WHERE id = 1",
        "MERGE INTO a USING b ON false WHEN NOT MATCHED THEN INSERT VALUES (7)",
        f"SET session_replication_role = replica; {replica}; INSERT INTO a VALUES (2)",
        f"SET session_replication_role = replica; {replica}; TRUNCATE c",
    ):  # fmt: skip
        login = {"user": "postgres"} if "SESSION" in sql else {"user": app.role, "password": PASSWORD}
        assert "stopped for maintenance" in app.refusal(sql, **login), sql
    assert app.refusal("INSERT INTO b VALUES (2, 'x')") == ""
    # The role that stopped the writes is the one that repairs the tables.
    app.run("INSERT INTO a VALUES (2); DELETE FROM a WHERE id = 2; TRUNCATE c")
    assert app.allow()["differences"] == []
    assert app.refusal() == ""


def test_a_database_that_was_replaced_during_maintenance_is_written_to_again(app: Application) -> None:
    """The former database, which is kept under another name, gets its privileges back as well."""
    source = {"source": "app", "store": app.store, **app.server.module_options(app.database)}
    admin = {**source, **app.server.module_options(), "target_db": app.database, "recovery_environment": "sandbox"}
    before = app.catalogs()
    app.stop(*ALL)
    run_module("pg_backup", source)
    # A set of the database as it is during the maintenance: triggers and missing privileges are part of it.
    swapped = run_module("pg_restore", {**admin, "mode": "swap", "terminate_sessions": True})
    kept = swapped["undo"]["undo_db"]
    try:
        allowed = app.allow(probe=app.login)
        assert (allowed["differences"], app.refusal()) == ([], "")
        former = replace(app, database=kept)
        assert [row for row in former.catalogs() if row[0] != "database"] == [
            row for row in before if row[0] != "database"
        ]
        assert former.refusal() == ""
        assert app.run("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lifeline%'") == [(0,)]
    finally:
        app.server.drop_database(kept)


def test_rights_that_were_taken_away_during_maintenance_stay_away(app: Application) -> None:
    app.stop("nologin", "grants")
    app.run(f"REVOKE SELECT ON b FROM {app.role}; DROP TABLE c; ALTER TABLE a RENAME TO renamed")
    allowed = app.allow()
    assert sorted(allowed["differences"]) == [
        f"The privileges of the table public.b in the database {app.database} differ from those of before.",
        f"The table public.c no longer exists in the database {app.database}.",
    ]
    assert app.refusal("INSERT INTO renamed VALUES (1)") == ""
    assert "permission denied" in app.refusal("SELECT * FROM b")


@pytest.mark.parametrize("means", ["nologin", "triggers"])
def test_an_event_trigger_of_the_database_does_not_act(app: Application, means: str) -> None:
    app.run(
        "CREATE FUNCTION refuse_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';"
        "CREATE EVENT TRIGGER refuse_ddl ON ddl_command_start EXECUTE FUNCTION refuse_ddl()"
    )
    before = app.catalogs()
    app.stop(means)
    app.allow()
    assert app.catalogs() == before


def test_a_second_stop_extends_the_first_and_keeps_its_state(app: Application) -> None:
    before = app.catalogs()
    app.stop("nologin")
    assert app.stop("triggers", tables=["b"])["changed"] is True
    app.allow()
    assert app.catalogs() == before


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"means": []}, "invalid_options", "`means` must be at least one of"),
        ({"roles": []}, "invalid_options", "`roles` is required for nologin"),
        ({"roles": ["postgres"]}, "invalid_options", "must not contain postgres, the role of this connection"),
        ({"roles": ["no such role"]}, "roles_missing", "'no such role'"),
        ({"roles": ["Group {mark}"]}, "invalid_options", "Roles that log in and can act as them: app_{mark}"),
        ({"roles": ["postgres"], "means": ["grants"]}, "invalid_options", "is a superuser"),
        ({"roles": ["owner_{mark}"], "means": ["grants"]}, "invalid_options", "can act as owner_{mark}, the owner of"),
        ({"tables": ["a"]}, "invalid_options", "`tables` needs grants or triggers"),
        ({"means": ["triggers"], "tables": ["A"]}, "table_missing", 'got public."A"'),
        ({"means": ["triggers"], "tables": ["pg_catalog.pg_roles"]}, "unsupported", "a view or a foreign table"),
        ({"means": ["triggers"], "schemas": ["empty"]}, "table_missing", "have no table"),
        ({"means": ["triggers"], "lock_timeout": 0}, "invalid_options", "`lock_timeout` must be above 0"),
        ({"probe": {"login_user": "app_{mark}", "login_password": "x"}}, "invalid_options", "authentication failed"),
    ],
)  # fmt: skip
def test_a_stop_that_would_stop_nothing_or_the_operator_is_refused(
    shared: Application, options: Options, kind: str, message: str
) -> None:
    def filled(value: t.Any) -> t.Any:
        return json.loads(json.dumps(value).replace("{mark}", shared.mark))

    before = shared.catalogs()
    with pytest.raises(ModuleFailed) as caught:
        shared.writes("stopped", **filled(options))
    assert (caught.value.result["error_kind"], filled(message) in caught.value.result["msg"]) == (kind, True), (
        caught.value
    )
    assert shared.catalogs() == before
    assert shared.allow()["changed"] is False


def test_a_write_that_passes_nonetheless_fails_the_stop(app: Application) -> None:
    """The application has a second login, which the stop does not know."""
    before = app.catalogs()
    app.run(f"GRANT {app.role} TO {app.owner}; ALTER ROLE {app.owner} PASSWORD '{PASSWORD}'")
    second = {"login_user": app.owner, "login_password": PASSWORD}
    with pytest.raises(ModuleFailed, match="is not stopped: it can write to public") as caught:
        app.stop("nologin", probe=second)
    assert caught.value.result["error_kind"] == "check_failed"
    assert "Writes are stopped in part" in caught.value.result["left"]
    app.stop("nologin", "triggers", probe=second)
    assert app.allow()["differences"] == []
    app.run(f"REVOKE {app.role} FROM {app.owner}")
    assert app.catalogs() == before


def test_tables_that_other_sessions_use_are_waited_for_and_then_left(app: Application) -> None:
    before = app.catalogs()
    with app.server.session(app.database, user=app.owner, password="owner") as writer:
        writer.execute("BEGIN; INSERT INTO a VALUES (3)")
        with pytest.raises(
            ModuleFailed, match=rf"longer than `lock_timeout`, 0.5 seconds: {app.owner} \(process id"
        ) as caught:
            app.stop("triggers", tables=["a"], lock_timeout=0.5)
        assert caught.value.result["error_kind"] == "locked"
        writer.execute("COMMIT")
    app.allow()
    assert app.catalogs() == before


def test_sessions_of_other_databases_and_of_the_operator_stay(app: Application) -> None:
    elsewhere = app.server.create_database()
    login = app.server.options(elsewhere, user=app.role, password=PASSWORD).keywords
    try:
        with contextlib.closing(psycopg2.connect(**login)) as other, app.server.session(app.database) as operator:
            stopped = app.stop("nologin")
            for cursor in (other.cursor(), operator):
                cursor.execute("SELECT 1")
        assert stopped["sessions_ended"] == 0
        (warned,) = stopped["not_stopped"]
        assert warned.startswith(f"1 session of {app.role} in the database {elsewhere} continue")
        app.allow()
    finally:
        app.server.drop_database(elsewhere)


def test_the_stored_state_is_not_believed_without_its_code(app: Application) -> None:
    """A writer of the store could have a role get rights that it never had."""
    app.store["name_key"] = secrets.token_hex(8)
    app.stop("grants", tables=["a"])
    (state,) = Path(app.store["path"]).glob("app/states/writes/*.json")
    forged = state.read_text().replace(f"app_{app.mark}", "pg_read_all_data")
    state.write_text(forged)
    with pytest.raises(ModuleFailed, match="its authentication code does not fit"):
        app.allow()
    state.write_text(forged.replace("pg_read_all_data", f"app_{app.mark}"))
    (state.parent / "00000002.json").write_text(state.read_text())
    with pytest.raises(ModuleFailed, match="it was written under another key"):
        app.allow()
    (state.parent / "00000002.json").unlink()
    app.allow()


def test_a_state_of_another_server_is_given_up_only_if_that_is_requested(app: Application) -> None:
    before = app.catalogs()
    log = WritesLog(app.opened(), "app")
    log.write("stopped", WritesState("1", ("nologin",), {app.role: False, "postgres": True}, ()))
    for change in (app.stop, app.allow):
        with pytest.raises(ModuleFailed, match="is of the server 1"):
            change(*(["nologin"] if change == app.stop else []))
    assert app.allow(abandon=True)["changed"] is True
    assert (app.catalogs(), app.allow()["changed"]) == (before, False)


def test_two_runs_of_one_source_exclude_each_other(app: Application) -> None:
    with app.server.session(app.database) as holder:
        holder.execute("SELECT pg_advisory_lock(hashtextextended('lifeline.recovery maintenance of app', 0))")
        with pytest.raises(ModuleFailed, match="Another maintenance of 'app' is running") as caught:
            app.stop("nologin")
    assert caught.value.result["error_kind"] == "locked"
    assert app.refusal() == ""


@pytest.mark.skipif(not supabase_project.is_possible(), reason="PostgreSQL 15 with pg_cron is not installed")
def test_the_api_of_a_hosted_project_is_stopped_without_altering_its_roles(folder_store: Options) -> None:
    """The role postgres of a project is no superuser; PostgREST logs in as authenticator and acts as one of three."""
    roles = ["anon", "authenticated", "service_role"]
    insert = "SET ROLE service_role; INSERT INTO public.profiles SELECT WHERE false"
    with supabase_project.supabase_server() as server:
        supabase_project.create_project(server)
        supabase_project.load_application(server)
        supabase_project.run_as_admin(server, f"ALTER ROLE authenticator PASSWORD '{PASSWORD}'")
        app = Application(server, supabase_project.DATABASE, folder_store, "^(anon|authenticator|service_role)$")
        api = {"user": "authenticator", "password": PASSWORD}
        before = app.catalogs()
        assert app.refusal(insert, **api) == ""
        with server.session(app.database, **api) as session:
            stopped = app.stop("grants", roles=roles)
            with pytest.raises(psycopg2.OperationalError):
                session.execute("SELECT 1")
        assert "permission denied" in app.refusal(insert, **api)
        assert any("handle_new_user" in text for text in stopped["not_stopped"])
        assert any("1 active job of pg_cron" in text for text in stopped["not_stopped"])
        assert app.stop("grants", "triggers", roles=roles)["not_stopped"] == []
        allowed = app.allow()
        tried = [one["reason"] for one in allowed["probes"] if one["proof"] == "statement"]
        assert (allowed["differences"], tried.count("it can write to public.courses")) == ([], len(roles))
        assert (app.catalogs(), app.refusal(insert, **api)) == (before, "")


def test_a_reserved_role_is_refused_with_the_means_that_stop_it(shared: Application) -> None:
    with pytest.raises(psycopg2.Error) as caught:
        shared.run(
            "DO 'BEGIN RAISE EXCEPTION USING ERRCODE = ''42501'', "
            "MESSAGE = ''\"authenticator\" is a reserved role, only superusers can modify it''; END'"
        )
    error = refusal_of(caught.value)
    assert (error.kind, "use grants and triggers of `means`" in error.next_step) == ("access_denied", True)


@pytest.mark.parametrize("version", available_versions())
def test_a_role_with_the_rights_of_the_documentation_stops_and_allows_writes(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str
) -> None:
    server = servers(version)
    with application(server, folder_store) as app:
        operator = f"operator_{app.mark}"
        login = {"login_user": operator, "login_password": PASSWORD}
        app.run(f"""
            ALTER DATABASE {app.database} OWNER TO {app.owner};
            ALTER TABLE "{ODD.replace('"', '""')}" OWNER TO {app.owner};
            ALTER TABLE parted OWNER TO {app.owner}; ALTER TABLE part1 OWNER TO {app.owner};
            CREATE ROLE {operator} LOGIN CREATEROLE PASSWORD '{PASSWORD}';
            GRANT {app.owner} TO {operator};
            GRANT {app.role} TO {operator} WITH ADMIN OPTION;
            GRANT pg_signal_backend TO {operator};
        """)
        try:
            before = [row for row in app.catalogs() if row[0] != "database"]
            app.stop(*ALL, **login, probe=app.login)
            assert app.refusal()
            assert app.allow(**login, probe=app.login)["differences"] == []
            assert [row for row in app.catalogs() if row[0] != "database"] == before
            assert app.refusal() == ""
        finally:
            server.drop_database(app.database)
            with server.session() as cursor:
                cursor.execute(f"DROP OWNED BY {operator}; DROP ROLE {operator}")
