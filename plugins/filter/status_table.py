# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..module_utils._status.table import operations_table, status_table


class FilterModule:
    """The state of sources for people."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_table": status_table, "operations_table": operations_table}
