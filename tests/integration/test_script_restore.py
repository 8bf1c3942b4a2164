# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plain dump of one schema is restored with or without its owners and grants, and names all that it lacks."""

from __future__ import annotations

import gzip
import secrets
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.operator import Operator
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]


@dataclass(frozen=True)
class Project:
    """A database whose schema public refers to other schemas, to an extension and to roles."""

    server: PostgresServer
    database: str
    roles: tuple[str, str]
    folder: Path

    @property
    def copy(self) -> str:
        return f"{self.database}_copy"

    def dump(self, *options: str) -> str:
        command = [str(self.server.bin_dir / "pg_dump"), *options]
        text = subprocess.run(
            command, env=self.server.options(self.database).environment(), check=True, capture_output=True
        ).stdout
        path = self.folder / f"{secrets.token_hex(4)}.sql.gz"
        path.write_bytes(gzip.compress(text))
        return str(path)

    def restore(self, archive: str, **options: t.Any) -> Options:
        arguments = {"archive": archive, "target_db": self.copy, **self.server.module_options(), **options}
        return run_module("pg_restore", arguments)

    def refused(self, archive: str, **options: t.Any) -> Options:
        with pytest.raises(ModuleFailed) as caught:
            self.restore(archive, **options)
        assert self.value(f"SELECT count(*) FROM pg_database WHERE starts_with(datname, '{self.copy}')") == 0
        return caught.value.result

    def run(self, sql: str, database: str = "postgres") -> None:
        with self.server.session(database) as cursor:
            cursor.execute(sql)

    def value(self, sql: str, database: str = "postgres") -> t.Any:
        with self.server.session(database) as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def drop_roles(self) -> None:
        for role in self.roles:
            self.run(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture
def project(
    servers: t.Callable[[str], PostgresServer], tmp_path: Path, request: pytest.FixtureRequest
) -> t.Iterator[Project]:
    server, suffix = servers(getattr(request, "param", available_versions()[0])), secrets.token_hex(4)
    place = Project(server, server.create_database(), (f"owner_{suffix}", f"reader_{suffix}"), tmp_path)
    for role in place.roles:
        place.run(f"CREATE ROLE {role}")
    yield place
    for name in (place.database, place.copy):
        server.drop_database(name)
    place.drop_roles()


CONTENT = """
    CREATE SCHEMA auth; CREATE SCHEMA extensions; CREATE DOMAIN extensions.short AS varchar(20);
    CREATE TABLE auth.users (id uuid PRIMARY KEY); INSERT INTO auth.users VALUES ('{user}');
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS $$SELECT '{user}'::uuid$$;
    CREATE TABLE public.profile (id uuid PRIMARY KEY REFERENCES auth.users, name extensions.short);
    CREATE TABLE public.note (id int PRIMARY KEY, author uuid DEFAULT auth.uid() REFERENCES auth.users, body text);
    CREATE TABLE public.plain (id int PRIMARY KEY, body text);
    ALTER TABLE public.plain ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON public.plain FOR SELECT TO {reader} USING (auth.uid() IS NOT NULL);
    INSERT INTO public.profile VALUES ('{user}', 'x'); INSERT INTO public.note VALUES (1, '{user}', 'y');
    INSERT INTO public.plain VALUES (1, 'z'), (2, 'z');
"""
USER = "11111111-1111-1111-1111-111111111111"
PLAN = ("--no-owner", "--no-privileges", "--clean", "--if-exists", "--schema=public")


@pytest.mark.parametrize("project", [available_versions()[0], available_versions()[-1]], indirect=True)
def test_a_dump_of_one_schema_names_all_that_it_lacks(project: Project) -> None:
    _owner, reader = project.roles
    project.run(CONTENT.format(user=USER, reader=reader), project.database)
    archive = project.dump(*PLAN)
    project.run(f"DROP OWNED BY {reader}; DROP POLICY IF EXISTS mine ON public.plain", project.database)
    project.drop_roles()
    # Roles are named first, although the dump has neither owners nor grants.
    error = project.refused(archive)
    assert (error["error_kind"], error["roles"]) == ("roles_missing", [reader])
    error = project.refused(archive, create_roles=True)
    assert error["error_kind"] == "restore_failed"
    assert set(error["lacking"]) == {"schema auth", "schema extensions"}
    assert "does not hold them: schema" in error["what"]
    reported = project.restore(archive, create_roles=True, object_errors="report")
    assert reported["fingerprint"]["equal"] is None
    assert any("CREATE POLICY" in item["object"] for item in reported["not_restored"])
    assert project.value("SELECT count(*) FROM public.plain", project.copy) == 2
    # The error proposed values that restore everything else: rows, defaults and policies.
    assert "`stand_ins` to ['supabase']" in error["next_step"]
    project.server.drop_database(project.copy)
    helped = project.restore(
        archive, create_roles=True, object_errors="report", stand_ins=["supabase"], create_schemas=["extensions"]
    )
    refused = [item["object"] for item in helped["not_restored"]]
    # The type is no extension's and stays unknown; no dump of one schema holds the users.
    assert [one for one in refused if "PROFILE" not in one and "NOTE" not in one] == []
    assert [one for one in refused if "CREATE TABLE" in one and "NOTE" in one] == []
    assert project.value("SELECT count(*) FROM public.note", project.copy) == 1
    assert project.value("SELECT count(*) FROM pg_policies WHERE policyname = 'mine'", project.copy) == 1


@pytest.mark.slow
def test_the_playbook_restores_an_old_dump_as_its_error_proposes(
    operator: Operator, project: Project, tmp_path: Path
) -> None:
    _owner, reader = project.roles
    project.run(
        CONTENT.format(user=USER, reader=reader)
        .replace("extensions.short AS varchar(20)", "extensions.x AS int")
        .replace("name extensions.short", "name text"),
        project.database,
    )
    archive = operator.home / "old.sql.gz"
    archive.write_bytes(Path(project.dump(*PLAN)).read_bytes())
    archive.chmod(0o644)
    project.run(f"DROP OWNED BY {reader}; DROP POLICY IF EXISTS mine ON public.plain", project.database)
    project.drop_roles()
    login = project.server.module_options()
    login.pop("login_db")
    inventory = {"recovery_connection": login, "recovery_target": project.copy}
    given = ["-e", f"recovery_archive={archive}"]

    def play(*more: str) -> str:
        done = operator.play("restore", *given, *more, inventory=inventory)
        text = " ".join(done.stdout.split())
        assert (done.returncode == 0) is ("Done: Restored" in text), done.stdout + done.stderr
        return text

    assert "recovery_create_roles" in play()
    given += ["-e", "recovery_create_roles=true"]
    assert "Set `recovery_stand_ins` to ['supabase']" in play()
    given += ["-e", '{"recovery_stand_ins": ["supabase"]}']
    assert "set `recovery_object_errors` to report" in play().replace("Set", "set")
    done = play("-e", "recovery_object_errors=report")
    assert "Proof: not compared" in done
    assert "Lost: nothing; the copy" in done or "Lost: changes after the dump, if there were any" in done
    assert "; 2 objects not or only in part restored" in done
    assert f"drop the database {project.copy}" in done
    for table in ("profile", "note", "plain"):
        assert project.value(f"SELECT count(*) > 0 FROM public.{table}", project.copy)
    refused = operator.play("restore", "-e", "recovery_archive=old.sql.gz", inventory=inventory)
    assert "recovery_archive must be the absolute path" in " ".join(refused.stdout.split())


def test_a_dump_of_one_schema_names_the_extension_that_it_uses(project: Project) -> None:
    schema = "extensions"
    project.run(
        f"""CREATE SCHEMA {schema}; CREATE EXTENSION hstore SCHEMA {schema};
            CREATE TABLE public.thing (id int PRIMARY KEY, tags {schema}.hstore);
            INSERT INTO public.thing VALUES (1, 'a=>1')""",
        project.database,
    )
    archive = project.dump(*PLAN)
    error = project.refused(archive)
    assert "`create_extensions` to ['extensions.hstore']" in error["next_step"]
    misspelt = project.refused(archive, create_extensions=["extensions.hstor"])
    assert misspelt["error_kind"] == "extensions_missing"
    assert "Is hstore meant?" in misspelt["next_step"]
    done = project.restore(archive, create_extensions=["extensions.hstore"])
    assert done["not_restored"] == []
    assert project.value("SELECT tags OPERATOR(extensions.->) 'a' FROM public.thing", project.copy) == "1"
    with pytest.raises(ModuleFailed, match="for an `archive`"):
        run_module("pg_restore", {"target_db": "x", "create_schemas": ["a"], **project.server.module_options()})


@pytest.mark.parametrize("project", [available_versions()[0], available_versions()[-1]], indirect=True)
def test_a_dump_of_one_schema_that_lacks_nothing_is_restored(project: Project) -> None:
    project.run(
        "CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1);"
        "CREATE VIEW public.v AS SELECT id FROM public.t",
        project.database,
    )
    restored = project.restore(project.dump(*PLAN))
    assert restored["not_restored"] == []
    assert project.value("SELECT count(*) FROM public.v", project.copy) == 1


def test_owners_and_grants_of_a_script_follow_the_options(project: Project) -> None:
    owner, reader = project.roles
    project.run(
        f"CREATE TABLE public.t (id int PRIMARY KEY); ALTER TABLE public.t OWNER TO {owner};"
        f"GRANT SELECT ON public.t TO {reader};"
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO {reader}",
        project.database,
    )
    archives = project.dump(), project.dump("--use-set-session-authorization")
    for role in project.roles:
        project.run(f"DROP OWNED BY {role}", project.database)
    project.drop_roles()
    found = "SELECT tableowner::text FROM pg_tables WHERE tablename = 't'"
    grants = "SELECT count(*) FROM information_schema.role_table_grants WHERE table_name = 't' AND grantee <> grantor"
    for archive in archives:
        assert set(project.refused(archive)["roles"]) == {owner, reader}
        assert project.refused(archive, privileges=False)["roles"] == [owner]
        project.restore(archive, owner=False, privileges=False)
        assert project.value(found, project.copy) == "postgres"
        assert project.value(grants, project.copy) == 0
        project.server.drop_database(project.copy)
    restored = project.restore(archives[0], create_roles=True)
    assert set(restored["roles_created"]) == {owner, reader}
    assert project.value(found, project.copy) == owner
    assert project.value(grants, project.copy) == 1
