# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a status page. Pure: its input is the page and the selected components."""

from __future__ import annotations

import typing as t
from datetime import datetime
from fnmatch import fnmatchcase

from .._core.sizes import first_of
from .model import INDICATORS, OF_COMPONENT, OVER, RUNNING, Component, Incident, PageContent, PageState, WantedPage

#: Maximum number of entries of a list.
_LONGEST_LIST = 50

#: Maximum number of components in a sentence.
_NAMED = 3

_STATES = {
    "degraded_performance": "is degraded",
    "partial_outage": "is partly down",
    "major_outage": "is down",
    "under_maintenance": "is under maintenance",
}


def worst(indicators: t.Iterable[str]) -> str:
    """The most severe indicator; C(none) if there is none."""
    return max(indicators, key=INDICATORS.index, default="none")


def judge_page(page: WantedPage, content: PageContent, now: datetime) -> PageState:
    """The state of the page: its own indicator, or the selected components and the open incidents that affect them."""
    open_incidents = [one for one in content.incidents if one.status not in OVER]
    maintenance = [one for one in content.maintenance if one.status not in OVER]
    chosen, missing = _choose(page.components, content.components)
    concerned = [one for one in open_incidents if _concerns(one, page, chosen)]
    running = [one for one in maintenance if one.status in RUNNING and _concerns(one, page, chosen)]
    reasons = ["maintenance"] if running else []
    if page.components:
        reasons += [OF_COMPONENT.get(one.status, "unknown") for one in chosen]
        reasons += [one.impact for one in concerned] + (["unknown"] if missing else [])
    else:
        reasons += [content.indicator, *_overlooked(chosen)]
    indicator = worst(reasons)
    affected = _without_groups_of(one for one in chosen if one.status != "operational")
    why = _why(missing, affected)
    lists = (affected, open_incidents, maintenance)
    return PageState(
        name=page.name,
        url=page.url,
        indicator=indicator,
        summary=f"{page.name}: {_sentence(indicator, affected, concerned, running, content.description, why)}",
        why=why,
        components=[_shown_component(one, content.components) for one in affected[:_LONGEST_LIST]],
        missing=missing,
        incidents=[_shown_incident(one) for one in open_incidents[:_LONGEST_LIST]],
        maintenance=[_shown_maintenance(one) for one in maintenance[:_LONGEST_LIST]],
        left_out=sum(max(0, len(one) - _LONGEST_LIST) for one in lists),
        checked_at=now,
    )


def unknown_page(page: WantedPage, why: str, now: datetime) -> PageState:
    """A page without a usable answer; why is the rest of a sentence."""
    said = f"{page.name}: unknown - {why}."
    return PageState(page.name, page.url, "unknown", said, f"{why}.", [], [], [], [], 0, now)


def _choose(patterns: t.Sequence[str], components: t.Sequence[Component]) -> t.Tuple[t.List[Component], t.List[str]]:
    """The components that match, those of a matching group with it, and the names without a match."""
    if not patterns:
        return list(components), []
    named: t.Set[int] = set()
    missing = []
    for pattern in patterns:
        found = {number for number, one in enumerate(components) if _is_named(pattern, one.name)}
        named |= found
        if not found:
            missing.append(pattern)
    groups = {components[number].id for number in named if components[number].group} - {""}
    return [one for number, one in enumerate(components) if number in named or one.group_id in groups], missing


def _is_named(pattern: str, name: str) -> bool:
    wanted, given = pattern.casefold(), name.casefold()
    return wanted == given or fnmatchcase(given, wanted)


def _overlooked(components: t.Sequence[Component]) -> t.Iterator[str]:
    """The state from components, independent of the indicator of the page: degraded, without a severity."""
    for one in components:
        of_it = OF_COMPONENT.get(one.status, "unknown")
        yield of_it if of_it in ("none", "unknown", "maintenance") else "minor"


def _concerns(incident: Incident, page: WantedPage, chosen: t.Sequence[Component]) -> bool:
    """Whether it affects the selected components: by id, or by name if it has no id."""
    if not page.components:
        return True
    ids = {one.id for one in chosen} - {""}
    names = {one.name for one in chosen}
    return any(ident in ids if ident else name in names for ident, name in incident.components)


def _without_groups_of(affected: t.Iterable[Component]) -> t.List[Component]:
    """Without groups whose components state the same more precisely."""
    kept = list(affected)
    explained = {one.group_id for one in kept}
    return [one for one in kept if not (one.group and one.id in explained)]


def _why(missing: t.Sequence[str], affected: t.Sequence[Component]) -> str:
    parts = []
    if missing:
        parts.append(f"It has no component {first_of([repr(one) for one in missing], _NAMED)}.")
    strange = [one.name for one in affected if one.status not in OF_COMPONENT]
    if strange:
        parts.append(f"The status of {first_of(strange, _NAMED)} is unknown to this collection.")
    return " ".join(parts)


def _sentence(
    indicator: str,
    affected: t.Sequence[Component],
    concerned: t.Sequence[Incident],
    running: t.Sequence[Incident],
    description: str,
    why: str,
) -> str:
    if indicator == "none":
        return "all operational."
    # The most severe component first, with the start of the incident that affects it.
    grave = sorted(affected, key=lambda one: -INDICATORS.index(OF_COMPONENT.get(one.status, "unknown")))
    if grave and indicator != "unknown":
        said = first_of([f"{one.name} {_STATES.get(one.status, 'is')} ({one.status})" for one in grave], _NAMED)
        ids, names = {grave[0].id, grave[0].group_id} - {""}, {grave[0].name}
        touching = [
            one
            for one in [*concerned, *running]
            if any(ident in ids if ident else name in names for ident, name in one.components)
        ]
        said += _since(touching)
    elif concerned and indicator not in ("unknown", "maintenance"):
        first = max(concerned, key=lambda one: INDICATORS.index(one.impact))
        said = f"{first.name} ({first.status}){_since([first])}"
    elif running and indicator == "maintenance":
        until = f" until {running[0].ends_at}" if running[0].ends_at else ""
        said = f"{running[0].name} ({running[0].status}){until}"
    else:
        said = "" if why else description or "the page gives no details"
    return f"{indicator} - " + " ".join(part for part in (f"{said.rstrip('.')}." if said else "", why) if part)


def _since(incidents: t.Sequence[Incident]) -> str:
    begun = min((one.started_at or one.starts_at or "" for one in incidents), default="")
    return f" since {begun}" if begun else ""


def _shown_component(one: Component, all_of_them: t.Sequence[Component]) -> t.Dict[str, t.Any]:
    group = next((other.name for other in all_of_them if other.group and other.id and other.id == one.group_id), None)
    return {"name": one.name, "group": group, "status": one.status}


def _shown_incident(one: Incident) -> t.Dict[str, t.Any]:
    return {
        "name": one.name,
        "impact": one.impact,
        "status": one.status,
        "url": one.url,
        "started_at": one.started_at,
        "updated_at": one.updated_at,
        "components": [name for _id, name in one.components if name][:_LONGEST_LIST],
    }


def _shown_maintenance(one: Incident) -> t.Dict[str, t.Any]:
    return {**_shown_incident(one), "starts_at": one.starts_at, "ends_at": one.ends_at}
