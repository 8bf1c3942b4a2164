# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of a failover: which site is the writer, which gate prevents the run, the content of the record."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.schedule import is_open
from ansible_collections.lifeline.recovery.plugins.plugin_utils.failover import (
    direction,
    failure,
    leads_to,
    mistakes,
    options,
    plan,
    proofs,
    record,
    refusals,
    states,
    status_table,
    targets,
    votes,
)
from tests.support.runner.server import ROOT

SITES: list[dict[str, t.Any]] = [
    {"name": "east", "connection": {"login_host": "10.1.0.10"}},
    {"name": "west", "connection": {"login_host": "10.2.0.10"}},
]
READY = {"blockers": [], "streaming": True, "lag_bytes": 0, "lag_seconds": 0.0}
LIMITS = {"quorum": 0, "max_lag_bytes": 1000, "max_lag_seconds": 30, "window": {}}
ALL_SILENT = {"accepts": [], "refused": [], "silent": ["a", "b", "c"], "lost": []}


def run(state: str, kind: str = "failover", source: str = "east", target: str = "west") -> dict[str, t.Any]:
    return {"state": state, "kind": kind, "from_site": source, "to_site": target, "owner": "op", "steps": []}


@pytest.mark.parametrize(
    ("kind", "last", "given", "expected"),
    [
        ("failover", None, ("", ""), ("east", "west")),
        ("switchover", run("done"), ("", ""), ("west", "east")),
        ("failback", run("done"), ("", ""), ("west", "east")),
        # After an aborted run the writer is where it was.
        ("failover", run("aborted", source="west", target="east"), ("", ""), ("west", "east")),
        ("failover", run("open"), ("", ""), ("east", "west")),
        ("failover", None, ("west", ""), ("west", "east")),
    ],
)
def test_the_journal_knows_the_writer(
    kind: str, last: dict[str, t.Any] | None, given: tuple[str, str], expected: tuple[str, str]
) -> None:
    found = direction(SITES, kind, last, *given)
    assert found["mistake"] == ""
    assert (found["from"], found["to"]) == expected


@pytest.mark.parametrize(
    ("kind", "last", "given", "sentence"),
    [
        ("failover", None, ("", "wset"), "recovery_to_site must be one of east, west, got 'wset'. Is west meant?"),
        ("failback", None, ("", ""), "the journal has no run to go back from"),
        ("failover", None, ("west", "west"), "another site than west"),
        ("failover", run("open"), ("", "east"), "is not complete"),
        ("failover", run("done", target="north"), ("", ""), ""),
    ],
)
def test_a_direction_that_is_not_possible_is_refused(
    kind: str, last: dict[str, t.Any] | None, given: tuple[str, str], sentence: str
) -> None:
    assert sentence in direction(SITES, kind, last, *given)["mistake"]


def test_three_sites_need_the_name_of_the_target() -> None:
    sites = [*SITES, {"name": "north", "connection": {"login_host": "10.3.0.10"}}]
    assert "east has more than one other site" in direction(sites, "failover", None)["mistake"]
    assert direction(sites, "failover", None, "", "north")["to"] == "north"


def test_mistakes_of_sites_and_means_are_named() -> None:
    redirects = [
        {"name": "dns", "rfc2136": {}, "values": {"east": "a"}},
        {"name": "dns", "values": {"east": "a", "west": "b"}},
    ]
    sites = [SITES[0], {"name": "west", "data_dir": "/srv/pg", "fences": [{"systemd": {}}]}]
    assert mistakes(sites, redirects, "none", "postgres") == [
        "recovery_failover_way must be one of postgresql, patroni, rds, backup, supabase, d1, got 'postgres'. "
        "Is postgresql meant?",
        "recovery_redirects has two elements named dns.",
        "The redirect dns must have values for each site: east, west.",
        "The redirect dns must have one of rfc2136, route53, cloudflare, pgbouncer, ssm, env_file, kubernetes_secret, "
        "command.",
        "recovery_poolers must be a list of dictionaries.",
        "Each element of fences of the site west must have a name.",
    ]
    assert mistakes(sites, [], [], "postgresql")[:2] == [
        "The site west must have connection, the direct address of its server.",
        "The site west must have host, the inventory host of its data_dir.",
    ]
    named = [{**SITES[0], "fences": [{"name": "power off"}, {"name": "power"}]}, SITES[1]]
    assert mistakes(named, [], [], "postgresql") == [
        "fences of the site east must have names of letters, digits, dots and hyphens, got 'power off'."
    ]
    assert mistakes([], [], [], "postgresql") == ["recovery_sites must be a list of at least two sites."]
    assert mistakes(SITES, [], [], "postgresql") == []


def test_vantage_points_that_could_not_be_asked_are_no_vote_for_an_outage() -> None:
    seen = votes(
        [
            {"item": "a", "logins": [{"state": "silent"}]},
            {"item": "b", "unreachable": True},
            {"item": "", "logins": [{"state": "refused"}, {"state": "accepts"}]},
        ]
    )
    assert seen == {"accepts": ["the controller"], "refused": [], "silent": ["a"], "lost": ["b"]}


