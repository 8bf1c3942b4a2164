# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a restore, derived from the states of its project. The service returns no job id."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import Applied, ErrorKind, RecoveryError

HEALTHY = "ACTIVE_HEALTHY"
RESTORING = "RESTORING"

#: A restore may start in these states; after a failed one, another restore or an undo is the way out.
READY = (HEALTHY, "ACTIVE_UNHEALTHY", "RESTORE_FAILED")
PAUSED = ("INACTIVE", "PAUSING", "PAUSE_FAILED")
GONE = ("GOING_DOWN", "REMOVED", "INIT_FAILED")

#: A restore cannot end after these states.
_ENDS = ("RESTORE_FAILED", "INIT_FAILED", "REMOVED", "PAUSE_FAILED", "INACTIVE")

#: Transitional states. UNKNOWN proves nothing, and pausing or removal are other operations.
_MOVING = (RESTORING, "COMING_UP", "RESTARTING")

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(frozen=True)
class Course:
    """start is the state before the request; certain: the service confirmed the request.

    If its answer was lost, only RESTORING proves that it was accepted.
    """

    start: str
    certain: bool
    begun: bool = False
    status: str = ""

    def after(self, status: str) -> Course:
        """The progress after the next observed state."""
        moved = status == RESTORING or (self.certain and status in _MOVING)
        ended = self.certain and status in _ENDS and status != self.start
        return replace(self, begun=self.begun or moved or ended, status=status)

    @property
    def verdict(self) -> str:
        """A state equal to that at the start proves nothing before the restore started."""
        if not self.begun:
            return WAITING
        if self.status in _ENDS:
            return FAILED
        return DONE if self.status == HEALTHY else RUNNING


def require_ready(ref: str, status: str) -> None:
    """Raise RecoveryError: target_in_use during an operation, unsupported for a paused or removed project."""
    if status in READY:
        return
    if status == RESTORING:
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"A restore of the project {ref} is already running.",
            next_step="Wait for its end with action wait.",
        )
    if status in PAUSED:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The project {ref} is paused ({status}).",
            next_step="Resume it in the dashboard first.",
        )
    if status in GONE:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The project {ref} is {status}.",
            next_step="Restore your own set into another project with pg_restore.",
        )
    raise RecoveryError(
        ErrorKind.TARGET_IN_USE, f"The project {ref} is {status}.", next_step=f"Try again when it is {HEALTHY}."
    )


def details_after(status: t.Optional[str], point: t.Optional[str], applied: str) -> t.Dict[str, t.Any]:
    """The fields of a result about the project of a requested restore."""
    return {"changed": applied != Applied.NO, "status": status, "undo": undo_options(point)}


def undo_options(point: t.Optional[str]) -> t.Dict[str, str]:
    """The options of the module that undo a restore."""
    return {"action": "undo", "name": point} if point else {}
