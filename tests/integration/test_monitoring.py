# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table, the rules of Prometheus and the dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.lifeline.recovery.plugins.module_utils._providers.judge import unknown_page
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.model import PageState, WantedPage
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.status import provider_metrics
from ansible_collections.lifeline.recovery.plugins.module_utils._status.judge import judge
from ansible_collections.lifeline.recovery.plugins.module_utils._status.openmetrics import status_metrics
from tests.support.data.facts import LIMITS, NOW, SOUND
from tests.support.fakes.sinks import http_sink
from tests.support.playbooks import command_environment, play, run_playbook
from tests.support.runner.modules import run_module
from tests.support.runner.server import ROOT

ROLE = ROOT / "roles/monitoring"
CACHED = ROOT / ".cache/bin/promtool"
PROMTOOL = shutil.which("promtool") or (str(CACHED) if CACHED.exists() else None)

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; make system brings it")


def promtool(*arguments: str, text: str = "", folder: Path | None = None) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], input=text, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as the role writes them."""
    folder = tmp_path_factory.mktemp("rules")
    task = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "monitoring_interval_seconds": 60,
            "monitoring_pitr_seconds": 129600,
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        },
        "vars_files": [str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.template": {
                    "src": str(ROLE / "templates/rules.yml.j2"),
                    "dest": str(folder / "rules.yml"),
                },
                "vars": {
                    "monitoring_limits": "{{ monitoring_usual_thresholds | combine("
                    "{'checked_within_seconds': 7200, 'drilled_within_seconds': 8035200,"
                    " 'verified_within_seconds': 691200}) }}"
                },
            }
        ],
    }
    (folder / "play.yml").write_text(json.dumps([task]))
    done = run_playbook(["-i", "localhost,", "-c", "local", "play.yml"], folder, command_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "rules.yml"


def named(text: str) -> set[str]:
    """The metrics that an expression names."""
    return set(re.findall(r"lifeline_[a-z_]+", text))


def shown() -> set[str]:
    """The metrics that a status has when all is known, and those of the timers of pgBackRest."""
    status = named(status_metrics(SOUND, LIMITS, judge(SOUND, LIMITS, NOW), NOW)) | {"lifeline_breach"}
    return status | named(providers()) | named((ROOT / "roles/pitr/files/pitr-metrics").read_text())


def providers() -> str:
    """The metrics of status pages, one of which does not answer."""
    down = PageState("supabase", "", "major", "", "", [], [], [], [], 0, NOW)
    return provider_metrics([down, unknown_page(WantedPage("github", ""), "it does not answer", NOW)], NOW)


def test_rules_and_dashboard_name_only_metrics_that_there_are(rules: Path) -> None:
    alerts = [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]
    used = {name for rule in alerts for name in named(rule["expr"])}
    assert used - shown() == set()
    dashboard = json.loads((ROLE / "files/dashboard.json").read_text())
    asked = {name for panel in dashboard["panels"] for target in panel["targets"] for name in named(target["expr"])}
    assert asked - shown() == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert len({rule["alert"] for rule in alerts}) == len(alerts)


@needs_promtool
def test_rules_metrics_and_dashboard_are_sound(rules: Path, tmp_path: Path) -> None:
    promtool("check", "rules", str(rules))
    promtool("check", "metrics", text=status_metrics(SOUND, LIMITS, judge(SOUND, LIMITS, NOW), NOW))
    promtool("check", "metrics", text=providers())
    dashboard = json.loads((ROLE / "files/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    records = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": records}]}))
    promtool("check", "rules", str(tmp_path / "queries.yml"))


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    pairs = ",".join(f'{key}="{value}"' for key, value in {"source": "school", **labels}.items())
    return {"series": f"{name}{{{pairs}}}", "values": values}


CASES = [
    # A look every minute; the alert fires after five that found nothing, and clears with the first that does.
    (
        "LifelineSourceUnreachable",
        "critical",
        [series("lifeline_source_reachable", "1 0x6 1x5")],
        ["5m"],
        ["7m"],
        ["8m"],
    ),
    ("LifelineRestoreFailed", "critical", [series("lifeline_restore_failed", "0 1x5 0x5")], ["1m"], ["3m"], ["8m"]),
    ("LifelineCheckFailed", "critical", [series("lifeline_check_passed", "1 0x5 1x5")], ["1m"], ["3m"], ["8m"]),
    (
        "LifelineCheckOverdue",
        "warning",
        [series("lifeline_check_timestamp_seconds", "0x150 9000x50")],
        ["119m"],
        ["122m"],
        ["152m"],
    ),
    ("LifelineBackupFailed", "critical", [series("lifeline_backup_last_success", "1 0x5 1x5")], ["1m"], ["3m"], ["8m"]),
    (
        "LifelineBackupOverdue",
        "critical",
        [
            series("lifeline_backup_recovery_point_timestamp_seconds", "0x200 12000x100"),
            series("lifeline_recovery_point_objective_seconds", "3600x300"),
        ],
        ["60m"],
        ["62m", "200m"],
        ["202m"],
    ),
    (
        "LifelineBackupSlow",
        "warning",
        [series("lifeline_backup_duration_seconds", "1799 1801x5 60x5")],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    (
        "LifelineBackupSize",
        "warning",
        [series("lifeline_backup_size_change_ratio", "0.19 -0.21x5 0x5")],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    (
        "LifelineStorageUsed",
        "warning",
        [
            series("lifeline_storage_used_bytes", "80 81x5 96x5", place="/spool"),
            series("lifeline_storage_size_bytes", "100x20", place="/spool"),
        ],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    (
        "LifelineStorageFull",
        "critical",
        [
            series("lifeline_storage_used_bytes", "80 95x5 80x5", place="/spool"),
            series("lifeline_storage_size_bytes", "100x20", place="/spool"),
        ],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    ("LifelineArchiveFailing", "critical", [series("lifeline_archive_failing", "0 1x5 0x5")], ["0m"], ["3m"], ["8m"]),
    (
        "LifelineReplicationLag",
        "warning",
        [series("lifeline_replication_lag_seconds", "1 301x5 1x5")],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    (
        "LifelineBreach",
        "warning",
        [
            series("lifeline_breach", "_ 1x15", event="drill.overdue", severity="warning", key="school/drill.overdue"),
            series("lifeline_recovery_drill_timestamp_seconds", "_x7 7x9"),
        ],
        ["1m"],
        ["4m"],
        ["9m"],
    ),
    (
        "LifelineBreach",
        "critical",
        [series("lifeline_breach", "_ 1x5 stale", event="backup.damaged", severity="critical", key="k")],
        ["1m"],
        ["4m"],
        ["9m"],
    ),
    (
        "LifelinePitrBackupFailed",
        "critical",
        [series("lifeline_pitr_backup_last_success", "1 0x5 1x5")],
        ["0m"],
        ["3m"],
        ["8m"],
    ),
    (
        "LifelinePitrBackupOverdue",
        "critical",
        [
            series("lifeline_pitr_backup_success_timestamp_seconds", "0x2200", type="full"),
            series("lifeline_pitr_backup_success_timestamp_seconds", "60x2170 130260x30", type="incr"),
        ],
        ["2161m"],
        ["2163m"],
        ["2172m"],
    ),
    # The page is silent for a while, and then reports the end.
    (
        "LifelineProviderOutage",
        "error",
        [series("lifeline_provider_level", "1 1 2x5 stale _x20 0x5", provider="supabase")],
        ["1m"],
        ["4m", "9m", "25m"],
        ["29m"],
    ),
    ("LifelineNobodyLooks", "critical", [series("lifeline_status_timestamp_seconds", "0x60")], ["15m"], ["17m"], []),
]


@needs_promtool
@pytest.mark.parametrize(
    ("alert", "severity", "given", "quiet", "firing", "clear"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_an_alert_fires_at_its_threshold_and_clears(
    rules: Path,
    tmp_path: Path,
    alert: str,
    severity: str,
    given: list[t.Any],
    quiet: list[str],
    firing: list[str],
    clear: list[str],
) -> None:
    def at(instant: str, fires: bool) -> dict[str, t.Any]:
        labels = {"source": "school", "severity": severity, **({"place": "/spool"} if "Storage" in alert else {})}
        if alert == "LifelineProviderOutage":
            labels["provider"] = "supabase"
        if alert == "LifelineBreach":
            labels["event"] = "drill.overdue" if severity == "warning" else "backup.damaged"
        return {"eval_time": instant, "alertname": alert, "exp_alerts": [{"exp_labels": labels}] if fires else []}

    moments = [*(at(instant, False) for instant in [*quiet, *clear]), *(at(instant, True) for instant in firing)]
    # Only that it fires is compared: the words are not what the thresholds are about.
    plain = yaml.safe_load(rules.read_text())
    for group in plain["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations")
    (tmp_path / "rules.yml").write_text(json.dumps(plain))
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": given, "alert_rule_test": moments}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    promtool("test", "rules", "test.yml", folder=tmp_path)


def test_a_person_sees_all_sources_at_a_glance(tmp_path: Path, folder_store: dict[str, t.Any]) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    run_module("bucket_backup", {"source": "media", "files": files, "store": folder_store})
    variables = {
        "recovery_store": folder_store,
        "recovery_sources": [
            {"name": "media", "kind": "bucket", "rpo_seconds": 86400, "files": files},
            {"name": "school", "rpo_seconds": 3600, "database": "x", "connection": {
                "login_host": "127.0.0.1", "login_port": 1, "login_password": "not-to-be-shown"}},
        ],
        "status_textfile_dir": str(tmp_path),
    }  # fmt: skip
    done = play("status", variables, tmp_path)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert any(re.search(r"SOURCE +LEVEL +ANSWERS +AGE +RPO +VERIFIED +DRILL", line) for line in lines)
    assert any(re.search(r"media +ok +yes +\d+s +24h +never +never", line) for line in lines)
    assert any(re.search(r"school +critical +no +none +60min", line) for line in lines)
    assert "CRITICAL: school: it has no backup set. Run a backup." in done.stdout
    assert "  Next step: Check that the timer runs" in done.stdout
    # The table is the last thing that is printed before the reason of the failure, and fits a terminal.
    # The last runs are printed above it, with the sources in their first column too.
    table = next(number for number, line in enumerate(lines) if re.search(r"SOURCE +LEVEL ", line))
    (last,) = [line for line in lines[table:] if line.startswith("TASK")]
    assert "Fail if a source has a breach or its state is unknown" in last
    end = next(number for number, line in enumerate(lines) if number > table and line.startswith("}"))
    assert max(len(line) for line in lines[table:end]) <= 80
    assert "not-to-be-shown" not in done.stdout + done.stderr
    assert {path.name for path in tmp_path.glob("*.prom")} == {"lifeline-media.prom", "lifeline-school.prom"}
    away = {**variables, "recovery_store": {"provider": "directory", "path": str(tmp_path / "file/away")}}
    (tmp_path / "file").write_text("in the way of a folder")
    assert re.search(r"media +critical +yes +unknown +24h +unknown +unknown", play("status", away, tmp_path).stdout)
    variables["status_fail_on"] = "never"
    assert play("status", variables, tmp_path).returncode == 0
    refused = play("status", {**variables, "recovery_sources": []}, tmp_path)
    assert "nothing to watch" in refused.stdout


def test_a_source_that_cannot_be_observed_is_reported_and_hides_no_other(
    tmp_path: Path, folder_store: dict[str, t.Any]
) -> None:
    Path(folder_store["path"]).mkdir()
    wrong = {"name": "wrong", "kind": "bucket", "thresholds": {"severities": {"nothing": "critical"}}}
    with http_sink() as web:
        variables = {
            "recovery_store": folder_store,
            "recovery_sources": [wrong, {"name": "media", "kind": "bucket"}],
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
            "recovery_notify_state_path": str(tmp_path / "incidents.json"),
            "status_fail_on": "never",
        }
        done = play("status", variables, tmp_path)
        assert done.returncode == 2, done.stdout
        assert "wrong cannot be looked at: severities has nothing" in done.stdout
        assert {(one.json["event"], one.json["source"]) for one in web.at("/hook")} == {
            ("status.failed", "wrong"),
            ("backup.missing", "media"),
        }
        wrong["thresholds"] = {}
        assert play("status", variables, tmp_path).returncode == 0
        ended = [one.json["message"] for one in web.at("/hook") if one.json["event"] == "status.failed"][1:]
        assert len(ended) == 1
        assert ended[0].startswith("Resolved: ")


def test_findings_of_a_server_stay_open_when_it_is_unreachable(tmp_path: Path, folder_store: dict[str, t.Any]) -> None:
    Path(folder_store["path"]).mkdir()
    state = tmp_path / "incidents.json"
    channels = [{"name": "hook", "type": "webhook", "url": "http://127.0.0.1:1/", "timeout": 1}]
    run_module(
        "notify",
        {
            "events": [{"event": "replication.stopped", "key": "school/replication.stopped", "message": "x"}],
            "source": "school",
            "complete": True,
            "channels": channels,
            "state_path": str(state),
        },
    )
    variables = {
        "recovery_store": folder_store,
        "recovery_source": "school",
        "recovery_database": "x",
        "recovery_connection": {"login_host": "127.0.0.1", "login_port": 1},
        "recovery_channels": channels,
        "recovery_notify_state_path": str(state),
        "status_fail_on": "never",
    }
    assert play("status", variables, tmp_path).returncode == 0
    assert "school/replication.stopped" in json.loads(state.read_text())["incidents"]


def test_a_run_of_pgbackrest_records_its_result_and_the_last_success(tmp_path: Path) -> None:
    def run(result: str) -> str:
        subprocess.run(
            [str(ROOT / "roles/pitr/files/pitr-metrics"), str(tmp_path), "school", "incr"],
            check=True, env={"SERVICE_RESULT": result, "PATH": os.environ["PATH"]},
        )  # fmt: skip
        (file,) = tmp_path.iterdir()
        assert (file.name, file.stat().st_mode & 0o777) == ("lifeline-pitr-school-incr.prom", 0o644)
        return file.read_text()

    labels = '{stanza="school",type="incr"} '
    never = run("exit-code")
    assert f"\nlifeline_pitr_backup_last_success{labels}0\n" in never
    assert "lifeline_pitr_backup_success_timestamp_seconds{" not in never
    well = run("success")
    assert f"\nlifeline_pitr_backup_last_success{labels}1\n" in well
    (at,) = re.findall(rf"^lifeline_pitr_backup_success_timestamp_seconds{re.escape(labels)}(\d+)$", well, re.M)
    failed = run("timeout")
    assert f"\nlifeline_pitr_backup_last_success{labels}0\n" in failed
    assert f"\nlifeline_pitr_backup_success_timestamp_seconds{labels}{at}\n" in failed
    if PROMTOOL is not None:
        promtool("check", "metrics", text=failed)