@pytest.mark.parametrize(
    ("seen", "reasons", "sentence"),
    [
        (ALL_SILENT, {}, ""),
        (
            {**ALL_SILENT, "silent": ["a"], "lost": ["b", "c"]},
            {},
            "1 vantage point of 3 report that the writer is down",
        ),
        ({**ALL_SILENT, "silent": ["a", "b"], "accepts": ["c"]}, {}, "The writer accepts commits, as c proved"),
        ({**ALL_SILENT, "silent": ["a", "b"], "accepts": ["c"]}, {"answering": "it is too slow"}, ""),
    ],
)
def test_an_outage_needs_a_quorum(seen: dict[str, list[str]], reasons: dict[str, str], sentence: str) -> None:
    found = refusals("failover", {"blockers": []}, seen, LIMITS, reasons)
    assert (len(found), sentence in "".join(found)) == (bool(sentence), True)


@pytest.mark.parametrize(
    ("assessment", "sentence"),
    [
        (READY, ""),
        ({**READY, "streaming": False}, "does not stream"),
        ({**READY, "lag_bytes": 1001}, "recovery_max_lag_bytes allows"),
        ({**READY, "lag_seconds": None}, "a lag of unknown length"),
        ({**READY, "blockers": ["The replay is paused."]}, "The replay is paused."),
    ],
)
def test_a_planned_run_needs_a_standby_without_lag(assessment: dict[str, t.Any], sentence: str) -> None:
    found = refusals("switchover", assessment, ALL_SILENT, LIMITS, {})
    assert (len(found), sentence in "".join(found)) == (bool(sentence), True)


def test_a_planned_run_keeps_to_its_window() -> None:
    limits = {**LIMITS, "window": {"schedule": "Sat *-*-* 23:00:00 UTC", "length_seconds": 7200}}
    for now, reasons, number in (
        ("2026-11-28T22:59:59Z", {}, 1),
        ("2026-11-28T23:00:00Z", {}, 0),
        ("2026-11-29T00:59:59Z", {}, 0),
        ("2026-11-29T01:00:00Z", {}, 1),
        ("2026-11-29T01:00:00Z", {"window": "the disk fails"}, 0),
    ):
        assert len(refusals("switchover", READY, ALL_SILENT, limits, reasons, now)) == number
    assert refusals("failover", READY, ALL_SILENT, limits, {}, "2026-11-29T01:00:00Z") == []


def test_a_window_can_be_longer_than_a_day() -> None:
    assert is_open("Fri *-*-* 20:00:00", 48 * 3600, datetime(2026, 11, 29, 19, 59, tzinfo=timezone.utc))
    assert not is_open("Fri *-*-* 20:00:00", 48 * 3600, datetime(2026, 11, 29, 20, 0, tzinfo=timezone.utc))


def test_the_digest_of_a_plan_covers_what_is_changed_and_no_lag() -> None:
    between = {"from": SITES[0], "to": SITES[1]}
    redirects = [{"name": "dns", "rfc2136": {}, "values": {"east": "a.example.", "west": "b.example."}}]

    def digest(assessment: dict[str, t.Any], means: dict[str, t.Any], **reasons: str) -> str:
        return str(plan("failover", "school", "postgresql", between, assessment, means, reasons)["digest"])

    first = digest({**READY, "system_identifier": "7"}, {"redirects": redirects})
    assert first == digest({**READY, "system_identifier": "7", "lag_bytes": 5}, {"redirects": redirects})
    others = [
        digest({**READY, "system_identifier": "8"}, {"redirects": redirects}),
        digest({**READY, "system_identifier": "7"}, {"redirects": []}),
        digest({**READY, "system_identifier": "7"}, {"redirects": redirects}, split_brain="lost"),
    ]
    assert len({first, *others}) == 4


def test_a_redirect_runs_on_each_host_of_its_groups() -> None:
    redirect = {"name": "env", "env_file": {"path": "/etc/app.env"}, "values": {"east": "a"}, "hosts": ["apps", "cron"]}
    found = targets([redirect], {"apps": ["app1", "app2"]})
    assert [one["label"] for one in found] == ["env on app1", "env on app2", "env on cron"]
    assert options([redirect], found[2]["index"]) == {"env_file": {"path": "/etc/app.env"}}


def test_a_plan_hides_values_that_can_hold_a_secret_and_its_digest_does_not() -> None:
    def planned(password: str, **way: t.Any) -> dict[str, t.Any]:
        values = {"east": f"host=a password='{password}' port=1", "west": f"host=b password={password} port=1"}
        redirects = [{"name": "r", "values": values, **way}]
        return plan(
            "failover", "school", "postgresql", {"from": SITES[0], "to": SITES[1]}, READY, {"redirects": redirects}, {}
        )

    for way in (
        {"pgbouncer": {}},
        {"env_file": {"hidden": True}},
        {"ssm": {}},
        {"kubernetes_secret": {}},
        {"command": {}},
    ):
        first = planned("s3cret", **way)
        assert "s3cret" not in str(first["facts"])
        assert first["digest"] != planned("other", **way)["digest"]
    assert planned("s3cret", pgbouncer={})["facts"]["redirects"][0]["before"] == "host=a password=(hidden) port=1"
    assert "s3cret" in str(planned("s3cret", env_file={"hidden": False})["facts"])


