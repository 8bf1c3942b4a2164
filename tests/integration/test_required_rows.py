# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows that an application requires are inserted once, and existing rows stay unchanged."""

from __future__ import annotations

import json
import secrets
import time
import typing as t
import uuid

import pytest

from tests.support.data.learnplay import PUBLISHER, SCHEMA
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

ORGANIZATION = "00000000-0000-0000-0000-000000000001"
DEFAULT: Options = {
    "table": "organizations",
    "values": {
        "id": ORGANIZATION, "name": "O'Brien & 100%", "slug": "learnplay",
        "branding": {"logoUrl": "/placeholder.svg", "primaryColor": "#1E40AF"}, "settings": "{}",
    },
}  # fmt: skip
ROLES: Options = {
    "table": "user_roles",
    "values": {"organization_id": ORGANIZATION, "role": "viewer"},
    "for_each": {"table": "auth.users", "columns": {"user_id": "id"}, "shown": "email"},
}


class Platform:
    """The database of an application with organizations and users."""

    def __init__(self, server: PostgresServer, database: str, store: Options) -> None:
        self.server, self.database, self.store = server, database, store

    @property
    def arguments(self) -> Options:
        given = {"state": "present", "source": "learnplay", "store": self.store}
        return {**self.server.module_options(self.database), **given}

    def run(self, sql: str, parameters: t.Any = None) -> list[t.Any]:
        with self.server.session(self.database) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def require(self, *parts: Options, check_mode: bool = False, **options: t.Any) -> Options:
        given = {name: value for part in parts for name, value in part.items()}
        return run_module("pg_required_rows", {**self.arguments, **given, **options}, check_mode=check_mode)

    def undo(self, undo: t.Mapping[str, str]) -> Options:
        given = {"source": "learnplay", "store": self.store, "recovery_environment": "sandbox", **undo}
        return run_module("pg_restore_table", {**self.server.module_options(self.database), **given})

    def roles(self) -> list[t.Any]:
        return self.run("SELECT u.email, r.role FROM user_roles r JOIN auth.users u ON u.id = r.user_id ORDER BY 1, 2")


@pytest.fixture
def platform(postgres: PostgresServer, database: str, folder_store: Options) -> Platform:
    postgres.psql(database, SCHEMA)
    return Platform(postgres, database, folder_store)


def test_a_lost_organization_and_lost_roles_are_inserted_once_and_taken_back(platform: Platform) -> None:
    platform.run(
        "INSERT INTO auth.users SELECT gen_random_uuid(), 'user' || n || '@example.org' FROM generate_series(1, 3) n"
    )
    planned = platform.require(DEFAULT, check_mode=True)
    assert (planned["changed"], platform.run("SELECT count(*) FROM organizations")) == (True, [(0,)])
    first = platform.require(DEFAULT)
    assert first["summary"] == "Inserted 1 row into public.organizations."
    assert first["plan_digest"] == planned["plan_digest"]
    ((name, branding, settings),) = platform.run("SELECT name, branding, settings FROM organizations")
    assert (name, branding, settings) == ("O'Brien & 100%", DEFAULT["values"]["branding"], {})
    platform.run("INSERT INTO user_roles VALUES (%s, %s, 'admin')", (PUBLISHER, ORGANIZATION))

    reported = platform.require(ROLES, state="reported", source=None)
    assert (reported["changed"], reported["count"], len(platform.roles())) == (False, 3, 1)
    given = platform.require(ROLES)
    assert sorted(row["shown"] for row in given["rows"]) == ["u***@example.org"] * 3
    assert "user1@" not in json.dumps(given)
    everyone = [(f"user{number}@example.org", "viewer") for number in (1, 2, 3)]
    assert platform.roles() == [("editor@example.org", "admin"), *everyone]

    platform.run("UPDATE organizations SET name = 'Renamed'")
    assert [platform.require(part)["changed"] for part in (DEFAULT, ROLES)] == [False, False]
    assert platform.run("SELECT name FROM organizations") == [("Renamed",)]
    assert platform.undo(given["undo"])["changed"] is True
    assert platform.roles() == [("editor@example.org", "admin")]
    audited = run_module("audit_info", {"source": "learnplay", "store": platform.store})
    assert [one["operation_type"] for one in audited["records"]].count("insert_required_rows") == 2


