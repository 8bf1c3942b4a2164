# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source has sets of one kind only."""

from __future__ import annotations

import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]
KINDS = {
    "pg_backup": "a PostgreSQL database",
    "bucket_backup": "the files of a bucket",
    "d1_backup": "a database of SQLite or D1",
}


@pytest.fixture
def backups(postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path) -> dict[str, Options]:
    """The options of a backup of each kind, all of one source."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/a").write_text("a")
    with sqlite3.connect(tmp_path / "file.sqlite") as file:
        file.execute("CREATE TABLE a(id INTEGER PRIMARY KEY)")
    common = {"source": "media", "store": folder_store}
    return {
        "pg_backup": {**postgres.module_options(), "login_db": database, **common},
        "bucket_backup": {"files": {"provider": "directory", "path": str(tmp_path / "files")}, **common},
        "d1_backup": {"path": str(tmp_path / "file.sqlite"), **common},
    }


@pytest.mark.parametrize("first", KINDS)
def test_a_source_keeps_its_kind(backups: dict[str, Options], first: str, folder_store: Options) -> None:
    run_module(first, backups[first])
    for other in KINDS:
        if other != first:
            # Also in a tier of its own, where no set of the kind is to be found.
            with pytest.raises(
                ModuleFailed, match=f"has sets of {KINDS[first]}, and this is a backup of {KINDS[other]}"
            ):
                run_module(other, {**backups[other], "tier": "weekly"})
    assert len(list(Path(folder_store["path"]).glob("media/*/sets/*.json"))) == 1
    run_module(first, backups[first])