def test_a_loop_over_means_or_sites_has_no_secret_in_its_items() -> None:
    # Ansible prints the item when the task fails.
    found = targets([{"name": "east", "connection": {"login_password": "x"}, "values": {"east": "x"}}], {})
    assert found == [{"name": "east", "label": "east", "host": "", "index": 0}]
    secret = re.compile(r"loop: .*failover_(sites|redirects|poolers|site_fences)(?! \| (lifeline.recovery.fail|map))")
    tasks = {path: path.read_text(encoding="utf-8") for path in (ROOT / "roles/failover/tasks").rglob("*.yml")}
    assert [str(path) for path, text in tasks.items() if secret.search(text)] == []


def step(name: str, started: str, ended: str | None, **facts: t.Any) -> dict[str, t.Any]:
    day = "2026-11-28T03:"
    ended = f"{day}{ended}Z" if ended else None
    return {"name": name, "status": "done", "started_at": f"{day}{started}Z", "ended_at": ended, "facts": facts}


def test_the_record_counts_the_outage_as_clients_saw_it() -> None:
    steps = [
        step("fence", "10:00", "10:05", down_since="2026-11-28T03:09:58Z", fenced_by="The server was stopped."),
        step("promote", "10:05", "10:06", loss="No commit is lost.", loss_is_proven=True),
        step("writable", "10:06", "10:07"),
        step("clients", "10:09", "10:11", accepted_at="2026-11-28T03:10:10.500+00:00"),
        step("reprotect", "10:11", None),
    ]
    common = {"id": "x", "plan_digest": "d", "started_at": "2026-11-28T03:10:00Z", "reasons": {}}
    made = record({**run("open"), **common, "steps": steps}, {"fence": 4, "promote": 4})
    assert (made["outage_seconds"], made["loss"], made["fenced_by"]) == (
        12.5, "No commit is lost.", "The server was stopped.",
    )  # fmt: skip
    budgets = [(one["name"], one["seconds"], one["over_budget"]) for one in made["phases"]]
    assert budgets[:2] == [("fence", 5.0, True), ("promote", 1.0, False)]
    assert budgets[-1] == ("reprotect", None, False)
    made = record({**run("open"), **common, "steps": steps[:1]}, {})
    assert made["outage_seconds"] is None


def test_a_failure_names_what_is_in_effect() -> None:
    open_run = {**run("open"), "beyond_return": False}
    assert "the state before it was restored" in " ".join(
        failure(["Error: x"], open_run, "fence", "The run was aborted and the state before it was restored.", "school")
    )
    assert "before the point of no return" in " ".join(failure(["Error: x"], open_run, "fence", "", "school"))
    beyond = " ".join(failure(["Error: x"], {**open_run, "beyond_return": True}, "redirect", "", "school"))
    assert "only completing the run leads to one writer" in beyond


def test_more_or_less_than_one_writer_is_an_alarm() -> None:
    servers = [
        {"item": {"name": "east"}, "role": "primary", "timeline": 1, "standbys": [], "findings": []},
        {"item": {"name": "west"}, "failed": True, "what": "connection refused"},
    ]
    found = states(servers)
    assert [one["state"] for one in found] == ["primary", "no answer"]
    assert not any("Alarm" in line for line in status_table(found, None))
    twice = states([servers[0], {**servers[0], "item": {"name": "west"}}])
    assert "Alarm: 2 sites accept writes, expected 1" in status_table(twice, None)


def test_a_part_that_was_not_tried_is_no_proof() -> None:
    tried = {
        "fence": {"skipped": True},
        "redirect": {"results": [{"item": {"label": "dns"}, "summary": "Would change."}, {"msg": "No."}]},
    }
    assert proofs(tried) == [
        {"name": "redirect dns", "ok": True, "message": "Would change."},
        {"name": "redirect", "ok": False, "message": "No."},
    ]


def test_a_redirect_that_does_not_lead_to_the_writer_is_an_alarm() -> None:
    results = [
        {"item": [{"label": "dns"}, "east"], "msg": "The value is another one."},
        {"item": [{"label": "dns"}, "west"], "summary": "The value is so already."},
        {"item": [{"label": "env"}, "east"], "unreachable": True},
    ]
    found = leads_to(results)
    assert found == [{"name": "dns", "site": "west"}, {"name": "env", "site": "no site"}]
    lines = status_table([{"name": "east", "state": "primary"}, {"name": "west", "state": "standby"}], None, found)
    assert [line for line in lines if line.startswith("Alarm")] == [
        "Alarm: dns leads to west, the writer is east",
        "Alarm: env leads to no site, the writer is east",
    ]
