# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs our modules as Ansible does: a process of their own, arguments on standard input."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from tests.support.runner.run import describe_run
from tests.support.runner.server import Interpreter, WarmServer


class ModuleFailed(Exception):
    """A module that ended with failed; result is what it returned."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg", result))
        self.result = result


def run_module(name: str, arguments: t.Mapping[str, t.Any], *, check_mode: bool = False) -> dict[str, t.Any]:
    """The result of a module. Raises ModuleFailed when it failed."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(_input(arguments, check_mode))
        given.seek(0)
        output = _run_warm(_program(name), given.fileno(), errors.fileno())
        errors.seek(0)
        return parse_result(output, errors.read())


def start_module(name: str, arguments: t.Mapping[str, t.Any], *, check_mode: bool = False) -> subprocess.Popen[bytes]:
    """The running process of a module, for tests that kill it or look at it."""
    process = subprocess.Popen(
        [sys.executable, "-m", _program(name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_with_tree(),
        start_new_session=True,
        # Where tests run in the background an interruption is ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin is not None
    process.stdin.write(_input(arguments, check_mode))
    process.stdin.close()
    process.stdin = None
    return process


class WarmProcess:
    """A module in a child of the warm process, with the parts of Popen that tests use.

    Its time is that of the module: a new process takes a second of processor time to import what the module needs.
    """

    def __init__(self, name: str, arguments: t.Mapping[str, t.Any]) -> None:
        run = describe_run(module=_program(name), announced=True)
        run["environment"] = _with_tree()
        self._output, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as given:
            given.write(_input(arguments, check_mode=False))
            given.seek(0)
            files = [given.fileno(), self._output.fileno(), self._errors.fileno()]
            self._connection = module_server(str(tree())).start(run, files)
        self.pid = int.from_bytes(self._connection.recv(4, socket.MSG_WAITALL), "big")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, or None while the module runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def kill(self, *, group: bool = False) -> None:
        """Kill the module, or its process group, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            status = self._connection.recv(1)
            # The end of a killed process closes the connection without a status.
            self.returncode = status[0] if status else -signal.SIGKILL
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        self.wait(timeout)
        self._connection.close()
        printed = []
        for file in (self._output, self._errors):
            with file:
                file.seek(0)
                printed.append(file.read())
        return printed[0], printed[1]


@functools.lru_cache(maxsize=None)
def module_server(collections: str, by: Interpreter = Interpreter()) -> WarmServer:  # noqa: B008
    """The process that runs the modules of these collections, also those of tasks of playbooks."""
    others = os.environ if by.user is None else {}
    path = os.pathsep.join([collections, others.get("PYTHONPATH", "")])
    return WarmServer("warm.py", {**others, "PYTHONPATH": path}, by)


def _run_warm(program: str, given: int, errors: int) -> bytes:
    """The output of a run; it has ended, and so has every process that it started and that could still print."""
    run = describe_run(module=program)
    run["environment"] = _with_tree()
    ours, theirs = os.pipe()
    with open(ours, "rb") as output:
        try:
            connection = module_server(str(tree())).start(run, [given, theirs, errors])
        finally:
            os.close(theirs)
        with connection:
            return output.read()


def _program(name: str) -> str:
    """The name of a module for Python, because modules import relatively."""
    return f"ansible_collections.lifeline.recovery.plugins.modules.{name}"


def _input(arguments: t.Mapping[str, t.Any], check_mode: bool) -> bytes:
    given = {**arguments, "_ansible_check_mode": check_mode, "_ansible_remote_tmp": "/tmp"}
    return json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()


def _with_tree() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree()), os.environ.get("PYTHONPATH", "")])}


def tree() -> Path:
    """Where Ansible finds the collection."""
    import ansible_collections.lifeline.recovery as collection

    return Path(next(iter(collection.__path__))).parents[2]


def parse_result(output: bytes, errors: bytes) -> dict[str, t.Any]:
    try:
        result = t.cast("dict[str, t.Any]", json.loads(output))
    except ValueError:
        raise AssertionError(f"the module printed no result: {output.decode()}\n{errors.decode()}") from None
    if result.get("failed"):
        raise ModuleFailed(result)
    return result
