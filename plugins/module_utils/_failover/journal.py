# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of the failovers of a source: which run holds the lock, which steps it has done, how the last one ended.

Each entry is a state with the next number, which only one run can write. So the journal is the lock as well: a run that
was taken over cannot write its next entry, and does not continue.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import format_instant, parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import option
from .._core.shapes import anything, flag, instant, list_of, mapping_of, one_of, optional, record, text
from .._core.sizes import readable_seconds
from .._repository.audit import write_audit
from .._repository.state_log import StateLog
from .._store.base import ObjectStore

KINDS = ("failover", "switchover", "failback")
OPEN, DONE, ABORTED = "open", "done", "aborted"

_SCHEMA = "lifeline.recovery/failover-run/1"
_STEP = record(
    {
        "name": text("[a-z_]+", longest=40),
        "status": one_of("started", "done", "failed", "undone"),
        "started_at": instant,
        "ended_at": optional(instant),
        "facts": mapping_of(anything),
    }
)
_SHAPE = record(
    {
        "schema": one_of(_SCHEMA),
        "id": text("[A-Za-z0-9-]{1,60}"),
        "token": text("[A-Za-z0-9-]{1,60}"),
        "owner": text(longest=200),
        "kind": one_of(*KINDS),
        "from_site": text(longest=60),
        "to_site": text(longest=60),
        "plan_digest": text(longest=64),
        "state": one_of(OPEN, DONE, ABORTED),
        "beyond_return": flag,
        "started_at": instant,
        "ended_at": optional(instant),
        "locked_until": instant,
        "reasons": mapping_of(text(longest=2000)),
        "steps": list_of(_STEP, longest=1000),
    }
)


@dataclass(frozen=True)
class JournalRequest:
    """One entry. token: identifies the running playbook; a run of the same token holds the lock.

    step, status, facts: of action C(step). beyond_return: after this entry the run only goes forward.
    """

    source: str
    action: t.Literal["begin", "step", "end", "read"]
    token: t.Optional[str] = field(default=None, metadata=option(shown=True))
    owner: str = ""
    kind: t.Optional[t.Literal["failover", "switchover", "failback"]] = None
    from_site: t.Optional[str] = None
    to_site: t.Optional[str] = None
    plan_digest: str = ""
    lock_seconds: float = 900
    cooldown_seconds: float = 3600
    takeover: bool = False
    reasons: t.Mapping[str, str] = field(default_factory=dict)
    step: t.Optional[str] = None
    status: t.Literal["started", "done", "failed", "undone"] = "done"
    facts: t.Mapping[str, t.Any] = field(default_factory=dict)
    beyond_return: bool = False
    outcome: t.Literal["done", "aborted"] = "done"
    check_mode: bool = False


@dataclass(frozen=True)
class JournalResult:
    """run: the run of the last entry, None if there was none. resumed: an earlier run is continued."""

    changed: bool
    run: t.Optional[t.Mapping[str, t.Any]]
    resumed: bool
    steps_done: t.Sequence[str]
    location: str
    summary: str


def write_journal(store: ObjectStore, request: JournalRequest) -> JournalResult:
    """Read the journal, and write one entry.

    Raises RecoveryError: locked while another run holds the lock, limit_exceeded during the cool-down, conflict for an
    open run of another kind or if another run wrote the entry, invalid_options, damaged.
    """
    return _Journal(store, request).complete()


