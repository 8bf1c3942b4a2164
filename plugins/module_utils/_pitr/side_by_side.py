# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A side-by-side restore: into another directory, with a separate server without effects on other systems."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import typing as t
from dataclasses import dataclass

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath
from .._core.process import free_port
from .cluster import Cluster, Login, as_options
from .plan import Plan, RecoverySpec
from .recovery import (
    Marker,
    Reached,
    make_folder,
    marker_path,
    read_marker,
    remove_marker,
    require_space,
    restore_files,
    wait_for_target,
    write_marker,
)

#: The longest path of a socket is 107 bytes; PostgreSQL adds its own file name to the folder.
_LONGEST_SOCKET_DIR = 85


@dataclass(frozen=True)
class Start:
    """Options of the restored server. With port 0, a free port is used; socket_dir None is the data directory."""

    start: bool = True
    port: t.Optional[int] = None
    listen_addresses: str = "127.0.0.1"
    socket_directory: t.Optional[FilePath] = None
    config_file: t.Optional[FilePath] = None
    recovery_timeout: int = 3600
    jobs: int = 2


@dataclass(frozen=True)
class SideBySide:
    reached: Reached
    port: t.Optional[int]
    socket_dir: t.Optional[str]


def refuse_occupied(spec: RecoverySpec, start: Start) -> None:
    """Raises RecoveryError(target_exists, target_in_use or invalid_options)."""
    if os.path.islink(spec.data):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{spec.data} is a link.",
            next_step="Set data_directory to a path that does not exist, or to the target of the link.",
        )
    if os.path.lexists(spec.data) and (not os.path.isdir(spec.data) or os.listdir(spec.data)):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{spec.data} is not empty.",
            next_step="Set data_directory to a new path, or remove the restored cluster with mode remove.",
        )
    if spec.origin is not None and f"{spec.data}/".startswith(f"{spec.origin.rstrip('/')}/"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{spec.data} is within the data directory {spec.origin} of the running cluster.",
            next_step="Set data_directory to a path outside of it.",
        )
    if not os.path.isdir(os.path.dirname(spec.data) or "/"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The folder {os.path.dirname(spec.data)} does not exist.",
            next_step="Create it, and let the user of the server enter it.",
        )
    if start.port and not _is_free(start.port):
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"Port {start.port} is taken.",
            next_step="Set another port, or leave it unset to use a free one.",
        )


def restore_side_by_side(spec: RecoverySpec, plan: Plan, start: Start, timings: Timings) -> SideBySide:
    """Restore, start with archiving off, and wait. A failed restore is removed, unless its server runs."""
    require_space(plan, os.path.dirname(spec.data))
    cluster = Cluster(spec.data, plan.bin_dir, spec.place.user, spec.login)
    tablespaces = f"{spec.data}.tablespaces"
    marker = Marker(
        "side_by_side",
        "restoring",
        plan.stanza.name,
        plan.stanza.system_identifier,
        plan.bin_dir,
        tablespaces=tablespaces,
    )
    with timings.phase("provision"):
        write_marker(spec.data, marker)
        make_folder(spec.data, spec.place.user)
    try:
        with timings.phase("restore"):
            restore_files(spec, plan, tablespaces=tablespaces, jobs=start.jobs, archive=False)
        if not start.start:
            return SideBySide(Reached("restored"), None, None)
        with timings.phase("recover"):
            return _run(spec, plan, start, cluster)
    except RecoveryError as error:
        if cluster.running() is not None:
            raise
        remove_side_by_side(spec.data, spec.place.user)
        left = "The running cluster is unchanged, and the restored files were removed."
        raise error.restated(left=left) from None


def remove_side_by_side(data: str, user: t.Optional[str], timeout: int = 60) -> bool:
    """Stop and delete a cluster that was restored side by side; whether it existed.

    Raises RecoveryError(target_missing) for a directory that no side-by-side restore created.
    """
    marker = read_marker(data)
    if marker is None and not os.path.lexists(data):
        return False
    if marker is None or marker.mode != "side_by_side":
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"{data} was not created by a side-by-side restore ({marker_path(data)} does not name it).",
            left="The directory is unchanged.",
            next_step="Set data_directory to that of a side-by-side restore.",
        )
    Cluster(data, marker.bin_dir, user, Login()).stop(timeout)
    for folder in (data, marker.tablespaces):
        if folder and os.path.lexists(folder):
            shutil.rmtree(folder)
    log = f"{data}.log"
    if os.path.exists(log):
        os.unlink(log)
    remove_marker(data)
    return True


def server_settings(
    data: str, start: Start, port: int, socket_dir: str, limits: t.Mapping[str, str]
) -> t.Dict[str, str]:
    """Settings that keep a copy from affecting other systems: no archiving, no subscriptions, no scheduled work.

    The configuration in the backup may also name commands that clean the archive or report a failover, and standbys
    that each commit waits for.
    """
    return {
        "port": str(port),
        "listen_addresses": start.listen_addresses,
        "unix_socket_directories": socket_dir,
        "hot_standby": "on",
        "archive_mode": "off",
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        "primary_conninfo": "",
        "synchronous_standby_names": "",
        "max_logical_replication_workers": "0",
        "cron.launch_active_jobs": "off",
        "external_pid_file": f"{data}/external.pid",
        "logging_collector": "off",
        "log_destination": "stderr",
        "lc_messages": "C",
        **limits,
    }


def origin_config_file(origin: t.Optional[str]) -> t.Optional[str]:
    """The postgresql.conf of a running server that keeps it outside of its data directory, from its start options."""
    try:
        with open(os.path.join(origin or "", "postmaster.opts"), encoding="utf-8") as stream:
            arguments = shlex.split(stream.read())
    except (OSError, ValueError):
        return None
    found = [word.split("=", 1)[1] for word in arguments if word.lstrip("-").startswith("config_file=")]
    return found[-1] if found else None


def _run(spec: RecoverySpec, plan: Plan, start: Start, cluster: Cluster) -> SideBySide:
    port = start.port or free_port()
    socket_dir = start.socket_directory or spec.data
    if len(socket_dir.encode()) > _LONGEST_SOCKET_DIR:
        socket_dir = ""
    control = cluster.control()
    settings = server_settings(spec.data, start, port, socket_dir, control.limits if control else {})
    config_file: t.Optional[str] = start.config_file
    if config_file is None and not os.path.exists(os.path.join(spec.data, "postgresql.conf")):
        config_file = origin_config_file(spec.origin)
        if config_file is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "The backup has no postgresql.conf, because the server keeps it in another directory.",
                next_step="Set config_file, on Debian /etc/postgresql/<version>/<cluster>/postgresql.conf.",
            )
    if config_file is not None:
        settings = {"config_file": config_file, "data_directory": spec.data, **settings}
    log = f"{spec.data}.log"
    cluster.start(as_options(settings), log, spec.place.environment)
    reached = wait_for_target(cluster, spec, plan, log, start.recovery_timeout)
    write_marker(
        spec.data,
        Marker("side_by_side", "done", plan.stanza.name, plan.stanza.system_identifier, plan.bin_dir,
               tablespaces=f"{spec.data}.tablespaces"),
    )  # fmt: skip
    return SideBySide(reached, port, socket_dir or None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
