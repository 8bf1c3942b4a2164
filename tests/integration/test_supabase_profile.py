# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profile supabase: a project is backed up, and restored into another project and into plain PostgreSQL."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers import supabase_project as projects
from tests.support.servers.postgres import PostgresServer, available_versions

pytestmark = pytest.mark.skipif(not projects.is_possible(), reason="needs postgresql-15 and postgresql-15-cron")

Options = dict[str, t.Any]
DATABASE = projects.DATABASE


@pytest.fixture(scope="module")
def old() -> t.Iterator[PostgresServer]:
    """A project with an application. The tests only read it."""
    with projects.supabase_server() as server:
        projects.create_project(server)
        projects.load_application(server)
        yield server


@pytest.fixture(scope="module")
def backed_up(old: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Options, Options]:
    """(store, result of the backup) of the project, taken as the role postgres."""
    store = {"provider": "directory", "path": str(tmp_path_factory.mktemp("supabase") / "store")}
    return store, back_up(old, store)


def back_up(server: PostgresServer, store: Options, **options: t.Any) -> Options:
    arguments = {"source": "project", "store": store, "profile": "supabase", **server.module_options(DATABASE)}
    return run_module("pg_backup", {**arguments, **options})


def test_backup_needs_no_superuser_and_row_security_hides_nothing(
    old: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    _store, taken = backed_up
    with old.session(DATABASE) as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)
        cursor.execute("SELECT (SELECT count(*) FROM storage.objects), (SELECT count(*) FROM auth.users)")
        assert cursor.fetchone() == (30, 30)
    assert taken["rows"] > 150
    assert {"auth", "public", "storage", "supabase_migrations"} <= set(taken["coverage"]["schemas"])
    assert not {"extensions", "realtime", "vault"} & set(taken["coverage"]["schemas"])


def test_backup_refuses_a_role_that_row_security_blinds(old: PostgresServer, folder_store: Options) -> None:
    projects.run_as_admin(old, "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT pg_read_all_data TO reader")
    with pytest.raises(ModuleFailed) as caught:
        back_up(old, folder_store, login_user="reader", login_password="reader")
    assert caught.value.result["error_kind"] == "rls_blind"
    assert "auth.users" in caught.value.result["msg"]


def test_manifest_names_what_the_profile_leaves_out(backed_up: tuple[Options, Options]) -> None:
    left_out = " ".join(backed_up[1]["coverage"]["not_covered"])
    for text in ("vault", "realtime", "bytes of storage objects", "edge functions", "log of cron jobs"):
        assert text in left_out


@pytest.fixture(scope="module")
def new_server() -> t.Iterator[PostgresServer]:
    with projects.supabase_server() as server:
        yield server


@pytest.fixture
def new(new_server: PostgresServer) -> PostgresServer:
    """An empty project of the same release."""
    projects.run_as_admin(new_server, projects.RESTRICTED)
    projects.create_project(new_server)
    return new_server


def restore(server: PostgresServer, store: Options, **options: t.Any) -> Options:
    arguments = {"source": "project", "store": store, "target_db": DATABASE, "mode": "in_place"}
    return run_module(
        "pg_restore", {**arguments, "recovery_environment": "sandbox", **server.module_options(DATABASE), **options}
    )


def query(server: PostgresServer, statement: str, database: str = DATABASE, **login: t.Any) -> t.Any:
    """The first column of the rows."""
    with server.session(database, **login) as cursor:
        cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


def names(restored: Options) -> list[str]:
    return [item["object"] for item in restored["not_restored"]]


