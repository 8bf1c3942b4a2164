# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of sources as lines of a table, for a person in a hurry."""

from __future__ import annotations

import typing as t

from .._core.sizes import readable_seconds, readable_size
from .._notify.words import advice

_Result = t.Mapping[str, t.Any]

_HEAD = ("SOURCE", "LEVEL", "ANSWERS", "NEWEST SET", "AGE", "OBJECTIVE", "SIZE", "TOOK", "VERIFIED", "DRILL")


def status_table(results: t.Sequence[_Result]) -> t.List[str]:
    """The head, a line for each source, and below each what is not as it should be, with what to do.

    results: what the module recovery_status returned, one element a source.
    """
    rows = [_HEAD, *[_row(result) for result in results]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number:
            for breach in results[number - 1]["breaches"]:
                lines.append(f"  {breach['severity'].upper()}: {breach['message']}")
                if advice(breach["event"]):
                    lines.append(f"    What to do: {advice(breach['event'])}")
    return lines


def _row(result: _Result) -> t.Tuple[str, ...]:
    backup, verification, drill = result["backup"], result["verification"], result["drill"]
    # A store that does not answer says nothing of what is in it.
    read = not result["stores"] or result["stores"][0]["reach"]["ok"]
    none, never = ("none", "never") if read else ("unknown", "unknown")
    return (
        result["source"],
        result["level"],
        {True: "yes", False: "no", None: "-"}[result["reachable"]],
        backup["set_id"] if backup else none,
        readable_seconds(backup["age_seconds"]) if backup else "-",
        readable_seconds(result["rpo_seconds"]) if result["rpo_seconds"] is not None else "-",
        readable_size(backup["bytes_plain"]) if backup else "-",
        readable_seconds(backup["duration_seconds"]) if backup else "-",
        f"{readable_seconds(verification['age_seconds'])} ago" if verification["age_seconds"] is not None else never,
        f"{drill['verdict']} {readable_seconds(drill['age_seconds'])} ago" if drill else never,
    )
