# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One event added to a drill's journal on behalf of a task."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, option
from .journal import JournalEvent, Moment, append_event, moment_now, read_journal
from .model import PhaseStatus


@dataclass(frozen=True)
class PhaseRequest:
    """seconds and started_at: of a phase that was timed elsewhere, only with C(end)."""

    journal: FilePath
    phase: str
    event: str = field(metadata=option(choices=("start", "end", "mark")))
    status: str = field(default=PhaseStatus.OK, metadata=option(choices=(PhaseStatus.OK, PhaseStatus.FAILED)))
    note: str = ""
    seconds: t.Optional[float] = None
    started_at: t.Optional[datetime] = None
    check_mode: bool = False


@dataclass(frozen=True)
class PhaseResult:
    """seconds: how long the phase took, once it ended; None in check mode, where nothing is timed."""

    changed: bool
    journal: str
    phase: str
    event: str
    at: datetime
    status: str
    seconds: t.Optional[float] = None


def record_phase(request: PhaseRequest) -> PhaseResult:
    """Add the event. Raises RecoveryError(invalid_options), or (report_failed) when it cannot be written."""
    _refuse_nonsense(request)
    moment = moment_now()
    event = JournalEvent(request.phase, request.event, moment, request.status, request.note, request.seconds)
    seconds = request.seconds
    if not request.check_mode:
        if request.started_at is not None:
            # A start in the past, read off the same two clocks, so that the journal needs no other form.
            began = moment.earlier((moment.at - request.started_at).total_seconds())
            append_event(request.journal, JournalEvent(request.phase, "start", began))
        elif request.event == "end" and request.seconds is None:
            _refuse_unstarted(request, moment)
        append_event(request.journal, event)
        if request.event == "end":
            seconds = _length(request, moment)
    return PhaseResult(True, request.journal, request.phase, request.event, moment.at, request.status, seconds)


def _refuse_nonsense(request: PhaseRequest) -> None:
    why = ""
    if not request.phase.strip() or len(request.phase) > 200:
        why = "The phase needs a name of at most 200 characters."
    elif request.event != "end" and (request.seconds is not None or request.started_at is not None):
        why = "Only the event end takes seconds and started_at."
    elif request.started_at is not None and request.seconds is None:
        why = "`seconds`, the duration of the phase, is required with `started_at`."
    elif request.seconds is not None and not 0 <= request.seconds < float("inf"):
        why = "The seconds of a phase are zero or more."
    if why:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, why, left="Nothing was recorded.")


def _refuse_unstarted(request: PhaseRequest, moment: Moment) -> None:
    if os.path.exists(request.journal) and request.phase in read_journal(request.journal, moment).open_phases:
        return
    raise RecoveryError(
        ErrorKind.INVALID_OPTIONS,
        f"The phase {request.phase} was not started in {request.journal}, so it cannot end.",
        left="Nothing was recorded.",
        next_step="Record its start first, or give in seconds how long it took.",
    )


def _length(request: PhaseRequest, moment: Moment) -> t.Optional[float]:
    ended = [phase for phase in read_journal(request.journal, moment).phases if phase.name == request.phase]
    return round(ended[-1].seconds, 3) if ended else None
