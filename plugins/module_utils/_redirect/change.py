# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leads clients to another writer: compare with the expected value, exchange, and look it up as clients do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import INTERNAL, Secret
from .._maintenance.means import wait_until
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .way import Answer, Look, State, Way, conflict


@dataclass(frozen=True)
class RedirectRequest:
    """expected: the value now. value: the new one. verify_seconds: until every answer must be the new value."""

    expected: Secret
    value: Secret
    verify_seconds: float = 60
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if self.verify_seconds <= 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`verify_seconds` must be above 0, got {self.verify_seconds:g}."
            )


@dataclass(frozen=True)
class RedirectResult(Outcome):
    """before: the value and the facts that a restore needs. current: the value now. answers: those that clients get.

    silent: servers of DNS without an answer.
    """

    target: str
    before: t.Mapping[str, t.Any]
    current: str
    answers: t.Sequence[Answer]
    silent: t.Sequence[str]
    diff: t.Mapping[str, str]
    summary: str
    timings: t.Mapping[str, float]


class Redirect(Change[RedirectResult]):
    """Exchanges the value of one way.

    Raises RecoveryError: invalid_options, conflict, object_missing, unreachable, access_denied, unsupported,
    service_failed, timeout, library_missing, client_missing, check_failed if an answer is not the value in time.
    """

    operation = "redirect"
    records_unchanged = False

    def __init__(self, request: RedirectRequest, way: Way) -> None:
        super().__init__(request.safeguards, None, None)
        request.require_valid()
        way.require_valid(request.expected, request.value)
        self._request = request
        self.way = way
        self._before: t.Optional[State] = None
        self._look = Look()
        self._pending = ""

    def plan(self) -> ChangePlan:
        way, value = self.way, self._request.value
        with self.timings.phase("read"):
            self._before = state = way.read()
            if way.is_same(state.value, value):
                self._pending = way.why_pending(state, value)
                changes = bool(self._pending)
            elif way.is_same(state.value, self._request.expected):
                changes = True
            else:
                raise conflict(way.target, way.shown(state.value), way.shown(self._request.expected))
        if not changes:
            # A run that was killed after its write is proved by the next one.
            self._prove()
        elif not self.safeguards.acts:
            self._look = way.look(value)
        facts = {"target": way.target, "before": way.shown(state.value), "value": way.shown(value), **state.facts}
        return ChangePlan(facts, way.target, destroys=False, does="redirects", changes=changes)

    def act(self) -> None:
        with self.timings.phase("write"):
            self.way.write(guaranteed(self._before), self._request.value)

    def verify(self) -> None:
        self._prove()

    def _prove(self) -> None:
        """Raise RecoveryError(check_failed) unless every answer is the value in time."""
        seconds = self._request.verify_seconds if self.safeguards.acts else 0
        with self.timings.phase("verify"):
            reason = wait_until(seconds, self._reason)
        if reason and self.safeguards.acts:
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"After {seconds:g} seconds, {self.way.target} does not lead every client to "
                f"{self.way.shown(self._request.value)}: {reason}.",
                left="The value itself is the new one.",
                next_step="Correct the cause, then run it again; or exchange `expected` and `value` to go back.",
                details={"answers": self._answers()},
            )

    def _reason(self) -> str:
        self._look = self.way.look(self._request.value)
        return self._look.reason

    def _answers(self) -> t.List[t.Dict[str, str]]:
        return [{"server": one.server, "value": self.way.shown(one.value)} for one in self._look.answers]

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"{_upper(self.way.target)} has the value already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> RedirectResult:
        way, state, value = self.way, guaranteed(self._before), self._request.value
        acted = outcome.changed and self.safeguards.acts
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            verb = "Changed" if acted else "Would change"
            how = f"from {way.shown(state.value)} to {way.shown(value)}"
            summary = f"{verb} {way.target}{f', because {self._pending}' if self._pending else f' {how}'}."
        if self._look.silent:
            summary += f" No answer: {', '.join(self._look.silent)}."
        after = value if outcome.changed else state.value
        return RedirectResult(
            **vars(outcome),
            target=way.target,
            before={"value": way.shown(state.value), **state.facts},
            current=way.shown(value if acted else state.value),
            answers=[Answer(one.server, way.shown(one.value)) for one in self._look.answers],
            silent=list(self._look.silent),
            diff={"before": f"{way.shown(state.value)}\n", "after": f"{way.shown(after)}\n"},
            summary=summary,
            timings=self.timings.as_dict(),
        )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
