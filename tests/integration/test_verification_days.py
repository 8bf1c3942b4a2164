# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A month of sets: a day without one is found, and a random set is restored and compared."""

from __future__ import annotations

import sqlite3
import typing as t
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite import backup
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module

Options = dict[str, t.Any]
Month = t.Callable[..., list[str]]


@pytest.fixture
def month(folder_store: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Month:
    """Takes a set of studio at this time of so many days ago, for each of them; gives their days."""
    made = sqlite3.connect(tmp_path / "studio.sqlite")
    made.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES ('a'), (2), (NULL)")
    made.close()
    now = utc_now()

    def take(ago: t.Iterable[int], tier: str = "daily") -> list[str]:
        days = []
        for back in ago:
            at: datetime = now - timedelta(days=back)
            monkeypatch.setattr(backup, "utc_now", lambda at=at: at)
            engine, store = FileEngine(str(tmp_path / "studio.sqlite")), DirectoryStore(folder_store["path"])
            back_up(backup.SqliteBackup(engine, backup.SqliteBackupRequest("studio", tier=tier)), store)
            engine.close()
            days.append(at.date().isoformat())
        return days

    return take


def missing(store: Options, **options: t.Any) -> t.Any:
    return run_module("backup_info", {"source": "studio", "store": store, "days": 30, **options})["sources"][0][
        "missing_days"
    ]


def verified(folder_store: Options, folder: Path, **more: t.Any) -> tuple[bool, str]:
    variables = {"recovery_source": "studio", "recovery_store": folder_store, "verify_level": "monthly", **more}
    done = play("verify", variables, folder)
    return done.returncode == 0, done.stdout + done.stderr


def test_a_month_without_a_gap_passes_and_one_with_a_gap_fails(
    month: Month, folder_store: Options, tmp_path: Path
) -> None:
    newest = date.fromisoformat(month([*range(31, 20, -1), *range(18, 8, -1), *range(7, -1, -1)])[-1])
    # Before the week that the recovery point objective is judged in, and for most of a month in the month before.
    passed, returned = verified(folder_store, tmp_path)
    gap = [(newest - timedelta(days=back)).isoformat() for back in (20, 19, 8)]
    assert not passed
    assert f"there is no backup set of {', '.join(gap)}. Find out why" in " ".join(returned.split()), returned
    assert "longest gap" not in returned
    # Asked for less than where the gap is, or for nothing.
    assert verified(folder_store, tmp_path, recovery_days_present=8)[0]
    sources = [{"name": "studio", "days_present": 0}, {"name": "nobody"}]
    assert verified(folder_store, tmp_path, recovery_sources=sources)[0]
    assert verified(folder_store, tmp_path, verify_level="weekly")[0]
    month([20, 19, 8])
    passed, returned = verified(folder_store, tmp_path)
    assert passed, returned
    assert "was chosen by the seed" in returned


def test_a_young_source_a_weekly_one_and_a_broken_set(month: Month, folder_store: Options, tmp_path: Path) -> None:
    month([7], "weekly")
    assert missing(folder_store) is None
    (first, broken, _last) = month([2, 1, 0])
    assert len(missing(folder_store)) == 4
    assert missing(folder_store, tier="daily") == []
    assert missing(folder_store, tier="daily", days=0) is None
    (manifest,) = Path(folder_store["path"]).glob(f"studio/daily/sets/{broken.replace('-', '')}T*.json")
    manifest.write_text("{}")
    assert missing(folder_store, tier="daily") == [broken]
    assert first < broken
    with pytest.raises(ModuleFailed, match="days is negative"):
        missing(folder_store, days=-1)
