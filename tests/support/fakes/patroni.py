# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A REST API of Patroni 3 whose answers to a switchover a test sets: those that a real cluster rarely gives."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import typing as t
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakePatroni:
    """The members p1, p2 and p3 on three ports. The role of a primary is C(master), as before Patroni 4.

    answer: status and text of a switchover; None closes the connection without an answer. winner: the member that leads
    after takes seconds, during which it holds the lock and is a replica; None for no change.
    """

    answer: tuple[int, str] | None = (200, "")
    winner: str | None = "p2"
    takes: float = 0
    leader: str = "p1"
    urls: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, t.Any]]] = field(default_factory=list)
    _lock_at: float | None = None

    def state(self, name: str) -> tuple[bool, bool]:
        """Whether the member has the lock, and whether it is a primary."""
        switched = self._lock_at is not None and self.winner is not None
        leader = self.winner if switched else self.leader
        promoted = not switched or time.monotonic() - (self._lock_at or 0) >= self.takes
        return name == leader, name == leader and promoted

    def switch(self, path: str, body: dict[str, t.Any]) -> None:
        self.requests.append((path, body))
        self._lock_at = time.monotonic()

    def documents(self, name: str) -> dict[str, tuple[int, t.Any]]:
        has_lock, is_primary = self.state(name)
        timeline = 2 if self._lock_at is not None and self.winner else 1
        about = {
            "state": "running",
            "role": "master" if is_primary else "replica",
            "timeline": timeline,
            "database_system_identifier": "7300000000000000001",
            "patroni": {"name": name, "scope": "school", "version": "3.3.0"},
        }
        members = [
            {
                "name": one,
                "role": "leader" if self.state(one)[0] else "replica",
                "state": "running",
                "timeline": timeline,
                "host": "127.0.0.1",
                "port": 5432,
            }
            for one in self.urls
        ]
        history = [[1, 50331984, "no recovery target specified", "2026-03-01T12:41:52+00:00", self.winner]]
        return {
            "/patroni": (200, about),
            "/primary": (200 if has_lock else 503, about),
            "/cluster": (200, {"members": members, "scope": "school"}),
            "/config": (200, {"loop_wait": 1, "ttl": 20}),
            "/history": (200, history if timeline == 2 else []),
        }


@contextlib.contextmanager
def fake_patroni(**script: t.Any) -> t.Iterator[FakePatroni]:
    fake = FakePatroni(**script)
    with contextlib.ExitStack() as stack:
        for name in ("p1", "p2", "p3"):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake, name))
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            fake.urls[name] = f"http://127.0.0.1:{server.server_port}"
        yield fake


def _handler(fake: FakePatroni, name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: t.Any) -> None:
            return

        def do_GET(self) -> None:
            status, document = fake.documents(name).get(self.path, (404, {}))
            self._send(status, json.dumps(document))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            fake.switch(self.path, json.loads(self.rfile.read(length)))
            if fake.answer is None:
                self.close_connection = True
                return
            self._send(*fake.answer)

        def _send(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
