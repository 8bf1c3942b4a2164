# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a status check follow from the source."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.filter.project_status import project_status
from ansible_collections.lifeline.recovery.plugins.filter.status_options import status_options
from ansible_collections.lifeline.recovery.plugins.module_utils._status.table import status_table

LOGIN = {"login_host": "db"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "postgresql"}, {"engine": "none"}),
        (
            {"kind": "postgresql", "database": "school", "connection": LOGIN},
            {"engine": "postgresql", "login_db": "school", **LOGIN},
        ),
        ({"kind": "postgresql", "connection": {"dsn": "host=db"}}, {"engine": "postgresql", "dsn": "host=db"}),
        ({"kind": "bucket", "files": {"bucket": "f"}}, {"engine": "bucket", "files": {"bucket": "f"}}),
        ({"kind": "d1", "database": "studio"}, {"engine": "sqlite", "database": "studio"}),
        ({"kind": "d1", "database": "studio", "connection": {"path": "/x"}}, {"engine": "sqlite", "path": "/x"}),
    ],
)  # fmt: skip
def test_a_source_is_asked_as_its_kind_is_reached(source: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    assert status_options({"name": "x", **source}, {}) == {"store": {}, **expected}


def test_thresholds_of_a_source_replace_those_of_all_sources() -> None:
    source = {"kind": "d1", "checks": [1], "rpo_seconds": 0, "size_tolerance": "", "thresholds": {"storage_used": 0.5}}
    options = status_options({"name": "x", **source}, {"storage_used": 0.7, "rpo_seconds": 9, "duration_seconds": 1})
    assert {key: value for key, value in options.items() if key not in ("store", "engine")} == {
        "checked_within_seconds": 93600, "storage_used": 0.5, "rpo_seconds": 0, "duration_seconds": 1,
    }  # fmt: skip
    assert status_options({"name": "x", **source}, {"checked_within_seconds": 5})["checked_within_seconds"] == 5


@pytest.mark.parametrize(
    ("codes", "severities", "level"),
    [
        ([], {}, "ok"),
        (["window_short"], {}, "warning"),
        (["window_short", "too_old"], {}, "critical"),
        (["too_old"], {"backup.overdue": "error"}, "error"),
    ],
)
def test_each_finding_about_a_project_is_a_breach_with_its_own_key(
    codes: list[str], severities: dict[str, str], level: str
) -> None:
    judged = {"findings": [{"code": code, "message": "Bad."} for code in codes], "age_seconds": 60.0, "summary": ""}
    source = {"name": "learning", "kind": "supabase", "thresholds": {"severities": severities}}
    status = project_status(judged, source)
    assert status["level"] == level
    assert [breach["key"] for breach in status["breaches"]] == [f"learning/{code}" for code in codes]
    assert status_table([status])[1].split()[:4] == ["learning", level, "yes", "60s"]
