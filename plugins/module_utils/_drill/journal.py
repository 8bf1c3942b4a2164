# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline of one drill as JSON lines, so that tasks and processes can each add what they did.

Durations come from CLOCK_MONOTONIC, which all processes of one boot share (clock_gettime(2)); the boot's id
stands beside every reading, because readings of two boots have nothing in common.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import typing as t
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from .._core.clock import format_instant, parse_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .model import Mark, Phase, PhaseStatus

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CLOCK_STEP_SECONDS = 1.0


@dataclass(frozen=True)
class Moment:
    """The same instant on the wall clock and on the monotonic clock of one boot."""

    at: datetime
    monotonic: float
    boot: str

    def earlier(self, seconds: float) -> Moment:
        return Moment(self.at - timedelta(seconds=seconds), self.monotonic - seconds, self.boot)


@dataclass(frozen=True)
class JournalEvent:
    """event: C(start), C(end) or C(mark). seconds: a length measured elsewhere, only with C(end)."""

    phase: str
    event: str
    moment: Moment
    status: str = PhaseStatus.OK
    note: str = ""
    seconds: t.Optional[float] = None


@dataclass(frozen=True)
class Journal:
    """problems: sentences about lines and clocks that cannot be trusted. open_phases: started and not ended."""

    phases: t.Tuple[Phase, ...] = ()
    marks: t.Tuple[Mark, ...] = ()
    problems: t.Tuple[str, ...] = ()
    started_at: t.Optional[datetime] = None
    finished_at: t.Optional[datetime] = None
    open_phases: t.Tuple[str, ...] = ()


def moment_now() -> Moment:
    return Moment(utc_now(), time.monotonic(), _boot_id())


def append_event(path: str, event: JournalEvent) -> None:
    """Add one line and wait until the disk has it. Raises RecoveryError(report_failed)."""
    line = json.dumps(_as_line(event), sort_keys=True).encode() + b"\n"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write_line(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.REPORT_FAILED,
            f"The journal {path} cannot be written: {error.strerror}.",
            left="The timeline lacks this event; the other events are unchanged.",
            next_step="Free space or give a path that this user may write.",
        ) from error


def read_journal(path: str, now: t.Optional[Moment] = None) -> Journal:
    """The timeline so far; a phase still open is C(failed) and as long as until now.

    Raises RecoveryError(invalid_options) when there is no journal, (report_failed) when it is unreadable.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"There is no journal at {path}.",
            next_step="Give the path that the drill's phases were recorded in.",
        ) from None
    except OSError as error:
        raise RecoveryError(ErrorKind.REPORT_FAILED, f"The journal {path} cannot be read: {error.strerror}.") from error
    events, problems = _parse(content)
    return replay(events, now or moment_now(), problems)


def replay(events: t.Sequence[JournalEvent], now: Moment, problems: t.Sequence[str] = ()) -> Journal:
    """Turn events, in the order they were written, into phases in the order they began."""
    phases: t.List[Phase] = []
    marks: t.List[Mark] = []
    open_events: t.Dict[str, JournalEvent] = {}
    for event in events:
        name, moment = event.phase, event.moment
        if event.event == "mark":
            marks.append(Mark(name, moment.at, moment.monotonic, moment.boot, event.status, event.note))
        elif event.event == "start":
            if name in open_events:
                phases.append(_left_open(open_events[name], moment, "started again before it had ended"))
            open_events[name] = event
        else:
            phases.append(_ended(open_events.pop(name, None), event))
    phases.extend(_left_open(event, now, "not ended when the report was written") for event in open_events.values())
    phases.sort(key=lambda phase: (phase.started_at, phase.name))
    instants = [event.moment.at for event in events]
    instants += [phase.started_at + timedelta(seconds=phase.seconds) for phase in phases]
    return Journal(
        tuple(phases),
        tuple(marks),
        (*problems, *_clock_problems(events)),
        min([*instants, *(phase.started_at for phase in phases)], default=None),
        max(instants, default=None),
        tuple(open_events),
    )


def _boot_id() -> str:
    try:
        with open(_BOOT_ID, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _as_line(event: JournalEvent) -> t.Dict[str, t.Any]:
    line = {key: value for key, value in asdict(event).items() if key != "moment" and value not in (None, "")}
    moment = event.moment
    return {**line, "at": format_instant(moment.at), "monotonic": moment.monotonic, "boot": moment.boot}


def _write_line(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    # A killed writer may have left half a line; the new line must not be appended to it.
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    while line:
        line = line[os.write(descriptor, line) :]
    os.fsync(descriptor)


def _parse(content: bytes) -> t.Tuple[t.List[JournalEvent], t.List[str]]:
    events: t.List[JournalEvent] = []
    problems: t.List[str] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            events.append(_event(json.loads(line.decode())))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecoveryError):
            problems.append(f"Line {number} of the journal is incomplete or damaged and was left out.")
    return events, problems


def _event(line: t.Mapping[str, t.Any]) -> JournalEvent:
    event, status = str(line["event"]), str(line.get("status", PhaseStatus.OK))
    if event not in ("start", "end", "mark") or status not in (PhaseStatus.OK, PhaseStatus.FAILED):
        raise ValueError(event)
    seconds = line.get("seconds")
    return JournalEvent(
        phase=str(line["phase"]),
        event=event,
        moment=Moment(parse_instant(line["at"]), float(line["monotonic"]), str(line.get("boot", ""))),
        status=status,
        note=str(line.get("note", "")),
        seconds=None if seconds is None else float(seconds),
    )


def _left_open(start: JournalEvent, until: Moment, why: str) -> Phase:
    return _phase(start, until, PhaseStatus.FAILED, _joined(start.note, why))


def _ended(start: t.Optional[JournalEvent], end: JournalEvent) -> Phase:
    note = _joined(start.note if start else "", end.note)
    if start is None:
        if end.seconds is None:
            lost = _joined(note, "its start was not recorded")
            return Phase(end.phase, end.moment.at, 0.0, PhaseStatus.UNKNOWN, note=lost)
        began = end.moment.earlier(end.seconds)
        return Phase(end.phase, began.at, end.seconds, end.status, began.monotonic, began.boot, note)
    if end.seconds is not None:
        moment = start.moment
        return Phase(end.phase, moment.at, end.seconds, end.status, moment.monotonic, moment.boot, note)
    return _phase(start, end.moment, end.status, note)


def _phase(start: JournalEvent, until: Moment, status: str, note: str) -> Phase:
    began, seconds = start.moment, until.monotonic - start.moment.monotonic
    if began.boot != until.boot or seconds < 0:
        wall = max(0.0, (until.at - began.at).total_seconds())
        note = _joined(note, "the machine restarted or changed in between, so its length is not certain")
        return Phase(start.phase, began.at, wall, PhaseStatus.UNKNOWN, note=note)
    return Phase(start.phase, began.at, seconds, status, began.monotonic, began.boot, note)


def _clock_problems(events: t.Sequence[JournalEvent]) -> t.List[str]:
    if not events:
        return []
    boot = events[0].moment.boot
    offsets = [e.moment.at.timestamp() - e.moment.monotonic for e in events if e.moment.boot == boot]
    step = max(offsets) - min(offsets)
    if step <= _CLOCK_STEP_SECONDS:
        return []
    return [f"The wall clock was set by {step:.1f} s during the drill; instants and data loss may be off by as much."]


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
