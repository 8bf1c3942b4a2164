# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recovery in place of the running cluster, which keeps the old data directory, and its undo."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import replace

from .._core.clock import Timings, compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .cluster import Cluster, Login, find_server
from .plan import Plan, RecoverySpec
from .recovery import (
    Marker,
    Reached,
    control_service,
    make_folder,
    marker_path,
    read_marker,
    remove_marker,
    require_space,
    restore_files,
    wait_for_target,
    write_marker,
)

_STOP_SECONDS = 300


def refuse_interrupted(data: str) -> None:
    """Raises RecoveryError(conflict) if an earlier recovery in place was interrupted."""
    marker = read_marker(data)
    if marker is not None and marker.state == "restoring":
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"A recovery of {data} was interrupted; {marker_path(data)} names the old directory.",
            next_step="Undo it with mode undo, then start again.",
        )


def restore_in_place(
    spec: RecoverySpec, plan: Plan, *, service: t.Optional[str], start: bool, timeout: int, jobs: int, timings: Timings
) -> t.Tuple[Reached, str]:
    """Stop, rename the old directory, restore into an empty one, start. Returns the path of the old directory.

    If a step fails, the old directory is renamed to its original name and the server is started on it.
    """
    require_space(plan, os.path.dirname(spec.data))
    cluster = Cluster(spec.data, plan.bin_dir, spec.place.user, spec.login)
    stamp = compact_instant(utc_now()).lower()
    kept = f"{spec.data}.before-{stamp}"
    tablespaces = f"{spec.data}.tablespaces-{stamp}"
    running = cluster.running() is not None
    marker = Marker(
        mode="in_place",
        state="restoring",
        stanza=plan.stanza.name,
        system_identifier=plan.stanza.system_identifier,
        bin_dir=plan.bin_dir,
        kept=kept,
        tablespaces=tablespaces,
        arguments=cluster.arguments(),
        was_running=running,
    )
    write_marker(spec.data, marker)
    try:
        with timings.phase("stop"):
            _stop(cluster, service)
        with timings.phase("provision"):
            os.rename(spec.data, kept)
            make_folder(spec.data, spec.place.user)
        with timings.phase("restore"):
            restore_files(spec, plan, tablespaces=tablespaces, jobs=jobs, archive=True)
        reached = Reached("restored")
        if start:
            with timings.phase("recover"):
                log = None if service else f"{spec.data}.log"
                _start(cluster, service, marker.arguments, spec.place.environment)
                reached = wait_for_target(cluster, spec, plan, log, timeout)
    except RecoveryError as error:
        # A server that still replays, or only refuses the login, is kept.
        if error.kind in (ErrorKind.TIMEOUT, ErrorKind.ACCESS_DENIED) and cluster.running() is not None:
            write_marker(spec.data, replace(marker, state="done"))
            raise
        with timings.phase("undo"):
            _put_back(spec.data, marker, cluster, service, spec.place.environment)
        left = f"The old data directory has its original name{' and its server runs' if running else ''}."
        raise error.restated(left=left) from None
    write_marker(spec.data, replace(marker, state="done"))
    return reached, kept


def undo_in_place(
    data: str,
    user: t.Optional[str],
    service: t.Optional[str],
    environment: t.Mapping[str, str],
    timings: Timings,
    *,
    check_mode: bool,
) -> t.Tuple[Marker, t.Optional[str]]:
    """Rename the kept directory to its original name; returns the path C(.undone-...) of the recovered directory.

    Raises RecoveryError(target_missing) if there is no recovery in place to undo.
    """
    marker = read_marker(data)
    if marker is None or marker.mode != "in_place":
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"There is no recovery in place of {data} to undo.",
            next_step="Check data_directory.",
        )
    if check_mode:
        return marker, None
    cluster = Cluster(data, find_server(0, marker.bin_dir), user, Login())
    aside = None
    with timings.phase("undo"):
        _stop(cluster, service)
        if marker.kept and os.path.isdir(marker.kept):
            if os.path.lexists(data):
                aside = f"{data}.undone-{compact_instant(utc_now()).lower()}"
                os.rename(data, aside)
            os.rename(marker.kept, data)
        if marker.was_running:
            _start(cluster, service, marker.arguments, environment)
        remove_marker(data)
    return marker, aside


def _put_back(
    data: str, marker: Marker, cluster: Cluster, service: t.Optional[str], environment: t.Mapping[str, str]
) -> None:
    _stop(cluster, service)
    if marker.kept and os.path.isdir(marker.kept):
        for folder in (data, marker.tablespaces):
            if folder and os.path.lexists(folder):
                shutil.rmtree(folder)
        os.rename(marker.kept, data)
    if marker.was_running and cluster.running() is None:
        _start(cluster, service, marker.arguments, environment)
    remove_marker(data)


def _stop(cluster: Cluster, service: t.Optional[str]) -> None:
    if service is not None:
        control_service(service, "stop")
    if os.path.isdir(cluster.data):
        cluster.stop(_STOP_SECONDS)


def _start(
    cluster: Cluster, service: t.Optional[str], arguments: t.Sequence[str], environment: t.Mapping[str, str]
) -> None:
    if service is not None:
        control_service(service, "start")
    else:
        cluster.start(arguments, f"{cluster.data}.log", environment)
