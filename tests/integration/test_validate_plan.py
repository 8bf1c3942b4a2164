# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans are judged by the module and by the playbook as an operator runs them."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.data.plans import PLATFORMS, changed, plain, plan_of, sound
from tests.support.fakes.sinks import http_sink
from tests.support.playbooks import command_environment, run_playbook
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.runner.server import ROOT

NOW = "2026-03-01T00:00:00Z"


def ansible(folder: Path, playbook: str, variables: dict[str, t.Any]) -> subprocess.CompletedProcess[str]:
    file = folder / "variables.json"
    file.write_text(json.dumps(plain(variables)))
    arguments = ["-i", str(ROOT / "inventories/sandbox"), playbook, "-e", f"@{file}"]
    return run_playbook(arguments, folder, command_environment())


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_sound_plan_passes(check_mode: bool) -> None:
    result = run_module(
        "validate_plan", {"plan": plain(sound()), "now": NOW, "fail_on": "warning"}, check_mode=check_mode
    )
    assert (result["changed"], result["verdict"], result["findings"]) == (False, "passed", [])
    assert result["counts"] == {"error": 0, "warning": 0, "info": 0}
    assert result["summary"] == f"The plan of School has no finding; {result['rules']} rules were applied."


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_plan_with_errors_fails_with_all_findings(platform: str) -> None:
    with pytest.raises(ModuleFailed) as caught:
        run_module("validate_plan", {"plan": plain(plan_of(platform)), "now": NOW})
    result = caught.value.result
    assert result["error_kind"] == "check_failed"
    assert result["verdict"] == "failed"
    assert len(result["table"]) == len(result["findings"]) == sum(result["counts"].values())


def test_fail_on_selects_the_severity_that_fails() -> None:
    warned = plain(changed(sound(), {"drills[3].last": None}))
    assert run_module("validate_plan", {"plan": warned, "now": NOW})["counts"]["warning"] == 1
    with pytest.raises(ModuleFailed, match="has 1 warning"):
        run_module("validate_plan", {"plan": warned, "now": NOW, "fail_on": "warning"})
    wrong = plain(changed(sound(), {"drills[0].last": "2020-01-01"}))
    result = run_module("validate_plan", {"plan": wrong, "now": NOW, "fail_on": "never"})
    assert [finding["id"] for finding in result["findings"]] == ["drill_overdue"]


def test_the_option_now_reports_what_will_be_overdue() -> None:
    later = run_module("validate_plan", {"plan": plain(sound()), "now": "2026-05-01", "fail_on": "never"})
    assert {finding["id"] for finding in later["findings"]} == {"drill_overdue", "review_overdue"}


def test_first_steps_have_days_counted_from_the_first() -> None:
    plan = plan_of("inner_odyssey")
    undated = run_module("validate_plan", {"plan": plain(plan), "now": NOW, "fail_on": "never"})
    assert {step["due"] for step in undated["first_steps"]} == {None}
    plan["document"]["begun"] = "2025-12-29"
    judged = run_module("validate_plan", {"plan": plain(plan), "now": NOW, "fail_on": "never"})
    days = ["2025-12-30", "2026-01-02", "2026-01-05", "2026-01-12", "2026-02-27"]
    assert [step["due"] for step in judged["first_steps"]] == days
    overdue = [finding["path"] for finding in judged["findings"] if finding["id"] == "first_step_overdue"]
    assert overdue == [f"first_steps[{number}].done" for number in range(5)]


def test_a_plan_that_cannot_be_read_fails_with_every_problem() -> None:
    wrong = changed(sound(), {"sources[0].objectives.rpo_seconds": 0, "stores[0].buckt": "x"})
    with pytest.raises(ModuleFailed) as caught:
        run_module("validate_plan", {"plan": plain(wrong), "fail_on": "never"})
    assert caught.value.result["error_kind"] == "invalid_options"
    assert [problem["path"] for problem in caught.value.result["problems"]] == [
        "sources[0].objectives.rpo_seconds",
        "stores[0].buckt",
    ]


def test_the_examples_run(tmp_path: Path) -> None:
    source = (ROOT / "plugins/modules/validate_plan.py").read_text(encoding="utf-8")
    match = re.search(r'EXAMPLES = r"""\n(.*?)"""', source, re.DOTALL)
    assert match is not None
    plan = changed(sound(), {"document.next_review": "2099-01-01"})
    for number in range(4):
        changed(plan, {f"drills[{number}].last": "2098-12-01"})
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": yaml.safe_load(match.group(1))}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    done = ansible(tmp_path, str(tmp_path / "play.yml"), {"recovery_plan": plan})
    assert done.returncode == 0, done.stdout
    assert "ok=3 " in done.stdout


def test_the_playbook_finds_the_plan_of_the_inventory_sound(tmp_path: Path) -> None:
    done = ansible(tmp_path, "lifeline.recovery.validate_plan", {"recovery_fail_on": "warning"})
    assert done.returncode == 0, done.stdout
    assert "The plan of School has no finding" in done.stdout


def test_the_playbook_prints_the_findings_and_fails(tmp_path: Path) -> None:
    plan = changed(plan_of("studio"), {"channels": []})
    del plan["channels"]
    secret = "https://hooks.example.org/a-secret-of-tests"
    channels = [{"name": "room", "type": "slack", "url": secret, "events": ["backup.failed"], "timeout": 5}]
    done = ansible(tmp_path, "lifeline.recovery.validate_plan", {"recovery_plan": plan, "recovery_channels": channels})
    assert done.returncode != 0
    assert "error   T15  stores[0].bucket" in done.stdout
    assert "stores[0].bucket: " in done.stdout
    assert "when a backup of studio-platform-db fails" not in done.stdout
    assert secret not in done.stdout + done.stderr


def test_channels_are_notified_of_a_plan_in_error_until_it_is_corrected(tmp_path: Path) -> None:
    wrong = plan_of("studio")
    with http_sink() as sink:
        variables = {
            "recovery_plan_now": NOW, "recovery_notify_state_path": str(tmp_path / "incidents.json"),
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{sink.url}/hook", "details": True}],
        }  # fmt: skip
        codes = [
            ansible(tmp_path, "lifeline.recovery.validate_plan", {**variables, "recovery_plan": plan}).returncode
            for plan in (wrong, sound())
        ]
        sent = [
            (one.json["event"], one.json["details"]["severity"], one.json["details"]["resolved"])
            for one in sink.at("/hook")
        ]
    assert codes == [2, 0]
    assert sent == [("validate_plan.failed", "error", False), ("validate_plan.succeeded", "info", True)]
