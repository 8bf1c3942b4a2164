# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of a failover whose servers a manager owns."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.plugin_utils.failover import mistakes, refusals
from ansible_collections.lifeline.recovery.plugins.plugin_utils.failover_managers import (
    patroni_assessment,
    patroni_states,
)

EAST: dict[str, t.Any] = {"name": "east", "member": "p1", "patroni": {"endpoints": ["http://10.1.0.10:8008"]}}
WEST: dict[str, t.Any] = {"name": "west", "member": "p2", "patroni": {"endpoints": ["http://10.2.0.10:8008"]}}
SEEN: dict[str, list[str]] = {"accepts": [], "refused": [], "silent": ["a"], "lost": []}
LIMITS = {"quorum": 0, "max_lag_bytes": 1000, "max_lag_seconds": 30, "window": {}}


def cluster(leader: str | None = "p1", state: str = "streaming", lag: int | None = 0) -> dict[str, t.Any]:
    members = [
        {"name": "p1", "state": "running", "lag_bytes": None},
        {"name": "p2", "state": state, "lag_bytes": lag},
    ]
    endpoints = [
        {"name": "p1", "is_primary": leader == "p1", "timeline": 1, "state": "running"},
        {"name": None, "is_primary": False, "timeline": None, "state": None},
    ]
    return {
        "scope": "school",
        "system_identifier": "7300000000000000001",
        "leader": leader,
        "paused": False,
        "members": members,
        "endpoints": endpoints,
    }


def refused(kind: str, found: dict[str, t.Any], reasons: dict[str, str] | None = None, **server: t.Any) -> list[str]:
    assessment = patroni_assessment(found, EAST, WEST, kind, server, [], reasons or {})
    return refusals(kind, assessment, SEEN, LIMITS, reasons or {})


@pytest.mark.parametrize(
    ("kind", "found", "options", "part"),
    [
        ("switchover", cluster(), {}, ""),
        ("switchover", cluster(state="starting"), {}, "does not stream"),
        ("switchover", cluster(lag=5000), {}, "lag of 4.9 KiB"),
        ("switchover", cluster(), {"lag_bytes": 0, "lag_seconds": 99.0}, "lag of 1 min 39 s"),
        # A lag of unknown length is no lag of zero.
        ("switchover", cluster(lag=None), {}, "lag of unknown length"),
        # A failback makes the member a standby before its lag is judged.
        ("failback", cluster(state="stopped", lag=None), {}, ""),
        ("failover", cluster(leader=None), {}, "recovery_allow_data_loss"),
        ("failover", cluster(leader=None), {"reasons": {"data_loss": "the region is lost"}}, ""),
        # Patroni has failed over itself, and the rest of the run leads the clients there.
        ("failover", cluster(leader="p2"), {}, ""),
    ],
)
def test_gates_of_a_patroni_cluster(kind: str, found: dict[str, t.Any], options: dict[str, t.Any], part: str) -> None:
    reasons = options.pop("reasons", None)
    sentences = " ".join(refused(kind, found, reasons, **options))
    assert (part in sentences, bool(sentences)) == (True, bool(part))


def test_a_member_that_does_not_answer_is_no_standby() -> None:
    assert [(one["name"], one["state"]) for one in patroni_states(cluster(), [EAST, WEST])] == [
        ("east", "primary"),
        ("west", "no answer"),
    ]


def test_a_site_of_patroni_has_its_member_and_endpoints() -> None:
    assert mistakes([EAST, WEST], [], [], "patroni") == []
    found = mistakes([{"name": "east"}, {**WEST, "patroni": {}}], [], [], "patroni")
    assert [sentence.split(" must have ")[1].split(" ")[0] for sentence in found] == ["member,", "patroni", "patroni"]


def test_a_site_of_rds_has_its_arn_and_a_cluster_its_global_cluster() -> None:
    arn = "arn:aws:rds:eu-west-1:111122223333:"
    site = {"name": "east", "rds": {"region": "eu-west-1", "arn": f"{arn}db:school"}}
    assert mistakes([site, {**site, "name": "west"}], [], [], "rds") == []
    aurora = {"name": "west", "rds": {"region": "eu-west-1", "arn": f"{arn}cluster:school"}}
    found = mistakes([{"name": "east", "rds": {"region": "eu-west-1"}}, aurora], [], [], "rds")
    assert [sentence.split(" must have ")[1].split(" ")[0] for sentence in found] == ["rds", "rds.global_cluster,"]
