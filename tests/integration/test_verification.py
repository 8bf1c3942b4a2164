# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A verification works on full backup sets, whatever safety copies lie beside them, and fails when it has none."""

from __future__ import annotations

import sqlite3
import time
import typing as t
from pathlib import Path

import pytest

from tests.support.operator import Operator
from tests.support.runner.modules import run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

LEVELS = ("daily", "weekly", "monthly")
#: All levels in one run, because a run of Ansible takes longer than a verification.
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Verify at each level
      ansible.builtin.include_role:
        name: lifeline.recovery.verify
      vars:
        verify_level: "{{ level }}"
      loop: [daily, weekly, monthly]
      loop_control:
        loop_var: level
"""


class Estate:
    """A database, a bucket and a D1 database, with one store."""

    def __init__(self, postgres: PostgresServer, database: str, store: Options, folder: Path) -> None:
        self.postgres, self.database, self.store, self.folder = postgres, database, store, folder
        self.login = {**postgres.module_options(), "login_db": database}
        self.files = {"provider": "directory", "path": str(folder / "files")}
        self.file = str(folder / "studio.sqlite")
        with postgres.session(database) as cursor:
            cursor.execute("CREATE TABLE public.t (id int PRIMARY KEY, x text); INSERT INTO public.t VALUES (1, 'a')")
        (folder / "files").mkdir()
        (folder / "files/first").write_text("first")
        made = sqlite3.connect(self.file)
        made.executescript("CREATE TABLE tenants (id TEXT PRIMARY KEY, x); INSERT INTO tenants VALUES ('a', 1)")
        made.close()

    def back_up(self, tier: str) -> dict[str, str]:
        """The ids of the sets by source."""
        shared = {"store": self.store, "tier": tier}
        return {
            "school": run_module("pg_backup", {**self.login, **shared, "source": "school"})["set_id"],
            "media": run_module("bucket_backup", {**shared, "source": "media", "files": self.files})["set_id"],
            "studio": run_module("d1_backup", {**shared, "source": "studio", "path": self.file})["set_id"],
        }

    def restore_rows(self) -> None:
        """Damage a row of each source and restore it, which leaves undo sets of rows."""
        with self.postgres.session(self.database) as cursor:
            cursor.execute("UPDATE public.t SET x = 'damaged'")
        shared = {"store": self.store, "reason": "a test", "recovery_environment": "sandbox"}
        done = run_module(
            "pg_restore_table",
            {
                **self.login,
                **shared,
                "source": "school",
                "mode": "merge",
                "keys": {"public.t": [1]},
                "recovery_confirm": self.database,
            },
        )
        assert done["undo"]
        self.damage_files()
        made = sqlite3.connect(self.file)
        made.executescript("UPDATE tenants SET x = 2")
        made.close()
        tenant = {"table": "tenants", "keys": ["a"]}
        done = run_module(
            "d1_restore_rows",
            {
                "store": self.store,
                "reason": "a test",
                "source": "studio",
                "path": self.file,
                "tenant": tenant,
                "mode": "merge",
                "recovery_confirm": self.file,
            },
        )
        assert done["undo"]

    def damage_files(self) -> None:
        (self.folder / "files/first").write_text("damaged")
        done = run_module(
            "bucket_restore",
            {
                "store": self.store,
                "source": "media",
                "mode": "all",
                "files": self.files,
                "recovery_confirm": self.files["path"],
            },
        )
        assert done["undo"]

    def restore_in_place(self) -> None:
        """Restore each source in place, which leaves undo sets of whole sources."""
        shared = {"store": self.store, "mode": "in_place"}
        run_module(
            "pg_restore",
            {**self.login, **shared, "source": "school", "target_db": self.database, "recovery_confirm": self.database},
        )
        self.damage_files()
        run_module("d1_restore", {**shared, "source": "studio", "path": self.file, "recovery_confirm": self.file})


@pytest.fixture
def estate(postgres: PostgresServer, database: str, store: Options, tmp_path: Path) -> Estate:
    return Estate(postgres, database, store, tmp_path)


def verified(operator: Operator, estate: Estate, **more: t.Any) -> str:
    sources = [{"name": "school"}, {"name": "media"}, {"name": "studio"}]
    operator.write("levels.yml", "")
    (operator.home / "levels.yml").write_text(PLAYBOOK)
    done = operator.play(
        str(operator.home / "levels.yml"),
        inventory={"recovery_sources": sources, "recovery_store": estate.store, **more},
    )
    return f"rc={done.returncode}\n" + " ".join(done.stdout.split()) + done.stderr


@pytest.mark.slow
def test_each_level_verifies_the_newest_full_set_and_no_newer_set_of_an_operation(
    operator: Operator, estate: Estate
) -> None:
    newest = estate.back_up("daily")
    # The sets of all operations are newer, so a level that accepted one of them would verify it.
    for operation in (estate.restore_rows, lambda: estate.back_up("emergency"), estate.restore_in_place):
        time.sleep(1.1)
        operation()
    returned = verified(operator, estate)
    assert returned.startswith("rc=0"), returned
    for name, set_id in newest.items():
        assert returned.count(f"Set {set_id} of {name}: ") == len(LEVELS), returned
        # The monthly level restored it, because the source has no other full set.
        assert f"The set {set_id} was chosen by the seed" in returned, returned
    assert "are equal" in returned
    assert f"restored into PostgreSQL {estate.postgres.version.split('.')[0]}" in returned


def test_safety_copies_alone_are_no_backup(operator: Operator, estate: Estate) -> None:
    estate.back_up("emergency")
    returned = verified(operator, estate)
    assert returned.startswith("rc=2"), returned
    for name in ("school", "media", "studio"):
        assert f"No backup set of '{name}' matches latest" in returned
