# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup killed at any moment leaves nothing that looks like a set, and the next one works."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import typing as t
from pathlib import Path

import psutil
import pytest

from tests.doubles.modules import run_module, start_module
from tests.doubles.postgres import PostgresServer

Options = dict[str, t.Any]

KILLS = int(os.environ.get("LIFELINE_KILLS", "50"))


@pytest.fixture
def busy(postgres: PostgresServer, database: str) -> t.Iterator[str]:
    """A database that is written to all the time."""
    postgres.psql(
        database,
        "CREATE TABLE a AS SELECT n AS id, md5(n::text) AS x FROM generate_series(1, 300000) n;"
        "CREATE TABLE b AS SELECT n AS id, repeat(md5(n::text), 5) AS x FROM generate_series(1, 60000) n;"
        "CREATE TABLE c (id bigserial PRIMARY KEY, at timestamptz DEFAULT now());",
    )
    stop = threading.Event()

    def write() -> None:
        with postgres.session(database) as cursor:
            while not stop.is_set():
                cursor.execute(
                    "INSERT INTO c DEFAULT VALUES; UPDATE a SET x = 'changed' WHERE id = 1 + (random() * 1000)::int"
                )

    writer = threading.Thread(target=write)
    writer.start()
    yield database
    stop.set()
    writer.join()


@pytest.mark.slow
def test_killed_backups_leave_no_set_that_does_not_verify(postgres: PostgresServer, busy: str, tmp_path: Path) -> None:
    store = {"provider": "directory", "path": str(tmp_path / "store")}
    spool = tmp_path / "spool"
    spool.mkdir()
    arguments = {"source": "school", "store": store, "spool_dir": str(spool), **postgres.module_options(busy)}
    began = time.monotonic()
    run_module("pg_backup", arguments)
    length = time.monotonic() - began
    chance = random.Random(20260301)
    completed = 1
    for number in range(KILLS):
        process = start_module("pg_backup", arguments)
        time.sleep(chance.uniform(0.05, length * 1.1))
        completed += kill_something(process, whole=number % 2 == 0)
        wait_until_quiet(postgres, spool)
    done = run_module("pg_backup", arguments)
    sets = run_module("backup_info", {"source": "school", "store": store, "limit": 1000})["sets"]
    assert done["set_id"] in [item["set_id"] for item in sets]
    # A kill after the manifest was written leaves a whole set, so there may be more than were waited for.
    assert completed + 1 <= len(sets) <= KILLS + 2
    for item in sets:
        run_module(
            "backup_verify",
            {"source": "school", "store": store, "set": item["set_id"], "client_bin_dir": str(postgres.bin_dir)},
        )


def kill_something(process: t.Any, *, whole: bool) -> int:
    """Kill the module, or one of its children; 1 when the backup was complete nevertheless."""
    children = [child for child in psutil.Process(process.pid).children(recursive=True) if "pg_dump" in child.name()]
    if whole or not children:
        os.kill(process.pid, signal.SIGKILL)
    else:
        children[0].kill()
    process.communicate(timeout=60)
    return 1 if process.returncode == 0 else 0


def wait_until_quiet(server: PostgresServer, spool: Path) -> None:
    """No lock, no backend and no spool may stay behind for long."""
    deadline = time.monotonic() + 20
    while True:
        with server.session() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^(lifeline|pg_dump)')"
                " + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
            )
            left = int(cursor.fetchone()[0])
        programs = [
            one for one in psutil.process_iter(["cmdline"]) if str(spool) in " ".join(one.info["cmdline"] or [])
        ]
        if left == 0 and not programs and not any(spool.iterdir()):
            return
        assert time.monotonic() < deadline, (left, programs, list(spool.iterdir()))
        time.sleep(0.1)
