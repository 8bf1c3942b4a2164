# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmarks run, small, as make starts them. Their measurements are not judged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.benchmark.d1 import find_wrangler
from tests.support.runner.server import ROOT

pytestmark = pytest.mark.slow


def run_target(target: str, output: Path, *variables: str, arguments: str = "") -> tuple[dict[str, t.Any], str]:
    """The JSON and the printed text of a benchmark, run by make with this interpreter instead of a new one."""
    make = shutil.which("make")
    assert make is not None, "make is not installed"
    # The Makefile makes paths of BIN by putting the folder of the repository before it.
    programs = os.path.relpath(Path(sys.executable).parent, ROOT)
    command = [make, "--no-print-directory", "-o", ".venv/dev", target, f"BIN={programs}"]
    command += [*variables, f"ARGS=--output {output} {arguments}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(output.read_text()), done.stdout


def test_benchmark_measures_every_contender(tmp_path: Path) -> None:
    document, printed = run_target("benchmark", tmp_path / "out.json", "SCALE=0.005", "ROUNDS=1")
    assert {"lifeline, full fingerprint", "lifeline, proved equal", "pg_restore -j2"} <= set(document["results"])
    assert document["ratios"]["backup with full fingerprint / the plan's way"] > 0
    (changed,) = document["results"]["lifeline, one table changed"]
    assert changed["uploaded"] < changed["stored"]
    measured = any(name.startswith("pgBackRest") for name in document["results"])
    assert measured or "pgBackRest is not installed" in printed


def test_bucketbenchmark_reads_only_the_changed_files_of_a_store_without_etags(tmp_path: Path) -> None:
    document, _printed = run_target("bucketbenchmark", tmp_path / "out.json", "FILES=400")
    files = {name: row["files"] for name, row in document["results"].items() if name.startswith("lifeline")}
    assert files == {"lifeline, first backup": 400, "lifeline, 10 changed": 10, "lifeline, one prefix restored": 2}
    assert len(document["ratios"]) == 3


def test_d1benchmark_backs_up_and_restores_with_wrangler_left_out(tmp_path: Path) -> None:
    document, printed = run_target("d1benchmark", tmp_path / "out.json", "ROWS=1000", arguments="--skip wrangler")
    assert set(document["results"]) == {"lifeline, backup of all", "lifeline, restore of all"}
    assert all(row["status"] == 0 for row in document["results"].values())
    assert "wrangler is left out, as --skip demands" in printed


def test_d1benchmark_names_a_missing_wrangler_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_wrangler(tmp_path, 1) is None
    printed = capsys.readouterr().out
    assert "wrangler is left out: " in printed
    assert " is not installed" in printed
