# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of side-by-side and in-place recovery: restore the files, start, wait for the target."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import typing as t
from dataclasses import dataclass

from .._core.documents import parse_json
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import give_to
from .._core.program import run
from .._engines.postgresql.server.lsn import parse_lsn
from .cluster import Cluster
from .plan import Plan, RecoverySpec
from .program import PgBackRest
from .target import recovery_options

#: Errors of queries to a server that is starting or accepts no sessions yet.
_REFUSED_FOR_GOOD = ("authentication failed", "no pg_hba", "no password", "password supplied", 'role "')
#: A record may start this much after the end of the previous one, with the header of a page between them.
_HEADER = 64
_PAUSED = {13: "SELECT pg_catalog.pg_is_wal_replay_paused()"}
_PAUSE_STATE = "SELECT pg_catalog.pg_get_wal_replay_pause_state() = 'paused'"


@dataclass(frozen=True)
class Reached:
    """The state of recovery. lsn is the end of the replayed WAL, at the instant of its last transaction."""

    state: str
    lsn: t.Optional[str] = None
    at: t.Optional[str] = None
    timeline: t.Optional[int] = None


@dataclass(frozen=True)
class Marker:
    """The content of a file next to the data directory while a recovery can be undone.

    kept: the old data directory of a recovery in place. arguments: of the server that was stopped.
    """

    mode: str
    state: str
    stanza: str
    system_identifier: str
    bin_dir: str
    kept: t.Optional[str] = None
    tablespaces: t.Optional[str] = None
    arguments: t.Sequence[str] = ()
    was_running: bool = False


def marker_path(data: str) -> str:
    return f"{data.rstrip('/')}.pitr.json"


def read_marker(data: str) -> t.Optional[Marker]:
    """Raises RecoveryError(conflict) if it exists and cannot be read, or another user wrote it.

    Root removes the directories that it names, and the user of the server may write next to the data directory.
    """
    try:
        handle = os.open(marker_path(data), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, encoding="utf-8") as stream:
            if os.fstat(handle).st_uid != os.geteuid():
                raise PermissionError
            found = Marker(**parse_json(stream.read()))
        folders = [folder for folder in (found.kept, found.tablespaces) if folder is not None]
        if not all(folder.startswith(f"{data.rstrip('/')}.") and "/" not in folder[len(data) :] for folder in folders):
            raise ValueError
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"{marker_path(data)} cannot be read or is not of this user ({type(error).__name__}).",
            next_step="List the directories next to it; the marker file names the kept one.",
        ) from None


def write_marker(data: str, marker: Marker) -> None:
    """Write it atomically and flush it before the step that it records."""
    path = marker_path(data)
    temporary = f"{path}.{secrets.token_hex(4)}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(vars(marker), stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def remove_marker(data: str) -> None:
    if os.path.exists(marker_path(data)):
        os.unlink(marker_path(data))


def require_space(plan: Plan, folder: str) -> None:
    """Raises RecoveryError(spool_full) if the files of the backup do not fit."""
    free = shutil.disk_usage(folder).free
    if free < plan.backup.size:
        raise RecoveryError(
            ErrorKind.SPOOL_FULL,
            f"{folder} has {free} bytes free, and the backup {plan.backup.label} needs {plan.backup.size}.",
            next_step="Free space, or choose a data_directory on another file system.",
        )


