# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stored state of a sandbox: its secrets, ports and processes, in a file that only its user can read."""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t
from dataclasses import asdict, dataclass, field

from .._core.errors import ErrorKind, RecoveryError

_NAME = "sandbox.json"


@dataclass
class ServerState:
    """A process by its id and its start, so that a reused id is not mistaken for it. port is on 127.0.0.1."""

    pid: int = 0
    started: str = ""
    port: int = 0


@dataclass
class SandboxState:
    """database: the one that the application reads; empty without an application.

    peer: C(standby) or C(server) if the sandbox has a second PostgreSQL server, at peer_port.
    """

    postgres_password: str = field(repr=False)
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str
    version: str = ""
    bin_dir: str = ""
    socket_dir: str = ""
    wal_archive: bool = False
    database: str = ""
    peer: str = "none"
    peer_port: int = 0
    postgres: ServerState = field(default_factory=ServerState)
    s3: ServerState = field(default_factory=ServerState)
    application: ServerState = field(default_factory=ServerState)

    @property
    def servers(self) -> t.Tuple[ServerState, ...]:
        """In the order of their start."""
        return self.postgres, self.s3, self.application


def load_state(path: str) -> t.Optional[SandboxState]:
    """The state of the sandbox in a folder, or None if there is no sandbox."""
    try:
        with open(os.path.join(path, _NAME), encoding="utf-8") as stream:
            document = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecoveryError(
            ErrorKind.SERVICE_FAILED,
            f"The state of the sandbox in {path} cannot be read: {type(error).__name__}.",
            next_step="Check that its servers ended, then remove the folder.",
        ) from None
    servers = {name: ServerState(**document[name]) for name in ("postgres", "s3", "application")}
    return SandboxState(**{**document, **servers})


def save_state(path: str, state: SandboxState) -> None:
    target = os.path.join(path, _NAME)
    handle = os.open(f"{target}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(asdict(state), stream)
    os.replace(f"{target}.new", target)


def process_start(pid: int) -> str:
    """The start of a process in clock ticks of the kernel; empty if it ended or only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_running(server: ServerState) -> bool:
    return bool(server.pid) and process_start(server.pid) == server.started != ""


def stop_process(server: ServerState, polite: int, patience: float = 15) -> bool:
    """End a process, first with SIGTERM, then with SIGKILL; whether it was running."""
    if not is_running(server):
        return False
    for number, seconds in ((polite, patience), (signal.SIGKILL, 10.0)):
        try:
            os.kill(server.pid, number)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_running(server):
                return True
            time.sleep(0.02)
    raise RecoveryError(ErrorKind.SERVICE_FAILED, f"The process {server.pid} of the sandbox does not end.")
