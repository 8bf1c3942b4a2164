# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After an attack, access is revoked first, and the newest intact set from before it becomes the live database."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.fakes.sinks import HttpSink, Reply, http_sink
from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

_SCHEMA = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (id int PRIMARY KEY, email text, encrypted_password text);
CREATE TABLE auth.sessions (id int PRIMARY KEY);
CREATE TABLE notes (id int PRIMARY KEY, body text);
CREATE TABLE canary (note text);
INSERT INTO auth.users SELECT n, n || '@example.org', 'hash' FROM generate_series(1, 20) n;
INSERT INTO auth.sessions SELECT generate_series(1, 5);
INSERT INTO notes SELECT n, 'Note ' || n FROM generate_series(1, 50) n;
INSERT INTO canary VALUES ('intact');
"""


@dataclass
class Attacked:
    server: PostgresServer
    database: str
    folder: Path
    web: HttpSink
    sets: list[str]
    attack: str

    def run(self, sql: str, database: str = "") -> list[tuple[t.Any, ...]]:
        with self.server.session(database or self.database) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def back_up(self) -> str:
        store = {"provider": "directory", "path": str(self.folder / "store")}
        options = {**self.server.module_options(self.database), "source": "app", "store": store}
        time.sleep(1.1)  # The id of a set has whole seconds.
        return str(run_module("pg_backup", options)["set_id"])

    def recover(self, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        connection = {name: value for name, value in self.server.module_options().items() if name != "login_db"}
        statements = [
            {"name": name, "role": "postgres", "sql": sql, "only_if": query}
            for name, sql, query in (
                ("user_passwords", "UPDATE auth.users SET encrypted_password = NULL",
                 "SELECT 1 FROM auth.users WHERE encrypted_password IS NOT NULL"),
                ("sessions", "DELETE FROM auth.sessions", "SELECT 1 FROM auth.sessions"),
            )
        ]  # fmt: skip
        source = {
            "name": "app", "database": self.database, "connection": connection, "attack_statements": statements,
            "canaries": [{"type": "sql", "name": "canary", "query": "SELECT note FROM canary", "equals": "intact"}],
            "attack_hooks": [
                {"name": "keys", "http": {"url": f"{self.web.url}/revoke"}, "covers": ["store_keys"]},
                {"name": "program", "command": ["touch", str(self.folder / "revoked")], "covers": ["access_tokens"]},
                {"name": "secrets", "phase": "rotate", "http": {"url": f"{self.web.url}/rotate"}},
            ],
        }  # fmt: skip
        given = {
            "recovery_sources": [source], "recovery_source": "app", "recovery_attack": self.attack,
            "recovery_store": {"provider": "directory", "path": str(self.folder / "store")},
            "recovery_attack_record": str(self.folder / "record.json"), "recovery_reason": "Encrypted rows",
            "recovery_environment": "production",
            **variables,
        }  # fmt: skip
        return play("ransomware", given, self.folder, *arguments)


@pytest.fixture
def attacked(postgres: PostgresServer, database: str, tmp_path: Path) -> t.Iterator[Attacked]:
    """A database with an intact set, one whose canary an attacker had changed, and one from after the attack."""
    with http_sink() as web:
        found = Attacked(postgres, database, tmp_path, web, [], "")
        found.run(_SCHEMA)
        found.sets.append(found.back_up())
        found.run("UPDATE canary SET note = 'changed'")
        found.sets.append(found.back_up())
        time.sleep(0.1)
        found.attack = datetime.now(timezone.utc).isoformat()
        found.run("UPDATE notes SET body = md5(body); DROP TABLE auth.sessions; UPDATE auth.users SET email = 'x'")
        found.sets.append(found.back_up())
        yield found
        with postgres.session() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{database}_%",))
            names = [row[0] for row in cursor.fetchall()]
        for name in names:
            postgres.drop_database(name)


def flat(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_newest_intact_set_from_before_the_attack_becomes_the_live_database(attacked: Attacked) -> None:
    planned = attacked.recover("--check")
    assert planned.returncode == 0, planned.stdout
    assert f"Would recover the database {attacked.database} from the set {attacked.sets[1]}" in flat(planned)
    assert "keys (revoke, planned), program (revoke, planned), secrets (rotate, planned)" in flat(planned)
    assert (attacked.web.seen, (attacked.folder / "revoked").exists()) == ([], False)

    refused = attacked.recover(recovery_confirm=attacked.database, recovery_set=attacked.sets[2])
    assert refused.returncode == 2 and "is not a set of a database from before the attack" in flat(refused)
    assert attacked.web.seen == []

    attacked.web.replies["/revoke"] = [Reply(status=500)]
    failed = attacked.recover(recovery_confirm=attacked.database)
    assert failed.returncode == 2 and "The hook keys failed" in flat(failed), failed.stdout
    assert not (attacked.folder / "revoked").exists()
    assert attacked.run("SELECT count(*) FROM pg_database WHERE datname LIKE '%before%'") == [(0,)]

    attacked.web.seen.clear()
    done = attacked.recover(recovery_confirm=attacked.database)
    assert done.returncode == 0, done.stdout
    assert [one.path for one in attacked.web.seen] == ["/revoke", "/rotate"]
    assert (attacked.folder / "revoked").exists()
    assert attacked.run("SELECT count(*) FROM notes WHERE body LIKE 'Note %'") == [(50,)]
    assert attacked.run("SELECT note FROM canary") == [("intact",)]
    users = attacked.run("SELECT count(*), count(encrypted_password) FROM auth.users WHERE email LIKE '%@%'")
    assert (users, attacked.run("SELECT count(*) FROM auth.sessions")) == ([(20, 0)], [(0,)])
    record = json.loads((attacked.folder / "record.json").read_text())
    assert (record["set_id"], record["after_attack"]) == (attacked.sets[0], [attacked.sets[2]])
    assert [one["set_id"] for one in record["rejected"]] == [attacked.sets[1]]
    assert attacked.run("SELECT count(*) FROM notes WHERE body LIKE 'Note %'", record["evidence"]) == [(0,)]
    items = {one["item"]: one["done"] for one in record["checklist"]}
    assert [text for text, is_done in items.items() if is_done] == [
        "Revoke the personal access tokens and keys of operators and of the provider's console.",
        "Change the keys of buckets, also of the store of backup sets.",
        "End the sessions of all users.", "Reset the passwords of all users.",
    ]  # fmt: skip
    assert "Open: Change the passwords of the roles of the database" in flat(done)


def test_database_that_the_attack_removed_is_restored(attacked: Attacked) -> None:
    attacked.server.drop_database(attacked.database)
    done = attacked.recover(recovery_confirm=attacked.database)
    assert done.returncode == 0, done.stdout
    assert attacked.run("SELECT count(*) FROM notes WHERE body LIKE 'Note %'") == [(50,)]
    assert attacked.run("SELECT count(encrypted_password) FROM auth.users") == [(0,)]
