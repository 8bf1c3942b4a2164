# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of an event for people: title, message, facts and next step."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from .._core.clock import format_instant
from .._core.errors import ErrorKind
from .event import WATERMARK, Event

_LONGEST_FACT = 500
_LONGEST_WORD = 30

#: The first step by error_kind; the next_step of an error itself precedes it.
_BY_KIND = {
    ErrorKind.INVALID_OPTIONS: "Correct the option that the message names. The run did not start.",
    ErrorKind.UNREACHABLE: "Check that the server runs, its address, and the network between.",
    ErrorKind.ACCESS_DENIED: "Check user, password or key, and their rights.",
    ErrorKind.TIMEOUT: "Look for locks and load on the server; raise the timeout if the data has grown.",
    ErrorKind.CLIENT_MISSING: "Install the client programs of the server's major version on the backup host.",
    ErrorKind.CLIENT_TOO_OLD: "Install the client programs of the server's major version on the backup host.",
    ErrorKind.BACKUP_RUNNING: "Wait for the running backup, or find out why it does not end.",
    ErrorKind.IDENTITY_CHANGED: "Check the connection of the source; after a planned move, accept the new identity.",
    ErrorKind.RLS_BLIND: "Grant BYPASSRLS to the role, or use the owner of the tables.",
    ErrorKind.TRANSACTION_POOLER: "Connect to the server directly, not through its pooler.",
    ErrorKind.SPOOL_FULL: "Free space in the spool folder of the backup host.",
    ErrorKind.STORE_FULL: "Apply retention, or enlarge the store.",
    ErrorKind.STORE_FAILED: "Check the store with store_check; its keys may have expired.",
    ErrorKind.DAMAGED: "Use another set; the next backup stores damaged objects again.",
    ErrorKind.NOT_EQUAL: "Do not use the restored data; verify the set, and restore an earlier one.",
    ErrorKind.NO_BACKUP_SET: "Check that the timer runs (systemctl list-timers), and read its journal.",
    ErrorKind.RESTORE_FAILED: "The target is unchanged; read the message of pg_restore, then try another set.",
}

