# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of Cloudflare's API: its envelope, its errors, and when asking again does no harm."""

from __future__ import annotations

import json
import os
import time
import typing as t
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .digest import bare_etag
from .errors import ErrorKind, RecoveryError
from .http import Answer, NoAnswer, exchange

API = "https://api.cloudflare.com/client/v4"
_LARGEST_ANSWER = 256 * 1024 * 1024

#: For so many timeouts a service is asked again that is only busy.
_PATIENCE = 1.25

#: An account may ask 1200 times in five minutes; who waits that long may go on.
_LIMIT_SECONDS = 360

#: What D1 says when it is well again soon, and the statement may have run or not.
#: https://developers.cloudflare.com/d1/observability/debug-d1/
_PASSING = (
    "storage operation exceeded timeout which caused object to be reset",
    "Internal error in D1 storage caused object to be reset",
    "D1 DB reset because its code was updated",
    "Network connection lost",
    "isolate exceeded its memory limit",
    "long-running export",
    "long-running import",
)

#: What it says before anything ran.
_NOT_BEGUN = ("D1 DB is overloaded",)


@dataclass(frozen=True)
class Account:
    """Who asks. timeout is in seconds for one answer; api_url has no slash at its end."""

    account_id: str
    api_token: str = field(repr=False)
    api_url: str = API
    timeout: float = 60


def call(
    account: Account,
    method: str,
    path: str,
    *,
    query: t.Optional[t.Mapping[str, t.Any]] = None,
    body: t.Optional[t.Mapping[str, t.Any]] = None,
    headers: t.Optional[t.Mapping[str, str]] = None,
    what: str = "",
    repeatable: bool = True,
) -> t.Any:
    """The result of one call below the account's path.

    What is not repeatable is only asked again when the service says that nothing was begun. what names the thing
    for messages. Raises RecoveryError: access_denied, not_found, already_exists, unreachable, timeout or
    service_failed; its details hold code and, for what is not repeatable, applied: no or unknown.
    """
    return call_whole(
        account, method, path, query=query, body=body, headers=headers, what=what, repeatable=repeatable
    ).get("result")


def call_whole(
    account: Account,
    method: str,
    path: str,
    *,
    query: t.Optional[t.Mapping[str, t.Any]] = None,
    body: t.Optional[t.Mapping[str, t.Any]] = None,
    headers: t.Optional[t.Mapping[str, str]] = None,
    what: str = "",
    repeatable: bool = True,
) -> t.Dict[str, t.Any]:
    """As call, with what surrounds the result."""
    request = _request(account, method, path, query, body, headers)
    began, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            return _once(account, request, what)
        except RecoveryError as error:
            passing = error.details.pop("passing", "")
            again = passing == "not begun" or (passing and repeatable)
            limited = _LIMIT_SECONDS if error.details.pop("limited", False) else 0
            if not again or time.monotonic() - began > max(account.timeout * _PATIENCE, limited):
                if not repeatable:
                    error.details["applied"] = "unknown" if passing == "maybe" else "no"
                raise
            pause = float(error.details.pop("retry_after", 0)) or min(8.0, 0.1 * 2**attempt)
        time.sleep(min(pause, 30.0))


def upload_file(url: str, path: str, md5: str, *, timeout: float) -> None:
    """Send a file to a signed URL, which is a secret. Raises RecoveryError: unreachable or service_failed."""
    with open(path, "rb") as stream:
        headers = {"Content-Length": str(os.path.getsize(path)), "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data=stream, headers=headers, method="PUT")
        try:
            answer = exchange(request, timeout=timeout, largest=_LARGEST_ANSWER)
        except NoAnswer as error:
            raise _not_taken(error.reason) from None
    if not 200 <= answer.status < 300:
        raise _not_taken(f"HTTP {answer.status}")
    seen = bare_etag(answer.headers.get("etag"))
    if seen and seen != md5:
        raise _not_taken("what arrived is not what was sent")


def _not_taken(why: str) -> RecoveryError:
    return RecoveryError(ErrorKind.SERVICE_FAILED, f"Cloudflare did not take the file: {why}.", next_step="Try again.")


def _request(
    account: Account,
    method: str,
    path: str,
    query: t.Optional[t.Mapping[str, t.Any]],
    body: t.Optional[t.Mapping[str, t.Any]],
    headers: t.Optional[t.Mapping[str, str]],
) -> urllib.request.Request:
    if urllib.parse.urlsplit(account.api_url).scheme not in ("http", "https"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"api_url is {account.api_url!r}.", next_step="Give a URL with https://."
        )
    asked = f"?{urllib.parse.urlencode(query)}" if query else ""
    return urllib.request.Request(
        f"{account.api_url.rstrip('/')}/accounts/{urllib.parse.quote(account.account_id, safe='')}/{path}{asked}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {account.api_token}",
            "Content-Type": "application/json",
            **(headers or {}),
        },
    )


def _once(account: Account, request: urllib.request.Request, what: str) -> t.Dict[str, t.Any]:
    try:
        answer = exchange(request, timeout=account.timeout, largest=_LARGEST_ANSWER)
    except NoAnswer as error:
        begun = "maybe" if error.begun else "not begun"
        raise _failure(f"cannot be reached ({error.reason})", account, begun) from None
    status, document = answer.status, _document(answer)
    if document is None and status < 400:
        raise _failure("does not answer in JSON", account, "maybe")
    if isinstance(document, dict) and document.get("success") and status < 400:
        return document
    raise _refused(document if isinstance(document, dict) else {}, status, what, answer.headers.get("retry-after", ""))


def _document(answer: Answer) -> t.Any:
    """None for what is no JSON."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _failure(why: str, account: Account, passing: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNREACHABLE,
        f"{account.api_url} {why}.",
        next_step="Check the network and api_url.",
        details={"passing": passing},
    )


def _refused(document: t.Mapping[str, t.Any], status: int, what: str, wait: str) -> RecoveryError:
    errors = [item for item in document.get("errors") or [] if isinstance(item, dict)]
    said = "; ".join(f"{item.get('message')} ({item.get('code')})" for item in errors) or f"HTTP {status}"
    code = errors[0].get("code") if errors else None
    details = {
        "code": code,
        "passing": _passing(said, status),
        "retry_after": wait if wait.isdigit() else 0,
        "limited": status == 429,
    }
    if status in (401, 403) or code == 10000:
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"Cloudflare refuses {what}: {said}.",
            next_step="Check account_id, and give a token with the right to it.",
            details=details,
        )
    if code == 7502:
        return RecoveryError(ErrorKind.ALREADY_EXISTS, f"Cloudflare has {what} already.", details=details)
    if code == 7500 and not details["passing"]:
        return RecoveryError(
            ErrorKind.QUERY_FAILED, f"{what} refused it: {said}.", next_step="Correct the SQL.", details=details
        )
    if status == 404 or code in (7003, 7404):
        return RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"Cloudflare knows no {what}: {said}.",
            next_step="Check its name and account_id.",
            details=details,
        )
    return RecoveryError(
        ErrorKind.SERVICE_FAILED,
        f"Cloudflare failed at {what}: {said}.",
        next_step="Try again; when it stays, look at Cloudflare's status.",
        details=details,
    )


def _passing(said: str, status: int) -> str:
    if status == 429 or any(text in said for text in _NOT_BEGUN):
        return "not begun"
    if status in (500, 502, 503, 504) or any(text in said for text in _PASSING):
        return "maybe"
    return ""
