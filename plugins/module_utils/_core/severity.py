# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How severe an event or a finding is, and how a check or a drill ended: the names, and their order."""

from __future__ import annotations

import typing as t

INFO, WARNING, ERROR, CRITICAL = "info", "warning", "error", "critical"

#: From the least to the most severe.
SEVERITIES = (INFO, WARNING, ERROR, CRITICAL)

#: C(error) is also the status of a check, and the verdict of a drill, that could not be verified.
PASSED, FAILED, SKIPPED, MISSED = "passed", "failed", "skipped", "missed"

CHECK_STATUSES = (PASSED, FAILED, WARNING, ERROR, SKIPPED)
_WORST_FIRST = (FAILED, ERROR, WARNING, SKIPPED, PASSED)
VERDICTS = (PASSED, FAILED, ERROR, SKIPPED, MISSED)

_Item = t.TypeVar("_Item")


def at_least(severity: str) -> t.Tuple[str, ...]:
    """This severity and the more severe ones."""
    return SEVERITIES[SEVERITIES.index(severity) :]


def most_severe(severities: t.Iterable[str], default: str) -> str:
    return max(severities, key=SEVERITIES.index, default=default)


def most_severe_first(items: t.Iterable[_Item], severity: t.Callable[[_Item], str]) -> t.List[_Item]:
    """The items by their severity; those of one severity keep their order."""
    return sorted(items, key=lambda item: -SEVERITIES.index(severity(item)))


def worst_first(checks: t.Iterable[_Item], status: t.Callable[[_Item], str]) -> t.List[_Item]:
    """The checks by their status; those of one status keep their order."""
    return sorted(checks, key=lambda check: _WORST_FIRST.index(status(check)))
