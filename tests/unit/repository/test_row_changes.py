# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The printed outcome of a restore of rows, from the compared numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import Manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.row_changes import (
    Changes,
    MissingKeys,
    left_rows,
    what_it_does,
    why_unchanged,
)

MADE = "2026-03-01T02:00:05+00:00"
SET = Manifest(
    "20260301T020005Z", "school", "daily", "postgresql", MADE, None, MADE, MADE, "1.0.0", {}, {}, (), None, {}, {}, {}
)  # fmt: skip
NUMBER = st.integers(0, 3)
CHANGES = st.lists(
    st.builds(Changes, st.sampled_from(["a", "b"]), NUMBER, NUMBER, NUMBER, NUMBER, NUMBER), max_size=5
)  # fmt: skip


@given(CHANGES)
def test_rows_are_called_equal_only_if_they_were_compared(changes: list[Changes]) -> None:
    differing = sum(change.differing for change in changes)
    assert bool(left_rows(changes)) is bool(differing)
    if not any(change.total for change in changes):
        equal = "equal" in why_unchanged(changes, SET, None).reason
        assert equal is (differing == 0 and any(change.chosen for change in changes))


def test_rows_that_differ_are_counted_with_the_mode_that_restores_them() -> None:
    left = [Changes("public.payments", 5000, 0, 0, 0, differing=4999)]
    reason = why_unchanged(left, SET, None)
    assert "4,999 rows of public.payments differ from the set and are left unchanged" in reason.reason
    assert reason.next_step == "Set `mode` to merge to put them back as they are in the set."


def test_a_confirmation_names_what_happens_to_which_tables() -> None:
    one = [Changes("public.payments", 5000, 0, 4999, 0), Changes("public.new", 1, 1, 0, 0)]
    assert what_it_does(one) == "updates 4,999 rows of public.payments in"
    many = [Changes(f"t{number}", 1, 0, 1, 1) for number in range(5)]
    assert what_it_does(many) == "updates 5 rows and deletes 5 rows of t0, t1, t2 and 2 more in"


def test_missing_keys_are_named_and_counted() -> None:
    assert MissingKeys("t", 1, 3, ("23",)).sentence == "1 of 3 keys of t: 23"
    many = MissingKeys("t", 5000, 6000, tuple(map(str, range(20))))
    assert many.sentence.endswith("8, 9 and 4,990 more")
