# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs pg_rewind on a stopped cluster, whose configuration files it would replace by those of the new primary.

pg_rewind copies everything that is no block of a relation, removes files that only the target has, standby.signal among
them, and writes the control file last. A run that is cut off leaves a directory that nothing but a new copy repairs.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import typing as t

from .._core.clock import compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import give_to
from .._core.program import Done, run
from .._engines.postgresql.server.connection import ConnectionOptions
from .._engines.postgresql.server.lsn import parse_lsn
from .._pitr.cluster import Cluster
from .fence import create_signal

_COMMON = re.compile(r"rewinding from last common checkpoint at ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)")
#: Files of the server itself in the top folder, which are no configuration.
_SERVER_FILES = (
    "PG_VERSION", "postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal", "backup_label",
    "tablespace_map", "backup_manifest", "current_logfiles",
)  # fmt: skip
_OLD = (".old",)
_LARGEST = 1024 * 1024
_SIGNAL_POLL = 0.02


def find_common_checkpoint(cluster: Cluster, source: ConnectionOptions) -> int:
    """The position from which pg_rewind needs the WAL of the source, by a dry run. Raises RecoveryError(not_ready)."""
    done = _pg_rewind(cluster, source, "--dry-run")
    found = _COMMON.search(done.errors) or _COMMON.search(done.output.decode("utf-8", "replace"))
    if done.code == 0 and found:
        return parse_lsn(found[1])
    reason = "it finds nothing to rewind" if done.code == 0 else _last_line(done)
    raise RecoveryError(ErrorKind.NOT_READY, f"pg_rewind cannot rewind {cluster.data}: {reason}.")


def require_owned(data_dir: str) -> None:
    """Raise RecoveryError(access_denied) for a file of another user, at which pg_rewind would fail in the middle."""
    owner = os.stat(data_dir).st_uid
    for folder, folders, files in os.walk(data_dir):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            if os.lstat(path).st_uid != owner:
                raise RecoveryError(
                    ErrorKind.ACCESS_DENIED,
                    f"{path} belongs to another user than {data_dir}, so that pg_rewind would fail in the middle.",
                    next_step="Move the file out of the data directory, or give it to the owner of the directory.",
                )


def rewind(cluster: Cluster, source: ConnectionOptions) -> None:
    """Rewind the cluster, and keep standby.signal in place. Raises RecoveryError(not_ready) if it fails."""
    ended = threading.Event()
    guard = threading.Thread(target=_keep_signal, args=(cluster.data, ended), daemon=True)
    guard.start()
    try:
        done = _pg_rewind(cluster, source)
    finally:
        ended.set()
        guard.join()
        create_signal(cluster.data)
    if done.code != 0:
        raise RecoveryError(
            ErrorKind.NOT_READY,
            f"pg_rewind of {cluster.data} failed: {_last_line(done)}.",
            left="The data directory is neither the old nor the new one. standby.signal exists.",
        )


def save_configuration(cluster: Cluster) -> str:
    """Copy the configuration files to a new folder beside the data directory; its path."""
    folder = f"{cluster.data.rstrip('/')}.rejoin-{compact_instant(utc_now()).lower()}"
    try:
        os.mkdir(folder, 0o700)
        give_to(cluster.user, folder)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"The folder {folder} for the configuration files cannot be created: {error.strerror}.",
            next_step="Run it as root or as the owner of the folder.",
        ) from None
    names = configuration_files(cluster.data)
    if names:
        _copy(cluster, [os.path.join(cluster.data, name) for name in names], folder)
    return folder


def restore_configuration(cluster: Cluster, folder: str) -> None:
    """Copy the saved files back. Raises RecoveryError(service_failed)."""
    names = sorted(os.listdir(folder))
    if names:
        _copy(cluster, [os.path.join(folder, name) for name in names], cluster.data)


def configuration_files(data_dir: str) -> t.List[str]:
    """Names in the top folder: small files that are not of the server itself, and folders of configuration."""
    found = []
    for entry in os.scandir(data_dir):
        with contextlib.suppress(OSError):
            is_file = entry.is_file(follow_symlinks=False) or entry.is_symlink()
            small = is_file and entry.stat(follow_symlinks=False).st_size <= _LARGEST
            folder = entry.is_dir(follow_symlinks=False) and entry.name.endswith((".d", "conf"))
            if (small and entry.name not in _SERVER_FILES and not entry.name.endswith(_OLD)) or folder:
                found.append(entry.name)
    return sorted(found)


def _copy(cluster: Cluster, sources: t.Sequence[str], folder: str) -> None:
    """As the owner of the cluster, which may put links in the place of its files."""
    done = run(["cp", "-a", "--remove-destination", "--", *sources, f"{folder}/"], {**os.environ}, cluster.user)
    if done.code != 0:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The configuration files of {cluster.data} cannot be copied to {folder}: {_last_line(done)}.",
            next_step="Check the free space and the rights of the owner of the data directory.",
        )


def _pg_rewind(cluster: Cluster, source: ConnectionOptions, *options: str) -> Done:
    arguments = [cluster.path("pg_rewind"), "-D", cluster.data, f"--source-server={source.conninfo()}", *options]
    return run(arguments, source.environment(), cluster.user)


def _last_line(done: Done) -> str:
    lines = [line for line in done.errors.splitlines() if "error:" in line or "fatal:" in line] or done.errors.split(
        "\n"
    )
    return lines[-1].replace("pg_rewind: ", "").strip().rstrip(".")[-300:] or f"it ended with {done.code}"


def _keep_signal(data_dir: str, ended: threading.Event) -> None:
    while not ended.wait(_SIGNAL_POLL):
        with contextlib.suppress(RecoveryError, OSError):
            create_signal(data_dir)
