# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotes a streaming standby: gates, the promotion, and the proof that the new primary accepts commits."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import FAMILY, INTERNAL, SUBOPTIONS
from .._core.sizes import counted, readable_seconds
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, fetch_value
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.refusals import NO_RIGHT, query_error
from .._replication.facts import Server
from .._replication.judge import Finding, judge_standby
from .._replication.lag import format_position, goal_of, measure
from .._replication.managers import find_manager
from .._replication.queries import in_recovery, read_server
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .candidate import Candidate, judge_candidate, read_candidate
from .losses import (
    Loss,
    StoppedPrimary,
    loss_after_outage,
    loss_after_stop,
    require_acceptable,
    require_stopped,
)
from .probe import OldPrimary, probe_old_primary, probe_write

_POLL = 0.2
_UNDONE = "A promotion cannot be taken back: the old primary has to follow the new one."


@dataclass(frozen=True)
class PromoteRequest:
    """The standby and the proof that the old primary accepts no writes.

    peer: the old primary, to probe it. fenced_by: the fence that stops its writes, for the record.
    """

    server: ConnectionOptions = field(metadata=INTERNAL)
    peer: t.Optional[ConnectionOptions] = field(default=None, metadata=INTERNAL)
    source: t.Optional[str] = None
    system_identifier: t.Optional[str] = None
    stopped_primary: t.Optional[StoppedPrimary] = field(default=None, metadata=SUBOPTIONS)
    fenced_by: t.Optional[str] = None
    accept_split_brain: t.Optional[str] = None
    max_loss_seconds: float = 0
    primary_down_since: t.Optional[datetime] = None
    allow_data_loss: t.Optional[str] = None
    accept_collation_change: t.Optional[str] = None
    settle_seconds: float = 3
    wait_seconds: float = 90
    write_seconds: float = 15
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)


@dataclass(frozen=True)
class PromoteResult(Outcome):
    """findings: sentences that do not prevent the promotion. loss_seconds and loss_bytes are null if unknown."""

    server: str
    system_identifier: t.Optional[str]
    timeline_before: t.Optional[int]
    timeline: t.Optional[int]
    replayed_lsn: str
    loss: str
    loss_is_proven: bool
    loss_bytes: t.Optional[int]
    loss_seconds: t.Optional[float]
    findings: t.Sequence[str]
    write_seconds: t.Optional[float]
    timings: t.Mapping[str, float]
    summary: str


