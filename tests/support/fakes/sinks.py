# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that take what is sent to them and keep it: HTTP with bad manners by rule, and mail.

They need nothing but Python, so that they run in containers as well: C(python sinks.py HTTP_PORT SMTP_PORT FOLDER)
writes what comes to requests.jsonl and letters.jsonl there.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import typing as t
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Reply:
    """The answer to a request. reset: the connection is torn; slow: seconds before the answer."""

    status: int = 200
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: str = "OK"
    reset: bool = False
    slow: float = 0


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    content_type: str
    body: str
    agent: str = ""
    authorization: str = ""

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Letter:
    """A mail as it came. user: who had logged in; tls: whether it came protected."""

    sender: str
    recipients: list[str]
    data: str
    user: str
    tls: bool


@dataclass
class HttpSink:
    """replies: by the beginning of the path, what the next requests get; then 200."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    replies: dict[str, list[Reply]] = field(default_factory=dict)

    def at(self, path: str) -> list[Seen]:
        """The requests to a path or below it."""
        return [one for one in self.seen if one.path.startswith(path)]

    def reply_to(self, path: str) -> Reply:
        for begin, replies in self.replies.items():
            if path.startswith(begin) and replies:
                return replies.pop(0)
        return Reply()


@dataclass
class SmtpSink:
    """password: what a user must give to be let in. busy: so many letters are put off first. refused: addresses."""

    host: str
    port: int
    letters: list[Letter] = field(default_factory=list)
    password: str = ""
    busy: int = 0
    refused: set[str] = field(default_factory=set)


@contextlib.contextmanager
def http_sink(
    port: int = 0, tls: ssl.SSLContext | None = None, keep: t.Callable[[Seen], None] = lambda _one: None
) -> t.Iterator[HttpSink]:
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            agent = self.headers.get("User-Agent") or ""
            kind, authorization = (self.headers.get(name) or "" for name in ("Content-Type", "Authorization"))
            one = Seen(self.command, self.path, kind, body, agent, authorization)
            with lock:
                sink.seen.append(one)
                reply = sink.reply_to(self.path)
            keep(one)
            time.sleep(reply.slow)
            if reply.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body.encode())

        do_GET = do_HEAD = do_POST = handle_any

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_arguments: t.Any) -> None:
            """Connections that end early are what is tested."""

    server = Server(("127.0.0.1", port), Handler)
    scheme, host = "http", "127.0.0.1"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme, host = "https", "localhost"
    sink = HttpSink(f"{scheme}://{host}:{server.server_address[1]}")
    with _running(server):
        yield sink


@contextlib.contextmanager
def smtp_sink(
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    keep: t.Callable[[Letter], None] = lambda _one: None,
) -> t.Iterator[SmtpSink]:
    """With tls it offers STARTTLS, or uses TLS from the start when implicit."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.secure, self.user, self.sender, self.recipients = False, "", "", t.cast("list[str]", [])
            if implicit:
                self.protect()
            self.say("220 sink")
            while line := self.rfile.readline().decode().strip():
                verb = line.upper().split(":")[0]
                if verb == "QUIT":
                    self.say("221 bye")
                    return
                self.take(verb, line)

        def take(self, verb: str, line: str) -> None:
            if verb.startswith("EHLO"):
                offers = ["AUTH PLAIN"] + (["STARTTLS"] if tls and not self.secure else [])
                self.say("250-sink", *(f"250-{one}" for one in offers), "250 8BITMIME")
            elif verb == "STARTTLS":
                self.say("220 go")
                self.protect()
            elif verb.startswith("AUTH PLAIN"):
                user, password = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                self.user = user if password == sink.password else ""
                self.say("235 in" if self.user else "535 no")
            elif verb == "MAIL FROM":
                sink.busy -= 1
                self.sender, self.recipients = line[10:].split()[0].strip("<>"), []
                self.say("451 later" if sink.busy >= 0 else "250 ok")
            elif verb == "RCPT TO":
                self.accept(line[8:].split()[0].strip("<>"))
            elif verb == "DATA":
                self.say("354 send the text")
                self.keep()
            else:
                self.say("250 ok")

        def accept(self, address: str) -> None:
            if address in sink.refused:
                self.say("550 unknown")
                return
            self.recipients.append(address)
            self.say("250 ok")

        def keep(self) -> None:
            lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
            data = "".join(line[1:] if line.startswith("..") else line for line in lines)
            one = Letter(self.sender, self.recipients, data, self.user, self.secure)
            sink.letters.append(one)
            keep(one)
            self.say("250 taken")

        def protect(self) -> None:
            assert tls is not None
            self.request = tls.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
            self.secure = True

        def say(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

        def handle_error(self, *_arguments: t.Any) -> None:
            """Clients that do not trust the certificate go away."""

    server = Server(("127.0.0.1", port), Handler)
    sink = SmtpSink("localhost" if tls else "127.0.0.1", server.server_address[1])
    with _running(server):
        yield sink


@contextlib.contextmanager
def _running(server: socketserver.BaseServer) -> t.Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main(http_port: int, smtp_port: int, folder: Path) -> None:
    def keep(name: str) -> t.Callable[[t.Any], None]:
        def write(one: t.Any) -> None:
            with (folder / name).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(one)) + "\n")

        return write

    with http_sink(http_port, keep=keep("requests.jsonl")), smtp_sink(smtp_port, keep=keep("letters.jsonl")):
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
