# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._core.columns import columns, wrapped

_Record = t.Mapping[str, t.Any]


def audit_table(records: t.Sequence[_Record]) -> list[str]:
    """Audit records as lines of a table: when, what, how it ended, by whom and on which host."""
    rows = [
        (
            one["performed_at"][:16].replace("T", " "),
            one["operation_type"],
            one["status"],
            one["performed_by"],
            one["host"],
        )
        for one in records
    ]
    return list(columns([("ENDED AT", "OPERATION", "STATUS", "BY", "HOST"), *rows])) if rows else ["No audit record."]


def differences_table(differences: t.Sequence[_Record]) -> list[str]:
    """A line for each difference between two sets, with both sides."""
    lines: list[str] = []
    for one in differences:
        lines += wrapped(f"{one['what']}: {one['expected']}; other set: {one['actual']}", "")
    return lines


class FilterModule:
    """Audit records and differences between sets for people."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"audit_table": audit_table, "differences_table": differences_table}
