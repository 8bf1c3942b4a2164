# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The target of a recovery, and the backup that it starts from. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime

from .._core.clock import format_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.lsn import format_lsn, parse_lsn
from .repository import Backup, Stanza
from .wal import TimelineSpan
from .waldump import Reading

TARGET_TYPES = ("time", "lsn", "name", "xid", "immediate", "latest")
_UNSAFE = re.compile(r"['\\\x00-\x1f\x7f]")
#: Targets that PostgreSQL can stop before or after; the others have one meaning.
_WITH_SIDES = ("time", "lsn", "xid")


@dataclass(frozen=True)
class Target:
    """value as PostgreSQL wants it; at and position are set for time and lsn."""

    type: str
    value: str = ""
    inclusive: bool = False
    at: t.Optional[datetime] = None
    position: t.Optional[int] = None

    @property
    def description(self) -> str:
        if self.type in ("immediate", "latest"):
            return {"immediate": "the end of the backup", "latest": "the end of the archive"}[self.type]
        side = ("after " if self.inclusive else "just before ") if self.type in _WITH_SIDES else ""
        kind = {"time": "", "lsn": "LSN ", "xid": "transaction ", "name": "restore point "}[self.type]
        return f"{side}{kind}{self.value!r}" if self.type == "name" else f"{side}{kind}{self.value}"


@dataclass(frozen=True)
class Stop:
    """The stop of a recovery: the position of the record, and the transaction that ended there, if one did."""

    position: int
    xid: t.Optional[int] = None
    ended_at: t.Optional[datetime] = None


def parse_target(kind: str, value: t.Optional[str], *, inclusive: bool) -> Target:
    """Raises RecoveryError(invalid_options) for a value that does not match its type."""
    text = (value or "").strip()
    if kind in ("immediate", "latest"):
        if text:
            raise _refused(f"The target {kind} has no value, got {text!r}.")
        return Target(kind)
    if not text:
        raise _refused(f"The target {kind} needs a value.")
    target = Target(kind, text, inclusive if kind in _WITH_SIDES else False)
    if kind == "time":
        at = parse_instant(text)
        return replace(target, value=at.strftime("%Y-%m-%d %H:%M:%S.%f+00"), at=at)
    if kind == "lsn":
        position = parse_lsn(text)
        return replace(target, value=format_lsn(position), position=position)
    if kind == "xid" and not (text.isdigit() and 3 <= int(text) < 2**32):
        raise _refused(f"{text!r} is not a transaction id.")
    if kind == "name" and len(text.encode()) > 63:
        raise _refused("A restore point has at most 63 bytes.")
    if kind == "name" and _UNSAFE.search(text):
        # pgBackRest 2.45 writes the name between quotes into postgresql.auto.conf, and escapes nothing.
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The restore point {text!r} holds a quote, a backslash or a control character, and its name could add"
            " settings to the restored server.",
            next_step="Use the target_type lsn with the LSN of the restore point, which pg_pitr_info shows.",
        )
    return target


def refuse_impossible(target: Target, stanza: Stanza, now: datetime) -> None:
    """The checks that need no WAL. Raises RecoveryError(no_backup_set or outside_archive)."""
    if not stanza.backups:
        raise RecoveryError(
            ErrorKind.NO_BACKUP_SET,
            f"The stanza {stanza.name!r} has no backup to start from.",
            next_step="Start a full backup.",
        )
    oldest = stanza.backups[0]
    if target.at is not None:
        if target.at > now:
            raise outside(f"{format_instant(target.at)} is in the future; it is {format_instant(now)}.")
        if target.at < oldest.stopped_at:
            raise outside(
                f"{format_instant(target.at)} is before the end of the oldest backup {oldest.label}, "
                f"{format_instant(oldest.stopped_at)}.",
                "Choose a later target.",
            )
    if target.position is not None and target.position <= oldest.stop_position:
        raise outside(
            f"LSN {target.value} is before the end of the oldest backup {oldest.label}, {oldest.lsn_stop}.",
            "Choose a later target.",
        )


