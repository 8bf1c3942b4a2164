# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges what a status page tells. Pure: it sees the page and the choice, not the world."""

from __future__ import annotations

import typing as t
from datetime import datetime
from fnmatch import fnmatchcase

from .model import INDICATORS, OF_COMPONENT, OVER, RUNNING, Component, Incident, PageState, Told, WantedPage

#: So many entries a list has at most.
_LONGEST_LIST = 50

#: So many components are named in a sentence.
_NAMED = 3

_WORDS = {
    "degraded_performance": "is degraded",
    "partial_outage": "is partly down",
    "major_outage": "is down",
    "under_maintenance": "is under maintenance",
}


def worst(indicators: t.Iterable[str]) -> str:
    """The gravest of them; C(none) without any."""
    return max(indicators, key=INDICATORS.index, default="none")


def judge_page(page: WantedPage, told: Told, now: datetime) -> PageState:
    """How the page is: by its own indicator, or by the chosen components and the open incidents that touch them."""
    open_incidents = [one for one in told.incidents if one.status not in OVER]
    maintenance = [one for one in told.maintenance if one.status not in OVER]
    chosen, missing = _choose(page.components, told.components)
    concerned = [one for one in open_incidents if _concerns(one, page, chosen)]
    running = [one for one in maintenance if one.status in RUNNING and _concerns(one, page, chosen)]
    reasons = ["maintenance"] if running else []
    if page.components:
        reasons += [OF_COMPONENT.get(one.status, "unknown") for one in chosen]
        reasons += [one.impact for one in concerned] + (["unknown"] if missing else [])
    else:
        reasons += [told.indicator, *_overlooked(chosen)]
    indicator = worst(reasons)
    affected = _without_groups_of(one for one in chosen if one.status != "operational")
    why = _why(missing, affected)
    lists = (affected, open_incidents, maintenance)
    return PageState(
        name=page.name,
        url=page.url,
        indicator=indicator,
        summary=f"{page.name}: {_sentence(indicator, affected, concerned, running, told.description, why)}",
        why=why,
        components=[_shown_component(one, told.components) for one in affected[:_LONGEST_LIST]],
        missing=missing,
        incidents=[_shown_incident(one) for one in open_incidents[:_LONGEST_LIST]],
        maintenance=[_shown_maintenance(one) for one in maintenance[:_LONGEST_LIST]],
        left_out=sum(max(0, len(one) - _LONGEST_LIST) for one in lists),
        checked_at=now,
    )


def unknown_page(page: WantedPage, why: str, now: datetime) -> PageState:
    """A page that told nothing; why is the rest of a sentence."""
    said = f"{page.name}: unknown - {why}."
    return PageState(page.name, page.url, "unknown", said, f"{why}.", [], [], [], [], 0, now)


def _choose(patterns: t.Sequence[str], components: t.Sequence[Component]) -> t.Tuple[t.List[Component], t.List[str]]:
    """The components that are named, those of a named group with it, and the names that none has."""
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
    """What components say whatever the page says of the whole: that not all is operational, but not how grave it is."""
    for one in components:
        of_it = OF_COMPONENT.get(one.status, "unknown")
        yield of_it if of_it in ("none", "unknown", "maintenance") else "minor"


def _concerns(incident: Incident, page: WantedPage, chosen: t.Sequence[Component]) -> bool:
    """Whether it touches what is chosen: by id, which is one component's own, or by name where there is none."""
    if not page.components:
        return True
    ids = {one.id for one in chosen} - {""}
    names = {one.name for one in chosen}
    return any(ident in ids if ident else name in names for ident, name in incident.components)


def _without_groups_of(affected: t.Iterable[Component]) -> t.List[Component]:
    """Without groups whose own components say it more exactly."""
    kept = list(affected)
    explained = {one.group_id for one in kept}
    return [one for one in kept if not (one.group and one.id in explained)]


def _why(missing: t.Sequence[str], affected: t.Sequence[Component]) -> str:
    parts = []
    if missing:
        parts.append(f"It has no component {_listed([repr(one) for one in missing])}.")
    strange = [one.name for one in affected if one.status not in OF_COMPONENT]
    if strange:
        parts.append(f"The status of {_listed(strange)} is none that is known.")
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
    # The gravest component first, and since when, as the incident that touches it has it.
    grave = sorted(affected, key=lambda one: -INDICATORS.index(OF_COMPONENT.get(one.status, "unknown")))
    if grave and indicator != "unknown":
        said = _listed([f"{one.name} {_WORDS.get(one.status, 'is')} ({one.status})" for one in grave])
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
        said = "" if why else description or "it says no more"
    return f"{indicator} - " + " ".join(part for part in (f"{said.rstrip('.')}." if said else "", why) if part)


def _since(incidents: t.Sequence[Incident]) -> str:
    begun = min((one.started_at or one.starts_at or "" for one in incidents), default="")
    return f" since {begun}" if begun else ""


def _listed(texts: t.Sequence[str]) -> str:
    rest = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + rest


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
