# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts and asks the processes that fork for each run, tests/support/runner/warm.py."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tests.support.runner.run import start_run

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs warm processes, as which user, and where that user finds this package."""

    python: Path = Path(sys.executable)
    root: Path = ROOT
    user: int | None = None
    group: int | None = None

    @property
    def identity(self) -> dict[str, t.Any]:
        return {} if self.user is None else {"user": self.user, "group": self.group, "extra_groups": []}


class WarmServer:
    """A process that has loaded the imports of its program and runs it in children."""

    def __init__(self, program: str, environment: t.Mapping[str, str], by: Interpreter) -> None:
        self._folder = tempfile.mkdtemp(prefix="lifeline-warm-", dir="/tmp")
        self.path = f"{self._folder}/runs"
        # The end of this process closes its end of the pipe, also when it is killed.
        alive, self._writer = os.pipe()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
            listening.listen(64)
            if by.user is not None:
                os.chown(self._folder, by.user, -1)
                os.chown(self.path, by.user, -1)
            self._process = subprocess.Popen(
                [str(by.python), str(by.root / "tests/support/runner" / program), str(alive)],
                stdin=listening.fileno(), stdout=subprocess.DEVNULL, pass_fds=[alive], cwd=self._folder, **by.identity,
                env={**environment, "PYTHONPATH": os.pathsep.join([str(by.root), environment.get("PYTHONPATH", "")])},
            )  # fmt: skip
        os.close(alive)
        atexit.register(self._end)

    def start(self, run: t.Mapping[str, t.Any], files: t.Sequence[int]) -> socket.socket:
        """Start a run with these standard files. The exit status is what the connection receives."""
        return socket.socket(fileno=start_run(self.path, dict(run), files).detach())

    def _end(self) -> None:
        os.close(self._writer)
        self._process.wait()
        shutil.rmtree(self._folder)
