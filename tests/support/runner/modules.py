# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs our modules as Ansible does: a process of their own, arguments on standard input."""

from __future__ import annotations

import atexit
import functools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


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
        output = _warm().run(_program(name), given.fileno(), errors.fileno())
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


class _Warm:
    """Runs modules in children of a process that has loaded their imports, tests/support/runner/warm.py."""

    def __init__(self) -> None:
        self._ask, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/support/runner/warm.py")], stdin=theirs.fileno(), env=_with_tree()
        )
        theirs.close()
        atexit.register(self._end)

    def run(self, program: str, given: int, errors: int) -> bytes:
        """What a run printed; it has ended, and so has all that it started and that could still print."""
        # What a child of our own would inherit.
        inherited = {"cwd": os.getcwd(), "largest_file": resource.getrlimit(resource.RLIMIT_FSIZE)}
        message = json.dumps({"module": program, "environment": _with_tree(), **inherited}).encode()
        ours, theirs = os.pipe()
        with open(ours, "rb") as output:
            try:
                socket.send_fds(self._ask, [message], [given, theirs, errors])
            finally:
                os.close(theirs)
            return output.read()

    def _end(self) -> None:
        self._ask.close()
        self._process.wait()


@functools.lru_cache(maxsize=None)
def _warm() -> _Warm:
    return _Warm()


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
