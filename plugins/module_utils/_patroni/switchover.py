# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Switches a Patroni cluster over by its REST API: gates, one request, and the proof that the candidate leads."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.http import Answer, NoAnswer
from .._core.options import FAMILY, INTERNAL
from .._core.sizes import readable_seconds
from .._engines.postgresql.server.connection import ConnectionOptions, connection
from .._failover.probe import probe_write
from .._replication.queries import read_server
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .api import Access, Reply, no_answer, other_leader, post, read_reply
from .cluster import Cluster, Endpoint, Member, TimelineLine, accepts_writes, answers_ok, read_cluster, read_endpoint
from .gates import Gate, blockers, remarks
from .info import require_identity

_POLL = 0.2
#: Patroni watches its own operation for 2 * max(10, loop_wait) seconds before it answers: patroni/api.py.
_LEAST_WATCH = 10
_MARGIN = 10
_REQUESTED = "The request was sent, and Patroni may still complete it."
_SYNCHRONOUS = {"on": "sync", "quorum": "quorum"}
#: Patroni writes its history at the end of a loop, and the server of a demoted member takes some time to stop.
_SETTLE_SECONDS = 15


@dataclass(frozen=True)
class SwitchoverRequest:
    """leader: the expected leader; None for the current one. peer: the login to the server of the candidate."""

    access: Access = field(metadata=FAMILY)
    candidate: str
    leader: t.Optional[str] = None
    kind: t.Literal["switchover", "failover"] = "switchover"
    system_identifier: t.Optional[str] = None
    allow_data_loss: t.Optional[str] = None
    wait_seconds: float = 120
    write_seconds: float = 15
    source: t.Optional[str] = None
    peer: t.Optional[ConnectionOptions] = field(default=None, metadata=INTERNAL)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        self.access.require_valid()
        if self.kind == "failover" and not self.allow_data_loss:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`allow_data_loss` is required for a failover, which promotes a candidate that may lack commits.",
                next_step="Set it to the reason, or `kind` to switchover.",
            )
        if self.leader == self.candidate:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`candidate` must not be `leader`, got {self.candidate!r}.")
        for name, value in (("wait_seconds", self.wait_seconds), ("write_seconds", self.write_seconds)):
            if value <= 0:
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {value:g}.")


@dataclass(frozen=True)
class SwitchoverResult(Outcome):
    """primary_seconds: from the request until the candidate was a primary with the leader lock. answer: of Patroni."""

    scope: str
    system_identifier: t.Optional[str]
    leader_before: t.Optional[str]
    leader: t.Optional[str]
    timeline_before: t.Optional[int]
    timeline: t.Optional[int]
    history: t.Optional[TimelineLine]
    members: t.Sequence[Member]
    answer: t.Optional[str]
    primary_seconds: t.Optional[float]
    write_seconds: t.Optional[float]
    findings: t.Sequence[str]
    timings: t.Mapping[str, float]
    summary: str


