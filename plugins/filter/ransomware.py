# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils.ransomware import candidates, checklist, mistakes, refused


class FilterModule:
    """The recovery from an attack, for the role ransomware."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "ransomware_candidates": candidates,
            "ransomware_checklist": checklist,
            "ransomware_mistakes": mistakes,
            "ransomware_refused": refused,
        }
