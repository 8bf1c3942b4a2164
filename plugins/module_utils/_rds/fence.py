# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fences an RDS instance by its security groups, because RDS stops no instance that has a replica."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.options import FAMILY
from .._core.sizes import readable_seconds
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .api import AwsAccess, RdsApi
from .replica import AVAILABLE, Instance, read_instance

#: The groups before the fence, so that each run can release it. A value of a tag has no commas.
_BEFORE_TAG = "lifeline:security-groups"
#: Set after the restart that ended the sessions, which a repeated run has to make if it is missing.
_ENDED_TAG = "lifeline:sessions-ended"


@dataclass(frozen=True)
class FenceRequest:
    """security_groups: of the fence. reboot: whether sessions that exist already are ended by a restart."""

    access: AwsAccess = field(metadata=FAMILY)
    instance: str
    security_groups: t.Tuple[str, ...] = ()
    state: t.Literal["fenced", "released"] = "fenced"
    reboot: bool = True
    wait_seconds: float = 900
    poll_seconds: float = 5
    source: t.Optional[str] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if self.state == "fenced" and not self.security_groups:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`security_groups` is required if `state` is fenced.",
                next_step="Create a security group of the same VPC without rules.",
            )
        for name in ("wait_seconds", "poll_seconds"):
            if getattr(self, name) <= 0:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`{name}` must be above 0, got {getattr(self, name):g}."
                )


@dataclass(frozen=True)
class FenceResult(Outcome):
    """before, current: security groups of the instance. rebooted: whether this run restarted the server."""

    instance: str
    state: str
    before: t.Sequence[str]
    current: t.Sequence[str]
    rebooted: bool
    timings: t.Mapping[str, float]
    summary: str


class SecurityGroupFence(Change[FenceResult]):
    """Raises RecoveryError: invalid_options, conflict, not_ready, timeout, and those of RdsApi."""

    operation = "fence"

    def __init__(self, request: FenceRequest, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        request.require_valid()
        self._request, self._api = request, RdsApi(request.access)
        self._before: t.Sequence[str] = ()
        self._wanted: t.Sequence[str] = ()
        self._current: t.Sequence[str] = ()
        self._arn = ""
        self._is_rebooted = False

    def plan(self) -> ChangePlan:
        request = self._request
        with self.timings.phase("assess"):
            instance = self._read()
        tags = _tags(instance)
        self._current, self._arn = _groups(instance), instance.arn
        kept = tags.get(_BEFORE_TAG, "").split()
        self._before = kept or self._current
        if request.state == "released":
            self._wanted = kept
            changes = bool(kept)
        else:
            self._wanted = sorted(request.security_groups)
            if self._current == self._wanted and not kept:
                raise RecoveryError(
                    ErrorKind.CONFLICT,
                    f"`security_groups` must not be the groups that {instance.name} has without a fence.",
                    next_step="Use a security group without rules that only fences use.",
                )
            changes = self._current != self._wanted or (request.reboot and _ENDED_TAG not in tags)
        if changes and instance.status != AVAILABLE:
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"{instance.name} must be available, its state is {instance.status}.",
                next_step="Wait until the state is available, then run it again.",
            )
        facts = {"instance": instance.arn, "state": request.state, "before": self._before, "after": self._wanted}
        self.details.update(facts)
        return ChangePlan(facts, instance.name, request.state == "fenced", "fences", changes=changes)

    def act(self) -> None:
        request, name = self._request, self._request.instance
        fences = request.state == "fenced"
        with self.timings.phase("groups"):
            if fences:
                self._tag(_BEFORE_TAG, " ".join(self._before))
            if self._current != self._wanted:
                groups = list(self._wanted)
                arguments = {"DBInstanceIdentifier": name, "VpcSecurityGroupIds": groups, "ApplyImmediately": True}
                self._api.change("modify_db_instance", f"the security groups of {name}", **arguments)
            self._wait(lambda one: _groups(one) == self._wanted and one.status == AVAILABLE, "has its former groups")
        if fences and request.reboot:
            # A security group does not end a session that it has let in.
            with self.timings.phase("reboot"):
                self._api.change("reboot_db_instance", f"the restart of {name}", DBInstanceIdentifier=name)
                self._is_rebooted = True
                seen: t.Set[str] = set()
                self._wait(lambda one: _has_rebooted(one, seen), "was not restarted")
                self._tag(_ENDED_TAG, "true")
        if not fences:
            keys = [_BEFORE_TAG, _ENDED_TAG]
            self._api.change("remove_tags_from_resource", f"the tags of {name}", ResourceName=self._arn, TagKeys=keys)

    def settle(self) -> t.Mapping[str, t.Any]:
        self._current = _groups(self._read())
        return {"state": "released"} if self._request.state == "fenced" else {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        left = f"The fence of {self._request.instance} was begun; `state` released restores its groups."
        return error.restated(left=left, applied=error.applied or Applied.MAYBE)

    def why_unchanged(self) -> Unchanged:
        state = "fenced" if self._request.state == "fenced" else "not fenced"
        return Unchanged(f"{self._request.instance} is {state} already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> FenceResult:
        name = self._request.instance
        if outcome.unchanged:
            summary = outcome.unchanged.reason
        else:
            verb = "fence" if self._request.state == "fenced" else "release"
            done = f"{verb.capitalize()}d" if self.safeguards.acts else f"Would {verb}"
            summary = f"{done} {name} by the security groups {', '.join(self._wanted)}."
        return FenceResult(
            **vars(outcome),
            instance=name,
            state=self._request.state,
            before=self._before,
            current=self._current,
            rebooted=self._is_rebooted,
            timings=self.timings.as_dict(),
            summary=summary,
        )

    def _read(self) -> Instance:
        return read_instance(self._api.instance(self._request.instance))

    def _tag(self, key: str, value: str) -> None:
        tags = [{"Key": key, "Value": value}]
        what = f"the tags of {self._request.instance}"
        self._api.change("add_tags_to_resource", what, ResourceName=guaranteed(self._arn or None), Tags=tags)

    def _wait(self, is_done: t.Callable[[Instance], bool], problem: str) -> None:
        deadline = time.monotonic() + self._request.wait_seconds
        while not is_done(self._read()):
            if time.monotonic() >= deadline:
                raise RecoveryError(
                    ErrorKind.TIMEOUT,
                    f"{self._request.instance} {problem} after {readable_seconds(self._request.wait_seconds)}.",
                    next_step="Read the events of the instance, then run it again.",
                )
            time.sleep(self._request.poll_seconds)


def _has_rebooted(instance: Instance, seen: t.Set[str]) -> bool:
    """Whether the instance is available after another state: RDS answers before the restart begins."""
    seen.add(instance.status)
    return instance.status == AVAILABLE and len(seen) > 1


def _groups(instance: Instance) -> t.List[str]:
    """The groups that are in effect or are added; a group that is removed is in the list until it is not in effect."""
    return sorted(str(one["VpcSecurityGroupId"]) for one in instance.document.get("VpcSecurityGroups") or ())


def _tags(instance: Instance) -> t.Dict[str, str]:
    return {str(one["Key"]): str(one.get("Value", "")) for one in instance.document.get("TagList") or ()}
