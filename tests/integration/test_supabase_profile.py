# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profile supabase: a project is backed up, and restored into another project and into plain PostgreSQL."""

from __future__ import annotations

import typing as t

import pytest

from tests.doubles import supabase_project as projects
from tests.doubles.modules import ModuleFailed, run_module
from tests.doubles.postgres import PostgresServer

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
    for words in ("vault", "realtime", "bytes of storage objects", "edge functions", "log of cron jobs"):
        assert words in left_out
