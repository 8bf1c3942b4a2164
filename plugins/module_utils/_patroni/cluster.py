# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a Patroni cluster through the endpoints of its members."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.http import Answer, NoAnswer
from .._core.parallel import in_order
from .api import Access, document_of, get

#: Roles of a server that accepts writes: `master` before Patroni 4.0.
PRIMARY = ("primary", "master")
_LEADERS = ("leader", "standby_leader", *PRIMARY)
_MOST_LINES = 100
_LOOP_WAIT = 10


@dataclass(frozen=True)
class Endpoint:
    """One URL of `endpoints`. name, role, state: of the member; None if it does not answer, with the reason."""

    url: str
    name: t.Optional[str] = None
    role: t.Optional[str] = None
    state: t.Optional[str] = None
    timeline: t.Optional[int] = None
    system_identifier: t.Optional[str] = None
    scope: t.Optional[str] = None
    is_primary: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Member:
    """A member as the cluster lists it. lag_bytes: of the last loop; None if it is unknown. tags: as configured."""

    name: str
    role: str
    state: str
    host: t.Optional[str]
    port: t.Optional[int]
    timeline: t.Optional[int]
    lag_bytes: t.Optional[int]
    tags: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class TimelineLine:
    """The end of a timeline. leader: the new one; None before Patroni 2.1 or if it is unknown."""

    timeline: int
    lsn: int
    reason: str
    at: t.Optional[str] = None
    leader: t.Optional[str] = None


@dataclass(frozen=True)
class Cluster:
    """A cluster at one instant. leader: None without one. synchronous_mode: C(off), C(on) or C(quorum).

    scheduled_switchover: as Patroni returns it; None without one.
    """

    scope: str
    system_identifier: t.Optional[str]
    leader: t.Optional[str]
    is_standby_cluster: bool
    is_paused: bool
    scheduled_switchover: t.Optional[t.Mapping[str, t.Any]]
    synchronous_mode: str
    loop_wait: int
    members: t.Sequence[Member]
    history: t.Sequence[TimelineLine]
    endpoints: t.Sequence[Endpoint]

    def member(self, name: t.Optional[str]) -> t.Optional[Member]:
        return next((one for one in self.members if one.name == name), None)

    def endpoint(self, name: t.Optional[str]) -> t.Optional[Endpoint]:
        """The endpoint of a member; None if it is not in `endpoints` or does not answer."""
        return next((one for one in self.endpoints if name is not None and one.name == name), None)

    @property
    def timeline(self) -> t.Optional[int]:
        """The newest timeline of a member."""
        timelines = [one.timeline for one in self.members] + [one.timeline for one in self.endpoints]
        return max((one for one in timelines if one is not None), default=None)


def read_cluster(access: Access) -> Cluster:
    """Raises RecoveryError: unreachable if no endpoint answers, wrong_server if they belong to different clusters."""
    access.require_valid()
    endpoints = in_order(access.endpoints, lambda url: read_endpoint(access, url), parallel=len(access.endpoints))
    answering = [one for one in endpoints if one.name is not None]
    if not answering:
        raise RecoveryError(
            ErrorKind.UNREACHABLE,
            f"No endpoint of Patroni answers: {'; '.join(f'{one.url}: {one.reason}' for one in endpoints)}.",
            next_step="Check `endpoints`, `cafile` and the network.",
        )
    _require_one_cluster(answering)
    listed, config, history = _first(access, answering)
    members = [_member(one) for one in listed.get("members") or () if isinstance(one, dict)]
    leader = next((one for one in members if one.role in _LEADERS), None)
    mode = config.get("synchronous_mode")
    return Cluster(
        scope=answering[0].scope or "",
        system_identifier=next((one.system_identifier for one in answering if one.system_identifier), None),
        leader=leader.name if leader else None,
        is_standby_cluster=bool(config.get("standby_cluster")) or (leader is not None and leader.role == _LEADERS[1]),
        is_paused=bool(listed.get("pause") or config.get("pause")),
        scheduled_switchover=_mapping(listed.get("scheduled_switchover")),
        synchronous_mode="quorum" if mode == "quorum" else "on" if mode in (True, "on", "true") else "off",
        loop_wait=_number(config.get("loop_wait")) or _LOOP_WAIT,
        members=members,
        history=history,
        endpoints=endpoints,
    )


