# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to a release until it answers as expected: the proof that it is in effect, not only accepted."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import Secret
from .._maintenance.means import wait_until
from .._maintenance.requests import contains, request, require_url

_LONGEST_REQUEST = 30.0


@dataclass(frozen=True)
class Health:
    """The request to health_url and the expected answer; nothing is requested if it is None.

    health_body: a part of the answer, as a text, or as fields of a JSON object. health_timeout: seconds until the
    answer must be as expected.
    """

    health_url: t.Optional[str] = None
    health_status: int = 200
    health_body: t.Any = None
    health_headers: t.Mapping[str, Secret] = field(default_factory=dict)
    health_timeout: float = 120

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if self.health_url is not None:
            require_url(self.health_url, "health_url")
        elif self.health_body is not None or self.health_headers:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`health_url` is required if `health_body` or `health_headers` is set."
            )
        if self.health_timeout < 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`health_timeout` must be at least 0, got {self.health_timeout:g}."
            )

    @property
    def is_set(self) -> bool:
        return self.health_url is not None

    def problem(self) -> str:
        """The difference between the answer and the expected one, as a clause; empty if there is none."""
        url = self.health_url or ""
        try:
            answer = request("GET", url, self.health_headers, min(_LONGEST_REQUEST, max(1.0, self.health_timeout)))
        except RecoveryError as error:
            if error.kind != ErrorKind.UNREACHABLE:
                raise
            return error.what.rstrip(".")
        if answer.status != self.health_status:
            return f"it answered {answer.outcome}, not HTTP {self.health_status}"
        if self.health_body is not None and not contains(answer, self.health_body):
            return "its answer does not contain `health_body`"
        return ""

    def require_proof(self, poll: float, at_most: t.Optional[float] = None) -> bool:
        """Request until the answer is as expected; False if there is no request. Raises RecoveryError(check_failed).

        at_most: seconds instead of health_timeout.
        """
        if not self.is_set:
            return False
        limit = self.health_timeout if at_most is None else at_most
        problem = wait_until(limit, self.problem, poll)
        if problem:
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"`health_url` was not as expected within {limit:g} seconds: {problem}.",
                next_step="Check the answer of `health_url`, then run it again.",
            )
        return True
