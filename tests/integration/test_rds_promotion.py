# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A replica of RDS is promoted with backups, awaited until it is detached and available, and no instance is created."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.fakes.rds import AWAY, HOME, READER_ARN, REPLICA_ARN, SOURCE_ARN, WRITER_ARN, FakeRds, fake_rds
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

PROMOTED = ["AddTagsToResource", "PromoteReadReplica"]


@pytest.fixture
def rds() -> t.Iterator[FakeRds]:
    with fake_rds() as fake:
        yield fake


def now(seconds: float = 0) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


def promote(rds: FakeRds, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {
        "region": AWAY,
        "endpoint_url": rds.url,
        "access_key": "AKIDEXAMPLE",
        "secret_key": "not-a-secret",
        "instance": "school-replica",
        "expected_source": SOURCE_ARN,
        "fenced_by": "a test",
        "primary_down_since": now(-60),
        "wait_seconds": 5,
        "settle_seconds": 0.2,
        "poll_seconds": 0.05,
        **({} if check_mode else {"recovery_confirm": "school-replica"}),
        **options,
    }
    return run_module("rds_promotion", given, check_mode=check_mode)


def refusal(rds: FakeRds, **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        promote(rds, **options)
    return caught.value.result


def test_a_replica_is_promoted_with_backups_and_awaited(rds: FakeRds, postgres: PostgresServer, tmp_path: Path) -> None:
    plan = promote(rds, check_mode=True)
    assert (plan["changed"], rds.calls, plan["loss_seconds"]) == (True, [], 0)
    findings = " ".join(plan["findings"])
    for part in ("MultiAZ is False, of the source True", "default.postgres15", "sg-default, of the source sg-home"):
        assert part in findings

    login = {name: value for name, value in postgres.module_options().items() if name.startswith("login_")}
    record = {"source": "school", "store": {"provider": "directory", "path": str(tmp_path)}}
    done = promote(rds, recovery_confirm=plan["plan_digest"], peer=login, **record)
    assert rds.calls == [
        (
            "AddTagsToResource",
            AWAY,
            {"ResourceName": REPLICA_ARN, "Tags.Tag.1.Key": "lifeline:promoted-from", "Tags.Tag.1.Value": SOURCE_ARN},
        ),
        ("PromoteReadReplica", AWAY, {"DBInstanceIdentifier": "school-replica", "BackupRetentionPeriod": "7"}),
    ]
    assert done["states"] == ["available", "modifying", "rebooting", "available"]
    assert rds.instances[REPLICA_ARN]["StatusInfos"] is None
    assert (done["retention_days"], done["arn"], done["write_seconds"] is not None) == (7, REPLICA_ARN, True)
    (written,) = run_module("audit_info", record)["records"]
    assert (written["operation_type"], written["details"]["states"]) == ("promote", done["states"])

    again = promote(rds)
    assert (again["changed"], again["unchanged"]["reason"]) == (False, "school-replica was promoted already.")
    assert rds.actions == PROMOTED


def test_an_instance_that_is_no_replica_of_the_source_is_refused(rds: FakeRds) -> None:
    missing = refusal(rds, instance="schol-replica")
    assert (missing["error_kind"], "nothing is created" in missing["msg"]) == ("target_missing", True)
    other = refusal(rds, expected_source=f"arn:aws:rds:{HOME}:111122223333:db:shop")
    assert (other["error_kind"], SOURCE_ARN in other["msg"]) == ("wrong_server", True)
    rds.instances[REPLICA_ARN].update(ReadReplicaSourceDBInstanceIdentifier=None, StatusInfos=None)
    alone = refusal(rds)
    assert (alone["error_kind"], "is no replica" in alone["msg"]) == ("wrong_server", True)
    assert rds.calls == []


@pytest.mark.parametrize(
    ("state", "options", "kind", "part"),
    [
        ({"DBInstanceStatus": "backing-up"}, {}, "not_ready", "A backup of it runs"),
        ({"DBInstanceStatus": "storage-full"}, {}, "not_ready", "storage-full"),
        ({"Engine": "mysql"}, {}, "not_ready", "mysql"),
        ({}, {"fenced_by": None}, "split_brain", "Nothing proves"),
        ({}, {"primary_down_since": None}, "limit_exceeded", "may be lost"),
        ({}, {"backup_retention_days": 0}, "invalid_options", "1 to 35"),
        ({}, {"recovery_confirm": "school"}, "confirmation_required", "school-replica"),
    ],
)
def test_an_unsafe_promotion_is_refused_before_a_call(
    rds: FakeRds, state: dict[str, t.Any], options: dict[str, t.Any], kind: str, part: str
) -> None:
    rds.instances[REPLICA_ARN].update(state)
    rds.lag_age = 5
    refused = refusal(rds, **options)
    assert (refused["error_kind"], part in refused["msg"], rds.calls) == (kind, True, [])


def test_an_unknown_or_too_large_lag_needs_a_reason(rds: FakeRds) -> None:
    rds.lag, rds.lag_age = 30, 10
    refused = refusal(rds, primary_down_since=now(), max_loss_seconds=20)
    assert (refused["error_kind"], 35 < refused["loss_seconds"] < 60) == ("limit_exceeded", True)
    rds.lag = None
    assert refusal(rds)["loss_seconds"] is None
    done = promote(rds, allow_data_loss="the region is lost")
    assert (done["changed"], done["loss_seconds"]) == (True, None)


@pytest.mark.parametrize(("failure", "requests"), [("before", 2), ("after", 1)])
def test_an_internal_failure_is_resolved_by_a_look_at_the_state(rds: FakeRds, failure: str, requests: int) -> None:
    rds.failures["PromoteReadReplica"] = failure
    done = promote(rds)
    assert (done["changed"], rds.actions.count("PromoteReadReplica"), done["retention_days"]) == (True, requests, 7)


def test_a_killed_run_is_continued(rds: FakeRds) -> None:
    late = refusal(rds, wait_seconds=0.01, poll_seconds=0.01)
    assert (late["error_kind"], late["applied"], "may still complete" in late["left"]) == ("timeout", "unknown", True)
    rds.instances[REPLICA_ARN]["DBInstanceStatus"] = "modifying"
    again = promote(rds)
    assert (again["changed"], rds.actions) == (False, PROMOTED)
    assert rds.instances[REPLICA_ARN]["StatusInfos"] is None


def test_a_source_that_does_not_answer_is_a_finding(rds: FakeRds) -> None:
    del rds.instances[SOURCE_ARN]
    done = promote(rds)
    assert (done["changed"], "The source was not compared" in done["findings"][0]) == (True, True)


def move(rds: FakeRds, kind: str = "aurora_switchover", **options: t.Any) -> dict[str, t.Any]:
    given = {"global_cluster": "school-global", "target": READER_ARN, "expected_source": WRITER_ARN}
    return promote(rds, kind=kind, instance=None, **{"recovery_confirm": "school-global", **given, **options})


def test_the_writer_of_an_aurora_global_database_is_moved_and_moved_back(rds: FakeRds) -> None:
    done = move(rds)
    assert (done["changed"], done["states"], rds.writer) == (
        True,
        ["available", "switching-over", "available"],
        READER_ARN,
    )
    assert done["endpoint"] == f"school-2.{AWAY}.example.test"
    assert move(rds)["changed"] is False
    move(rds, **done["undo"])
    assert (rds.writer, rds.actions) == (WRITER_ARN, ["SwitchoverGlobalCluster"] * 2)


def test_an_aurora_failover_needs_a_reason_and_a_switchover_needs_replication(rds: FakeRds) -> None:
    rds.synchronization = "pending-resync"
    for options, kind in (
        ({}, "not_ready"),
        ({"kind": "aurora_failover"}, "invalid_options"),
        ({"expected_source": READER_ARN.replace("-2", "-3")}, "conflict"),
        ({"target": READER_ARN.replace("-2", "-3")}, "target_missing"),
    ):
        with pytest.raises(ModuleFailed) as caught:
            move(rds, **options)
        assert caught.value.result["error_kind"] == kind
    assert rds.calls == []
    rds.failures["FailoverGlobalCluster"] = "after"
    done = move(rds, "aurora_failover", allow_data_loss="the region is lost")
    ((action, _region, given),) = rds.calls
    assert (action, given["AllowDataLoss"], done["changed"]) == ("FailoverGlobalCluster", "true", True)


def test_the_playbook_promotes_after_the_fence_and_without_loss(
    rds: FakeRds, postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    api = {"endpoint_url": rds.url, "access_key": "AKIDEXAMPLE", "secret_key": "not-a-secret"}
    times = {"settle_seconds": 0.2, "poll_seconds": 0.1}
    login = {name: value for name, value in postgres.module_options().items() if name.startswith("login_")}
    sites = [
        {
            "name": "ireland",
            "rds": {"region": HOME, "arn": SOURCE_ARN, "fence_groups": ["sg-fence"], **api, **times},
        },
        {"name": "frankfurt", "rds": {"region": AWAY, "arn": REPLICA_ARN, **api, **times}, "connection": login},
    ]
    variables = {
        "recovery_source": "school",
        "recovery_failover_way": "rds",
        "recovery_sites": sites,
        "recovery_store": {"provider": "directory", "path": str(tmp_path / "store")},
        "recovery_reason": "a test",
        "recovery_environment": "production",
        "recovery_confirm": "frankfurt",
    }
    # The first values of the lag are measured before the fence, so the run waits for a later one.
    rds.lag_age = 3
    made = play("switchover", variables, tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    fencing = ["AddTagsToResource", "ModifyDBInstance", "RebootDBInstance", "AddTagsToResource"]
    assert (rds.actions, "No commit is lost" in made.stdout) == ([*fencing, *PROMOTED], True)


def fence(rds: FakeRds, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {
        "region": HOME,
        "endpoint_url": rds.url,
        "access_key": "AKIDEXAMPLE",
        "secret_key": "not-a-secret",
        "instance": "school",
        "security_groups": ["sg-fence"],
        "recovery_confirm": "school",
        "wait_seconds": 10,
        "poll_seconds": 0.02,
    }
    return run_module("rds_fence", {**given, **options}, check_mode=check_mode)


def groups(rds: FakeRds) -> list[str]:
    return [one["VpcSecurityGroupId"] for one in rds.instances[SOURCE_ARN]["VpcSecurityGroups"]]


def test_a_fence_by_security_groups_ends_sessions_and_is_released_by_a_later_run(rds: FakeRds) -> None:
    assert (fence(rds, check_mode=True)["changed"], rds.calls) == (True, [])
    done = fence(rds)
    assert (done["before"], done["current"], done["rebooted"], groups(rds)) == (
        ["sg-home"],
        ["sg-fence"],
        True,
        ["sg-fence"],
    )
    fencing = ["AddTagsToResource", "ModifyDBInstance", "RebootDBInstance", "AddTagsToResource"]
    assert rds.actions == fencing
    assert fence(rds)["changed"] is False
    # A run that was killed before the restart is continued.
    rds.instances[SOURCE_ARN]["TagList"].pop()
    continued = fence(rds)
    assert (continued["changed"], continued["rebooted"], continued["before"]) == (True, True, ["sg-home"])
    released = fence(rds, **done["undo"])
    assert (released["current"], rds.instances[SOURCE_ARN]["TagList"]) == (["sg-home"], [])
    assert fence(rds, state="released")["changed"] is False
    with pytest.raises(ModuleFailed) as caught:
        fence(rds, security_groups=["sg-home"])
    assert caught.value.result["error_kind"] == "conflict"
