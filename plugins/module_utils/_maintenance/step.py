# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A step of a maintenance: the state before is stored on the host, then one means is begun or ended, and proved.

The store of backups is not needed on the hosts of the application, and should not be reachable from them.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import INTERNAL
from .._core.shapes import anything, mapping_of, one_of, record, text
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._repository.state_log import StateLog
from .._store.base import ObjectStore
from .means import Before, Means, wait_until

BEGUN, ENDED = "begun", "ended"

_SCHEMA = "lifeline.recovery/maintenance-step/1"
_STATE = record(
    {
        "schema": one_of(_SCHEMA),
        "phase": one_of(BEGUN, ENDED),
        "kind": text("[a-z0-9_]+", longest=20),
        "before": mapping_of(anything),
    }
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True)
class StepRequest:
    """name: of the step, by which another run finds its state. timeout: seconds until the means must be in effect."""

    source: str
    name: str
    state: t.Literal["begun", "ended"] = "begun"
    timeout: float = 60
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not _NAME.fullmatch(self.name):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`name` must consist of letters, digits, dot, underscore and hyphen, got {self.name!r}.",
            )
        if self.timeout <= 0:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`timeout` must be above 0, got {self.timeout:g}.")


@dataclass(frozen=True)
class StepResult(Outcome):
    """state: C(begun) or C(ended). before: the state that the step found."""

    state: str
    before: t.Optional[Before]
    summary: str
    timings: t.Mapping[str, float]


class Step(Change[StepResult]):
    """Begins or ends one means. The state before is stored once, and stays until the means has ended.

    Raises RecoveryError: invalid_options, object_missing, access_denied, unreachable, service_failed, timeout,
    check_failed if the means is not in effect in time, conflict, damaged.
    """

    operation = "maintenance_step"
    records_unchanged = False

    def __init__(self, request: StepRequest, means: Means, states: ObjectStore, audit: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, audit, request.source)
        request.require_valid()
        self._request, self._means = request, means
        self._log = StateLog(states, request.source, f"maintenance-{request.name}", _STATE)
        self._stored: t.Optional[Before] = None
        self._before: t.Optional[Before] = None

    @property
    def _begins(self) -> bool:
        return self._request.state == BEGUN

    def plan(self) -> ChangePlan:
        with self.timings.phase("plan"):
            self._stored = stored = self._stored_state()
            self._before = stored
            if self._begins and stored is None:
                self._before = self._means.read()
            changes = bool(self._means.why_not_begun()) if self._begins else stored is not None
        self.details = {"step": self._request.name, "state": self._request.state, "before": self._before}
        return ChangePlan(
            {"step": self._request.name, "state": self._request.state, "before": self._before},
            self._request.name,
            destroys=False,
            changes=changes,
        )

    def _stored_state(self) -> t.Optional[Before]:
        document = self._log.last()
        if document is None or document["phase"] == ENDED:
            return None
        if document["kind"] != self._means.kind:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The step {self._request.name} was begun with `{document['kind']}`, and has `{self._means.kind}` now.",
                next_step="End it with its former options, or choose another name.",
            )
        return t.cast(Before, document["before"])

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        """Store the state before, unless a former run has stored it."""
        if self._begins and self._stored is None:
            self._write(BEGUN)
        return {"state": ENDED} if self._begins else {}

    def act(self) -> None:
        before = guaranteed(self._before)
        with self.timings.phase("begin" if self._begins else "end"):
            if self._begins:
                self._means.begin(before)
            elif self._means.why_not_ended(before):
                self._means.end(before)

    def verify(self) -> None:
        """Wait until the means is in effect, or the state is the one before. Raises RecoveryError(check_failed)."""
        before = guaranteed(self._before)
        with self.timings.phase("verify"):
            reason = wait_until(
                self._request.timeout,
                self._means.why_not_begun if self._begins else lambda: self._means.why_not_ended(before),
            )
        if reason:
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"The step {self._request.name} has not {self._request.state} after {self._request.timeout:g} seconds: "
                f"{reason}.",
                next_step="Correct the cause, then run it again.",
            )

    def settle(self) -> t.Mapping[str, t.Any]:
        if not self._begins:
            self._write(ENDED)
        return {}

    def _write(self, phase: str) -> None:
        self._log.append({"schema": _SCHEMA, "phase": phase, "kind": self._means.kind, "before": self._before})

    def put_back(self, error: RecoveryError) -> RecoveryError:
        stored = self._log.last()
        if stored is None or stored["phase"] == ENDED:
            return error
        to_end = f" To end the step, set `state` to {ENDED}." if self._begins else ""
        return error.restated(
            left=f"The state before the step is stored in {self._log.location}.",
            next_step=f"{error.next_step}{to_end}".strip(),
        )

    def why_unchanged(self) -> Unchanged:
        if self._begins:
            return Unchanged(
                f"The step {self._request.name} is in effect already.", f"Set `state` to {ENDED} to end it."
            )
        return Unchanged(f"The step {self._request.name} was not begun, or has ended.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> StepResult:
        name, state = self._request.name, self._request.state
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        elif not self.safeguards.acts:
            summary = f"Would {'begin' if self._begins else 'end'} the step {name}."
        else:
            summary = f"{'Began' if self._begins else 'Ended'} the step {name}."
        return StepResult(
            **vars(outcome),
            state=state,
            before=self._before,
            summary=summary,
            timings=self.timings.as_dict(),
        )
