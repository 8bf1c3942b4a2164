# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills of lost rows pass, fail when nothing is recovered, and compare every table that their fault damages."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.backup.fingerprint import (
    take_fingerprint,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fingerprint import Fingerprint, compare
from tests.support.data.school import load_school
from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.runner.server import ROOT
from tests.support.servers.archived import can_run
from tests.support.servers.d1 import ACCOUNT, D1Server
from tests.support.servers.postgres import PostgresServer

POINT_IN_TIME = pytest.param(
    "point_in_time", marks=pytest.mark.skipif(not can_run(), reason="needs PostgreSQL 15 and pgBackRest")
)
D1_SCENARIOS = ["d1_loss", "d1_tenant_deleted", "d1_bad_migration"]
#: Scenarios that differ in their fault and in the tables that are restored and compared, by name.
VARIABLES = yaml.safe_load((ROOT / "roles/drill/vars/main.yml").read_text())
ROW_SCENARIOS: dict[str, dict[str, t.Any]] = VARIABLES["drill_row_scenarios"]
SITE_SCENARIOS: list[str] = list(VARIABLES["drill_site_scenarios"])
APPLICATION_SCENARIOS: list[str] = list(VARIABLES["drill_application_scenarios"])


def drill(scenario: str, folder: Path, **options: t.Any) -> tuple[int, dict[str, t.Any]]:
    """The exit code and the report."""
    variables = {
        "drill_scenario": scenario,
        "drill_rows": 2000,
        # For a slow machine; these tests concern no objective.
        "drill_rto_seconds": 900,
        "drill_reports_dir": str(folder / "reports"),
        "drill_sandbox_path": f"/tmp/{folder.parent.name}-{os.getpid()}-{scenario}",
        **options,
    }
    done = play("drill", variables, folder)
    return done.returncode, json.loads((folder / "reports/latest/report.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [*ROW_SCENARIOS, POINT_IN_TIME, *D1_SCENARIOS, *SITE_SCENARIOS, "courses_damaged"])
def test_a_drill_of_lost_rows_passes(scenario: str, tmp_path: Path) -> None:
    code, report = drill(scenario, tmp_path, drill_estimate_seconds={"max": "0.01 s"})
    assert (code, report["verdict"], report["scenario"]) == (0, "passed", scenario)
    assert report["estimate_exceeded"] is True
    assert "more than the 10 ms that were estimated." in " ".join(report["notes"])
    assert report["fingerprint"]["equal"] is True
    assert report["fingerprint"]["rows"] > 0
    assert report["rto"]["met"] is True
    assert all(test["caught"] for test in report["self_tests"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario", ["rows_deleted", POINT_IN_TIME, *D1_SCENARIOS, *SITE_SCENARIOS, *APPLICATION_SCENARIOS]
)
def test_a_drill_that_recovers_nothing_fails(scenario: str, tmp_path: Path) -> None:
    code, report = drill(scenario, tmp_path, drill_recover=False)
    assert code != 0
    assert report["verdict"] == "failed"
    assert report["fingerprint"]["equal"] is False


@pytest.mark.slow
def test_every_scenario_of_the_application_restores_its_content(tmp_path: Path) -> None:
    folder = f"/tmp/{tmp_path.parent.name}-{os.getpid()}-application"
    options = {"drill_rows": 1000, "drill_reports_dir": str(tmp_path / "reports"), "drill_sandbox_path": folder}
    variables = {"scenarios": APPLICATION_SCENARIOS, "results": str(tmp_path), **options}
    done = play(str(ROOT / "tests/data/playbooks/application_drills.yml"), variables, tmp_path)
    assert done.returncode == 0, done.stdout
    assert not Path(folder).exists()
    for scenario in APPLICATION_SCENARIOS:
        result = json.loads((tmp_path / f"{scenario}.json").read_text())
        # The comparison before the recovery is the one of a drill that recovers nothing, whose verdict is failed.
        assert [(test["damage"], test["caught"]) for test in result["damaged"]] == [(scenario, True)]
        assert result["recovered"]["equal"] is True, result["recovered"]["summary"]


@dataclass(frozen=True)
class School:
    """The database of the sandbox, to be copied as a template; store has a set of it. roots: partition to its root."""

    database: str
    fingerprint: Fingerprint
    store: dict[str, t.Any]
    roots: dict[str, str]


@pytest.fixture(scope="module")
def school(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[School]:
    database = postgres.create_database()
    load_school(postgres, database)
    store = {"provider": "directory", "path": str(tmp_path_factory.mktemp("school") / "store")}
    run_module("pg_backup", {"source": "school", "store": store, **postgres.module_options(database)})
    with postgres.session(database) as cursor:
        cursor.execute(
            "SELECT format('%I.%I', relnamespace::regnamespace, relname), 'public.' || pg_partition_root(oid)::regclass"
            " FROM pg_class WHERE relispartition AND relkind = 'r'"
        )
        roots = dict(cursor.fetchall())
    yield School(database, take_fingerprint(postgres.options(database), "full"), store, roots)
    postgres.drop_database(database)


@pytest.mark.parametrize("scenario", ROW_SCENARIOS)
def test_a_drill_compares_every_table_that_its_fault_damages(
    postgres: PostgresServer, school: School, scenario: str
) -> None:
    plan = ROW_SCENARIOS[scenario]
    sandbox = {"recovery_environment": "sandbox"}
    with postgres.session() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        server = {"system_identifier": cursor.fetchone()[0], **postgres.module_options(), **sandbox}
    database = postgres.create_database(template=school.database)
    try:
        run_module("drill_fault", {"fault": scenario, "database": database, **server})
        with postgres.session(database) as cursor:
            cursor.execute(plan["damaged"])
            assert cursor.fetchone() == (True,)
        # As the drill compares when it has recovered nothing.
        login = {**postgres.module_options(database), "source": "school", "store": school.store, **sandbox}
        exact = {"tables": plan["tables"], "mode": "exact", "max_deletes": 1_000_000_000}
        assert run_module("pg_restore_table", {**login, **exact}, check_mode=True)["changed"] is True
        now = compare(school.fingerprint, take_fingerprint(postgres.options(database), "full"))
        damaged = {item.what.partition(" ")[2] for item in now.differences if item.what.startswith("table ")}
        assert damaged
        assert {school.roots.get(table, table) for table in damaged} <= set(plan["tables"])
    finally:
        postgres.drop_database(database)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", D1_SCENARIOS)
def test_a_drill_in_an_account_of_cloudflare_passes_and_leaves_no_database(
    scenario: str, d1: D1Server, tmp_path: Path
) -> None:
    code, report = drill(scenario, tmp_path, drill_d1_connection=d1.options())
    assert (code, report["verdict"], report["fingerprint"]["equal"]) == (0, "passed", True)
    assert list(D1Api(Account(ACCOUNT, d1.api_token, d1.api_url)).list()) == []
