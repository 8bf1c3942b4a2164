# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches a project until its restore is done, and says what state it is left in when it is not."""

from __future__ import annotations

import time
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.progress import Progress
from .api import SupabaseApi
from .course import DONE, FAILED, WAITING, Course, details_after, undo_options
from .points import Patience

#: Errors of looking, not of what is looked at.
_PASSING = (ErrorKind.UNREACHABLE, ErrorKind.SERVICE_FAILED)


def watch(
    api: SupabaseApi, course: Course, patience: Patience, progress: Progress, point: t.Optional[str] = None
) -> Course:
    """The course at its end: the project healthy, and its database too. point is the restore point of before.

    Raises RecoveryError: restore_failed, timeout, or that of a token which expires during the wait; each says in which
    state the project was seen last.
    """
    try:
        for seen in _looks(api, course, patience, progress, point):
            course = seen
    except KeyboardInterrupt:
        error = RecoveryError(ErrorKind.INTERRUPTED, "Waiting was interrupted by a signal.")
        raise _lost_sight(api.ref, course, point, error) from None
    return course


def _looks(
    api: SupabaseApi, course: Course, patience: Patience, progress: Progress, point: t.Optional[str]
) -> t.Iterator[Course]:
    """The course after each look, up to its end."""
    began = time.monotonic()
    seen = ""
    while True:
        try:
            course = course.after(api.project().status)
            done = course.verdict == DONE and api.healthy()
        except RecoveryError as error:
            if error.kind not in _PASSING:
                raise _lost_sight(api.ref, course, point, error) from None
            done = False
        if course.status != seen:
            seen = course.status
            progress.phase(seen)
        progress.add(items=1)
        yield course
        if done:
            progress.end()
            return
        if course.verdict == FAILED:
            raise _failed(api.ref, course, point)
        passed = time.monotonic() - began
        if course.verdict == WAITING and passed > min(patience.begin, patience.timeout):
            raise _not_begun(api.ref, course, point, passed)
        if passed > patience.timeout:
            raise _too_long(api.ref, course, point, passed)
        time.sleep(patience.poll)


def _failed(ref: str, course: Course, point: t.Optional[str]) -> RecoveryError:
    return RecoveryError(
        ErrorKind.RESTORE_FAILED,
        f"The restore of {ref} ended in {course.status}.",
        left="The project was left in that state, and its database may answer nobody.",
        next_step=(
            f"{_back(point)} Else ask Supabase's support, and until they answer restore a set of your own store "
            "into another project with pg_restore."
        ).strip(),
        details=details_after(course.status, point, applied="yes"),
    )


def _too_long(ref: str, course: Course, point: t.Optional[str], passed: float) -> RecoveryError:
    ill = "; its database is not well" if course.verdict == DONE else ""
    return RecoveryError(
        ErrorKind.TIMEOUT,
        f"The restore of {ref} is not done after {passed:.0f} s.",
        left=f"It goes on at the service; the project was left in {course.status or 'a state nobody saw'}{ill}.",
        next_step=f"Go on waiting with action wait. {_back(point)}".strip(),
        details=details_after(course.status, point, applied="yes"),
    )


def _not_begun(ref: str, course: Course, point: t.Optional[str], passed: float) -> RecoveryError:
    taken = "took the request" if course.certain else "may or may not have taken the request, for its answer was lost"
    return RecoveryError(
        ErrorKind.TIMEOUT,
        f"Supabase {taken}, and no restore of {ref} was seen to begin in {passed:.0f} s.",
        left=f"The project was left in {course.status or 'a state nobody saw'}; a restore may still begin.",
        next_step=f"Look at the project before anything is tried again. {_back(point)}".strip(),
        details=details_after(course.status, point, applied="unknown"),
    )


def _lost_sight(ref: str, course: Course, point: t.Optional[str], error: RecoveryError) -> RecoveryError:
    state = f"seen last in {course.status}" if course.status else "not seen again"
    applied = "yes" if course.certain or course.begun else "unknown"
    return RecoveryError(
        error.kind,
        error.what,
        left=f"The restore of {ref} was asked for and goes on without us; the project was {state}.",
        next_step=f"{error.next_step} To go on waiting: action wait. {_back(point)}".strip(),
        details={**error.details, **details_after(course.status or None, point, applied=applied)},
    )


def _back(point: t.Optional[str]) -> str:
    return f"To go back: action {undo_options(point)['action']} with name {point}." if point else ""
