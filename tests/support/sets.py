# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes small backup sets into a store."""

from __future__ import annotations

import os
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.commit import SetFacts
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import Manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def no_facts(at: datetime) -> SetFacts:
    """The facts of a set of which only the recovery point matters."""
    return SetFacts("postgresql-rows", recovery_point=at, began=at, server={}, coverage={})


def back_up(store: DirectoryStore, folder: Path, at: datetime, contents: t.Sequence[str]) -> Manifest:
    """A set of small files, whose objects and manifest are as old as it."""
    folder.mkdir(exist_ok=True)
    with SetWriter(store, "school", "daily", codec="none", parallel=1) as writer:
        for number, content in enumerate(contents):
            (folder / f"{number}.dat").write_text(content)
            writer.add(str(folder), f"{number}.dat", "globals")
        manifest = writer.commit(no_facts(at), {})
    for path in Path(store.location).rglob("*"):
        if path.is_file() and path.stat().st_mtime > NOW.timestamp() + 1:
            os.utime(path, (at.timestamp(), at.timestamp()))
    return manifest
