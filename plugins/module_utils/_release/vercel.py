# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vercel: production is pointed to an earlier deployment without a build.

https://vercel.com/docs/rest-api and https://vercel.com/docs/instant-rollback
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.json_api import Service, understood
from .._core.options import Secret
from .hosting import Deployment, Hosting, ProviderApi

ROLLBACK, PROMOTE = "rollback", "promote"

_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_LIMIT_SECONDS = 90
_LISTED = 20


@dataclass(frozen=True)
class VercelOptions:
    """deployment: None for the deployment before the current one. action: promote ends the state of a rollback."""

    project: str
    token: Secret = field(repr=False)
    deployment: t.Optional[str] = None
    team: t.Optional[str] = None
    action: t.Literal["rollback", "promote"] = "rollback"
    api_url: str = "https://api.vercel.com"


class Vercel(Hosting):
    kind, provider = "vercel", "Vercel"

    def __init__(self, options: VercelOptions, timeout: float) -> None:
        for name in ("project", "deployment", "team"):
            value = getattr(options, name)
            if value is not None and not _ID.fullmatch(value):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`vercel.{name}` must be an id, got {value[:100]!r}.")
        if options.action == PROMOTE and options.deployment is None:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`vercel.deployment` is required if the action is promote.")
        self._options = options
        service = Service(options.api_url, options.token, timeout, _LIMIT_SECONDS, without_body=(200, 201, 202, 204))
        self._api = ProviderApi(self.provider, service)
        self._current: t.Optional[Deployment] = None
        #: When the switch before that of this run was requested; a failure of that one is not of this run.
        self._earlier: t.Any = None
        self._is_requested = False

    def _ask(self, method: str, path: str, what: str, **options: t.Any) -> t.Any:
        query = {**options.pop("query", {}), **({"teamId": self._options.team} if self._options.team else {})}
        return self._api.call(method, path, what, query=query, **options)

    def _project(self) -> t.Mapping[str, t.Any]:
        name = self._options.project
        return t.cast("t.Mapping[str, t.Any]", self._ask("GET", f"v9/projects/{name}", f"the project {name}"))

    def current(self) -> t.Optional[Deployment]:
        with understood("the project"):
            production = (self._project().get("targets") or {}).get("production")
            self._current = _deployment(production, "id") if production else None
        return self._current

    def target(self) -> t.Optional[Deployment]:
        wanted = self._options.deployment or self._previous()
        with understood("the deployment"):
            found = self._ask("GET", f"v13/deployments/{wanted}", f"the deployment {wanted}")
            project, state, place = found.get("projectId"), found["readyState"], found.get("target")
            known = {self._project()["id"], self._options.project}
            deployment = _deployment(found, "id")
        if project not in known:
            problem = "belongs to another project"
        elif state != "READY":
            problem = f"is {state}, not READY"
        elif place != "production" and self._options.action == ROLLBACK:
            problem = "never served production"
        else:
            return deployment
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The deployment {wanted} {problem}.",
            next_step="Set `vercel.deployment` to a deployment that served production.",
        )

    def _previous(self) -> str:
        """The newest deployment of production that is older than the current one."""
        query = {"projectId": self._options.project, "target": "production", "state": "READY", "limit": _LISTED}
        with understood("the deployments"):
            listed = self._ask("GET", "v6/deployments", "the deployments of production", query=query)["deployments"]
            newest_first = sorted(listed, key=lambda one: int(one["created"]), reverse=True)
            ids = [str(one["uid"]) for one in newest_first]
        current = self._current.id if self._current else None
        if current in ids and ids.index(current) + 1 < len(ids):
            return ids[ids.index(current) + 1]
        raise RecoveryError(
            ErrorKind.TARGET_MISSING,
            f"The newest {_LISTED} deployments of production have none before the current one.",
            next_step="Set `vercel.deployment` to the deployment to go back to.",
        )

    def why_not_current(self, target: t.Optional[Deployment]) -> str:
        wanted = target.id if target else ""
        with understood("the project"):
            project = self._project()
            request = project.get("lastAliasRequest") or {}
            is_own = self._is_requested and request.get("requestedAt") != self._earlier
            status = request.get("jobStatus") if is_own and request.get("toDeploymentId") == wanted else None
            current = ((project.get("targets") or {}).get("production") or {}).get("id")
        if status in ("failed", "skipped"):
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED,
                f"Vercel reports that the switch to {wanted} {'failed' if status == 'failed' else 'was skipped'}.",
                left="Some addresses of the project may serve the new deployment already.",
                next_step="Check the project in the dashboard of Vercel.",
            )
        if status in ("pending", "in-progress"):
            return f"the switch is {status}"
        return "" if current == wanted else f"production serves {current}"

    def switch(self, target: t.Optional[Deployment]) -> None:
        wanted = target.id if target else ""
        version, action = ("v10", PROMOTE) if self._options.action == PROMOTE else ("v1", ROLLBACK)
        path = f"{version}/projects/{self._options.project}/{action}/{wanted}"
        with understood("the project"):
            self._earlier = (self._project().get("lastAliasRequest") or {}).get("requestedAt")
        self._is_requested = True
        self._ask("POST", path, f"the {action} to {wanted}", body={}, repeatable=False)

    def undo(self, former: t.Optional[Deployment]) -> t.Mapping[str, t.Any]:
        return {"vercel": {"action": PROMOTE, "deployment": former.id}} if former else {}


def _deployment(document: t.Mapping[str, t.Any], key: str) -> Deployment:
    commit = (document.get("meta") or {}).get("githubCommitSha")
    return Deployment(str(document[key]), str(commit) if commit else None)
