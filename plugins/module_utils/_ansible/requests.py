# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that modules of all kinds share."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._core.clock import PhaseListener, parse_instant
from .._core.errors import ErrorKind, RecoveryError

#: The options of a module, as Ansible read them.
Params = t.Mapping[str, t.Any]


def optional_instant(text: t.Optional[str]) -> t.Optional[datetime]:
    return parse_instant(text) if text else None


def required_source(params: Params) -> str:
    if not params["source"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "The option source is missing.", next_step="Name the source of the backup set."
        )
    return str(params["source"])


def journal_listener(path: t.Optional[str]) -> t.Optional[PhaseListener]:
    """Notes each phase in the journal at path, if there is one."""
    if not path:
        return None
    # Only modules in a drill have a journal. This import takes 20 ms.
    from .._drill.journal import JournalEvent, append_event, moment_now

    def note(name: str, event: str) -> None:
        if event == "start":
            append_event(path, JournalEvent(name, "start", moment_now()))
        else:
            append_event(path, JournalEvent(name, "end", moment_now(), status=event))

    return note
