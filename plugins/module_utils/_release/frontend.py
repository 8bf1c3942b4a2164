# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Switches a frontend to an earlier deployment, or has it built again, and proves that it is in effect."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FAMILY, option
from .._maintenance.means import wait_until
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .hosting import Deployment, Hosting
from .proof import Health

#: Errors of one request that the next one may not have.
_PASSING = (ErrorKind.UNREACHABLE,)


@dataclass(frozen=True)
class FrontendRequest:
    """deploy_timeout: seconds until the provider must report the switch as done; with a hook, for the new build."""

    deploy_timeout: float = 600
    poll: float = field(default=5, metadata=option("poll_seconds"))
    health: Health = field(default_factory=Health, metadata=FAMILY)
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    source: t.Optional[str] = None

    def require_valid(self, kind: str) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name, value in (("deploy_timeout", self.deploy_timeout), ("poll_seconds", self.poll)):
            if value <= 0:
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {value:g}.")
        self.health.require_valid()
        if kind == "hook" and self.health.health_body is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`health_url` and `health_body` are required for a deploy hook, which reports no result.",
                next_step="Set `health_body` to a text that only the wanted release has, such as its build id.",
            )


@dataclass(frozen=True)
class FrontendResult(Outcome):
    """former, deployment: ids before and after; None if the provider returns none. proved: whether health_url is."""

    provider: str
    former: t.Optional[str]
    deployment: t.Optional[str]
    commit: t.Optional[str]
    proved: bool
    answer_lost: bool
    plan: t.Mapping[str, t.Any]
    summary: str
    timings: t.Mapping[str, float]


class FrontendSwitch(Change[FrontendResult]):
    """Raises RecoveryError: invalid_options, target_missing, target_in_use, unsupported, access_denied, unreachable,
    service_failed, timeout, check_failed."""

    operation = "roll_back"

    def __init__(self, request: FrontendRequest, hosting: Hosting, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        request.require_valid(hosting.kind)
        self._request, self._hosting = request, hosting
        self._former: t.Optional[Deployment] = None
        self._target: t.Optional[Deployment] = None
        self._facts: t.Mapping[str, t.Any] = {}
        self._is_sent = False
        self._is_settled = False
        self._is_proved = False
        self._is_answer_lost = False

    def plan(self) -> ChangePlan:
        hosting = self._hosting
        with self.timings.phase("plan"):
            self._former = hosting.current()
            self._target = hosting.target()
            if self._target is not None:
                changes = bool(hosting.why_not_current(self._target))
            else:
                changes = bool(self._request.health.problem())
        self._facts = {
            "provider": hosting.kind,
            "former": self._former.id if self._former else None,
            "deployment": self._target.id if self._target else None,
            "commit": self._target.commit if self._target else None,
        }
        self.details.update(self._facts)
        return ChangePlan(
            self._facts,
            target=self._target.id if self._target else hosting.kind,
            destroys=False,
            does="switches the frontend to",
            changes=changes,
        )

    def act(self) -> None:
        with self.timings.phase("switch"):
            try:
                self._hosting.switch(self._target)
            except RecoveryError as error:
                if error.applied != Applied.UNKNOWN:
                    raise
                # The state of the provider, or the proof, shows whether it was done; it is not sent twice.
                self._is_answer_lost = True
        self._is_sent = True

    def verify(self) -> None:
        request = self._request
        with self.timings.phase("verify"):
            problem = wait_until(request.deploy_timeout, self._why_not_current, request.poll)
        if problem:
            raise self._too_long(problem)
        with self.timings.phase("prove"):
            wait = request.deploy_timeout if self._target is None else request.health.health_timeout
            self._is_proved = request.health.require_proof(request.poll, at_most=wait)

    def _why_not_current(self) -> str:
        try:
            if not self._is_settled and not self._is_elsewhere():
                self._hosting.settle(self._target)
                self._is_settled = True
            return self._hosting.why_not_current(self._target)
        except RecoveryError as error:
            if error.kind not in _PASSING:
                raise
            return error.what.rstrip(".")

    def _is_elsewhere(self) -> bool:
        """Whether production serves another deployment than the target."""
        current = self._hosting.current()
        return self._target is not None and (current is None or current.id != self._target.id)

    def _too_long(self, problem: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.TIMEOUT,
            f"{self._hosting.provider} did not complete the switch within {self._request.deploy_timeout:g} seconds: "
            f"{problem}.",
            left="The provider may still complete it.",
            next_step="Check the deployments in the dashboard of the provider, then run it again.",
            applied=Applied.UNKNOWN,
        )

    def put_back(self, error: RecoveryError) -> RecoveryError:
        if not self._is_sent:
            return error
        undo = self._hosting.undo(self._former)
        default = Applied.UNKNOWN if self._is_answer_lost else Applied.YES
        return error.restated(
            left=error.left if error.kind != ErrorKind.CHECK_FAILED else "The switch was requested and is not undone.",
            details={"undo": undo} if undo else {},
            applied=error.applied or default,
        )

    def settle(self) -> t.Mapping[str, t.Any]:
        return self._hosting.undo(self._former)

    def why_unchanged(self) -> Unchanged:
        if self._target is None:
            return Unchanged("`health_url` answers as expected already.", "Nothing is left to do.")
        return Unchanged(f"Production serves the deployment {self._target.id} already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> FrontendResult:
        provider, target, former = self._hosting.provider, self._target, self._former
        acts = self.safeguards.acts
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        elif target is None:
            summary = f"{'Requested' if acts else 'Would request'} a build by the deploy hook"
            summary += "; `health_url` answers as expected." if self._is_proved else "."
        else:
            summary = f"{'Switched' if acts else 'Would switch'} production of {provider} to {target.id}"
            summary += f" (commit {target.commit[:12]})" if target.commit else ""
            summary += f", from {former.id}" if former else ""
            summary += "; `health_url` answers as expected." if self._is_proved else "."
        return FrontendResult(
            **vars(outcome),
            provider=self._hosting.kind,
            former=former.id if former else None,
            deployment=target.id if target else None,
            commit=target.commit if target else None,
            proved=self._is_proved,
            answer_lost=self._is_answer_lost,
            plan=self._facts,
            summary=summary,
            timings=self.timings.as_dict(),
        )
