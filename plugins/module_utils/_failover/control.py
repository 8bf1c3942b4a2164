# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the control file of a cluster on this host, as the proof of a clean stop."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath
from .._pitr.cluster import Cluster, Login, find_server
from .._pitr.program import owner_to_run_as
from .losses import StoppedPrimary


@dataclass(frozen=True)
class ControlRequest:
    """The data directory of the cluster."""

    data_dir: FilePath
    client_bin_dir: t.Optional[FilePath] = None


@dataclass(frozen=True)
class ControlResult:
    """limits: the settings that a standby of this cluster needs at least."""

    control: StoppedPrimary
    is_clean: bool
    limits: t.Mapping[str, int]
    server_version: str


def read_control(request: ControlRequest) -> ControlResult:
    """Read it with pg_controldata as the owner of the directory.

    Raises RecoveryError(target_missing, access_denied, client_missing, damaged).
    """
    cluster = cluster_at(request.data_dir, request.client_bin_dir)
    # The postmaster writes "shut down" before its last processes end, so the process is looked for afterwards.
    control = cluster.control()
    running = cluster.running() is not None
    if control is None or not control.checkpoint_lsn:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"pg_controldata cannot read the control file of {cluster.data}.",
            next_step="Run pg_controldata as the owner of the directory and read its message.",
        )
    stopped = StoppedPrimary(
        control.system_identifier, control.timeline, control.state, running, control.checkpoint_lsn
    )
    limits = {name: int(value) for name, value in control.limits.items()}
    return ControlResult(stopped, stopped.is_clean, limits, str(major_of(cluster.data)))


def cluster_at(data_dir: str, client_bin_dir: t.Optional[str]) -> Cluster:
    """The cluster with the programs of its version, which root runs as the owner of the directory.

    Raises RecoveryError(target_missing, access_denied, client_missing, invalid_options).
    """
    programs = find_server(major_of(data_dir), client_bin_dir)
    return Cluster(data_dir, programs, owner_to_run_as(data_dir, None), Login())


def major_of(data_dir: str) -> int:
    """The major version of a data directory."""
    path = os.path.join(data_dir, "PG_VERSION")
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            major = stream.read(20).strip()
    except PermissionError:
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"This user may not read {path}.",
            next_step="Run the task with become_user set to the owner of the data directory.",
        ) from None
    except OSError as error:
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"`data_dir` must be the data directory of a PostgreSQL cluster, got {data_dir}: {error.strerror}.",
            next_step="Read SHOW data_directory on the server, or pg_lsclusters.",
        ) from None
    if not major.isdigit():
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"`data_dir` must be the data directory of a PostgreSQL cluster; {path} has no version number.",
            next_step="Read SHOW data_directory on the server, or pg_lsclusters.",
        )
    return int(major)
