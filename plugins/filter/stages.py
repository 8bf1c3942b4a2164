# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils.stages import failure


class FilterModule:
    """The stages of a recovery, for the role recover_everything."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"stages_failure": failure}
