# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source without a replica fails over to its newest backup set, with the loss stated before and after."""

from __future__ import annotations

import sqlite3
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.servers.faults import kill
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server

Options = dict[str, t.Any]


def variables(store: Options, way: str, sites: list[Options], **more: t.Any) -> Options:
    return {
        "recovery_source": "school",
        "recovery_database": "school",
        "recovery_store": store,
        "recovery_failover_way": way,
        "recovery_sites": sites,
        "recovery_reason": "a test",
        "recovery_confirm": "west",
        **more,
    }


def lines(done: subprocess.CompletedProcess[str], title: str) -> list[str]:
    found = [line.strip().strip('",') for line in done.stdout.splitlines()]
    return [line.partition(": ")[2].strip() for line in found if line.startswith(f"{title}:")]


@pytest.fixture(scope="module")
def servers() -> t.Iterator[tuple[PostgresServer, PostgresServer]]:
    version = available_versions()[0]
    with postgres_server(version) as east, postgres_server(version) as west:
        yield east, west


@pytest.mark.slow
def test_the_newest_set_becomes_the_writer_of_the_other_site(
    servers: tuple[PostgresServer, PostgresServer], folder_store: Options, tmp_path: Path
) -> None:
    east, west = servers
    east.psql("postgres", "CREATE DATABASE school")
    east.psql("school", "CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 200)")
    run_module("pg_backup", {**east.module_options(), "login_db": "school", "source": "school", "store": folder_store})
    east.psql("school", "INSERT INTO notes VALUES (201)")
    file = tmp_path / "app.env"
    file.write_text(f"PORT={east.port}\n")
    sites = [
        {
            "name": name,
            "host": "localhost",
            "connection": server.module_options(),
            "data_dir": str(server.data_dir),
            "client_bin_dir": str(server.bin_dir),
        }
        for name, server in (("east", east), ("west", west))
    ]
    redirect = {
        "name": "application",
        "env_file": {"path": str(file), "key": "PORT"},
        "values": {"east": str(east.port), "west": str(west.port)},
    }
    given = variables(folder_store, "backup", sites, recovery_redirects=[redirect])

    def run(name: str) -> subprocess.CompletedProcess[str]:
        done = play(name, given, tmp_path, "-vv")
        assert not any(server.password in done.stdout for server in servers)
        return done

    planned = run("switchover")
    assert (planned.returncode, "has no planned run" in planned.stdout) == (2, True)
    answers = run("failover")
    assert (answers.returncode, "The writer accepts commits" in answers.stdout) == (2, True)
    kill(east)
    lost = run("failover")
    assert (lost.returncode, "recovery_max_loss_seconds allows 0" in lost.stdout) == (2, True)
    assert file.read_text() == f"PORT={east.port}\n"

    given["recovery_allow_data_loss"] = "the region is gone"
    done = run("failover")
    assert done.returncode == 0, done.stdout[-3000:]
    with west.session("school") as cursor:
        cursor.execute("SELECT count(*), max(id) FROM notes")
        assert cursor.fetchone() == (200, 200)
    assert file.read_text() == f"PORT={west.port}\n"
    assert "are lost." in lines(done, "Lost")[-1]
    assert lines(done, "Open")
    requests = ("recovery_confirm", "recovery_reason", "recovery_allow_data_loss")
    state = {name: one for name, one in given.items() if name not in requests}
    assert "east: no answer" in play("failover_status", state, tmp_path).stdout
    (source,) = run_module("backup_info", {"source": "school", "store": folder_store})["sources"]
    assert source["sets"] == 2
    run = run_module("failover_journal", {"source": "school", "action": "read", "store": folder_store})["run"]
    assert (run["state"], run["reasons"]["data_loss"]) == ("done", "the region is gone")


def test_a_new_database_of_d1_takes_over(folder_store: Options, tmp_path: Path) -> None:
    first = tmp_path / "live.sqlite"
    with sqlite3.connect(first) as database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO notes VALUES (?, ?)", [(number, f"note {number}") for number in range(50)])
    run_module("d1_backup", {"path": str(first), "source": "school", "store": folder_store})
    other, binding = tmp_path / "other.sqlite", tmp_path / "binding"
    binding.write_text("DATABASE=live\n")
    switch = (
        ["touch", str(tmp_path / "closed")],
        ["rm", str(tmp_path / "closed")],
        ["test", "!", "-e", str(tmp_path / "closed")],
    )
    fence = {"name": "worker", "command": dict(zip(("stop", "start", "status"), switch))}
    sites = [
        {"name": "east", "connection": {"path": str(first)}, "fences": [fence]},
        {"name": "west", "connection": {"path": str(other)}},
    ]
    redirect = {
        "name": "binding",
        "env_file": {"path": str(binding), "key": "DATABASE"},
        "values": {"east": "live", "west": "other"},
    }
    given = variables(
        folder_store, "d1", sites, recovery_kind="d1", recovery_redirects=[redirect], recovery_max_loss_seconds=3600
    )
    done = play("failover", given, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    with sqlite3.connect(other) as database:
        assert database.execute("SELECT count(*) FROM notes").fetchone() == (50,)
    assert binding.read_text() == "DATABASE=other\n"
    assert (tmp_path / "closed").exists()
