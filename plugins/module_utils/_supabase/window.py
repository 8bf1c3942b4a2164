# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backup a wish means, and whether the service has it. Nothing is asked here."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from .._core.clock import format_instant
from .._core.errors import ErrorKind, RecoveryError
from .answers import Backups, RestorePoint, Window
from .api import Step


def step_to_instant(ref: str, backups: Backups, to: datetime) -> Step:
    """The last whole second at or before the instant.

    Raises RecoveryError: unsupported without point-in-time recovery, outside_window for an instant that it has not.
    """
    if not backups.pitr_enabled:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The project {ref} has no point-in-time recovery.",
            next_step="Give backup_id of a daily backup, or restore a set of your own store with pg_restore.",
        )
    seconds = int(to.timestamp())
    instant = datetime.fromtimestamp(seconds, timezone.utc)
    window = backups.window
    if window is None:
        raise RecoveryError(
            ErrorKind.OUTSIDE_WINDOW,
            f"The project {ref} has no instant yet that could be restored.",
            next_step="Its first physical backup is still to come.",
            details={"window": None},
        )
    if not window.earliest <= instant <= window.latest:
        side = "before the earliest" if instant < window.earliest else "after the latest"
        raise RecoveryError(
            ErrorKind.OUTSIDE_WINDOW,
            f"{format_instant(instant)} is {side} instant that {ref} can be restored to.",
            next_step=f"Choose one from {format_instant(window.earliest)} to {format_instant(window.latest)}.",
            details={"window": describe_window(window)},
        )
    return Step("restore-pitr", {"recovery_time_target_unix": seconds}, format_instant(instant))


def step_to_backup(ref: str, backups: Backups, backup_id: int) -> Step:
    """A daily backup. Raises RecoveryError: no_backup_set, unsupported for one that is not physical or not complete."""
    found = next((item for item in backups.backups if item.id == backup_id), None)
    if found is None:
        known = ", ".join(str(item.id) for item in backups.backups if item.id is not None)
        raise RecoveryError(
            ErrorKind.NO_BACKUP_SET,
            f"The project {ref} has no backup {backup_id}.",
            next_step=f"There are {known}." if known else "There is none that has an id.",
        )
    if not found.physical or found.status != "COMPLETED":
        kind = "physical" if found.physical else "logical"
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"Backup {backup_id} of {ref} is {kind} and {found.status}.",
            next_step="Choose a physical one that is COMPLETED; the dashboard restores logical ones.",
        )
    return Step("restore", {"id": backup_id}, f"backup {backup_id} of {format_instant(found.taken_at)}")


def step_to_point(ref: str, name: str, point: t.Optional[RestorePoint]) -> Step:
    """A restore point. Raises RecoveryError: no_backup_set unless it is there and available."""
    if point is None or point.status != "AVAILABLE":
        state = f"is {point.status}" if point else "is not there"
        raise RecoveryError(
            ErrorKind.NO_BACKUP_SET,
            f"The restore point {name!r} of {ref} {state}.",
            next_step="Check its name, or restore to an instant.",
        )
    return Step("undo", {"name": name}, f"restore point {name}")


def describe_window(window: t.Optional[Window]) -> t.Optional[t.Dict[str, t.Any]]:
    if window is None:
        return None
    return {
        "earliest": format_instant(window.earliest),
        "latest": format_instant(window.latest),
        "seconds": window.seconds,
    }
