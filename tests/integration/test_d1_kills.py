# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whenever work on D1 is killed, the database is before or after, and no set is half there."""

from __future__ import annotations

import secrets
import time
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import WarmProcess, parse_result, run_module

Options = dict[str, t.Any]

_KILLS = 8

SCHEMA = """
CREATE TABLE tenants (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, tenant INTEGER REFERENCES tenants(id) ON DELETE CASCADE, name TEXT);
INSERT INTO tenants VALUES (1, 'north'), (2, 'south');
INSERT INTO users WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000)
  SELECT n, 1 + n % 2, 'user ' || n FROM c;
"""

DAMAGE = "DELETE FROM tenants WHERE id = 1; UPDATE users SET name = 'changed' WHERE id % 500 = 1"

SUMS = """
SELECT (SELECT count(*) FROM tenants) AS tenants, count(*) AS users, sum(id) AS ids, sum(name = 'changed') AS changed
FROM users
"""

REQUESTS: t.Mapping[str, tuple[str, Options]] = {
    "a tenant": ("d1_restore_rows", {"tenant": {"table": "tenants", "keys": [1]}, "mode": "merge"}),
    "in place": ("d1_restore", {"mode": "in_place"}),
    "only differences": ("d1_restore", {"mode": "difference"}),
}


@pytest.fixture(params=["file", "d1"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Options:
    options: Options = {"path": str(tmp_path / "live.sqlite")}
    if request.param == "d1":
        options = request.getfixturevalue("d1").options(f"killed-{secrets.token_hex(4)}")
        run_module("d1_database", options)
    run(options, SCHEMA)
    return options


def run(where: Options, sql: str) -> list[Options]:
    return t.cast("list[Options]", run_module("d1_execute", {**where, "sql": sql})["rows"])


def killed_at(name: str, options: Options, seconds: float) -> bool:
    """Whether the module was still running then."""
    process = WarmProcess(name, options)
    time.sleep(seconds)
    running = process.poll() is None
    process.kill(group=True)
    process.communicate()
    return running


def timed(name: str, options: Options) -> float:
    began = time.monotonic()
    parse_result(*WarmProcess(name, options).communicate())
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_killed_restore_leaves_the_database_before_or_after(
    target: Options, folder_store: Options, kind: str
) -> None:
    run_module("d1_backup", {**target, "source": "studio", "store": folder_store})
    complete = run(target, SUMS)
    confirm = target.get("database") or target["path"]
    requested = {**target, "source": "studio", "store": folder_store, "recovery_confirm": confirm, **REQUESTS[kind][1]}
    module = REQUESTS[kind][0]
    run(target, DAMAGE)
    damaged = run(target, SUMS)
    took = timed(module, requested)
    after = run(target, SUMS)
    assert after == (complete if kind != "a tenant" else after) != damaged
    for number in range(_KILLS):
        run(target, DAMAGE)
        assert run(target, SUMS) == damaged
        running = killed_at(module, requested, took * (0.1 + 0.9 * number / _KILLS))
        left = run(target, SUMS)
        assert left in (damaged, after), (number, running)
        # Each run takes an undo set, and a store has the ids of five sets for a second.
        time.sleep(0.4)
        run_module(module, requested)
        assert run(target, SUMS) == after
