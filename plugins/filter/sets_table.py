# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def sets_table(sets: t.Sequence[t.Mapping[str, t.Any]], before: str = "") -> list[str]:
    """The name of each source and its sets, the newest first, and below them those that cannot be used."""
    # Ansible imports this file in each task that names a filter of the collection. This import takes 0.02 s.
    from ..module_utils._repository import table

    return table.sets_table(sets, before)


class FilterModule:
    """Backup sets for people."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"sets_table": sets_table}
