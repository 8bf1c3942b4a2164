# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of a database of pgbouncer that wait during a change of the server, and get no error."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, SUBOPTIONS
from .._maintenance.means import wait_until
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .pgbouncer import require_database
from .pooler import PoolerLogin, console

PAUSED: t.Final = "paused"
RESUMED: t.Final = "resumed"


@dataclass(frozen=True)
class PauseRequest:
    """wait_seconds: for transactions that run. on_timeout: take the pause back and fail, or drop the connections."""

    admin: PoolerLogin = field(metadata=SUBOPTIONS)
    database: str
    state: t.Literal["paused", "resumed"] = PAUSED
    wait_seconds: float = 10
    on_timeout: t.Literal["resume", "kill"] = "resume"
    timeout: float = 30
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_database(self.database, "database")
        for name in ("wait_seconds", "timeout"):
            if getattr(self, name) <= 0:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {getattr(self, name):g}."
                )


@dataclass(frozen=True)
class PauseResult(Outcome):
    """state: of the database now. waiting: clients that wait. killed: whether connections were dropped."""

    state: str
    before: str
    waiting: int
    killed: bool
    summary: str
    timings: t.Mapping[str, float]


class Pause(Change[PauseResult]):
    """Pauses or resumes one database.

    A pause that exceeds wait_seconds is taken back before the error, because pgbouncer keeps it after the session of
    the console has ended. Raises RecoveryError: invalid_options, unreachable, object_missing, timeout, service_failed.
    """

    operation = "pgbouncer_pause"
    records_unchanged = False

    def __init__(self, request: PauseRequest) -> None:
        super().__init__(request.safeguards, None, None)
        request.require_valid()
        self._request = request
        self._before, self._now, self._waiting, self._killed = "", "", 0, False

    @property
    def _pauses(self) -> bool:
        return self._request.state == PAUSED

    def plan(self) -> ChangePlan:
        with self.timings.phase("read"):
            self._before = self._now = self._state()
        facts = {"database": self._request.database, "before": self._before, "state": self._request.state}
        # A pause of a former run may still wait for a transaction, so that PAUSE is sent again.
        changes = self._before != self._request.state or self._is_busy()
        return ChangePlan(facts, self._request.database, destroys=False, does="pauses", changes=changes)

    def act(self) -> None:
        with self.timings.phase(self._request.state):
            if self._pauses:
                self._pause()
            else:
                self._command("RESUME")

    def _pause(self) -> None:
        request = self._request
        try:
            with console(request.admin, request.timeout) as session:
                session.command("PAUSE", request.database, request.wait_seconds)
        except RecoveryError as error:
            if error.kind == ErrorKind.TIMEOUT and request.on_timeout == "kill":
                self._command("KILL")
                self._killed = True
                return
            self._take_back(error)

    def _take_back(self, error: RecoveryError) -> t.NoReturn:
        """Resume the database, unless it was paused before, then raise the error."""
        request = self._request
        left = f"The database {request.database} was paused before, and still is."
        if self._before != PAUSED:
            self._command("RESUME")
            left = f"The pause was taken back: clients of {request.database} continue."
            if self._state() != RESUMED:
                left = f"The database {request.database} is still paused; run RESUME in the console of pgbouncer."
        if error.kind != ErrorKind.TIMEOUT:
            raise error.restated(left=left)
        raise RecoveryError(
            ErrorKind.TIMEOUT,
            f"Clients of {request.database} did not end their transactions within {request.wait_seconds:g} seconds.",
            left=left,
            next_step="End these transactions, raise `wait_seconds`, or set `on_timeout` to kill.",
        ) from None

    def verify(self) -> None:
        """Raise RecoveryError(check_failed) unless SHOW DATABASES has the state."""
        with self.timings.phase("verify"):
            reason = wait_until(self._request.timeout, self._why_not)
        if reason:
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"After {self._request.timeout:g} seconds, {reason}.",
                left="",
                next_step="Read SHOW DATABASES in the console of pgbouncer.",
            )

    def _why_not(self) -> str:
        self._now = self._state()
        if self._now != self._request.state:
            return f"pgbouncer shows that the database {self._request.database} is {self._now}"
        if self._pauses and self._is_busy():
            return f"pgbouncer still has connections to the server of {self._request.database}"
        return ""

    def _state(self) -> str:
        with console(self._request.admin, self._request.timeout) as session:
            row = session.database(self._request.database)
            pools = [one for one in session.rows("SHOW POOLS") if one["database"] == self._request.database]
        self._waiting = sum(int(one["cl_waiting"]) for one in pools)
        return PAUSED if row["paused"] else RESUMED

    def _is_busy(self) -> bool:
        """Whether a paused database still has connections to its server."""
        if not self._pauses:
            return False
        with console(self._request.admin, self._request.timeout) as session:
            return bool(session.servers(self._request.database))

    def _command(self, text: str) -> None:
        with console(self._request.admin, self._request.timeout) as session:
            session.command(text, self._request.database)

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"The database {self._request.database} is {self._request.state} already.", "Nothing is left.")

    def result(self, outcome: Outcome) -> PauseResult:
        database, state = self._request.database, self._request.state
        verb = ("Paused" if self._pauses else "Resumed") if self.safeguards.acts else "Would change"
        summary = f"{verb} the database {database} of pgbouncer" + (
            f" to {state}." if verb.startswith("Would") else "."
        )
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        elif self._killed:
            summary = f"Paused the database {database} of pgbouncer, and dropped its connections."
        return PauseResult(
            **vars(outcome),
            state=self._now,
            before=self._before,
            waiting=self._waiting,
            killed=self._killed,
            summary=summary,
            timings=self.timings.as_dict(),
        )
