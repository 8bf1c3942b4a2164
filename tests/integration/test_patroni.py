# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Patroni cluster is switched over by Patroni, with one request, and never behind its back."""

from __future__ import annotations

import os
import signal
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.patroni import MISSING, PatroniCluster, patroni_cluster, until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def started() -> t.Iterator[PatroniCluster]:
    with patroni_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(started: PatroniCluster) -> PatroniCluster:
    started.settle()
    return started


class Pair(t.NamedTuple):
    leader: str
    other: str


def pair(cluster: PatroniCluster) -> Pair:
    leader = cluster.leader()
    assert leader is not None
    return Pair(leader, next(name for name in cluster.members if name != leader))


def switch(cluster: PatroniCluster, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {} if check_mode else {"recovery_confirm": cluster.scope}
    return run_module("patroni_switchover", {**cluster.module_options(), **given, **options}, check_mode=check_mode)


def refusal(cluster: PatroniCluster, **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        switch(cluster, **{"wait_seconds": 2, **options})
    return caught.value.result


def peer(cluster: PatroniCluster, name: str) -> dict[str, t.Any]:
    options = cluster.members[name].server.module_options()
    return {option: value for option, value in options.items() if option.startswith("login_")}


def test_a_switchover_makes_the_candidate_the_only_primary(cluster: PatroniCluster, tmp_path: Path) -> None:
    leader, other = pair(cluster)
    record = {"source": "school", "store": {"provider": "directory", "path": str(tmp_path)}}
    asked = {"leader": leader, "candidate": other, "peer": peer(cluster, other), **record}
    before = run_module("patroni_info", {"endpoints": cluster.endpoints})
    assert (before["leader"], before["paused"], before["synchronous_mode"]) == (leader, False, "off")
    assert {one["name"]: one["is_primary"] for one in before["endpoints"]} == {leader: True, other: False}
    with cluster.members[leader].server.session() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS notes (id int); INSERT INTO notes VALUES (1)")
        cursor.execute("SELECT count(*) FROM notes")
        rows = cursor.fetchone()

    plan = switch(cluster, check_mode=True, **asked)
    assert (plan["changed"], plan["leader"], cluster.leader()) == (True, None, leader)
    assert refusal(cluster, **asked, recovery_confirm="other")["error_kind"] == "confirmation_required"
    done = switch(cluster, **{**asked, "recovery_confirm": plan["plan_digest"]})
    assert (done["changed"], done["leader_before"], done["leader"], cluster.leader()) == (True, leader, other, other)
    assert (done["timeline"], done["history"]["leader"]) == (before["timeline"] + 1, other)
    assert (done["history"]["timeline"], done["answer"]) == (
        before["timeline"],
        f'Successfully switched over to "{other}"',
    )
    assert 0 < done["primary_seconds"] < 30
    assert done["write_seconds"] is not None
    with cluster.members[other].server.session() as cursor:
        cursor.execute("SELECT count(*) FROM notes")
        assert cursor.fetchone() == rows

    # A killed run is repeated with the same options, and does not switch back.
    again = switch(cluster, **asked)
    assert (again["changed"], again["unchanged"]["reason"]) == (False, f"{other} is the leader of school already.")
    records = run_module("audit_info", record)["records"]
    assert [one["details"].get("changed") for one in records if one["operation_type"] == "switchover"].count(True) == 1
    cluster.settle()
    back = switch(cluster, **done["undo"])
    assert (back["leader"], back["undo"]) == (leader, {"kind": "switchover", "leader": leader, "candidate": other})


def test_a_state_that_patroni_refuses_or_delays_is_refused_before_the_request(cluster: PatroniCluster) -> None:
    leader, other = pair(cluster)
    history = cluster.ask("history")
    assert refusal(cluster, leader=other, candidate="p3")["error_kind"] == "conflict"
    assert "no member p3" in refusal(cluster, candidate="p3")["msg"]
    assert refusal(cluster, candidate=other, system_identifier="1")["error_kind"] == "wrong_server"
    assert "allow_data_loss" in refusal(cluster, candidate=other, kind="failover")["msg"]
    only_leader = {"endpoints": [cluster.members[leader].url]}
    assert f"No endpoint of {other} answers" in refusal(cluster, candidate=other, **only_leader)["msg"]
    denied = refusal(cluster, candidate=other, password="wrong")
    assert (denied["error_kind"], denied["applied"]) == ("access_denied", "no")

    assert cluster.ask("config", "PATCH", {"pause": True})[0] == 200
    until(lambda: cluster.ask("cluster")[1].get("pause"))
    assert "paused" in refusal(cluster, candidate=other)["msg"]
    cluster.settle()
    scheduled = {"leader": leader, "candidate": other, "scheduled_at": "2099-01-01T00:00:00+00:00"}
    assert cluster.ask("switchover", "POST", scheduled)[0] == 202
    assert "scheduled for 2099" in refusal(cluster, candidate=other)["msg"]
    assert cluster.ask("switchover", "DELETE")[0] == 200
    assert (cluster.leader(), cluster.ask("history")) == (leader, history)


def test_the_candidate_has_to_be_a_synchronous_standby(cluster: PatroniCluster) -> None:
    leader, other = pair(cluster)
    cluster.members[other].stop()
    try:
        assert cluster.ask("config", "PATCH", {"synchronous_mode": True})[0] == 200
        until(lambda: cluster.ask("cluster")[1]["members"][0].get("state"))
        refused = refusal(cluster, candidate=other)
        assert (refused["error_kind"], cluster.leader()) == ("not_ready", leader)
    finally:
        cluster.members[other].start()
    # The run waits until the member that just started is synchronous.
    done = switch(cluster, candidate=other, wait_seconds=60)
    assert (done["leader"], done["timings"]["ready"] > 0.5) == (other, True)


def test_promotion_behind_the_back_of_patroni_is_refused(cluster: PatroniCluster) -> None:
    _leader, other = pair(cluster)
    server = cluster.members[other].server
    with pytest.raises(ModuleFailed) as caught:
        options = {"fenced_by": "a test", "recovery_confirm": f"127.0.0.1:{server.port}"}
        run_module("pg_promote", {**server.module_options(), **options})
    assert (caught.value.result["error_kind"], "recovery_failover_way=patroni" in caught.value.result["msg"]) == (
        "managed",
        True,
    )


def test_a_failover_succeeds_while_patroni_of_the_leader_is_frozen(cluster: PatroniCluster) -> None:
    leader, other = pair(cluster)
    member = cluster.members[leader]
    assert member.process is not None
    # Frozen, so that the lock expires; the server of the former leader still runs.
    os.kill(member.process.pid, signal.SIGSTOP)
    try:
        lost = {"kind": "failover", "allow_data_loss": "a test", "candidate": other}
        done = switch(cluster, **lost, endpoints=[cluster.members[other].url], wait_seconds=60)
        assert (done["leader"], done["changed"]) == (other, True)
    finally:
        os.kill(member.process.pid, signal.SIGCONT)
    assert switch(cluster, **lost)["changed"] is False


def sites(cluster: PatroniCluster) -> list[dict[str, t.Any]]:
    login = {"username": cluster.username, "password": cluster.password}
    return [
        {
            "name": f"site-{name}",
            "member": name,
            "patroni": {"endpoints": [member.url], **login},
            "connection": peer(cluster, name),
        }
        for name, member in cluster.members.items()
    ]


def variables_of(cluster: PatroniCluster, writer: str, target: str, tmp_path: Path) -> dict[str, t.Any]:
    (tmp_path / "store").mkdir()
    return {
        "recovery_source": "school",
        "recovery_failover_way": "patroni",
        "recovery_sites": sites(cluster),
        "recovery_from_site": f"site-{writer}",
        "recovery_to_site": f"site-{target}",
        "recovery_store": {"provider": "directory", "path": str(tmp_path / "store")},
        "recovery_reason": "a test",
        "recovery_environment": "production",
        "recovery_confirm": f"site-{target}",
        "recovery_client_connection": peer(cluster, target),
        "recovery_cooldown_seconds": 0,
    }


def test_the_playbooks_switch_the_cluster_over_and_back(cluster: PatroniCluster, tmp_path: Path) -> None:
    leader, other = pair(cluster)
    variables = variables_of(cluster, leader, other, tmp_path)
    made = play("switchover", variables, tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (f"site-{other} is the writer" in made.stdout, cluster.leader()) == (True, other)
    assert "No commit is lost" in made.stdout
    back = {**variables, "recovery_from_site": "", "recovery_to_site": "", "recovery_confirm": f"site-{leader}"}
    returned = play("failback", {**back, "recovery_client_connection": peer(cluster, leader)}, tmp_path)
    assert returned.returncode == 0, returned.stdout + returned.stderr
    assert cluster.leader() == leader


def test_the_playbook_completes_a_failover_that_patroni_made_itself(cluster: PatroniCluster, tmp_path: Path) -> None:
    leader, other = pair(cluster)
    variables = variables_of(cluster, leader, other, tmp_path)
    cluster.members[leader].stop()
    try:
        until(lambda: cluster.leader() == other)
        made = play("failover", {**variables, "recovery_rejoin": "none"}, tmp_path)
    finally:
        cluster.members[leader].start()
    assert made.returncode == 0, made.stdout + made.stderr
    assert (f"site-{other} is the writer" in made.stdout, cluster.leader()) == (True, other)
    assert f"Patroni has made {other} the leader already" in made.stdout
    assert "An unknown number of commits is lost" in made.stdout
