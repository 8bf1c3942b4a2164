# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgBackRest as its users run it: full backups with two processes and zstd, into a folder or an S3 server."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

_COMMON = """[global]
log-path={root}/log
lock-path={root}/lock
spool-path={root}/spool
compress-type=zst
process-max=2
start-fast=y
repo1-retention-full=1
log-level-console=warn
log-level-file=off
{repository}
[bench]
pg1-path={data}
pg1-port={port}
pg1-socket-path={socket}
pg1-user=postgres
"""

_LOCAL = "repo1-path={root}/repo\n"

_S3 = """repo1-type=s3
repo1-path=/pgbackrest
repo1-s3-bucket={bucket}
repo1-s3-endpoint={host}
repo1-s3-region=us-east-1
repo1-s3-uri-style=path
repo1-s3-key={access}
repo1-s3-key-secret={secret}
repo1-storage-host={host}
repo1-storage-port={port}
repo1-storage-ca-file={root}/ca.pem
"""

#: Archives nothing and succeeds, so that no segment waits for the next turn.
_NO_ARCHIVE = "/bin/true"


def is_installed() -> bool:
    return shutil.which("pgbackrest") is not None


def install() -> None:
    """Install Debian's package where that is possible; else nothing happens."""
    if is_installed() or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "pgbackrest"]):
        subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=False)


class PgBackRest:
    """One repository. Segments are archived only while a backup of it runs, so other measurements exclude it."""

    def __init__(self, server: PostgresServer, s3: S3Server | None = None) -> None:
        self._server, self._s3 = server, s3
        self._root = Path(tempfile.mkdtemp(prefix="lifeline-pgbackrest-", dir="/tmp"))
        self._user = "nobody" if os.geteuid() == 0 else None
        for name in ("repo", "log", "lock", "spool"):
            (self._root / name).mkdir()
        self._config = self._root / "pgbackrest.conf"
        self._config.touch(mode=0o600)
        self._config.write_text(
            _COMMON.format(
                root=self._root,
                repository=self._repository(),
                data=server.data_dir,
                port=server.port,
                socket=server.data_dir.parent,
            )
        )
        self._own()
        try:
            self._run("stanza-create")
        except BaseException:
            self.close()
            raise

    def backup(self) -> dict[str, int]:
        """A full backup. stored is the size of its files, without the segments of the write-ahead log."""
        with self._archiving():
            self._run("backup", "--type=full")
        folder = self._root / "repo" if self._s3 is None else t.cast(Path, self._s3.folder) / "pgbackrest"
        newest = max((folder / "backup/bench").glob("2*F"), key=lambda path: path.name)
        stored = sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())
        return {"stored": stored, "uploaded": 0 if self._s3 is None else stored}

    def close(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def _repository(self) -> str:
        if self._s3 is None:
            return _LOCAL.format(root=self._root)
        shutil.copy(t.cast(Path, self._s3.certificate), self._root / "ca.pem")
        address = urlsplit(self._s3.endpoint_url)
        return _S3.format(
            root=self._root,
            bucket=self._s3.bucket,
            host=address.hostname,
            port=address.port,
            access=self._s3.access_key,
            secret=self._s3.secret_key,
        )

    @contextlib.contextmanager
    def _archiving(self) -> t.Iterator[None]:
        push = f"{shutil.which('pgbackrest')} --config={self._config} --stanza=bench archive-push %p"
        set_archive_command(self._server, push)
        try:
            yield
        finally:
            set_archive_command(self._server, _NO_ARCHIVE)

    def _own(self) -> None:
        if self._user is None:
            return
        entry = pwd.getpwnam(self._user)
        for path in (self._root, *self._root.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _run(self, *arguments: str) -> None:
        options: dict[str, t.Any] = {}
        if self._user:
            entry = pwd.getpwnam(self._user)
            options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        command = ["pgbackrest", f"--config={self._config}", "--stanza=bench", *arguments]
        done = subprocess.run(command, check=False, cwd="/tmp", capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise RuntimeError(f"pgbackrest {arguments[0]} failed: {(done.stdout + done.stderr).strip()[-1500:]}")


def set_archive_command(server: PostgresServer, command: str = _NO_ARCHIVE) -> None:
    """Set it, and return when new sessions see it."""
    with server.session() as cursor:
        cursor.execute("ALTER SYSTEM SET archive_command = %s", (command,))
        cursor.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with server.session() as cursor:
            cursor.execute("SHOW archive_command")
            if cursor.fetchone()[0] == command:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not take the archive_command")


def wait_for_archiver(server: PostgresServer) -> None:
    """Return when no segment waits to be archived."""
    deadline = time.monotonic() + 120
    folder = server.data_dir / "pg_wal" / "archive_status"
    while any(folder.glob("*.ready")) and time.monotonic() < deadline:
        time.sleep(0.1)
