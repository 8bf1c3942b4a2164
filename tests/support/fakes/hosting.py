# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Providers of frontends to test against: the parts of Vercel, Netlify and deploy hooks that our module asks for.

Paths and fields are those of https://vercel.com/docs/rest-api and https://open-api.netlify.com. A request for another
path is recorded in unknown, which a test must find empty. Production answers below /site.
"""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .supabase import Fault

PROJECT, TEAM, SITE = "prj_learnplay", "team_learnplay", "3970e0fe-8564-4903-9a55-c5f8de49fb8b"
TOKEN = "hosting-secret-token"
HOOK = "/v1/integrations/deploy/prj_learnplay/hook-secret"
_Answer = tuple[int, t.Any]


@dataclass
class HostingServer:
    """deployments: commits by their ids, the oldest first. looks: so many looks at a switch still show the former one.

    job: the end of a switch of Vercel. head: the commit that a hook builds. slow_builds: so many requests to the site
    after a hook still show the former one.
    """

    url: str = ""
    deployments: dict[str, str] = field(default_factory=lambda: {"one": "a" * 40, "two": "b" * 40, "bad": "c" * 40})
    current: str = "bad"
    states: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    looks: int = 0
    job: str = "succeeded"
    last: dict[str, t.Any] = field(default_factory=dict)
    head: str = "d" * 40
    slow_builds: int = 0
    requests: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _coming: str = ""
    _pending: int = 0

    def writes(self) -> list[str]:
        return [line for line in self.requests if not line.startswith("GET ")]

    def handle(self, method: str, target: str, authorization: str) -> _Answer | None:
        parts = urllib.parse.urlsplit(target)
        line = f"{method} {parts.path}"
        if parts.path == "/site":
            return self._site()
        self.requests.append(line)
        fault = next((item for item in self.faults if line.startswith(item.match) and item.times), None)
        if fault:
            fault.times -= 1
            if fault.before:
                return None if fault.before == "drop" else (int(fault.before), {"error": {"message": "by rule"}})
        answer = self._answer(method, parts.path, dict(urllib.parse.parse_qsl(parts.query)), authorization)
        if answer is None:
            self.unknown.append(line)
            return 404, {"error": {"message": "no such path"}}
        return None if fault and fault.after == "drop" else answer

    def _answer(self, method: str, path: str, query: dict[str, str], authorization: str) -> _Answer | None:
        if path == HOOK:
            self._coming, self._pending = self.head, self.slow_builds
            return 201, {"job": {"id": "job", "state": "PENDING", "createdAt": 1}}
        if authorization != f"Bearer {TOKEN}":
            return 403, {"error": {"code": "forbidden", "message": f"Not authorized: {authorization}"}}
        return self._vercel(method, path, query) or self._netlify(method, path)

    def _site(self) -> _Answer:
        if self._coming and self._pending <= 0:
            self.deployments.setdefault("built", self._coming)
            self.current, self._coming = "built", ""
        self._pending -= 1
        return 200, {"build": self.deployments[self.current]}

    def _vercel(self, method: str, path: str, query: dict[str, str]) -> _Answer | None:
        version, _slash, rest = path.strip("/").partition("/")
        if not version.startswith("v"):
            return None
        if query.get("teamId") != TEAM:
            return 404, {"error": {"message": "Project not found"}}
        parts = rest.split("/")
        if (method, version, parts) == ("GET", "v9", ["projects", PROJECT]):
            return 200, self._project()
        if (method, version, parts) == ("GET", "v6", ["deployments"]) and query["projectId"] == PROJECT:
            ready = [name for name in self.deployments if self.states.get(name, "READY") == query["state"]]
            listed = [one for one in ready if self.contexts.get(one, "production") == query["target"]]
            order = list(self.deployments)
            shown = [{"uid": one, "created": 1000 + order.index(one), "state": "READY"} for one in listed]
            return 200, {"deployments": shown[::-1], "pagination": {"count": len(listed)}}
        if (method, version, parts[0]) == ("GET", "v13", "deployments") and parts[1] in self.deployments:
            return 200, self._deployment(parts[1])
        for name, known in (("rollback", "v1"), ("promote", "v10")):
            if (method, version, parts[:3]) == ("POST", known, ["projects", PROJECT, name]):
                last = {"fromDeploymentId": self.current, "toDeploymentId": parts[3], "jobStatus": "in-progress"}
                self.last = {**last, "requestedAt": self.last.get("requestedAt", 0) + 1, "type": name}
                self._pending = self.looks
                return 201, None
        return None

    def _deployment(self, name: str) -> dict[str, t.Any]:
        return {
            "id": name,
            "projectId": PROJECT,
            "readyState": self.states.get(name, "READY"),
            "target": self.contexts.get(name, "production"),
            "meta": {"githubCommitSha": self.deployments[name]},
        }

    def _project(self) -> dict[str, t.Any]:
        if self.last.get("jobStatus") == "in-progress":
            if self._pending <= 0:
                self.last["jobStatus"] = self.job
                if self.job == "succeeded":
                    self.current = self.last["toDeploymentId"]
            self._pending -= 1
        project = {"id": PROJECT, "name": "learnplay", "targets": {"production": self._deployment(self.current)}}
        return {**project, **({"lastAliasRequest": dict(self.last)} if self.last else {})}

    def _netlify(self, method: str, path: str) -> _Answer | None:
        parts = path.strip("/").split("/")[2:]
        if not path.startswith("/api/v1/"):
            return None
        if (method, parts) == ("GET", ["sites", SITE]):
            if self._coming:
                if self._pending <= 0:
                    self.current, self._coming = self._coming, ""
                self._pending -= 1
            return 200, {"id": SITE, "name": "learnplay", "published_deploy": self._deploy(self.current)}
        if (method, parts) == ("GET", ["sites", SITE, "deploys"]):
            return 200, [self._deploy(one) for one in reversed(self.deployments)]
        if parts[0] == "deploys" and parts[1] in self.deployments:
            if method == "GET" and len(parts) == 2:
                return 200, self._deploy(parts[1])
            if method == "POST" and parts[2] in ("lock", "unlock"):
                (self.locked.add if parts[2] == "lock" else self.locked.discard)(parts[1])
                return 200, self._deploy(parts[1])
        if method == "POST" and parts[:3] == ["sites", SITE, "deploys"] and parts[4:] == ["restore"]:
            self._coming, self._pending = parts[3], self.looks
            return 201, self._deploy(parts[3])
        return (404, {"code": 404, "message": "Not Found"}) if parts[0] in ("sites", "deploys") else None

    def _deploy(self, name: str) -> dict[str, t.Any]:
        number = list(self.deployments).index(name)
        return {
            "id": name,
            "site_id": SITE,
            "state": self.states.get(name, "ready"),
            "context": self.contexts.get(name, "production"),
            "branch": "main",
            "commit_ref": self.deployments[name],
            "published_at": f"2026-03-0{number + 1}T12:00:00.000Z",
            "locked": name in self.locked,
            "error_message": None,
        }


@contextlib.contextmanager
def hosting_server() -> t.Iterator[HostingServer]:
    """The providers on loopback."""
    hosting = HostingServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = hosting.handle(self.command, self.path, self.headers.get("Authorization", ""))
            if answer is None:
                self.close_connection = True
                return
            status, document = answer
            text = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Tests read the requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hosting.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hosting
        finally:
            server.shutdown()
