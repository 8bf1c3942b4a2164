# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people read of an event: one line, the message, the facts, and what to do."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from .._core.clock import format_instant
from .._core.errors import ErrorKind
from .event import WATERMARK, Event

_LONGEST_FACT = 500
_LONGEST_WORD = 30

#: What to look at first, by error_kind; what an error itself says to do stands before it.
_BY_KIND = {
    ErrorKind.INVALID_OPTIONS: "Correct the option that the message names. The run did not begin.",
    ErrorKind.UNREACHABLE: "Check that the server runs, its address, and the network between.",
    ErrorKind.ACCESS_DENIED: "Check user, password or key, and their rights.",
    ErrorKind.TIMEOUT: "Look for locks and load on the server; raise the timeout when the data has grown.",
    ErrorKind.CLIENT_MISSING: "Install the client programs of the server's major version on the backup host.",
    ErrorKind.CLIENT_TOO_OLD: "Install the client programs of the server's major version on the backup host.",
    ErrorKind.BACKUP_RUNNING: "Wait for the backup that runs, or look why it hangs.",
    ErrorKind.IDENTITY_CHANGED: "Check the connection of the source; after a planned move, accept the new identity.",
    ErrorKind.RLS_BLIND: "Give the role BYPASSRLS, or take the owner of the tables.",
    ErrorKind.TRANSACTION_POOLER: "Connect to the server directly, not through its pooler.",
    ErrorKind.SPOOL_FULL: "Free space in the spool folder of the backup host.",
    ErrorKind.STORE_FULL: "Apply retention, or make the store larger.",
    ErrorKind.STORE_FAILED: "Check the store with store_check; its keys may have expired.",
    ErrorKind.DAMAGED: "Take another set; the next backup stores anew what is damaged.",
    ErrorKind.NOT_EQUAL: "Do not use what was restored; verify the set, and restore an earlier one.",
    ErrorKind.NO_BACKUP_SET: "Look whether the timer fires (systemctl list-timers), and at its journal.",
    ErrorKind.RESTORE_FAILED: "The target is as it was; read what pg_restore said, then try another set.",
}

#: The same by the beginning of the event's name.
_BY_EVENT = (
    (("backup.overdue", "backup.missing"), "Look whether the timer fires (systemctl list-timers), and at its journal."),
    (
        ("backup.slow",),
        "A backup slower than half an hour waits for the network, for locks, or has grown; see its timings.",
    ),
    (
        ("backup.size",),
        "Compare the rows of the tables with those of the set before (backup_info); data may be missing.",
    ),
    (("backup.",), "Read the journal of the backup's service; check rights on the database and keys of the store."),
    (("check.misconfigured",), "Correct the descriptions in checks, and run check.yml again."),
    (("check.error",), "Check the connection and the rights of the role that checks, and run check.yml again."),
    (("check.overdue",), "Run check.yml, and look at its timer."),
    (
        ("check.",),
        "Stop what writes it if it spreads; see the checks' messages, then restore the tables or rows from before.",
    ),
    (("verification.overdue",), "Run verify.yml, and look at its timer."),
    (("verification.",), "Take a new backup now; verify older sets to find the newest that is sound."),
    (("restore.unchanged",), "Check whether the damage is still there; if so, restore a set from before it."),
    (("restore.",), "The target is as it was unless the message says otherwise; look at the timings of what was slow."),
    (("source.",), "Check that the server runs and takes connections; then decide on failover."),
    (("store.",), "Check the store with store_check; its keys may have expired. Until then, a copy may serve."),
    (("storage.",), "Apply retention, or make the disk or the store larger."),
    (("replication.",), "Look at the lag, at the slot, and at the network to the standby."),
    (("archive.",), "Look at pg_stat_archiver and at the repository; WAL stays on the server until it is archived."),
    (
        ("provider.",),
        "It is the provider's: read its page, start no restore there until it is over, or fail over.",
    ),
    (("drill.overdue",), "Run drill.yml, and look at its timer."),
    (("drill.",), "Read the report of the drill before the recovery is needed for real."),
)


def marked(event: Event, text: str) -> str:
    """The text, with the watermark of a drill before it."""
    return f"{WATERMARK} {text}" if event.drill else text


def subject(event: Event) -> str:
    """C([critical] backup.failed of school), in one line."""
    state = "resolved" if event.resolved and event.severity != "info" else event.severity
    named = f"[{state}] {event.event}" + (f" of {event.source}" if event.source else "")
    return " ".join(marked(event, named).split())[:200]


def message(event: Event) -> str:
    """The message, marked where it is a drill's or the end of a problem."""
    ended = "Resolved: " if event.resolved and event.severity != "info" else ""
    return marked(event, f"{ended}{event.message}")


def news(event: Event, *, mark: bool = True) -> str:
    """The message for who reads the source before it and what to do after it: without both."""
    what_to_do = hint(event)
    text = event.message[len(event.source) + 2 :] if event.message.startswith(f"{event.source}: ") else event.message
    if what_to_do and text.endswith(f" {what_to_do}"):
        text = text[: -len(what_to_do)].rstrip()
    return message(replace(event, message=text)) if mark else text


def hint(event: Event) -> str:
    """What to do now: what the error says, else what its kind or the event's name suggests; empty for what is well."""
    if not event.is_problem:
        return ""
    said = event.details.get("next_step") or _BY_KIND.get(str(event.details.get("error_kind") or ""))
    if said:
        return str(said)
    return advice(event.event)


def advice(name: str) -> str:
    """What the name of an event suggests to do; empty when nothing does."""
    return next((text for names, text in _BY_EVENT if name.startswith(names)), "")


def facts(event: Event) -> t.Dict[str, t.Any]:
    """All that is known, for machines: the details, and what the other fields say."""
    known: t.Dict[str, t.Any] = {str(name): value for name, value in event.details.items()}
    known.update(severity=event.severity, key=event.key, resolved=event.resolved)
    if event.drill:
        known["drill"] = True
    if hint(event):
        known["hint"] = hint(event)
    return known


def letter(event: Event) -> str:
    """The whole text of a mail."""
    lines = [news(event), ""]
    if hint(event):
        lines += [f"What to do: {hint(event)}", ""]
    lines += [f"{name}: {short(value)}" for name, value in event.details.items() if not _said(event, value)]
    lines += [
        f"event: {event.event}",
        f"severity: {event.severity}",
        f"source: {event.source}",
        f"time: {format_instant(event.timestamp)}",
        f"key: {event.key}",
    ]
    return "\n".join(lines) + "\n"


def _said(event: Event, value: t.Any) -> bool:
    """Whether the message or what to do has it already, as what and next_step of a module that failed."""
    return isinstance(value, str) and len(value) > _LONGEST_WORD and (value in event.message or value == hint(event))


def short(value: t.Any) -> str:
    """The beginning of a value, in one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return " ".join(text.split())[:_LONGEST_FACT]