def make_folder(path: str, user: t.Optional[str]) -> None:
    """Raises RecoveryError(target_exists) for a link, which the user of the server could create against root."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{path} cannot be created or used as a folder ({error.strerror}).",
            next_step="Remove the file or link of this name, or set another data_directory.",
        ) from None
    try:
        os.fchmod(descriptor, 0o700)
        give_to(user, descriptor)
    finally:
        os.close(descriptor)


def restore_files(spec: RecoverySpec, plan: Plan, *, tablespaces: str, jobs: int, archive: bool) -> None:
    """Restore the backup into the empty data directory. Raises RecoveryError; written files stay."""
    program = PgBackRest(spec.place)
    make_folder(tablespaces, spec.place.user)
    done = program.attempt(
        "restore",
        f"--pg1-path={spec.data}",
        *program.only_repository(),
        *recovery_options(spec.target, plan.timeline, plan.backup, spec.action),
        f"--tablespace-map-all={tablespaces}",
        f"--process-max={jobs}",
        *([] if archive else ["--archive-mode=off"]),
    )
    if not os.listdir(tablespaces):
        os.rmdir(tablespaces)
    if done.code != 0:
        raise program.failure("restore", done)


def wait_for_target(cluster: Cluster, spec: RecoverySpec, plan: Plan, log: t.Optional[str], timeout: int) -> Reached:
    """Return when the server reached its target.

    Raises RecoveryError(restore_failed, timeout or access_denied).
    """
    action = "promote" if spec.target.type == "latest" else spec.action
    deadline = time.monotonic() + timeout
    paused = _PAUSED.get(plan.stanza.major, _PAUSE_STATE)
    while True:
        if cluster.running() is None and not _starts(cluster, log):
            return _ended(cluster, plan, action, log)
        try:
            recovering = cluster.query("SELECT pg_catalog.pg_is_in_recovery()") == "t"
            if not recovering:
                return _reached(cluster, "promoted", None)
            if action == "pause" and cluster.query(paused) == "t":
                return _proved(_reached(cluster, "paused", plan.timeline), spec, plan, log)
        except RecoveryError as error:
            if any(text in error.what for text in _REFUSED_FOR_GOOD):
                raise RecoveryError(
                    ErrorKind.ACCESS_DENIED, error.what, left="The restored server runs.", next_step=error.next_step
                ) from None
        if time.monotonic() > deadline:
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"Recovery did not reach {spec.target.description} within {timeout} s. {_last_lines(log)}",
                left="The restored server continues the recovery.",
                next_step="Wait for it, or run this again with a longer recovery_timeout.",
            )
        time.sleep(0.2)


def control_service(service: str, verb: str) -> None:
    """Start or stop a unit of systemd. Raises RecoveryError(service_failed)."""
    done = run(["systemctl", verb, service], {**os.environ}, None)
    if done.code != 0:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"systemctl could not {verb} {service}: {' '.join(done.errors.split())[-300:]}.",
            next_step=f"Look at journalctl -u {service}.",
        )


def _starts(cluster: Cluster, log: t.Optional[str]) -> bool:
    """Whether postmaster.pid is only not written yet."""
    time.sleep(0.3)
    return cluster.running() is not None


def _ended(cluster: Cluster, plan: Plan, action: str, log: t.Optional[str]) -> Reached:
    control = cluster.control()
    if action == "shutdown" and control is not None and control.state == "shut down in recovery":
        return Reached("shut down", timeline=plan.timeline)
    raise RecoveryError(
        ErrorKind.RESTORE_FAILED,
        f"The restored server ended before it reached the target. {_last_lines(log)}",
        left="The restored directory was kept for inspection.",
        next_step="Read the server's log; choose another target or backup_set.",
    )


def _proved(reached: Reached, spec: RecoverySpec, plan: Plan, log: t.Optional[str]) -> Reached:
    """Checks the target: a server also pauses if its settings are lower than those of the source server."""
    if plan.stop is not None and reached.lsn and parse_lsn(reached.lsn) + _HEADER < plan.stop.position:
        raise RecoveryError(
            ErrorKind.RESTORE_FAILED,
            f"Recovery paused at {reached.lsn}, before it reached {spec.target.description}. {_last_lines(log)}",
            left="The restored directory was kept for inspection.",
            next_step="Raise the settings that its log names, such as max_connections, in the restored configuration.",
        )
    return reached


def _reached(cluster: Cluster, state: str, timeline: t.Optional[int]) -> Reached:
    lsn, _bar, at = cluster.query(
        "SELECT coalesce(pg_catalog.pg_last_wal_replay_lsn()::text, ''), coalesce(pg_catalog.to_char("
        "pg_catalog.pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), '')"
    ).partition("|")
    if timeline is None:
        name = cluster.query("SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())")
        timeline = int(name[:8], 16)
    return Reached(state, lsn or None, at or None, timeline)


def _last_lines(log: t.Optional[str]) -> str:
    """The most important lines of the log of a server."""
    if log is None or not os.path.exists(log):
        return ""
    with open(log, encoding="utf-8", errors="replace") as stream:
        lines = [line.strip() for line in stream.readlines()[-200:]]
    heavy = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "ERROR: "))]
    return "Its log: " + " ".join(" / ".join(heavy[-3:] or lines[-3:]).split())[-500:]
