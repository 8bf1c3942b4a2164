# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A project of Supabase to test against: its database is a SQLite file whose history is kept by the second.

Requests and answers are held against the document of the Management API by tests/contract. The steps of a restore, the
text of refusals and the undo of restore points are known from that document and from recorded answers only.
Needs only Python, so that it runs in a container too: supabase.py PORT FOLDER TOKEN.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import sys
import threading
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REF = "abcdefghijklmnopqrst"
DAY = 86400
_COURSE = ("ACTIVE_HEALTHY", "RESTORING", "RESTORING", "ACTIVE_HEALTHY")
_Answer = tuple[int, t.Any]


@dataclass
class Fault:
    """A fault of the next requests that begin with match, such as C(POST restore-pitr).

    before and after are states that are answered instead of the work or after it; C(drop) closes the connection there.
    """

    match: str
    before: str = ""
    after: str = ""
    retry_after: str = ""
    slow: float = 0
    times: int = 1


@dataclass
class SupabaseServer:
    """The API on loopback with one project. course are the states that each look at a restore sees, the last one stays.

    point_course is the same for a restore point. offers_points is False for a project without restore points.
    """

    folder: Path
    token: str = field(default_factory=lambda: f"sbp_{secrets.token_hex(20)}", repr=False)
    api_url: str = ""
    name: str = "learning"
    status: str = "ACTIVE_HEALTHY"
    pitr: bool = True
    earliest: int = 0
    latest: int = 0
    backups: list[dict[str, t.Any]] = field(default_factory=list)
    course: tuple[str, ...] = _COURSE
    point_course: tuple[str, ...] = ("PENDING", "AVAILABLE")
    offers_points: bool = True
    ill_looks: int = 0
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    exchanges: list[dict[str, t.Any]] = field(default_factory=list)
    history: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = int(time.time())
        self.earliest, self.latest = now - 7 * DAY, now - 60
        self.backups = [
            {
                "id": 100 - days,
                "is_physical_backup": True,
                "status": "COMPLETED",
                "inserted_at": _text(now - days * DAY),
            }
            for days in range(1, 8)
        ]
        self._points: dict[str, tuple[list[str], list[tuple[int, str]]]] = {}
        self._coming: list[str] = []
        self._then: list[tuple[int, str]] | None = None
        self._lock = threading.Lock()

    @property
    def database(self) -> Path:
        """The live database; it is not there while it is restored."""
        return self.folder / "live.sqlite"

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        """The options of our modules."""
        return {"project_ref": REF, "access_token": self.token, "api_url": self.api_url, **more}

    def run(self, sql: str, at: int) -> None:
        """A write of an application at a time."""
        self.history.append((at, sql))
        self._rebuild(self.history)

    def rows(self, sql: str) -> list[t.Any]:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as file:
            return file.execute(sql).fetchall()

    def writes(self) -> list[str]:
        return [item for item in self.requests if not item.startswith("GET")]

    def handle(
        self, method: str, target: str, authorization: str, data: bytes, kind: str = "application/json"
    ) -> tuple[Fault | None, _Answer | None]:
        """The fault that befalls a request, and its answer; None for a connection that closes."""
        parts = urllib.parse.urlsplit(target)
        place = parts.path.removeprefix(f"/v1/projects/{REF}").removeprefix("/database/backups").strip("/")
        if parts.path.endswith("/database/backups"):
            place = "backups"
        line = f"{method} {place or 'project'}"
        with self._lock:
            self.requests.append(line)
            fault = next((item for item in self.faults if line.startswith(item.match) and item.times), None)
            if fault:
                fault.times -= 1
            early = fault.before if fault else ""
            if early:
                answer = None if early == "drop" else (int(early), {"message": "by rule"})
            else:
                query = {name: values[-1] for name, values in urllib.parse.parse_qs(parts.query).items()}
                answer = self._answer(line, parts.path, query, authorization, self.read(kind, data))
                late = fault.after if fault else ""
                if late:
                    answer = None if late == "drop" else (int(late), {"message": "by rule"})
            if answer is not None:
                self.exchanges.append(
                    {
                        "method": method,
                        "path": parts.path,
                        "query": dict(urllib.parse.parse_qsl(parts.query)),
                        "body": self.read(kind, data),
                        "status": answer[0],
                        "answer": answer[1],
                    }
                )
        return fault, answer

    def read(self, kind: str, data: bytes) -> t.Any:
        """The body of a request."""
        return json.loads(data) if data else None

    def _answer(self, line: str, path: str, query: dict[str, str], authorization: str, body: t.Any) -> _Answer:
        if authorization != f"Bearer {self.token}":
            return 401, {"message": "Unauthorized"}
        if not path.startswith(f"/v1/projects/{REF}"):
            return 404, {"message": "Project not found"}
        work: dict[str, t.Callable[[], _Answer]] = {
            "GET project": self._project,
            "GET health": lambda: self._health(query),
            "GET backups": self._backups,
            "GET restore-point": lambda: self._point(query.get("name")),
            "POST restore-point": lambda: self._make_point(body),
            "POST restore-pitr": lambda: self._restore_to(body),
            "POST restore": lambda: self._restore_backup(body),
            "POST undo": lambda: self._undo(body),
        }
        return work[line]() if line in work else (404, {"message": f"Cannot {line}"})

    def _project(self) -> _Answer:
        if self._coming:
            self.status = self._coming.pop(0)
            if self.status == "RESTORING":
                self.database.unlink(missing_ok=True)
            if not self._coming and self.status == "ACTIVE_HEALTHY" and self._then is not None:
                self.history = self._then
                self._rebuild(self.history)
        return 200, {
            "id": REF,
            "ref": REF,
            "organization_id": "tsrqponmlkjihgfedcba",
            "organization_slug": "tsrqponmlkjihgfedcba",
            "name": self.name,
            "region": "eu-central-1",
            "created_at": "2025-06-01T09:00:00.123456Z",
            "status": self.status,
            "database": {
                "host": f"db.{REF}.supabase.co",
                "version": "17.6.1.003",
                "postgres_engine": "17",
                "release_channel": "ga",
            },
        }

    def _health(self, query: dict[str, str]) -> _Answer:
        well = self.status == "ACTIVE_HEALTHY" and self.ill_looks <= 0
        self.ill_looks -= 1
        return 200, [{"name": query["services"], "healthy": well, "status": "ACTIVE_HEALTHY" if well else "UNHEALTHY"}]

    def _backups(self) -> _Answer:
        known = {"earliest_physical_backup_date_unix": self.earliest, "latest_physical_backup_date_unix": self.latest}
        return 200, {
            "region": "eu-central-1",
            "walg_enabled": True,
            "pitr_enabled": self.pitr,
            "backups": self.backups,
            "physical_backup_data": known if self.latest else {},
        }

    def _point(self, name: str | None) -> _Answer:
        if not self.offers_points:
            return 403, {"message": "Forbidden action"}
        name = name or next(reversed(self._points), None)
        if name not in self._points:
            return 404, {"message": "Restore point not found"}
        states = self._points[name][0]
        state = states.pop(0) if len(states) > 1 else states[0]
        return 200, {
            "name": name,
            "status": state,
            "completed_on": _text(int(time.time())) if state == "AVAILABLE" else None,
        }

    def _make_point(self, body: t.Any) -> _Answer:
        if not self.offers_points:
            return 403, {"message": "Forbidden action"}
        if body["name"] in self._points:
            return 409, {"message": "Restore point exists"}
        self._points[body["name"]] = (list(self.point_course), list(self.history))
        return 201, {"name": body["name"], "status": "PENDING", "completed_on": None}

    def _restore_to(self, body: t.Any) -> _Answer:
        if not self.pitr:
            return 400, {"message": "PITR is not enabled for this project."}
        target = body["recovery_time_target_unix"]
        if not self.earliest <= target <= self.latest:
            return 422, {"message": "recovery_time_target_unix is out of range"}
        return self._begin([item for item in self.history if item[0] <= target])

    def _restore_backup(self, body: t.Any) -> _Answer:
        found = next((item for item in self.backups if item["id"] == body["id"]), None)
        if found is None:
            return 404, {"message": "Backup not found"}
        target = datetime.fromisoformat(found["inserted_at"].replace("Z", "+00:00")).timestamp()
        return self._begin([item for item in self.history if item[0] <= target])

    def _undo(self, body: t.Any) -> _Answer:
        if body["name"] not in self._points:
            return 404, {"message": "Restore point not found"}
        return self._begin(list(self._points[body["name"]][1]))

    def _begin(self, then: list[tuple[int, str]]) -> _Answer:
        if self._coming or self.status == "RESTORING":
            return 400, {"message": "A restore is in progress"}
        self._coming, self._then = list(self.course), then
        return 201, None

    def _rebuild(self, history: list[tuple[int, str]]) -> None:
        self.database.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(self.database)) as file:
            for _at, sql in history:
                file.executescript(sql)


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.12Z")