def stop_in(target: Target, reading: Reading) -> t.Optional[Stop]:
    """The record of a segment where a recovery to the target stops, or None if it continues."""
    if target.type == "name":
        points = (point for point in reading.restore_points if point.name == target.value)
        return next((Stop(point.position) for point in points), None)
    for ended in reading.transactions:
        if target.type == "xid":
            hit = ended.xid == int(target.value)
        elif target.at is not None:
            # Like PostgreSQL, which also considers transactions that were rolled back.
            hit = ended.ended_at > target.at if target.inclusive else ended.ended_at >= target.at
        else:
            hit = False
        if hit:
            return Stop(ended.position, ended.xid, ended.ended_at)
    return None


def choose_backup(
    stanza: Stanza, path: t.Sequence[TimelineSpan], stop: t.Optional[int], label: t.Optional[str] = None
) -> Backup:
    """The newest intact backup of the path that ended before the position, or before the end of the archive for None.

    Raises RecoveryError(no_backup_set or outside_archive).
    """
    ends = {span.timeline: span.end for span in path}

    def is_on_path(backup: Backup) -> bool:
        end = ends.get(backup.timeline, 0)
        return end is None or backup.stop_position <= end

    if label is not None:
        chosen = next((backup for backup in stanza.backups if backup.label == label), None)
        if chosen is None:
            raise RecoveryError(
                ErrorKind.NO_BACKUP_SET,
                f"The stanza {stanza.name!r} has no backup {label}.",
                next_step="Run pg_pitr_info, which lists its backups.",
            )
        if not is_on_path(chosen):
            raise outside(
                f"The backup {label} is not of the past of timeline {path[-1].timeline}.",
                f"Leave backup_set unset, or set timeline to {chosen.timeline}.",
            )
        if stop is not None and chosen.stop_position >= stop:
            raise outside(
                f"The target at {format_lsn(stop)} is before the end of the backup {label}, {chosen.lsn_stop}.",
                "Leave backup_set unset, or choose an earlier backup.",
            )
        return chosen
    able = [backup for backup in stanza.backups if not backup.faulty and is_on_path(backup)]
    if stop is not None:
        able = [backup for backup in able if backup.stop_position < stop]
    if not able:
        raise outside(
            f"No intact backup of {stanza.name!r} on the path to timeline {path[-1].timeline} ended before the target"
            + (f" at {format_lsn(stop)}." if stop is not None else "."),
            "Choose a later target, or name a backup with damaged pages in backup_set.",
        )
    return able[-1]


def choose_timeline(wanted: str, origin: t.Optional[int], newest: int) -> int:
    """The timeline to follow: a number, C(latest) of the archive, or C(auto), that of the running server if known.

    After an undone recovery, the archive has a newer timeline than the running server.
    Raises RecoveryError(invalid_options).
    """
    if wanted == "auto":
        return origin if origin is not None else newest
    if wanted == "latest":
        return newest
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    raise RecoveryError(
        ErrorKind.INVALID_OPTIONS, f"{wanted!r} is not a timeline.", next_step="Set auto, latest or a number."
    )


def recovery_options(target: Target, timeline: int, backup: Backup, action: str) -> t.List[str]:
    """Options of C(pgbackrest restore) for a target."""
    options = [f"--set={backup.label}"]
    if target.type != "immediate":
        # pgBackRest 2.45 refuses a timeline for immediate; the end of the backup is on the timeline of the backup.
        options.append(f"--target-timeline={timeline}")
    if target.type == "latest":
        return [*options, "--type=default"]
    options.append(f"--type={target.type}")
    if target.value:
        options.append(f"--target={target.value}")
    if target.type in _WITH_SIDES and not target.inclusive:
        options.append("--target-exclusive")
    return [*options, f"--target-action={action}"]


def outside(what: str, next_step: str = "Choose a target within the window that pg_pitr_info shows.") -> RecoveryError:
    return RecoveryError(ErrorKind.OUTSIDE_ARCHIVE, what, next_step=next_step)


def _refused(what: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step="Correct target_type and target.")
