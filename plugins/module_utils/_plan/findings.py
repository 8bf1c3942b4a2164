# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules and their findings."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import date

from .._core.severity import ERROR, INFO, WARNING
from .model import Plan

#: A plan is judged before anything happens, so that nothing in it is critical. The most severe comes first.
FINDING_SEVERITIES = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Hit:
    """A path where a rule is violated, with one sentence."""

    path: str
    message: str


@dataclass(frozen=True)
class Rule:
    """requirement: the requirement. trap: the mistake of real plans that it detects, such as C(T9), or none.

    judge: plan and today to the violations; pure.
    """

    id: str
    severity: str
    trap: t.Optional[str]
    requirement: str
    next_step: str
    judge: t.Callable[[Plan, date], t.Iterable[Hit]]


@dataclass(frozen=True)
class Finding:
    """One violation of a rule at one path."""

    id: str
    severity: str
    trap: t.Optional[str]
    path: str
    message: str
    next_step: str
