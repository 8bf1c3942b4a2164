# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes small backup sets into a store."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant, format_instant
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.manifest import Manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

MADE = format_instant(NOW)

EMPTY = Manifest(
    "", "school", "daily", "postgresql-rows", MADE, None, MADE, MADE, "1.0.0", {}, {}, (), None, {},
    {"plain": 0, "stored": 0}, {},
)  # fmt: skip


def back_up(store: DirectoryStore, folder: Path, at: datetime, contents: t.Sequence[str]) -> Manifest:
    """A set of small files, whose objects and manifest are as old as it."""
    folder.mkdir(exist_ok=True)

    def nothing() -> None:
        """The writer raises what failed when it is asked for the result."""

    with SetWriter(store, "school", "daily", codec="none", level=None, parallel=1, on_failure=nothing) as writer:
        for number, content in enumerate(contents):
            (folder / f"{number}.dat").write_text(content)
            writer.add(str(folder), f"{number}.dat", "globals")
        entries = tuple(item.entry for item in writer.finish())
        manifest = writer.commit(
            replace(EMPTY, set_id=compact_instant(at), recovery_point=format_instant(at), objects=entries)
        )
    for path in Path(store.location).rglob("*"):
        if path.is_file() and path.stat().st_mtime > NOW.timestamp() + 1:
            os.utime(path, (at.timestamp(), at.timestamp()))
    return manifest
