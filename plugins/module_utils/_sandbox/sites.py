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
    """Create and start the second server. Raises RecoveryError(service_failed)."""
    data = _data(path, "west")
    port = free_port(_HOST)
    secret = {"PGPASSWORD": state.postgres_password}
    if state.peer == "standby":
        login = f"host={_HOST} port={state.postgres.port} user=postgres application_name=west"
        copy = ("-D", data, "-d", login, "-R", "-C", "-S", "west", "--no-sync", "--checkpoint=fast", "-X", "stream")
        _run(state, user, secret, "pg_basebackup", *copy)
    else:
        passfile = f"{data}.password"
        handle = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(state.postgres_password)
        give_to(user, passfile)
        try:
            _run(
                state, user, {}, "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "--auth-host=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={passfile}", "--no-sync",
                "--data-checksums",
            )  # fmt: skip
        finally:
            os.unlink(passfile)
    settings = {"listen_addresses": _HOST, "unix_socket_directories": state.socket_dir, "fsync": "off"}
    configure(data, {**settings, **SETTINGS, "port": str(port)}, user)
    log = os.path.join(path, "postgres", "west.log")
    _run(state, user, {}, "pg_ctl", "-s", "-w", "-D", data, "-l", log, "start")
    state.peer_port = port


def describe(path: str, state: SandboxState, login: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Both servers as sites, the first one first. login: options of a connection to the first one."""
    ports = {"east": state.postgres.port, "west": state.peer_port}
    return [
        {
            "name": name,
            "host": "localhost",
            "connection": {**login, "login_port": port},
            "data_dir": _data(path, name),
            "client_bin_dir": state.bin_dir,
            "rows_dir": os.path.join(path, "postgres", "rows"),
            "replication": {"host": _HOST, "port": port, "user": "postgres", "password": state.postgres_password},
        }
        for name, port in ports.items()
    ]


def _data(path: str, site: str) -> str:
    return os.path.join(path, "postgres", "data" if site == "east" else site)


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
