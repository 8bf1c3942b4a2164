# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a database sends no request, runs no job and does not replicate, until its state before is restored."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
import typing as t
from dataclasses import dataclass

import psycopg2
import pytest

from tests.support.fakes.sinks import HttpSink, http_sink
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers import supabase_project
from tests.support.servers.postgres import PostgresServer, as_server_user, postgres_server

Options = dict[str, t.Any]
ODD = 'Odd "Hook"; DROP TABLE orders; --'
QUOTED = '"' + ODD.replace('"', '""') + '"'

#: The body of net.http_post sends a real request, as the worker of pg_net does.
NET = """
CREATE SCHEMA net; CREATE SCHEMA supabase_functions;
CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{{}}') RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'curl -s -m 5 -d 1 ' || url);
  RETURN 1;
END $$;
CREATE FUNCTION supabase_functions.http_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM "net" . "http_post"(TG_ARGV[0]); RETURN NEW; END $$;
"""

SCHEMA = (
    NET
    + """
CREATE TABLE orders (id int, note text);
CREATE TABLE {odd} (id int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE quiet (id int, changed timestamptz);
CREATE TABLE settings (name text PRIMARY KEY, value text);
INSERT INTO settings VALUES ('smtp_host', 'mail.example.org'), ('title', 'Shop');
CREATE VIEW orders_view AS SELECT * FROM orders;
CREATE SCHEMA "Sch""ema";
CREATE FUNCTION "Sch""ema".{odd}() RETURNS void LANGUAGE sql
  AS $$ SELECT net.http_post('{url}/transitive') $$;
CREATE FUNCTION transitive() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM "Sch""ema".{odd}(); RETURN NEW; END $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN NEW.changed := now(); RETURN NEW; END $$;
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT net.http_post('{url}/rule'); END;
CREATE FUNCTION grants() RETURNS event_trigger LANGUAGE plpgsql
  AS $$ BEGIN GRANT EXECUTE ON FUNCTION net.http_post(text, jsonb) TO PUBLIC; END $$;
CREATE FUNCTION calls() RETURNS event_trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM net.http_post('{url}/ddl'); END $$;
CREATE TRIGGER hook AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION
  supabase_functions.http_request('{url}/orders');
CREATE TRIGGER {odd} AFTER INSERT ON {odd} FOR EACH STATEMENT EXECUTE FUNCTION transitive();
ALTER TABLE {odd} ENABLE ALWAYS TRIGGER {odd};
CREATE TRIGGER hook AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION
  supabase_functions.http_request('{url}/parted');
CREATE TRIGGER stamp BEFORE INSERT ON quiet FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER of_view INSTEAD OF INSERT ON orders_view FOR EACH ROW EXECUTE FUNCTION transitive();
CREATE RULE notify AS ON INSERT TO quiet DO ALSO SELECT atomic();
CREATE EVENT TRIGGER granted ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION grants();
CREATE EVENT TRIGGER called ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION calls();
CREATE PUBLICATION published FOR TABLE orders;
CREATE SUBSCRIPTION {odd} CONNECTION 'host=127.0.0.1 port=1 dbname=live password=hush42' PUBLICATION p
  WITH (connect = false, slot_name = 'slot_of_production');
CREATE EXTENSION dblink;
CREATE FUNCTION linked() RETURNS text LANGUAGE sql AS $$ SELECT dblink_exec('a', 'b') $$;
CREATE SERVER other FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '10.1.0.9', dbname 'live');
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (password 'hush42', user 'app');
"""
)

#: The statement that fires each of the objects, by the path of the sink.
FIRES = {
    "/orders": "INSERT INTO orders VALUES (1)",
    "/transitive": f"INSERT INTO {QUOTED} VALUES (1)",
    "/parted": "INSERT INTO parted VALUES (1)",
    "/rule": "INSERT INTO quiet VALUES (1)",
    "/ddl": "COMMENT ON TABLE quiet IS 'x'",
}

