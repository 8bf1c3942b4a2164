# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request over HTTP and its answer; nothing of the URL, which may be a secret, is in an error."""

from __future__ import annotations

import http.client
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .deadline import transfer_limit, within
from .errors import RecoveryError


@dataclass(frozen=True)
class Answer:
    """What a server answered, also with an error; headers have names in lower case."""

    status: int
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class NoAnswer(Exception):
    """Nothing that is an answer came back. reason: one word for people; begun: whether the server may have it."""

    def __init__(self, reason: str, *, begun: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.begun = begun


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry tokens and what is sent to wherever it points."""

    def redirect_request(self, *_arguments: t.Any, **_options: t.Any) -> None:
        return None


#: Checks certificates, and goes through the proxies that the environment names.
_OPENER = urllib.request.build_opener(_NoRedirect)


def exchange(request: urllib.request.Request, *, timeout: float, largest: int) -> Answer:
    """Send a request once and read its answer, at most largest bytes. Raises NoAnswer.

    timeout is in seconds for each wait; the whole of it is bounded too, for a server that drips its answer.
    """
    sent = len(request.data) if isinstance(request.data, bytes) else 0
    try:
        return within(transfer_limit(timeout, sent + largest), "The server", lambda: _sent(request, timeout, largest))
    except RecoveryError:
        raise NoAnswer("TimeoutError", begun=True) from None


def _sent(request: urllib.request.Request, timeout: float, largest: int) -> Answer:
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return _answer(answer.status, answer.headers, answer.read(largest))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, _rest(error, largest))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        name = type(reason if isinstance(reason, Exception) else error).__name__
        raise NoAnswer(name, begun=not isinstance(reason, ConnectionRefusedError)) from None


def is_url(url: str) -> bool:
    """Whether it is a URL of HTTP that can be asked: with a host, without spaces or control characters."""
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return False
    printable = all(33 <= ord(character) < 127 for character in url)
    return printable and parts.scheme in ("http", "https") and bool(parts.hostname)


def _rest(error: urllib.error.HTTPError, largest: int) -> bytes:
    try:
        return error.read(largest)
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def _answer(status: int, headers: t.Any, body: bytes) -> Answer:
    return Answer(status, {str(name).lower(): str(value) for name, value in (headers or {}).items()}, body)
