# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook in the process that has loaded Ansible does and prints what the command does."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.support.playbooks import command_environment, play
from tests.support.runner.server import ROOT

SHELL = "umask; ulimit -n; pwd; env | grep -v -e ^_= -e ^SHLVL= -e ^PWD= -e ^OLDPWD= | sort; stat -Lc %F /dev/stdin"
PLAYBOOK = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": {"ansible.builtin.file": {"mode": "0640"}},
        "tasks": [
            {"ansible.builtin.shell": {"cmd": SHELL}, "environment": {"OF_THE_TASK": "'quoted'"}, "register": "shell"},
            {"ansible.builtin.copy": {"content": "{{ mine }}", "dest": "written"}},
            {"ansible.builtin.file": {"path": "made", "state": "directory"}, "diff": True},
            {"ansible.builtin.debug": {"msg": "{{ [shell.stdout_lines, lookup('env', 'mine')] }}"}},
            {"ansible.builtin.set_fact": {"kept": True}, "no_log": True},
            {"lifeline.recovery.validate_plan": {"plan": {"version": "{{ mine }}"}}, "ignore_errors": True},
            {
                "lifeline.recovery.recovery_status": {"source": "x", "engine": "none", "stroe": {}},
                "ignore_errors": True,
            },
            {"ansible.builtin.fail": {"msg": "{{ undefined_variable }}"}},
        ],
    }
]


def test_a_warm_run_equals_the_command_and_leaks_nothing_into_the_next(tmp_path, monkeypatch) -> None:
    folder, file = tmp_path / "here", str(tmp_path / "here/plays/site.yml")
    program = str(Path(sys.executable).parent / "ansible-playbook")

    def command(given: dict[str, str]) -> subprocess.CompletedProcess[str]:
        variables = folder / "variables.json"
        variables.write_text(json.dumps(given))
        return subprocess.run(
            [program, "-i", str(ROOT / "inventories/sandbox"), file, "-e", f"@{variables}"],
            capture_output=True, text=True, check=False, cwd=folder, env=command_environment(),
        )  # fmt: skip

    def state_after(run: t.Callable[[dict[str, str]], subprocess.CompletedProcess[str]]) -> tuple[t.Any, ...]:
        (folder / "plays").mkdir(parents=True)
        Path(file).write_text(json.dumps(PLAYBOOK))
        done = run(given)
        files = {str(path.relative_to(folder)): path.stat().st_mode for path in folder.rglob("*")}
        shutil.rmtree(folder)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), files

    mask = os.umask(0o027)
    try:
        for given in ({"mine": "first"}, {}):
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            expected, seen = state_after(command), state_after(lambda variables: play(file, variables, folder))
            assert "\n".join(difflib.unified_diff(expected[1], seen[1], n=1)) == ""
            assert expected == seen
            assert expected[0] == 2
            monkeypatch.undo()
    finally:
        os.umask(mask)
