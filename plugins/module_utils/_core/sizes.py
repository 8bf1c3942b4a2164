# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers, and lists of names, as people read them."""

from __future__ import annotations

import typing as t


def readable_size(size: float) -> str:
    """Binary units with one decimal: 1536 is C(1.5 KiB)."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def readable_seconds(seconds: float) -> str:
    """C(0.42 s), C(12.3 s), C(4 min 05 s), C(3 h 10 min), C(7 d 04 h)."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def brief_seconds(seconds: float) -> str:
    """One unit, for a column of a table: C(40s), C(12min), C(26h), C(5d)."""
    for unit, length, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if abs(seconds) < limit:
            return f"{int(seconds / length)}{unit}"
    return f"{int(seconds / 86400)}d"


def brief_size(size: float) -> str:
    """Without decimals, for a column of a table: C(823 KiB), C(4 GiB)."""
    number, unit = readable_size(size).split(" ")
    return f"{float(number):.0f} {unit}"


def counted(number: int, noun: str) -> str:
    """C(1 file), C(3 files)."""
    return f"{number} {noun}{'s' * (number != 1)}"


def first_of(names: t.Sequence[str], most: int, *, separator: str = ", ") -> str:
    """The first names of a list: C(a, b and 3 more)."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more