STATES = """
SELECT 'trigger', tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'rule', ev_class::regclass::text, rulename::text, ev_enabled::text FROM pg_rewrite WHERE oid >= 16384
UNION ALL SELECT 'event trigger', '', evtname::text, evtenabled::text FROM pg_event_trigger
UNION ALL SELECT 'subscription', subslotname::text, subname::text, subenabled::text FROM pg_subscription
UNION ALL SELECT 'mapping', srvname::text, usename::text, umoptions::text FROM pg_user_mappings
UNION ALL SELECT 'setting', '', name, value FROM public.settings
ORDER BY 1, 2, 3
"""


@dataclass
class Copy:
    server: PostgresServer
    database: str
    original: str
    store: Options

    def neutralize(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        given = {"source": "shop", "store": self.store, "original": {**self._place, "login_db": self.original}}
        return run_module(
            "pg_neutralize",
            {**self.server.module_options(self.database), **given, "recovery_environment": "sandbox", **options},
            check_mode=check_mode,
        )

    @property
    def _place(self) -> Options:
        return {"login_host": "127.0.0.1", "login_port": self.server.port}

    def run(self, sql: str, **login: t.Any) -> list[tuple[t.Any, ...]]:
        with self.server.session(self.database, **login) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def states(self) -> list[tuple[t.Any, ...]]:
        return self.run(STATES)


@pytest.fixture(scope="module")
def sink() -> t.Iterator[HttpSink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def copy(postgres: PostgresServer, sink: HttpSink, folder_store: Options) -> t.Iterator[Copy]:
    original, database = postgres.create_database(), postgres.create_database()
    found = Copy(postgres, database, original, folder_store)
    try:
        found.run(SCHEMA.format(odd=QUOTED, url=sink.url))
        sink.seen.clear()
        yield found
    finally:
        with contextlib.suppress(psycopg2.Error):
            found.run(f"ALTER SUBSCRIPTION {QUOTED} DISABLE")
            found.run(f"ALTER SUBSCRIPTION {QUOTED} SET (slot_name = NONE); DROP SUBSCRIPTION {QUOTED}")
        postgres.drop_database(database)
        postgres.drop_database(original)


def called(copy: Copy, sink: HttpSink) -> set[str]:
    """The paths of the sink that are requested when each of the objects fires."""
    sink.seen.clear()
    for statement in FIRES.values():
        copy.run(statement)
    return {one.path for one in sink.seen}


def test_copy_sends_no_request_until_its_state_is_restored_exactly(copy: Copy, sink: HttpSink) -> None:
    assert called(copy, sink) == set(FIRES)
    before = copy.states()
    planned = copy.neutralize(check_mode=True)
    assert (planned["changed"], copy.states()) == (True, before)
    done = copy.neutralize()
    assert done["neutralized"] == planned["neutralized"]
    found = {(one["kind"], one["name"]): one["before"] for one in done["neutralized"]}
    assert found == {
        ("trigger", "hook on public.orders"): {"enabled": "origin"},
        ("trigger", f"{QUOTED} on public.{QUOTED}"): {"enabled": "always"},
        ("trigger", "hook on public.parted"): {"enabled": "origin"},
        ("trigger", "hook on public.part1"): {"enabled": "origin"},
        ("rule", "notify on public.quiet"): {"enabled": "origin"},
        ("event_trigger", "called"): {"enabled": "origin"},
        ("subscription", ODD): {"enabled": False, "slot_name": "slot_of_production"},
    }
    listed = {(one["kind"], one["name"]) for one in done["listed"]}
    assert listed >= {
        ("publication", "published"), ("foreign_server", "other"), ("user_mapping", "postgres on other"),
        ("function", "public.linked()"), ("function", "net.http_post(text,jsonb)"),
        ("trigger", "of_view on public.orders_view"),
    }  # fmt: skip
    assert not [one for one in listed if "stamp" in one[1] or "grants" in one[1]]
    assert "hush42" not in str(done)
    assert called(copy, sink) == set()
    # The trigger that calls nothing still acts.
    assert copy.run("SELECT count(*) FROM quiet WHERE changed IS NOT NULL")[0][0] >= 2
    assert copy.neutralize()["changed"] is False
    restored = copy.neutralize(state="restored")
    assert (restored["changed"], restored["differences"], copy.states()) == (True, [], before)
    assert called(copy, sink) == set(FIRES)
    assert copy.neutralize(state="restored")["changed"] is False


def test_settings_statements_and_passwords_of_the_copy_are_changed(copy: Copy) -> None:
    """Rows change with the rights of the owner, whose triggers cannot use those of the connection."""
    role = f"shop_{secrets.token_hex(4)}"
    copy.run(
        f"""
        CREATE ROLE {role}; ALTER TABLE settings OWNER TO {role}; GRANT {role} TO postgres;
        CREATE FUNCTION rob() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RESET ROLE; ALTER ROLE {role} SUPERUSER; RETURN NEW; END $$;
        CREATE TRIGGER rob BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION rob();
        ALTER TABLE settings ENABLE ALWAYS TRIGGER rob;
        """
    )
    mail = {"table": "public.settings", "where": {"name": "smtp_host"}, "set": {"value": "localhost"}}
    statement = {
        "name": "title", "role": role, "sql": "UPDATE public.settings SET value = 'Copy' WHERE name = 'title'",
        "only_if": "SELECT 1 FROM public.settings WHERE name = 'title' AND value <> 'Copy'",
    }  # fmt: skip
    options: Options = {"settings": [mail], "statements": [statement], "drop_passwords": True}
    try:
        with pytest.raises(ModuleFailed) as caught:
            copy.neutralize(**options)
        assert caught.value.result["error_kind"] == "access_denied" or "RESET" in caught.value.result["msg"]
        assert copy.run("SELECT value FROM settings WHERE name = 'smtp_host'") == [("mail.example.org",)]
        assert copy.run(f"SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'") == [(False,)]
        copy.run("DROP TRIGGER rob ON settings")
        with pytest.raises(ModuleFailed) as caught:
            copy.neutralize(**options, recovery_environment="production")
        assert caught.value.result["error_kind"] == "confirmation_required"
        done = copy.neutralize(**options, recovery_environment="production", recovery_confirm=copy.database)
        rows = {one["kind"]: one["before"] for one in done["neutralized"]}
        assert rows["setting"] == {"columns": ["value"], "rows": 1}
        assert rows["user_mapping"] == {"secrets": ["password"]}
        assert copy.run("SELECT value FROM settings ORDER BY name") == [("localhost",), ("Copy",)]
        assert copy.run("SELECT umoptions::text FROM pg_user_mappings") == [("{user=app}",)]
        assert copy.neutralize(**options)["changed"] is False
        differences = copy.neutralize(state="restored")["differences"]
        assert len(differences) == 1 and "set password again" in differences[0]
    finally:
        copy.run(f"DROP TABLE settings; DROP ROLE {role}")


def test_live_database_is_refused(copy: Copy) -> None:
    before = copy.states()
    own = {"login_host": "localhost", "login_port": copy.server.port, "login_db": copy.database}
    backup = {**copy.server.module_options(copy.database), "source": "shop", "store": copy.store}
    for options, kind in (
        ({"original": own}, "conflict"),
        ({"original": None}, "no_identity"),
        ({"original": None}, "conflict"),
    ):
        with pytest.raises(ModuleFailed) as caught:
            copy.neutralize(**options)
        assert caught.value.result["error_kind"] == kind
        if kind == "no_identity":
            run_module("pg_backup", backup)
    assert copy.states() == before


def test_role_without_rights_changes_nothing(copy: Copy) -> None:
    role = f"shop_{secrets.token_hex(4)}"
    copy.run(f"CREATE ROLE {role} LOGIN PASSWORD 'shop'")
    before = copy.states()
    try:
        with pytest.raises(ModuleFailed) as caught:
            copy.neutralize(login_user=role, login_password="shop", original={"login_host": "127.0.0.1",
                            "login_port": copy.server.port, "login_db": copy.original})  # fmt: skip
        assert caught.value.result["error_kind"] == "access_denied"
        assert copy.states() == before
    finally:
        copy.run(f"DROP ROLE {role}")


#: The columns of pg_cron 1.4, in a database that was restored without the extension.
_CRON_WITHOUT_EXTENSION = """
CREATE ROLE {role}; CREATE SCHEMA cron AUTHORIZATION {role}; SET ROLE {role};
CREATE TABLE cron.job (jobid bigint, schedule text, command text, nodename text, nodeport int, database text,
  username text, active boolean, jobname text);
INSERT INTO cron.job VALUES (1, '* * * * *', 'SELECT 1', '', 5432, 'live', 'postgres', true, NULL),
  (2, '* * * * *', 'SELECT 1', '', 5432, 'live', 'postgres', false, 'off');
RESET ROLE
"""


def test_jobs_without_the_extension_are_deactivated(copy: Copy) -> None:
    role = f"cron_{secrets.token_hex(4)}"
    copy.run(_CRON_WITHOUT_EXTENSION.format(role=role))
    try:
        done = copy.neutralize()
        assert {"kind": "cron_job", "name": "job 1", "before": {"active": True},
                "reason": "runs on the schedule * * * * *"} in done["neutralized"]  # fmt: skip
        assert copy.run("SELECT active FROM cron.job ORDER BY jobid") == [(False,), (False,)]
        copy.neutralize(state="restored")
        assert copy.run("SELECT active FROM cron.job ORDER BY jobid") == [(True,), (False,)]
    finally:
        copy.run(f"DROP SCHEMA cron CASCADE; DROP ROLE {role}")


@pytest.mark.skipif(not supabase_project.is_possible(), reason="needs PostgreSQL 15 with pg_cron")
def test_scheduler_of_pg_cron_starts_no_job_of_the_copy(sink: HttpSink, folder_store: Options) -> None:
    """The launcher runs jobs with the schedule @reboot when it begins, so that no minute has to pass."""
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "copy",
                "cron.use_background_workers": "on"}  # fmt: skip
    with postgres_server("15", settings=settings) as server:
        server.create_database("copy")
        copy = Copy(server, "copy", "postgres", folder_store)
        send = f"COPY (SELECT 1) TO PROGRAM 'curl -s -d 1 {sink.url}/cron'"
        copy.run("CREATE EXTENSION pg_cron")
        copy.run(f"SELECT cron.schedule('send', '@reboot', $${send}$$)")
        done = copy.neutralize(original={"login_host": "127.0.0.1", "login_port": server.port, "login_db": "postgres"})
        assert [(one["kind"], one["name"]) for one in done["neutralized"]] == [("cron_job", "send")]
        sink.seen.clear()
        try:
            restart(server)
            time.sleep(4)
            assert sink.at("/cron") == []
            assert copy.run("SELECT active FROM cron.job") == [(False,)]
            copy.neutralize(state="restored", original=None)
            restart(server)
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and not sink.at("/cron"):
                time.sleep(0.1)
            assert len(sink.at("/cron")) == 1
        finally:
            control(server, "stop", "-m", "fast")


def restart(server: PostgresServer) -> None:
    """Restart with the same options, and wait for the launcher of pg_cron."""
    control(server, "restart", "-m", "fast")
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with server.session() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_cron launcher'")
            if cursor.fetchone() == (1,):
                return
        time.sleep(0.1)
    raise AssertionError("the launcher of pg_cron did not start")


def control(server: PostgresServer, *arguments: str) -> None:
    subprocess.run(
        [str(server.bin_dir / "pg_ctl"), "-w", "-s", "-D", str(server.data_dir), *arguments],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **as_server_user(),
    )  # fmt: skip


def restore(copy: Copy, target: str, **options: t.Any) -> Options:
    given = {"source": "shop", "store": copy.store, "target_db": target, "client_bin_dir": str(copy.server.bin_dir)}
    place = copy.server.module_options("postgres")
    return run_module("pg_restore", {**place, **given, "recovery_environment": "production", **options})


def test_restored_copy_is_neutralized_and_the_live_database_is_not(copy: Copy, sink: HttpSink) -> None:
    copy.run(f"ALTER SUBSCRIPTION {QUOTED} SET (slot_name = NONE); DROP SUBSCRIPTION {QUOTED}")
    run_module("pg_backup", {**copy.server.module_options(copy.database), "source": "shop", "store": copy.store})
    before, target = copy.states(), f"{copy.database}_copy"
    mail = {"table": "public.settings", "where": {"name": "smtp_host"}, "set": {"value": "localhost"}}
    made = Copy(copy.server, target, copy.database, copy.store)
    try:
        done = restore(copy, target, neutralize_rules={"settings": [mail]})
        assert done["fingerprint"]["equal"] is True
        kinds = [one["kind"] for one in done["neutralized"]]
        assert kinds == ["trigger"] * 4 + ["rule", "event_trigger", "setting"]
        assert "objects of the copy disabled" in done["summary"]
        assert called(made, sink) == set()
        assert made.run("SELECT value FROM settings WHERE name = 'smtp_host'") == [("localhost",)]
        swapped = restore(copy, copy.database, mode="swap", recovery_confirm=copy.database, terminate_sessions=True)
        try:
            assert (swapped["neutralized"], copy.states()) == ([], before)
            assert called(copy, sink) == set(FIRES)
        finally:
            copy.server.drop_database(swapped["undo"]["undo_db"])
        # Another server of the same source is a copy in a sandbox, and here the database is the live one.
        same = restore(copy, copy.database, mode="in_place", recovery_environment="sandbox", terminate_sessions=True)
        assert (same["neutralized"], copy.states()) == ([], before)
        planned = {"mode": "in_place", "recovery_environment": "sandbox", "terminate_sessions": True}
        done = restore(copy, target, **planned)
        assert [one["kind"] for one in done["neutralized"]] == ["trigger"] * 4 + ["rule", "event_trigger"]
        assert called(made, sink) == set()
        copy.server.drop_database(target)
        assert restore(copy, target, neutralize=False)["neutralized"] == []
        assert called(made, sink) == set(FIRES)
    finally:
        copy.server.drop_database(target)


def test_statements_run_together_with_the_rights_of_their_roles(copy: Copy) -> None:
    role = f"shop_{secrets.token_hex(4)}"
    copy.run(
        f"CREATE ROLE {role}; ALTER TABLE settings OWNER TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    )
    title = {"name": "title", "role": role, "sql": "UPDATE public.settings SET value = '' WHERE name = 'title'",
             "only_if": "SELECT 1 FROM public.settings WHERE name = 'title' AND value <> ''"}  # fmt: skip

    def execute(*statements: Options, check_mode: bool = False, **options: t.Any) -> Options:
        given = {"statements": list(statements), "recovery_confirm": copy.database, **options}
        return run_module("pg_execute", {**copy.server.module_options(copy.database), **given}, check_mode=check_mode)

    try:
        foreign = {"name": "orders", "role": role, "sql": "DELETE FROM public.orders"}
        reset = {"name": "reset", "role": role, "sql": "SELECT pg_catalog.set_config('role', 'postgres', false)"}
        for refused in (foreign, reset):
            with pytest.raises(ModuleFailed):
                execute(title, refused)
            assert copy.run("SELECT value FROM settings WHERE name = 'title'") == [("Shop",)]
        with pytest.raises(ModuleFailed) as caught:
            execute(title, recovery_confirm="")
        assert caught.value.result["error_kind"] == "confirmation_required"
        assert execute(title, check_mode=True)["statements"] == ["title"]
        assert execute(title)["statements"] == ["title"]
        assert copy.run("SELECT value FROM settings WHERE name = 'title'") == [("",)]
        assert execute(title)["changed"] is False
    finally:
        copy.run(f"DROP TABLE settings; REVOKE ALL ON SCHEMA public FROM {role}; DROP ROLE {role}")
