# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A promotion needs a fenced primary, loses what its plan states, and ends with a server that accepts commits."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, as_server_user, available_versions, postgres_server
from tests.support.servers.standby import standby_of, stop, until, value

Pair = tuple[PostgresServer, PostgresServer]

#: Of the servers of these tests; a standby that lost its primary has to notice that soon.
SETTINGS = {
    "max_connections": "40",
    "synchronous_commit": "on",
    "wal_receiver_timeout": "2s",
    "wal_sender_timeout": "4s",
}


@contextlib.contextmanager
def streaming(version: str, **settings: str) -> t.Iterator[Pair]:
    with postgres_server(version, settings=SETTINGS) as primary:
        primary.psql(
            "postgres",
            "CREATE TABLE notes (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());"
            "CREATE UNLOGGED TABLE cache (id int)",
        )
        with standby_of(primary, settings={**SETTINGS, **settings}) as standby:
            yield primary, standby


@pytest.fixture
def pair() -> t.Iterator[Pair]:
    with streaming(available_versions()[0]) as servers:
        yield servers


def promote(
    standby: PostgresServer, peer: PostgresServer | None = None, *, check_mode: bool = False, **options: t.Any
) -> dict[str, t.Any]:
    given: dict[str, t.Any] = {"settle_seconds": 0.5}
    if peer:
        given["peer"] = {"login_host": "127.0.0.1", "login_port": peer.port}
    if not check_mode:
        given["recovery_confirm"] = f"127.0.0.1:{standby.port}"
    return run_module("pg_promote", {**standby.module_options(), **given, **options}, check_mode=check_mode)


