# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instant is the same moment however it was written, and leaves as UTC."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import (
    compact_instant,
    format_instant,
    parse_instant,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError

MOMENT = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T02:00:00Z", "2026-03-01T02:00:00", "2026-03-01T04:00:00+02:00", "2026-02-28T21:00:00-05:00",
     compact_instant(MOMENT), format_instant(MOMENT)],
)  # fmt: skip
def test_an_instant_is_read_into_utc(text: str) -> None:
    read = parse_instant(text)
    # Equality alone would hold in any zone, and who formats the clock's digits needs UTC's.
    assert (read, read.utcoffset(), read.hour) == (MOMENT, timezone.utc.utcoffset(None), 2)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z"])
def test_invalid_instant_is_refused(text: str) -> None:
    with pytest.raises(RecoveryError, match="is not an instant"):
        parse_instant(text)
