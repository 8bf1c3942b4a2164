# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a standby is true: its lag, its slot, and whether it could be promoted."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._replication.info import (
    ReplicationRequest,
    describe_replication,
)
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server, started
from tests.support.servers.standby import SLOT, standby_of, stop, until, value

Pair = tuple[PostgresServer, PostgresServer]

#: A slot that holds more than so much is lost at the next checkpoint.
PRIMARY = {"max_connections": "40", "max_slot_wal_keep_size": "16MB", "max_wal_size": "64MB"}


@pytest.fixture
def pair() -> t.Iterator[Pair]:
    with postgres_server(available_versions()[0], settings=PRIMARY) as primary:
        primary.psql("postgres", "CREATE TABLE notes (at timestamptz DEFAULT clock_timestamp(), filler text)")
        with standby_of(primary, settings={"max_connections": "40"}) as standby:
            yield primary, standby


def look(server: PostgresServer, peer: PostgresServer | None = None, **options: t.Any) -> dict[str, t.Any]:
    neighbour = {"peer": {"login_host": "127.0.0.1", "login_port": peer.port}} if peer else {}
    return run_module("pg_replication_info", {**server.module_options(), **neighbour, **options})


def write(primary: PostgresServer, rows: int = 1) -> None:
    with primary.session() as cursor:
        cursor.execute("INSERT INTO notes (filler) SELECT repeat('x', 1000) FROM generate_series(1, %s)", (rows,))
        # The servers of tests do not wait for the disk at a commit.
        cursor.execute("SET synchronous_commit = on; INSERT INTO notes (filler) VALUES ('last')")


