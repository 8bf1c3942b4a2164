# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has loaded imports and forks for each run; tests/support/runner/server.py starts it.

Its standard input is the socket that it listens on. A client connects, sends three files that become the run's standard
ones, then the run (tests/support/runner/run.py), and receives the exit status as one byte. If the run is announced, the
number of its process comes first, in four bytes. A run that crashed sends no status. The process ends when the pipe
whose number is its first argument has no writer.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import pkgutil
import resource
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import typing as t

from tests.support.runner.run import LIMITS

_Run = dict[str, t.Any]


def serve(run: t.Callable[[_Run], None]) -> None:
    """Fork for each connection and run it in the child."""
    listening, alive = socket.socket(fileno=os.dup(0)), int(sys.argv[1])
    # A collection of garbage in a child would copy the memory that it shares with this process.
    gc.freeze()
    # The kernel reaps children that a parent ignores. An interruption ends the client, and this process with it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while alive not in select.select([listening, alive], [], [])[0]:
        connection, _address = listening.accept()
        if os.fork() == 0:
            listening.close()
            os.close(alive)
            _end(connection, _status(run, _entered(connection)))
        connection.close()


def _entered(connection: socket.socket) -> _Run:
    """Receive the run and become what a new process with its environment would be."""
    _byte, files, _flags, _address = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as sent:
        run: _Run = marshal.load(sent)
    os.setsid()
    if run.get("announced"):
        connection.sendall(os.getpid().to_bytes(4, "big"))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, number in LIMITS.items():
        resource.setrlimit(number, run["limits"][name])
    os.umask(run["umask"])
    os.chdir(run["cwd"])
    os.environ.clear()
    os.environ.update(run["environment"])
    time.tzset()
    tempfile.tempdir = None
    return run


def _status(run: t.Callable[[_Run], None], given: _Run) -> int:
    try:
        run(given)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(connection: socket.socket, status: int) -> t.NoReturn:
    """End as Python does, except that objects are not freed: that would copy the shared memory."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status & 255]))
    os._exit(status & 255)


def _load_modules() -> None:
    from ansible.module_utils._internal._ansiballz import _loader  # noqa: F401

    from ansible_collections.lifeline.recovery.plugins import module_utils

    for found in pkgutil.walk_packages(module_utils.__path__, f"{module_utils.__name__}."):
        importlib.import_module(found.name)


def _run_module(run: _Run) -> None:
    sys.argv = [run["module"]]
    if "parameters" in run:
        from ansible.module_utils._internal._ansiballz import _loader

        _loader.run_module(
            json_params=run["parameters"].encode(), profile=run["profile"], module_fqn=run["module"],
            modlib_path="", extensions={},
        )  # fmt: skip
    else:
        runpy.run_module(run["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _load_modules()
    serve(_run_module)
