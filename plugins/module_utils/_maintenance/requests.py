# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to the application: its page, and the service that switches its maintenance."""

from __future__ import annotations

import json
import typing as t
import urllib.request

from .._core.errors import ErrorKind, RecoveryError
from .._core.http import Answer, NoAnswer, exchange, is_url

#: Bytes of an answer that are read.
_LARGEST = 1024 * 1024


def require_url(url: str, name: str) -> None:
    """Raise RecoveryError(invalid_options) for what is no address of HTTP; name: of the option."""
    if not is_url(url):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"`{name}` must be an HTTP address.", next_step=f"Correct `{name}`."
        )


def request(method: str, url: str, headers: t.Mapping[str, str], timeout: float, body: t.Any = None) -> Answer:
    """The answer, also of a failed request. Raises RecoveryError: unreachable, invalid_options for headers."""
    given = dict(headers)
    if any(not f"{name}{value}".isprintable() or not f"{name}{value}".isascii() for name, value in given.items()):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "A header or the token has characters that no header has, such as the end of a line.",
            next_step="Remove these characters.",
        )
    data = None
    if body is not None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        given.setdefault("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
    try:
        return exchange(urllib.request.Request(url, data, given, method=method), timeout=timeout, largest=_LARGEST)
    except NoAnswer as error:
        raise RecoveryError(
            ErrorKind.UNREACHABLE,
            f"{_without_secrets(url)} did not answer: {error.reason}.",
            left="",
            next_step="Check the address and the network.",
        ) from None


def read_status(url: str, headers: t.Mapping[str, str], timeout: float) -> int:
    """The status of a page."""
    return request("GET", url, headers, timeout).status


def contains(answer: Answer, wanted: t.Any) -> bool:
    """Whether the body contains a text, or is JSON that contains these fields with these values."""
    if isinstance(wanted, str):
        return wanted in answer.body.decode("utf-8", "replace")
    try:
        return _includes(json.loads(answer.body), wanted)
    except (ValueError, RecursionError):
        return False


def _includes(found: t.Any, wanted: t.Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and _includes(found[name], value) for name, value in wanted.items()
        )
    return type(found) is type(wanted) and bool(found == wanted)


def _without_secrets(url: str) -> str:
    """The address without the query and without a user, which may hold secrets."""
    scheme, _separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
