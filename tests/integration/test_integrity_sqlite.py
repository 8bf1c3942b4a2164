# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of SQLite and D1: the same, sound and damaged."""

from __future__ import annotations

import secrets
import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import d1_server

Options = dict[str, t.Any]

SCHEMA = """
CREATE TABLE tenants (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, tenant INTEGER, loose INTEGER, FOREIGN KEY (tenant) REFERENCES tenants(id));
CREATE VIRTUAL TABLE search USING fts5(name);
INSERT INTO tenants VALUES (1, 'one'), (2, 'two');
INSERT INTO users VALUES (1, 1, 1), (2, 2, 9), (3, NULL, NULL)
"""


@pytest.fixture(params=["file", "workerd"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> t.Iterator[Options]:
    if request.param == "file":
        options: Options = {"path": str(tmp_path / "studio.sqlite")}
        run_module("d1_execute", {**options, "sql": SCHEMA})
        yield options
        return
    with d1_server() as server:
        options = server.options(f"studio-{secrets.token_hex(4)}")
        run_module("d1_database", options)
        run_module("d1_execute", {**options, "sql": SCHEMA})
        yield options


def check(where: Options, *checks: Options, **options: t.Any) -> list[Options]:
    arguments = {**where, "engine": "sqlite", "checks": list(checks), "fail_on": "never", **options}
    found: list[Options] = run_module("integrity_check", arguments)["checks"]
    return found


def test_a_sound_database_passes_and_what_is_wrong_is_found(where: Options, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "one").write_text("x")
    sound = check(
        where,
        {"type": "quick_check"},
        {"type": "foreign_keys"},
        {"type": "tables", "present": ["users", "search"], "min_count": 2},
        {"type": "row_count", "table": "users", "min": 3, "max": 3},
        {"type": "orphans", "table": "users", "columns": ["tenant"], "parent": "tenants", "parent_columns": ["id"]},
        {"type": "sql", "query": "SELECT count(*) FROM tenants WHERE name LIKE 'o%';", "equals": 1},
        {"type": "sql", "query": "SELECT id FROM users WHERE id > 9", "empty": True},
        {"type": "objects", "query": "SELECT name FROM tenants WHERE id = 1"},
        files={"provider": "directory", "path": str(bucket)},
    )
    assert [item["status"] for item in sound] == ["passed"] * 8, sound
    wrong = check(
        where,
        {"type": "tables", "present": ["users", "rooms"], "min_count": 70},
        {"type": "row_count", "table": "users", "equals": 4},
        {"type": "row_count", "table": "rooms", "min": 1},
        {"type": "orphans", "table": "users", "columns": ["loose"], "parent": "tenants", "parent_columns": ["id"]},
        {"type": "sql", "query": "SELECT name FROM tenants", "rows": 3},
        {"type": "objects", "query": "SELECT name FROM tenants"},
        files={"provider": "directory", "path": str(bucket)},
    )
    assert [item["status"] for item in wrong] == ["failed"] * 6, wrong
    assert wrong[3]["sample"] == [{"loose": 9}]
    unsure = check(
        where,
        {"type": "sql", "query": "DELETE FROM users", "empty": True},
        {"type": "sql", "query": "SELECT 1; SELECT 2", "equals": 2},
        {"type": "sql", "query": "SELECT 'cut", "empty": True},
    )
    assert [item["status"] for item in unsure] == ["error"] * 3
    assert run_module("d1_execute", {**where, "sql": "SELECT count(*) AS n FROM users"})["rows"] == [{"n": 3}]


def test_a_broken_key_and_a_broken_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "studio.sqlite"
    made = sqlite3.connect(path)
    made.executescript(SCHEMA + "; INSERT INTO users VALUES (4, 77, NULL), (5, 78, NULL);")
    made.executescript("CREATE TABLE big (x); CREATE INDEX bigx ON big(x)")
    made.executemany("INSERT INTO big VALUES (?)", [(secrets.token_hex(200),) for _number in range(200)])
    made.commit()
    (page,) = made.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'big'").fetchone()
    (size,) = made.execute("PRAGMA page_size").fetchone()
    made.close()
    (broken,) = check({"path": str(path)}, {"type": "foreign_keys"})
    assert (broken["status"], broken["actual"]) == ("failed", 2)
    assert broken["sample"][0] == {"table": "users", "rowid": 4, "parent": "tenants"}
    # The head of the table's first page.
    with path.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * 8)
    (unsound,) = check({"path": str(path)}, {"type": "quick_check"})
    assert unsound["status"] != "passed"


def test_a_view_without_end_is_ended_at_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "studio.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE VIEW v AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c")

    counted, asked = check(
        {"path": str(path)},
        {"type": "row_count", "table": "v", "min": 0},
        {"type": "sql", "name": "last", "query": "SELECT max(n) FROM v", "min": 0},
        timeout=1,
    )

    assert [item["status"] for item in (counted, asked)] == ["error", "error"]
    assert "took longer than 1 seconds" in counted["message"]


def test_mistakes_and_places_that_are_not_there_are_named(tmp_path: Path) -> None:
    made = {"path": str(tmp_path / "x.sqlite")}
    run_module("d1_execute", {**made, "sql": "CREATE TABLE t (x)"})
    with pytest.raises(ModuleFailed) as caught:
        check(made, {"type": "rls"}, {"type": "row_count", "table": "t"}, {"type": "tables"})
    assert len(caught.value.result["mistakes"]) == 3
    with pytest.raises(ModuleFailed) as caught:
        check({"path": str(tmp_path / "missing")}, {"type": "quick_check"})
    assert caught.value.result["error_kind"] == "target_missing"
    with pytest.raises(ModuleFailed, match="database is missing"):
        check({"account_id": "a", "api_token": "a-token-of-cloudflare"}, {"type": "quick_check"})
