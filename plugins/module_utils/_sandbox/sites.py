# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second PostgreSQL server of a sandbox: a standby of the first one or an empty server, as a site of a failover."""

from __future__ import annotations

import os
import subprocess
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import as_user, free_port, give_to
from .state import SandboxState

_HOST = "127.0.0.1"
#: Of both servers: rows that were acknowledged are in the WAL, and a lost peer is noticed soon.
SETTINGS = {
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_keep_size": "256MB",
    "wal_receiver_timeout": "2s",
    "wal_sender_timeout": "4s",
    "wal_retrieve_retry_interval": "500ms",
}


def configure(data: str, settings: t.Mapping[str, str], user: t.Optional[str]) -> None:
    """Write settings into the data directory; the last value of a setting counts."""
    path = os.path.join(data, "postgresql.conf")
    with open(path, "a", encoding="utf-8") as lines:
        lines.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    give_to(user, path)


def add_peer(path: str, state: SandboxState, user: t.Optional[str]) -> None:
    """Start the second server; a standby is created first. Raises RecoveryError(service_failed)."""
    data = peer_data(path)
    port = free_port(_HOST)
    if state.peer == "standby":
        login = f"host={_HOST} port={state.postgres.port} user=postgres application_name=west"
        copy = ("-D", data, "-d", login, "-R", "-C", "-S", "west", "--no-sync", "--checkpoint=fast", "-X", "stream")
        _run(state, user, {"PGPASSWORD": state.postgres_password}, "pg_basebackup", *copy)
    settings = {"listen_addresses": _HOST, "unix_socket_directories": state.socket_dir, "fsync": "off"}
    configure(data, {**settings, **SETTINGS, "port": str(port)}, user)
    log = os.path.join(path, "postgres", "west.log")
    _run(state, user, {}, "pg_ctl", "-s", "-w", "-D", data, "-l", log, "start")
    state.peer_port = port


def peer_data(path: str) -> str:
    """The data directory of the second server."""
    return os.path.join(path, "postgres", "west")


def describe(path: str, state: SandboxState, login: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Both servers as sites, the first one first. login: options of a connection to the first one."""
    servers = {
        "east": (state.postgres.port, os.path.join(path, "postgres", "data")),
        "west": (state.peer_port, peer_data(path)),
    }
    return [
        {
            "name": name,
            "host": "localhost",
            "connection": {**login, "login_port": port},
            "data_dir": data,
            "client_bin_dir": state.bin_dir,
            "rows_dir": os.path.join(path, "postgres", "rows"),
            "replication": {"host": _HOST, "port": port, "user": "postgres", "password": state.postgres_password},
        }
        for name, (port, data) in servers.items()
    ]


def _run(
    state: SandboxState, user: t.Optional[str], environment: t.Mapping[str, str], program: str, *arguments: str
) -> None:
    done = subprocess.run(
        [os.path.join(state.bin_dir, program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, **environment},
        start_new_session=True,
        # The server must not keep a folder of the sandbox busy.
        **{"cwd": "/", **as_user(user)},
    )
    if done.returncode != 0:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED, f"{program} failed: {' '.join(done.stderr.split())[-400:]}.", left=""
        )
