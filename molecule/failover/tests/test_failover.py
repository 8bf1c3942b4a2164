# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients' own record: what they wrote, which server acknowledged it, and how long they were without service."""

from __future__ import annotations

import json
import time

import pytest
from testinfra.host import Host

from tests.support.clients.judge import Attempt, Row, read
from tests.support.containers import sql

CLIENTS = ("by-name", "by-pooler")
EAST, WEST = "172.31.77.10:5432", "172.31.77.20:5432"


def named(host: Host, name: str) -> Host:
    return host.get_host(f"lifeline-{name}", connection="ansible", ansible_inventory=host.backend.ansible_inventory)


def attempts(host: Host, client: str) -> list[Attempt]:
    return read(client, named(host, "app").run(f"cat /srv/failover/{client}.jsonl").stdout)


def rows(host: Host, site: str) -> set[Row]:
    found = sql(named(host, site), "app", "SELECT json_agg(json_build_array(client, number)) FROM written")
    return {(client, number) for client, number in json.loads(found)}


@pytest.mark.parametrize("client", CLIENTS)
def test_client_writes_through_its_own_way(host: Host, client: str) -> None:
    before = len(attempts(host, client))
    deadline = time.monotonic() + 30
    while not any(attempt.server == EAST for attempt in attempts(host, client)[before:]):
        assert time.monotonic() < deadline, attempts(host, client)[-1]
        time.sleep(0.5)


def test_standby_of_the_other_region_streams(host: Host) -> None:
    assert sql(named(host, "west"), "postgres", "SELECT pg_is_in_recovery()") == "t"
    written = rows(host, "east")
    deadline = time.monotonic() + 30
    while not written <= rows(host, "west"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
