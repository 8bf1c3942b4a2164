# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain options turned into a request."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .channel import parse_channels
from .event import parse_event
from .notify import NotifyRequest

_FIELDS = ("event", "severity", "source", "text", "timestamp", "details", "key", "resolved", "run_id")


def request_from(given: t.Mapping[str, t.Any], now: datetime, *, check_mode: bool) -> NotifyRequest:
    """The request of the options of the module notification. Raises RecoveryError(invalid_options)."""
    shared = {name: given.get(name) for name in _FIELDS}
    # An empty list of events is valid and replaces the single event: nothing is wrong.
    alone = not given["events"] and not given["complete"] and shared["event"]
    described = [_over(shared, one) for one in given["events"]] or ([shared] if alone else [])
    channels, unusable = parse_channels(given["channels"])
    return NotifyRequest(
        events=[parse_event(one, now, drill=given["drill"]) for one in described],
        channels=channels,
        now=now,
        unusable=unusable,
        state_path=given["state_path"] or "",
        repeat_seconds=given["repeat_seconds"],
        complete=_prefix(given) if given["complete"] else None,
        every_channel=given["every_channel"],
        strict=given["strict"],
        check_mode=check_mode,
    )


def _over(shared: t.Mapping[str, t.Any], one: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    said = {str("text" if name == "message" else name): value for name, value in one.items() if value is not None}
    unknown = sorted(set(said) - set(_FIELDS))
    if unknown:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"An event has no field {unknown[0]}.",
            left="No channel was notified.",
            next_step=f"Use the fields {', '.join(_FIELDS)}.",
        )
    return {**shared, **said}


def _prefix(given: t.Mapping[str, t.Any]) -> str:
    prefix = given["key_prefix"] or (f"{given['source']}/" if given["source"] else "")
    if not prefix:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "`complete` requires `source` or `key_prefix`.",
            left="No channel was notified.",
            next_step="Set one of them.",
        )
    return f"drill/{prefix}" if given["drill"] else str(prefix)
