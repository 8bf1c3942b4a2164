# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs our modules as Ansible does: a process of their own, arguments on standard input."""

from __future__ import annotations

import functools
import json
import os
import signal
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
