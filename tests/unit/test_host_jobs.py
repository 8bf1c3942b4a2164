# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of a backup host follow from its sources."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.lifeline.recovery.plugins.filter.host_jobs import host_jobs, host_schedules

TIMES: dict[str, t.Any] = {
    "calendar": {"hourly": "*-*-* *:00:00 UTC", "daily": "*-*-* 02:00:00 UTC"},
    "verify": {"weekly": "Sun *-*-* 07:00:00 UTC"},
    "checks": "*-*-* *:30:00 UTC",
    "prune": "*-*-* 05:00:00 UTC",
    "drills": {"rows_deleted": "Fri *-*~07/1 10:00:00 UTC"},
    "reports_dir": "/reports",
}
LOGIN = {"login_password": "not-to-be-shown"}


def commands(*sources: dict[str, t.Any], **times: t.Any) -> dict[str, tuple[str, dict[str, t.Any]]]:
    jobs = host_jobs([{"kind": "postgresql", **source} for source in sources], {**TIMES, "drills": {}, **times})
    return {job["unit"].removeprefix("lifeline-"): (job["playbook"], job["vars"]) for job in jobs}


def test_each_tier_level_check_and_policy_of_a_source_is_a_job() -> None:
    source = {"name": "school", "tiers": ["hourly", "daily"], "checks": [1], "retention": [1]}
    assert commands(source) == {
        "backup-school-hourly": ("backup", {"recovery_tier": "hourly"}),
        "backup-school-daily": ("backup", {"recovery_tier": "daily"}),
        "verify-school-weekly": ("verify", {"recovery_level": "weekly"}),
        "check-school": ("check", {"recovery_sample": 0}),
        "prune-school": ("prune", {}),
    }
    assert set(commands(source, checks="", prune="", verify={})) == {"backup-school-hourly", "backup-school-daily"}
    assert set(commands({"name": "media", "kind": "bucket", "checks": [1]})) == {
        "backup-media-daily",
        "verify-media-weekly",
        "check-media",
    }
    assert set(commands({"name": "learning", "kind": "supabase"})) == {"verify-learning-weekly"}


def test_the_policy_for_kept_databases_is_the_confirmation_of_a_scheduled_prune() -> None:
    source = {"name": "a", "retention": [1], "database": "x -e recovery_y=z"}
    assert commands({**source, "kept_databases": {"keep_days": 3}})["prune-a"][1] == {
        "recovery_confirmed_by_policy": True
    }
    assert commands(source)["prune-a"][1] == {}


def test_a_drill_has_no_source_and_jobs_have_no_secret() -> None:
    jobs = host_jobs([{"name": "a", "kind": "d1", "connection": LOGIN}], TIMES)
    assert (jobs[-1]["source"], jobs[-1]["playbook"], jobs[-1]["paths"]) == ("", "drill", [])
    assert "not-to-be-shown" not in str(jobs)
    assert host_jobs([], {"calendar": {}}) == []


def test_jobs_may_write_to_folders_of_their_store_its_copies_and_their_sandbox() -> None:
    store = {"path": "/srv/sets", "copies": [{"path": "/mnt/copy"}, {"bucket": "b"}]}
    (job, *_rest) = host_jobs([{"name": "a", "kind": "d1", "store": store, "sandbox_path": "/sandbox"}], TIMES)
    assert job["paths"] == ["/srv/sets", "/mnt/copy", "/sandbox"]


def test_a_job_is_a_schedule_of_a_controller() -> None:
    (schedule, drill) = host_schedules(host_jobs([{"name": "a", "kind": "d1"}], {**TIMES, "verify": {}}))
    assert schedule["unified_job_template"] == "lifeline.recovery.backup"
    assert schedule["extra_data"] == {"recovery_tier": "daily", "recovery_source": "a"}
    assert "recovery_source" not in drill["extra_data"]
    with pytest.raises(AnsibleFilterError):
        host_schedules([{"unit": "x", "playbook": "backup", "vars": {}, "source": "", "calendar": "sometimes"}])
