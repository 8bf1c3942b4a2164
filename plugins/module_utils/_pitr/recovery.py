# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that a recovery beside and one in place share: restore the files, start, wait for the target."""

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
from .._postgres.lsn import parse_lsn
from .cluster import Cluster
from .plan import Plan, Wish
from .program import PgBackRest, run
from .target import recovery_options

#: What the queries of a server that only starts, or lets nobody in yet, are answered with.
_REFUSED_FOR_GOOD = ("authentication failed", "no pg_hba", "no password", "password supplied", 'role "')
#: A record may begin that much after the end of the one before it, with the head of a page between them.
_HEADER = 64
_PAUSED = {13: "SELECT pg_catalog.pg_is_wal_replay_paused()"}
_PAUSE_STATE = "SELECT pg_catalog.pg_get_wal_replay_pause_state() = 'paused'"


@dataclass(frozen=True)
class Reached:
    """Where recovery stands. lsn is the end of what was replayed, at the instant of its last transaction."""

    state: str
    lsn: t.Optional[str] = None
    at: t.Optional[str] = None
    timeline: t.Optional[int] = None


@dataclass(frozen=True)
class Marker:
    """What stands in a file beside the data directory while a recovery is not taken back.

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
    """Raises RecoveryError(conflict) when it is there and cannot be read, or another user wrote it.

    Root removes the directories that it names, and the server's user may write beside the data directory.
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
            next_step="Look which directories are beside it; it names the one that was kept.",
        ) from None


def write_marker(data: str, marker: Marker) -> None:
    """In one go and on disk before the step that it tells of."""
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


def require_room(plan: Plan, folder: str) -> None:
    """Raises RecoveryError(spool_full) when the files of the backup do not fit."""
    free = shutil.disk_usage(folder).free
    if free < plan.backup.size:
        raise RecoveryError(
            ErrorKind.SPOOL_FULL,
            f"{folder} has {free} bytes free, and the backup {plan.backup.label} needs {plan.backup.size}.",
            next_step="Make room, or choose a data_directory on another file system.",
        )


def make_folder(path: str, user: t.Optional[str]) -> None:
    """Raises RecoveryError(target_exists) for a link, which the server's user may have put in the way of root."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{path} cannot be made or used as a folder ({error.strerror}).",
            next_step="Remove the file or link of this name, or give another data_directory.",
        ) from None
    try:
        os.fchmod(descriptor, 0o700)
        give_to(user, descriptor)
    finally:
        os.close(descriptor)


def restore_files(wish: Wish, plan: Plan, *, tablespaces: str, jobs: int, archive: bool) -> None:
    """Restore the backup into the empty data directory. Raises RecoveryError; what it wrote stays."""
    program = PgBackRest(wish.place)
    make_folder(tablespaces, wish.place.user)
    done = program.attempt(
        "restore",
        f"--pg1-path={wish.data}",
        *program.only_repository(),
        *recovery_options(wish.target, plan.timeline, plan.backup, wish.action),
        f"--tablespace-map-all={tablespaces}",
        f"--process-max={jobs}",
        *([] if archive else ["--archive-mode=off"]),
    )
    if not os.listdir(tablespaces):
        os.rmdir(tablespaces)
    if done.code != 0:
        raise program.failure("restore", done)


def wait_for_target(cluster: Cluster, wish: Wish, plan: Plan, log: t.Optional[str], timeout: int) -> Reached:
    """Return when the server stands where it was sent.

    Raises RecoveryError(restore_failed, timeout or access_denied).
    """
    action = "promote" if wish.target.type == "latest" else wish.action
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
                return _proved(_reached(cluster, "paused", plan.timeline), wish, plan, log)
        except RecoveryError as error:
            if any(words in error.what for words in _REFUSED_FOR_GOOD):
                raise RecoveryError(
                    ErrorKind.ACCESS_DENIED, error.what, left="The restored server runs.", next_step=error.next_step
                ) from None
        if time.monotonic() > deadline:
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"Recovery did not reach {wish.target.words} within {timeout} s. {_last_words(log)}",
                left="The restored server goes on with it.",
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
        f"The restored server ended before it reached the target. {_last_words(log)}",
        left="What was restored is there to look at.",
        next_step="Read the server's log; choose another target or backup_set.",
    )


def _proved(reached: Reached, wish: Wish, plan: Plan, log: t.Optional[str]) -> Reached:
    """A server also pauses when its settings are smaller than those of the one whose log it reads."""
    if plan.stop is not None and reached.lsn and parse_lsn(reached.lsn) + _HEADER < plan.stop.position:
        raise RecoveryError(
            ErrorKind.RESTORE_FAILED,
            f"Recovery paused at {reached.lsn}, before it reached {wish.target.words}. {_last_words(log)}",
            left="What was restored is there to look at.",
            next_step="Raise what its log names, such as max_connections, in the configuration of the restored server.",
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


def _last_words(log: t.Optional[str]) -> str:
    """The weightiest lines of a server's log."""
    if log is None or not os.path.exists(log):
        return ""
    with open(log, encoding="utf-8", errors="replace") as stream:
        lines = [line.strip() for line in stream.readlines()[-200:]]
    heavy = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "ERROR: "))]
    return "Its log says: " + " ".join(" / ".join(heavy[-3:] or lines[-3:]).split())[-500:]