def _record(run: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The details of the audit record: the run with the seconds of its steps, and the facts of the promotion."""
    named = ("id", "owner", "from_site", "to_site", "plan_digest", "started_at", "ended_at", "reasons")
    seconds = {
        step["name"]: round((parse_instant(step["ended_at"]) - parse_instant(step["started_at"])).total_seconds(), 3)
        for step in run["steps"]
        if step["ended_at"]
    }
    promotion = [step["facts"] for step in run["steps"] if step["name"] == "promote"]
    return {**{name: run[name] for name in named}, "seconds": seconds, "promotion": promotion[0] if promotion else {}}


class _Journal:
    def __init__(self, store: ObjectStore, request: JournalRequest) -> None:
        self._store, self._request = store, request
        self._log = StateLog(store, request.source, "failover", _SHAPE)
        self._now: datetime = store.now()

    def complete(self) -> JournalResult:
        request, last = self._request, self._log.last()
        if request.action == "read":
            return self._result(False, last, False)
        if not request.token:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`token` is required for `action` {request.action}.")
        if request.action == "begin":
            return self._begin(last)
        run = self._own(last)
        if request.action == "step":
            return self._append(self._with_step(run))
        ended = {**run, "state": request.outcome, "ended_at": format_instant(self._now)}
        result = self._append(ended)
        if not request.check_mode:
            status = "succeeded" if request.outcome == DONE else ABORTED
            write_audit(self._store, request.source, run["kind"], status, _record(ended))
        return result

    def _begin(self, last: t.Optional[t.Dict[str, t.Any]]) -> JournalResult:
        request = self._request
        for name in ("kind", "from_site", "to_site"):
            if not getattr(request, name):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` is required for `action` begin.")
        if last is None or last["state"] != OPEN:
            self._require_cooled_down(last)
            return self._append(self._new(), resumed=False)
        self._require_same(last)
        if last["token"] != request.token:
            self._require_free(last)
        reasons = {**last["reasons"], **request.reasons}
        return self._append({**last, "token": request.token, "owner": request.owner, "reasons": reasons}, resumed=True)

    def _new(self) -> t.Dict[str, t.Any]:
        request, began = self._request, format_instant(self._now)
        return {
            "schema": _SCHEMA,
            "id": request.token,
            "token": request.token,
            "owner": request.owner,
            "kind": request.kind,
            "from_site": request.from_site,
            "to_site": request.to_site,
            "plan_digest": request.plan_digest,
            "state": OPEN,
            "beyond_return": False,
            "started_at": began,
            "ended_at": None,
            "locked_until": began,
            "reasons": dict(request.reasons),
            "steps": [],
        }

    def _require_cooled_down(self, last: t.Optional[t.Mapping[str, t.Any]]) -> None:
        request = self._request
        if last is None or last["state"] != DONE or last["ended_at"] is None or request.reasons.get("cooldown"):
            return
        age = (self._now - parse_instant(last["ended_at"])).total_seconds()
        if age >= request.cooldown_seconds:
            return
        raise RecoveryError(
            ErrorKind.LIMIT_EXCEEDED,
            f"The {last['kind']} from {last['from_site']} to {last['to_site']} ended {readable_seconds(max(0.0, age))} "
            f"ago; `cooldown_seconds` requires {readable_seconds(request.cooldown_seconds)}.",
            next_step="Find out why a second run is necessary; then wait, or set `override_cooldown` to the reason.",
        )

    def _require_same(self, last: t.Mapping[str, t.Any]) -> None:
        request = self._request
        meant = (request.kind, request.from_site, request.to_site)
        if meant == (last["kind"], last["from_site"], last["to_site"]):
            return
        after = "Complete it" if last["beyond_return"] else "Complete it, or abort it with `abort`"
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"A {last['kind']} from {last['from_site']} to {last['to_site']} is not complete; {last['owner']} started "
            f"it at {last['started_at']}.",
            next_step=f"{after}, before a {request.kind} from {request.from_site} to {request.to_site}.",
        )

    def _require_free(self, last: t.Mapping[str, t.Any]) -> None:
        if self._request.takeover or parse_instant(last["locked_until"]) <= self._now:
            return
        raise RecoveryError(
            ErrorKind.LOCKED,
            f"{last['owner']} runs the {last['kind']} from {last['from_site']} to {last['to_site']}; its lock ends at "
            f"{last['locked_until']}.",
            next_step="Ask its owner. If that run was killed, set `takeover` to true to continue it.",
        )

    def _own(self, last: t.Optional[t.Dict[str, t.Any]]) -> t.Dict[str, t.Any]:
        if last is None or last["state"] != OPEN:
            raise RecoveryError(
                ErrorKind.CONFLICT, "No run is open in the journal.", next_step="Begin a run with `action` begin."
            )
        if last["token"] != self._request.token:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{last['owner']} took this run over.",
                left="This run does not continue.",
                next_step="Follow the other run with failover_status.yml.",
            )
        return last

    def _with_step(self, run: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        request = self._request
        if not request.step:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`step` is required for `action` step.")
        now = format_instant(self._now)
        started = request.status == "started"
        earlier = [one for one in run["steps"] if one["name"] == request.step]
        found: t.Dict[str, t.Any] = earlier[-1] if earlier else {"started_at": now, "facts": {}}
        entry = {
            "name": request.step,
            "status": request.status,
            # The time of a step that is repeated counts from its first start.
            "started_at": found["started_at"],
            "ended_at": None if started else now,
            "facts": {**found["facts"], **request.facts},
        }
        steps = [one for one in run["steps"] if one["name"] != request.step]
        return {**run, "steps": [*steps, entry], "beyond_return": run["beyond_return"] or request.beyond_return}

    def _append(self, run: t.Dict[str, t.Any], *, resumed: bool = False) -> JournalResult:
        if not self._request.check_mode:
            until = self._now + timedelta(seconds=self._request.lock_seconds if run["state"] == OPEN else 0)
            run = {**run, "locked_until": format_instant(until)}
            self._log.append(run)
        return self._result(not self._request.check_mode, run, resumed)

    def _result(self, changed: bool, run: t.Optional[t.Mapping[str, t.Any]], resumed: bool) -> JournalResult:
        done = [one["name"] for one in run["steps"] if one["status"] == "done"] if run else []
        if run is None:
            summary = "No failover is in the journal."
        else:
            summary = f"The {run['kind']} from {run['from_site']} to {run['to_site']} is {run['state']}."
        return JournalResult(changed, run, resumed, done, self._log.location, summary)
