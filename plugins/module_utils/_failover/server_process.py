# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of the server of a data directory, which may outlive the postmaster and its pid file."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import subprocess
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import as_user

#: The state of /proc/PID/stat follows the name of the program, which may contain parentheses and blanks.
_STATE = re.compile(r"\) ([A-Za-z]) ")
#: A title is "postgres: 15/main: archiver failed on 000000010000000000000003"; cluster_name is before the role.
_ROLE = re.compile(r"^postgres: (?:.*: )?(walsender|walreceiver|archiver|checkpointer)\b")
_FROZEN = "T"


class ServerProcess(t.NamedTuple):
    """title: what the process shows of itself. is_frozen: a signal stopped it, and it continues with another."""

    pid: int
    title: str
    is_frozen: bool

    @property
    def role(self) -> str:
        """C(walsender), C(walreceiver), C(archiver) or C(checkpointer); empty for another process."""
        found = _ROLE.match(self.title)
        return found[1] if found else ""


def server_processes(data_dir: str) -> t.List[ServerProcess]:
    """The postmaster and its children: each has the data directory as its working directory.

    A child of a postmaster that was killed can still commit, so the pid file does not prove that a server has ended.
    """
    wanted = os.stat(data_dir)
    found, hidden = [], []
    for entry in os.listdir("/proc"):
        # A process may end while it is read.
        with contextlib.suppress(OSError):
            process = _read(int(entry)) if entry.isdigit() else None
            if process is None:
                continue
            try:
                if os.path.samestat(os.stat(f"/proc/{entry}/cwd"), wanted):
                    found.append(process)
            except PermissionError:
                # PostgreSQL runs as the owner of its data directory only.
                if os.stat(f"/proc/{entry}").st_uid == wanted.st_uid:
                    hidden.append(process)
    return found + (_shown_to_owner(hidden, wanted) if hidden else [])


def _shown_to_owner(processes: t.Sequence[ServerProcess], wanted: os.stat_result) -> t.List[ServerProcess]:
    """The processes that work in this directory, asked as their owner.

    Without CAP_SYS_PTRACE, which root of a container lacks, the kernel shows the working directory of a process to its
    owner only (proc(5)). A process that cannot be judged may be a writer. Raises RecoveryError(access_denied).
    """
    names = {f"/proc/{process.pid}/cwd": process for process in processes}
    owner = None
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(wanted.st_uid).pw_name if os.geteuid() == 0 else None
    done = subprocess.run(
        ["stat", "-L", "-c", "%n %d %i", *names], capture_output=True, text=True, check=False, **as_user(owner)
    )
    shown = [line.split() for line in done.stdout.splitlines()]
    seen = {name for name, _device, _number in shown}
    for name, process in names.items():
        if name not in seen and _runs(process.pid):
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The working directory of the process {process.pid} cannot be read, so its data directory is unknown.",
                next_step="Run it as root with CAP_SYS_PTRACE, or as the owner of the data directory.",
            )
    here = (str(wanted.st_dev), str(wanted.st_ino))
    return [names[name] for name, device, number in shown if (device, number) == here]


def _runs(pid: int) -> bool:
    try:
        return _read(pid) is not None
    except OSError:
        return False


def postmaster_status(data_dir: str) -> str:
    """C(starting), C(ready), C(standby) or C(stopping), as the postmaster writes it; empty if it does not run.

    A standby that accepts sessions is ready as well. The file of a postmaster that was killed stays.
    """
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
        if int(lines[0]) not in {process.pid for process in server_processes(data_dir)}:
            return ""
    except (OSError, ValueError, IndexError):
        return ""
    return lines[7].strip() if len(lines) > 7 else "starting"


def end_orphans(data_dir: str, processes: t.Sequence[ServerProcess]) -> None:
    """Terminate the children of a postmaster that was killed, which nothing else stops."""
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="ascii", errors="replace") as stream:
            postmaster = int(stream.readline())
    except (OSError, ValueError):
        postmaster = 0
    if postmaster not in {process.pid for process in processes}:
        for process in processes:
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGTERM)


def why_it_waits(processes: t.Sequence[ServerProcess]) -> t.Iterator[str]:
    """Sentences about the processes that delay a stop."""
    roles = {process.role for process in processes}
    if any(process.is_frozen for process in processes):
        yield "Processes of the server were frozen by a signal, so that they did not stop."
    if "walsender" in roles:
        yield "The stop waited for a standby that did not confirm the last WAL; wal_sender_timeout limits this wait."
    if "archiver" in roles:
        yield "The stop waited for the archiver; check archive_command."
    if not roles - {"checkpointer"} and "checkpointer" in roles:
        yield "The stop waited for the shutdown checkpoint."


def _read(pid: int) -> t.Optional[ServerProcess]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        line = stream.read()
    state = _STATE.search(line)
    if "(postgres)" not in line or (state and state[1] == "Z"):
        return None
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
        title = stream.read().replace("\0", " ").strip()
    return ServerProcess(pid, title, bool(state and state[1] == _FROZEN))