def refusal(standby: PostgresServer, peer: PostgresServer | None = None, **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        promote(standby, peer, **{"wait_seconds": 6, **options})
    assert value(standby, "SELECT pg_is_in_recovery()") is True
    return caught.value.result


def control(server: PostgresServer) -> dict[str, t.Any]:
    found = run_module("pg_control_info", {"data_dir": str(server.data_dir), "client_bin_dir": str(server.bin_dir)})
    return t.cast("dict[str, t.Any]", found["control"])


def write(primary: PostgresServer, first: int, last: int) -> None:
    with primary.session() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("INSERT INTO notes SELECT generate_series(%s, %s)", (first, last))


def configure(server: PostgresServer, change: str) -> None:
    with server.session() as cursor:
        cursor.execute(f"ALTER SYSTEM {change}")
        cursor.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("version", available_versions())
def test_a_clean_stop_proves_that_no_commit_is_lost(version: str, tmp_path: Path) -> None:
    with streaming(version) as (primary, standby):
        write(primary, 1, 500)
        running = control(primary)
        assert (running["running"], running["state"]) == (True, "in production")
        assert refusal(standby, stopped_primary=running)["error_kind"] == "inconsistent"
        stop(primary)
        stopped = control(primary)
        assert (stopped["running"], stopped["state"]) == (False, "shut down")
        plan = promote(standby, primary, stopped_primary=stopped, check_mode=True)
        assert (plan["changed"], plan["loss_is_proven"], plan["loss_bytes"]) == (True, True, 0)
        assert value(standby, "SELECT pg_is_in_recovery()") is True

        record = {"source": "school", "store": {"provider": "directory", "path": str(tmp_path)}}
        done = promote(standby, primary, stopped_primary=stopped, recovery_confirm=plan["plan_digest"], **record)
        (written,) = run_module("audit_info", record)["records"]
        assert (written["operation_type"], written["details"]["timeline"]) == ("promote", 2)
        assert (done["changed"], done["timeline_before"], done["timeline"]) == (True, 1, 2)
        assert any("postgres: public.cache" in sentence for sentence in done["findings"])
        assert value(standby, "SELECT count(*) FROM notes") == 500
        # pg_rewind reads the control file, which shows the new timeline only after a checkpoint.
        assert value(standby, "SELECT timeline_id FROM pg_control_checkpoint()") == 2
        write(standby, 501, 501)
        again = promote(standby, primary, stopped_primary=stopped)
        assert (again["changed"], again["unchanged"]["reason"]) == (
            False,
            f"127.0.0.1:{standby.port} is a primary already.",
        )


def test_wal_that_the_standby_lacks_is_counted_and_refused(pair: Pair) -> None:
    primary, standby = pair
    write(primary, 1, 10)
    until(lambda: value(standby, "SELECT count(*) FROM notes") == 10)
    configure(standby, "SET primary_conninfo = ''")
    until(lambda: value(standby, "SELECT count(*) FROM pg_stat_wal_receiver") == 0)
    write(primary, 11, 5000)
    stop(primary)
    refused = refusal(standby, stopped_primary=control(primary))
    assert (refused["error_kind"], refused["loss_bytes"] > 100_000) == ("limit_exceeded", True)
    done = promote(standby, stopped_primary=control(primary), allow_data_loss="the region is lost", wait_seconds=3)
    assert (done["changed"], done["loss_is_proven"], done["loss_bytes"]) == (True, True, refused["loss_bytes"])
    assert value(standby, "SELECT count(*) FROM notes") == 10


def test_a_primary_that_may_accept_writes_prevents_the_promotion(pair: Pair) -> None:
    primary, standby = pair
    write(primary, 1, 1)
    answers = refusal(standby, primary, fenced_by="a firewall")
    assert (answers["error_kind"], "answers and accepts writes" in answers["msg"]) == ("split_brain", True)
    # Without its login, the stream of WAL shows that the primary runs.
    streams = refusal(standby, fenced_by="a firewall", wait_seconds=1)
    assert (streams["error_kind"], "still receives WAL" in streams["msg"]) == ("split_brain", True)
    done = promote(standby, primary, accept_split_brain="a test of two primaries", allow_data_loss="the same test")
    assert sum("a test of two primaries" in sentence for sentence in done["findings"]) == 2
    assert value(primary, "SELECT pg_is_in_recovery()") is False
    # The second run does not turn two writers into a success.
    with pytest.raises(ModuleFailed) as caught:
        promote(standby, primary)
    assert caught.value.result["error_kind"] == "split_brain"


def test_a_frozen_primary_is_no_fenced_primary(pair: Pair) -> None:
    primary, standby = pair
    write(primary, 1, 1)
    postmaster = int((primary.data_dir / "postmaster.pid").read_text().splitlines()[0])
    # First the postmaster, which may start another process for a standby that reconnects.
    os.kill(postmaster, signal.SIGSTOP)
    family = [postmaster, *(int(pid) for pid in os.popen(f"pgrep -P {postmaster}").read().split())]
    for pid in family[1:]:
        os.kill(pid, signal.SIGSTOP)
    try:
        frozen = refusal(standby, primary, connect_timeout=2, wait_seconds=8)
        assert frozen["error_kind"] == "split_brain"
        assert "does not prove" in frozen["msg"]
        loss = refusal(standby, primary, connect_timeout=2, wait_seconds=8, fenced_by="its power is off")
        assert (loss["error_kind"], loss["loss_bytes"], loss["loss_seconds"] > 0) == ("limit_exceeded", None, True)
        done = promote(
            standby, primary, connect_timeout=2, wait_seconds=8, fenced_by="its power is off", max_loss_seconds=600
        )
        assert (done["loss_is_proven"], done["timeline"]) == (False, 2)
    finally:
        for pid in family:
            # The postmaster removes children that ended while it was stopped.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_standby_that_would_be_no_usable_primary_is_refused(pair: Pair) -> None:
    primary, standby = pair
    stop(primary)
    stopped = control(primary)
    assert refusal(standby, stopped_primary={**stopped, "system_identifier": "1"})["error_kind"] == "wrong_server"
    assert refusal(standby, stopped_primary=stopped, system_identifier="1")["error_kind"] == "wrong_server"
    until(lambda: promote(standby, stopped_primary=stopped, check_mode=True)["loss_bytes"] == 0)
    configure(standby, "SET synchronous_standby_names = 'other'")
    refused = refusal(standby, stopped_primary=stopped)
    assert (refused["error_kind"], "each commit would wait" in refused["msg"]) == ("not_ready", True)
    configure(standby, "RESET synchronous_standby_names")
    with standby.session() as cursor:
        cursor.execute("SELECT pg_wal_replay_pause()")
    until(lambda: value(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    assert "Replay is paused" in refusal(standby, stopped_primary=stopped)["msg"]
    with standby.session() as cursor:
        cursor.execute("SELECT pg_wal_replay_resume()")
    with standby.session() as cursor:
        cursor.execute("SELECT pg_create_physical_replication_slot('repmgr_slot_2')")
    managed = refusal(standby, stopped_primary=stopped)
    assert (managed["error_kind"], "repmgr standby switchover" in managed["msg"]) == ("managed", True)


def test_settings_raised_on_the_primary_are_refused_before_they_stop_the_standby(pair: Pair) -> None:
    primary, standby = pair
    configure(primary, "SET max_worker_processes = 30")
    program = [str(primary.bin_dir / "pg_ctl"), "-D", str(primary.data_dir), "-m", "fast", "-w", "restart"]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL, **as_server_user())
    # The server pauses the replay itself; a promotion would shut it down.
    until(lambda: value(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    stop(primary)
    refused = refusal(standby, stopped_primary=control(primary), wait_seconds=2, allow_data_loss="a test")
    assert refused["error_kind"] == "not_ready"
    assert "raised above its own" in refused["msg"]


def test_a_commit_that_waits_for_a_standby_is_no_proof_of_a_writable_primary(pair: Pair) -> None:
    primary, standby = pair
    stop(primary)
    stopped = control(primary)
    promote(standby, stopped_primary=stopped)
    configure(standby, "SET synchronous_standby_names = 'other'")
    until(lambda: value(standby, "SHOW synchronous_standby_names") == "other")
    with pytest.raises(ModuleFailed) as caught:
        promote(standby, write_seconds=1)
    assert caught.value.result["error_kind"] == "timeout"
    assert "synchronous standby" in caught.value.result["msg"]
