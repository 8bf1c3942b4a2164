# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.doubles.modules import ROOT
from tests.doubles.postgres import PostgresServer
from tests.doubles.school import load_school


def play(name: str, variables: dict[str, t.Any], folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook with variables from a private file; its output is in the result."""
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(ROOT / "inventories/sandbox"),
         f"lifeline.recovery.{name}", "-e", f"@{file}", *extra],
        capture_output=True, text=True, check=False, cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": _tree(),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        },
    )  # fmt: skip


def _tree() -> str:
    import ansible_collections.lifeline.recovery as collection

    return str(Path(next(iter(collection.__path__))).parents[2])


@pytest.fixture
def inventory(postgres: PostgresServer, database: str, store: dict[str, t.Any]) -> dict[str, t.Any]:
    load_school(postgres, database)
    login = postgres.module_options()
    login.pop("login_db")
    return {
        "recovery_environment": "production",
        "recovery_source": "school",
        "recovery_database": database,
        "recovery_connection": login,
        "recovery_store": store,
    }


def test_backup_verify_check_and_restore(postgres: PostgresServer, inventory: dict[str, t.Any], tmp_path: Path) -> None:
    database = inventory["recovery_database"]
    outputs = []
    for name, more in (
        ("backup", {}),
        ("verify", {"recovery_rpo_seconds": 3600}),
        ("check", {"recovery_connection": {**inventory["recovery_connection"], "login_db": database},
                   "recovery_checks": [{"type": "foreign_keys"}, {"type": "sequences"}]}),
    ):  # fmt: skip
        done = play(name, {**inventory, **more}, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    late = play("verify", {**inventory, "recovery_rpo_seconds": 0, "recovery_verify_depth": "presence"}, tmp_path)
    assert late.returncode != 0
    assert "Back up more often" in late.stdout
    planned = play("restore", {**inventory, "restore_mode": "swap"}, tmp_path, "--check")
    assert planned.returncode == 0, planned.stdout
    assert "plan digest" in planned.stdout
    refused = play("restore", {**inventory, "restore_mode": "swap"}, tmp_path)
    assert refused.returncode != 0
    assert "recovery_confirm" in refused.stdout
    done = play("restore", {**inventory, "restore_mode": "swap", "recovery_confirm": database}, tmp_path, "-v")
    assert done.returncode == 0, done.stdout
    for text in (*outputs, late.stdout, planned.stdout, refused.stdout, done.stdout):
        assert postgres.password not in text
        assert inventory["recovery_store"]["secret_key"] not in text


@pytest.mark.parametrize(
    ("playbook", "wrong"),
    [
        ("backup", {"backup_tier": "yearly"}),
        ("restore", {"restore_mode": "swapp"}),
        ("restore", {"restore_jobs": "two"}),
        ("restore_rows", {"table_restore_mode": "all"}),
        ("restore_tenant", {"tenant_restore_mode": "all"}),
    ],
)
def test_a_wrong_argument_of_a_role_prints_no_secret(playbook: str, wrong: dict[str, t.Any], tmp_path: Path) -> None:
    inventory = {
        "recovery_source": "school",
        "recovery_database": "school",
        "recovery_connection": {"login_host": "127.0.0.1", "login_password": "secret-of-the-database"},
        "recovery_store": {"bucket": "b", "access_key": "a", "secret_key": "secret-of-the-store"},
    }
    done = play(playbook, {**inventory, **wrong}, tmp_path, "-vvv")
    assert done.returncode != 0
    assert "Validation of arguments failed" in done.stdout
    assert "secret-of-the" not in done.stdout + done.stderr


def test_rows_and_tenants_come_back(postgres: PostgresServer, inventory: dict[str, t.Any], tmp_path: Path) -> None:
    database = inventory["recovery_database"]

    def count() -> tuple[int, ...]:
        with postgres.session(database) as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM public.children), (SELECT count(*) FROM public.bookings)")
            return t.cast("tuple[int, ...]", cursor.fetchone())

    def delete(condition: str) -> None:
        with postgres.session(database) as cursor:
            cursor.execute(
                f"DELETE FROM public.bookings WHERE child_id IN (SELECT id FROM public.children {condition})"
            )
            cursor.execute(f"DELETE FROM public.children {condition}")

    assert play("backup", inventory, tmp_path).returncode == 0
    before = count()
    delete("WHERE id IN (11, 12)")
    wish = {
        **inventory,
        "table_restore_keys": {"children": [11, 12]},
        "table_restore_closure": "children",
        "recovery_reason": "An administrator deleted two children.",
    }
    refused = play("restore_rows", {**wish, "recovery_reason": ""}, tmp_path)
    assert refused.returncode != 0
    assert "Nobody will know why" in refused.stdout
    planned = play("restore_rows", wish, tmp_path, "--check", "--diff")
    assert planned.returncode == 0, planned.stdout
    assert "public.children: id='11'" in planned.stdout
    assert count() != before
    done = play("restore_rows", wish, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    delete("WHERE parent_id = md5('user9')::uuid")
    with postgres.session(database) as cursor:
        cursor.execute("SELECT md5('user9')::uuid::text")
        (key,) = cursor.fetchone()
    tenant = {
        **inventory,
        "recovery_tenant_table": "auth.users",
        "recovery_tenant_keys": [key],
        "recovery_reason": "A user's rows were deleted by mistake.",
        "tenant_restore_tier": "daily",
        "recovery_confirm": database,
    }
    nobody = play("restore_tenant", {**tenant, "recovery_tenant_keys": []}, tmp_path)
    assert "It is not said who" in nobody.stdout
    done = play("restore_tenant", tenant, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    with postgres.session(database) as cursor:
        cursor.execute("DROP TABLE public.bookings CASCADE")
    wish = {**inventory, "table_restore_tables": ["bookings"], "recovery_reason": "x", "table_restore_tier": "daily"}
    done = play("restore_table", wish, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    for text in (planned.stdout, done.stdout):
        assert postgres.password not in text
        assert inventory["recovery_store"]["secret_key"] not in text


@pytest.mark.slow
def test_a_drill_passes_leaves_a_report_and_nothing_else(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    variables = {
        "drill_reports_dir": str(reports),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-drill",
    }
    done = play("drill", variables, tmp_path, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((reports / "latest/report.json").read_text())
    assert report["verdict"] == "passed"
    assert report["fingerprint"]["equal"] is True
    assert [item["damage"] for item in report["self_tests"] if item["caught"]] == [
        "flipped_byte", "truncated", "missing", "empty_but_valid", "dropped_rows"
    ]  # fmt: skip
    assert {"backup", "failure", "detection", "decision", "fetch", "restore", "verify", "first_access"} <= {
        phase["name"] for phase in report["phases"]
    }
    assert report["rto"]["met"] is True
    assert report["rpo"]["observed_seconds"] > 0
    assert sorted(path.name for path in (reports / "latest").iterdir()) == [
        "junit.xml", "metrics.prom", "report.html", "report.json"
    ]  # fmt: skip
    assert not Path(variables["drill_sandbox_path"]).exists()


@pytest.mark.slow
def test_a_drill_that_misses_its_objective_fails(tmp_path: Path) -> None:
    variables = {
        "drill_reports_dir": str(tmp_path / "reports"),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-late",
        "drill_rto_seconds": 1,
        "drill_rows": 1000,
    }
    done = play("drill", variables, tmp_path)
    assert done.returncode != 0
    report = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert report["verdict"] == "failed"
    assert report["rto"]["met"] is False


def test_a_drill_refuses_production(tmp_path: Path) -> None:
    done = play("drill", {"recovery_environment": "production", "drill_reports_dir": str(tmp_path / "r")}, tmp_path)
    assert done.returncode != 0
    assert "Nothing was changed" in done.stdout
    assert not (tmp_path / "r").exists()
