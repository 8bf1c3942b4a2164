# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that switches the maintenance of an application by a request, and shows it in the answer to another."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import Secret
from .means import Before, Means
from .requests import contains, request, require_url

#: Statuses of a request that was refused, to the kind of the error.
_STATUSES = {401: ErrorKind.ACCESS_DENIED, 403: ErrorKind.ACCESS_DENIED}


@dataclass(frozen=True)
class HttpOptions:
    """url, method, begin_body: the request that begins; end_url, end_method, end_body: the one that ends.

    read_url: the request that shows the state. begun_status and begun_body: its answer while the maintenance lasts.
    """

    url: str
    method: str = "POST"
    begin_body: t.Any = None
    end_url: t.Optional[str] = None
    end_method: t.Optional[str] = None
    end_body: t.Any = None
    read_url: t.Optional[str] = None
    begun_status: t.Optional[int] = None
    begun_body: t.Any = None
    token: t.Optional[Secret] = None
    headers: t.Mapping[str, Secret] = field(default_factory=dict)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name in ("url", "end_url", "read_url"):
            url = getattr(self, name)
            if url is not None:
                require_url(url, f"http.{name}")
        for name in ("method", "end_method"):
            method = getattr(self, name)
            if method is not None and not (method.isascii() and method.isalpha()):
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`http.{name}` must be a method such as POST, got {method!r}."
                )
        if self.begun_status is None and self.begun_body is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`http.begun_status` or `http.begun_body` is required: the answer while the maintenance lasts.",
                next_step="Set it to the status, or to a part of the body, of the answer of `http.read_url`.",
            )


class HttpSwitch(Means):
    kind = "http"

    def __init__(self, options: HttpOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout
        token = {"Authorization": f"Bearer {options.token}"} if options.token else {}
        self._headers = {**options.headers, **token}

    def read(self) -> Before:
        return {"begun": not self.why_not_begun()}

    def why_not_begun(self) -> str:
        options = self._options
        url = options.read_url or options.url
        answer = request("GET", url, self._headers, self._timeout)
        if options.begun_status not in (None, answer.status):
            return f"the service answers {answer.outcome}, not HTTP {options.begun_status}"
        if options.begun_body is not None and not contains(answer, options.begun_body):
            return "the answer of the service does not contain `http.begun_body`"
        return ""

    def begin(self, before: Before) -> None:
        if not before["begun"]:
            self._send(self._options.method, self._options.url, self._options.begin_body)

    def why_not_ended(self, before: Before) -> str:
        is_begun = not self.why_not_begun()
        if is_begun == before["begun"]:
            return ""
        return "the answer of the service is still that of a maintenance" if is_begun else "the maintenance has ended"

    def end(self, before: Before) -> None:
        options = self._options
        if not before["begun"]:
            self._send(options.end_method or options.method, options.end_url or options.url, options.end_body)

    def _send(self, method: str, url: str, body: t.Any) -> None:
        answer = request(guaranteed(method).upper(), url, self._headers, self._timeout, body)
        if not 200 <= answer.status < 300:
            raise RecoveryError(
                _STATUSES.get(answer.status, ErrorKind.SERVICE_FAILED),
                f"The service of `http.url` refused the request: {answer.outcome}.",
                left="",
                next_step="Check the token and the body of the request.",
            )
