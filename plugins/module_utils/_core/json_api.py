# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of a JSON service over HTTPS with a token, and the retries that are safe.

Each service has a judge, which decides whether an answer is a refusal, and of which kind.
"""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from enum import Enum

from .errors import Applied, ErrorKind, RecoveryError
from .http import USER_AGENT, NoAnswer, exchange

LARGEST_ANSWER = 256 * 1024 * 1024

#: For so many timeouts a service is asked again that is only busy.
_PATIENCE = 1.25

#: No pause between two tries is longer, in seconds.
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Service:
    """A service. url has no slash at its end; timeout is in seconds for one answer.

    After too many requests the service accepts requests again within limit_seconds. without_body: the statuses with
    which a good answer may be empty. ca_bundle: a file of certificate authorities, instead of those of the system.
    """

    url: str
    token: str = field(repr=False)
    timeout: float = 60
    limit_seconds: float = 360
    without_body: t.Tuple[int, ...] = ()
    ca_bundle: t.Optional[str] = None


@dataclass(frozen=True)
class Reply:
    """document is None where there was none."""

    status: int
    document: t.Any


class Begun(Enum):
    """Whether the service began what a failed request asked for, which decides whether it may be sent again."""

    NO = "no"
    MAYBE = "maybe"
    #: The service answered that the request is wrong: to send it again is of no use.
    REFUSED = "refused"


@dataclass(frozen=True)
class Refusal:
    """A failed request, as its answer shows it."""

    error: RecoveryError
    begun: Begun


#: The refusal that an answer is; None for a good answer.
Judge = t.Callable[[Reply], t.Optional[Refusal]]


class _Refused(Exception):
    """A failed try. retry_after: seconds that the service asked to wait. limited: it got too many requests."""

    def __init__(self, refusal: Refusal, retry_after: float = 0, limited: bool = False) -> None:
        super().__init__(refusal.error.what)
        self.refusal, self.retry_after, self.limited = refusal, retry_after, limited


def ask(
    service: Service,
    method: str,
    path: str,
    judge: Judge,
    *,
    query: t.Optional[t.Mapping[str, t.Any]] = None,
    body: t.Any = None,
    headers: t.Optional[t.Mapping[str, str]] = None,
    repeatable: bool = True,
    binary: bool = False,
) -> t.Any:
    """The document of a good answer to one request; if binary, its bytes.

    body is sent as JSON, bytes are sent unchanged with the Content-Type of headers. A request that is not repeatable is
    sent again only if the service reports that nothing was begun. Raises RecoveryError: unreachable, or the error of
    judge; of a request that is not repeatable, applied is no or unknown.
    """
    request = _request(service, method, path, query, body, headers)
    began, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            return _once(service, request, judge, binary)
        except _Refused as refused:
            begun, error = refused.refusal.begun, refused.refusal.error
            again = begun is Begun.NO or (begun is Begun.MAYBE and repeatable)
            limited = service.limit_seconds if refused.limited else 0
            if not again or time.monotonic() - began > max(service.timeout * _PATIENCE, limited):
                if repeatable:
                    raise error from None
                raise error.restated(applied=Applied.UNKNOWN if begun is Begun.MAYBE else Applied.NO) from None
            pause = refused.retry_after or min(8.0, 0.1 * 2**attempt)
        time.sleep(min(pause, _LONGEST_PAUSE))


@contextlib.contextmanager
def understood(what: str) -> t.Iterator[None]:
    """Read an answer about something. Raises RecoveryError(service_failed) where it is not as the service documents.

    Whether a request was done that was answered so is not known.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The answer about {what} is not as the service documents it ({type(error).__name__}).",
            next_step="Check api_url and what is between this host and the service.",
            applied=Applied.UNKNOWN,
        ) from None


def _request(
    service: Service,
    method: str,
    path: str,
    query: t.Optional[t.Mapping[str, t.Any]],
    body: t.Any,
    headers: t.Optional[t.Mapping[str, str]],
) -> urllib.request.Request:
    if urllib.parse.urlsplit(service.url).scheme not in ("http", "https"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"api_url is {service.url!r}.", next_step="Give a URL with https://."
        )
    if not service.token.isascii() or not service.token.isprintable():
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The token has characters that no token has, such as the end of a line.",
            next_step="Give it without them.",
        )
    asked = f"?{urllib.parse.urlencode(query, doseq=True)}" if query else ""
    return urllib.request.Request(
        f"{service.url.rstrip('/')}/{path}{asked}",
        method=method,
        data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {service.token}",
            "Content-Type": "application/json",
            **(headers or {}),
        },
    )


def _once(service: Service, request: urllib.request.Request, judge: Judge, binary: bool) -> t.Any:
    try:
        given = exchange(request, timeout=service.timeout, largest=LARGEST_ANSWER, ca_bundle=service.ca_bundle)
    except NoAnswer as error:
        begun = Begun.MAYBE if error.begun else Begun.NO
        raise _failure(f"cannot be reached ({error.reason})", service, begun) from None
    if given.filter_code:
        rejected = RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"A bot filter in front of {service.url} rejected the request (HTTP 403, code {given.filter_code}).",
            next_step=f"Let the filter pass the User-Agent {USER_AGENT} from this host. The token was not judged.",
        )
        raise _Refused(Refusal(rejected, Begun.REFUSED))
    good = 200 <= given.status < 300
    document: t.Any = None
    if binary and good:
        document = given.body
    elif given.body or not (good and given.status in service.without_body):
        try:
            document = json.loads(given.body)
        except (ValueError, RecursionError):
            if good:
                raise _failure("does not answer in JSON", service, Begun.MAYBE) from None
            document = {}
    refusal = judge(Reply(given.status, document))
    if refusal is None:
        return document
    raise _Refused(refusal, _retry_after(given.headers), given.status == 429)


def _retry_after(headers: t.Mapping[str, str]) -> float:
    """In seconds; what is no number of them, such as a date, is left to our own pauses."""
    requested = headers.get("retry-after", "")
    return float(requested) if requested.isdigit() else 0


def _failure(why: str, service: Service, begun: Begun) -> _Refused:
    error = RecoveryError(ErrorKind.UNREACHABLE, f"{service.url} {why}.", next_step="Check the network and api_url.")
    return _Refused(Refusal(error, begun))
