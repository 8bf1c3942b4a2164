# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The lock rules of an R2 bucket as Cloudflare's API gives and takes them.

https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/locks/
"""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/client/v4/accounts/account-1/r2/buckets/backups/lock"


@dataclass
class LockApi:
    """rules are those of the only bucket; each of answers is a status that one request gets in its stead."""

    api_token: str = "a-token-of-cloudflare"
    rules: list[dict[str, t.Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    forgets: bool = False
    api_url: str = ""

    def handle(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, t.Any]]:
        self.requests.append(method)
        if self.answers:
            return _failed(self.answers.pop(0), 10000, "by rule")
        if authorization != f"Bearer {self.api_token}":
            return _failed(403, 10000, "Authentication error")
        if path != PATH:
            return _failed(404, 10006, "The specified bucket does not exist.")
        if method == "PUT" and not self.forgets:
            rules = json.loads(body)["rules"]
            for rule in rules:
                unknown = set(rule) - {"id", "enabled", "prefix", "condition"}
                if unknown or rule["condition"]["type"] not in ("Age", "Date", "Indefinite"):
                    return _failed(400, 10040, "malformed rule")
            self.rules = rules
        result = {} if method == "PUT" else {"rules": self.rules}
        return 200, {"success": True, "errors": [], "messages": [], "result": result}


def _failed(status: int, code: int, message: str) -> tuple[int, dict[str, t.Any]]:
    errors = [{"code": code, "message": message}]
    return status, {"success": False, "errors": errors, "messages": [], "result": None}


@contextlib.contextmanager
def answering(body: bytes) -> t.Iterator[str]:
    """The URL of an API on loopback that gives this answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/client/v4"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def lock_api() -> t.Iterator[LockApi]:
    """The API on loopback."""
    api = LockApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._handle("GET")

        def do_PUT(self) -> None:
            self._handle("PUT")

        def _handle(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = api.handle(method, self.path, self.headers.get("Authorization", ""), body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Tests report what they see."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api.api_url = f"http://127.0.0.1:{server.server_address[1]}/client/v4"
        try:
            yield api
        finally:
            server.shutdown()