def test_empty_project_gets_the_application(new: PostgresServer, backed_up: tuple[Options, Options]) -> None:
    event_triggers = query(new, "SELECT evtname FROM pg_event_trigger ORDER BY 1")
    restored = restore(new, backed_up[0])
    assert restored["fingerprint"]["equal"] is True
    assert restored["foreign_keys"]["violated"] == []
    assert query(new, "SELECT count(*) FROM auth.users") == [30]
    assert query(new, "SELECT count(*) FROM storage.objects") == [30]
    hostile = query(new, "SELECT name FROM storage.objects WHERE bucket_id ~ 'DROP' ORDER BY name COLLATE \"C\"")
    assert hostile[1:3] == ["../../../etc/cron.d/x", r"\."] and len(hostile) == 5
    assert query(new, 'SELECT "a\'b%s" FROM public."odd""; DROP TABLE courses; --"') == [r"\N"]
    assert query(new, "SELECT name FROM supabase_migrations.schema_migrations") == ["first"]
    assert query(new, "SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'") == ["courses"]
    assert query(new, "SELECT evtname FROM pg_event_trigger ORDER BY 1") == event_triggers
    # Had the trigger on auth.users acted on the restored rows, this profile would be there twice or without its flag.
    assert query(new, "SELECT display_name FROM public.profiles WHERE is_teacher") == ["User 1"]
    projects.run_as_admin(new, "INSERT INTO auth.users (id, raw_user_meta_data) VALUES (gen_random_uuid(), '{}')")
    assert query(new, "SELECT count(*) FROM public.profiles") == [31]


