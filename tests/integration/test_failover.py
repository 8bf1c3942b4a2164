# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A failover loses what its plan states, a planned run loses nothing, and clients never reach two writers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.playbooks import killed_at_task, play
from tests.support.runner.modules import run_module
from tests.support.servers.faults import cut_is_possible, cut_off, kill, replay_paused, set_by_sql, slow
from tests.support.servers.pgbouncer import PROGRAM
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.region import DATABASE, WRITER, ZONE, Region, answered_by, region, start, written
from tests.support.servers.standby import until, value

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")]

CLIENTS = ("by-name", "by-pooler")
STEPS = ("hold", "fence", "promote", "writable", "verify", "redirect", "clients", "deploy", "smoke", "reprotect")


def flat(text: str) -> str:
    return " ".join(text.replace('\\"', '"').split())


@dataclass
class Operator:
    """Runs the playbooks of the failover against the regions."""

    region: Region
    folder: Path
    variables: dict[str, t.Any] = field(default_factory=dict)
    #: Inventory hosts that do not answer.
    lost: tuple[str, ...] = ()

    @property
    def store(self) -> dict[str, t.Any]:
        return self.variables.get("recovery_store") or {"provider": "directory", "path": str(self.folder / "store")}

    def start(self, name: str, *extra: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        gone = {"ansible_connection": "ssh", "ansible_host": "127.9.9.9", "ansible_port": 1}
        hosts = ("db-east", "db-west", "near-east", "near-west", "monitor")
        inventory = self.folder / "hosts.yml"
        inventory.write_text(json.dumps({"all": {"hosts": {h: gone if h in self.lost else here for h in hosts}}}))
        given = {
            "recovery_source": "app",
            "recovery_database": DATABASE,
            "recovery_store": self.store,
            "recovery_environment": "sandbox",
            "recovery_vantage_points": ["near-east", "near-west", "monitor"],
            "recovery_quorum": 2,
            "recovery_connect_timeout": 2,
            "recovery_cooldown_seconds": 0,
            "recovery_failover_backup": False,
            **self.region.variables(),
            **self.variables,
            **options,
        }
        return play(name, given, self.folder, "-i", str(inventory), *extra)

    def at(self, folder: Path) -> Operator:
        """Another operator with the same store."""
        folder.mkdir()
        return replace(self, folder=folder, variables={**self.variables, "recovery_store": self.store})

    def run(self, name: str, *extra: str, **options: t.Any) -> str:
        """The output of a playbook that succeeds, without line breaks."""
        done = self.start(name, *extra, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return flat(done.stdout)

    def fail(self, name: str, *extra: str, **options: t.Any) -> str:
        done = self.start(name, *extra, **options)
        assert done.returncode != 0, done.stdout
        return flat(done.stdout + done.stderr)

    def is_lead_to(self, site: str) -> bool:
        """Whether DNS and the pooler lead to that site."""
        server = self.region.servers[site]
        target = f"app = host={server.address} port={server.port}"
        return (
            self.region.dns.ask(WRITER, "CNAME") == [f"{site}.{ZONE}."] and target in self.region.pooler.ini.read_text()
        )


@pytest.fixture
def operator(tmp_path: Path) -> t.Iterator[Operator]:
    with region() as found:
        yield Operator(found, tmp_path)


@pytest.fixture
def page(tmp_path: Path) -> t.Iterator[str]:
    """The address of an application that answers."""
    (tmp_path / "www").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def with_every_step(operator: Operator, page: str) -> Operator:
    """The operator of a source whose runs have work in each step."""
    tasks = operator.folder / "deploy.yml"
    tasks.write_text(json.dumps([{"name": "Deploy the application", "ansible.builtin.meta": "noop"}]))
    work = {
        "recovery_checks": [{"name": "rows", "type": "row_count", "table": "public.written", "min": 1}],
        "recovery_failover_deploy": str(tasks),
        "recovery_smoke_checks": [{"name": "page", "type": "http", "url": page}],
    }
    return replace(operator, variables={**operator.variables, **work})


def journal(operator: Operator) -> dict[str, t.Any]:
    """The last run of the source."""
    read = run_module("failover_journal", {"source": "app", "action": "read", "store": operator.store})
    return t.cast("dict[str, t.Any]", read["run"])


def is_writer(server: PostgresServer) -> bool:
    return value(server, "SELECT pg_is_in_recovery()") is False


def streams(server: PostgresServer) -> bool:
    return bool(value(server, "SELECT status FROM pg_stat_wal_receiver") == "streaming")


def instants(operator: Operator) -> tuple[float, float]:
    """When the poolers began to hold clients in the last run, and when a commit of clients was accepted."""
    facts = {step["name"]: step["facts"] for step in journal(operator)["steps"]}
    held, back = facts["hold"]["held_since"], facts["clients"]["accepted_at"]
    return datetime.fromisoformat(held).timestamp(), datetime.fromisoformat(back).timestamp()


def test_planned_runs_lose_no_row_and_the_journal_has_the_outage(operator: Operator) -> None:
    found = operator.region
    with found.clients(patience=120):
        plan = operator.run("switchover", "--check")
        assert is_writer(found.east) and operator.is_lead_to("east")
        (digest,) = set(re.findall(r"recovery_confirm=([0-9a-f]{16})\b", plan)) or {"west"}
        operator.run("switchover", recovery_confirm=digest)
        assert operator.is_lead_to("west")
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.west)
        waited = found.verdict(found.west, "by-pooler").longest_wait
        held, back = instants(operator)
        operator.run("failback", recovery_confirm="east")
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.east)
    verdict = found.verdict(found.east, *CLIENTS)
    assert verdict.lost == []
    assert verdict.writers == [answered_by(found.east), answered_by(found.west), answered_by(found.east)]
    assert operator.is_lead_to("east") and streams(found.west)
    # Clients of the pooler wait and get no error, for the time that the record states.
    assert not [attempt.error for attempt in found.attempts("by-pooler") if attempt.error]
    assert abs(back - held - waited) < 5


