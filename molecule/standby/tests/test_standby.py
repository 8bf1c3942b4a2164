# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Standbys stream, keep their secrets, and nothing was lost on the way."""

from __future__ import annotations

import json
import time

import pytest
from testinfra.host import Host

from tests.support.containers import sql

PORTS = {"standby": 5433, "replaced": 5434, "restored": 5435}


def ask(host: Host, port: int, query: str, database: str = "postgres") -> str:
    return sql(host, f"-p {port} {database}", query)


@pytest.mark.parametrize("name", PORTS)
def test_rows_of_the_primary_appear(host: Host, name: str) -> None:
    assert ask(host, PORTS[name], "SELECT pg_is_in_recovery()") == "t"
    marker = f"written_{name}_{time.monotonic_ns()}"
    sql(host, "school", f"CREATE TABLE {marker} AS SELECT 7 AS n")
    deadline = time.monotonic() + 30
    while ask(host, PORTS[name], f"SELECT to_regclass('public.{marker}') IS NOT NULL", "school") != "t":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    sql(host, "school", f"DROP TABLE {marker}")
    counted = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM public.profiles t"
    assert ask(host, PORTS[name], counted, "school") == sql(host, "school", counted)


def test_each_has_its_slot(host: Host) -> None:
    listed = "SELECT string_agg(slot_name || active::text, ',' ORDER BY slot_name) FROM pg_replication_slots"
    assert sql(host, "postgres", listed) == "replacedtrue,restoredtrue,standbytrue"
    for name, port in PORTS.items():
        assert ask(host, port, "SELECT slot_name FROM pg_stat_wal_receiver") == name


def test_the_password_is_in_files_of_the_owner_alone(host: Host) -> None:
    for name in PORTS:
        kept = host.file(f"/var/lib/postgresql/.pgpass-15-{name}")
        assert (kept.user, kept.mode) == ("postgres", 0o600)
        assert kept.content_string.strip() == r"127.0.0.1:5432:*:replicator:not-a-secret\:replicates"
    found = host.run(
        "grep -rlI 'replicates' /etc /var/lib/postgresql /var/log /run /tmp --exclude-dir=base"
    ).stdout.split()
    assert sorted(found) == sorted(f"/var/lib/postgresql/.pgpass-15-{name}" for name in PORTS)
    assert host.run("cat /proc/[0-9]*/cmdline | grep -ac '[:]replicates'").stdout.strip() == "0"
    assert "replicates" not in ask(host, 5433, "SELECT conninfo FROM pg_stat_wal_receiver")


def test_replaced_data_is_kept(host: Host) -> None:
    (kept,) = host.run("ls -d /var/lib/postgresql/15/replaced.before-*").stdout.split()
    assert host.file(f"{kept}/global/pg_control").exists
    clusters = json.loads(host.run("pg_lsclusters --json").stdout)
    assert {cluster["cluster"] for cluster in clusters} >= {"main", *PORTS}
    read = "/usr/lib/postgresql/15/bin/pg_controldata"
    assert (
        host.run(f"{read} {kept} | grep identifier").stdout
        != host.run(f"{read} /var/lib/postgresql/15/replaced | grep identifier").stdout
    )


def test_other_lines_of_the_primary_stay(host: Host) -> None:
    lines = host.file("/etc/postgresql/15/main/pg_hba.conf").content_string.splitlines()
    assert lines[0] == "host replication replicator 127.0.0.1/32 scram-sha-256"
    assert sum(line.startswith("host replication replicator") for line in lines) == 1
    assert any(line.split() == ["local", "all", "all", "peer"] for line in lines)
