# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils.failures import failure_lines, failure_text


class FilterModule:
    """The end of a failed run."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"failure_lines": failure_lines, "failure_text": failure_text}
