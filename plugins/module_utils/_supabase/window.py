# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selects the requested backup, and checks that the service has it. Pure."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from .._core.clock import format_instant
from .._core.errors import ErrorKind, RecoveryError
from .answers import Backups, RestorePoint, Window
from .api import Step


def step_to_instant(ref: str, backups: Backups, to: datetime) -> Step:
    """The last whole second at or before the instant.

    Raises RecoveryError: unsupported without point-in-time recovery, outside_window for an instant outside the window.
    """
    if not backups.pitr_enabled:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The project {ref} has no point-in-time recovery.",
            next_step="Set backup_id of a daily backup, or restore your own set with pg_restore.",
        )
    seconds = int(to.timestamp())
    instant = datetime.fromtimestamp(seconds, timezone.utc)
    window = backups.window
    if window is None:
        raise RecoveryError(
            ErrorKind.OUTSIDE_WINDOW,
            f"The project {ref} has no restorable instant yet.",
            next_step="Wait for its first physical backup.",
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
            next_step=f"Its backups are {known}." if known else "No backup of it has an id.",
        )
    if not found.physical or found.status != "COMPLETED":
        kind = "physical" if found.physical else "logical"
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"Backup {backup_id} of {ref} is {kind} and {found.status}.",
            next_step="Choose a physical backup that is COMPLETED; the dashboard restores logical ones.",
        )
    return Step("restore", {"id": backup_id}, f"backup {backup_id} of {format_instant(found.taken_at)}")


def step_to_point(ref: str, name: str, point: t.Optional[RestorePoint]) -> Step:
    """A restore point. Raises RecoveryError: no_backup_set unless it exists and is available."""
    if point is None or point.status != "AVAILABLE":
        state = f"is {point.status}" if point else "does not exist"
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
