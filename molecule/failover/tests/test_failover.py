# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients' own record: what they wrote, which server acknowledged it, and how long they were without service."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime

import pytest
from testinfra.host import Host

from tests.support.clients.judge import Attempt, Row, judge, read
from tests.support.containers import sql

CLIENTS = ("by-name", "by-pooler")
#: In their order; each ends with the other site as the writer.
EVENTS = ("switchover", "failback", "killed", "return", "cut", "again")
UNPLANNED = ("killed", "cut")
EAST, WEST = "172.31.77.10:5432", "172.31.77.20:5432"


def named(host: Host, name: str) -> Host:
    return host.get_host(f"lifeline-{name}", connection="ansible", ansible_inventory=host.backend.ansible_inventory)


def attempts(host: Host, client: str) -> list[Attempt]:
    return read(client, named(host, "app").run(f"cat /srv/failover/{client}.jsonl").stdout)


def rows(host: Host, site: str) -> set[Row]:
    found = sql(named(host, site), "app", "SELECT json_agg(json_build_array(client, number)) FROM written")
    return set(map(tuple, json.loads(found)))


def event(host: Host, name: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(host.file(f"/srv/failover/{name}.json").content_string))


@pytest.fixture(scope="module")
def found(host: Host) -> list[Attempt]:
    """The attempts of both clients until now."""
    return [attempt for client in CLIENTS for attempt in attempts(host, client)]


def test_clients_reach_one_writer_after_the_other(host: Host, found: list[Attempt]) -> None:
    verdict = judge(found, rows(host, "east"))
    assert verdict.acknowledged > 100
    assert verdict.writers == [EAST, WEST] * (len(EVENTS) // 2) + [EAST]


def test_planned_runs_lose_no_row_and_unplanned_ones_no_more_than_stated(host: Host, found: list[Attempt]) -> None:
    present = rows(host, "east")
    lost = [attempt for attempt in found if attempt.server and attempt.row not in present]
    for name in UNPLANNED:
        (promote,) = [step for step in event(host, name)["run"]["steps"] if step["name"] == "promote"]
        down = datetime.fromisoformat(event(host, name)["run"]["steps"][1]["facts"]["down_since"]).timestamp()
        stated = promote["facts"]["loss_seconds"]
        lost = [attempt for attempt in lost if not down - stated <= attempt.ended <= event(host, name)["ended"]]
    assert lost == []


@pytest.mark.parametrize("name", EVENTS)
def test_outage_of_the_record_is_that_of_the_clients(host: Host, found: list[Attempt], name: str) -> None:
    run = event(host, name)
    # The clients were without service from up to some seconds before the run, because the loss came first.
    near = [one for one in found if one.client == "by-pooler" and run["began"] - 10 < one.ended < run["ended"] + 10]
    assert abs(judge(near, ()).outage - run["record"]["outage_seconds"]) < 10
    assert all(phase["seconds"] is not None for phase in run["record"]["phases"])


def test_each_site_has_its_part_at_the_end(host: Host) -> None:
    assert sql(named(host, "east"), "postgres", "SELECT pg_is_in_recovery()") == "f"
    assert sql(named(host, "west"), "postgres", "SELECT status FROM pg_stat_wal_receiver") == "streaming"


def test_rows_that_only_the_isolated_primary_accepted_were_never_on_the_other(host: Host) -> None:
    isolated = read("local", named(host, "east").run("cat /srv/failover/local.jsonl").stdout)
    present = rows(host, "east")
    assert [attempt for attempt in isolated if attempt.server and attempt.row not in present]
