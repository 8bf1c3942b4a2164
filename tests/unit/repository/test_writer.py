# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The space that a set uses in its store."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.commit import sizes_of
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.sets import NOW, back_up


def sizes(store: DirectoryStore, folder: Path, contents: list[bytes]) -> dict[str, int]:
    folder.mkdir(exist_ok=True)
    with SetWriter(store, "school", "daily", codec="none", parallel=1) as writer:
        for number, content in enumerate(contents):
            (folder / f"{number}.dat").write_bytes(content)
            writer.add(str(folder), f"{number}.dat", "data")
        return sizes_of(writer.finish())


def test_an_object_that_two_files_share_is_counted_once(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    found = sizes(store, tmp_path / "files", [b"same", b"same", b"other"])
    held = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert found == {"plain": 13, "stored": held, "uploaded": held, "reused": 0}
    assert held == 9


def test_content_of_the_tier_is_reused_and_counted(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    back_up(store, tmp_path / "files", NOW, ["same"])
    found = sizes(store, tmp_path / "files", [b"same", b"same", b"other"])
    assert found == {"plain": 13, "stored": 9, "uploaded": 5, "reused": 4}
