# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request over HTTP and its answer; nothing of the URL, which may be a secret, is in an error."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .deadline import transfer_limit, within
from .errors import RecoveryError
from .version import VERSION

#: Filters reject the User-Agent of urllib: https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
USER_AGENT = f"lifeline.recovery/{VERSION}"

_FILTERED = re.compile(rb"(?:error code:|cf-error-code\">|Error)\s*(10\d\d)\b")
_LONGEST_PAGE = 16384


@dataclass(frozen=True)
class Answer:
    """The answer of a server, also of a failed request; headers have names in lower case."""

    status: int
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def filter_code(self) -> t.Optional[int]:
        """The code, such as 1010, with which a filter in front of the service rejected the request; None otherwise."""
        if self.status != 403:
            return None
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            found = _FILTERED.search(self.body[:_LONGEST_PAGE])
            return int(found.group(1)) if found else None
        code = document.get("error_code") if isinstance(document, dict) else None
        return code if isinstance(code, int) and 1000 <= code < 1100 else None

    @property
    def outcome(self) -> str:
        """C(HTTP 403), with the code of a filter."""
        filtered = f", code {self.filter_code} of a bot filter in front of it" if self.filter_code else ""
        return f"HTTP {self.status}{filtered}"


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
_OPENER.addheaders = [("User-Agent", USER_AGENT)]


def _opener(ca_bundle: t.Optional[str]) -> urllib.request.OpenerDirector:
    if ca_bundle is None:
        return _OPENER
    context = ssl.create_default_context(cafile=ca_bundle)
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
    opener.addheaders = _OPENER.addheaders
    return opener


def exchange(
    request: urllib.request.Request, *, timeout: float, largest: int, ca_bundle: t.Optional[str] = None
) -> Answer:
    """Send a request once and read its answer, at most largest bytes. Raises NoAnswer.

    timeout is in seconds for each wait; the whole of it is bounded too, for a server that drips its answer.
    ca_bundle: a file of certificate authorities, instead of those of the system.
    """
    sent = len(request.data) if isinstance(request.data, bytes) else 0
    try:
        return within(
            transfer_limit(timeout, sent + largest), "The server", lambda: _sent(request, timeout, largest, ca_bundle)
        )
    except RecoveryError:
        raise NoAnswer("TimeoutError", begun=True) from None


def _sent(request: urllib.request.Request, timeout: float, largest: int, ca_bundle: t.Optional[str]) -> Answer:
    try:
        with _opener(ca_bundle).open(request, timeout=timeout) as answer:
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
