# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of a project during a restore."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.course import (
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    Course,
)


@pytest.mark.parametrize(
    ("start", "certain", "seen", "verdict"),
    [
        ("ACTIVE_HEALTHY", True, ["ACTIVE_HEALTHY"], WAITING),
        ("ACTIVE_HEALTHY", True, ["RESTORING"], RUNNING),
        ("ACTIVE_HEALTHY", True, ["ACTIVE_HEALTHY", "RESTORING", "COMING_UP", "ACTIVE_HEALTHY"], DONE),
        ("ACTIVE_HEALTHY", True, ["RESTORE_FAILED"], FAILED),
        ("ACTIVE_HEALTHY", True, ["RESTORING", "INACTIVE"], FAILED),
        ("ACTIVE_HEALTHY", True, ["RESTORING", "ACTIVE_UNHEALTHY"], RUNNING),
        ("ACTIVE_HEALTHY", True, ["UNKNOWN", "ACTIVE_HEALTHY"], WAITING),
        ("ACTIVE_UNHEALTHY", True, ["ACTIVE_HEALTHY"], WAITING),
        ("RESTORE_FAILED", True, ["RESTORE_FAILED"], WAITING),
        ("RESTORE_FAILED", True, ["RESTORING", "RESTORE_FAILED"], FAILED),
        ("RESTORE_FAILED", True, ["RESTORING", "ACTIVE_HEALTHY"], DONE),
        ("ACTIVE_HEALTHY", False, ["RESTARTING", "ACTIVE_HEALTHY"], WAITING),
        ("ACTIVE_HEALTHY", False, ["RESTORE_FAILED"], WAITING),
        ("ACTIVE_HEALTHY", False, ["RESTORING", "ACTIVE_HEALTHY"], DONE),
        ("ACTIVE_HEALTHY", True, ["RESTORING", "A_WORD_OF_TOMORROW"], RUNNING),
    ],
)
def test_a_state_is_the_end_only_after_the_beginning(start: str, certain: bool, seen: list[str], verdict: str) -> None:
    course = Course(start, certain)
    for status in seen:
        course = course.after(status)
    assert course.verdict == verdict
