# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role without superuser rights restores what it can act for, and is refused before anything is created otherwise."""

from __future__ import annotations

import secrets
import typing as t
from dataclasses import dataclass

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]


@dataclass(frozen=True)
class Owned:
    """A database of the role app, saved as a set, and a role that may create databases and roles."""

    server: PostgresServer
    database: str
    app: str
    login: str
    store: Options

    @property
    def copy(self) -> str:
        return f"{self.database}_copy"

    def restore(self, *, check_mode: bool = False, **options: t.Any) -> Options:
        arguments = {
            **self.server.module_options(), "login_user": self.login, "login_password": "secret",
            "source": "app", "store": self.store, "target_db": self.copy,
        }  # fmt: skip
        return run_module("pg_restore", {**arguments, **options}, check_mode=check_mode)

    def refused(self, **options: t.Any) -> Options:
        """The error of a restore that created nothing."""
        with pytest.raises(ModuleFailed) as caught:
            self.restore(**options)
        assert self.value(f"SELECT count(*) FROM pg_database WHERE starts_with(datname, '{self.copy}')") == 0
        return caught.value.result

    def value(self, sql: str, database: str = "postgres") -> t.Any:
        with self.server.session(database) as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def run(self, sql: str, database: str = "postgres") -> None:
        with self.server.session(database) as cursor:
            cursor.execute(sql)


@pytest.fixture(params=[available_versions()[0], available_versions()[-1]])
def owned(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, request: pytest.FixtureRequest
) -> t.Iterator[Owned]:
    server, suffix = servers(request.param), secrets.token_hex(4)
    place = Owned(server, server.create_database(), f"app_{suffix}", f"login_{suffix}", folder_store)
    place.run(
        f"CREATE ROLE {place.app}; CREATE ROLE {place.login} LOGIN CREATEDB CREATEROLE PASSWORD 'secret';"
        f"ALTER DATABASE {place.database} OWNER TO {place.app}"
    )
    place.run(
        f"SET ROLE {place.app}; CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1), (2);"
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        place.database,
    )
    yield place
    with server.session() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (place.database,))
        found = [row[0] for row in cursor.fetchall()]
    for name in found:
        server.drop_database(name)
    for role in (place.app, place.login, f"{place.app}_late"):
        place.run(f"DROP ROLE IF EXISTS {role}")


def save(place: Owned) -> None:
    run_module("pg_backup", {"source": "app", "store": place.store, **place.server.module_options(place.database)})


