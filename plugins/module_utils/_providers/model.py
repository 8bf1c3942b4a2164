# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a provider tells of itself on its status page, and what it means for a recovery."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

#: How a page is, from the least to the gravest. A page of which nothing is known is not a page on which all is well.
INDICATORS = ("none", "unknown", "maintenance", "minor", "major", "critical")

#: What the status of a component says of a page that is judged by it.
OF_COMPONENT: t.Mapping[str, str] = {
    "operational": "none",
    "under_maintenance": "maintenance",
    "degraded_performance": "minor",
    "partial_outage": "major",
    "major_outage": "critical",
}

#: The states of maintenance that is going on, and those of what is over.
RUNNING = ("in_progress", "verifying")
OVER = ("resolved", "postmortem", "completed")

#: The event and the severity that an indicator is; planned work and what is not known are none.
EVENTS: t.Mapping[str, t.Tuple[str, str]] = {
    "minor": ("provider.degraded", "warning"),
    "major": ("provider.outage", "error"),
    "critical": ("provider.outage", "error"),
}


@dataclass(frozen=True)
class WantedPage:
    """A page to ask. url: without login and query. components: names or shell patterns; empty for all."""

    name: str
    url: str
    components: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Component:
    """A part of the provider. group: it stands for others, whose group_id is its id."""

    id: str
    name: str
    status: str
    group: bool = False
    group_id: str = ""


@dataclass(frozen=True)
class Incident:
    """An open incident, or maintenance when ends_at is there. components: ids and names of what it touches."""

    name: str
    status: str
    impact: str
    url: t.Optional[str] = None
    started_at: t.Optional[str] = None
    updated_at: t.Optional[str] = None
    starts_at: t.Optional[str] = None
    ends_at: t.Optional[str] = None
    components: t.Tuple[t.Tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Told:
    """A whole page as its provider wrote it; all texts are one clean line, all instants UTC."""

    indicator: str
    description: str = ""
    components: t.Tuple[Component, ...] = ()
    incidents: t.Tuple[Incident, ...] = ()
    maintenance: t.Tuple[Incident, ...] = ()


@dataclass(frozen=True)
class PageState:
    """How a page is judged. components: those that are not operational, of the chosen where some are.

    missing: chosen components that the page does not have. left_out: how many entries the lists had beyond the limit.
    """

    name: str
    url: str
    indicator: str
    summary: str
    why: str
    components: t.Sequence[t.Mapping[str, t.Any]]
    missing: t.Sequence[str]
    incidents: t.Sequence[t.Mapping[str, t.Any]]
    maintenance: t.Sequence[t.Mapping[str, t.Any]]
    left_out: int
    checked_at: datetime


class NotAStatusPage(Exception):
    """What came back is no summary of a status page; the text says why, and nothing of what it was."""