class Switchover(Change[SwitchoverResult]):
    """Raises RecoveryError: invalid_options, unreachable, access_denied, wrong_server, conflict, target_missing,
    not_ready, promotion_failed, split_brain, timeout, service_failed."""

    def __init__(self, request: SwitchoverRequest, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        request.require_valid()
        self.operation = request.kind
        self._request, self._access = request, request.access
        self._findings: t.List[str] = []
        self._before: t.Optional[Cluster] = None
        self._after: t.Optional[Cluster] = None
        self._reply: t.Optional[Reply] = None
        self._is_sent = False
        self._primary_seconds: t.Optional[float] = None
        self._write_seconds: t.Optional[float] = None

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("assess"):
            cluster = self._before = self._read()
            if cluster.leader == request.candidate:
                return self._plan_of_leader(cluster)
            self._require_leader(cluster)
        with self.timings.phase("ready"):
            cluster = self._before = self._ready(cluster)
        self._findings += remarks(cluster, request.candidate)
        facts = {
            "kind": request.kind,
            "scope": cluster.scope,
            "system_identifier": cluster.system_identifier,
            "leader": cluster.leader,
            "candidate": request.candidate,
            "timeline": cluster.timeline,
            "synchronous_mode": cluster.synchronous_mode,
            "allow_data_loss": request.allow_data_loss,
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        self.details.update(facts)
        return ChangePlan(facts, cluster.scope, True, f"makes {request.candidate} the leader of")

    def act(self) -> None:
        with self.timings.phase("switch"), ThreadPoolExecutor(1, thread_name_prefix="switchover") as pool:
            began = time.monotonic()
            self._is_sent = True
            self._follow(pool.submit(self._send), began)

    def verify(self) -> None:
        with self.timings.phase("verify"):
            before = guaranteed(self._before)
            after = self._after = self._settled(guaranteed(before.timeline))
            if after.timeline is None or after.timeline <= guaranteed(before.timeline):
                raise RecoveryError(
                    ErrorKind.PROMOTION_FAILED,
                    f"{self._request.candidate} is the leader on timeline {after.timeline}, as before.",
                    next_step="Read the log of Patroni on the candidate.",
                )
            self._prove(after)
        self.details.update(timeline=after.timeline, primary_seconds=self._primary_seconds)

    def settle(self) -> t.Mapping[str, t.Any]:
        before = guaranteed(self._before)
        if before.leader is None:
            return {}
        return {"kind": "switchover", "leader": self._request.candidate, "candidate": before.leader}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if not self._is_sent or error.applied == Applied.NO:
            return error
        if error.left != _REQUESTED and error.applied is None:
            left = f"{self._request.candidate} was made the leader; a switchover to the former leader undoes that."
            return error.restated(left=left, applied=Applied.YES)
        return error

    def why_unchanged(self) -> Unchanged:
        scope = guaranteed(self._before).scope
        return Unchanged(f"{self._request.candidate} is the leader of {scope} already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> SwitchoverResult:
        before, after = guaranteed(self._before), self._after
        return SwitchoverResult(
            **vars(outcome),
            scope=before.scope,
            system_identifier=before.system_identifier,
            leader_before=before.leader,
            leader=after.leader if after else None,
            timeline_before=before.timeline,
            timeline=after.timeline if after else None,
            history=self._history_line(),
            members=(after or before).members,
            answer=self._reply.text if self._reply else None,
            primary_seconds=self._primary_seconds,
            write_seconds=self._write_seconds,
            findings=self._findings,
            timings=self.timings.as_dict(),
            summary=self._summary(outcome),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged:
            return outcome.unchanged.reason
        before, request = guaranteed(self._before), self._request
        verb = "switch" if request.kind == "switchover" else "fail"
        origin = before.leader or "no leader"
        if not self.safeguards.acts:
            return f"Would {verb} {before.scope} over from {origin} to {request.candidate}."
        ed = "Switched" if verb == "switch" else "Failed"
        took = readable_seconds(guaranteed(self._primary_seconds))
        timeline = guaranteed(self._after).timeline
        return (
            f"{ed} {before.scope} over from {origin} to {request.candidate}, which was a primary after {took}, "
            f"on timeline {timeline}."
        )

    def _read(self) -> Cluster:
        cluster = read_cluster(self._access)
        require_identity(cluster, self._request.system_identifier)
        return cluster

    def _plan_of_leader(self, cluster: Cluster) -> ChangePlan:
        self._after = cluster
        if self.safeguards.acts:
            self._prove(cluster)
        return ChangePlan({}, cluster.scope, False, changes=False)

    def _require_leader(self, cluster: Cluster) -> None:
        wanted = self._request.leader
        if wanted is None or cluster.leader == wanted or (cluster.leader is None and self._request.kind == "failover"):
            return
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"`leader` must be the leader of {cluster.scope}, which is {cluster.leader or 'none'}, got {wanted}.",
            next_step="Read the cluster with patroni_info, then plan again.",
            details={"leader": cluster.leader},
        )

    def _ready(self, cluster: Cluster) -> Cluster:
        """The cluster after the reasons against the operation ended. Raises RecoveryError(not_ready)."""
        end = time.monotonic() + (self._request.wait_seconds if self.safeguards.acts else 0)
        while True:
            found = self._blockers(cluster)
            if not found:
                return cluster
            if time.monotonic() >= end or not all(gate.passes for gate in found):
                raise self._not_ready(cluster, found)
            time.sleep(_POLL)
            cluster = self._read()
            self._require_leader(cluster)

    def _blockers(self, cluster: Cluster) -> t.List[Gate]:
        request = self._request
        endpoint, path = cluster.endpoint(request.candidate), _SYNCHRONOUS.get(cluster.synchronous_mode)
        is_synchronous = endpoint is not None and path is not None and answers_ok(self._access, endpoint.url, path)
        return list(blockers(cluster, request.kind, request.candidate, is_synchronous))

    def _not_ready(self, cluster: Cluster, found: t.Sequence[Gate]) -> RecoveryError:
        sentences = [gate.sentence for gate in found]
        return RecoveryError(
            ErrorKind.NOT_READY,
            f"The cluster {cluster.scope} is not ready for a {self._request.kind}: {' '.join(sentences)}",
            next_step="Resolve this, then run it again.",
            details={"blockers": sentences, "leader": cluster.leader},
        )

    def _send(self) -> Answer:
        """Send the request to the leader, which is alive in a switchover, else to the candidate."""
        request, before = self._request, guaranteed(self._before)
        endpoint = guaranteed(before.endpoint(before.leader) or before.endpoint(request.candidate))
        # A failover with a leader is a switchover for Patroni; a switchover without one is refused.
        leader = {"leader": before.leader} if request.kind == "switchover" else {}
        watch = 2 * max(_LEAST_WATCH, before.loop_wait) + _MARGIN
        body = {**leader, "candidate": request.candidate}
        try:
            return post(self._access, endpoint.url, request.kind, body, max(watch, self._access.timeout))
        except NoAnswer as error:
            if not error.begun:
                raise no_answer(endpoint.url, error).restated(applied=Applied.NO) from None
            raise

    def _follow(self, sent: Future[Answer], began: float) -> None:
        """Poll the candidate until it is a primary. The request is never sent again."""
        candidate = guaranteed(guaranteed(self._before).endpoint(self._request.candidate))
        deadline = began + self._request.wait_seconds
        while True:
            if self._primary_seconds is None and accepts_writes(self._access, candidate.url):
                self._primary_seconds = round(time.monotonic() - began, 3)
            if sent.done() and self._reply is None:
                self._reply = self._read_reply(sent)
                if self._reply.is_failed:
                    # The end of the operation that Patroni saw; only its last loop can show another end.
                    wait = 2 * guaranteed(self._before).loop_wait + _MARGIN
                    deadline = min(deadline, time.monotonic() + wait)
            if self._reply is not None and self._primary_seconds is not None:
                return
            if sent.done() and time.monotonic() >= deadline:
                raise self._unfinished(guaranteed(self._reply))
            time.sleep(_POLL)

    def _read_reply(self, sent: Future[Answer]) -> Reply:
        try:
            answer = sent.result()
        except NoAnswer as error:
            return Reply(False, False, f"The answer was lost ({error.reason})")
        return read_reply(answer, self._request.kind, self._request.candidate)

    def _unfinished(self, reply: Reply) -> RecoveryError:
        request = self._request
        leader: t.Optional[str] = None
        try:
            leader = read_cluster(self._access).leader
        except RecoveryError as error:
            reason = error.what
        else:
            if leader is not None and leader not in (request.candidate, guaranteed(self._before).leader):
                return other_leader(leader, request.kind, request.candidate)
            reason = f"the leader is {leader or 'unknown'}"
        kind = ErrorKind.PROMOTION_FAILED if reply.is_failed else ErrorKind.TIMEOUT
        return RecoveryError(
            kind,
            f"{request.candidate} was no primary with the leader lock after {readable_seconds(request.wait_seconds)}: "
            f"{reason.rstrip('.')}. Patroni answered: {reply.text}.",
            left=_REQUESTED,
            next_step="Read the cluster with patroni_info before it is run again.",
            details={"leader": leader},
            applied=Applied.UNKNOWN,
        )

    def _settled(self, timeline: int) -> Cluster:
        """The cluster after its history has the end of the timeline."""
        end = time.monotonic() + _SETTLE_SECONDS
        while True:
            cluster = read_cluster(self._access)
            if any(line.timeline == timeline for line in cluster.history) and cluster.leader == self._request.candidate:
                return cluster
            if time.monotonic() >= end:
                self._findings.append(f"The history of Patroni has no line of timeline {timeline} yet.")
                return cluster
            time.sleep(_POLL)

    def _prove(self, cluster: Cluster) -> None:
        """Raise RecoveryError unless the candidate is the only primary, and a commit returns if `peer` is set."""
        request = self._request
        endpoint = cluster.endpoint(request.candidate)
        if endpoint is None or not accepts_writes(self._access, endpoint.url):
            raise RecoveryError(
                ErrorKind.PROMOTION_FAILED,
                f"{request.candidate} is the leader of {cluster.scope}, and its endpoint does not report a primary.",
                next_step=f"Check the endpoint of {request.candidate} in `endpoints`, and the log of Patroni.",
            )
        self._require_one_primary(cluster.endpoints)
        if request.peer is not None:
            self._write(request.peer, cluster)

    def _require_one_primary(self, endpoints: t.Sequence[Endpoint]) -> None:
        """Wait until no other member reports a primary, with or without the leader lock."""
        end = time.monotonic() + _SETTLE_SECONDS
        others = [one for one in endpoints if one.name != self._request.candidate]
        while True:
            primaries = [one.name for one in others if one.is_primary]
            if not primaries:
                return
            if time.monotonic() >= end:
                break
            time.sleep(_POLL)
            others = [read_endpoint(self._access, one.url) for one in others]
        raise RecoveryError(
            ErrorKind.SPLIT_BRAIN,
            f"More servers than that of {self._request.candidate} are primaries: {', '.join(map(str, primaries))}.",
            next_step="Stop these servers immediately.",
        )

    def _write(self, peer: ConnectionOptions, cluster: Cluster) -> None:
        with connection(peer) as conn:
            server = read_server(conn, peer.place)
        if server.in_recovery or (server.system_identifier or cluster.system_identifier) != cluster.system_identifier:
            state = "is in recovery" if server.in_recovery else f"has the system identifier {server.system_identifier}"
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"`peer` must be the server of {self._request.candidate}; {peer.place} {state}.",
                next_step="Check login_host and login_port of `peer`.",
            )
        self._write_seconds = probe_write(peer, self._request.write_seconds)

    def _history_line(self) -> t.Optional[TimelineLine]:
        """The end of the timeline that the change ended."""
        if self._after is None or not self._is_sent:
            return None
        timeline = guaranteed(self._before).timeline
        return next((line for line in self._after.history if line.timeline == timeline), None)
