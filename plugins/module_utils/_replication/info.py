# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describes replication as one server sees it, or compares two servers."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._core.clock import Timings
from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection
from .facts import Attached, Server, Slot
from .judge import (
    Finding,
    Limits,
    LowSetting,
    judge_attached,
    judge_lag,
    judge_slots,
    judge_standby,
    low_settings,
    same_cluster,
)
from .lag import Lag, format_position, goal_of, measure, worst
from .queries import in_recovery, read_server, wait_for

#: Errors of the other server that are findings, because an outage of it is the reason to run this.
_SILENT = (ErrorKind.UNREACHABLE, ErrorKind.ACCESS_DENIED, ErrorKind.TARGET_MISSING)


@dataclass(frozen=True)
class ReplicationRequest:
    """server is described; peer is the other server. The primary is detected."""

    server: ConnectionOptions
    peer: t.Optional[ConnectionOptions] = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Side:
    """One server for the operator. lsn is the position that it has written or replayed."""

    place: str
    server_version: str
    system_identifier: t.Optional[str]
    timeline: t.Optional[int]
    lsn: t.Optional[str]
    settings: t.Mapping[str, int]


@dataclass(frozen=True)
class ReplicationResult:
    """lag_bytes, lag_seconds, streaming and paused are of the standby, or the worst of those attached to a primary."""

    role: str
    streaming: t.Optional[bool]
    lag_bytes: t.Optional[int]
    lag_seconds: t.Optional[float]
    paused: t.Optional[bool]
    timeline: t.Optional[int]
    system_identifier: t.Optional[str]
    slots: t.Sequence[Slot]
    standbys: t.Optional[t.Sequence[Attached]]
    slot_name: t.Optional[str]
    received_lsn: t.Optional[str]
    replayed_lsn: t.Optional[str]
    replayed_at: t.Optional[datetime]
    replay_age_seconds: t.Optional[float]
    heard_at: t.Optional[datetime]
    settings_low: t.Sequence[LowSetting]
    primary: t.Optional[Side]
    standby: t.Optional[Side]
    ready: bool
    blockers: t.Sequence[str]
    findings: t.Sequence[str]
    msg: str
    timings: t.Mapping[str, float]


@dataclass(frozen=True)
class _Pair:
    """The servers that were read. role is that of the first; caught_up_in: the seconds until the standby caught up."""

    role: str
    primary: t.Optional[Server]
    standby: t.Optional[Server]
    caught_up_in: t.Optional[float] = None

    @property
    def subject(self) -> Server:
        return t.cast(Server, self.standby or self.primary)

    @property
    def source(self) -> t.Optional[Server]:
        """The primary, if the standby can belong to it; positions of another cluster are not comparable."""
        if self.primary is None or self.standby is None or not same_cluster(self.standby, self.primary):
            return None
        return self.primary

    @property
    def now(self) -> datetime:
        """Timestamps of commits come from the clock of the primary."""
        return (self.source or self.subject).now


def describe_replication(request: ReplicationRequest) -> ReplicationResult:
    """Read one server or both, and compare them.

    Raises RecoveryError if the first server cannot be read; a peer that does not answer is a finding.
    """
    timings = Timings()
    findings: t.List[Finding] = []
    with contextlib.ExitStack() as stack:
        with timings.phase("connect"):
            mine = stack.enter_context(connection(request.server))
            other = _peer(stack, request.peer, findings)
        with timings.phase("read"):
            pair = _read_pair(request, mine, other, findings)
    if pair.standby is not None:
        lag = measure(pair.standby, goal_of(pair.standby, pair.source), pair.now, pair.caught_up_in)
        findings += judge_standby(pair.standby, lag, pair.primary)
    else:
        seen = pair.subject.attached or ()
        behind = worst(one.lag_bytes for one in seen)
        lag = Lag(None if behind is None else int(behind), worst(one.lag_seconds for one in seen), None)
        findings += judge_attached(pair.subject.attached)
    if pair.primary is not None:
        findings += judge_slots(pair.primary, pair.standby.slot_name if pair.standby and pair.source else None)
    findings += judge_lag(lag, request.limits)
    return _result(pair, lag, findings, timings)


def _peer(
    stack: contextlib.ExitStack, options: t.Optional[ConnectionOptions], findings: t.List[Finding]
) -> t.Optional[Connection]:
    if options is None:
        return None
    try:
        return stack.enter_context(connection(options))
    except RecoveryError as error:
        if error.kind not in _SILENT:
            raise
        findings.append(Finding(f"The other server could not be compared. {error.what}"))
        return None


def _read_pair(
    request: ReplicationRequest, mine: Connection, other: t.Optional[Connection], findings: t.List[Finding]
) -> _Pair:
    recovering = in_recovery(mine)
    by_role = {recovering: (mine, request.server.place)}
    if other is not None and request.peer is not None:
        if in_recovery(other) == recovering:
            findings.append(_alike(recovering, request.server.place, request.peer.place))
        else:
            by_role[not recovering] = (other, request.peer.place)
    # The primary first: the standby should have everything that it had written by then.
    primary = read_server(*by_role[False]) if False in by_role else None
    standby = read_server(*by_role[True]) if True in by_role else None
    pair = _Pair("standby" if recovering else "primary", primary, standby)
    if standby is None or standby.paused or not standby.streaming:
        return pair
    goal = goal_of(standby, pair.source)
    if goal is None or standby.replayed is None or standby.replayed >= goal:
        return pair
    return replace(pair, caught_up_in=wait_for(by_role[True][0], goal))


def _alike(recovering: bool, mine: str, other: str) -> Finding:
    if recovering:
        return Finding(f"Both {mine} and {other} are standbys; neither is the other's primary.")
    return Finding(f"Both {mine} and {other} accept writes; none of them is a standby.", blocks=True)


def _result(pair: _Pair, lag: Lag, findings: t.Sequence[Finding], timings: Timings) -> ReplicationResult:
    subject, standby = pair.subject, pair.standby
    attached = (pair.primary or subject).attached
    streaming = standby.streaming if standby else None
    if standby is None and attached is not None:
        streaming = any(one.state == "streaming" for one in attached)
    blockers = [finding.sentence for finding in findings if finding.blocks]
    return ReplicationResult(
        role=pair.role,
        streaming=streaming,
        lag_bytes=lag.bytes,
        lag_seconds=lag.seconds,
        paused=subject.paused,
        timeline=subject.timeline,
        system_identifier=subject.system_identifier,
        slots=(pair.primary or subject).slots,
        standbys=attached,
        slot_name=subject.slot_name,
        received_lsn=format_position(subject.received),
        replayed_lsn=format_position(subject.replayed),
        replayed_at=subject.replayed_at,
        replay_age_seconds=lag.replay_age,
        heard_at=subject.receiver.heard_at if subject.receiver else None,
        settings_low=low_settings(standby, pair.primary) if standby and pair.primary else [],
        primary=_side(pair.primary),
        standby=_side(standby),
        ready=standby is not None and not blockers,
        blockers=blockers,
        findings=[finding.sentence for finding in findings],
        msg=" ".join(finding.sentence for finding in findings),
        timings=timings.as_dict(),
    )


def _side(server: t.Optional[Server]) -> t.Optional[Side]:
    if server is None:
        return None
    lsn = format_position(server.replayed if server.in_recovery else server.written)
    return Side(
        server.place, server.server_version, server.system_identifier, server.timeline, lsn, dict(server.settings)
    )
