# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves the writer of an Aurora global database to another region by its two verbs."""

from __future__ import annotations

import typing as t

from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.sizes import readable_seconds
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .api import RdsApi, name_of, region_of
from .replica import AVAILABLE
from .request import AURORA_FAILOVER, PromotionRequest, PromotionResult, Watch, probe_peer

_VERBS = {"aurora_switchover": "switchover_global_cluster", "aurora_failover": "failover_global_cluster"}


class GlobalPromotion(Change[PromotionResult]):
    """Raises RecoveryError: invalid_options, target_missing, conflict, not_ready, timeout, and those of RdsApi."""

    operation = "promote"

    def __init__(self, request: PromotionRequest, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        request.require_valid()
        self._request, self._api = request, RdsApi(request.access)
        self._name, self._target = guaranteed(request.global_cluster), guaranteed(request.target)
        self._watch = Watch(request)
        self._findings: t.List[str] = []
        self._endpoint: t.Optional[str] = None
        self._write_seconds: t.Optional[float] = None
        self._is_requested = False

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("assess"):
            document = self._api.global_cluster(self._name)
            members = {one["DBClusterArn"]: one for one in document.get("GlobalClusterMembers") or ()}
            writer = next((arn for arn, one in members.items() if one.get("IsWriter")), None)
            if self._target not in members:
                raise RecoveryError(
                    ErrorKind.TARGET_MISSING,
                    f"`target` must be a cluster of {self._name}, got {self._target}.",
                    next_step=f"Its clusters are {', '.join(members) or 'none'}.",
                )
            if writer == self._target:
                return self._plan_of_writer()
            self._require_ready(document, writer, members[self._target])
        facts = {
            "kind": request.kind,
            "global_cluster": self._name,
            "source": request.expected_source,
            "target": self._target,
            "allow_data_loss": request.allow_data_loss,
        }
        facts = {name: value for name, value in facts.items() if value is not None}
        self.details.update(facts)
        return ChangePlan(facts, self._name, True, "moves the writer of")

    def act(self) -> None:
        kind = self._request.kind
        arguments: t.Dict[str, t.Any] = {
            "GlobalClusterIdentifier": self._name,
            "TargetDbClusterIdentifier": self._target,
        }
        if kind == AURORA_FAILOVER:
            arguments["AllowDataLoss"] = True
        with self.timings.phase("promote"):
            try:
                self._api.change(_VERBS[kind], f"the {kind} of {self._name}", **arguments)
            except RecoveryError as error:
                if error.applied != Applied.UNKNOWN:
                    raise
                # A switchover with the answer InternalFailure can continue: https://github.com/aws/aws-sdk/issues/822.
                self._findings.append(f"The request was not answered: {error.what}")
            self._is_requested = True
            reason = self._watch.until(self._look)
        if reason:
            raise RecoveryError(
                ErrorKind.TIMEOUT,
                f"{self._target} was not the writer within {readable_seconds(self._request.wait_seconds)}: {reason}.",
                left="The request was sent and may still complete.",
                next_step="Read the events of the clusters. Run this again, which reads the writer first.",
                applied=Applied.UNKNOWN,
            )

    def verify(self) -> None:
        with self.timings.phase("verify"):
            self._prove()
        self.details.update(states=list(self._watch.states), write_seconds=self._write_seconds)

    def settle(self) -> t.Mapping[str, t.Any]:
        return {"kind": "aurora_switchover", "expected_source": self._target, "target": self._request.expected_source}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if self._is_requested and error.applied is None:
            left = f"{self._target} is the writer; a switchover to {self._request.expected_source} undoes that."
            return error.restated(left=left, applied=Applied.YES)
        return error

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"{self._target} is the writer of {self._name} already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> PromotionResult:
        return PromotionResult(
            **vars(outcome),
            kind=self._request.kind,
            target=self._name,
            arn=self._target,
            endpoint=self._endpoint,
            former_source=self._request.expected_source,
            retention_days=None,
            states=self._watch.states,
            loss_seconds=0.0 if self._request.kind != AURORA_FAILOVER else None,
            findings=self._findings,
            write_seconds=self._write_seconds,
            timings=self.timings.as_dict(),
            summary=self._summary(outcome),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged:
            return outcome.unchanged.reason
        verb = "Moved" if self.safeguards.acts else "Would move"
        loss = "; the loss is unknown" if self._request.kind == AURORA_FAILOVER else ""
        return f"{verb} the writer of {self._name} to {self._target}{loss}."

    def _plan_of_writer(self) -> ChangePlan:
        if self.safeguards.acts:
            self._prove()
        return ChangePlan({}, self._name, False, changes=False)

    def _require_ready(
        self, document: t.Mapping[str, t.Any], writer: t.Optional[str], target: t.Mapping[str, t.Any]
    ) -> None:
        request = self._request
        if writer is not None and writer != request.expected_source:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"`expected_source` must be the writer of {self._name}, which is {writer}, got "
                f"{request.expected_source}.",
                next_step="Read the global cluster, then plan again.",
            )
        blockers = []
        moving = (document.get("FailoverState") or {}).get("Status")
        if moving:
            blockers.append(f"Another move of the writer is {moving}.")
        if request.kind != AURORA_FAILOVER:
            if document.get("Status") != AVAILABLE:
                blockers.append(f"Its state is {document.get('Status')}, not available.")
            if target.get("SynchronizationStatus") not in (None, "connected"):
                blockers.append(
                    f"The replication of the target is {target.get('SynchronizationStatus')}, not connected."
                )
        if blockers:
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"{self._name} is not ready for {request.kind}: {' '.join(blockers)}",
                next_step="Resolve this, then run it again.",
                details={"blockers": blockers},
            )

    def _look(self) -> t.Tuple[str, str]:
        document = self._api.global_cluster(self._name)
        status = str(document.get("Status", ""))
        members = document.get("GlobalClusterMembers") or ()
        writers = [one["DBClusterArn"] for one in members if one.get("IsWriter")]
        moving = (document.get("FailoverState") or {}).get("Status")
        if writers != [self._target]:
            return status, f"the writer is {', '.join(writers) or 'none'}"
        if moving or status != AVAILABLE:
            return status, f"its state is {moving or status}"
        return status, ""

    def _prove(self) -> None:
        cluster = self._api.cluster(name_of(self._target), region_of(self._target))
        if cluster.get("Status") != AVAILABLE:
            raise RecoveryError(
                ErrorKind.PROMOTION_FAILED,
                f"{self._target} is the writer, and its state is {cluster.get('Status')}.",
                next_step="Read the events of the cluster.",
            )
        self._endpoint = cluster.get("Endpoint")
        self._write_seconds = probe_peer(self._request.peer, self._request.write_seconds)
