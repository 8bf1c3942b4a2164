# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._core.severity import CRITICAL, WARNING, most_severe

#: The event of each finding of supabase_backup_info, and its severity.
_EVENTS = {
    "status": ("source.unreachable", CRITICAL),
    "no_backups": ("backup.missing", CRITICAL),
    "newest_failed": ("backup.failed", CRITICAL),
    "too_old": ("backup.overdue", CRITICAL),
    "gap_too_long": ("backup.overdue", CRITICAL),
    "pitr_disabled": ("backup.missing", CRITICAL),
    "window_short": ("backup.window", WARNING),
}


def project_status(judged: t.Mapping[str, t.Any], source: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The judgement of supabase_backup_info in the form that recovery_status returns; the source is complete.

    severities in the thresholds of the source replace the defaults.
    """
    name, own = source["name"], (source.get("thresholds") or {}).get("severities") or {}
    breaches = []
    for finding in judged["findings"]:
        event, severity = _EVENTS[finding["code"]]
        breaches.append(
            {
                "key": f"{name}/{finding['code']}",
                "event": event,
                "severity": own.get(event, severity),
                "message": f"{name}: {finding['message']}",
            }
        )
    age = judged["age_seconds"]
    return {
        "source": name,
        "level": most_severe((one["severity"] for one in breaches), default="ok"),
        "reachable": True,
        "stores": [],
        "backup": None if age is None else {"age_seconds": age},
        "rpo_seconds": source.get("rpo_seconds") or None,
        "verification": {"age_seconds": None},
        "drill": None,
        "kept": [],
        "breaches": breaches,
        "summary": judged["summary"],
    }


class FilterModule:
    """The status of a project that Supabase backs up."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"project_status": project_status}
