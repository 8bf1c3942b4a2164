# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes and times as people read them."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.sizes import readable_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (245, "4 min 05 s"),
        (86400, "24 h 00 min"),
        (172799, "47 h 59 min"),
        (172800, "2 d 00 h"),
        (7 * 86400 + 4 * 3600, "7 d 04 h"),
    ],
)
def test_a_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert readable_seconds(seconds) == text
