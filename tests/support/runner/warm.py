# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has loaded what modules import and forks for each run, which saves every run half a second.

Reads from the socket that is its standard input: one message a run, JSON with C(module), C(cwd), C(environment) and
C(largest_file), the limits of a file's size, and the three files that become the run's standard ones. It ends when the
socket does.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import sys

from ansible_collections.lifeline.recovery.plugins import module_utils

_LONGEST = 1 << 20


def _load() -> None:
    for found in pkgutil.walk_packages(module_utils.__path__, f"{module_utils.__name__}."):
        importlib.import_module(found.name)


def _next_run(asked: socket.socket) -> str:
    """Returns in a child, with the name of the module that the child runs."""
    while True:
        message, files, _flags, _sender = socket.recv_fds(asked, _LONGEST, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    run = json.loads(message)
    os.setsid()
    asked.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, run["largest_file"])
    os.chdir(run["cwd"])
    os.environ.clear()
    os.environ.update(run["environment"])
    return str(run["module"])


if __name__ == "__main__":
    _load()
    # The dead need no funeral: nobody asks for how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.argv = [_next_run(socket.socket(fileno=os.dup(0)))]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
