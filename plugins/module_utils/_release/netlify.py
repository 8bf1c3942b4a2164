# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlify: an earlier deploy is published again, and locked, so that a push does not replace it.

https://open-api.netlify.com
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.json_api import Service, understood
from .._core.options import Secret
from .hosting import Deployment, Hosting, ProviderApi

_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_LIMIT_SECONDS = 90
_LISTED = 50


@dataclass(frozen=True)
class NetlifyOptions:
    """deployment: None for the deploy that was published before the current one. lock: whether pushes publish none."""

    site: str
    token: Secret = field(repr=False)
    deployment: t.Optional[str] = None
    lock: bool = True
    api_url: str = "https://api.netlify.com"


class Netlify(Hosting):
    kind, provider = "netlify", "Netlify"

    def __init__(self, options: NetlifyOptions, timeout: float) -> None:
        for name in ("site", "deployment"):
            value = getattr(options, name)
            if value is not None and not _ID.fullmatch(value):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`netlify.{name}` must be an id, got {value[:100]!r}.")
        self._options = options
        service = Service(options.api_url, options.token, timeout, _LIMIT_SECONDS, without_body=(200, 201, 204))
        self._api = ProviderApi(self.provider, service)
        self._current: t.Optional[Deployment] = None

    def _ask(self, method: str, path: str, what: str, **options: t.Any) -> t.Any:
        return self._api.call(method, f"api/v1/{path}", what, **options)

    def _published(self) -> t.Mapping[str, t.Any]:
        site = self._options.site
        document = self._ask("GET", f"sites/{site}", f"the site {site}")
        return t.cast("t.Mapping[str, t.Any]", document.get("published_deploy") or {})

    def current(self) -> t.Optional[Deployment]:
        with understood("the site"):
            published = self._published()
            self._current = _deployment(published) if published else None
        return self._current

    def target(self) -> t.Optional[Deployment]:
        wanted = self._options.deployment or self._previous()
        with understood("the deploy"):
            found = self._ask("GET", f"deploys/{wanted}", f"the deploy {wanted}")
            site, state, context = found["site_id"], found["state"], found.get("context")
            deployment = _deployment(found)
        if site != self._options.site:
            problem = "belongs to another site"
        elif state != "ready":
            problem = f"is {state}, not ready"
        elif context != "production":
            problem = f"is of the context {context}, not of production"
        else:
            return deployment
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The deploy {wanted} {problem}.",
            next_step="Set `netlify.deployment` to a deploy of production that is ready.",
        )

    def _previous(self) -> str:
        """The deploy of production that was published last before the current one."""
        current = self._current.id if self._current else None
        with understood("the deploys"):
            listed = self._ask("GET", f"sites/{self._options.site}/deploys", "the deploys", query={"per_page": _LISTED})
            published = {
                str(one["id"]): str(one["published_at"])
                for one in listed
                if one["state"] == "ready" and one.get("context") == "production" and one.get("published_at")
            }
        before = [one for one in published if current in published and published[one] < published[current]]
        if not before:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The newest {_LISTED} deploys have none that was published before the current one.",
                next_step="Set `netlify.deployment` to the deploy to go back to.",
            )
        return max(before, key=lambda one: published[one])

    def why_not_current(self, target: t.Optional[Deployment]) -> str:
        with understood("the site"):
            published = self._published()
            if published.get("id") != (target.id if target else ""):
                return f"the site serves {published.get('id')}"
            if bool(published.get("locked")) != self._options.lock:
                return f"the deploy is {'not ' if self._options.lock else ''}locked"
        return ""

    def switch(self, target: t.Optional[Deployment]) -> None:
        wanted = target.id if target else ""
        if self._published().get("id") != wanted:
            path = f"sites/{self._options.site}/deploys/{wanted}/restore"
            self._ask("POST", path, f"the restore of {wanted}", repeatable=False)

    def settle(self, target: t.Optional[Deployment]) -> None:
        wanted = target.id if target else ""
        verb = "lock" if self._options.lock else "unlock"
        if bool(self._ask("GET", f"deploys/{wanted}", f"the deploy {wanted}").get("locked")) != self._options.lock:
            self._ask("POST", f"deploys/{wanted}/{verb}", f"the {verb} of {wanted}")

    def undo(self, former: t.Optional[Deployment]) -> t.Mapping[str, t.Any]:
        return {"netlify": {"deployment": former.id, "lock": False}} if former else {}


def _deployment(document: t.Mapping[str, t.Any]) -> Deployment:
    commit = document.get("commit_ref")
    return Deployment(str(document["id"]), str(commit) if commit else None)
