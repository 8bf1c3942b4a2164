# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill damages copies of what it restored, and fails when its comparison no longer sees damage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.data.school import load_school
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

STORED = ["flipped_byte", "truncated", "missing", "empty_but_valid", "dropped_rows"]
OF_ROWS = ["row_dropped_from_copy", "values_exchanged_in_copy", "value_changed_in_copy", "row_added_to_copy"]
POSTGRES = [
    *OF_ROWS,
    "sequence_set_back_in_copy",
    "policy_removed_from_copy",
    "grant_removed_from_copy",
    "trigger_disabled_in_copy",
]
SQLITE = [*OF_ROWS, "counter_set_back_in_copy", "trigger_removed_from_copy", "index_removed_from_copy"]


def value(server: PostgresServer, database: str, query: str) -> t.Any:
    with server.session(database) as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def self_tests_of(server: PostgresServer, database: str, store: Options, **options: t.Any) -> Options:
    """The self-test of a database that equals its set."""
    run_module("pg_backup", {"source": database, "store": store, **server.module_options(database)})
    login = server.module_options()
    login.pop("login_db", None)
    identifier = value(server, database, "SELECT system_identifier::text FROM pg_control_system()")
    arguments = {
        "source": database,
        "store": store,
        "restored_db": database,
        "system_identifier": identifier,
        "recovery_environment": "sandbox",
        **login,
        **options,
    }
    return run_module("drill_self_test", arguments)


def copies_left(server: PostgresServer) -> int:
    return int(value(server, "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'lifeline_damage%'"))


def test_every_damage_to_a_copy_of_the_restored_database_is_named(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    load_school(postgres, database)
    result = self_tests_of(postgres, database, folder_store)
    assert [item["damage"] for item in result["self_tests"]] == [*STORED, *POSTGRES]
    assert (result["all_caught"], result["not_tried"]) == (True, [])
    assert all("now" in item["how"] for item in result["self_tests"][len(STORED) :])
    assert copies_left(postgres) == 0


def test_one_small_table_gets_a_copy_for_each_damage(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE only_one (id int PRIMARY KEY, v text)")
        cursor.execute("INSERT INTO only_one SELECT g, 'v' || g FROM generate_series(1, 9) g")
    result = self_tests_of(postgres, database, folder_store)
    assert [item["damage"] for item in result["self_tests"]] == [*STORED, *OF_ROWS]
    assert result["all_caught"] is True
    assert result["not_tried"] == POSTGRES[len(OF_ROWS) :]


@pytest.mark.parametrize("options", [{"recovery_environment": "production"}, {"system_identifier": "1"}])
def test_no_copy_is_made_outside_the_named_sandbox(
    postgres: PostgresServer, database: str, folder_store: Options, options: Options
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE a (b int); INSERT INTO a VALUES (1)")
    with pytest.raises(ModuleFailed) as caught:
        self_tests_of(postgres, database, folder_store, **options)
    assert caught.value.result["error_kind"] == "not_a_sandbox"
    assert copies_left(postgres) == 0


def test_every_damage_to_a_copy_of_the_restored_file_is_named(folder_store: Options, tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE shop(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
            CREATE TABLE kv(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
            CREATE INDEX by_name ON shop(name);
            CREATE TRIGGER kept AFTER DELETE ON shop BEGIN INSERT INTO kv VALUES(old.name, 1); END;
            INSERT INTO shop(name) VALUES('a'), ('b'), ('c');
            INSERT INTO kv VALUES('x', 1), ('y', 2);
            """
        )
    run_module("d1_backup", {"source": "shop", "store": folder_store, "path": str(path)})
    before = path.read_bytes()
    result = run_module("drill_self_test", {"source": "shop", "store": folder_store, "restored_path": str(path)})
    assert [item["damage"] for item in result["self_tests"]] == [*STORED, *SQLITE]
    assert result["all_caught"] is True
    assert path.read_bytes() == before


#: By what is appended to a file: a comparison that calls everything equal.
BROKEN = {
    "database_loss": (
        "_repository/fingerprint.py",
        "def compare(expected, actual, **_options):\n"
        "    return Comparison(True, len(expected.tables), expected.rows)\n",
        POSTGRES,
    ),
    "d1_loss": ("_engines/sqlite/rows.py", "def row_digest(values):\n    return bytes(32)\n", OF_ROWS[1:3]),
}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", BROKEN)
def test_a_drill_whose_comparison_calls_everything_equal_fails(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, text, missed = BROKEN[scenario]
    collection = tmp_path / "tree/ansible_collections/lifeline/recovery"
    for name in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(ROOT / name, collection / name)
    shutil.copy(ROOT / "galaxy.yml", collection)
    with (collection / "plugins/module_utils" / file).open("a") as stream:
        stream.write(f"\n\n{text}")
    monkeypatch.setattr("tests.support.playbooks.tree", lambda: tmp_path / "tree")
    variables = {
        "drill_scenario": scenario,
        "drill_rows": 2000,
        "drill_reports_dir": str(tmp_path / "reports"),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-{scenario}",
    }
    done = play("drill", variables, tmp_path)
    report = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert done.returncode != 0
    assert report["verdict"] == "failed"
    assert report["fingerprint"]["equal"] is True
    slipped = [item["damage"] for item in report["self_tests"] if not item["caught"]]
    assert set(missed) <= set(slipped)
