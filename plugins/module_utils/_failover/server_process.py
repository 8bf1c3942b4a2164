# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of the server of a data directory, which may outlive the postmaster and its pid file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import typing as t

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
    found = []
    for entry in os.listdir("/proc"):
        # A process may end while it is read.
        with contextlib.suppress(OSError):
            if entry.isdigit() and os.path.samestat(os.stat(f"/proc/{entry}/cwd"), wanted):
                process = _read(int(entry))
                if process is not None:
                    found.append(process)
    return found


def postmaster_status(data_dir: str) -> str:
    """C(starting), C(ready), C(standby) or C(stopping), as the postmaster writes it; empty if it does not run.

    A standby that accepts sessions is ready as well. The file of a postmaster that was killed stays.
    """
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
        if not os.path.samestat(os.stat(f"/proc/{int(lines[0])}/cwd"), os.stat(data_dir)):
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
