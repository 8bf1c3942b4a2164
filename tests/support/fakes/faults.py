# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy before an S3 server that does to requests what bad networks and bad stores do, by rule."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import re
import socket
import threading
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote, urlsplit

from tests.support.servers.s3 import S3Server


@dataclass(frozen=True)
class Fault:
    """A fault of a request.

    answer is sent in the server's stead, which never sees the request; it may be made of the request's body.
    cut_after and lost end the server's answer early or swallow it, rewrite makes another of it. Only requests
    whose headers match the pattern are concerned.
    """

    answer: bytes | t.Callable[[bytes], bytes] = b""
    cut_after: int | None = None
    lost: bool = False
    rewrite: t.Callable[[bytes], bytes] | None = None
    headers: bytes = b""


#: Gets each request line, as C(GET /backups/key HTTP/1.1).
Rule = t.Callable[[str], t.Optional[Fault]]


def refusal(status: int, code: str) -> Fault:
    """An error of the service."""
    body = f"<Error><Code>{code}</Code><Message>by rule</Message></Error>".encode()
    return Fault(answer=_answer_with(f"{status} {code}", body))


#: Answers that it stored bytes that it drops.
ACCEPTED_AND_LOST = Fault(answer=lambda body: _answer_with("200 OK", b"", etag=hashlib.md5(body).hexdigest()))


def hiding(pattern: str) -> Fault:
    """A listing that is older than the objects whose keys match."""

    def rewrite(answer: bytes) -> bytes:
        return _with_body(answer, lambda body: _CONTENTS.sub(lambda found: _kept(found, pattern), body))

    return Fault(rewrite=rewrite)


def listing_with(old: bytes, new: bytes) -> Fault:
    """A listing in which one text is replaced by another."""
    return Fault(rewrite=lambda answer: _with_body(answer, lambda body: body.replace(old, new)))


def adding(header: bytes) -> Fault:
    """An answer with one more header."""
    return Fault(rewrite=lambda answer: answer.replace(b"\r\n", b"\r\n%s\r\n" % header, 1))


def remembered(answers: dict[str, bytes]) -> t.Callable[[str], Fault]:
    """A listing that shows again, for each request line, what it showed first."""

    def fault_for(line: str) -> Fault:
        return Fault(rewrite=lambda answer: answers.setdefault(line, answer))

    return fault_for


def clock_wrong_by(difference: timedelta) -> Fault:
    """A store all whose times are wrong."""

    def shifted_header(found: re.Match[bytes]) -> bytes:
        moment = email.utils.parsedate_to_datetime(found[2].decode()) + difference
        return found[1] + email.utils.format_datetime(moment.astimezone(timezone.utc), usegmt=True).encode()

    def shifted_element(found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found[1].decode().replace("Z", "+00:00")) + difference
        return b"<LastModified>%s</LastModified>" % moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()

    def rewrite(answer: bytes) -> bytes:
        head, _blank, body = answer.partition(b"\r\n\r\n")
        head = re.sub(rb"(?im)^((?:date|last-modified): *)([^\r]+)", shifted_header, head)
        complete = head + b"\r\n\r\n" + body
        return _with_body(
            complete, lambda data: re.sub(rb"<LastModified>([^<]+)</LastModified>", shifted_element, data)
        )

    return Fault(rewrite=rewrite)


def without_etags(*, in_listings: bool = True, of_objects: bool = True) -> Fault:
    """A store that gives no ETags in one of these places, or in both."""

    def rewrite(answer: bytes) -> bytes:
        head, blank, body = answer.partition(b"\r\n\r\n")
        if of_objects:
            head = re.sub(rb"(?im)^etag:[^\r]*\r\n", b"", head)
        complete = head + blank + body
        if not in_listings or b"<ListBucketResult" not in body:
            return complete
        return _with_body(complete, lambda data: re.sub(rb"<ETag>[^<]*</ETag>", b"", data))

    return Fault(rewrite=rewrite)


def unpacking(*, sized: bool = False) -> Fault:
    """A service that unpacks what is stored with Content-Encoding: gzip for clients that do not accept gzip.

    The answer has no size, as of Google Cloud Storage and R2; or, with sized, that of the unpacked bytes.
    """

    def rewrite(answer: bytes) -> bytes:
        head, blank, body = answer.partition(b"\r\n\r\n")
        if not re.search(rb"(?im)^content-encoding: *gzip", head):
            return answer
        plain = gzip.decompress(body) if body else b""
        head = re.sub(rb"(?im)^content-encoding:[^\r]*\r\n", b"", head + b"\r\n")[:-2]
        length = b"Content-Length: %d\r\n" % len(plain) if sized else b""
        head = re.sub(rb"(?im)^content-length:[^\r]*\r\n", length, head + b"\r\n")[:-2]
        return head + blank + plain

    return Fault(rewrite=rewrite, headers=rb"(?is)\A(?!.*\naccept-encoding:[^\r]*gzip)")


