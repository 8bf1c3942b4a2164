# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.lifeline.recovery.plugins.module_utils._core.calendar import recurrence
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError


def _recurrence(calendar: str) -> str:
    try:
        return recurrence(calendar)
    except RecoveryError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Times of systemd for controllers."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"recurrence": _recurrence}
