# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The regions of the tests show what a promotion without a fence does, so a failover that passes proves something."""

from __future__ import annotations

import time

import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from tests.support.servers.faults import cut_is_possible, cut_off, kill
from tests.support.servers.pgbouncer import PROGRAM
from tests.support.servers.region import WRITER, ZONE, Region, answered_by, region, start
from tests.support.servers.standby import until, value

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")


def lead_to_west(found: Region) -> None:
    key = dns.tsigkeyring.from_text({found.dns.key_name: found.dns.key_secret})
    update = dns.update.Update(ZONE, keyring=key, keyalgorithm="hmac-sha256")
    update.replace(f"{WRITER}.", 5, "CNAME", f"west.{ZONE}.")
    answer = dns.query.tcp(update, found.dns.address, port=found.dns.port, timeout=5)
    assert answer.rcode() == dns.rcode.NOERROR
    found.pooler.ini.write_text(
        found.pooler.ini.read_text().replace(found.east.address, found.west.address, 1), encoding="utf-8"
    )
    with found.pooler_session() as cursor:
        cursor.execute("RELOAD")


@pytest.mark.skipif(not cut_is_possible(), reason="this machine does not let the tests drop packets")
def test_a_promotion_without_a_fence_loses_rows_of_a_client_beside_the_old_primary() -> None:
    with region() as found:
        with found.clients(local="east"), cut_off(found.east):
            cut = time.time()
            until(lambda: value(found.west, "SELECT count(*) FROM pg_stat_wal_receiver") == 0)
            assert value(found.west, "SELECT pg_promote()") is True
            lead_to_west(found)
            for client in ("by-name", "by-pooler"):
                found.wait_for_rows(client, since=cut, server=found.west)
            found.wait_for_rows("local", since=time.time())
        reachable = found.verdict(found.west, "by-name", "by-pooler")
        assert reachable.outage > 1
        assert reachable.writers == [answered_by(found.east), answered_by(found.west)]
        local = found.verdict(found.west, "local")
        assert local.lost and {client for client, _number in local.lost} == {"local"}
        assert found.verdict(found.east, "by-name").lost
        # Both servers accepted rows in turn.
        assert found.verdict(found.west, "by-name", "local").writers[:3] == [*reachable.writers, reachable.writers[0]]


def test_acknowledged_rows_survive_a_killed_primary_that_starts_again() -> None:
    with region() as found:
        with found.clients():
            kill(found.east)
            killed = time.time()
            start(found.east)
            for client in ("by-name", "by-pooler"):
                found.wait_for_rows(client, since=killed)
        assert found.verdict(found.east, "by-name", "by-pooler").lost == []
