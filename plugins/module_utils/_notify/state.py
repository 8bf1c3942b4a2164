# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The open incidents in a file, so that each run knows the messages of earlier runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t
from dataclasses import asdict

from .._core.clock import format_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.files import hand_over, replace_file
from .event import Event
from .routing import Incident, Memory, Sent

_VERSION = 1


@contextlib.contextmanager
def locked(path: str, *, patience: float) -> t.Iterator[None]:
    """Lock the file, so that two runs do not send the same message.

    Raises RecoveryError: locked after patience seconds, or invalid_options if the file cannot be created.
    """
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.fstat(handle).st_uid == 0:
            hand_over(handle, os.path.dirname(path) or ".")
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        deadline = time.monotonic() + patience
        while not _take(handle):
            if time.monotonic() > deadline:
                raise RecoveryError(
                    ErrorKind.LOCKED, f"Another run holds {path}.", next_step="Find out why that run does not end."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def load_memory(path: str, *, put_aside: bool) -> t.Tuple[Memory, str]:
    """The stored incidents, and a sentence if the file was unreadable; it is then renamed to C(<path>.damaged).

    Raises RecoveryError(invalid_options) if no file can be read in this folder.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
        return {str(key): _incident(one) for key, one in document["incidents"].items()}, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        raise _unusable(path, error) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecoveryError):
        if put_aside:
            with contextlib.suppress(OSError):
                os.replace(path, f"{path}.damaged")
        return {}, f"{path} could not be read and was renamed to {path}.damaged; open incidents are sent again."


def save_memory(path: str, memory: Memory) -> None:
    """Write the file for its owner only, atomically. Raises RecoveryError(invalid_options)."""
    document = {"version": _VERSION, "incidents": {key: _plain(one) for key, one in memory.items()}}
    try:
        replace_file(path, json.dumps(document, default=str), 0o600)
    except OSError as error:
        raise _unusable(path, error) from None


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _plain(incident: Incident) -> t.Dict[str, t.Any]:
    event = {**asdict(incident.event), "timestamp": format_instant(incident.event.timestamp)}
    return {
        "since": format_instant(incident.since),
        "severity": incident.event.severity,
        "sent": {name: {"severity": one.severity, "at": format_instant(one.at)} for name, one in incident.sent.items()},
        "evaluated": incident.evaluated,
        "event": event,
    }


def _incident(given: t.Mapping[str, t.Any]) -> Incident:
    event = Event(**{**given["event"], "timestamp": parse_instant(given["event"]["timestamp"])})
    sent = {name: Sent(one["severity"], parse_instant(one["at"])) for name, one in given["sent"].items()}
    return Incident(event, parse_instant(given["since"]), sent, bool(given["evaluated"]))


def _unusable(path: str, error: OSError) -> RecoveryError:
    return RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"{path} cannot store the state of notifications: {error.strerror}.",
        next_step="Set state_path to a file in an existing, writable folder.",
    )
