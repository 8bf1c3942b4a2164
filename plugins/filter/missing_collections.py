# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import typing as t


def missing_collections(names: t.Sequence[str]) -> list[str]:
    """The collections, such as C(community.postgresql), that Ansible cannot find."""
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(f"ansible_collections.{name}") is not None
    except ImportError:
        return False


class FilterModule:
    """Collections that a role needs."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"missing_collections": missing_collections}
