# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches a project until its restore ends, and reports the last state if it does not end in time."""

from __future__ import annotations

import time
import typing as t

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.progress import Progress
from .api import SupabaseApi
from .course import DONE, FAILED, WAITING, Course, details_after, undo_options
from .points import Patience

#: Errors of the requests, not of the project.
_PASSING = (ErrorKind.UNREACHABLE, ErrorKind.SERVICE_FAILED)


def watch(
    api: SupabaseApi, course: Course, patience: Patience, progress: Progress, point: t.Optional[str] = None
) -> Course:
    """The progress at its end: the project and its database are healthy. point is the restore point before.

    Raises RecoveryError: restore_failed, timeout, or that of a token which expires during the wait; each contains the
    last observed state of the project.
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
    """The progress after each request, up to its end."""
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
        left="The project stays in that state, and its database may refuse connections.",
        next_step=(
            f"{_back(point)} If that fails, contact Supabase's support, and restore your own set "
            "into another project with pg_restore."
        ).strip(),
        details=details_after(course.status, point, Applied.YES),
        applied=Applied.YES,
    )


def _too_long(ref: str, course: Course, point: t.Optional[str], passed: float) -> RecoveryError:
    ill = "; its database is not healthy" if course.verdict == DONE else ""
    return RecoveryError(
        ErrorKind.TIMEOUT,
        f"The restore of {ref} did not end within {passed:.0f} s.",
        left=f"The service continues it; the project is in {course.status or 'an unknown state'}{ill}.",
        next_step=f"Continue to wait with action wait. {_back(point)}".strip(),
        details=details_after(course.status, point, Applied.YES),
        applied=Applied.YES,
    )


def _not_begun(ref: str, course: Course, point: t.Optional[str], passed: float) -> RecoveryError:
    taken = "accepted the request" if course.certain else "may have accepted the request; its answer was lost"
    return RecoveryError(
        ErrorKind.TIMEOUT,
        f"Supabase {taken}, and no start of a restore of {ref} was observed within {passed:.0f} s.",
        left=f"The project is in {course.status or 'an unknown state'}; a restore may still start.",
        next_step=f"Check the project before the next attempt. {_back(point)}".strip(),
        details=details_after(course.status, point, Applied.UNKNOWN),
        applied=Applied.UNKNOWN,
    )


def _lost_sight(ref: str, course: Course, point: t.Optional[str], error: RecoveryError) -> RecoveryError:
    state = f"last seen in {course.status}" if course.status else "not seen again"
    applied = Applied.YES if course.certain or course.begun else Applied.UNKNOWN
    return error.restated(
        left=f"The restore of {ref} was requested and the service continues it; the project was {state}.",
        next_step=f"{error.next_step} To continue to wait: action wait. {_back(point)}".strip(),
        details=details_after(course.status or None, point, applied),
        applied=applied,
    )


def _back(point: t.Optional[str]) -> str:
    return f"To roll back: action {undo_options(point)['action']} with name {point}." if point else ""
