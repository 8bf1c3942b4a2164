# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a restore goes, told by the states of its project. The service gives no job to ask for."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.errors import ErrorKind, RecoveryError

HEALTHY = "ACTIVE_HEALTHY"
RESTORING = "RESTORING"

#: A restore may begin here; after one that failed, another or an undo is what helps.
READY = (HEALTHY, "ACTIVE_UNHEALTHY", "RESTORE_FAILED")
PAUSED = ("INACTIVE", "PAUSING", "PAUSE_FAILED")
GONE = ("GOING_DOWN", "REMOVED", "INIT_FAILED")

#: A restore does not come back from these.
_ENDS = ("RESTORE_FAILED", "INIT_FAILED", "REMOVED", "PAUSE_FAILED", "INACTIVE")

#: States on the way. UNKNOWN tells nothing, and pausing or going away is another's work.
_MOVING = (RESTORING, "COMING_UP", "RESTARTING")

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(frozen=True)
class Course:
    """start is the state before the request; certain says that the service took it.

    When its answer was lost, only RESTORING proves that it was taken.
    """

    start: str
    certain: bool
    begun: bool = False
    status: str = ""

    def after(self, status: str) -> Course:
        """The course when this state was seen next."""
        moved = status == RESTORING or (self.certain and status in _MOVING)
        ended = self.certain and status in _ENDS and status != self.start
        return replace(self, begun=self.begun or moved or ended, status=status)

    @property
    def verdict(self) -> str:
        """A state like that of the start says nothing before the restore began."""
        if not self.begun:
            return WAITING
        if self.status in _ENDS:
            return FAILED
        return DONE if self.status == HEALTHY else RUNNING


def require_ready(ref: str, status: str) -> None:
    """Raise RecoveryError: target_in_use while something runs, unsupported for a project that is paused or gone."""
    if status in READY:
        return
    if status == RESTORING:
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"The project {ref} is being restored already.",
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
            next_step="Restore a set of your own store into another project with pg_restore.",
        )
    raise RecoveryError(
        ErrorKind.TARGET_IN_USE, f"The project {ref} is {status}.", next_step=f"Try again when it is {HEALTHY}."
    )


def details_after(status: t.Optional[str], point: t.Optional[str], *, applied: str) -> t.Dict[str, t.Any]:
    """What a result says of a project when a restore was asked for."""
    return {"changed": applied != "no", "applied": applied, "status": status, "undo": undo_options(point)}


def undo_options(point: t.Optional[str]) -> t.Dict[str, str]:
    """The options of the module that take a restore back."""
    return {"action": "undo", "name": point} if point else {}