def matching(pattern: str, fault: Fault | t.Callable[[str], Fault]) -> Rule:
    """The fault for each request whose line, with its key decoded, matches."""

    def fault_for(line: str) -> Fault | None:
        if not re.search(pattern, unquote(line)):
            return None
        return fault if isinstance(fault, Fault) else fault(line)

    return fault_for


def first(count: int, pattern: str, fault: Fault) -> Rule:
    """As matching, for the first so many of those."""
    seen: list[str] = []

    def fault_for(line: str) -> Fault | None:
        if not re.search(pattern, unquote(line)):
            return None
        seen.append(line)
        return fault if len(seen) <= count else None

    return fault_for


def every(count: int, fault: Fault) -> Rule:
    """The fault for each request of so many, the first among them."""
    seen: list[str] = []

    def fault_for(line: str) -> Fault | None:
        seen.append(line)
        return fault if len(seen) % count == 1 else None

    return fault_for


def for_seconds(seconds: float, fault: Fault) -> Rule:
    """The fault for every request until that time has passed since the first."""
    began: list[float] = []

    def fault_for(_line: str) -> Fault | None:
        began.append(time.monotonic())
        return fault if began[-1] - began[0] < seconds else None

    return fault_for


@contextlib.contextmanager
def faulty(server: S3Server, fault_for: Rule) -> t.Iterator[str]:
    """The URL of a proxy before the server."""
    upstream = urlsplit(server.endpoint_url)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    threading.Thread(target=_serve, args=(client, upstream, fault_for), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, upstream: t.Any, fault_for: Rule) -> None:
    with client, contextlib.suppress(OSError):
        head = client.recv(65536)
        if not head:
            return
        fault = fault_for(head.partition(b"\r\n")[0].decode())
        if fault and not re.search(fault.headers, head):
            fault = None
        if fault and fault.answer:
            body = _body_of(client, head)
            client.sendall(fault.answer(body) if callable(fault.answer) else fault.answer)
            return
        with socket.create_connection((upstream.hostname, upstream.port)) as server:
            # One request a connection, so that each is seen.
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _answer(server, client, fault)
            # Closing alone sends the client nothing while the other thread still reads from it.
            client.shutdown(socket.SHUT_RDWR)


def _body_of(client: socket.socket, head: bytes) -> bytes:
    """The body of a request, asked for as a server does that wants it."""
    names, _blank, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", names)
    if re.search(rb"(?im)^expect: *100-continue", names):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while length and len(body) < int(length[1]):
        data = client.recv(65536)
        if not data:
            break
        body += data
    return body


def _answer(server: socket.socket, client: socket.socket, fault: Fault | None) -> None:
    left, complete = fault.cut_after if fault else None, b""
    while left is None or left > 0:
        data = server.recv(65536)
        if fault and fault.rewrite and not data.startswith(b"HTTP/1.1 100"):
            complete += data
            if not data:
                client.sendall(fault.rewrite(complete))
                return
            continue
        if not data or (fault and fault.lost and not data.startswith(b"HTTP/1.1 100")):
            return
        client.sendall(data[:left])
        left = None if left is None else left - len(data)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def _answer_with(status: str, body: bytes, etag: str = "") -> bytes:
    names = f'ETag: "{etag}"\r\n' if etag else ""
    head = f"HTTP/1.1 {status}\r\n{names}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def _kept(found: re.Match[bytes], pattern: str) -> bytes:
    key = re.search(rb"<Key>(.*?)</Key>", found[0])
    return b"" if key and re.search(pattern, key[1].decode()) else found[0]


def _with_body(answer: bytes, change: t.Callable[[bytes], bytes]) -> bytes:
    """The answer with another body and the length of that; one that comes in chunks is made complete."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        body = _without_chunks(body)
        head = re.sub(rb"(?im)^transfer-encoding:[^\r]*", b"Content-Length: 0", head)
    changed = change(body)
    if changed != body or b"Content-Length: 0" in head:
        head = re.sub(rb"(?im)^content-length:[^\r]*", b"Content-Length: %d" % len(changed), head)
    return head + blank + changed


def _without_chunks(body: bytes) -> bytes:
    complete = b""
    while body:
        size, _end, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if length == 0:
            break
        complete += rest[:length]
        body = rest[length + 2 :]
    return complete