def test_two_runs_insert_one_row_into_a_table_without_a_key(platform: Platform) -> None:
    platform.require(DEFAULT)
    platform.run(
        "ALTER TABLE user_roles DROP CONSTRAINT user_roles_pkey, ADD made timestamptz DEFAULT clock_timestamp()"
    )
    with platform.server.session(platform.database) as other:
        other.execute("BEGIN; LOCK TABLE user_roles IN SHARE ROW EXCLUSIVE MODE")
        processes = [
            start_module("pg_required_rows", {**platform.arguments, **ROLES, "lock_timeout": 60}) for _run in range(2)
        ]
        waiting = (
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE NOT l.granted AND d.datname = current_database()"
        )
        while platform.run(waiting) != [(2,)]:
            assert all(process.poll() is None for process in processes)
            time.sleep(0.02)
        other.execute("COMMIT")
    results = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert platform.roles() == [("editor@example.org", "viewer")]
    (undo,) = [result["undo"] for result in results if result["changed"]]
    platform.undo(undo)
    assert platform.roles() == []


def test_users_that_row_security_hides_are_refused(platform: Platform) -> None:
    platform.require(DEFAULT)
    role = f"admin_{secrets.token_hex(6)}"
    platform.run(
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA auth TO {role}; "
        f"GRANT ALL ON ALL TABLES IN SCHEMA public, auth TO {role}; ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY"
    )
    try:
        with pytest.raises(ModuleFailed, match=r"Row level security hides rows of auth\.users"):
            platform.require(ROLES, login_user=role, login_password="x")
    finally:
        platform.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_values_that_cannot_be_inserted_are_refused_in_the_plan(platform: Platform) -> None:
    platform.require(DEFAULT)
    other = {**DEFAULT["values"], "id": str(uuid.uuid4())}
    for match, options in (
        ("has slug learnplay of a row that is missing", {**DEFAULT, "values": other}),
        ("must have a value of the column name", {**DEFAULT, "values": {"id": str(uuid.uuid4())}}),
        ("no value of the column id: invalid input syntax", {**DEFAULT, "values": {**other, "id": "x"}}),
        ("cannot hold .* for the column name", {**DEFAULT, "values": {**other, "name": ["x"]}}),
        ("must name a column of public.organizations", {**DEFAULT, "values": {**other, "nmae": "x"}}),
        ("`match` must name columns", {**DEFAULT, "match": ["nmae"]}),
        ("of `match` must have a value, got null", {**DEFAULT, "values": {**other, "id": None}}),
        ("does not understand `for_each.where`", {**ROLES, "for_each": {**ROLES["for_each"], "where": "gone"}}),
        ("in `values` or in `for_each.columns`, got both", {**ROLES, "values": {"user_id": PUBLISHER}}),
        ("`for_each` must name columns of auth.users", {**ROLES, "for_each": {**ROLES["for_each"], "shown": "gone"}}),
    ):  # fmt: skip
        with pytest.raises(ModuleFailed, match=match):
            platform.require(options, check_mode=True)


def test_a_trigger_that_drops_the_row_fails_the_run(platform: Platform) -> None:
    platform.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER refuse BEFORE INSERT ON organizations FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(ModuleFailed, match="0 of 1 rows were inserted"):
        platform.require(DEFAULT)
    platform.require(DEFAULT, triggers="disable")
    assert platform.run("SELECT count(*) FROM organizations") == [(1,)]


def test_hostile_names_types_and_defaults(platform: Platform) -> None:
    """Identity, arrays, JSON, domains, generated columns, a condition, and a table with the name of an alias."""
    platform.run(
        'CREATE SCHEMA "l""%s"; CREATE DOMAIN short AS varchar(3); '
        "CREATE TABLE l (p text PRIMARY KEY, old boolean); "
        "INSERT INTO l VALUES ('a%s', false), ('b', true), ('c', NULL); "
        'CREATE TABLE "l""%s"."m" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "p" text UNIQUE, "a[]" text[], '
        'd short, j jsonb, ok boolean, twice text GENERATED ALWAYS AS ("p" || "p") STORED)'
    )
    values = {"a[]": ["x,y", 'q"', "b\\", None, "NULL", ""], "d": "%s%", "j": [1, {"é": None}], "ok": True}
    given = platform.require(
        table='"l""%s".m', values=values,
        for_each={"table": "l", "columns": {"p": "p"}, "where": "l.old IS NOT TRUE", "shown": "p"},
    )  # fmt: skip
    assert [row["shown"] for row in given["rows"]] == ["a***", "***"]
    rows = platform.run('SELECT id, p, "a[]", d, j, ok, twice FROM "l""%s".m ORDER BY p')
    assert [row[1:] for row in rows] == [(p, values["a[]"], "%s%", values["j"], True, p * 2) for p in ("a%s", "c")]
    platform.undo(given["undo"])
    assert platform.run('SELECT count(*) FROM "l""%s".m') == [(0,)]
