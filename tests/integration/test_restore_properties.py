# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restored database has the properties of its source: locale, owner, grants, limit, comment and settings."""

from __future__ import annotations

import json
import secrets
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.properties import (
    DatabaseProperties,
    Locale,
    Setting,
    parse_properties,
    property_differences,
    read_properties,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import connection
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]

SECRET = "s3cret-token-%d"


def back_up(server: PostgresServer, database: str, store: Options) -> Options:
    return run_module("pg_backup", {"source": "app", "store": store, **server.module_options(database)})


def restore(server: PostgresServer, target: str, store: Options, **options: t.Any) -> Options:
    return run_module(
        "pg_restore", {"source": "app", "store": store, "target_db": target, **server.module_options(), **options}
    )


def properties(server: PostgresServer, name: str) -> DatabaseProperties:
    with connection(server.options()) as conn:
        return read_properties(conn, name)


@pytest.fixture
def roles(servers: t.Callable[[str], PostgresServer]) -> t.Iterator[t.Callable[[PostgresServer], tuple[str, str]]]:
    """Two new roles of a server, dropped at the end."""
    made: list[tuple[PostgresServer, str]] = []

    def make(server: PostgresServer) -> tuple[str, str]:
        names = (f'Owner "x" {secrets.token_hex(4)}', f"app_{secrets.token_hex(4)}")
        with server.session() as cursor:
            for name in names:
                quoted = name.replace('"', '""')
                cursor.execute(f'CREATE ROLE "{quoted}"')
                made.append((server, quoted))
        return names

    yield make
    for server, name in made:
        with server.session() as cursor:
            cursor.execute(f'DROP ROLE IF EXISTS "{name}"')


def furnish(server: PostgresServer, name: str, owner: str, app: str) -> None:
    """Give a database every property that can be changed, and one row."""
    quoted = owner.replace('"', '""')
    with server.session() as cursor:
        for statement in (
            f'ALTER DATABASE "{name}" OWNER TO "{quoted}"',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
            f'GRANT CONNECT ON DATABASE "{name}" TO "{app}" WITH GRANT OPTION',
            f'ALTER DATABASE "{name}" CONNECTION LIMIT 17',
            f"COMMENT ON DATABASE \"{name}\" IS 'payroll''s \\ database'",
            f'ALTER DATABASE "{name}" SET search_path TO \'$user\', "odd, name", public',
            f"ALTER DATABASE \"{name}\" SET app.token TO '{SECRET}'",
            f"ALTER DATABASE \"{name}\" SET work_mem TO '7MB'",
            f'ALTER ROLE "{app}" IN DATABASE "{name}" SET statement_timeout TO \'9s\'',
        ):
            cursor.execute(statement)
    with server.session(name) as cursor:
        cursor.execute("CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1)")


@pytest.mark.parametrize("version", available_versions())
def test_new_restores_every_property(
    servers: t.Callable[[str], PostgresServer],
    roles: t.Callable[[PostgresServer], tuple[str, str]],
    folder_store: Options,
    version: str,
) -> None:
    server = servers(version)
    name, copy = f"src % {secrets.token_hex(3)}", f"copy % {secrets.token_hex(3)}"
    server.create_database(name)
    furnish(server, name, *roles(server))
    back_up(server, name, folder_store)
    try:
        restored = restore(server, copy, folder_store)
        assert property_differences(properties(server, name), properties(server, copy)) == []
        assert restored["properties"] == {"of": "set", "equal": True, "differences": [], "changed_since_backup": []}
        assert SECRET not in json.dumps(restored)
    finally:
        server.drop_database(copy)
        server.drop_database(name)


def test_swap_keeps_what_the_live_database_has_now(
    postgres: PostgresServer, roles: t.Callable[[PostgresServer], tuple[str, str]], folder_store: Options
) -> None:
    owner, app = roles(postgres)
    name = postgres.create_database()
    with postgres.session(name) as cursor:
        cursor.execute("CREATE TABLE public.before (id int)")
    back_up(postgres, name, folder_store)
    furnish(postgres, name, owner, app)
    before = properties(postgres, name)
    swapped = restore(postgres, name, folder_store, mode="swap", recovery_confirm=name)
    kept = swapped["undo"]["undo_db"]
    try:
        assert property_differences(before, properties(postgres, name)) == []
        changed = {item["what"] for item in swapped["properties"]["changed_since_backup"]}
        assert {"owner", "grants", "comment", "connection limit", "setting app.token"} <= changed
        assert SECRET not in json.dumps(swapped)
        with postgres.session() as cursor:
            cursor.execute("SELECT has_database_privilege('pg_monitor', %s, 'CONNECT')", (name,))
            assert cursor.fetchone() == (False,)
    finally:
        postgres.drop_database(kept)
        postgres.drop_database(name)