def test_check_mode_names_each_right_that_a_swap_needs(owned: Owned) -> None:
    """Each statement that a refusal asks for brings the next refusal, until the restore runs."""
    late, user = f"{owned.app}_late", f"user_of_{owned.app}"
    owned.run(f"ALTER ROLE {owned.login} NOCREATEDB NOCREATEROLE; CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    owned.run(f"CREATE ROLE {late}; GRANT SELECT ON public.t TO {late}", owned.database)
    save(owned)
    owned.run(f"DROP OWNED BY {late}; DROP ROLE {late}", owned.database)
    swap = {"target_db": owned.database, "mode": "swap", "terminate_sessions": True, "create_roles": True}
    asked: list[str] = []
    result: dict[str, t.Any] = {}
    with owned.server.session(owned.database, user=user, password="secret"):
        while True:
            try:
                owned.restore(**swap, check_mode=True)
                break
            except ModuleFailed as refused:
                result = refused.result
            assert result["error_kind"] == "access_denied", result["msg"]
            statement = str(result["next_step"]).removeprefix("As a superuser: ").partition(". Or ")[0]
            assert statement not in asked
            asked.append(statement)
            owned.run(statement)
        done = owned.restore(**swap, recovery_confirm=owned.database)
    assert done["fingerprint"]["equal"] is True
    assert sorted(asked) == [
        f'ALTER ROLE "{owned.login}" CREATEDB',
        f'ALTER ROLE "{owned.login}" CREATEROLE',
        f'GRANT "{owned.app}" TO "{owned.login}"',
        f'GRANT pg_signal_backend TO "{owned.login}"',
    ]
    owned.run(f"DROP ROLE {user}")


def test_sessions_of_other_roles_are_seen_without_the_right_to_read_statistics(owned: Owned) -> None:
    save(owned)
    user = f"user_of_{owned.app}"
    owned.run(f"GRANT {owned.app} TO {owned.login}; CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    with owned.server.session(owned.database, user=user, password="secret"):
        swap = {"target_db": owned.database, "mode": "swap", "recovery_confirm": owned.database}
        result = owned.refused(**swap)
    assert result["error_kind"] == "target_in_use"
    assert f"has 1 session: {user}" in result["what"]
    owned.run(f"DROP ROLE {user}")


def test_owners_that_the_login_cannot_set_are_refused_before_anything_is_created(owned: Owned) -> None:
    save(owned)
    error = owned.refused()
    assert error["error_kind"] == "access_denied"
    assert f"the database of {owned.app}" in error["what"]
    assert f"{owned.login} may not act for" in error["what"]
    assert f'As a superuser: GRANT "{owned.app}" TO "{owned.login}". Or set `owner` to false' in error["next_step"]
    assert {"the database", "table public.t", "function public.f()"} <= {*error["objects"]}
    if owned.server.version != "15":
        owned.run(f"GRANT {owned.app} TO {owned.login} WITH SET FALSE, INHERIT TRUE")
        assert owned.refused()["roles"] == [owned.app]
    without = owned.restore(owner=False)
    assert without["fingerprint"]["equal"] is True
    assert owned.value("SELECT tableowner FROM pg_tables WHERE tablename = 't'", owned.copy) == owned.login


def test_a_member_of_the_owners_restores_with_owners(owned: Owned) -> None:
    late = f"{owned.app}_late"
    owned.run(f"CREATE ROLE {late}; CREATE SCHEMA shop AUTHORIZATION {late}", owned.database)
    owned.run(f"SET ROLE {late}; CREATE TABLE shop.t (id int)", owned.database)
    save(owned)
    owned.run(f"DROP OWNED BY {late}; DROP ROLE {late}", owned.database)
    owned.run(f"GRANT {owned.app} TO {owned.login}")
    assert owned.refused()["roles"] == [late]
    assert owned.restore(create_roles=True)["fingerprint"]["equal"] is True
    database = f"FROM pg_database WHERE datname = '{owned.copy}'"
    assert owned.value(f"SELECT pg_get_userbyid(datdba) {database}") == owned.app
    assert owned.value(f"SELECT has_database_privilege('{late}', datname, 'CREATE') {database}") is False
    tables = "SELECT array_agg(tableowner::text ORDER BY schemaname) FROM pg_tables WHERE tablename = 't'"
    assert owned.value(tables, owned.copy) == [owned.app, late]


def test_owners_outside_their_schemas_and_grants_of_others_need_a_superuser(owned: Owned) -> None:
    late = f"{owned.app}_late"
    owned.run(f"CREATE ROLE {late}; GRANT {late}, {owned.app} TO {owned.login}")
    owned.run(f"CREATE TABLE public.other (id int); ALTER TABLE public.other OWNER TO {late}", owned.database)
    save(owned)
    error = owned.refused(fingerprint="none")
    assert error["objects"] == ["table public.other"]
    owned.run("DROP TABLE public.other", owned.database)
    owned.run(
        f"GRANT SELECT ON public.t TO {late} WITH GRANT OPTION; SET ROLE {late}; GRANT SELECT ON public.t TO PUBLIC",
        owned.database,
    )
    save(owned)
    error = owned.refused()
    assert "table t" in error["what"].lower()
    assert "set privileges to false" in error["next_step"]
    assert owned.restore(privileges=False)["fingerprint"]["equal"] is True
