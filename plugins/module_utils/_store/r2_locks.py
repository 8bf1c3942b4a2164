# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock rules of an R2 bucket, through the API of Cloudflare.

R2 has no S3 object lock. Its rules are set for a bucket and a prefix; setting them replaces all, so what is there is
read first and kept. https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/locks/
"""

from __future__ import annotations

import json
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError

API = "https://api.cloudflare.com/client/v4"
_LARGEST_ANSWER = 16 * 1024 * 1024
_ATTEMPTS = 5


@dataclass(frozen=True)
class R2Bucket:
    """A bucket as the API names it; jurisdiction as eu or fedramp, where it has one. timeout is in seconds."""

    account_id: str
    bucket: str
    api_token: str = field(repr=False)
    jurisdiction: t.Optional[str] = None
    api_url: str = API
    timeout: float = 30


@dataclass(frozen=True)
class LockWish:
    """One rule. days locks each object for so long after it was written; until to a date; else for ever."""

    rule: str
    present: bool = True
    prefix: str = ""
    days: t.Optional[int] = None
    until: t.Optional[str] = None
    enabled: bool = True

    def as_rule(self) -> t.Dict[str, t.Any]:
        condition: t.Dict[str, t.Any] = {"type": "Indefinite"}
        if self.days is not None:
            condition = {"type": "Age", "maxAgeSeconds": self.days * 86400}
        elif self.until is not None:
            condition = {"type": "Date", "date": self.until}
        return {"id": self.rule, "enabled": self.enabled, "prefix": self.prefix, "condition": condition}


@dataclass(frozen=True)
class LockResult:
    """The rules as they were and as they are."""

    changed: bool
    before: t.Sequence[t.Mapping[str, t.Any]]
    rules: t.Sequence[t.Mapping[str, t.Any]]


def set_lock_rule(bucket: R2Bucket, wish: LockWish, *, check_mode: bool) -> LockResult:
    """Add, change or remove one rule and leave the others as they are.

    Raises RecoveryError: access_denied, unreachable, service_failed, and not_locked when the rules are others
    afterwards than those that were set.
    """
    before = _rules(bucket)
    after = [rule for rule in before if rule.get("id") != wish.rule]
    if wish.present:
        wanted = wish.as_rule()
        same = next((rule for rule in before if rule.get("id") == wish.rule), None)
        if same is not None and _plain(same) == _plain(wanted):
            after = list(before)
        else:
            after.append(wanted)
    changed = [_plain(rule) for rule in after] != [_plain(rule) for rule in before]
    if changed and not check_mode:
        _call(bucket, "PUT", {"rules": after})
        seen = _rules(bucket)
        if sorted(map(_plain, seen)) != sorted(map(_plain, after)):
            raise RecoveryError(
                ErrorKind.NOT_LOCKED,
                f"The lock rules of {bucket.bucket} are others than those that were set.",
                left="They are as the service shows them.",
                next_step="Find out who else sets them, then run it again.",
                details={"rules": seen},
            )
    return LockResult(changed, before, after)


def _plain(rule: t.Mapping[str, t.Any]) -> str:
    condition = rule.get("condition", {})
    kept = {key: condition.get(key) for key in ("type", "maxAgeSeconds", "date") if condition.get(key) is not None}
    return json.dumps([rule.get("id"), rule.get("prefix") or "", rule.get("enabled"), kept], sort_keys=True)


def _rules(bucket: R2Bucket) -> t.List[t.Dict[str, t.Any]]:
    return list(_call(bucket, "GET", None).get("rules") or [])


def _call(bucket: R2Bucket, method: str, body: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    if urllib.parse.urlsplit(bucket.api_url).scheme not in ("http", "https"):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"api_url is {bucket.api_url!r}.", next_step="Give a URL with https://."
        )
    account, name = (urllib.parse.quote(part, safe="") for part in (bucket.account_id, bucket.bucket))
    request = urllib.request.Request(
        f"{bucket.api_url.rstrip('/')}/accounts/{account}/r2/buckets/{name}/lock",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {bucket.api_token}",
            "Content-Type": "application/json",
            **({"cf-r2-jurisdiction": bucket.jurisdiction} if bucket.jurisdiction else {}),
        },
    )
    opener = urllib.request.build_opener()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with opener.open(request, timeout=bucket.timeout) as answer:
                return _result(bucket, json.loads(answer.read(_LARGEST_ANSWER)))
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504) or attempt == _ATTEMPTS:
                raise _refused(bucket, error) from None
        except (OSError, ValueError) as error:
            if attempt == _ATTEMPTS or isinstance(error, ValueError):
                raise RecoveryError(
                    ErrorKind.UNREACHABLE,
                    f"{bucket.api_url} cannot be reached or does not answer in JSON ({type(error).__name__}).",
                    next_step="Check the network and api_url.",
                ) from None
        time.sleep(0.2 * 2**attempt)
    raise AssertionError


def _result(bucket: R2Bucket, document: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    if not document.get("success"):
        raise _failure(bucket, document, 200)
    return dict(document.get("result") or {})


def _refused(bucket: R2Bucket, error: urllib.error.HTTPError) -> RecoveryError:
    try:
        document = json.loads(error.read(_LARGEST_ANSWER))
    except (OSError, ValueError):
        document = {}
    return _failure(bucket, document, error.code)


def _failure(bucket: R2Bucket, document: t.Mapping[str, t.Any], status: int) -> RecoveryError:
    said = "; ".join(f"{item.get('message')} ({item.get('code')})" for item in document.get("errors") or [])
    if status in (401, 403):
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"Cloudflare refuses the lock rules of {bucket.bucket}: {said or status}.",
            next_step="Give a token with the right Workers R2 Storage: Edit for this account.",
        )
    return RecoveryError(
        ErrorKind.SERVICE_FAILED,
        f"Cloudflare failed at the lock rules of {bucket.bucket}: {said or f'HTTP {status}'}.",
        next_step="Check account_id, bucket and jurisdiction.",
    )
