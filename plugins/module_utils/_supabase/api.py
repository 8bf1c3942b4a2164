# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Supabase project through the Management API: read, restored, undone."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.json_api import Begun, Refusal, Reply, Service, ask
from .answers import Backups, Project, RestorePoint, read_backups, read_health, read_point, read_project

API = "https://api.supabase.com"

#: The API allows 120 requests a minute; after this wait the next request is allowed.
_LIMIT_SECONDS = 90

_REF = re.compile(r"[a-z]{20}")
_BACKUPS = "database/backups"
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Access:
    """Token and project. timeout is in seconds for one answer; api_url has no slash at its end."""

    ref: str
    token: str = field(repr=False)
    api_url: str = API
    timeout: float = 60


@dataclass(frozen=True)
class Step:
    """A request that replaces the complete database. target describes the restored state."""

    path: str
    body: t.Mapping[str, t.Any]
    target: str


class SupabaseApi:
    """One project. All methods raise RecoveryError: access_denied, target_missing, unsupported, target_in_use,
    invalid_options, unreachable or service_failed. Raises invalid_options for an invalid ref."""

    def __init__(self, access: Access) -> None:
        if not _REF.fullmatch(access.ref):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`project_ref` must be 20 lower-case letters, got {access.ref!r}.",
                next_step="Set it to the first part of the project's address.",
            )
        self.ref = access.ref
        self._service = Service(access.api_url, access.token, access.timeout, _LIMIT_SECONDS, without_body=(200, 201))

    def project(self) -> Project:
        """Raises RecoveryError(conflict) if the service answers for another project."""
        project = read_project(self._call("GET", "", f"the project {self.ref}", "projects:read"))
        if project.ref != self.ref:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Supabase answered for the project {project.ref} instead of {self.ref}.",
                next_step="Check api_url.",
            )
        return project

    def backups(self) -> Backups:
        return read_backups(self._call("GET", _BACKUPS, f"the backups of {self.ref}", "database:read"))

    def point(self, name: t.Optional[str] = None) -> t.Optional[RestorePoint]:
        """The restore point of a name, or the one that the service returns without a name; None if there is none."""
        query = {"name": name} if name else None
        try:
            document = self._call(
                "GET", f"{_BACKUPS}/restore-point", f"the restore points of {self.ref}", "database:read", query=query
            )
        except RecoveryError as error:
            if error.kind != ErrorKind.TARGET_MISSING:
                raise
            return None
        point = read_point(document)
        return point if point and name in (None, point.name) else None

    def create_point(self, name: str) -> None:
        """Sent once; if its answer is lost, details hold applied: unknown."""
        what = f"a restore point of {self.ref}"
        path = f"{_BACKUPS}/restore-point"
        self._call("POST", path, what, "database:write", body={"name": name}, repeatable=False)

    def begin(self, step: Step) -> None:
        """Sent once, as create_point."""
        what = f"a restore of {self.ref}"
        self._call("POST", f"{_BACKUPS}/{step.path}", what, "database:write", body=step.body, repeatable=False)

    def healthy(self) -> bool:
        """Whether the database is healthy."""
        asked = {"services": ["db"]}
        health = self._call("GET", "health", f"the health of {self.ref}", "projects:read", query=asked)
        return read_health(health).get("db", False)

    def _call(self, method: str, path: str, what: str, scope: str, **options: t.Any) -> t.Any:
        def judge(answer: Reply) -> t.Optional[Refusal]:
            if answer.status < 300:
                return None
            return refusal(answer.status, self._said(answer.document), what, scope)

        full_path = f"v1/projects/{self.ref}/{path}".rstrip("/")
        return ask(self._service, method, full_path, judge, **options)

    def _said(self, document: t.Any) -> str:
        message = document.get("message") if isinstance(document, dict) else None
        text = message if isinstance(message, str) else ""
        return " ".join(text.replace(self._service.token, "***").split())[:_LONGEST_MESSAGE].rstrip(".")


def refusal(status: int, said: str, what: str, scope: str) -> Refusal:
    """The error for a status of 300 or more. what names the object, scope the required right."""
    reason = said or f"HTTP {status}"
    begun = Begun.REFUSED
    if status == 401:
        kind, sentence = ErrorKind.ACCESS_DENIED, f"Supabase does not accept the access token: {reason}."
        then = "Create a new token in the settings of the account, and set access_token."
    elif status == 403:
        kind, sentence = ErrorKind.ACCESS_DENIED, f"The access token has no right to {what}: {reason}."
        then = f"Use a token with the scope {scope}, of a member of the project's organization."
    elif status == 402 or (status == 400 and "PITR" in said):
        kind, sentence = ErrorKind.UNSUPPORTED, f"The plan of the project does not include {what}: {reason}."
        then = "Add it to the project, or restore your own set with pg_restore."
    elif status == 404:
        kind, sentence = ErrorKind.TARGET_MISSING, f"Supabase did not find {what}: {reason}."
        then = "Check project_ref, and that the account of the token can see the project."
    elif status == 409:
        kind, sentence = ErrorKind.TARGET_IN_USE, f"The project is not free for {what}: {reason}."
        then = "Wait until the running operation ends, and try again."
    elif status in (400, 422):
        kind, sentence = ErrorKind.INVALID_OPTIONS, f"Supabase refuses the request for {what}: {reason}."
        then = "Correct the option that the message names."
    elif status == 429:
        kind, sentence = ErrorKind.SERVICE_FAILED, f"Supabase limits the rate of requests, last for {what}: {reason}."
        then = "Try again in a minute, and find other programs that use this account."
        begun = Begun.NO
    else:
        kind, sentence = ErrorKind.SERVICE_FAILED, f"Supabase failed at {what}: {reason}."
        then = "Try again; if it persists, check the status page of Supabase."
        begun = Begun.MAYBE if status >= 500 else Begun.REFUSED
    return Refusal(RecoveryError(kind, sentence, next_step=then, details={"http_status": status}), begun)
