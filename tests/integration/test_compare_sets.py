# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two sets of a source are compared by what they hold."""

from __future__ import annotations

import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


def compared(source: str, sets: list[str], store: Options, **more: t.Any) -> tuple[t.Any, list[tuple[str, ...]]]:
    found = run_module(
        "backup_compare", {"source": source, "set": sets[0], "other_set": sets[1], "store": store, **more}
    )
    assert found["difference_count"] >= len(found["differences"])
    return found["equal"], [(one["what"], one["expected"], one["actual"]) for one in found["differences"]]


def test_files_that_were_added_changed_or_removed_differ(folder_store: Options, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("kept", "changed", "removed"):
        (folder / name).write_text(name)
    backup = {"source": "media", "files": {"provider": "directory", "path": str(folder)}, "store": folder_store}
    sets = [run_module("bucket_backup", backup)["set_id"]]
    sets.append(run_module("bucket_backup", {**backup, "tier": "weekly"})["set_id"])
    assert compared("media", sets, folder_store, tier="daily", other_tier="weekly") == (True, [])
    (folder / "changed").write_text("changes")
    (folder / "removed").unlink()
    (folder / "added").write_text("added")
    sets[1] = run_module("bucket_backup", {**backup, "tier": "monthly"})["set_id"]
    equal, differences = compared("media", sets, folder_store, tier="daily", other_tier="monthly")
    assert equal is False
    assert [(what, before == "missing", after == "missing") for what, before, after in differences] == [
        ("file added", True, False), ("file changed", False, False), ("file removed", False, True),
    ]  # fmt: skip
    limited = compared("media", sets, folder_store, tier="daily", other_tier="monthly", limit=1)
    assert len(limited[1]) == 1


def test_tables_of_d1_differ_by_their_rows(folder_store: Options, tmp_path: Path) -> None:
    path = str(tmp_path / "studio.sqlite")

    def changed(statement: str, tier: str) -> str:
        connection = sqlite3.connect(path)
        connection.executescript(statement)
        connection.close()
        backup = {"source": "studio", "path": path, "store": folder_store, "tier": tier}
        return str(run_module("d1_backup", backup)["set_id"])

    created = "CREATE TABLE t (x); CREATE TABLE same (x); INSERT INTO t VALUES (1); INSERT INTO same VALUES (1)"
    sets = [changed(created, "daily"), changed("UPDATE t SET x = 2", "weekly")]
    equal, ((what, _before, _after),) = compared("studio", sets, folder_store, tier="daily", other_tier="weekly")
    assert (equal, what) == (False, "table t")
    again = changed("UPDATE t SET x = 1", "monthly")
    assert compared("studio", [sets[0], again], folder_store, tier="daily", other_tier="monthly") == (True, [])
    with pytest.raises(ModuleFailed, match="must be two sets"):
        compared("studio", [again, again], folder_store, tier="monthly", other_tier="monthly")


def test_a_database_differs_by_rows_and_by_definitions(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    backup = {**postgres.module_options(), "login_db": database, "source": "school", "store": folder_store}

    def changed(statement: str, tier: str) -> str:
        with postgres.session(database) as cursor:
            cursor.execute(statement)
        return str(run_module("pg_backup", {**backup, "tier": tier})["set_id"])

    sets = [changed("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "daily")]
    sets.append(changed("INSERT INTO t VALUES (2); CREATE VIEW v AS SELECT 1 AS x", "weekly"))
    equal, differences = compared("school", sets, folder_store, tier="daily", other_tier="weekly")
    assert equal is False
    assert ("table public.t", "1 rows", "2 rows") in differences
    assert any("public.v" in what for what, _before, _after in differences)
    rows = run_module("pg_export_rows", {**backup, "tables": ["t"], "tier": "monthly"})["set_id"]
    with pytest.raises(ModuleFailed, match="rows of some tables"):
        compared("school", [sets[0], rows], folder_store, tier="daily", other_tier="monthly")
