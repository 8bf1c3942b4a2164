# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and output of playbooks for an ordinary user whose collection is installed and not writable."""

from __future__ import annotations

import json
import re
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import AuditQuery, read_audit
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.fakes.sinks import http_sink
from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


def flat(text: str) -> str:
    """Without line breaks, and without the quotes that Ansible prints around lines."""
    return " ".join(text.replace('",\n', "\n").replace(' "', " ").split())


@pytest.mark.slow
def test_a_drill_of_sample_data_reports_where_it_was_started_and_is_no_rehearsal(
    operator: Operator, store: Options, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    run_module("bucket_backup", {"source": "media", "files": files, "store": store})
    done = operator.cold.play(
        "drill", "-e", "drill_scenario=d1_loss", "-e", "drill_rows=1000", "-e", "drill_source=media",
        inventory={"recovery_environment": "sandbox", "recovery_store": store},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = Path(f"{operator.home}/reports/latest").resolve() / "report.html"
    assert f"Report: {page}" in flat(done.stdout)
    assert "Passed: drill d1_loss over sample data, no rehearsal of media (sandbox)." in flat(done.stdout)
    report = json.loads((page.parent / "report.json").read_text())
    assert (report["verdict"], report["data_origin"]) == ("passed", "sample")
    (record,) = read_audit(open_store(StoreOptions(**store)), "media", AuditQuery(operation="drill")).records
    assert (record.status, record.details["data_origin"]) == ("passed", "sample")
    # The record lies under the source, and the source was not rehearsed.
    found = run_module(
        "recovery_status", {"source": "media", "engine": "none", "store": store, "drilled_within_seconds": 86400}
    )
    assert found["drill"] is None
    assert [breach["event"] for breach in found["breaches"]] == ["drill.overdue"]
    shutil.rmtree(operator.home / "reports")


def test_a_drill_without_its_collections_starts_nothing(operator: Operator) -> None:
    sandbox = operator.home / "sandbox-of-a-drill"
    done = operator.cold.play(
        "drill", inventory={"recovery_environment": "sandbox", "drill_sandbox_path": str(sandbox)},
        environment={"ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "The collection community.postgresql is required" in flat(done.stdout + done.stderr)
    assert not sandbox.exists()
    assert not (operator.home / "reports").exists()


def test_an_export_takes_the_sources_of_the_inventory_to_a_relative_path(
    operator: Operator, postgres: PostgresServer, database: str, store: Options, tmp_path: Path
) -> None:
    with postgres.session(database) as cursor:
        cursor.execute("CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1), (2)")
    (operator.home / "bucket").mkdir()
    (operator.home / "bucket/first").write_text("first")
    login = {**postgres.module_options(), "login_db": database}
    inventory = {
        "recovery_sources": [
            {"name": "school", "database": database, "connection": login},
            {
                "name": "media", "kind": "bucket",
                "files": {"provider": "directory", "path": str(operator.home / "bucket")},
            },
        ],
        "recovery_store": store,
        "recovery_export_path": "out",
    }  # fmt: skip
    done = operator.cold.play("export", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"exported school, media to {operator.home}/out" in flat(done.stdout)
    returned = json.loads((operator.home / "out/export.json").read_text())
    assert (returned["databases"][0]["source"], returned["databases"][0]["rows"]) == ("school", 2)
    assert returned["files"] == {"media": 1}
    assert (operator.home / "out/files/media/first").read_text() == "first"
    assert postgres.password not in done.stdout
    again = operator.play("export", "-e", "recovery_source=media", inventory=inventory)
    assert f"{operator.home}/out exists. Nothing was done." in flat(again.stdout + again.stderr)
    shutil.rmtree(operator.home / "out")
    shutil.rmtree(operator.home / "bucket")


def test_a_misspelt_check_is_a_fault_of_the_configuration_and_no_damage(operator: Operator, store: Options) -> None:
    with http_sink() as web:
        inventory = {
            "recovery_sources": [
                {
                    "name": "school", "checks": [{"type": "row_cuont"}], "rpo_seconds": 86400,
                    "connection": {"login_host": "127.0.0.1", "login_port": 1},
                }
            ],
            "recovery_source": "school",
            "recovery_store": store,
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook", "details": True}],
        }  # fmt: skip
        done = operator.cold.play("check", inventory=inventory)
        assert done.returncode != 0
        (returned,) = [one.json for one in web.at("/hook")]
    assert "did you mean 'row_count'?" in flat(done.stdout + done.stderr)
    assert (returned["event"], returned["details"]["severity"]) == ("check.misconfigured", "error")
    assert returned["details"]["hint"] == "Correct these entries of checks."
    found = run_module("recovery_status", {"source": "school", "engine": "none", "store": store})
    assert {one["event"]: one["severity"] for one in found["breaches"]} == {
        "backup.missing": "critical", "check.misconfigured": "error"
    }  # fmt: skip


def test_backup_host_shows_in_check_mode_what_it_would_do_on_a_new_host(operator: Operator) -> None:
    inventory = {
        "recovery_sources": [{"name": "school", "database": "school"}],
        "recovery_store": {"provider": "directory", "path": "/var/backups/lifeline"},
        "backup_host_home": "/var/lib/lifeline-of-nobody",
        "backup_host_config": "/etc/lifeline-of-nobody",
        "ansible_become": False,
    }
    done = operator.cold.play("backup_host", "--check", "-e", "recovery_hosts=localhost", inventory=inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "This host is new. A run would also install the collection" in flat(done.stdout)
    wrong = [{**inventory["recovery_sources"][0], "checks": [{"type": "row_cuont"}]}]
    done = operator.play(
        "backup_host", "--check", "-e", "recovery_hosts=localhost", inventory={**inventory, "recovery_sources": wrong}
    )
    assert done.returncode != 0
    assert "did you mean 'row_count'?" in flat(done.stdout + done.stderr)


def test_sets_lists_what_is_selected_in_a_table_that_fits(operator: Operator, store: Options, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    made = {
        (source, tier): run_module("bucket_backup", {"source": source, "tier": tier, "files": files, "store": store})
        for source, tier in (("media", "daily"), ("media", "emergency"), ("other", "daily"))
    }
    ids = {name: result["set_id"] for name, result in made.items()}
    done = operator.cold.play("sets", inventory={"recovery_store": store})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.strip(' ",') for line in done.stdout.splitlines()]
    assert {"media: 2 sets", "other: 1 set"} <= set(lines)
    assert [line for line in lines if line.startswith(ids["media", "emergency"]) and "emergency" in line]
    assert max(len(line) for line in done.stdout.splitlines() if "20" in line and "daily" in line) <= 80
    inventory = {"recovery_store": store, "recovery_sources": [{"name": "media", "kind": "bucket"}, {"name": "other"}]}
    chosen = operator.play(
        "sets", "-e", "recovery_source=media", "-e", "recovery_tier=daily",
        "-e", "recovery_before=2999-01-01T00:00:00Z",
        inventory=inventory,
    )  # fmt: skip
    assert chosen.returncode == 0, chosen.stdout + chosen.stderr
    assert "media: 1 set" in chosen.stdout
    assert "other" not in chosen.stdout.partition("Print the backup sets")[2]
    assert ids["media", "daily"] in chosen.stdout


def test_status_looks_at_the_selected_source_with_the_objective_of_the_inventory(
    operator: Operator, store: Options, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    run_module("bucket_backup", {"source": "media", "files": files, "store": store})
    sources = [{"name": "media", "kind": "bucket"}, {"name": "other", "kind": "bucket"}]
    inventory = {"recovery_store": store, "recovery_sources": sources, "recovery_rpo_seconds": 1}
    done = operator.cold.play("status", "-e", "recovery_source=media", inventory=inventory)
    assert done.returncode != 0
    assert "media critical - " in flat(done.stdout)
    assert re.search(r"media backup \d{4}-\d\d-\d\d \d\d:\d\d succeeded", flat(done.stdout)), done.stdout
    assert "CRITICAL: media: the newest set is" in flat(done.stdout)
    assert "the objective is 1.0 s." in flat(done.stdout)
    assert "other" not in done.stdout


def test_misspelt_checks_of_a_restore_are_refused_before_it_begins(operator: Operator, store: Options) -> None:
    inventory = {"recovery_store": store, "recovery_source": "school", "recovery_database": "school"}
    done = operator.play("restore", inventory={**inventory, "restore_checks": [{"type": "row_cuont"}]})
    assert done.returncode != 0
    returned = flat(done.stdout + done.stderr)
    assert "did you mean 'row_count'?" in returned
    assert "Nothing was changed. Correct restore_checks." in returned


def test_a_failed_run_ends_with_error_state_and_next_step(operator: Operator, store: Options) -> None:
    inventory = {
        "recovery_store": store, "recovery_source": "school", "recovery_database": "school",
        "recovery_connection": {"login_host": "127.0.0.1", "login_port": 1, "login_user": "a", "login_password": "47"},
    }  # fmt: skip
    done = operator.play("backup", inventory=inventory)
    assert done.returncode == 2, done.stdout
    lines = [line.strip().strip('",') for line in done.stdout.partition("PLAY RECAP")[0].splitlines()]
    lines = [line for line in lines if re.match("(Error|State|Next):", line)]
    assert [line.split(":")[0] for line in lines] == ["Error", "State", "Next"], done.stdout
    assert "127.0.0.1:1/school cannot be reached" in lines[0]
    several = {**inventory, "recovery_sources": [{"name": "school"}, {"name": "media"}]}
    both = operator.play("backup", "-e", "recovery_source=school,media", inventory=several)
    last = both.stdout.rpartition("TASK [Fail because a source failed]")[2]
    assert [name for name in ("school", "media") if f'"{name}: PostgreSQL at 127.0.0.1:1' in last] == [
        "school",
        "media",
    ]