def read_endpoint(access: Access, url: str, path: str = "patroni") -> Endpoint:
    """The member behind a URL. Its status code is that of `path`; an endpoint that does not answer has a reason."""
    try:
        answer = get(access, url, path)
    except NoAnswer as error:
        return Endpoint(url, reason=error.reason)
    document = document_of(answer)
    about = document.get("patroni")
    if not isinstance(about, dict) or not about.get("name"):
        return Endpoint(url, reason=f"{answer.outcome} without the name of a member")
    role = str(document.get("role", ""))
    return Endpoint(
        url,
        name=str(about["name"]),
        role=role,
        state=str(document.get("state", "")),
        timeline=_number(document.get("timeline")),
        system_identifier=_text(document.get("database_system_identifier")),
        scope=_text(about.get("scope")),
        is_primary=answer.status == 200 and role in PRIMARY and document.get("state") == "running",
    )


def accepts_writes(access: Access, url: str) -> bool:
    """Whether the member holds the leader lock and its server is a primary. The lock comes before the promotion."""
    return read_endpoint(access, url, "primary").is_primary


def answers_ok(access: Access, url: str, path: str) -> bool:
    try:
        return get(access, url, path).status == 200
    except NoAnswer:
        return False


_Documents = t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], t.List[TimelineLine]]


def _first(access: Access, endpoints: t.Sequence[Endpoint]) -> _Documents:
    for one in endpoints:
        found = _documents(access, one.url)
        if found:
            return found
    raise RecoveryError(
        ErrorKind.SERVICE_FAILED,
        "No endpoint of Patroni lists the members of its cluster.",
        next_step="Check the configuration store of Patroni (etcd, Consul, ZooKeeper or Kubernetes).",
    )


def _documents(access: Access, url: str) -> t.Optional[_Documents]:
    """The lists of one endpoint; None if it does not list members, for example without its configuration store."""
    try:
        answers = [get(access, url, path) for path in ("cluster", "config", "history")]
    except NoAnswer:
        return None
    listed, config, history = answers
    if listed.status != 200 or not isinstance(document_of(listed).get("members"), list):
        return None
    return document_of(listed), document_of(config), _history(history)


def _history(answer: Answer) -> t.List[TimelineLine]:
    try:
        lines = json.loads(answer.body)
    except (ValueError, RecursionError):
        return []
    found = []
    for line in lines[-_MOST_LINES:] if isinstance(lines, list) else ():
        if isinstance(line, list) and len(line) >= 3 and isinstance(line[0], int) and isinstance(line[1], int):
            texts = [_text(one) for one in line[2:5]]
            found.append(TimelineLine(line[0], line[1], texts[0] or "", *texts[1:]))
    return found


def _member(given: t.Mapping[str, t.Any]) -> Member:
    return Member(
        name=str(given.get("name", "")),
        role=str(given.get("role", "")),
        state=str(given.get("state", "")),
        host=_text(given.get("host")),
        port=_number(given.get("port")),
        timeline=_number(given.get("timeline")),
        lag_bytes=_number(given.get("lag")),
        tags=_mapping(given.get("tags")) or {},
    )


def _require_one_cluster(endpoints: t.Sequence[Endpoint]) -> None:
    for name, values in (
        ("scope", {one.scope for one in endpoints}),
        ("system identifier", {one.system_identifier for one in endpoints if one.system_identifier}),
    ):
        if len(values) > 1:
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"`endpoints` must be of one cluster, got {len(values)} values of the {name}: "
                f"{', '.join(sorted(map(str, values)))}.",
                next_step="Remove the endpoints of other clusters.",
            )


def _number(value: t.Any) -> t.Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: t.Any) -> t.Optional[str]:
    return None if value is None else str(value)


def _mapping(value: t.Any) -> t.Optional[t.Mapping[str, t.Any]]:
    return value if isinstance(value, dict) and value else None
