# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recovery into another directory, with a server of its own that can harm nobody."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import typing as t
from dataclasses import dataclass

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._core.process import free_port
from .cluster import Cluster, Login, as_options
from .plan import Plan, Wish
from .recovery import (
    Marker,
    Reached,
    make_folder,
    marker_path,
    read_marker,
    remove_marker,
    require_room,
    restore_files,
    wait_for_target,
    write_marker,
)

#: The longest path of a socket is 107 bytes; PostgreSQL adds its own file name to the folder.
_LONGEST_SOCKET_DIR = 85


@dataclass(frozen=True)
class Start:
    """How the restored server runs. port 0 takes a free one; socket_dir None is the data directory."""

    start: bool = True
    port: int = 0
    listen_addresses: str = "127.0.0.1"
    socket_dir: t.Optional[str] = None
    config_file: t.Optional[str] = None
    timeout: int = 3600
    jobs: int = 2


@dataclass(frozen=True)
class Beside:
    reached: Reached
    port: t.Optional[int]
    socket_dir: t.Optional[str]


def refuse_occupied(wish: Wish, start: Start) -> None:
    """Raises RecoveryError(target_exists, target_in_use or invalid_options)."""
    if os.path.islink(wish.data):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{wish.data} is a link.",
            next_step="Give a data_directory that does not exist yet, or the directory that the link leads to.",
        )
    if os.path.lexists(wish.data) and (not os.path.isdir(wish.data) or os.listdir(wish.data)):
        raise RecoveryError(
            ErrorKind.TARGET_EXISTS,
            f"{wish.data} is not empty.",
            next_step="Give a data_directory that does not exist yet, or remove what is there with mode remove.",
        )
    if wish.live is not None and f"{wish.data}/".startswith(f"{wish.live.rstrip('/')}/"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{wish.data} lies within the live data directory {wish.live}.",
            next_step="Give a data_directory outside of it.",
        )
    if not os.path.isdir(os.path.dirname(wish.data) or "/"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The folder {os.path.dirname(wish.data)} does not exist.",
            next_step="Make it, and let the server's user enter it.",
        )
    if start.port and not _is_free(start.port):
        raise RecoveryError(
            ErrorKind.TARGET_IN_USE,
            f"Port {start.port} is taken.",
            next_step="Give another port, or leave it out to take a free one.",
        )


def restore_beside(wish: Wish, plan: Plan, start: Start, timings: Timings) -> Beside:
    """Restore, start with archiving off, and wait. What failed is removed again, but a server that runs stays."""
    require_room(plan, os.path.dirname(wish.data))
    cluster = Cluster(wish.data, plan.bin_dir, wish.place.user, wish.login)
    tablespaces = f"{wish.data}.tablespaces"
    marker = Marker(
        "beside", "restoring", plan.stanza.name, plan.stanza.system_identifier, plan.bin_dir, tablespaces=tablespaces
    )
    with timings.phase("provision"):
        write_marker(wish.data, marker)
        make_folder(wish.data, wish.place.user)
    try:
        with timings.phase("restore"):
            restore_files(wish, plan, tablespaces=tablespaces, jobs=start.jobs, archive=False)
        if not start.start:
            return Beside(Reached("restored"), None, None)
        with timings.phase("recover"):
            return _run(wish, plan, start, cluster)
    except RecoveryError as error:
        if cluster.running() is None:
            remove_beside(wish.data, wish.place.user)
            error.left = "The live server was not touched, and what was restored is removed again."
        raise


def remove_beside(data: str, user: t.Optional[str], timeout: int = 60) -> bool:
    """Stop and delete what a recovery beside made; whether there was anything.

    Raises RecoveryError(target_missing) for a directory that no recovery made.
    """
    marker = read_marker(data)
    if marker is None and not os.path.lexists(data):
        return False
    if marker is None or marker.mode != "beside":
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"{data} was not made by a recovery beside ({marker_path(data)} does not say so).",
            left="It is as it was.",
            next_step="Give the data_directory of a recovery beside.",
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
    """Settings that keep a copy from acting on the world: no archiving, no subscriptions, no scheduled work.

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


def live_config_file(live: t.Optional[str]) -> t.Optional[str]:
    """The postgresql.conf of a live server that keeps it outside of its data directory, from how it was started."""
    try:
        with open(os.path.join(live or "", "postmaster.opts"), encoding="utf-8") as stream:
            arguments = shlex.split(stream.read())
    except (OSError, ValueError):
        return None
    found = [word.split("=", 1)[1] for word in arguments if word.lstrip("-").startswith("config_file=")]
    return found[-1] if found else None


def _run(wish: Wish, plan: Plan, start: Start, cluster: Cluster) -> Beside:
    port = start.port or free_port()
    socket_dir = start.socket_dir or wish.data
    if len(socket_dir.encode()) > _LONGEST_SOCKET_DIR:
        socket_dir = ""
    control = cluster.control()
    settings = server_settings(wish.data, start, port, socket_dir, control.limits if control else {})
    config_file = start.config_file
    if config_file is None and not os.path.exists(os.path.join(wish.data, "postgresql.conf")):
        config_file = live_config_file(wish.live)
        if config_file is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "The backup has no postgresql.conf, because the server keeps it elsewhere.",
                next_step="Set config_file, on Debian /etc/postgresql/<version>/<cluster>/postgresql.conf.",
            )
    if config_file is not None:
        settings = {"config_file": config_file, "data_directory": wish.data, **settings}
    log = f"{wish.data}.log"
    cluster.start(as_options(settings), log, wish.place.environment)
    reached = wait_for_target(cluster, wish, plan, log, start.timeout)
    write_marker(
        wish.data,
        Marker("beside", "done", plan.stanza.name, plan.stanza.system_identifier, plan.bin_dir,
               tablespaces=f"{wish.data}.tablespaces"),
    )  # fmt: skip
    return Beside(reached, port, socket_dir or None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