#: The same by the start of the name of the event.
_BY_EVENT = (
    (("backup.overdue", "backup.missing"), "Check that the timer runs (systemctl list-timers), and read its journal."),
    (
        ("backup.slow",),
        "A backup that takes more than half an hour waits for the network or for locks, or has grown; see its timings.",
    ),
    (
        ("backup.size",),
        "Compare the rows of the tables with those of the previous set (backup_info); data may be missing.",
    ),
    (
        ("backup.",),
        "Read the journal of the service of the backup; check the rights on the database and the keys of the store.",
    ),
    (("check.misconfigured",), "Correct the descriptions in checks, and run check.yml again."),
    (("check.error",), "Check the connection and the rights of the checking role, and run check.yml again."),
    (("check.overdue",), "Run check.yml, and check its timer."),
    (
        ("check.",),
        "Stop the writing application if the damage spreads; read the messages of the checks, then restore the rows.",
    ),
    (("verify.overdue",), "Run verify.yml, and check its timer."),
    (("verify.",), "Start a new backup immediately; verify older sets to find the newest intact one."),
    (
        ("restore.unchanged", "restore_rows.unchanged"),
        "Check whether the damage still exists; if so, restore a set from before it.",
    ),
    (
        ("recover_courses.unchanged", "recover_course_versions.unchanged"),
        "Check whether the damage still exists; if so, list the versions of the course with course_version_info.",
    ),
    (
        ("protect_course_versions.",),
        "Versions can be changed and deleted unless earlier safeguards exist; correct the cause, and run it again.",
    ),
    (
        ("recover_courses.", "recover_course_versions."),
        "Courses that the message does not name are unchanged; run the playbook again when its cause is corrected.",
    ),
    (
        ("recover_tags.unchanged", "recover_organization.unchanged", "recover_media.unchanged"),
        "Check whether the damage still exists; if so, run the checks of the source with check.yml.",
    ),
    (
        ("recover_everything.unchanged",),
        "Every stage was found done; check the application, and the monitoring that reported the incident.",
    ),
    (
        ("recover_everything.",),
        "Stages before a failed one stay in effect; run the playbook again when its cause is corrected.",
    ),
    (
        ("ransomware.",),
        "Keep the application stopped; the attacked database still exists. Correct the cause, then run it again.",
    ),
    (
        ("recover_tags.", "recover_organization.", "recover_media."),
        "Steps before a failed one stay in effect; run the playbook again when its cause is corrected.",
    ),
    (
        ("restore.", "restore_rows."),
        "The target is unchanged unless the message states otherwise; find slow steps in the timings.",
    ),
    (
        ("maintenance_on.",),
        "Steps that began were ended again unless the message states otherwise; correct the cause, and begin again.",
    ),
    (
        ("maintenance_off.",),
        "The application may still be stopped; correct the cause, and run maintenance.yml with maintenance_action=off.",
    ),
    (("roll_back.unchanged",), "Check that the release to go back to is another one than the current release."),
    (
        ("roll_back.",),
        "Parts that the message does not name are unchanged; run roll_back.yml again when the cause is corrected.",
    ),
    (("migrate.unchanged",), "Check that the files of the release are in the folder of the migrations."),
    (
        ("migrate.",),
        "Correct the file that the message names and run migrate.yml again; each file is one transaction, so it left "
        "nothing unless the message states otherwise.",
    ),
    (
        ("source.",),
        "If the source no longer exists, restore it: "
        "ansible-playbook lifeline.recovery.restore -e recovery_source=NAME. "
        "Otherwise check that the server runs and accepts connections; then decide on failover.",
    ),
    (("store.",), "Check the store with store_check; its keys may have expired. Until then, restore from a copy."),
    (("storage.",), "Apply retention, or enlarge the disk or the store."),
    (("replication.",), "Check the lag, the slot, and the network to the standby."),
    (("archive.",), "Check pg_stat_archiver and the repository; WAL stays on the server until it is archived."),
    (
        ("provider.",),
        "The provider has an outage: read its page, start no restore at the provider until it is over, or fail over.",
    ),
    (("validate_plan.",), "Correct the recovery plan as the findings describe, and run validate_plan.yml again."),
    (("drill.overdue",), "Run drill.yml, and check its timer."),
    (("drill.",), "Read the report of the drill and correct its cause before an incident needs the recovery."),
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
    """The message, marked if it belongs to a drill or ends an incident."""
    ended = "Resolved: " if event.resolved and event.severity != "info" else ""
    return marked(event, f"{ended}{event.message}")


def news(event: Event, *, mark: bool = True) -> str:
    """The message without the source before it and the next step after it, which the channel prints separately."""
    what_to_do = hint(event)
    text = event.message[len(event.source) + 2 :] if event.message.startswith(f"{event.source}: ") else event.message
    if what_to_do and text.endswith(f" {what_to_do}"):
        text = text[: -len(what_to_do)].rstrip()
    return message(replace(event, message=text)) if mark else text


def hint(event: Event) -> str:
    """The next step: from the error, else from its kind or the name of the event; empty for successes."""
    if not event.is_problem:
        return ""
    said = event.details.get("next_step") or _BY_KIND.get(str(event.details.get("error_kind") or ""))
    if said:
        return str(said)
    return advice(event.event, event.source)


def advice(name: str, source: str = "NAME") -> str:
    """The next step for the name of an event of a source; empty if none is known."""
    return next((text for names, text in _BY_EVENT if name.startswith(names)), "").replace("NAME", source)


def facts(event: Event) -> t.Dict[str, t.Any]:
    """All facts for machines: the details and the other fields."""
    known: t.Dict[str, t.Any] = {str(name): value for name, value in event.details.items()}
    known.update(severity=event.severity, key=event.key, resolved=event.resolved)
    if event.drill:
        known["drill"] = True
    if hint(event):
        known["hint"] = hint(event)
    return known


def letter(event: Event) -> str:
    """The complete text of a mail."""
    lines = [news(event), ""]
    if hint(event):
        lines += [f"Next step: {hint(event)}", ""]
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
    """Whether message or next step contain it already, as what and next_step of a failed module."""
    return isinstance(value, str) and len(value) > _LONGEST_WORD and (value in event.message or value == hint(event))


def short(value: t.Any) -> str:
    """The start of a value, in one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return " ".join(text.split())[:_LONGEST_FACT]
