# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A frontend is switched to an earlier deployment once, and is reported as switched when production serves it."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.support.fakes.hosting import HOOK, PROJECT, SITE, TEAM, TOKEN, HostingServer, hosting_server
from tests.support.fakes.supabase import Fault
from tests.support.runner.modules import ModuleFailed, run_module

Options = dict[str, t.Any]
PROVIDERS = ("vercel", "netlify")


@pytest.fixture
def server() -> t.Iterator[HostingServer]:
    with hosting_server() as running:
        yield running
        assert running.unknown == []


def place(server: HostingServer, provider: str, **more: t.Any) -> Options:
    ids = {"project": PROJECT, "team": TEAM} if provider == "vercel" else {"site": SITE}
    return {provider: {**ids, "token": TOKEN, "api_url": server.url, **more}}


def act(server: HostingServer, options: Options, *, check_mode: bool = False, **more: t.Any) -> Options:
    quick = {"poll_seconds": 0.02, "deploy_timeout": 3, "api_timeout": 3, "health_timeout": 0.2}
    result = run_module("frontend_deployment", {**quick, **options, **more}, check_mode=check_mode)
    assert TOKEN not in json.dumps(result) and HOOK not in json.dumps(result)
    return result


def refused(server: HostingServer, options: Options, **more: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        act(server, options, **more)
    result = caught.value.result
    assert "Unexpected" not in result["msg"]
    assert TOKEN not in json.dumps(result) and HOOK not in json.dumps(result)
    return result


def proof(server: HostingServer, name: str) -> Options:
    return {"health_url": f"{server.url}/site", "health_body": {"build": server.deployments.get(name, name)}}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_production_goes_back_to_the_deployment_before_and_forward_again(server: HostingServer, provider: str) -> None:
    server.looks = 2
    planned = act(server, place(server, provider), check_mode=True)
    assert (planned["deployment"], planned["former"], server.writes()) == ("two", "bad", [])
    done = act(server, place(server, provider), **proof(server, "two"), recovery_confirm=planned["plan_digest"])
    assert (server.current, done["changed"], done["proved"], done["commit"]) == ("two", True, True, "b" * 40)
    assert server.locked == ({"two"} if provider == "netlify" else set())
    written = list(server.writes())
    again = act(server, place(server, provider, deployment="two"))
    assert (again["changed"], server.writes()) == (False, written)
    back = act(server, place(server, provider, **done["undo"][provider]))
    assert (server.current, back["former"]) == ("bad", "two")
    assert "bad" not in server.locked


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_deployment_that_cannot_serve_production_is_refused(server: HostingServer, provider: str) -> None:
    server.states["one"] = "error"
    server.contexts["two"] = "preview"
    assert "is error, not" in refused(server, place(server, provider, deployment="one"))["msg"]
    assert "production" in refused(server, place(server, provider, deployment="two"))["msg"]
    assert refused(server, place(server, provider))["error_kind"] == "target_missing"
    assert refused(server, place(server, provider, deployment="../x"))["error_kind"] == "invalid_options"
    assert (server.current, server.writes()) == ("bad", [])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [("401", "access_denied"), ("402", "unsupported"), ("409", "target_in_use"), ("422", "invalid_options")],
)
def test_a_refusal_is_one_error_and_switches_nothing(
    server: HostingServer, provider: str, status: str, kind: str
) -> None:
    server.faults = [Fault("POST ", before=status)]
    result = refused(server, place(server, provider))
    assert (result["error_kind"], "Nothing was changed." in result["msg"], server.current) == (kind, True, "bad")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lost_answer_is_decided_by_the_state_of_the_provider(server: HostingServer, provider: str) -> None:
    server.faults = [Fault("POST ", after="drop")]
    done = act(server, place(server, provider))
    assert (done["answer_lost"], server.current) == (True, "two")
    server.faults = [Fault("POST ", before="drop")]
    result = refused(server, place(server, provider, deployment="one"), deploy_timeout=0.2)
    assert (result["error_kind"], result["applied"], server.current) == ("timeout", "unknown", "two")


def test_a_switch_that_vercel_reports_as_failed_can_be_repeated(server: HostingServer) -> None:
    server.job = "failed"
    result = refused(server, place(server, "vercel"))
    assert (result["error_kind"], "the switch to two failed" in result["msg"]) == ("service_failed", True)
    server.job = "succeeded"
    assert act(server, place(server, "vercel"))["changed"] and server.current == "two"


def test_a_deployment_that_does_not_answer_as_expected_is_reported_with_its_undo(server: HostingServer) -> None:
    result = refused(server, place(server, "netlify"), **proof(server, "one"))
    assert (result["error_kind"], result["undo"]) == ("check_failed", {"netlify": {"deployment": "bad", "lock": False}})


def test_a_hook_is_called_once_and_proved_by_the_site(server: HostingServer) -> None:
    server.slow_builds = 3
    hook = {"hook": {"url": f"{server.url}{HOOK}"}, **proof(server, server.head)}
    assert act(server, hook, check_mode=True)["changed"] is True
    assert server.writes() == []
    done = act(server, hook)
    assert (done["proved"], server.current, server.writes()) == (True, "built", [f"POST {HOOK}"])
    assert act(server, hook)["changed"] is False
    result = refused(server, {**hook, "health_body": {"build": "e" * 40}}, deploy_timeout=0.2)
    assert (result["error_kind"], len(server.writes())) == ("check_failed", 2)
    server.faults = [Fault("POST ", before="404")]
    assert refused(server, {**hook, "health_body": "x"})["error_kind"] == "access_denied"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"hook": {"url": "http://x/hook"}}, "`health_url` and `health_body` are required"),
        ({"hook": {"url": "ftp://x"}, "health_url": "http://x/", "health_body": "x"}, "`hook.url` must be an HTTP"),
        ({"vercel": {"project": "p", "token": TOKEN, "action": "promote"}}, "`vercel.deployment` is required"),
        ({"vercel": {"project": "p", "token": TOKEN}, "poll_seconds": 0}, "`poll_seconds` must be above 0"),
        ({"vercel": {"project": "p", "token": TOKEN}, "hook": {"url": "http://x/"}}, "mutually exclusive"),
        ({}, "one of the following is required"),
    ],
)
def test_a_wrong_request_is_refused(server: HostingServer, options: Options, part: str) -> None:
    result = refused(server, options)
    assert part in result["msg"], result["msg"]
    assert server.requests == []
