# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup killed at any moment leaves nothing that looks like a set, and the next one works."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import typing as t
from pathlib import Path

import psutil
import pytest

from tests.support.runner.modules import ModuleFailed, WarmProcess, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

#: Backups that are killed, half of them whole and half by one of their programs.
KILLS = int(os.environ.get("LIFELINE_KILLS", "24"))


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
            # A hundred times a second: a loop without a pause takes a processor from the backups.
            while not stop.wait(0.01):
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
        process = WarmProcess("pg_backup", arguments)
        time.sleep(chance.uniform(0.05, length * 1.1))
        completed += kill_something(process, complete=number % 2 == 0)
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


def kill_something(process: WarmProcess, *, complete: bool) -> int:
    """Kill the module, or one of its children; 1 when the backup was complete nevertheless."""
    children = []
    # It may have ended by itself.
    with contextlib.suppress(psutil.NoSuchProcess):
        children = [child for child in psutil.Process(process.pid).children(recursive=True) if _is_dump(child)]
    if complete or not children:
        process.kill()
    else:
        # It may end by itself just now; then the backup continues.
        with contextlib.suppress(psutil.NoSuchProcess):
            children[0].kill()
    process.communicate(timeout=60)
    return 1 if process.returncode == 0 else 0


def _is_dump(process: psutil.Process) -> bool:
    try:
        return "pg_dump" in process.name()
    except psutil.NoSuchProcess:
        return False


def wait_until_quiet(server: PostgresServer, spool: Path) -> None:
    """No lock, no backend and no spool may stay behind for long."""
    deadline = time.monotonic() + 20
    while True:
        with server.session() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name ~ '^(lifeline|pg_dump|pg_restore)')"
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


def test_a_killed_restore_leaves_nothing_and_the_next_one_works(
    postgres: PostgresServer, busy: str, tmp_path: Path
) -> None:
    store = {"provider": "directory", "path": str(tmp_path / "store")}
    spool = tmp_path / "spool"
    spool.mkdir()
    run_module("pg_backup", {"source": "school", "store": store, **postgres.module_options(busy)})
    target = f"{busy}_copy"
    arguments = {
        "source": "school", "store": store, "target_db": target, "spool_dir": str(spool), **postgres.module_options()
    }  # fmt: skip
    chance = random.Random(7)
    for _number in range(4):
        process = WarmProcess("pg_restore", arguments)
        time.sleep(chance.uniform(0.1, 1.2))
        process.kill()
        process.communicate()
        wait_until_quiet(postgres, spool)
        postgres.drop_database(target)
    assert run_module("pg_restore", arguments)["fingerprint"]["equal"] is True
    postgres.drop_database(target)


def test_a_large_table_that_is_damaged_on_its_way_makes_no_database(
    postgres: PostgresServer, busy: str, tmp_path: Path
) -> None:
    store = {"provider": "directory", "path": str(tmp_path / "store")}
    run_module("pg_backup", {"source": "school", "store": store, **postgres.module_options(busy)})
    largest = max((tmp_path / "store/school/daily/objects").glob("*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 4
    largest.write_bytes(data)
    target = f"{busy}_copy"
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_restore", {"source": "school", "store": store, "target_db": target, **postgres.module_options()})
    assert caught.value.result["error_kind"] == "damaged"
    with postgres.session() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{target}%",))
        assert cursor.fetchall() == []
