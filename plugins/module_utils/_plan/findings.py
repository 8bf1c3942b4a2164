# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule is and what it finds."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import date

from .model import Plan

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Hit:
    """Where a rule is broken, and how, in one sentence."""

    path: str
    message: str


@dataclass(frozen=True)
class Rule:
    """says: what the plan must be like. trap: the mistake of real plans that it is about, such as C(T9), or none.

    judge: the plan and today to where it is not so; pure.
    """

    id: str
    severity: str
    trap: t.Optional[str]
    says: str
    next_step: str
    judge: t.Callable[[Plan, date], t.Iterable[Hit]]


@dataclass(frozen=True)
class Finding:
    """One broken rule at one place."""

    id: str
    severity: str
    trap: t.Optional[str]
    path: str
    message: str
    next_step: str
