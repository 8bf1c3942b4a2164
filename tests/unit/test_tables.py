# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables fit a terminal of 80 columns, whatever they hold."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.columns import WIDTH
from ansible_collections.lifeline.recovery.plugins.module_utils._core.sizes import brief_seconds, brief_size
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.table import sets_table
from ansible_collections.lifeline.recovery.plugins.module_utils._status.table import operations_table, status_table


def result(source: str, **facts: t.Any) -> dict[str, t.Any]:
    return {
        "source": source,
        "level": "critical",
        "reachable": True,
        "stores": [{"reach": {"ok": True}}],
        "backup": {"age_seconds": 94320.0},
        "rpo_seconds": 86400.0,
        "verification": {"age_seconds": 72300.0},
        "drill": {"verdict": "passed", "age_seconds": 439200.0},
        "breaches": [],
        "kept": [],
        **facts,
    }


def backup_set(source: str, set_id: str, **facts: t.Any) -> dict[str, t.Any]:
    point = f"{set_id[:4]}-{set_id[4:6]}-{set_id[6:8]}T02:00:05.123+00:00"
    return {
        "source": source, "set_id": set_id, "tier": "daily", "recovery_point": point, "age_seconds": 3600.0,
        "bytes_plain": 734003200, "verified": None, "problem": None, **facts,
    }  # fmt: skip


def test_status_fits_a_terminal_and_cuts_no_name() -> None:
    long = "customer-of-a-very-long-name-in-production-" + "x" * 50
    breach = {
        "severity": "critical",
        "event": "backup.overdue",
        "message": "school: the newest set is 26 h 12 min old; the objective is 24 h 00 min.",
    }
    kept = [{"name": "school_before_20260301t124500z", "age_seconds": 439200.0, "bytes": None}]
    lines = status_table([result("school", breaches=[breach], kept=kept), result(long)])
    assert lines[0].split() == ["SOURCE", "LEVEL", "ANSWERS", "AGE", "RPO", "VERIFIED", "DRILL"]
    assert lines[1].split() == ["school", "critical", "yes", "26h", "24h", "20h", "passed", "5d"]
    assert max(len(line) for line in lines if long not in line) <= WIDTH
    assert long in lines
    text = " ".join(" ".join(lines).split())
    assert "CRITICAL: school: the newest set is 26 h 12 min old" in text
    assert "KEPT: school: the database school_before_20260301t124500z of a swap" in text


def test_last_operations_are_listed_by_source() -> None:
    record = {"at": "2026-03-01T02:00:46.000+00:00", "status": "succeeded", "performed_by": "lifeline", "host": "b"}
    operations = [{**record, "operation": "point_in_time_recovery"}, {**record, "operation": "backup"}]
    lines = operations_table([result("school", operations=operations), result("project")])
    assert [line.split() for line in lines] == [
        ["SOURCE", "OPERATION", "ENDED", "AT", "STATUS", "BY"],
        ["school", "point_in_time_recovery", "2026-03-01", "02:00", "succeeded", "lifeline"],
        ["school", "backup", "2026-03-01", "02:00", "succeeded", "lifeline"],
    ]
    assert max(map(len, lines)) <= WIDTH
    assert operations_table([result("school")]) == []


def test_sets_are_listed_by_source_with_those_that_cannot_be_used() -> None:
    passed = {"depth": "presence", "status": "passed", "passed": {"digests": "2026-03-01T03:00:00.000+00:00"}}
    sets = [
        backup_set("school", "20260302T020005Z"),
        backup_set("school", "20260301T020005Z", verified=passed),
        backup_set("school", "20260228T020005Z", recovery_point="", problem="The manifest is damaged."),
        backup_set("media", "20260301T020005Z", tier="emergency", verified={**passed, "status": "failed"}),
    ]
    lines = sets_table(sets)
    assert lines[0] == "media: 1 set"
    assert lines[1].split() == ["SET", "TIER", "RECOVERY", "POINT", "AGE", "SIZE", "VERIFIED"]
    assert lines[2].split()[-1] == "failed"
    school = lines[lines.index("school: 3 sets") :]
    assert [line.split()[0] for line in school[2:4]] == ["20260302T020005Z", "20260301T020005Z"]
    assert (school[2].split()[-1], school[3].split()[-1]) == ("never", "digests")
    assert school[-1] == "CANNOT BE USED: The manifest is damaged."
    assert max(map(len, lines)) <= WIDTH
    older = sets_table(sets, "2026-03-02T00:00:00Z")
    assert "school: 2 sets" in older
    assert "20260302T020005Z" not in " ".join(older)
    assert sets_table([]) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (119, "119s"), (120, "2min"), (7200, "2h"), (172800, "2d"), (-30, "-30s")]
)
def test_a_length_has_one_unit_in_a_table(seconds: float, text: str) -> None:
    assert brief_seconds(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1536, "2 KiB"), (842649, "823 KiB"), (4509715660, "4 GiB")])
def test_a_size_is_short_in_a_table(size: float, text: str) -> None:
    assert brief_size(size) == text
