# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs playbooks as an operator does."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import tempfile
import typing as t
from pathlib import Path

from tests.support.runner.modules import module_server, tree
from tests.support.runner.run import describe_run
from tests.support.runner.server import ROOT, Interpreter, WarmServer

# Ansible reads its settings while it is imported.
_SETTINGS = ("ANSIBLE_", "PYTHON", "LC_", "LANG", "HOME", "USER", "TERM", "COLUMNS", "NO_COLOR", "PAGER", "EDITOR")


def play(name: str, variables: dict[str, t.Any], folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection, or a file, with variables from a private file; its output is in the result."""
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    return run_playbook(
        ["-i", str(ROOT / "inventories/sandbox"), name if "/" in name else f"lifeline.recovery.{name}",
         "-e", f"@{file}", *extra],
        folder,
        command_environment(),
    )  # fmt: skip


class Killed(Exception):
    """The playbook was killed before the task that was named."""


@contextlib.contextmanager
def killed_at_task(name: str) -> t.Iterator[None]:
    """Kill each playbook that is run within this block where the task begins; requires that one is killed."""
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/support/callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "killed_at_task",
        "LIFELINE_TEST_KILLED_AT": name,
    }
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    except Killed:
        pass
    else:
        raise AssertionError(f"The task {name!r} did not begin.")
    finally:
        for key, old in before.items():
            if old is None:
                del os.environ[key]
            else:
                os.environ[key] = old


def command_environment() -> dict[str, str]:
    """The environment of the tests, with the settings by which Ansible finds the collection."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tree()),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }


def run_playbook(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    by: Interpreter = Interpreter(),  # noqa: B008
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook in a folder, as `subprocess.run` does, in a process that has loaded Ansible.

    The collections are those of ANSIBLE_COLLECTIONS_PATH, and no file of them changes after the first run.
    """
    settings = tuple(sorted((name, value) for name, value in environment.items() if name.startswith(_SETTINGS)))
    program = [str(by.python.parent / "ansible-playbook"), *arguments]
    run = {
        **describe_run(arguments=program, tasks=module_server(environment["ANSIBLE_COLLECTIONS_PATH"], by).path),
        "cwd": str(folder),
        "environment": environment,
    }
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with _server(settings, by).start(run, [0, output.fileno(), errors.fileno()]) as connection:
            status = connection.recv(1)
        output.seek(0)
        errors.seek(0)
        printed, complained = output.read().decode(), errors.read().decode()
    if not status and "LIFELINE_TEST_KILLED_AT" in environment:
        raise Killed
    if not status:
        raise AssertionError(f"ansible-playbook crashed: {printed}{complained}")
    return subprocess.CompletedProcess(program, status[0], printed, complained)


@functools.lru_cache(maxsize=None)
def _server(settings: tuple[tuple[str, str], ...], by: Interpreter) -> WarmServer:
    return WarmServer("warm_playbooks.py", {**dict(settings), "PATH": os.environ["PATH"]}, by)
