# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs our modules as Ansible does: a process of their own, arguments on standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ModuleFailed(Exception):
    """A module that ended with failed; result is what it returned."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg", result))
        self.result = result


def run_module(name: str, arguments: t.Mapping[str, t.Any], *, check_mode: bool = False) -> dict[str, t.Any]:
    """The result of a module. Raises ModuleFailed when it failed."""
    with start_module(name, arguments, check_mode=check_mode) as process:
        output, errors = process.communicate()
    return parse_result(output, errors)


def start_module(name: str, arguments: t.Mapping[str, t.Any], *, check_mode: bool = False) -> subprocess.Popen[bytes]:
    """The running process of a module, for tests that kill it or look at it."""
    process = subprocess.Popen(
        [sys.executable, str(tree() / "ansible_collections/lifeline/recovery/plugins/modules" / f"{name}.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tree()), os.environ.get("PYTHONPATH", "")])},
        start_new_session=True,
        # Where tests run in the background an interruption is ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    given = {**arguments, "_ansible_check_mode": check_mode, "_ansible_remote_tmp": "/tmp"}
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
    process.stdin.close()
    process.stdin = None
    return process


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
