# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A raised error stays as it is; who knows more raises another one."""

from __future__ import annotations

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import Applied, ErrorKind, RecoveryError


def test_restated_error_adds_details_and_keeps_the_original() -> None:
    error = RecoveryError(ErrorKind.DAMAGED, "a", left="b", next_step="c", details={"damaged": ["x"], "n": 1})
    other = error.restated(left="", details={"n": 2})
    assert (other.kind, other.what, other.left, other.next_step) == (ErrorKind.DAMAGED, "a", "", "c")
    assert (other.details, other.damaged) == ({"damaged": ["x"], "n": 2}, ("x",))
    assert (error.left, error.details["n"]) == ("b", 1)


def test_applied_is_returned_by_modules_and_kept_by_a_restated_error() -> None:
    error = RecoveryError(ErrorKind.SERVICE_FAILED, "a")
    assert (error.applied, error.details) == (None, {})
    error.applied = Applied.UNKNOWN
    assert error.restated(what="b").applied == error.details["applied"] == Applied.UNKNOWN
