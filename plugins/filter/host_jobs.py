# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._core.calendar import recurrence
from ..module_utils._core.errors import RecoveryError
from ..plugin_utils.sources import SUPABASE

Job = t.Dict[str, t.Any]


def host_jobs(sources: t.Sequence[t.Mapping[str, t.Any]], times: t.Mapping[str, t.Any]) -> list[Job]:
    """The jobs of a backup host, each with unit, title, source, playbook, vars, calendar and paths, without secrets.

    times: calendar by tier, verify by level, checks, prune, and drills by scenario with reports_dir. A source without
    checks or retention has no such job, and neither has one whose time is empty.
    """
    jobs: list[Job] = []
    for source in sources:
        jobs += _of_source(source, times)
    return jobs + [_drill(scenario, calendar, times) for scenario, calendar in (times.get("drills") or {}).items()]


def host_schedules(jobs: t.Sequence[Job]) -> list[dict[str, t.Any]]:
    """The jobs as schedules of a controller. Raises AnsibleFilterError for a time that has no rule of recurrence."""
    try:
        return [
            {
                "name": job["unit"],
                "unified_job_template": f"lifeline.recovery.{job['playbook']}",
                "rrule": recurrence(job["calendar"]),
                "extra_data": {**job["vars"], **({"recovery_source": job["source"]} if job["source"] else {})},
            }
            for job in jobs
        ]
    except RecoveryError as error:
        raise AnsibleFilterError(str(error)) from None


def _of_source(source: t.Mapping[str, t.Any], times: t.Mapping[str, t.Any]) -> t.Iterator[Job]:
    name, paths = source["name"], _paths(source)

    def job(unit: str, title: str, playbook: str, calendar: str, **variables: t.Any) -> Job:
        return {
            "unit": f"lifeline-{unit}", "title": title, "source": name, "playbook": playbook, "vars": variables,
            "calendar": calendar, "paths": paths,
        }  # fmt: skip

    # Supabase takes the backups of a project itself.
    for tier in [] if source["kind"] == SUPABASE else source.get("tiers") or ["daily"]:
        yield job(
            f"backup-{name}-{tier}", f"Back up {name} ({tier})", "backup", times["calendar"][tier], recovery_tier=tier
        )
    for level, calendar in (times.get("verify") or {}).items():
        yield job(f"verify-{name}-{level}", f"Verify {name} ({level})", "verify", calendar, recovery_level=level)
    if source.get("checks") and times.get("checks"):
        yield job(f"check-{name}", f"Check the content of {name}", "check", times["checks"], recovery_sample=0)
    if source.get("retention") and times.get("prune"):
        # The policy in the inventory is the standing confirmation of scheduled runs only.
        confirm = {"recovery_confirmed_by_policy": True} if source.get("kept_databases") else {}
        yield job(f"prune-{name}", f"Prune the sets of {name}", "prune", times["prune"], **confirm)


def _drill(scenario: str, calendar: str, times: t.Mapping[str, t.Any]) -> Job:
    variables = {"drill_scenario": scenario, "drill_environment": "sandbox", "drill_reports_dir": times["reports_dir"]}
    return {
        "unit": f"lifeline-drill-{scenario}", "title": f"Rehearse {scenario}", "source": "", "playbook": "drill",
        "vars": variables, "calendar": calendar, "paths": [],
    }  # fmt: skip


def _paths(source: t.Mapping[str, t.Any]) -> list[str]:
    """The folders outside the home of the user that jobs of the source write to."""
    store = source.get("store") or {}
    found = [one.get("path") for one in (store, *(store.get("copies") or ()))]
    found += [source.get("sandbox_path"), source.get("state_dir")]
    return [path for path in found if path]


class FilterModule:
    """The scheduled jobs of a backup host."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"host_jobs": host_jobs, "host_schedules": host_schedules}