class Promotion(Change[PromoteResult]):
    """One promotion. `_before` is the standby as planned, `_after` the primary that came of it."""

    operation = "promote"

    def __init__(self, request: PromoteRequest, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._target = request.server.place.rsplit("/", 1)[0]
        self._findings: t.List[str] = []
        self._loss = Loss(True, 0, 0.0)
        self._write_seconds: t.Optional[float] = None
        self._before: t.Optional[Server] = None
        self._after: t.Optional[Server] = None

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("assess"):
            conn = self.resources.enter_context(connection(request.server))
            standby = read_server(conn, request.server.place)
            self._require_identity(standby)
            if not standby.in_recovery:
                return self._plan_of_primary(standby)
            self._require_unmanaged(conn)
            old = probe_old_primary(request.peer)
            self._require_same_cluster(standby, old)
        with self.timings.phase("settle"):
            standby = self._before = self._settled(conn, standby)
        self._require_fenced(standby, old)
        self._loss = self._judge_loss(standby)
        candidate = read_candidate(conn, request.server, standby.major)
        self._require_ready(standby, candidate, old)
        self.details.update(
            self._facts(standby, candidate), replayed_lsn=format_position(standby.replayed) or "unknown"
        )
        return ChangePlan(self._facts(standby, candidate), self._target, True, "promotes")

    def act(self) -> None:
        with self.timings.phase("promote"):
            deadline = time.monotonic() + self._request.wait_seconds
            self._ask(deadline)
            self._await_primary(deadline)

    def verify(self) -> None:
        request = self._request
        with self.timings.phase("verify"):
            self._write_seconds = probe_write(request.server, request.write_seconds)
            with connection(request.server) as conn:
                # pg_rewind reads the control file, which has the new timeline only after a checkpoint.
                self._checkpoint(conn)
                after = self._after = read_server(conn, request.server.place)
            before = guaranteed(self._before)
            if after.in_recovery or after.timeline == before.timeline:
                raise RecoveryError(
                    ErrorKind.PROMOTION_FAILED,
                    f"{self._target} accepts commits and is on timeline {after.timeline}, as before.",
                    next_step="Compare the server with the one that was planned.",
                )
            self._require_one_writer(probe_old_primary(request.peer))
        self.details.update(timeline=after.timeline, write_seconds=self._write_seconds)

    def put_back(self, error: RecoveryError) -> RecoveryError:
        return error.restated(left=f"{error.left} {_UNDONE}" if self._after else error.left or _UNDONE)

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"{self._target} is a primary already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> PromoteResult:
        after = self._after or guaranteed(self._before)
        before = self._before
        return PromoteResult(
            **vars(outcome),
            server=self._target,
            system_identifier=after.system_identifier,
            timeline_before=before.timeline if before else None,
            timeline=self._after.timeline if self._after else None,
            replayed_lsn=format_position(before.replayed if before else None) or "unknown",
            loss=self._loss.sentence,
            loss_is_proven=self._loss.is_proven,
            loss_bytes=self._loss.bytes,
            loss_seconds=self._loss.seconds,
            findings=self._findings,
            write_seconds=self._write_seconds,
            timings=self.timings.as_dict(),
            summary=self._summary(outcome),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged:
            return outcome.unchanged.reason
        if not self.safeguards.acts:
            return f"Would promote {self._target}. {self._loss.sentence}"
        timeline = guaranteed(self._after).timeline
        wrote = readable_seconds(self._write_seconds or 0)
        return f"Promoted {self._target} to timeline {timeline}; a commit took {wrote}. {self._loss.sentence}"

    def _plan_of_primary(self, server: Server) -> ChangePlan:
        self._after = server
        self._require_one_writer(probe_old_primary(self._request.peer))
        if self.safeguards.acts:
            self._write_seconds = probe_write(self._request.server, self._request.write_seconds)
        return ChangePlan({}, self._target, False, changes=False)

    def _facts(self, standby: Server, candidate: Candidate) -> t.Dict[str, t.Any]:
        """The facts of the plan that do not change while an operator reads it."""
        request = self._request
        facts = {
            "server": self._target,
            "system_identifier": standby.system_identifier,
            "timeline": standby.timeline,
            "loss_is_proven": self._loss.is_proven,
            "unlogged_tables": list(candidate.unlogged),
            "subscriptions": list(candidate.subscriptions),
            "collations": list(candidate.collations),
            "fenced_by": request.fenced_by,
            "accept_split_brain": request.accept_split_brain,
            "allow_data_loss": request.allow_data_loss,
            "accept_collation_change": request.accept_collation_change,
        }
        return {name: value for name, value in facts.items() if value not in (None, [])}

    def _require_identity(self, server: Server) -> None:
        wanted = self._request.system_identifier
        if wanted and server.system_identifier != wanted:
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"`system_identifier` must be {wanted}, {self._target} has "
                f"{server.system_identifier or 'none that this role may read'}.",
                next_step="Check login_host and login_port; the role needs pg_monitor.",
            )

    def _require_same_cluster(self, standby: Server, old: t.Optional[OldPrimary]) -> None:
        identifiers = {standby.system_identifier, old.system_identifier if old else None} - {None}
        if len(identifiers) > 1:
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"`peer` must be the primary of {self._target}, and its system identifier differs.",
                next_step="Check login_host and login_port of `peer`.",
            )

    def _require_unmanaged(self, conn: Connection) -> None:
        manager = find_manager(conn)
        if manager is None:
            return
        raise RecoveryError(
            ErrorKind.MANAGED,
            f"{self._target} belongs to {manager.name}, as {manager.evidence} shows; it would take a promotion back.",
            next_step=f"Use {manager.command}.",
        )

    def _settled(self, conn: Connection, standby: Server) -> Server:
        """The standby after it has replayed all WAL that it can still get."""
        request = self._request
        # The plan of a fenced primary is the last gate before the promotion, so it waits as the promotion does.
        waits = self.safeguards.acts or bool(request.stopped_primary or request.fenced_by)
        end = time.monotonic() + (request.wait_seconds if waits else request.settle_seconds)
        stable_since, seen = time.monotonic(), standby.received
        while True:
            now = time.monotonic()
            if standby.received != seen:
                stable_since, seen = now, standby.received
            if request.stopped_primary and loss_after_stop(request.stopped_primary, standby).is_none:
                return standby
            quiet = standby.receiver is None and not standby.backlog and now - stable_since >= request.settle_seconds
            if quiet or now >= end or standby.paused or request.accept_split_brain:
                return standby
            time.sleep(_POLL)
            standby = read_server(conn, request.server.place)

    def _require_fenced(self, standby: Server, old: t.Optional[OldPrimary]) -> None:
        request = self._request
        if request.stopped_primary:
            require_stopped(request.stopped_primary, standby)
        doubt = self._doubt(standby, old)
        if not doubt:
            return
        if request.accept_split_brain:
            self._findings.append(f"{doubt} Accepted: {request.accept_split_brain}")
            return
        raise RecoveryError(
            ErrorKind.SPLIT_BRAIN,
            doubt,
            next_step="Stop the old primary and pass its control file as `stopped_primary`, or name the fence in "
            "`fenced_by`.",
        )

    def _doubt(self, standby: Server, old: t.Optional[OldPrimary]) -> str:
        """The reason for which the old primary may still accept writes; empty without one."""
        request = self._request
        if old is not None and old.state == "primary":
            return "The old primary answers and accepts writes."
        if standby.streaming:
            return "The standby still receives WAL, so the old primary runs and may accept writes."
        if request.stopped_primary or request.fenced_by or (old is not None and old.state == "standby"):
            return ""
        if old is not None and old.state == "silent":
            return f"The old primary does not answer, which does not prove that it accepts no writes. {old.reason}"
        return "Nothing proves that the old primary accepts no writes."

    def _judge_loss(self, standby: Server) -> Loss:
        request = self._request
        if request.stopped_primary:
            loss = loss_after_stop(request.stopped_primary, standby)
        else:
            loss = loss_after_outage(standby, request.primary_down_since)
        require_acceptable(loss, request.max_loss_seconds, request.allow_data_loss)
        return loss

    def _require_ready(self, standby: Server, candidate: Candidate, old: t.Optional[OldPrimary]) -> None:
        request = self._request
        primary = None
        if request.peer is not None and old is not None and old.state == "primary":
            with contextlib.suppress(RecoveryError), connection(request.peer) as conn:
                primary = read_server(conn, request.peer.place)
        lag = measure(standby, goal_of(standby, primary), standby.now)
        accepts = bool(request.accept_collation_change)
        found: t.List[Finding] = [
            *judge_standby(standby, lag, primary),
            *judge_candidate(candidate, standby, primary, accepts_collations=accepts),
        ]
        blockers = [finding.sentence for finding in found if finding.blocks]
        if blockers:
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"{self._target} is not ready for a promotion: {' '.join(blockers)}",
                next_step=f"Mend {counted(len(blockers), 'finding')}, then promote again.",
                details={"blockers": blockers},
            )
        self._findings += [finding.sentence for finding in found]

    def _ask(self, deadline: float) -> None:
        """Promote through a session of its own; a server that stops loses it."""
        left = max(1, round(deadline - time.monotonic()))
        try:
            with connection(self._request.server, describe=_refused) as conn:
                fetch_value(conn, "SELECT pg_promote(true, %s)", (left,))
        except RecoveryError as error:
            # The server may have gone down, and a lost session does not show the state of the promotion.
            if error.kind != ErrorKind.UNREACHABLE:
                raise

    def _await_primary(self, deadline: float) -> None:
        reason = ""
        while True:
            try:
                with connection(self._request.server) as conn:
                    if not in_recovery(conn):
                        return
                    reason = "it is still in recovery"
            except RecoveryError as error:
                reason = error.what.rstrip(".")
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL)
        raise RecoveryError(
            ErrorKind.PROMOTION_FAILED,
            f"{self._target} did not become a primary within {readable_seconds(self._request.wait_seconds)}: {reason}.",
            left="The promotion was requested and may still complete.",
            next_step="Read the log of the server. If a setting such as max_connections is lower than on the old "
            "primary, raise it and start the server; then run this again.",
        )

    def _checkpoint(self, conn: Connection) -> None:
        try:
            with conn.cursor() as cursor:
                cursor.execute("CHECKPOINT")
        except psycopg2.Error as error:
            if error.pgcode != NO_RIGHT:
                raise
            self._findings.append("The role may not run CHECKPOINT; run it before pg_rewind, or grant pg_checkpoint.")

    def _require_one_writer(self, old: t.Optional[OldPrimary]) -> None:
        if old is None or old.state != "primary":
            return
        accepted = self._request.accept_split_brain
        doubt = f"Two servers accept writes: {self._target} and the old primary."
        if accepted:
            self._findings.append(f"{doubt} Accepted: {accepted}")
            return
        raise RecoveryError(ErrorKind.SPLIT_BRAIN, doubt, left=_UNDONE, next_step="Stop the old primary immediately.")


def _refused(error: t.Any) -> RecoveryError:
    return query_error(
        error,
        subject="the promotion",
        kind=ErrorKind.PROMOTION_FAILED,
        steps={
            NO_RIGHT: "Run GRANT EXECUTE ON FUNCTION pg_promote TO the role on the primary, or log in as superuser."
        },
    )
