# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a Patroni cluster, for a playbook."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY
from .api import Access
from .cluster import Cluster, Endpoint, Member, TimelineLine, read_cluster


@dataclass(frozen=True)
class InfoRequest:
    access: Access = field(metadata=FAMILY)
    system_identifier: t.Optional[str] = None


@dataclass(frozen=True)
class InfoResult:
    """As Cluster. timeline: the newest timeline of a member."""

    scope: str
    system_identifier: t.Optional[str]
    leader: t.Optional[str]
    timeline: t.Optional[int]
    standby_cluster: bool
    paused: bool
    scheduled_switchover: t.Optional[t.Mapping[str, t.Any]]
    synchronous_mode: str
    members: t.Sequence[Member]
    history: t.Sequence[TimelineLine]
    endpoints: t.Sequence[Endpoint]


def cluster_info(request: InfoRequest) -> InfoResult:
    """Raises RecoveryError: invalid_options, unreachable, service_failed, wrong_server."""
    cluster = read_cluster(request.access)
    require_identity(cluster, request.system_identifier)
    return InfoResult(
        scope=cluster.scope,
        system_identifier=cluster.system_identifier,
        leader=cluster.leader,
        timeline=cluster.timeline,
        standby_cluster=cluster.is_standby_cluster,
        paused=cluster.is_paused,
        scheduled_switchover=cluster.scheduled_switchover,
        synchronous_mode=cluster.synchronous_mode,
        members=cluster.members,
        history=cluster.history,
        endpoints=cluster.endpoints,
    )


def require_identity(cluster: Cluster, wanted: t.Optional[str]) -> None:
    """Raise RecoveryError(wrong_server) unless the cluster has the system identifier, if one is wanted."""
    if wanted and cluster.system_identifier != wanted:
        raise RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"`system_identifier` must be {wanted}, the cluster {cluster.scope} has "
            f"{cluster.system_identifier or 'none that its members report'}.",
            next_step="Check `endpoints`.",
        )
