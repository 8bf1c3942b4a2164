# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that the documentation gives do what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.doubles.modules import ROOT, run_module
from tests.doubles.postgres import PostgresServer
from tests.doubles.school import load_school


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_a_set_is_restored_by_hand(
    postgres: PostgresServer, database: str, folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    load_school(postgres, database)
    taken = run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    page = (ROOT / "docs/restore-by-hand.md").read_text(encoding="utf-8")
    commands = re.search(r"```bash\n(.*?)```", page, re.DOTALL)
    assert commands is not None
    target = f"{database}_by_hand"
    options = postgres.options("postgres").environment()
    options.pop("PGDATABASE")
    environment = {
        **options,
        "PATH": f"{postgres.bin_dir}:{os.environ['PATH']}",
        "STORE": folder_store["path"],
        "SOURCE": "school",
        "WORK": str(tmp_path / "work"),
        "TARGET": target,
    }
    command = ["bash", "-c", commands.group(1)]
    (tmp_path / "work").mkdir()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    checked = run_module(
        "integrity_check",
        {
            "source": "school",
            "set": taken["set_id"],
            "store": folder_store,
            "checks": [{"type": "fingerprint"}, {"type": "foreign_keys"}],
            **postgres.module_options(target),
        },
    )
    assert checked["verdict"] == "passed"
    postgres.drop_database(target)
    largest = max(Path(folder_store["path"]).rglob("objects/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)
    shutil.rmtree(tmp_path / "work")
    (tmp_path / "work").mkdir()
    assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode != 0
    with postgres.session() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", (target,))
        assert cursor.fetchone() == (0,)
