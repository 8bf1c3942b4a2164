# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A raised error stays as it is; who knows more raises another one."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import Applied, ErrorKind, RecoveryError

ROOT = Path(__file__).resolve().parents[2]


def test_restated_error_adds_details_and_keeps_the_original() -> None:
    error = RecoveryError(ErrorKind.DAMAGED, "a", left="b", next_step="c", details={"n": 1}, damaged=["x"])
    other = error.restated(left="", details={"n": 2})
    assert (other.kind, other.what, other.left, other.next_step) == (ErrorKind.DAMAGED, "a", "", "c")
    assert (other.details, other.damaged) == ({"damaged": ["x"], "n": 2}, ("x",))
    assert (error.left, error.details["n"]) == ("b", 1)


def test_applied_is_returned_by_modules_and_kept_by_a_restated_error() -> None:
    error = RecoveryError(ErrorKind.SERVICE_FAILED, "a")
    assert (error.applied, error.details) == (None, {})
    error = error.restated(applied=Applied.UNKNOWN)
    assert error.restated(what="b").applied == error.details["applied"] == Applied.UNKNOWN


def test_code_reads_the_attributes_of_an_error_and_not_its_details() -> None:
    by_name = re.compile(r"\b(error|fault|failure|refusal)\.details(\[|\.get\()")
    assert [path.name for path in (ROOT / "plugins").rglob("*.py") if by_name.search(path.read_text())] == []


def test_restated_error_keeps_the_typed_facts() -> None:
    error = RecoveryError(ErrorKind.DAMAGED, "a", damaged=["x"], objects=["table t"], applied=Applied.NO)
    other = error.restated(kind=ErrorKind.NOT_EQUAL, details={"damaged": [], "applied": "yes"})
    assert (other.kind, other.damaged, other.objects, other.applied) == ("not_equal", ("x",), ("table t",), "no")
    assert other.details == {"damaged": ["x"], "applied": "no"}
