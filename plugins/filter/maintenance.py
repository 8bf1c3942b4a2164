# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils.maintenance import failure, mistakes, plan, result_of, states


class FilterModule:
    """The steps of a maintenance, for the role maintenance."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "maintenance_failure": failure,
            "maintenance_mistakes": mistakes,
            "maintenance_plan": plan,
            "maintenance_result": result_of,
            "maintenance_states": states,
        }
