# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def check_mistakes(checks: t.Sequence[t.Any], engine: str = "postgresql", secrets: t.Collection[str] = ()) -> list[str]:
    """Mistakes in descriptions of checks, before any of them runs."""
    # Ansible imports this file in each task that names a filter of the collection. These imports take 0.3 s.
    from ..module_utils._core.errors import RecoveryError
    from ..module_utils._integrity.plan import plan_checks
    from ..module_utils._integrity.registry import DIALECTS

    try:
        plan_checks(DIALECTS[engine].checks, checks, fingerprint_known=True, secrets=secrets)
    except RecoveryError as error:
        return [error.what]
    return []


class FilterModule:
    """Descriptions of checks."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"check_mistakes": check_mistakes}
