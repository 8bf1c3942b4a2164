# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The payload of each type of channel."""

from __future__ import annotations

import email.message
import email.utils
import hashlib
import json
import typing as t
import urllib.parse
import uuid
from dataclasses import dataclass, field

from .._core.clock import format_instant
from .._core.severity import ERROR, at_least
from .channel import Channel, Mail
from .event import Event
from .messages import facts, hint, letter, marked, message, news, short, subject

_LONGEST_KEY = 255
_LONGEST_SUMMARY = 1024
_LONGEST_SECTION = 2900
_LONGEST_PING = 10000

#: PagerDuty refuses events above 512 KB and would open no incident.
_LARGEST_DETAILS = 256 * 1024
_MOST_FACTS = 200

#: Suffix of the URL of a heartbeat, by outcome. https://healthchecks.io/docs/http_api/
_PINGS = {"started": "/start", "failed": "/fail", "succeeded": "", "passed": "", "recovered": ""}


@dataclass(frozen=True)
class Parcel:
    """A request over HTTP. url may be a secret, and so may the body."""

    url: str = field(repr=False)
    method: str = "POST"
    content_type: str = "application/json"
    body: bytes = field(default=b"", repr=False)


def parcel_for(channel: Channel, event: Event) -> Parcel:
    """The payload of a channel other than email."""
    if channel.type == "heartbeat":
        return _ping(channel, event)
    build = {"slack": slack_payload, "pagerduty": pagerduty_payload, "webhook": webhook_payload}[channel.type]
    return Parcel(channel.url, body=json.dumps(build(channel, event), default=str).encode())


def slack_payload(_channel: Channel, event: Event) -> t.Dict[str, t.Any]:
    """For an incoming webhook: a text for notifications, and blocks for the opened message."""
    head, said, what_to_do = (_escaped(text) for text in (subject(event), news(event), hint(event)))
    body = f"*{head}*\n{said}" + (f"\n_Next step:_ {what_to_do}" if what_to_do else "")
    foot = f"{format_instant(event.timestamp)} | {_escaped(event.key)}"
    return {
        "text": f"{head}: {said}"[:_LONGEST_SECTION],
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": body[:_LONGEST_SECTION]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": foot[:_LONGEST_SECTION]}]},
        ],
    }


def pagerduty_payload(channel: Channel, event: Event) -> t.Dict[str, t.Any]:
    """For the Events API v2, https://developer.pagerduty.com/docs/send-alert-event."""
    named = {"routing_key": channel.routing_key, "dedup_key": dedup_key(event.key)}
    if event.resolved:
        return {**named, "event_action": "resolve"}
    return {
        **named,
        "event_action": "trigger",
        "payload": {
            "summary": marked(event, f"{event.event} of {event.source}: {news(event, mark=False)}")[:_LONGEST_SUMMARY],
            "source": event.source or "lifeline",
            "severity": event.severity,
            "timestamp": format_instant(event.timestamp),
            "class": event.event,
            "custom_details": _bounded(facts(event)),
        },
    }


def webhook_payload(channel: Channel, event: Event) -> t.Dict[str, t.Any]:
    """Four fields, or all details if the channel has C(details)."""
    payload: t.Dict[str, t.Any] = {
        "event": event.event,
        "message": message(event),
        "timestamp": format_instant(event.timestamp),
        "source": event.source,
    }
    return {**payload, "details": facts(event)} if channel.details else payload


def mail_for(mail: Mail, event: Event) -> email.message.EmailMessage:
    """The same Message-ID for each attempt, so that duplicates can be detected."""
    made = email.message.EmailMessage()
    made["Subject"] = subject(event)
    made["From"] = mail.sender
    made["To"] = ", ".join(mail.recipients)
    made["Date"] = email.utils.format_datetime(event.timestamp)
    made["Message-ID"] = email.utils.make_msgid(domain=mail.sender.rpartition("@")[2])
    if event.severity in at_least(ERROR) and not event.resolved:
        made["X-Priority"] = "1"
        made["Importance"] = "high"
    made.set_content(letter(event))
    return made


def dedup_key(key: str) -> str:
    """A key of at most 255 characters; a longer one is cut and ends in its digest."""
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{key[: _LONGEST_KEY - 17]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _bounded(known: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """The facts, each shortened if they exceed the limit together."""
    if len(json.dumps(known, default=str)) <= _LARGEST_DETAILS:
        return known
    return {name[:_LONGEST_KEY]: short(known[name]) for name in list(known)[-_MOST_FACTS:]}


def _ping(channel: Channel, event: Event) -> Parcel:
    bad = event.severity in at_least(ERROR) and not event.resolved
    # Events that are neither start nor end are logged, which keeps the state of the heartbeat.
    ending = _PINGS.get(event.outcome, "/fail" if bad else "/log")
    parts = urllib.parse.urlsplit(channel.url)
    query = "&".join(one for one in (parts.query, f"rid={_run(event.run_id)}" if event.run_id else "") if one)
    url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + ending, query, ""))
    if channel.method == "GET":
        return Parcel(url, "GET")
    return Parcel(url, "POST", "text/plain; charset=utf-8", letter(event).encode()[:_LONGEST_PING])


def _run(run_id: str) -> str:
    """The run as the UUID that heartbeats accept."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, run_id))


def _escaped(text: str) -> str:
    """For Slack, where these three characters start links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
