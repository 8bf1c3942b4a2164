# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills of lost rows pass, and fail when nothing is recovered."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._d1.api import D1Api
from tests.doubles.archived import can_run
from tests.doubles.d1 import ACCOUNT, D1Server
from tests.integration.test_playbooks import play

POINT_IN_TIME = pytest.param(
    "point_in_time", marks=pytest.mark.skipif(not can_run(), reason="needs PostgreSQL 15 and pgBackRest")
)
D1_SCENARIOS = ["d1_loss", "d1_tenant_deleted", "d1_bad_migration"]
SCENARIOS = ["rows_deleted", "table_truncated", "table_dropped", "bad_update", "tenant_deleted", POINT_IN_TIME]


def drill(scenario: str, folder: Path, **options: t.Any) -> tuple[int, dict[str, t.Any]]:
    """The exit code and the report."""
    variables = {
        "drill_scenario": scenario,
        "drill_rows": 2000,
        "drill_reports_dir": str(folder / "reports"),
        "drill_sandbox_path": f"/tmp/{folder.parent.name}-{os.getpid()}-{scenario}",
        **options,
    }
    done = play("drill", variables, folder)
    return done.returncode, json.loads((folder / "reports/latest/report.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS + D1_SCENARIOS)
def test_a_drill_of_lost_rows_passes(scenario: str, tmp_path: Path) -> None:
    code, report = drill(scenario, tmp_path, drill_estimate_seconds={"max": "0.01 s"})
    assert (code, report["verdict"], report["scenario"]) == (0, "passed", scenario)
    assert report["estimate_exceeded"] is True
    assert "more than the 10 ms that were estimated." in report["notes"][0]
    assert report["fingerprint"]["equal"] is True
    assert report["fingerprint"]["rows"] > 0
    assert report["rto"]["met"] is True
    assert all(test["caught"] for test in report["self_tests"])


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS + D1_SCENARIOS)
def test_a_drill_that_recovers_nothing_fails(scenario: str, tmp_path: Path) -> None:
    code, report = drill(scenario, tmp_path, drill_recover=False)
    assert code != 0
    assert report["verdict"] == "failed"
    assert report["fingerprint"]["equal"] is False


@pytest.mark.slow
@pytest.mark.parametrize("scenario", D1_SCENARIOS)
def test_a_drill_in_an_account_of_cloudflare_passes_and_leaves_no_database(
    scenario: str, d1: D1Server, tmp_path: Path
) -> None:
    code, report = drill(scenario, tmp_path, drill_d1_connection=d1.options())
    assert (code, report["verdict"], report["fingerprint"]["equal"]) == (0, "passed", True)
    assert list(D1Api(Account(ACCOUNT, d1.api_token, d1.api_url)).list()) == []
