# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of sources as a table for an operator during an incident."""

from __future__ import annotations

import typing as t

from .._core.columns import columns, wrapped
from .._core.sizes import brief_seconds
from .._engines.postgresql.restore.kept import age_and_size
from .._notify.messages import advice

_Result = t.Mapping[str, t.Any]

_HEAD = ("SOURCE", "LEVEL", "ANSWERS", "AGE", "RPO", "VERIFIED", "DRILL")


def status_table(results: t.Sequence[_Result]) -> t.List[str]:
    """The head, a line for each source, and below the table each breach with its next step.

    results: the results of the module recovery_status, one element per source.
    """
    lines = columns([_HEAD, *[_row(result) for result in results]])
    for result in results:
        for kept in result.get("kept") or ():
            described = age_and_size(kept["age_seconds"], kept["bytes"])
            lines += wrapped(f"KEPT: {result['source']}: the database {kept['name']} of a swap, {described}.", "")
        for breach in result["breaches"]:
            lines += wrapped(f"{breach['severity'].upper()}: {breach['message']}", "")
            next_step = advice(breach["event"], result["source"])
            if next_step:
                lines += wrapped(f"Next step: {next_step}", "  ")
    return lines


def operations_table(results: t.Sequence[_Result]) -> t.List[str]:
    """The last run of each operation on each source, the newest first: when, the result, and who ran it.

    results: the results of the module recovery_status, one element per source. Empty if no source has a record.
    """
    rows = [
        (
            result["source"],
            one["operation"],
            one["at"][:16].replace("T", " "),
            one["status"],
            one["performed_by"],
        )
        for result in results
        for one in result.get("operations") or ()
    ]
    return columns([("SOURCE", "OPERATION", "ENDED AT", "STATUS", "BY"), *rows]) if rows else []


def _row(result: _Result) -> t.Tuple[str, ...]:
    backup, verification, drill = result["backup"], result["verification"], result["drill"]
    # If a store does not answer, its content is unknown.
    read = not result["stores"] or result["stores"][0]["reach"]["ok"]
    none, never = ("none", "never") if read else ("unknown", "unknown")
    return (
        result["source"],
        result["level"],
        {True: "yes", False: "no", None: "-"}[result["reachable"]],
        brief_seconds(backup["age_seconds"]) if backup else none,
        brief_seconds(result["rpo_seconds"]) if result["rpo_seconds"] is not None else "-",
        brief_seconds(verification["age_seconds"]) if verification["age_seconds"] is not None else never,
        f"{drill['verdict']} {brief_seconds(drill['age_seconds'])}" if drill else never,
    )
