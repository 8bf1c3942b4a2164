# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a provider's status page, and its meaning for a recovery."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from .._core.severity import ERROR, WARNING

#: Indicators of a page, from the lowest to the highest. Unknown is not operational.
INDICATORS = ("none", "unknown", "maintenance", "minor", "major", "critical")

#: The indicator of each status of a component.
OF_COMPONENT: t.Mapping[str, str] = {
    "operational": "none",
    "under_maintenance": "maintenance",
    "degraded_performance": "minor",
    "partial_outage": "major",
    "major_outage": "critical",
}

#: The states of running maintenance, and those of finished maintenance.
RUNNING = ("in_progress", "verifying")
OVER = ("resolved", "postmortem", "completed")

#: The event and severity of an indicator; planned maintenance and unknown states have none.
EVENTS: t.Mapping[str, t.Tuple[str, str]] = {
    "minor": ("provider.degraded", WARNING),
    "major": ("provider.outage", ERROR),
    "critical": ("provider.outage", ERROR),
}


@dataclass(frozen=True)
class WantedPage:
    """A page to request. url: without login and query. components: names or shell patterns; empty for every one."""

    name: str
    url: str
    components: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Component:
    """A part of the provider. group: it contains components, whose group_id is its id."""

    id: str
    name: str
    status: str
    group: bool = False
    group_id: str = ""


@dataclass(frozen=True)
class Incident:
    """An open incident, or maintenance if ends_at is set. components: ids and names of the affected components."""

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
class PageContent:
    """The complete page of the provider; each text is one printable line, each instant UTC."""

    indicator: str
    description: str = ""
    components: t.Tuple[Component, ...] = ()
    incidents: t.Tuple[Incident, ...] = ()
    maintenance: t.Tuple[Incident, ...] = ()


@dataclass(frozen=True)
class PageState:
    """The judged page. components: those that are not operational, of the selected ones if any are selected.

    missing: selected components that the page does not have. left_out: number of list entries beyond the limit.
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
    """The answer is no summary of a status page; the text states the reason without the content."""
