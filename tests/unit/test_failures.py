# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that a failed run ends with."""

from __future__ import annotations

import typing as t

from ansible_collections.lifeline.recovery.plugins.plugin_utils.failures import failure_lines, failure_text

FAILED: dict[str, t.Any] = {
    "msg": "A is down. Nothing was changed. Start A.", "failed": True,
    "what": "A is down.", "left": "Nothing was changed.", "next_step": "Start A.",
}  # fmt: skip
LINES = ["Error: A is down.", "State: Nothing was changed.", "Next:  Start A."]


def test_a_failure_prints_error_state_and_next_step_once() -> None:
    assert failure_lines(FAILED) == LINES
    assert failure_lines({**FAILED, "left": ""}) == [LINES[0], LINES[2]]
    assert failure_lines({"msg": "An assertion.\nIt failed."}) == ["Error: An assertion. It failed."]
    assert failure_lines({}) == failure_lines({"msg": ""}) == ["Error: An earlier task failed; its error is above."]


def test_the_failure_of_a_nested_operation_is_printed_unchanged() -> None:
    assert failure_lines({"msg": LINES, "failed": True}) == LINES


def test_the_failure_of_a_loop_names_each_failed_element() -> None:
    items = [{"msg": "fine"}, FAILED, FAILED, {"msg": "B is down.", "failed": True}, "text"]
    result = {"msg": "One or more items failed", "results": items}
    assert failure_lines(result) == [*LINES, "Error: B is down."]


def test_the_text_of_a_failure_is_the_message_of_the_module() -> None:
    for result in (FAILED, {"msg": LINES}):
        assert failure_text(result) == FAILED["msg"]
    assert failure_text({}, "the task") == failure_text({"msg": None}, "the task") == "the task"
