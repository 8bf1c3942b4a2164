# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routing: an incident is sent once, again if it gets worse or lasts, and once when it is resolved."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._core.severity import INFO
from .channel import Channel
from .event import Event, as_resolved, is_worse


@dataclass(frozen=True)
class Sent:
    """The last message of an incident to a channel."""

    severity: str
    at: datetime


@dataclass(frozen=True)
class Incident:
    """An open key. event: the last event; since: the time of the first; sent: by the name of the channel.

    evaluated: a complete evaluation reported it, so it is resolved when the next evaluation does not contain it.
    """

    event: Event
    since: datetime
    sent: t.Mapping[str, Sent] = field(default_factory=dict)
    evaluated: bool = False


#: The open incidents by key.
Memory = t.Dict[str, Incident]


@dataclass(frozen=True)
class Rules:
    """Options of routing. repeat_seconds: an incident that is reported again is sent again after it; 0 for never.

    complete: the prefix of keys for which the events are a complete evaluation; None if they are not.
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
    """The deliveries, and the incidents after them; memory is None if no state is stored."""
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
            # A channel that was removed from the configuration needs no resolve message.
            there = {one.name for one in channels}
            sent = {name: one for name, one in incident.sent.items() if name in there}
            incidents[key] = replace(incident, sent=sent)
            due = [one for one in channels if one.name in sent and not _planned(deliveries, one, key)]
        else:
            due = [one for one in channels if _is_due(one, incident, rules, again=key in reported)]
        deliveries += [Delivery(one, incident.event) for one in due]
    return deliveries, incidents


def remember(incidents: Memory, taken: t.Sequence[t.Tuple[Delivery, str]], now: datetime) -> Memory:
    """The stored incidents after sending; taken has the accepting channel of each delivery.

    A resolved incident is removed when every channel that got it also got its end; else the next run sends the end.
    """
    after = dict(incidents)
    for delivery, name in taken:
        incident = after.get(delivery.event.key)
        if incident is None or not delivery.channel.remembers:
            continue
        sent = dict(incident.sent)
        if incident.event.resolved:
            sent.pop(delivery.channel.name, None)
        elif delivery.event.is_problem:
            sent[name] = Sent(delivery.event.severity, now)
        after[delivery.event.key] = replace(incident, sent=sent)
    return {key: one for key, one in after.items() if not one.event.resolved or one.sent}


def _report(incidents: Memory, event: Event, rules: Rules) -> None:
    known = incidents.get(event.key)
    if known is None or known.event.resolved:
        # The incident stays open for channels that have not received its last end.
        known = Incident(event, min(event.timestamp, rules.now), known.sent if known else {})
    # An incident that a run reported of itself ends when that run succeeds, even if evaluations do not see it.
    incidents[event.key] = replace(known, event=event, evaluated=rules.complete is not None)


def _hearers_of_good_news(
    event: Event, channels: t.Sequence[Channel], incidents: Memory, *, remembered: bool
) -> t.List[Channel]:
    """The channels that accept such an event, and those that got the incident that it ends.

    If no state is stored, PagerDuty gets every end, because it stores open incidents itself.
    """
    hearers = [one for one in channels if one.remembers]
    incident = incidents.get(event.key)
    sent: t.Collection[str] = ()
    if event.resolved and incident is not None:
        sent = incident.sent
        incidents[event.key] = replace(incident, event=event)
    # The end of an incident is not sent if no channel got its start.
    news = event.severity == INFO or not remembered
    always = event.resolved and not remembered

    def hears(one: Channel) -> bool:
        asked = (
            news and one.after_seconds == 0 and one.wants(event) and not (event.resolved and one.type == "pagerduty")
        )
        return one.name in sent or asked or (always and one.type == "pagerduty" and (one.drills or not event.drill))

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
    """Whether it starts with the prefix at a separator: school/state:x is below school/state, school/states is not."""
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
    sent = incident.sent.get(channel.name)
    if sent is None or is_worse(incident.event.severity, sent.severity):
        return True
    return again and 0 < rules.repeat_seconds <= (rules.now - sent.at).total_seconds()
