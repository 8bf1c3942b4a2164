# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notices for the operator about work that succeeded. A module prints each notice as a warning."""

from __future__ import annotations

import typing as t

_NOTICES: t.List[str] = []


def note(text: str) -> None:
    """Add a notice; one that was added before is not added again."""
    if text not in _NOTICES:
        _NOTICES.append(text)


def notices() -> t.List[str]:
    return list(_NOTICES)
