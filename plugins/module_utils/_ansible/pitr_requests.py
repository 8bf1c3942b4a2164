# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters of the modules for pgBackRest turned into the typed requests of its package."""

from __future__ import annotations

import os
import typing as t

from .._pitr.backup import BackupRequest
from .._pitr.cluster import Login
from .._pitr.config import configured_data_directory
from .._pitr.info import InfoRequest
from .._pitr.pitr import PitrRequest
from .._pitr.plan import RecoverySpec
from .._pitr.program import Place, owner_to_run_as
from .._pitr.side_by_side import Start
from .._pitr.target import Target, parse_target
from .options import ArgumentSpec, request_of, spec_of
from .postgres_requests import connection_options
from .requests import Params


def pgbackrest_spec() -> ArgumentSpec:
    """A stanza of pgBackRest and who runs it."""
    return spec_of(Place)


def stanza_place(params: Params, origin: t.Optional[str]) -> Place:
    """The stanza, and whom its programs run as. Raises RecoveryError(invalid_options) when that would be root."""
    user = owner_to_run_as(origin, params["os_user"])
    return request_of(Place, params, check_mode=False, environment=_environment(params), user=user)


def cluster_directory(params: Params) -> t.Optional[str]:
    """The option, or the directory of the stanza in pgBackRest's configuration."""
    given = params["live_data_directory"]
    return given or configured_data_directory(params["stanza"], params["config"], _environment(params))


def server_login(params: Params) -> Login:
    """The login of psql; the data directory of the server has its address."""
    wanted = ("PGUSER", "PGPASSWORD", "PGPASSFILE", "PGDATABASE", "PGCONNECT_TIMEOUT", "PGOPTIONS")
    found = connection_options(params).environment()
    return Login({name: found[name] for name in wanted if name in found})


def pitr_request(params: Params, *, check_mode: bool) -> PitrRequest:
    mode = params["mode"]
    data = str(params["data_directory"]).rstrip("/")
    origin = data if mode in ("in_place", "undo") else cluster_directory(params)
    restores = mode in ("side_by_side", "in_place")
    target = parse_target(params["target_type"], params["target"], inclusive=params["inclusive"])
    spec = request_of(
        RecoverySpec,
        params,
        check_mode=check_mode,
        place=stanza_place(params, data if mode == "remove" and os.path.exists(data) else origin),
        target=target if restores else Target("latest"),
        mode=mode,
        data=data,
        origin=origin,
        login=server_login(params),
    )
    start = request_of(Start, params, check_mode=check_mode)
    return request_of(PitrRequest, params, check_mode=check_mode, spec=spec, start=start)


def pitr_info_request(params: Params) -> InfoRequest:
    origin = cluster_directory(params)
    spec = request_of(
        RecoverySpec,
        params,
        check_mode=False,
        place=stanza_place(params, origin),
        target=Target("latest"),
        mode="info",
        data="",
        origin=origin,
        login=server_login(params),
    )
    return request_of(InfoRequest, params, check_mode=False, spec=spec)


def stanza_backup_request(params: Params, *, check_mode: bool) -> BackupRequest:
    place = stanza_place(params, cluster_directory(params))
    return request_of(BackupRequest, params, check_mode=check_mode, place=place)


def tested_stanza(params: Params) -> Place:
    """A stanza with a local repository, whose owner the programs run as."""
    return stanza_place(params, params["repository_path"])


def _environment(params: Params) -> t.Dict[str, str]:
    return {str(name): str(value) for name, value in params["environment"].items()}
