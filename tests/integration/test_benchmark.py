# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark runs, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.modules import ROOT


@pytest.mark.slow
def test_the_benchmark_measures_every_contender(tmp_path: Path) -> None:
    output = tmp_path / "benchmark.json"
    command = [
        sys.executable,
        "-m",
        "tests.benchmark.run",
        "--scale",
        "0.005",
        "--rounds",
        "1",
        "--output",
        str(output),
    ]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(output.read_text())
    assert {"ours, full fingerprint", "ours, proved equal", "pg_restore -j2"} <= set(document["results"])
    assert document["ratios"]["backup with full fingerprint / the plan's way"] > 0
    (changed,) = document["results"]["ours, one table changed"]
    assert changed["uploaded"] < changed["stored"]