def test_lag_grows_with_what_is_not_replayed_and_only_then(pair: Pair) -> None:
    primary, standby = pair
    write(primary)
    until(lambda: look(standby, primary)["lag_bytes"] == 0)
    time.sleep(2)
    # Nothing was committed during the pause: the newest commit is old, and nothing is missing.
    idle = look(standby, primary, max_lag_bytes=0, max_lag_seconds=1)
    assert (idle["role"], idle["lag_bytes"], idle["lag_seconds"]) == ("standby", 0, 0)
    assert (idle["ready"], idle["findings"], idle["streaming"], idle["slot_name"]) == (True, [], True, SLOT)
    assert idle["replay_age_seconds"] >= 2
    assert idle["system_identifier"] == value(primary, "SELECT system_identifier::text FROM pg_control_system()")
    alone = look(standby)
    assert (alone["lag_bytes"], alone["lag_seconds"], alone["ready"], alone["primary"]) == (0, 0, True, None)

    with standby.session() as cursor:
        cursor.execute("SELECT pg_wal_replay_pause()")
    until(lambda: value(standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    write(primary, 500)
    until(lambda: (look(standby)["lag_bytes"] or 0) > 400_000)
    first = look(standby, primary)
    assert first["lag_bytes"] > 400_000
    assert first["lag_seconds"] >= 2
    write(primary, 500)
    time.sleep(1)
    second = look(primary, standby, max_lag_bytes=1000, max_lag_seconds=1)
    assert second["role"] == "primary"
    assert second["lag_bytes"] > first["lag_bytes"] + 400_000
    assert second["lag_seconds"] >= first["lag_seconds"] + 1
    assert (second["paused"], second["ready"], len(second["blockers"])) == (True, False, 1)
    assert "Replay is paused" in second["blockers"][0]
    assert sum("above" in sentence for sentence in second["findings"]) == 2
    from_primary = look(primary)
    assert from_primary["lag_bytes"] >= second["lag_bytes"]
    assert from_primary["standbys"][0]["slot_name"] == SLOT

    with standby.session() as cursor:
        cursor.execute("SELECT pg_wal_replay_resume()")
    until(lambda: look(standby, primary)["lag_bytes"] == 0)
    assert look(standby, primary)["ready"] is True


def test_a_commit_after_a_long_rest_is_no_lag_of_that_rest(pair: Pair) -> None:
    primary, standby = pair
    write(primary)
    until(lambda: look(standby, primary)["lag_bytes"] == 0)
    # A commit is on its way for half a second, so that it is seen there.
    with standby.session() as cursor:
        cursor.execute("ALTER SYSTEM SET recovery_min_apply_delay = '500ms'")
        cursor.execute("SELECT pg_reload_conf()")
    time.sleep(3)
    write(primary)
    seen = describe_replication(ReplicationRequest(standby.options(), primary.options()))
    assert seen.lag_seconds is not None
    assert seen.lag_seconds < 2
    assert any("on purpose" in sentence for sentence in seen.findings)


def test_a_primary_that_is_gone_leaves_lag_unknown(pair: Pair) -> None:
    primary, standby = pair
    write(primary)
    until(lambda: look(standby, primary)["lag_bytes"] == 0)
    stop(primary)
    until(lambda: look(standby)["streaming"] is False)
    lost = look(standby, primary, max_lag_bytes=10**9, max_lag_seconds=10**6)
    assert (lost["streaming"], lost["lag_bytes"], lost["primary"]) == (False, None, None)
    assert lost["lag_seconds"] == lost["replay_age_seconds"] > 0
    assert lost["ready"] is True
    assert any("could not be compared" in sentence for sentence in lost["findings"])
    assert any("bytes is unknown" in sentence for sentence in lost["findings"])
    assert primary.password not in str(lost)
    with pytest.raises(ModuleFailed) as failure:
        look(primary, standby)
    assert failure.value.result["error_kind"] == "unreachable"


def test_an_unused_slot_is_found_and_then_lost(pair: Pair) -> None:
    primary, standby = pair
    used = look(primary, standby)
    assert [(slot["name"], slot["active"], slot["invalidated"]) for slot in used["slots"]] == [(SLOT, True, False)]
    stop(standby)
    until(lambda: not look(primary)["slots"][0]["active"])
    write(primary, 2000)
    left = look(primary)
    assert (left["streaming"], left["lag_bytes"], left["lag_seconds"], left["ready"]) == (False, None, None, False)
    assert left["slots"][0]["retained_bytes"] > 1_000_000
    assert any(f"{SLOT!r} is inactive and retains" in sentence for sentence in left["findings"])
    for _segment in range(4):
        write(primary, 15000)
        with primary.session() as cursor:
            cursor.execute("SELECT pg_switch_wal()")
    with primary.session() as cursor:
        cursor.execute("CHECKPOINT")
    lost = look(primary)
    assert (lost["slots"][0]["wal_status"], lost["slots"][0]["invalidated"]) == ("lost", True)
    assert any(f"{SLOT!r} is lost" in sentence for sentence in lost["findings"])


def test_settings_that_are_lower_on_the_standby_are_found(pair: Pair) -> None:
    primary, standby = pair
    stop(primary)
    # Its own setting is what the standby knew when it started; the primary's is raised since.
    with started(primary, primary.data_dir.parent, {**PRIMARY, "max_worker_processes": "20"}) as raised:
        seen = look(raised, standby)
        assert seen["settings_low"] == [{"name": "max_worker_processes", "primary": 20, "standby": 8}]
        assert seen["ready"] is False
        assert any("max_worker_processes is 8" in sentence for sentence in seen["blockers"])


def test_another_cluster_is_not_taken_for_the_primary(pair: Pair, postgres: PostgresServer) -> None:
    primary, standby = pair
    with standby.session() as cursor:
        cursor.execute("SELECT pg_wal_replay_pause()")
    write(primary, 500)
    until(lambda: (look(standby)["lag_bytes"] or 0) > 400_000)
    seen = run_module(
        "pg_replication_info",
        {
            **standby.module_options(),
            "peer": {
                "login_host": "127.0.0.1",
                "login_port": postgres.port,
                "login_user": "postgres",
                "login_password": postgres.password,
            },
        },
    )
    assert seen["ready"] is False
    assert any("of another cluster" in sentence for sentence in seen["blockers"])
    assert seen["msg"] == " ".join(seen["findings"])
    # The WAL of another cluster proves nothing about this one.
    assert 400_000 < seen["lag_bytes"] < 2_000_000


def test_a_promoted_standby_is_on_another_timeline_and_two_writers_are_reported(pair: Pair) -> None:
    primary, standby = pair
    with standby.session() as cursor:
        cursor.execute("SELECT pg_promote()")
    seen = look(standby, primary)
    assert (seen["role"], seen["timeline"], seen["ready"]) == ("primary", 2, False)
    assert any("accept writes" in sentence for sentence in seen["blockers"])


def test_a_role_that_may_not_look_knows_nothing(pair: Pair) -> None:
    primary, standby = pair
    primary.psql("postgres", "CREATE ROLE watcher LOGIN PASSWORD 'watching'")
    until(lambda: value(standby, "SELECT count(*) FROM pg_roles WHERE rolname = 'watcher'") == 1)
    login = {"login_user": "watcher", "login_password": "watching"}
    blind = look(standby, **login)
    assert (blind["streaming"], blind["lag_bytes"], blind["ready"]) == (None, None, False)
    assert any("pg_monitor" in sentence for sentence in blind["blockers"])
    assert look(primary, **login)["standbys"] is None
    primary.psql("postgres", "GRANT pg_monitor TO watcher")
    until(lambda: look(standby, **login)["ready"])
