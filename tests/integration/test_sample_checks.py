# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the type sample: random rows of PostgreSQL, SQLite and D1 are read and judged."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.result import CheckResult
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.run import IntegrityRequest, check_integrity
from tests.support.runner.modules import run_module
from tests.support.servers.d1 import d1_server
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


class Sampled:
    """A database, and its random rows."""

    def __init__(self, postgres: PostgresServer, database: str) -> None:
        self._server, self._database = postgres, database

    def sql(self, script: str) -> list[tuple[t.Any, ...]]:
        with self._server.session(self._database) as cursor:
            cursor.execute(script)
            return t.cast("list[tuple[t.Any, ...]]", cursor.fetchall()) if cursor.description else []

    def pages_outside_rows(self) -> int:
        """How many pages were read of values that are stored outside of rows; sessions report it after their end."""
        reads = "SELECT coalesce(sum(toast_blks_read + toast_blks_hit), 0)::int FROM pg_statio_user_tables"
        known: list[int] = []
        while len(known) < 6 or len(set(known[-6:])) > 1:
            known.append(int(self.sql(reads)[0][0]))
            time.sleep(0.05)
        return known[-1]

    def check(self, table: str, **description: t.Any) -> CheckResult:
        given = {"type": "sample", "table": table, **description}
        options = self._server.options(self._database)
        (result,) = check_integrity(IntegrityRequest(options, [given], fail_on="never")).checks
        return result


@pytest.fixture
def sampled(postgres: PostgresServer, database: str) -> Sampled:
    return Sampled(postgres, database)


def test_only_the_chosen_rows_are_read_completely(sampled: Sampled) -> None:
    # Values that are stored outside of the rows, in about eight pages each.
    sampled.sql("""
        CREATE TABLE documents (id int PRIMARY KEY, body text);
        ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
        INSERT INTO documents SELECT n, repeat(md5(n::text), 2000) FROM generate_series(1, 300) n
    """)
    before = sampled.pages_outside_rows()
    assert sampled.check("documents", columns="id").status == "passed"
    # Ten rows, and the pages of the index for each.
    assert 80 <= sampled.pages_outside_rows() - before <= 400


def test_conditions_and_names_of_columns_do_not_change_the_query(sampled: Sampled) -> None:
    sampled.sql("""
        CREATE SCHEMA "Sch ema";
        CREATE TABLE "Sch ema"."Ta.ble %s" ("I %d" int PRIMARY KEY, r text, "row" text);
        INSERT INTO "Sch ema"."Ta.ble %s" VALUES (1, 'a', NULL), (2, NULL, 'b')
    """)
    odd = '"Sch ema"."Ta.ble %s"'
    result = sampled.check(odd, columns=["I %d", "r"], condition='"I %d" % 1 = 0 -- always')
    assert (result.status, [row["problem"] for row in result.sample]) == ("failed", ["r has no value"])
    for hostile in ("true) OR (true", f"true), false) FROM {odd}; DROP TABLE {odd}; --", "1"):
        sampled.check(odd, condition=hostile)
    assert sampled.check(odd).actual["rows"] == 2


def test_a_value_that_the_server_cannot_read_fails(sampled: Sampled) -> None:
    sampled.sql("""
        CREATE TABLE t (id int PRIMARY KEY);
        INSERT INTO t VALUES (1);
        CREATE FUNCTION damaged() RETURNS bool LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'missing chunk number 0 for toast value 1' USING ERRCODE = 'data_corrupted'; END $$
    """)
    result = sampled.check("t", condition="damaged()")
    assert (result.status, "missing chunk" in result.message) == ("failed", True), result.message


SQLITE = """
CREATE TABLE users (email TEXT PRIMARY KEY, name TEXT);
CREATE TABLE pairs (a TEXT, b INTEGER, name TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE empty (x);
CREATE TABLE nowhere_pairs (a TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIEW seen AS SELECT * FROM users;
CREATE VIRTUAL TABLE search USING fts5(name);
INSERT INTO users VALUES ('a@example.org', 'One'), ('b', 'Two'), ('c', 'Three');
INSERT INTO pairs SELECT email, 7, name FROM users;
INSERT INTO search SELECT name FROM users
"""


@pytest.mark.parametrize("engine", ["file", "workerd"])
def test_rows_of_sqlite_and_d1_are_sampled(engine: str, tmp_path: Path) -> None:
    if engine == "file":
        sample_sqlite({"path": str(tmp_path / "studio.sqlite")})
        return
    with d1_server() as server:
        options = server.options("studio")
        run_module("d1_database", options)
        sample_sqlite(options)


def sample_sqlite(where: Options) -> None:
    def execute(sql: str) -> None:
        run_module("d1_execute", {**where, "sql": sql})

    def check(*descriptions: Options) -> list[Options]:
        checks = [{"type": "sample", "seed": "s", "columns": ["name"], **one} for one in descriptions]
        given = {**where, "engine": "sqlite", "checks": checks, "fail_on": "never", "sample": 100}
        found: list[Options] = run_module("integrity_check", given)["checks"]
        return found

    execute(SQLITE)
    tables: list[Options] = [{"table": name} for name in ("users", "pairs", "search", "USERS")]
    sound = check(*tables, {"table": "users", "rows": 2})
    assert [one["status"] for one in sound] == ["passed"] * 5, sound
    assert [one["actual"]["rows"] for one in sound] == [3, 3, 3, 3, 2]
    nothing = check(*({"table": name, "columns": None} for name in ("empty", "nowhere_pairs")))
    assert [(one["status"], "no row was read" in one["message"]) for one in nothing] == [("error", True)] * 2
    execute("UPDATE users SET name = ' ' WHERE name = 'One'; UPDATE pairs SET name = NULL WHERE a = 'b'")
    users, pairs, broken = check(*tables[:2], {"table": "users", "condition": "email LIKE '%@%' -- x", "columns": None})
    assert [one["problem"] for one in users["sample"] + pairs["sample"]] == ["name has no value"] * 2
    assert [one["actual"]["complete"] for one in (users, pairs, broken)] == [2, 2, 1]
    assert "example.org" not in str([users, pairs, broken])
    wrong = check({"table": "nowhere"}, {"table": "users", "columns": ["nmae"]}, {"table": "seen"})
    assert [one["status"] for one in wrong] == ["failed"] * 3, wrong
    (hostile,) = check({"table": "users", "condition": "1) FROM users; DELETE FROM users; --"})
    assert hostile["status"] == "error"
    # More rows than are read completely, with gaps between their numbers.
    execute("""
        CREATE TABLE large (id INTEGER PRIMARY KEY, name TEXT);
        WITH RECURSIVE c(n) AS (SELECT -3000 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
        INSERT INTO large SELECT n * 1000000007, 'n' FROM c
    """)
    first, again, other = check(*({"table": "large", "rows": 60, "seed": seed, "condition": "0"} for seed in "aab"))
    assert first["actual"] == again["actual"] == {"rows": 60, "complete": 0, "seed": "a"}
    assert first["sample"] == again["sample"] != other["sample"]
