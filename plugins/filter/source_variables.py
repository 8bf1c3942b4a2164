# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

# Facts cannot be removed. These are the values that playbooks use if nothing is set; all others get an empty text.
_UNSET: dict[str, t.Any] = {
    "recovery_checks": [],
    "recovery_connection": {},
    "recovery_engine": "postgresql",
    "recovery_files": {},
    "recovery_restore_connection": {},
    "recovery_retention": [],
    "recovery_rpo_seconds": 86400,
    "recovery_skip_extensions": [],
    "recovery_store": {},
}
_OF_OPTIONS = {
    "rpo_seconds": "recovery_rpo_seconds",
    "retention": "recovery_retention",
    "checks": "recovery_checks",
}


def source_variables(
    source: t.Mapping[str, t.Any], inventory: t.Mapping[str, t.Any], loaded: t.Iterable[str]
) -> dict[str, t.Any]:
    """The variables of a source; those that another source loaded in the same run get their value of the inventory."""
    found = dict(source.get("vars") or {})
    found.update({name: source[option] for option, name in _OF_OPTIONS.items() if option in source})
    if source.get("kind") == "d1":
        found["recovery_engine"] = "sqlite"
    left = {name: inventory.get(name, _UNSET.get(name, "")) for name in loaded if name not in found}
    return {**left, **found}


class FilterModule:
    """The variables of the selected source."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"source_variables": source_variables}
