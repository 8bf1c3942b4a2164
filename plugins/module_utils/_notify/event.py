# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events: name, source, severity, and the key of the incident that they open or resolve."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.severity import CRITICAL, INFO, SEVERITIES, WARNING
from .._core.sizes import readable_size

WATERMARK = "[DRILL]"

#: Last parts of the names of events that resolve the incident with the same key.
_WELL = ("succeeded", "passed", "recovered")
_BAD = ("failed",)

#: Keys that Ansible and our modules add to a result and that are no facts of the event.
_NOISE = (
    *("invocation", "exception", "warnings", "deprecations", "changed", "failed", "msg", "left", "attempts"),
    # Check results may contain rows of the database, which must not appear in messages.
    "checks",
)
_INNER_NOISE = ("invocation", "exception", "checks")
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Event:
    """One event. event: parts joined with dots, as C(backup.failed); the last part is the outcome.

    key: identifies the incident; events with the same key belong to one incident. resolved: the incident is over.
    details: facts, never secrets. run_id: the run that it belongs to, for heartbeats.
    """

    event: str
    severity: str
    source: str
    message: str
    timestamp: datetime
    key: str
    details: t.Mapping[str, t.Any] = field(default_factory=dict)
    resolved: bool = False
    drill: bool = False
    run_id: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether it opens an incident."""
        return self.severity != INFO and not self.resolved

    @property
    def outcome(self) -> str:
        """The last part of the name: C(started), C(succeeded), C(failed) or another."""
        return self.event.rpartition(".")[2]


def parse_event(given: t.Mapping[str, t.Any], now: datetime, *, drill: bool = False) -> Event:
    """An event from options: event, source, text, and the other fields of an Event.

    If severity is unset, C(failed) is critical unless only its confirmation was missing, C(started) and successes are
    info, and other events are warnings. If resolved is unset, successes are resolved. If key is unset, it is
    C(<source>/<event without its last part>); C(<source>/) is added to a key without a slash. If details are the result
    of a module, its msg is the message.
    Raises RecoveryError(invalid_options).
    """
    name = str(given.get("event") or "")
    if not _NAME.fullmatch(name):
        raise _invalid(
            f"{name!r} is not the name of an event.", "Write parts with dots between them, as backup.failed."
        )
    subject, _dot, outcome = name.rpartition(".")
    severity = given.get("severity") or _usual_severity(outcome, given.get("details"))
    if severity not in SEVERITIES:
        raise _invalid(f"{severity!r} is not a severity.", f"Use one of {', '.join(SEVERITIES)}.")
    source = str(given.get("source") or "")
    details = given.get("details") or {}
    if not isinstance(details, t.Mapping):
        raise _invalid(f"The details of {name} must be a dictionary.", "Set names with values.")
    resolved = given.get("resolved")
    key = str(given.get("key") or subject or outcome)
    key = key if "/" in key else f"{source or 'lifeline'}/{key}"
    stamp = given.get("timestamp")
    message = str(given.get("text") or details.get("msg") or "").strip() or _usual_message(name, details)
    return Event(
        event=name,
        severity=severity,
        source=source,
        message=_writable(message),
        timestamp=parse_instant(str(stamp)) if stamp else now,
        key=f"drill/{key}" if drill else key,
        details={_writable(str(name)): _fact(value) for name, value in details.items() if not _is_noise(str(name))},
        resolved=(outcome in _WELL and severity == "info") if resolved is None else _truth(resolved),
        drill=drill,
        run_id=str(given.get("run_id") or ""),
    )


def is_worse(severity: str, other: str) -> bool:
    return SEVERITIES.index(severity) > SEVERITIES.index(other)


def as_resolved(event: Event, now: datetime) -> Event:
    """The end of an incident that is not reported any longer."""
    return replace(event, resolved=True, timestamp=now)


def _fact(value: t.Any) -> t.Any:
    """A value without the invocation of modules whose results it contains, and with text that can be encoded."""
    if isinstance(value, t.Mapping):
        return {_writable(str(name)): _fact(one) for name, one in value.items() if name not in _INNER_NOISE}
    if isinstance(value, (list, tuple)):
        return [_fact(one) for one in value]
    return _writable(value) if isinstance(value, str) else value


def _writable(text: str) -> str:
    """Bytes that are not UTF-8, for example in file names, arrive as surrogates that cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def _is_noise(name: str) -> bool:
    return name in _NOISE or name.startswith("_ansible_")


def _truth(value: t.Any) -> bool:
    """Text that templates produce for a boolean."""
    return value.strip().lower() in ("true", "yes", "on", "1") if isinstance(value, str) else bool(value)


def _usual_severity(outcome: str, details: t.Any) -> str:
    # The run did not start, and the operator of the run sees the reason.
    if isinstance(details, t.Mapping) and details.get("error_kind") == ErrorKind.CONFIRMATION_REQUIRED:
        return WARNING
    if outcome in _BAD:
        return CRITICAL
    return INFO if outcome in (*_WELL, "started") else WARNING


#: The text of an event without a message, by its outcome.
_USUAL = {
    "started": "The {subject} started.",
    "succeeded": "The {subject} succeeded.",
    "failed": "The {subject} failed and left no message; see the log of the run.",
}


def _usual_message(name: str, details: t.Mapping[str, t.Any]) -> str:
    """A sentence that does not repeat the event and its source, which channels print before it.

    C(Daily backup completed successfully - <set id> - <size>) for a set, else the summary of the result.
    """
    if name != "backup.succeeded" or not details.get("set_id"):
        subject, _dot, outcome = name.rpartition(".")
        said = details.get("summary")
        if isinstance(said, str) and said.strip():
            return said.strip()
        return _USUAL.get(outcome, "The {subject} is {outcome}.").format(subject=subject or "run", outcome=outcome)
    said = f"{details.get('tier') or ''} backup completed successfully".strip().capitalize()
    size = str(details.get("bytes_stored") or details.get("bytes_plain") or "")
    return " - ".join([said, str(details["set_id"])] + ([readable_size(int(size))] if size.isdigit() else []))


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, left="No channel was notified.", next_step=next_step)
