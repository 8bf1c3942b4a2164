# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gates of a switchover: states in which Patroni refuses it, delays it or loses commits. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.sizes import readable_size
from .cluster import Cluster

_READY = ("streaming", "running", "in archive recovery")


@dataclass(frozen=True)
class Gate:
    """A sentence about the cluster. passes: whether it ends without an operator, so that waiting is of use."""

    sentence: str
    passes: bool = False


def blockers(cluster: Cluster, kind: str, candidate: str, is_synchronous: bool) -> t.Iterator[Gate]:
    """Reasons against the operation. is_synchronous: whether the candidate is a synchronous standby now."""
    if cluster.is_standby_cluster:
        yield Gate("It is a standby cluster, whose leader accepts no writes; patronictl promote-cluster ends that.")
    if cluster.is_paused:
        yield Gate("It is paused, and a paused Patroni does not demote a second primary; run patronictl resume.")
    if cluster.scheduled_switchover:
        at = str(cluster.scheduled_switchover.get("at", "an unknown time"))
        yield Gate(f"A switchover is scheduled for {at}; remove it with patronictl flush SCOPE switchover.")
    if cluster.leader is None and kind == "switchover":
        yield Gate("It has no leader; a switchover needs one, a failover does not.", passes=True)
    yield from _about_candidate(cluster, kind, candidate)
    if kind == "switchover" and cluster.synchronous_mode != "off" and not is_synchronous:
        yield Gate(
            f"Its synchronous mode is {cluster.synchronous_mode}, and {candidate} is no synchronous standby.",
            passes=True,
        )


def _about_candidate(cluster: Cluster, kind: str, candidate: str) -> t.Iterator[Gate]:
    member, endpoint = cluster.member(candidate), cluster.endpoint(candidate)
    if member is None:
        names = ", ".join(one.name for one in cluster.members)
        yield Gate(f"It has no member {candidate}; its members are {names}.")
        return
    if endpoint is None:
        yield Gate(f"No endpoint of {candidate} answers; `endpoints` must have its URL.", passes=True)
    if member.tags.get("nofailover") is True or member.tags.get("failover_priority") == 0:
        yield Gate(f"The tags of {candidate} exclude it from failover.")
    if member.state not in _READY:
        yield Gate(f"The state of {candidate} is {member.state!r}, not streaming.", passes=True)
    leader = cluster.member(cluster.leader)
    if kind == "switchover" and leader and leader.timeline and member.timeline != leader.timeline:
        yield Gate(
            f"{candidate} is on timeline {member.timeline}, the leader on timeline {leader.timeline}.", passes=True
        )


def remarks(cluster: Cluster, candidate: str) -> t.Iterator[str]:
    """Sentences that prevent nothing."""
    member = cluster.member(candidate)
    if member is not None and member.lag_bytes:
        yield f"{candidate} was {readable_size(member.lag_bytes)} behind in the last loop of Patroni."
    silent = [one for one in cluster.endpoints if one.name is None]
    for one in silent:
        yield f"The endpoint {one.url} does not answer ({one.reason}); its server may still accept writes."
    reached = {one.name for one in cluster.endpoints}
    for name in (member.name for member in cluster.members):
        if name not in reached and not silent:
            yield f"`endpoints` has no URL of the member {name}, whose server may still accept writes."
