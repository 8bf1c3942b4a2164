# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sets of sources as lines of a table."""

from __future__ import annotations

import typing as t

from .._core.clock import parse_instant
from .._core.columns import columns, wrapped
from .._core.sizes import brief_seconds, brief_size
from .verification import DEPTHS

_Set = t.Mapping[str, t.Any]

_HEAD = ("SET", "TIER", "RECOVERY POINT", "AGE", "SIZE", "VERIFIED")


def sets_table(sets: t.Sequence[_Set], before: str = "") -> t.List[str]:
    """For each source its name and its sets, the newest first, and below them those that cannot be used.

    sets: what the module backup_info returned. before: an instant, which leaves only older recovery points.
    """
    limit = parse_instant(before) if before else None
    sets = [one for one in sets if limit is None or parse_instant(one["recovery_point"] or one["set_id"]) < limit]
    lines: t.List[str] = []
    for source in sorted({str(one["source"]) for one in sets}):
        mine = [one for one in sets if one["source"] == source]
        usable = [one for one in mine if one["recovery_point"]]
        lines.append(f"{source}: {len(mine)} {'set' if len(mine) == 1 else 'sets'}")
        if usable:
            lines += columns([_HEAD, *[_row(one) for one in usable]])
        for one in mine:
            if one["problem"]:
                lines += wrapped(f"CANNOT BE USED: {one['problem']}", "")
    return lines


def _row(one: _Set) -> t.Tuple[str, ...]:
    return (
        one["set_id"],
        one["tier"],
        parse_instant(one["recovery_point"]).strftime("%Y-%m-%d %H:%M"),
        brief_seconds(one["age_seconds"]),
        brief_size(one["bytes_plain"]),
        _verified(one),
    )


def _verified(one: _Set) -> str:
    if one["verified"] is None:
        return "never"
    if one["verified"]["status"] != "passed":
        return str(one["verified"]["status"])
    return str(max({one["verified"]["depth"], *one["verified"]["passed"]}, key=DEPTHS.index))
