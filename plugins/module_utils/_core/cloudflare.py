# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of Cloudflare's API: its envelope, its errors, and when asking again does no harm."""

from __future__ import annotations

import os
import typing as t
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .digest import bare_etag
from .errors import ErrorKind, RecoveryError
from .http import NoAnswer, exchange
from .json_api import LARGEST_ANSWER, Begun, Refusal, Reply, Service, ask

API = "https://api.cloudflare.com/client/v4"

#: The limit of an account is 1200 requests in five minutes; requests succeed again after that time.
_LIMIT_SECONDS = 360

#: Errors of D1 that pass soon; the statement may have run or not.
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

#: Errors of D1 that occur before a statement runs.
_NOT_BEGUN = ("D1 DB is overloaded",)


@dataclass(frozen=True)
class Account:
    """An account and its token. timeout is in seconds for one answer; api_url has no slash at its end."""

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

    A request that is not repeatable is sent again only if the service reports that nothing was begun. what names the
    object for messages. Raises RecoveryError: access_denied, not_found, already_exists, unreachable, timeout or
    service_failed; its details hold code and, for what is not repeatable, applied: no or unknown.
    """
    return call_envelope(
        account, method, path, query=query, body=body, headers=headers, what=what, repeatable=repeatable
    ).get("result")


def call_envelope(
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
    full_path = f"accounts/{urllib.parse.quote(account.account_id, safe='')}/{path}"
    return call_path(
        account, method, full_path, query=query, body=body, headers=headers, what=what, repeatable=repeatable
    )


def call_path(
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
    """As call_envelope, with a path below that of the API, for example of a zone."""
    service = Service(account.api_url, account.api_token, account.timeout, _LIMIT_SECONDS)

    def judge(answer: Reply) -> t.Optional[Refusal]:
        document = answer.document if isinstance(answer.document, dict) else {}
        return None if document.get("success") and answer.status < 400 else _refused(document, answer.status, what)

    options: t.Dict[str, t.Any] = {"query": query, "body": body, "headers": headers, "repeatable": repeatable}
    return dict(ask(service, method, path, judge, **options))


def upload_file(url: str, path: str, md5: str, *, timeout: float) -> None:
    """Send a file to a signed URL, which is a secret. Raises RecoveryError: unreachable or service_failed."""
    with open(path, "rb") as stream:
        headers = {"Content-Length": str(os.path.getsize(path)), "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data=stream, headers=headers, method="PUT")
        try:
            answer = exchange(request, timeout=timeout, largest=LARGEST_ANSWER)
        except NoAnswer as error:
            raise _not_taken(error.reason) from None
    if not 200 <= answer.status < 300:
        raise _not_taken(answer.outcome)
    seen = bare_etag(answer.headers.get("etag"))
    if seen and seen != md5:
        raise _not_taken("the received bytes differ from the sent bytes")


def _not_taken(why: str) -> RecoveryError:
    return RecoveryError(ErrorKind.SERVICE_FAILED, f"Cloudflare did not take the file: {why}.", next_step="Try again.")


def _refused(document: t.Mapping[str, t.Any], status: int, what: str) -> Refusal:
    errors = [item for item in document.get("errors") or [] if isinstance(item, dict)]
    said = "; ".join(f"{item.get('message')} ({item.get('code')})" for item in errors) or f"HTTP {status}"
    code = errors[0].get("code") if errors else None
    begun = _begun(said, status)
    if status in (401, 403) or code == 10000:
        kind, sentence = ErrorKind.ACCESS_DENIED, f"Cloudflare refuses {what}: {said}."
        then = "Check account_id, and give a token with the right to it."
    elif code == 7502:
        kind, sentence, then = ErrorKind.ALREADY_EXISTS, f"Cloudflare has {what} already.", ""
    elif code == 7500 and begun is Begun.REFUSED:
        kind, sentence, then = ErrorKind.QUERY_FAILED, f"{what} refused it: {said}.", "Correct the SQL."
    elif status == 404 or code in (7003, 7404):
        kind, sentence = ErrorKind.TARGET_MISSING, f"Cloudflare knows no {what}: {said}."
        then = "Check its name and account_id."
    else:
        kind, sentence = ErrorKind.SERVICE_FAILED, f"Cloudflare failed at {what}: {said}."
        then = "Try again; when it stays, look at Cloudflare's status."
    return Refusal(RecoveryError(kind, sentence, next_step=then, details={"code": code}), begun)


def _begun(said: str, status: int) -> Begun:
    if status == 429 or any(text in said for text in _NOT_BEGUN):
        return Begun.NO
    if status in (500, 502, 503, 504) or any(text in said for text in _PASSING):
        return Begun.MAYBE
    return Begun.REFUSED
