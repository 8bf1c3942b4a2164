# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about people: notification, escalation and contacts."""

from __future__ import annotations

import fnmatch
import typing as t
from datetime import date

from .._core.severity import CRITICAL, ERROR, INFO, WARNING
from .findings import Hit, Rule
from .model import Channel, Contact, Plan
from .placeholders import is_placeholder

FAILED = "backup.failed"
#: Required functions, and the roles that fulfil them.
_NEEDED: t.Tuple[t.Tuple[str, t.Tuple[str, ...]], ...] = (
    ("incident commander", ("incident_commander",)),
    ("technical", ("technical", "database_administrator", "devops_lead", "on_call")),
    ("management", ("management",)),
    ("support", ("support",)),
)
_MESSAGES = ("initial", "resolved")
_DOCUMENT: t.Mapping[str, str] = {
    "version": "its version",
    "owner": "its owner",
    "updated": "the date of its last change",
    "next_review": "the date of its next review",
}


def _failure_unannounced(plan: Plan, today: date) -> t.Iterator[Hit]:
    for source in plan.sources:
        if not any(_hears(channel, FAILED, source.name) for channel in plan.channels):
            yield Hit("channels", f"No channel is notified when a backup of {source.name} fails.")


def _heartbeat_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    if not any(channel.type == "heartbeat" for channel in plan.channels):
        yield Hit("channels", "A backup that never starts reports no failure, and no heartbeat detects it.")


def _escalation_flat(plan: Plan, today: date) -> t.Iterator[Hit]:
    if len(plan.escalation) < 2:
        yield Hit("escalation", "If the first contact does not answer, no other contact is called.")


def _escalation_untimed(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, level in enumerate(plan.escalation[1:], 1):
        if level.after_seconds is None:
            yield Hit(f"escalation[{index}].after_seconds", f"The time after which {level.who} is called is not set.")


def _contact_unfilled(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, contact in enumerate(plan.contacts):
        unfilled = [name for name, value in _ways(contact) if value is not None and is_placeholder(value)]
        if unfilled:
            yield Hit(f"contacts[{index}].{unfilled[0]}", f"The {unfilled[0]} of {_who(contact)} is a placeholder.")
        elif all(value is None for name, value in _ways(contact) if name != "name"):
            yield Hit(f"contacts[{index}]", f"The contact {_who(contact)} has no phone, mail or channel.")


def _role_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    there = {contact.role for contact in plan.contacts}
    missing = [name for name, roles in _NEEDED if not there.intersection(roles)]
    if missing:
        yield Hit("contacts", f"No contact is named for {', '.join(missing)}.")


def _vendor_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    provided = any(store.provider != "directory" for store in plan.stores)
    if provided and all(contact.role != "vendor" for contact in plan.contacts):
        yield Hit("contacts", "No support contact of a provider is named.")


def _document_unfilled(plan: Plan, today: date) -> t.Iterator[Hit]:
    for name, meaning in _DOCUMENT.items():
        if is_placeholder(getattr(plan.document, name)):
            yield Hit(f"document.{name}", f"The plan does not state {meaning}.")


def _review_overdue(plan: Plan, today: date) -> t.Iterator[Hit]:
    due = plan.document.next_review
    if due is not None and not is_placeholder(due) and date.fromisoformat(due) < today:
        yield Hit("document.next_review", f"The review of the plan was due on {due}.")


def _message_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    written = {message.name for message in plan.messages if message.text}
    missing = [name for name in _MESSAGES if name not in written]
    if missing:
        yield Hit("messages", f"These messages to users are not prepared: {', '.join(missing)}.")


def _hears(channel: Channel, event: str, source: str) -> bool:
    if channel.type == "heartbeat" or (channel.severities and CRITICAL not in channel.severities):
        return False
    named = any(fnmatch.fnmatchcase(event, pattern) for pattern in channel.events or ("*",))
    return named and any(fnmatch.fnmatchcase(source, pattern) for pattern in channel.sources or ("*",))


def _ways(contact: Contact) -> t.Tuple[t.Tuple[str, t.Optional[str]], ...]:
    return tuple((name, getattr(contact, name)) for name in ("name", "phone", "mail", "channel"))


def _who(contact: Contact) -> str:
    return contact.name if contact.name and not is_placeholder(contact.name) else contact.role.replace("_", " ")


RULES = (
    Rule(
        "failure_unannounced",
        ERROR,
        "T4",
        "A failed backup reaches a person.",
        "Create a channel that accepts the event backup.failed with the severity critical.",
        _failure_unannounced,
    ),
    Rule(
        "heartbeat_missing",
        WARNING,
        None,
        "A heartbeat monitors each backup and alerts if none arrived.",
        "Add a channel of type heartbeat.",
        _heartbeat_missing,
    ),
    Rule(
        "escalation_flat",
        WARNING,
        None,
        "Escalation has at least two levels.",
        "Name the next person to call.",
        _escalation_flat,
    ),
    Rule(
        "escalation_untimed",
        WARNING,
        None,
        "Each level states the time after which it is called.",
        "Set after_seconds.",
        _escalation_untimed,
    ),
    Rule(
        "contact_unfilled",
        ERROR,
        None,
        "Contacts are complete and reachable.",
        "Set a phone number, an address or a channel, and test it.",
        _contact_unfilled,
    ),
    Rule(
        "role_missing",
        WARNING,
        None,
        "There are contacts for incident command, technical work, management and support.",
        "Add a contact for each role.",
        _role_missing,
    ),
    Rule(
        "vendor_missing",
        WARNING,
        None,
        "The support of a provider is among the contacts.",
        "Add a contact with the role vendor.",
        _vendor_missing,
    ),
    Rule(
        "document_unfilled",
        WARNING,
        None,
        "The plan has a version, an owner, a date, and a date of its next review.",
        "Set the missing keys.",
        _document_unfilled,
    ),
    Rule(
        "review_overdue",
        WARNING,
        None,
        "The review of the plan is not overdue.",
        "Review the plan and set the next date.",
        _review_overdue,
    ),
    Rule(
        "message_missing",
        INFO,
        None,
        "The messages at the start and at the end of an incident are prepared.",
        "Write the messages initial and resolved.",
        _message_missing,
    ),
)
