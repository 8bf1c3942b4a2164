# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which instants can be restored, and what the backups that are kept are worth."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.answers import read_backups, read_project
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.findings import Judgement, Wanted, judge
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.window import step_to_instant

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
PROJECT = {"ref": "a" * 20, "name": "learning", "status": "ACTIVE_HEALTHY", "created_at": "2026-02-20T00:00:00.1Z"}


def returned(
    hours: t.Sequence[float], *, pitr: bool = False, window: tuple[int, int] | None = None
) -> dict[str, t.Any]:
    """Completed backups of so many hours ago; window is in hours ago, the earliest first."""
    names = ("earliest_physical_backup_date_unix", "latest_physical_backup_date_unix")
    instants = [int((NOW - timedelta(hours=ago)).timestamp()) for ago in window or ()]
    return {
        "pitr_enabled": pitr,
        "backups": [
            {"status": "COMPLETED", "inserted_at": (NOW - timedelta(hours=ago)).isoformat(), "is_physical_backup": True}
            for ago in hours
        ],
        "physical_backup_data": dict(zip(names, instants)),
    }


def judged(document: dict[str, t.Any], **wanted: t.Any) -> Judgement:
    return judge(read_project(PROJECT), read_backups(document), Wanted(**wanted), NOW)


def test_both_ends_of_the_window_and_fractions_can_be_restored() -> None:
    backups = read_backups(returned([], pitr=True, window=(48, 1)))
    assert backups.window is not None
    for instant, complete in (
        (backups.window.earliest, backups.window.earliest),
        (backups.window.latest + timedelta(milliseconds=999), backups.window.latest),
    ):
        assert step_to_instant("a", backups, instant).body == {"recovery_time_target_unix": int(complete.timestamp())}
    for instant in (backups.window.earliest - timedelta(milliseconds=1), backups.window.latest + timedelta(seconds=1)):
        with pytest.raises(RecoveryError, match="instant that a can be restored to") as caught:
            step_to_instant("a", backups, instant)
        assert caught.value.details["window"]["seconds"] == 47 * 3600


@pytest.mark.parametrize("physical", [None, {}, {"earliest_physical_backup_date_unix": 5}])
def test_a_project_without_a_window_has_no_instant(physical: t.Any) -> None:
    backups = read_backups({**returned([], pitr=True), "physical_backup_data": physical})
    with pytest.raises(RecoveryError) as caught:
        step_to_instant("a", backups, NOW)
    assert caught.value.kind == "outside_window"


@pytest.mark.parametrize(
    ("document", "wanted", "codes"),
    [
        (returned([10, 34, 58]), {"rpo": 86400, "window_days": 2}, []),
        (returned([10, 34, 59]), {"rpo": 86400}, ["gap_too_long"]),
        (returned([25]), {"rpo": 86400}, ["too_old"]),
        (returned([10], pitr=True, window=(168, 0)), {"rpo": 60, "window_days": 7, "pitr": True}, []),
        (returned([10, 400], pitr=True, window=(168, 0)), {"rpo": 60}, []),
        (returned([10], pitr=True, window=(168, 2)), {"rpo": 3600}, ["too_old"]),
        (returned([10], pitr=True), {"rpo": 3600, "pitr": True}, ["too_old"]),
        (returned([]), {"rpo": 60, "window_days": 7, "pitr": True}, ["no_backups", "pitr_disabled"]),
        (returned([10, 34]), {"window_days": 7}, ["window_short"]),
    ],
)
def test_findings_are_exactly_the_violations(
    document: dict[str, t.Any], wanted: dict[str, t.Any], codes: list[str]
) -> None:
    found = judged(document, **wanted)
    assert [finding.code for finding in found.findings] == codes
    assert found.ok == (not codes)


def test_project_younger_than_the_window_is_reported() -> None:
    (finding,) = judged(returned([10]), window_days=14).findings
    assert finding.message.endswith("The project itself is younger than that.")
    (finding,) = judged(returned([10]), window_days=7).findings
    assert "younger" not in finding.message
