# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units of systemd as the roles write them; that they run is shown in containers."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.filter.host_jobs import host_jobs
from tests.support.playbooks import command_environment, run_playbook
from tests.support.runner.server import ROOT

STORE = {"provider": "directory", "path": "/srv/sets", "copies": [{"path": "/mnt/copy"}, {"bucket": "b"}]}
TIMES = {"calendar": {"daily": "*-*-* 02:00:00 UTC"}, "drills": {"x": "Fri"}, "reports_dir": "/reports"}
JOB, DRILL = host_jobs([{"name": "school", "kind": "postgresql", "store": STORE}], TIMES)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with status.service, and job.service of a backup and of a drill."""
    folder = tmp_path_factory.mktemp("units")

    def task(role: str, template: str, name: str, **variables: t.Any) -> dict[str, t.Any]:
        source = ROOT / f"roles/{role}/templates/{template}.j2"
        return {"ansible.builtin.template": {"src": str(source), "dest": str(folder / name)}, "vars": variables}

    sources = [{"name": f"source{number}"} for number in range(5)]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "vars_files": [str(ROOT / f"roles/{role}/defaults/main.yml") for role in ("backup_host", "monitoring")],
        "tasks": [
            task("backup_host", "job.service", "backup.service", _backup_host_job=JOB),
            task("backup_host", "job.service", "drill.service", _backup_host_job=DRILL),
            task(
                "monitoring", "status.service", "status.service",
                monitoring_sources=sources, monitoring_textfile_dir="/var/lib/node-exporter",
            ),
        ],
    }  # fmt: skip
    (folder / "play.yml").write_text(json.dumps([play]))
    done = run_playbook(["-i", "localhost,", "-c", "local", "play.yml"], folder, command_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def options(unit: Path) -> dict[str, str]:
    """The last value of each option."""
    return dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")


def test_a_store_of_files_may_be_written_and_one_that_is_not_mounted_stops_no_unit(units: Path) -> None:
    assert options(units / "backup.service")["ReadWritePaths"] == "/var/lib/lifeline -/srv/sets -/mnt/copy"
    assert options(units / "status.service")["ReadWritePaths"] == "/var/lib/lifeline -/var/lib/node-exporter"


def test_a_drill_has_the_channels_of_the_host(units: Path) -> None:
    assert options(units / "backup.service")["ExecStart"].split(" -e ")[1:] == [
        "@/etc/lifeline/school.yml",
        "recovery_source=school",
        "recovery_tier=daily",
    ]
    assert "-e @/etc/lifeline/.drills.yml" in options(units / "drill.service")["ExecStart"]


def test_a_look_needs_no_disk_and_has_time_for_every_source(units: Path) -> None:
    look = options(units / "status.service")
    assert look["RuntimeDirectory"] == "lifeline-status"
    assert "ANSIBLE_LOCAL_TEMP=/run/lifeline-status" in (units / "status.service").read_text()
    assert int(look["TimeoutStartSec"]) >= 5 * 120