def test_killed_run_is_completed_after_each_step_with_the_same_end(operator: Operator, page: str) -> None:
    operator, found = with_every_step(operator, page), operator.region
    with found.clients():
        for step in ("hold", "fence"):
            with killed_at_task(f"Record the end of the step {step}"):
                operator.start("switchover", recovery_confirm="west")
            operator.run("switchover", recovery_confirm="west", recovery_abort=True, recovery_takeover=True)
            assert is_writer(found.east) and not is_writer(found.west)
            assert operator.is_lead_to("east")
            for client in CLIENTS:
                found.wait_for_rows(client, since=time.time(), server=found.east)
        for step in STEPS:
            with killed_at_task(f"Record the end of the step {step}"):
                operator.start("switchover", recovery_confirm="west", recovery_takeover=True)
            if step == "promote":
                refused = operator.fail("switchover", recovery_abort=True, recovery_takeover=True)
                assert "point of no return" in refused
        operator.run("switchover", recovery_confirm="west", recovery_takeover=True)
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.west)
    assert operator.is_lead_to("west")
    assert streams(found.east)
    verdict = found.verdict(found.west, *CLIENTS)
    assert verdict.lost == []
    assert verdict.writers == [answered_by(found.east), answered_by(found.west)]
    run = journal(operator)
    assert (run["state"], [step["name"] for step in run["steps"][1:]]) == ("done", list(STEPS))


def test_killed_primary_is_replaced_by_one_of_two_operators(operator: Operator) -> None:
    found = operator.region
    with found.clients():
        # The primary answers, so that only a planned run is right.
        assert "switchover.yml" in operator.fail("failover", recovery_confirm="west")
        with replay_paused(found.west):
            kill(found.east)
            killed = time.time()
            assert "paused" in operator.fail("failover", recovery_confirm="west", recovery_allow_data_loss="a test")
            assert not is_writer(found.west) and operator.is_lead_to("east")
        accepted = {"recovery_allow_data_loss": "the region is lost", "recovery_confirm": "west"}
        with ThreadPoolExecutor(2) as two:
            folders = [operator.folder / name for name in ("first", "second")]
            ended = list(two.map(lambda folder: operator.at(folder).start("failover", **accepted), folders))
        assert sorted(done.returncode == 0 for done in ended) == [False, True], [done.stdout for done in ended]
        for client in CLIENTS:
            found.wait_for_rows(client, since=killed, server=found.west)
        # The old primary is started by its service, and accepts no rows.
        start(found.east)
        assert not is_writer(found.east) and operator.is_lead_to("west")
        operator.run("failback", recovery_confirm="east")
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.east)
    verdict = found.verdict(found.east, *CLIENTS)
    assert verdict.writers == [answered_by(found.east), answered_by(found.west), answered_by(found.east)]
    # Rows that the standby had not received are saved.
    assert set(verdict.lost) <= found.saved_rows()
    assert streams(found.west)


