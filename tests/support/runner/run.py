# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends runs to tests/support/runner/warm.py. Each task of a playbook imports this file.

Its imports take 1 ms; those of json, socket and typing take 15 ms.
"""

from __future__ import annotations

import _socket
import array
import marshal
import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

LIMITS = {"largest_file": resource.RLIMIT_FSIZE, "open_files": resource.RLIMIT_NOFILE}


def describe_run(**program: t.Any) -> dict[str, t.Any]:
    """Describe the state that a child of this process inherits, and the program to run."""
    umask = os.umask(0)
    os.umask(umask)
    limits = {name: resource.getrlimit(number) for name, number in LIMITS.items()}
    return {"cwd": os.getcwd(), "environment": dict(os.environ), "umask": umask, "limits": limits, **program}


def start_run(path: str, run: dict[str, t.Any], files: t.Sequence[int]) -> _socket.socket:
    """Start a run with these standard files. The connection receives the exit status as one byte."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendmsg([b"-"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", files))])
    connection.sendall(marshal.dumps(run))
    connection.shutdown(_socket.SHUT_WR)
    return connection


def run_task(path: str, module: str, profile: str, parameters: str) -> t.NoReturn:
    """Run the module of a task as the process that Ansible started for it."""
    run = describe_run(module=module, profile=profile, parameters=parameters)
    status = start_run(path, run, [0, 1, 2]).recv(1)
    os._exit(status[0] if status else 1)
