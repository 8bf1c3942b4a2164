# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs playbooks as an operator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.support.runner.modules import ROOT, tree


def play(name: str, variables: dict[str, t.Any], folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection, or a file, with variables from a private file; its output is in the result."""
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(ROOT / "inventories/sandbox"),
         name if "/" in name else f"lifeline.recovery.{name}", "-e", f"@{file}", *extra],
        capture_output=True, text=True, check=False, cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(tree()),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        },
    )  # fmt: skip