@pytest.mark.skipif(not cut_is_possible(), reason="this machine does not let the tests drop packets")
def test_primary_that_is_cut_off_is_replaced_only_for_a_reason_and_loses_what_was_stated(operator: Operator) -> None:
    found = operator.region
    operator.lost = ("db-east", "near-east")
    with found.clients(local="east"):
        with cut_off(found.east):
            cut = time.time()
            accepted = {"recovery_confirm": "west", "recovery_allow_data_loss": "the region is lost"}
            refused = operator.fail("failover", **accepted)
            assert "Nothing was promoted" in refused or "Nothing was changed" in refused
            assert not is_writer(found.west) and operator.is_lead_to("east")
            operator.run("failover", recovery_accept_split_brain="the region is cut off", **accepted)
            for client in CLIENTS:
                found.wait_for_rows(client, since=cut, server=found.west)
            found.wait_for_rows("local", since=time.time())
        assert "the region is cut off" in json.dumps(journal(operator)["reasons"])
        # The old primary is back, accepts the rows of its local client, and no other client reaches it.
        assert is_writer(found.east)
        after = time.time()
        for client in CLIENTS:
            found.wait_for_rows(client, since=after, server=found.west)
        operator.lost = ()
        operator.run("failback", recovery_confirm="east")
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.east)
    verdict = found.verdict(found.east, *CLIENTS)
    assert verdict.writers == [answered_by(found.east), answered_by(found.west), answered_by(found.east)]
    lost = {attempt.row for attempt in found.attempts("local") if attempt.server} - written(found.east)
    assert lost and lost <= found.saved_rows()
    assert streams(found.west)


def test_slow_primary_is_fenced_before_the_promotion(operator: Operator) -> None:
    found = operator.region
    with found.clients():
        with slow(found.east):
            accepted = {"recovery_accept_answering": "it is too slow", "recovery_allow_data_loss": "it is too slow"}
            operator.run("failover", recovery_confirm="west", **accepted)
        for client in CLIENTS:
            found.wait_for_rows(client, since=time.time(), server=found.west)
    verdict = found.verdict(found.west, *CLIENTS)
    assert verdict.writers == [answered_by(found.east), answered_by(found.west)]
    assert verdict.lost == []


def test_replica_that_is_behind_loses_no_more_than_the_plan_stated(operator: Operator) -> None:
    found = operator.region
    with found.clients(), set_by_sql(found.west, "primary_conninfo", ""):
        until(lambda: value(found.west, "SELECT count(*) FROM pg_stat_wal_receiver") == 0)
        deaf = time.time()
        assert "does not stream" in operator.fail("switchover", recovery_confirm="west")
        kill(found.east)
        killed = time.time()
        refused = operator.fail("failover", recovery_confirm="west", recovery_max_loss_seconds=1)
        assert not is_writer(found.west), refused
        down = datetime.fromtimestamp(killed, timezone.utc).isoformat()
        accepted = {"recovery_allow_data_loss": "the region is lost", "recovery_down_since": down}
        operator.run("failover", recovery_confirm="west", **accepted)
        for client in CLIENTS:
            found.wait_for_rows(client, since=killed, server=found.west)
    lost = set(found.verdict(found.west, *CLIENTS).lost)
    assert lost
    (promote,) = [step for step in journal(operator)["steps"] if step["name"] == "promote"]
    first = min(attempt.ended for client in CLIENTS for attempt in found.attempts(client) if attempt.row in lost)
    assert deaf - 1 < first
    assert killed - first <= promote["facts"]["loss_seconds"]
