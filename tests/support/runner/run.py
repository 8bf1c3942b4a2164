# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends runs to tests/support/runner/warm.py. Imports little, because each task of a playbook imports it."""

from __future__ import annotations

import json
import os
import resource
import socket
import typing as t

LIMITS = {"largest_file": resource.RLIMIT_FSIZE, "open_files": resource.RLIMIT_NOFILE}


def describe_run(**program: t.Any) -> dict[str, t.Any]:
    """Describe the state that a child of this process inherits, and the program to run."""
    umask = os.umask(0)
    os.umask(umask)
    limits = {name: resource.getrlimit(number) for name, number in LIMITS.items()}
    return {"cwd": os.getcwd(), "environment": dict(os.environ), "umask": umask, "limits": limits, **program}


def start_run(path: str, run: t.Mapping[str, t.Any], files: t.Sequence[int]) -> socket.socket:
    """Start a run with these standard files. The connection receives the exit status as one byte."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    socket.send_fds(connection, [b"-"], files)
    connection.sendall(json.dumps(run).encode())
    connection.shutdown(socket.SHUT_WR)
    return connection


def run_task(path: str, module: str, profile: str, parameters: str) -> t.NoReturn:
    """Run the module of a task as the process that Ansible started for it."""
    run = describe_run(module=module, profile=profile, parameters=parameters)
    with start_run(path, run, [0, 1, 2]) as connection:
        status = connection.recv(1)
    os._exit(status[0] if status else 1)
