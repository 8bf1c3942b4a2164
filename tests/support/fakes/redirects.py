# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two strict JSON services: records of a zone of Cloudflare, and a secret of a Kubernetes API server.

https://developers.cloudflare.com/api/resources/dns/subresources/records/ and
https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = tuple[int, dict[str, t.Any]]


@dataclass
class JsonApi:
    """lost: so many changes are made, and their answer is lost. before_change: called before a change is judged.

    statuses: the next requests get them, and nothing is done. changes: the bodies of changes.
    """

    token: str = "a-token-of-the-service"
    url: str = ""
    lost: int = 0
    before_change: t.Callable[[], None] | None = None
    statuses: list[int] = field(default_factory=list)
    changes: list[dict[str, t.Any]] = field(default_factory=list)

    def handle(self, method: str, path: str, headers: t.Mapping[str, str], body: bytes) -> Answer:
        if self.statuses:
            return self.statuses.pop(0), {}
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 403, {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}
        parts = urllib.parse.urlsplit(path)
        if method == "GET":
            return self.read(parts.path, dict(urllib.parse.parse_qsl(parts.query)))
        change, self.before_change = self.before_change, None
        if change is not None:
            change()
        given = json.loads(body)
        self.changes.append(given)
        return self.patch(parts.path, headers.get("Content-Type", ""), given)

    def read(self, path: str, query: dict[str, str]) -> Answer:
        raise NotImplementedError

    def patch(self, path: str, kind: str, given: dict[str, t.Any]) -> Answer:
        raise NotImplementedError


@dataclass
class DnsRecords(JsonApi):
    """records: of the zone zone-1."""

    records: list[dict[str, t.Any]] = field(default_factory=list)
    changed: int = 0

    def put(self, value: str, kind: str = "CNAME", name: str = "db.example.test", **more: t.Any) -> None:
        """Replace the records of the name, as another client does."""
        self.records = [one for one in self.records if one["name"] != name]
        self.add(value, kind, name, **more)

    def add(self, value: str, kind: str = "CNAME", name: str = "db.example.test", **more: t.Any) -> None:
        self.changed += 1
        record = {"id": f"r{self.changed}", "type": kind, "name": name, "content": value, "ttl": 300, "proxied": False}
        self.records.append({**record, "modified_on": f"2026-03-01T00:00:00.{self.changed:06}Z", **more})

    def read(self, path: str, query: dict[str, str]) -> Answer:
        place, _slash, wanted = path.partition("/zones/zone-1/dns_records")[2].partition("/")
        if "/zones/zone-1/dns_records" not in path or place:
            return 404, {"success": False, "errors": [{"code": 7003, "message": "Could not route"}]}
        if wanted:
            return self._answer([one for one in self.records if one["id"] == wanted])
        named = [one for one in self.records if one["name"] == query["name"] and one["type"] == query["type"]]
        return 200, {"success": True, "errors": [], "result": named}

    def patch(self, path: str, kind: str, given: dict[str, t.Any]) -> Answer:
        found = [one for one in self.records if one["id"] == path.rpartition("/")[2]]
        if set(given) - {"content", "ttl"} or given["content"].endswith("."):
            return 400, {"success": False, "errors": [{"code": 9000, "message": "DNS name is invalid"}]}
        for record in found:
            self.changed += 1
            record.update(given, modified_on=f"2026-03-01T00:00:00.{self.changed:06}Z")
        return self._answer(found)

    def _answer(self, found: list[dict[str, t.Any]]) -> Answer:
        if not found:
            return 404, {"success": False, "errors": [{"code": 81044, "message": "Record does not exist."}]}
        return 200, {"success": True, "errors": [], "result": found[0]}


@dataclass
class Secrets(JsonApi):
    """data: of the secret default/database, not encoded. version: its resource version."""

    data: dict[str, str] = field(default_factory=dict)
    version: int = 1
    immutable: bool = False

    def put(self, key: str, value: str) -> None:
        """Change a key, as another client does."""
        self.data[key], self.version = value, self.version + 1

    def read(self, path: str, query: dict[str, str]) -> Answer:
        if path != "/api/v1/namespaces/default/secrets/database":
            return 404, {"kind": "Status", "reason": "NotFound"}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in self.data.items()}
        metadata = {"name": "database", "resourceVersion": str(self.version)}
        return 200, {"kind": "Secret", "metadata": metadata, "data": encoded, "immutable": self.immutable}

    def patch(self, path: str, kind: str, given: dict[str, t.Any]) -> Answer:
        if kind != "application/merge-patch+json" or self.immutable:
            return 415 if not self.immutable else 422, {"kind": "Status", "message": json.dumps(given)}
        if given["metadata"].get("resourceVersion", str(self.version)) != str(self.version):
            return 409, {"kind": "Status", "reason": "Conflict", "message": json.dumps(given)}
        for key, value in given["data"].items():
            self.put(key, base64.b64decode(value, validate=True).decode())
        return self.read(path, {})


Api = t.TypeVar("Api", bound=JsonApi)


@contextlib.contextmanager
def json_api(api: Api, certificate: tuple[Path, Path] | None = None) -> t.Iterator[Api]:
    """The service on loopback; with a certificate and its key, by HTTPS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = api.handle(self.command, self.path, self.headers, body)
            if self.command == "PATCH" and api.lost:
                api.lost -= 1
                self.close_connection = True
                return
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PATCH = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api.url = f"{scheme}://localhost:{server.server_address[1]}"
        try:
            yield api
        finally:
            server.shutdown()
