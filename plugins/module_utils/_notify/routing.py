# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is told what, and when: once per incident, again when it gets worse or lasts, and when it is over."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .channel import Channel
from .event import Event, as_resolved, is_worse


@dataclass(frozen=True)
class Told:
    """What a channel was told last of an incident."""

    severity: str
    at: datetime


@dataclass(frozen=True)
class Incident:
    """What is open under one key. event: the last; since: the first; told: by the channel's name.

    evaluated: it was found by somebody who names all that is wrong, so it is over when it is not named.
    """

    event: Event
    since: datetime
    told: t.Mapping[str, Told] = field(default_factory=dict)
    evaluated: bool = False


#: The open incidents by key.
Memory = t.Dict[str, Incident]


@dataclass(frozen=True)
class Rules:
    """How to decide. repeat_seconds: a channel is told again of what is reported again so much later; 0 for never.

    complete: the prefix of the keys of which the events name all that is wrong; None when they do not.
    """

    now: datetime
    repeat_seconds: float = 0
    complete: t.Optional[str] = None


@dataclass(frozen=True)
class Delivery:
    """One event for one channel."""

    channel: Channel
    event: Event


def plan(
    events: t.Sequence[Event], channels: t.Sequence[Channel], memory: t.Optional[Memory], rules: Rules
) -> t.Tuple[t.List[Delivery], Memory]:
    """What to send, and the incidents as they are when all of it is; memory is None where nothing is remembered."""
    incidents: Memory = dict(memory or {})
    deliveries: t.List[Delivery] = []
    reported: t.Set[str] = set()
    for event in events:
        deliveries += [Delivery(one, event) for one in channels if not one.remembers and one.wants(event)]
        if event.is_problem:
            _report(incidents, event, rules)
            reported.add(event.key)
        else:
            hearers = _hearers_of_good_news(event, channels, incidents, remembered=memory is not None)
            deliveries += [Delivery(one, event) for one in hearers]
            reported.discard(event.key)
    for key in _gone(incidents, reported, rules):
        incidents[key] = replace(incidents[key], event=as_resolved(incidents[key].event, rules.now))
    for key, incident in list(incidents.items()):
        if incident.event.resolved:
            # Of a channel that is no more nobody waits for an answer.
            there = {one.name for one in channels}
            told = {name: one for name, one in incident.told.items() if name in there}
            incidents[key] = replace(incident, told=told)
            due = [one for one in channels if one.name in told and not _planned(deliveries, one, key)]
        else:
            due = [one for one in channels if _is_due(one, incident, rules, again=key in reported)]
        deliveries += [Delivery(one, incident.event) for one in due]
    return deliveries, incidents


def remember(incidents: Memory, taken: t.Sequence[t.Tuple[Delivery, str]], now: datetime) -> Memory:
    """The memory after sending; taken names for each delivery that arrived the channel that took it.

    An incident that is over is forgotten when all who were told of it know; else they are told next time.
    """
    after = dict(incidents)
    for delivery, name in taken:
        incident = after.get(delivery.event.key)
        if incident is None or not delivery.channel.remembers:
            continue
        told = dict(incident.told)
        if incident.event.resolved:
            told.pop(delivery.channel.name, None)
        elif delivery.event.is_problem:
            told[name] = Told(delivery.event.severity, now)
        after[delivery.event.key] = replace(incident, told=told)
    return {key: one for key, one in after.items() if not one.event.resolved or one.told}


def _report(incidents: Memory, event: Event, rules: Rules) -> None:
    known = incidents.get(event.key)
    if known is None or known.event.resolved:
        # For who has not heard yet that the last one is over it goes on.
        known = Incident(event, min(event.timestamp, rules.now), known.told if known else {})
    # What a run told of itself last is over when a run says so, though who looks sees nothing of it.
    incidents[event.key] = replace(known, event=event, evaluated=rules.complete is not None)


def _hearers_of_good_news(
    event: Event, channels: t.Sequence[Channel], incidents: Memory, *, remembered: bool
) -> t.List[Channel]:
    """Who asked for such news, and who was told of the incident that it ends.

    Without a memory PagerDuty hears of every end, since it knows itself what is open.
    """
    hearers = [one for one in channels if one.remembers]
    incident = incidents.get(event.key)
    told: t.Collection[str] = ()
    if event.resolved and incident is not None:
        told = incident.told
        incidents[event.key] = replace(incident, event=event)
    # The end of a problem that nobody here was told of is no news.
    news = event.severity == "info" or not remembered
    always = event.resolved and not remembered

    def hears(one: Channel) -> bool:
        asked = (
            news and one.after_seconds == 0 and one.wants(event) and not (event.resolved and one.type == "pagerduty")
        )
        return one.name in told or asked or (always and one.type == "pagerduty" and (one.drills or not event.drill))

    return [one for one in hearers if hears(one)]


def _gone(incidents: Memory, reported: t.Set[str], rules: Rules) -> t.List[str]:
    if rules.complete is None:
        return []
    prefix = rules.complete
    return [
        key
        for key, one in incidents.items()
        if one.evaluated and not one.event.resolved and _is_below(key, prefix) and key not in reported
    ]


def _is_below(key: str, prefix: str) -> bool:
    """Whether it begins with the prefix in whole words: school/state:x is below school/state, school/states is not."""
    return key.startswith(prefix) and not (_in_word(prefix[-1:]) and _in_word(key[len(prefix) : len(prefix) + 1]))


def _in_word(character: str) -> bool:
    return character.isalnum() or (character != "" and character in "-_")


def _planned(deliveries: t.Sequence[Delivery], channel: Channel, key: str) -> bool:
    return any(one.channel is channel and one.event.key == key and one.event.resolved for one in deliveries)


def _is_due(channel: Channel, incident: Incident, rules: Rules, *, again: bool) -> bool:
    if not channel.remembers or not channel.wants(incident.event):
        return False
    if (rules.now - incident.since).total_seconds() < channel.after_seconds:
        return False
    told = incident.told.get(channel.name)
    if told is None or is_worse(incident.event.severity, told.severity):
        return True
    return again and 0 < rules.repeat_seconds <= (rules.now - told.at).total_seconds()
