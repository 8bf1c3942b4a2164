# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to the REST API of Patroni, and the meaning of its answers.

https://patroni.readthedocs.io/en/latest/rest_api.html; texts are those of patroni/api.py of Patroni 4.1.
"""

from __future__ import annotations

import base64
import json
import re
import typing as t
import urllib.request
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.http import Answer, NoAnswer, exchange, is_url
from .._core.options import FilePath, Secret, option

_LARGEST = 4 * 1024 * 1024
_LONGEST_TEXT = 300
_INSTEAD = re.compile(r'ed over to "(?P<leader>.+)" instead of "')
_PLAN_AGAIN = "Read the cluster with patroni_info, then plan again."

#: Part of the text of a refusal, kind of the error, and next step. A refusal comes before Patroni changes anything.
_REFUSALS: t.Sequence[t.Tuple[str, str, str]] = (
    ("leader name does not match", ErrorKind.CONFLICT, _PLAN_AGAIN),
    ("source are the same", ErrorKind.CONFLICT, _PLAN_AGAIN),
    ("candidate does not exists", ErrorKind.TARGET_MISSING, _PLAN_AGAIN),
    ("does not match with sync_standby", ErrorKind.NOT_READY, "Wait until /sync of the candidate answers with 200."),
    ("can not find sync_standby", ErrorKind.NOT_READY, "Wait until /sync of a member answers with 200."),
    ("no good candidates", ErrorKind.NOT_READY, "Read the lag, the tags and the watchdog of the candidate."),
    ("paused state", ErrorKind.NOT_READY, "Run patronictl resume."),
)


@dataclass(frozen=True)
class Access:
    """The REST API of a cluster. endpoints: the URLs of its members. timeout: seconds for one answer to a read.

    The login is sent with requests that change the cluster, and with no other.
    """

    endpoints: t.Sequence[str]
    cafile: t.Optional[FilePath] = None
    username: t.Optional[str] = None
    password: t.Optional[Secret] = field(default=None, repr=False)
    timeout: float = field(default=5, metadata=option("api_timeout"))

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        wrong = [url for url in self.endpoints if not is_url(url) or "@" in url]
        if wrong or not self.endpoints:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`endpoints` must be URLs of REST APIs of Patroni without a login, got {len(self.endpoints)} values "
                f"of which {len(wrong)} are none.",
                next_step="Write them as https://db1.example.com:8008.",
            )
        if (self.username is None) != (self.password is None):
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`username` and `password` are required together.")
        if self.timeout <= 0:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`api_timeout` must be above 0, got {self.timeout:g}.")


def get(access: Access, url: str, path: str) -> Answer:
    """The answer of one member to a read. Raises NoAnswer."""
    request = urllib.request.Request(f"{url.rstrip('/')}/{path}", method="GET")
    return exchange(request, timeout=access.timeout, largest=_LARGEST, ca_bundle=access.cafile)


def post(access: Access, url: str, path: str, body: t.Mapping[str, t.Any], timeout: float) -> Answer:
    """The answer to a request that changes the cluster; it is sent once. Raises NoAnswer."""
    headers = {"Content-Type": "application/json"}
    if access.username is not None:
        login = f"{access.username}:{access.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/{path}", method="POST", data=data, headers=headers)
    return exchange(request, timeout=timeout, largest=_LARGEST, ca_bundle=access.cafile)


def document_of(answer: Answer) -> t.Dict[str, t.Any]:
    """The JSON object of an answer; empty without one."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def text_of(answer: Answer) -> str:
    """The sentence of an answer. Python's own server answers in HTML, which is no sentence."""
    text = answer.body[: _LONGEST_TEXT * 4].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        return answer.outcome
    return " ".join(filter(str.isprintable, text.split()))[:_LONGEST_TEXT].rstrip(".") or answer.outcome


@dataclass(frozen=True)
class Reply:
    """The answer to a switchover or failover. is_done: Patroni saw the candidate as leader.

    is_failed: Patroni saw the end of the operation without a new leader, which may still be wrong. text: of Patroni.
    """

    is_done: bool
    is_failed: bool
    text: str


def read_reply(answer: Answer, kind: str, candidate: str) -> Reply:
    """Raises RecoveryError for a refusal, and for another leader than the candidate.

    Status 503 is no refusal: the operation may still complete, https://github.com/patroni/patroni/issues/2376.
    """
    text = text_of(answer)
    if answer.status == 200:
        instead = _INSTEAD.search(text)
        if instead:
            raise other_leader(instead.group("leader"), kind, candidate)
        return Reply(True, False, text)
    if answer.status >= 500:
        return Reply(False, text.endswith(" failed"), text)
    if answer.status in (401, 403):
        raise RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"Patroni does not accept the {kind}: {text}.",
            next_step="Check `username` and `password`, and restapi.allowlist of Patroni.",
            applied=Applied.NO,
        )
    known = [(error_kind, next_step) for part, error_kind, next_step in _REFUSALS if part in text]
    error_kind, next_step = known[0] if known else (ErrorKind.NOT_READY, _PLAN_AGAIN)
    raise RecoveryError(
        error_kind,
        f"Patroni refuses the {kind} to {candidate} (HTTP {answer.status}): {text}.",
        next_step=next_step,
        applied=Applied.NO,
    )


def other_leader(leader: str, kind: str, candidate: str) -> RecoveryError:
    """Status 200 does not mean that the candidate leads: another member can win."""
    return RecoveryError(
        ErrorKind.PROMOTION_FAILED,
        f"After the {kind}, {leader} is the leader instead of {candidate}.",
        left=f"The cluster has the leader {leader}; the candidate {candidate} is no leader.",
        next_step=f"Direct clients to {leader}, or switch over from {leader} to {candidate}.",
        details={"leader": leader},
        applied=Applied.YES,
    )


def no_answer(url: str, error: NoAnswer) -> RecoveryError:
    return RecoveryError(
        ErrorKind.UNREACHABLE,
        f"{url} does not answer ({error.reason}).",
        next_step="Check `endpoints`, `cafile` and the network.",
    )
