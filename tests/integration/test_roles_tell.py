# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every operation notifies of its start and its result; a broken channel changes nothing."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.fakes.sinks import HttpSink, http_sink
from tests.support.playbooks import play
from tests.support.runner.server import ROOT

Options = dict[str, t.Any]


@pytest.fixture
def web() -> t.Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def variables(tmp_path: Path, folder_store: Options, web: HttpSink) -> Options:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    return {
        "recovery_source": "media",
        "recovery_files": {"provider": "directory", "path": str(tmp_path / "files")},
        "recovery_store": folder_store,
        "recovery_channels": [
            {"name": "hook", "type": "webhook", "url": f"{web.url}/hook", "details": True},
            {"name": "dead", "type": "webhook", "url": "http://127.0.0.1:1/", "timeout": 1},
        ],
    }


def returned(web: HttpSink) -> list[Options]:
    return [one.json for one in web.at("/hook")]


def test_a_backup_its_verification_and_its_retention_notify(tmp_path: Path, variables: Options, web: HttpSink) -> None:
    for playbook in ("backup", "verify", "prune"):
        done = play(playbook, variables, tmp_path)
        assert done.returncode == 0, done.stdout
        assert "dead" in done.stdout
    operations = ("backup", "verify", "prune")
    assert [one["event"] for one in returned(web)] == [
        f"{name}.{word}" for name in operations for word in ("started", "succeeded")
    ]
    assert {one["source"] for one in returned(web)} == {"media"}
    assert returned(web)[1]["details"]["set_id"] in returned(web)[1]["message"]


UNREACHABLE = {
    "recovery_kind": "postgresql", "recovery_database": "x",
    "recovery_connection": {"login_host": "127.0.0.1", "login_port": 1},
}  # fmt: skip
NOWHERE = {"recovery_files": {"provider": "directory", "path": "/nowhere"}}
PROJECT = {"project_ref": "a" * 20, "access_token": "not-shown", "api_url": "http://127.0.0.1:1", "api_timeout": 2}


@pytest.mark.parametrize(
    ("playbook", "change", "event", "sentence"),
    [
        ("backup", NOWHERE, "backup", "The folder /nowhere does not exist"),
        ("backup", UNREACHABLE, "backup", "127.0.0.1:1"),
        (
            "backup",
            {"recovery_kind": "d1", "recovery_connection": {"path": "/nowhere.sqlite"}},
            "backup",
            "/nowhere.sqlite",
        ),
        ("verify", {}, "verify", "holds no backup set"),
        ("restore", UNREACHABLE, "restore", "127.0.0.1:1"),
        ("restore_rows", UNREACHABLE, "restore_rows", "recovery_reason is required"),
        ("verify", {"recovery_kind": "supabase", "recovery_connection": PROJECT}, "verify", "127.0.0.1"),
    ],
)
def test_an_operation_that_fails_notifies_of_the_reason_and_fails(
    tmp_path: Path, variables: Options, web: HttpSink, playbook: str, change: Options, event: str, sentence: str
) -> None:
    done = play(playbook, {**variables, "recovery_environment": "production", **change}, tmp_path)
    assert done.returncode == 2, done.stdout
    # A restore of rows that is refused did not start.
    started = [] if playbook == "restore_rows" else [f"{event}.started"]
    assert [one["event"] for one in returned(web)] == [*started, f"{event}.failed"]
    assert sentence in returned(web)[-1]["message"]
    assert sentence in done.stdout
    assert "not-shown" not in done.stdout + done.stderr + str(returned(web))


def test_a_channel_with_a_misspelt_option_or_a_wrong_value_silences_no_other(
    tmp_path: Path, variables: Options, web: HttpSink
) -> None:
    wrong = {"name": "duty", "type": "webhook", "ulr": f"{web.url}/not-shown"}
    late = {"name": "late", "type": "webhook", "url": f"{web.url}/not-shown", "after_seconds": "15min"}
    variables["recovery_channels"] = [wrong, late, variables["recovery_channels"][0]]
    done = play("backup", variables, tmp_path)
    assert done.returncode == 0, done.stdout
    assert [one["event"] for one in returned(web)] == ["backup.started", "backup.succeeded"]
    assert "after_seconds of channel late must be a number. Write it as 900." in done.stdout
    assert "The channel duty has ulr, which is no option of a channel." in done.stdout
    assert "not-shown" not in done.stdout + done.stderr
    tried = play("notify_test", variables, tmp_path)
    assert tried.returncode == 2
    assert "The channel duty has ulr" in tried.stdout


def test_the_role_knows_all_options_of_a_channel() -> None:
    source = (ROOT / "plugins/modules/notify.py").read_text()
    documented = yaml.safe_load(source.split('DOCUMENTATION = r"""')[1].split('"""')[0])
    known = yaml.safe_load((ROOT / "roles/notify/vars/main.yml").read_text())["notify_options"]
    assert known == list(documented["options"]["channels"]["suboptions"])


def test_check_mode_notifies_no_channel(tmp_path: Path, variables: Options, web: HttpSink) -> None:
    assert play("backup", variables, tmp_path, "--check").returncode == 0
    assert returned(web) == []


@pytest.mark.parametrize(
    ("channels", "reasons"),
    [(None, False), (5, True), ("{{ not_defined }}", True), ("{{ lookup('ansible.builtin.file', '/nowhere') }}", True)],
)
def test_channels_that_cannot_be_read_stop_no_backup(
    tmp_path: Path, variables: Options, channels: t.Any, reasons: bool
) -> None:
    done = play("backup", {**variables, "recovery_channels": channels}, tmp_path)
    assert done.returncode == 0, done.stdout
    assert ("channels cannot be read" in done.stdout) is reasons


def test_an_error_with_braces_is_notified_unchanged(tmp_path: Path, variables: Options, web: HttpSink) -> None:
    braces = "/nowhere {{ '{{ 7 * 7 }} {% set' }} \"quoted\" 'twice' \u00e9\n second"
    files = {"recovery_files": {"provider": "directory", "path": braces}}
    done = play("backup", {**variables, **files}, tmp_path)
    assert done.returncode == 2, done.stdout
    assert "{{ 7 * 7 }} {% set" in returned(web)[1]["message"]
    assert "{{ 7 * 7 }} {% set" in done.stdout


@pytest.mark.slow
def test_a_drill_that_cannot_report_is_notified_and_fails(tmp_path: Path, variables: Options, web: HttpSink) -> None:
    reports = tmp_path / "reports"
    (reports / "latest").mkdir(parents=True)
    (reports / "latest/in-the-way").write_text("")
    drill = {
        "drill_scenario": "d1_loss",
        "drill_rows": 1000,
        "drill_reports_dir": str(reports),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-told",
        "drill_store": {},
    }
    done = play("drill", {**variables, "recovery_environment": "sandbox", **drill}, tmp_path)
    assert done.returncode == 2, done.stdout
    own = [one for one in returned(web) if one["event"].startswith("drill.")]
    assert [one["event"] for one in own] == ["drill.started", "drill.failed"]
    assert own[1]["message"] in done.stdout
    assert not own[1]["message"].startswith("[DRILL]")
