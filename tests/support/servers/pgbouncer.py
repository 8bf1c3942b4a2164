# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real PgBouncer in front of a server of the tests."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.support.servers.postgres import PostgresServer, as_server_user, free_port, give_to_server

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@dataclass
class Pooler:
    """A running pooler: its port, its configuration file and its process."""

    port: int
    ini: Path
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def pgbouncer(server: PostgresServer, mode: str, **settings: t.Any) -> t.Iterator[int]:
    """The port of a pooler in that pool_mode; settings are lines of its configuration."""
    with pooler(server, mode, **settings) as started:
        yield started.port


@contextlib.contextmanager
def pooler(server: PostgresServer, mode: str, databases: t.Sequence[str] = (), **settings: t.Any) -> t.Iterator[Pooler]:
    """A pooler in that pool_mode; databases are lines of its section before the one of all other databases."""
    root = Path(tempfile.mkdtemp(prefix="lifeline-pgbouncer-", dir="/tmp"))
    port = free_port()
    values = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "auth_type": "scram-sha-256",
        "auth_file": root / "users",
        "pool_mode": mode,
        "unix_socket_dir": "",
        **settings,
    }
    (root / "users").write_text(f'"postgres" "{server.password}"\n')
    lines = [f"{name} = {value}\n" for name, value in values.items()]
    (root / "ini").write_text(
        "[databases]\n"
        + "".join(f"{line}\n" for line in databases)
        + f"* = host={server.address} port={server.port}\n[pgbouncer]\n{''.join(lines)}",
        encoding="utf-8",
    )
    for path in (root, *root.iterdir()):
        give_to_server(path)
    process = subprocess.Popen(
        [str(PROGRAM), str(root / "ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_server_user()
    )
    try:
        _wait(server, port)
        yield Pooler(port, root / "ini", process)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(root, ignore_errors=True)


def _wait(server: PostgresServer, port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg2.connect(**{**server.options().keywords, "host": "127.0.0.1", "port": str(port)}).close()
            return
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
