# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The providers of frontends: what each of them can do, and the meaning of their refusals."""

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.json_api import Begun, Refusal, Reply, Service, ask

_LONGEST_MESSAGE = 300

#: Kind, sentence with the provider, the object and the reason, and next step, by the status of the answer.
_REFUSALS: t.Mapping[int, t.Tuple[str, str, str]] = {
    400: (ErrorKind.INVALID_OPTIONS, "{0} refuses the request for {1}: {2}.", "Correct what the message names."),
    401: (ErrorKind.ACCESS_DENIED, "{0} does not accept the token: {2}.", "Create a new token."),
    402: (ErrorKind.UNSUPPORTED, "The plan does not include {1} of {0}: {2}.", "Revert the release with git_revert."),
    403: (ErrorKind.ACCESS_DENIED, "The token has no right to {1} of {0}: {2}.", "Use a token of a member."),
    404: (ErrorKind.TARGET_MISSING, "{0} did not find {1}: {2}.", "Check the ids, and that the token can see them."),
    409: (ErrorKind.TARGET_IN_USE, "{0} is not free for {1}: {2}.", "Wait until the running deployment ends."),
    422: (ErrorKind.INVALID_OPTIONS, "{0} refuses the request for {1}: {2}.", "Correct what the message names."),
    429: (ErrorKind.SERVICE_FAILED, "{0} limits the rate of requests, last for {1}: {2}.", "Try again in a minute."),
}


@dataclass(frozen=True)
class Deployment:
    """A deployment of a frontend. commit: of its sources; None if the provider returns none."""

    id: str
    commit: t.Optional[str] = None


class Hosting(abc.ABC):
    """A frontend at a provider. All methods raise RecoveryError as `_REFUSALS`, unreachable, or service_failed."""

    #: The name of the option, and the provider.
    kind: str
    provider: str

    @abc.abstractmethod
    def current(self) -> t.Optional[Deployment]:
        """The deployment that production serves; None if the provider does not return it."""

    @abc.abstractmethod
    def target(self) -> t.Optional[Deployment]:
        """The deployment to switch to; None for a new build. Raises RecoveryError if it cannot serve production."""

    @abc.abstractmethod
    def why_not_current(self, target: t.Optional[Deployment]) -> str:
        """The clause about a target that production does not serve yet; empty if it does. Raises if that failed."""

    @abc.abstractmethod
    def switch(self, target: t.Optional[Deployment]) -> None:
        """Request the switch, once."""

    def settle(self, target: t.Optional[Deployment]) -> None:
        """After the switch: keep the provider from replacing it."""
        return

    @abc.abstractmethod
    def undo(self, former: t.Optional[Deployment]) -> t.Mapping[str, t.Any]:
        """The options that go back to a deployment; empty if there are none."""


class ProviderApi:
    """Requests to a provider with a token. provider is its name in errors."""

    def __init__(self, provider: str, service: Service) -> None:
        self._provider, self._service = provider, service

    def call(self, method: str, path: str, what: str, **options: t.Any) -> t.Any:
        """The document of the answer; None if it has none."""

        def judge(answer: Reply) -> t.Optional[Refusal]:
            return None if answer.status < 300 else self._refusal(answer, what)

        return ask(self._service, method, path, judge, **options)

    def _refusal(self, answer: Reply, what: str) -> Refusal:
        reason = self._message(answer.document) or f"HTTP {answer.status}"
        kind, sentence, then = _REFUSALS.get(
            answer.status,
            (ErrorKind.SERVICE_FAILED, "{0} failed at {1}: {2}.", "Try again; else read its status page."),
        )
        begun = Begun.NO if answer.status == 429 else Begun.MAYBE if answer.status >= 500 else Begun.REFUSED
        error = RecoveryError(kind, sentence.format(self._provider, what, reason), next_step=then)
        return Refusal(error, begun)

    def _message(self, document: t.Any) -> str:
        found = document.get("error", document) if isinstance(document, dict) else None
        message = found.get("message") if isinstance(found, dict) else None
        text = message if isinstance(message, str) else ""
        if self._service.token:
            text = text.replace(self._service.token, "***")
        return " ".join(filter(str.isprintable, text.split()))[:_LONGEST_MESSAGE].rstrip(".")
