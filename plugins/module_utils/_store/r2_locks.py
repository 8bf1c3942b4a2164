# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock rules of an R2 bucket, through the API of Cloudflare.

R2 has no S3 object lock. Its rules belong to a bucket and a prefix; setting them replaces every rule, so existing rules
are read first and kept. https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/locks/
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from .._core.cloudflare import API, Account, call
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, Secret, option


@dataclass(frozen=True)
class R2Bucket:
    """A bucket of the API; jurisdiction: eu or fedramp, if it has one. timeout is in seconds."""

    account_id: str
    bucket: str
    api_token: Secret = field(repr=False, metadata=option(environment=("CLOUDFLARE_API_TOKEN",)))
    jurisdiction: t.Optional[t.Literal["default", "eu", "fedramp"]] = None
    api_url: str = API
    timeout: float = field(default=30, metadata=INTERNAL)


@dataclass(frozen=True)
class LockChange:
    """The wanted state of one rule. days locks each object from its upload on, until to a date; else without end."""

    rule: str
    state: t.Literal["present", "absent"] = "present"
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
    """The rules before and after the change."""

    changed: bool
    before: t.Sequence[t.Mapping[str, t.Any]]
    rules: t.Sequence[t.Mapping[str, t.Any]]


def set_lock_rule(bucket: R2Bucket, change: LockChange, *, check_mode: bool) -> LockResult:
    """Add, change or remove one rule and keep the others.

    Raises RecoveryError: access_denied, unreachable, service_failed, and not_locked if the rules differ
    afterwards from those that were set.
    """
    before = _rules(bucket)
    after = [rule for rule in before if rule.get("id") != change.rule]
    if change.state == "present":
        wanted = change.as_rule()
        same = next((rule for rule in before if rule.get("id") == change.rule), None)
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
                f"The lock rules of {bucket.bucket} differ from those that were set.",
                left="The service applies the rules that it returns.",
                next_step="Find out which other program sets them, then run it again.",
                details={"rules": seen},
            )
    return LockResult(changed, before, after)


def _plain(rule: t.Mapping[str, t.Any]) -> str:
    condition = rule.get("condition", {})
    kept = {key: condition.get(key) for key in ("type", "maxAgeSeconds", "date") if condition.get(key) is not None}
    return json.dumps([rule.get("id"), rule.get("prefix") or "", rule.get("enabled"), kept], sort_keys=True)


def _rules(bucket: R2Bucket) -> t.List[t.Dict[str, t.Any]]:
    return list((_call(bucket, "GET", None) or {}).get("rules") or [])


def _call(bucket: R2Bucket, method: str, body: t.Optional[t.Mapping[str, t.Any]]) -> t.Any:
    return call(
        Account(bucket.account_id, bucket.api_token, bucket.api_url, bucket.timeout),
        method,
        f"r2/buckets/{quote(bucket.bucket, safe='')}/lock",
        body=body,
        headers={"cf-r2-jurisdiction": bucket.jurisdiction} if bucket.jurisdiction else {},
        what=f"the lock rules of {bucket.bucket}",
    )
