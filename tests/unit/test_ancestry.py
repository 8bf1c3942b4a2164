# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An old primary is attached only if the new primary has all its records."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._failover.ancestry import (
    NewPrimary,
    OldCluster,
    judge_rejoin,
    parse_history,
)

HISTORY = "1\t0/5000000\tno recovery target specified\n\n2\t0/7000000\tno recovery target specified\n"
NEW = NewPrimary("1", 3, 16 * 1024 * 1024, 15, parse_history(HISTORY), HISTORY)


def way(is_standby: bool = False, **changes: t.Any) -> str:
    given: dict[str, t.Any] = {
        "timeline": 2, "state": "shut down", "checkpoint": 0x6FFFF88, "can_rewind": True, "major": 15,
        "history_text": "",
    }  # fmt: skip
    return judge_rejoin(OldCluster("1", **{**given, **changes}), NEW, is_standby=is_standby).way


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("attach", {}),
        # The new primary ended the common timeline before, or at the beginning of, the last record.
        ("rewind", {"checkpoint": 0x7000028}),
        ("rewind", {"checkpoint": 0x7000000}),
        ("rewind", {"timeline": 1}),
        ("attach", {"timeline": 1, "checkpoint": 0x4000028}),
        # A crashed primary may have records behind its last checkpoint.
        ("rewind", {"state": "in production"}),
        ("reseed", {"state": "in production", "can_rewind": False}),
        ("reseed", {"major": 14}),
        ("reseed", {"timeline": 4}),
        # Two standbys that were promoted independently have the same number.
        ("reseed", {"timeline": 3}),
        ("reseed", {"timeline": 3, "history_text": HISTORY}),
        ("reseed", {"timeline": 3, "history_text": HISTORY.replace("0/7", "0/6"), "is_standby": True}),
        ("attach", {"timeline": 3, "history_text": HISTORY, "is_standby": True, "state": "in archive recovery"}),
        # A primary that was started with standby.signal replays its own records first.
        (
            "rewind",
            {"is_standby": True, "state": "shut down in recovery", "replayed": 0x7000100, "replayed_timeline": 2},
        ),
        (
            "attach",
            {"is_standby": True, "state": "shut down in recovery", "replayed": 0x7000100, "replayed_timeline": 3},
        ),
    ],
)
def test_a_cluster_with_records_of_its_own_is_not_attached(expected: str, changes: dict[str, t.Any]) -> None:
    assert way(**changes) == expected