def test_default_privileges_of_the_platform_do_not_widen_grants(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    before = query(new, "SELECT defaclacl::text FROM pg_default_acl ORDER BY oid")
    restore(new, backed_up[0])
    assert query(new, "SELECT has_table_privilege('anon', 'public.api_keys', 'SELECT')") == [False]
    assert query(new, "SELECT has_table_privilege('anon', 'public.courses', 'SELECT')") == [True]
    assert sorted(query(new, "SELECT defaclacl::text FROM pg_default_acl")) == sorted(before)


def test_jobs_are_scheduled_by_the_functions_of_pg_cron(
    old: PostgresServer, new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    jobs = "SELECT row(jobname, schedule, command, database, username, active)::text FROM cron.job ORDER BY 1"
    restore(new, backed_up[0], neutralize=False)
    assert query(new, jobs) == query(old, jobs)
    assert len(query(new, jobs)) == 2
    restored = restore(new, backed_up[0])
    jobs_disabled = [one["name"] for one in restored["neutralized"] if one["kind"] == "cron_job"]
    assert len(jobs_disabled) == query(old, "SELECT count(*) FROM cron.job WHERE active")[0] > 0
    assert query(new, "SELECT count(*) FROM cron.job WHERE active") == [0]


def test_job_of_another_role_is_named(new: PostgresServer, old: PostgresServer, folder_store: Options) -> None:
    projects.run_as_admin(old, "SELECT cron.schedule('vacuum', '0 4 * * *', 'VACUUM')")
    try:
        back_up(old, folder_store)
    finally:
        projects.run_as_admin(old, "SELECT cron.unschedule('vacuum')")
    assert "cron job vacuum" in names(restore(new, folder_store))


def test_functions_of_a_user_in_the_place_of_pg_cron_are_not_called(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    body = "LANGUAGE plpgsql AS $$BEGIN INSERT INTO cron.called VALUES (current_user); RETURN 1; END$$"
    projects.run_as_admin(
        new,
        f"""
        DROP EXTENSION pg_cron CASCADE; CREATE ROLE mallory; CREATE SCHEMA cron AUTHORIZATION mallory;
        SET ROLE mallory;
        CREATE TABLE cron.called (by text);
        CREATE TABLE cron.job (jobid bigint, schedule text, command text, nodename text, nodeport int,
          database text, username text DEFAULT 'postgres', active boolean, jobname text);
        CREATE FUNCTION cron.schedule(text, text) RETURNS bigint {body};
        CREATE FUNCTION cron.alter_job(bigint, text, text, text, text, boolean) RETURNS bigint {body};
        CREATE FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) RETURNS bigint {body};
        GRANT USAGE ON SCHEMA cron TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA cron TO PUBLIC;
        RESET ROLE
        """,
    )
    try:
        with contextlib.suppress(ModuleFailed):
            restore(new, backed_up[0])
        assert query(new, "SELECT by FROM cron.called") == []
    finally:
        projects.run_as_admin(new, "DROP SCHEMA cron CASCADE; DROP ROLE mallory; CREATE EXTENSION pg_cron")


def test_policies_on_tables_of_the_platform_are_named_with_their_statement(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    restored = restore(new, backed_up[0])
    assert "policy storage.objects Own folder" in names(restored)
    for item in restored["not_restored"]:
        if item["object"].startswith("policy"):
            projects.run_as_admin(new, item["statement"])
    assert len(query(new, "SELECT polname FROM pg_policy WHERE polrelid = 'storage.objects'::regclass")) == 3
    assert "bytes of storage objects" in " ".join(restored["not_covered"])


def test_role_that_owns_the_tables_restores_their_policies(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    projects.run_as_admin(new, projects.UNRESTRICTED)
    restored = restore(new, backed_up[0])
    assert restored["fingerprint"]["equal"] is True
    assert names(restored) == ["schema auth", "schema storage"]
    assert len(query(new, "SELECT polname FROM pg_policy WHERE polrelid = 'storage.objects'::regclass")) == 3
    assert len(query(new, "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'protect%'")) == 2


def test_newer_release_of_the_platform_keeps_its_definitions(
    new_server: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    projects.run_as_admin(new_server, projects.RESTRICTED)
    projects.create_project(new_server, newer=True)
    restored = restore(new_server, backed_up[0])
    assert restored["fingerprint"]["equal"] is True
    assert query(new_server, "SELECT DISTINCT is_sso_user FROM auth.users") == [False]
    assert query(new_server, "SELECT DISTINCT type FROM storage.buckets") == ["STANDARD"]
    assert "20250804100000" in query(new_server, "SELECT version FROM auth.schema_migrations")
    assert query(new_server, "SELECT count(*) FROM auth.oauth_clients") == [0]


def test_older_release_of_the_platform_is_refused(new: PostgresServer, backed_up: tuple[Options, Options]) -> None:
    projects.run_as_admin(new, "ALTER TABLE auth.users DROP COLUMN is_anonymous")
    with pytest.raises(ModuleFailed) as caught:
        restore(new, backed_up[0])
    assert caught.value.result["error_kind"] == "schema_drift"
    assert "auth.users.is_anonymous" in caught.value.result["msg"]
    assert query(new, "SELECT count(*) FROM auth.users") == [0]


def test_role_that_cannot_switch_triggers_off_is_refused(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    projects.run_as_admin(new, "REVOKE SET ON PARAMETER session_replication_role FROM postgres")
    try:
        with pytest.raises(ModuleFailed) as caught:
            restore(new, backed_up[0])
    finally:
        projects.run_as_admin(new, "GRANT SET ON PARAMETER session_replication_role TO postgres")
    assert caught.value.result["error_kind"] == "access_denied"
    assert "GRANT SET ON PARAMETER" in caught.value.result["msg"]
    assert query(new, "SELECT to_regclass('public.profiles')") == [None]


def test_objects_of_the_superuser_are_refused_by_name_or_change_owner(
    new: PostgresServer, old: PostgresServer, folder_store: Options
) -> None:
    projects.run_as_admin(old, "CREATE TABLE public.made_by_dashboard (id int)")
    try:
        back_up(old, folder_store)
    finally:
        projects.run_as_admin(old, "DROP TABLE public.made_by_dashboard")
    with pytest.raises(ModuleFailed) as caught:
        restore(new, folder_store)
    assert "table public.made_by_dashboard of supabase_admin" in caught.value.result["msg"]
    assert restore(new, folder_store, owner=False)["fingerprint"]["equal"] is True
    assert query(new, "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = 'made_by_dashboard'") == [
        "postgres"
    ]


def test_live_project_is_replaced_and_the_undo_set_takes_it_back(
    new: PostgresServer, backed_up: tuple[Options, Options]
) -> None:
    restore(new, backed_up[0])
    projects.run_as_admin(
        new,
        "INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'later@example.org');"
        "CREATE POLICY later ON storage.objects USING (false);"
        "SELECT cron.unschedule('nightly') FROM (SELECT set_config('role', 'postgres', false)) s",
    )
    restored = restore(new, backed_up[0])
    assert query(new, "SELECT count(*) FROM auth.users") == [30]
    assert query(new, "SELECT jobname FROM cron.job ORDER BY 1") == ["nightly", "paused"]
    back = restore(new, backed_up[0], set=restored["undo"]["set"], tier="undo")
    assert back["fingerprint"]["equal"] is True
    assert query(new, "SELECT count(*) FROM auth.users") == [31]
    assert query(new, "SELECT count(*) FROM public.profiles") == [31]
    assert query(new, "SELECT jobname FROM cron.job ORDER BY 1") == ["paused"]


@pytest.fixture
def copy(postgres: PostgresServer) -> t.Iterator[str]:
    """The name of a database on plain PostgreSQL, removed with what a failed restore kept."""
    yield "project_copy"
    for name in query(postgres, "SELECT datname FROM pg_database WHERE datname LIKE 'project_copy%'", "postgres"):
        postgres.drop_database(name)


def test_plain_postgresql_names_every_missing_extension(
    postgres: PostgresServer, backed_up: tuple[Options, Options], copy: str
) -> None:
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, backed_up[0], target_db=copy, mode="new", create_roles=True)
    assert caught.value.result["error_kind"] == "extensions_missing"
    assert set(caught.value.result["extensions"]) == {"pg_cron"}
    assert "skip_extensions" in caught.value.result["msg"]


@pytest.mark.skipif(
    "16" not in available_versions(), reason="needs PostgreSQL 16 of the wheel, which has no extensions"
)
def test_server_without_contrib_names_them_all(
    servers: t.Callable[[str], PostgresServer], backed_up: tuple[Options, Options]
) -> None:
    server = servers("16")
    try:
        with pytest.raises(ModuleFailed) as caught:
            restore(server, backed_up[0], target_db="bare_copy", mode="new", create_roles=True)
    finally:
        for name in query(server, "SELECT datname FROM pg_database WHERE datname LIKE 'bare_copy%'", "postgres"):
            server.drop_database(name)
    extensions = {"pg_cron", "pg_stat_statements", "pgcrypto", "uuid-ossp"}
    assert set(caught.value.result["extensions"]) == extensions
    assert all(name in caught.value.result["msg"] for name in extensions)


def test_plain_postgresql_gets_a_working_application(
    postgres: PostgresServer, backed_up: tuple[Options, Options], copy: str
) -> None:
    options = {"target_db": copy, "mode": "new", "create_roles": True, "skip_extensions": ["pg_cron"]}
    restored = restore(postgres, backed_up[0], **options)
    assert restored["fingerprint"]["equal"] is True
    assert "table data cron.job" in names(restored)
    assert "event trigger pgrst_ddl_watch" in names(restored)
    with postgres.session(copy) as cursor:
        cursor.execute("INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', 'a/b') RETURNING id")
        assert cursor.fetchone() is not None
        cursor.execute("SELECT set_config('request.jwt.claim.sub', md5('1')::uuid::text, false)")
        cursor.execute("SET ROLE authenticated")
        cursor.execute("SELECT display_name FROM public.profiles")
        assert cursor.fetchall() == [("User 1",)]
        cursor.execute("INSERT INTO public.courses (title) VALUES ('made by a teacher')")


def test_unknown_extension_to_skip_is_refused(
    postgres: PostgresServer, backed_up: tuple[Options, Options], copy: str
) -> None:
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, backed_up[0], target_db=copy, mode="new", create_roles=True, skip_extensions=["pg_corn"])
    assert caught.value.result["error_kind"] == "invalid_options"
    assert "pg_corn" in caught.value.result["msg"]
