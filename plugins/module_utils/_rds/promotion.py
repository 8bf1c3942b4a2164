# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotes a read replica of RDS for PostgreSQL, and waits until it is standalone, available and writable."""

from __future__ import annotations

import time
import typing as t

from .._core.clock import utc_now
from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.sizes import counted, readable_seconds
from .._replication.judge import Finding
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .api import RdsApi, name_of, region_of
from .replica import (
    AVAILABLE,
    BACKING_UP,
    SOURCE_TAG,
    Instance,
    is_same_source,
    judge_difference,
    judge_replica,
    read_instance,
)
from .request import PromotionRequest, PromotionResult, Watch, probe_peer

_UNDONE = "A promotion cannot be taken back: the old source has to be replaced by a new replica."


class ReplicaPromotion(Change[PromotionResult]):
    """Raises RecoveryError: invalid_options, target_missing, wrong_server, not_ready, split_brain, limit_exceeded,
    promotion_failed, timeout, and those of RdsApi."""

    operation = "promote"

    def __init__(self, request: PromotionRequest, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        request.require_valid()
        self._request, self._api = request, RdsApi(request.access)
        self._name = guaranteed(request.instance)
        self._findings: t.List[str] = []
        self._watch = Watch(request)
        self._before: t.Optional[Instance] = None
        self._after: t.Optional[Instance] = None
        self._loss: t.Optional[float] = None
        self._write_seconds: t.Optional[float] = None
        self._is_requested = False

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("assess"):
            instance = self._before = self._read()
            if instance.source is None or self._is_under_way(instance):
                return self._plan_of_standalone(instance)
            if not is_same_source(instance.source, request.expected_source, instance.arn):
                raise self._wrong_source(f"follows {instance.source}")
            source = self._source()
            self._require_fenced(source)
            self._loss = self._judge_loss()
            self._require_ready(instance, source)
        facts = {
            "kind": request.kind,
            "instance": instance.arn or instance.name,
            "source": request.expected_source,
            "backup_retention_days": request.backup_retention_days,
            "fenced_by": request.fenced_by,
            "accept_split_brain": request.accept_split_brain,
            "allow_data_loss": request.allow_data_loss,
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        self.details.update(facts)
        return ChangePlan(facts, self._name, True, "promotes")

    def act(self) -> None:
        with self.timings.phase("promote"):
            # After the promotion RDS does not know the former source, and a repeated run has to recognise it.
            tag = [{"Key": SOURCE_TAG, "Value": self._request.expected_source}]
            what = f"the tag of {self._name}"
            self._api.change("add_tags_to_resource", what, ResourceName=guaranteed(self._before).arn, Tags=tag)
            self._promote()
            self._is_requested = True
            reason = self._watch.until(self._look)
        if reason:
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"{self._name} was not promoted within {readable_seconds(self._request.wait_seconds)}: {reason}.",
                left="The promotion was requested and may still complete.",
                next_step="Read the events of the instance. Run this again, which waits for the end.",
                applied=Applied.UNKNOWN,
            )

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._after = self._read()
            self._write_seconds = probe_peer(self._request.peer, self._request.write_seconds)
        self.details.update(states=list(self._watch.states), write_seconds=self._write_seconds)

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._is_requested and error.applied is None:
            return error.restated(left=_UNDONE, applied=Applied.YES)
        return error

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"{self._name} was promoted already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> PromotionResult:
        before, after = guaranteed(self._before), self._after
        return PromotionResult(
            **vars(outcome),
            kind=self._request.kind,
            target=self._name,
            arn=before.arn,
            endpoint=(after or before).endpoint,
            former_source=self._request.expected_source,
            retention_days=after.retention_days if after else None,
            states=self._watch.states,
            loss_seconds=self._loss,
            findings=self._findings,
            write_seconds=self._write_seconds,
            timings=self.timings.as_dict(),
            summary=self._summary(outcome),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged:
            return outcome.unchanged.reason
        loss = "unknown" if self._loss is None else f"at most {readable_seconds(self._loss)} of commits"
        if not self.safeguards.acts:
            return f"Would promote {self._name}; the loss is {loss}."
        retention = counted(guaranteed(self._after).retention_days, "day")
        return f"Promoted {self._name}, which keeps backups for {retention}; the loss is {loss}."

    def _read(self) -> Instance:
        return read_instance(self._api.instance(self._name))

    def _is_under_way(self, instance: Instance) -> bool:
        """Whether an earlier run that was ended has requested the promotion: it set the tag first."""
        is_tagged = instance.promoted_from == self._request.expected_source
        return is_tagged and instance.status not in (AVAILABLE, BACKING_UP)

    def _plan_of_standalone(self, instance: Instance) -> ChangePlan:
        """A promotion that an earlier run requested is awaited; another standalone instance is refused."""
        if instance.promoted_from != self._request.expected_source:
            raise self._wrong_source("is no replica, and nothing shows that it was one of this source")
        self._after = instance
        if self.safeguards.acts:
            reason = self._watch.until(self._look)
            if reason:
                raise RecoveryError(
                    ErrorKind.TIMEOUT, f"{self._name} is not ready: {reason}.", next_step="Run it again."
                )
            self._after = self._read()
            self._write_seconds = probe_peer(self._request.peer, self._request.write_seconds)
        return ChangePlan({}, self._name, False, changes=False)

    def _wrong_source(self, reason: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.WRONG_SERVER,
            f"`instance` must be a replica of {self._request.expected_source}; {self._name} {reason}.",
            next_step="Check `instance`, `region` and `expected_source`.",
        )

    def _source(self) -> t.Optional[Instance]:
        """The source in its own region; None if the region does not answer or the source is gone."""
        arn = self._request.expected_source
        try:
            return read_instance(self._api.instance(name_of(arn), region_of(arn)))
        except RecoveryError as error:
            self._findings.append(f"The source was not compared. {error.what}")
            return None

    def _require_fenced(self, source: t.Optional[Instance]) -> None:
        request = self._request
        if request.fenced_by or (source is not None and source.status == "stopped"):
            return
        doubt = f"Nothing proves that {name_of(request.expected_source)} accepts no writes."
        if request.accept_split_brain:
            self._findings.append(f"{doubt} Accepted: {request.accept_split_brain}")
            return
        raise RecoveryError(
            ErrorKind.SPLIT_BRAIN,
            doubt,
            next_step="Fence it, for example by a security group without rules, and name the fence in `fenced_by`. RDS "
            "stops no instance that has a replica.",
        )

    def _judge_loss(self) -> t.Optional[float]:
        """Seconds in which lost commits can have been made, by the newest lag. Raises RecoveryError(limit_exceeded)."""
        request = self._request
        lag = None
        try:
            lag = self._api.replica_lag(self._name)
            reason = "CloudWatch has no value of ReplicaLag of the last minutes"
        except RecoveryError as error:
            reason = error.what.rstrip(".")
        loss: t.Optional[float] = None
        if lag is not None:
            down = request.primary_down_since or utc_now()
            loss = round(max(0.0, (down - lag.at).total_seconds() + lag.seconds), 3)
            reason = f"commits of the last {readable_seconds(loss)} may be lost"
        if (loss is None or loss > request.max_loss_seconds) and not request.allow_data_loss:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED,
                f"`max_loss_seconds` allows {request.max_loss_seconds:g}, and {reason}.",
                next_step="Stop the writes of the source, set `primary_down_since`, and wait until ReplicaLag of a "
                "later minute is 0; or set `allow_data_loss` to the reason.",
                details={"loss_seconds": loss},
            )
        if loss is None:
            self._findings.append(f"The loss is unknown: {reason}.")
        return loss

    def _require_ready(self, instance: Instance, source: t.Optional[Instance]) -> None:
        found: t.List[Finding] = list(judge_replica(instance))
        blockers = [finding.sentence for finding in found if finding.blocks]
        if blockers:
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"{self._name} is not ready for a promotion: {' '.join(blockers)}",
                next_step="Resolve this, then run it again.",
                details={"blockers": blockers},
            )
        if source is not None:
            found += judge_difference(instance, source)
        self._findings += [finding.sentence for finding in found]

    def _promote(self) -> None:
        """Request the promotion; after an answer that leaves its effect open, look before it is requested again."""
        arguments = {
            "DBInstanceIdentifier": self._name,
            "BackupRetentionPeriod": self._request.backup_retention_days,
        }
        what = f"the promotion of {self._name}"
        try:
            self._api.change("promote_read_replica", what, **arguments)
        except RecoveryError as error:
            if error.applied != Applied.UNKNOWN:
                raise
            self._findings.append(f"The first request was not answered: {error.what}")
            if self._has_begun():
                return
            # RDS refuses the promotion of an instance that is promoted, so a second request cannot do harm.
            self._api.change("promote_read_replica", what, **arguments)

    def _has_begun(self) -> bool:
        """Whether the state changes within settle_seconds."""
        end = time.monotonic() + self._request.settle_seconds
        while True:
            instance = self._read()
            if instance.status != AVAILABLE or instance.source is None:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(self._request.poll_seconds)

    def _look(self) -> t.Tuple[str, str]:
        instance = self._read()
        wanted = self._request.backup_retention_days
        if not instance.is_detached:
            reason = f"its state is {instance.status}, and it is attached to its source"
        elif instance.status != AVAILABLE:
            reason = f"its state is {instance.status}"
        elif self._is_requested and instance.retention_days != wanted:
            reason = f"it keeps backups for {counted(instance.retention_days, 'day')}, not {wanted}"
        else:
            reason = ""
        return instance.status, reason
