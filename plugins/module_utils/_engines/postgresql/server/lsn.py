# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Positions in the write-ahead log as numbers that compare.

https://www.postgresql.org/docs/current/datatype-pg-lsn.html
"""

from __future__ import annotations

import re

from ...._core.errors import ErrorKind, RecoveryError


def parse_lsn(text: str) -> int:
    """C(0/A0687E8) as a number of bytes. Raises RecoveryError(invalid_options)."""
    match = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", text.strip())
    if match is None:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"{text!r} is no LSN.", next_step="Write it as 0/A0687E8.")
    return (int(match.group(1), 16) << 32) + int(match.group(2), 16)


def format_lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
