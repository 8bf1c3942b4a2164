# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a maintenance: their hosts, their states, and the text of a maintenance that did not begin."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.plugin_utils.maintenance import (
    failure,
    mistakes,
    outcome_lines,
    plan,
    result_of,
    states,
)

STEPS = [
    {"name": "page", "hosts": ["web", "one"], "flag_file": {"path": "/x"}},
    {"name": "writes", "writes": {"roles": ["app"], "lock_timeout": 3, "probe": {"login_user": "app"}}},
]


def read(label: str, in_effect: bool, stored: bool) -> list[dict[str, t.Any]]:
    return [
        {"label": label, "state": "begun", "result": {"unchanged": {} if in_effect else None}},
        {"label": label, "state": "ended", "result": {"unchanged": None if stored else {}}},
    ]


def test_a_step_runs_once_on_each_host_of_its_groups() -> None:
    found = plan(STEPS, {"web": ["one", "two"]})
    assert [(one["label"], one["host"]) for one in found] == [
        ("page on one", "one"), ("page on two", "two"), ("writes", ""),
    ]  # fmt: skip
    assert found[2]["writes"] == {"roles": ["app"], "lock_timeout": 3}
    assert (found[2]["writes_end"], found[2]["probe"]) == ({"lock_timeout": 3}, {"login_user": "app"})


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], "is required"),
        ([{"name": "a"}], "got none"),
        ([{"name": "a", "pm2": {"apps": ["x"]}, "command": {"stop": ["x"]}}], "got pm2 and command"),
        ([{**STEPS[1], "hosts": ["web"]}], "must not have hosts"),
        ([STEPS[0], STEPS[0]], "must be unique, got page"),
        ([STEPS[1], {**STEPS[1], "name": "b"}], "got 2"),
    ],
)
def test_a_faulty_step_is_named(steps: list[dict[str, t.Any]], text: str) -> None:
    assert mistakes(STEPS) == []
    (found,) = mistakes(steps)
    assert text in found


def test_the_state_of_a_maintenance_is_that_of_all_steps() -> None:
    on = states([*read("page", True, True), *read("app", True, False)])
    assert (on["in_effect"], on["begun"]) == (True, True)
    cut_off = states([*read("page", True, True), *read("app", False, True)])
    assert (cut_off["in_effect"], cut_off["begun"]) == (False, True)
    assert states(read("page", False, False))["summary"] == "The maintenance is not in effect."
    # A session that waits to be ended does not mean that writes are allowed.
    waiting = {"label": "writes", "state": "begun", "result": {"unchanged": None, "statements": []}}
    assert states([waiting, *read("writes", True, True)[1:]])["in_effect"] is True
    assert any("begun, but not in effect" in text for text in outcome_lines(cut_off, False, "app"))


def test_a_maintenance_that_did_not_begin_names_the_state_of_the_application() -> None:
    lines = ["Error: no.", "State: stored in x.", "Next:  Start it. To end the step, set `state` to ended."]
    assert failure(lines, False, "app") == lines
    assert [text[:6] for text in failure(lines, True, "app")] == ["Error:", "State:", "Next: "]
    assert failure(lines, True, "app")[2] == "Next:  Start it."
    stuck = failure(lines, ["Error: the host is gone."], "app")
    assert "in effect in part" in stuck[1] and "the host is gone" in stuck[1] and "maintenance_action=off" in stuck[2]


def test_writers_that_are_not_stopped_are_printed() -> None:
    result = {"changed": True, "summary": "Stopped.", "not_stopped": ["the role cron"], "probes": []}
    found = result_of([{"label": "writes", "state": "begun", "result": result}], True)
    assert found["summary"] == "Began 1 step: writes."
    assert "Left:  not stopped: the role cron" in outcome_lines({**found, "keep": False}, False, "app")