_Server = t.TypeVar("_Server", bound=SupabaseServer)


@contextlib.contextmanager
def supabase_server(folder: Path, port: int = 0) -> t.Iterator[SupabaseServer]:
    """The API, started in a moment."""
    with serving(SupabaseServer(folder), port) as api:
        yield api


@contextlib.contextmanager
def serving(api: _Server, port: int = 0) -> t.Iterator[_Server]:
    """An API on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._handle("GET")

        def do_POST(self) -> None:
            self._handle("POST")

        def do_PUT(self) -> None:
            self._handle("PUT")

        def do_PATCH(self) -> None:
            self._handle("PATCH")

        def do_DELETE(self) -> None:
            self._handle("DELETE")

        def _handle(self, method: str) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type", "")
            fault, answer = api.handle(method, self.path, self.headers.get("Authorization", ""), data, kind)
            if fault:
                time.sleep(fault.slow)
            if answer is None:
                self.close_connection = True
                return
            status, document = answer
            text = document if isinstance(document, bytes) else json.dumps(document).encode()
            text = b"" if document is None else text
            self.send_response(status)
            if fault and fault.retry_after:
                self.send_header("Retry-After", fault.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Tests report what they see."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api.api_url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield api
        finally:
            server.shutdown()


def main() -> None:
    """Serve until killed, with a token and rows that a scenario knows: an hour ago, and half an hour ago."""
    port, folder, token = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    with supabase_server(folder, port) as api:
        api.token = token
        now = int(time.time())
        api.run("CREATE TABLE lessons (id INTEGER PRIMARY KEY); INSERT INTO lessons VALUES (1), (2)", now - 3600)
        api.run("DELETE FROM lessons", now - 1800)
        threading.Event().wait()


if __name__ == "__main__":
    main()
