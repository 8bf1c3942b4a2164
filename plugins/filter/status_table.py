# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

_Results = t.Sequence[t.Mapping[str, t.Any]]


def status_table(results: _Results) -> list[str]:
    """A line for each source, and below the table each breach with its next step."""
    # Ansible imports this file in each task that names a filter of the collection. This import takes 0.1 s.
    from ..module_utils._status import table

    return table.status_table(results)


def operations_table(results: _Results) -> list[str]:
    """The last run of each operation on each source, the newest first: when, the result, and who ran it."""
    from ..module_utils._status import table

    return table.operations_table(results)


class FilterModule:
    """The state of sources for people."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_table": status_table, "operations_table": operations_table}