_LOCALES = {
    "15": ["LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", "LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C.UTF-8'"],
    "16": ["LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'"],
    "18": ["LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"],
}


@pytest.mark.parametrize(
    ("version", "clause"), [(version, clause) for version in available_versions() for clause in _LOCALES[version]]
)
def test_new_restores_the_locale(
    servers: t.Callable[[str], PostgresServer], folder_store: Options, version: str, clause: str
) -> None:
    server = servers(version)
    name = f"src_{secrets.token_hex(4)}"
    with server.session() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 {clause}")
    with server.session(name) as cursor:
        cursor.execute("CREATE TABLE public.t (id int)")
    back_up(server, name, folder_store)
    try:
        restored = restore(server, f"{name}_copy", folder_store)
        assert properties(server, f"{name}_copy").locale == properties(server, name).locale
        assert restored["properties"]["equal"] is True
    finally:
        server.drop_database(f"{name}_copy")
        server.drop_database(name)


@pytest.mark.skipif("18" not in available_versions(), reason="needs PostgreSQL 18 beside an older version")
def test_a_locale_that_the_server_lacks_is_refused_or_reported(
    servers: t.Callable[[str], PostgresServer], postgres: PostgresServer, folder_store: Options
) -> None:
    newer, name = servers("18"), f"src_{secrets.token_hex(4)}"
    with newer.session() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 {_LOCALES['18'][0]}")
    back_up(newer, name, folder_store)
    newer.drop_database(name)
    target = f"{name}_copy"
    # The programs of 18 read an archive of 18; the server is the older one.
    login = {**postgres.module_options(), "client_bin_dir": str(newer.bin_dir)}
    arguments = {"source": "app", "store": folder_store, "target_db": target, **login}
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_restore", arguments)
    assert caught.value.result["error_kind"] == "unsupported"
    assert "builtin" in caught.value.result["msg"]
    assert "set `locale` to nearest" in caught.value.result["next_step"]
    with postgres.session() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE %s", (f"{name}%",))
        assert cursor.fetchone() == (0,)
    try:
        restored = run_module("pg_restore", {**arguments, "locale": "nearest"})
        assert restored["properties"]["equal"] is False
        assert "locale provider" in {item["what"] for item in restored["properties"]["differences"]}
    finally:
        postgres.drop_database(target)


def test_a_set_without_recorded_properties_keeps_its_locale(postgres: PostgresServer, folder_store: Options) -> None:
    name = f"src_{secrets.token_hex(4)}"
    with postgres.session() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")
    back_up(postgres, name, folder_store)
    path = next(Path(folder_store["path"]).glob("app/daily/sets/*.json"))
    manifest = json.loads(path.read_text())
    manifest["objects"] = [entry for entry in manifest["objects"] if entry["role"] != "properties"]
    path.write_text(json.dumps(manifest))
    try:
        restored = restore(postgres, f"{name}_copy", folder_store)
        assert properties(postgres, f"{name}_copy").locale == Locale("UTF8", "libc", "C", "C.UTF-8")
        assert restored["properties"]["of"] == "none"
        assert restored["properties"]["equal"] is None
    finally:
        postgres.drop_database(f"{name}_copy")
        postgres.drop_database(name)


def test_a_setting_that_the_server_refuses_is_named_without_its_value(
    postgres: PostgresServer, folder_store: Options
) -> None:
    name = postgres.create_database()
    with postgres.session() as cursor:
        cursor.execute(f"ALTER DATABASE \"{name}\" SET work_mem TO '7MB'")
    back_up(postgres, name, folder_store)
    path = next(Path(folder_store["path"]).glob("app/daily/sets/*.json"))
    entry = next(item for item in json.loads(path.read_text())["objects"] if item["role"] == "properties")
    assert entry["path"] == "database.json"
    recorded = properties(postgres, name)
    odd = DatabaseProperties(**{**vars(recorded), "settings": (Setting("", "work_mem", SECRET),)})
    assert SECRET not in repr(odd)
    assert parse_properties(odd.to_json()) == odd
    (difference,) = property_differences(odd, recorded)
    assert (difference.what, difference.expected, difference.actual) == ("setting work_mem", "set", "another value")
    postgres.drop_database(name)
