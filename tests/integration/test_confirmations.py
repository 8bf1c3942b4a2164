# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dry run in production returns the confirmation that the run needs, and none if the run needs none."""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]
Case = tuple[str, Options, str]


@pytest.fixture(params=["rows", "files", "sqlite", "sqlite rows"])
def cases(
    request: pytest.FixtureRequest, postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> t.Iterator[list[Case]]:
    """A restore that only adds, and one that replaces: the module, its options and the name of the target."""
    common = {"source": "app", "store": folder_store, "recovery_environment": "production"}
    if request.param == "rows":
        where = postgres.module_options(database)
        postgres.psql(database, "CREATE TABLE a (id int PRIMARY KEY, x int); INSERT INTO a VALUES (1, 1), (2, 2)")
        run_module("pg_backup", {**where, "source": "app", "store": folder_store})
        postgres.psql(database, "DELETE FROM a WHERE id = 1; UPDATE a SET x = 0 WHERE id = 2")
        given = {**common, **where, "tables": ["a"], "reason": "A job overwrote the rows."}
        yield [("pg_restore_table", {**given, "mode": mode}, database) for mode in ("missing", "merge")]
    elif request.param == "files":
        files = {"provider": "directory", "path": str(tmp_path / "files")}
        (tmp_path / "files").mkdir()
        for name in ("lost", "changed"):
            (tmp_path / "files" / name).write_text(name)
        run_module("bucket_backup", {"source": "app", "files": files, "store": folder_store})
        (tmp_path / "files/lost").unlink()
        (tmp_path / "files/changed").write_text("other")
        given = {**common, "files": files}
        yield [("bucket_restore", {**given, "mode": mode}, files["path"]) for mode in ("missing", "all")]
    else:
        path = str(tmp_path / "app.sqlite")
        execute(path, "CREATE TABLE a (id INTEGER PRIMARY KEY, x)", "INSERT INTO a VALUES (1, 1), (2, 2)")
        run_module("d1_backup", {"source": "app", "path": path, "store": folder_store})
        execute(path, "DELETE FROM a WHERE id = 1", "UPDATE a SET x = 0 WHERE id = 2")
        if request.param == "sqlite":
            copy = str(tmp_path / "copy.sqlite")
            yield [
                ("d1_restore", {**common, "path": copy, "mode": "new"}, copy),
                ("d1_restore", {**common, "path": path, "mode": "in_place"}, path),
            ]
        else:
            given = {**common, "path": path, "tables": ["a"], "reason": "A job overwrote the rows."}
            yield [("d1_restore_rows", {**given, "mode": mode}, path) for mode in ("missing", "merge")]


def execute(path: str, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


def test_a_dry_run_returns_the_confirmation_that_the_run_needs(cases: list[Case]) -> None:
    (module, adding, _target), (_module, replacing, target) = cases
    assert run_module(module, adding, check_mode=True)["confirmation"] == ""
    assert run_module(module, adding)["changed"]
    plan = run_module(module, replacing, check_mode=True)
    assert plan["confirmation"] == plan["plan_digest"] != ""
    # The name of the target confirms too, so that a run with it needs no other value; a wrong value is never accepted.
    for given, expected in ((target, ""), (plan["plan_digest"], ""), ("another", plan["plan_digest"])):
        found = run_module(module, {**replacing, "recovery_confirm": given}, check_mode=True)
        assert found["confirmation"] == expected
    with pytest.raises(ModuleFailed) as refused:
        run_module(module, replacing)
    assert refused.value.result["error_kind"] == "confirmation_required"
    done = run_module(module, {**replacing, "recovery_confirm": plan["confirmation"]})
    assert (done["changed"], done["confirmation"]) == (True, "")
