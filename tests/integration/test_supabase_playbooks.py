# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks of Supabase as an operator runs them."""

from __future__ import annotations

import re
import time
import typing as t
from pathlib import Path

from tests.support.fakes.supabase import REF, supabase_server
from tests.support.playbooks import play


def test_a_project_is_judged_restored_and_sent_back(tmp_path: Path, folder_store: dict[str, t.Any]) -> None:
    with supabase_server(tmp_path) as server:
        server.run("CREATE TABLE lessons (id); INSERT INTO lessons VALUES (1)", server.latest - 3600)
        server.run("DELETE FROM lessons", server.latest - 60)
        variables = {
            "recovery_source": "learning",
            "recovery_kind": "supabase",
            "recovery_connection": server.options(),
            "recovery_store": folder_store,
            "recovery_window_days": 30,
            "recovery_to": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(server.latest - 61)),
            "recovery_poll_seconds": 0.05,
            "recovery_environment": "production",
        }
        judged = {name: value for name, value in variables.items() if name != "recovery_to"}
        short = play("verify", judged, tmp_path)
        assert short.returncode != 0
        assert "30 days are required" in short.stdout
        watched = play("status", judged, tmp_path)
        assert watched.returncode != 0 or "WARNING: learning: The oldest" in watched.stdout
        assert "30 days are required" in watched.stdout
        planned = play("restore", variables, tmp_path, "--check")
        digest = re.search(r"recovery_confirm=([0-9a-f]{16})", planned.stdout)
        assert digest is not None, planned.stdout
        assert server.writes() == []
        done = play("restore", {**variables, "recovery_confirm": digest.group(1)}, tmp_path)
        assert server.rows("SELECT id FROM lessons") == [(1,)]
        point = re.search(
            rf"-e recovery_source=learning -e recovery_mode=undo -e recovery_set=(\S+) -e recovery_confirm={REF}\"",
            done.stdout,
        )
        assert point is not None, done.stdout
        back = {"recovery_mode": "undo", "recovery_set": point.group(1), "recovery_confirm": REF}
        undone = play("restore", {**judged, **back}, tmp_path)
        assert undone.returncode == 0, undone.stdout
        assert server.rows("SELECT id FROM lessons") == []
        kept = play("backup", {**judged, "recovery_restore_point": "before-migration"}, tmp_path)
        assert kept.returncode == 0, kept.stdout
        assert "recovery_mode=undo -e recovery_set=before-migration" in kept.stdout
        aimless = play("restore", judged, tmp_path)
        assert "recovery_to with an instant or recovery_set with the id of a daily backup" in aimless.stdout
        unread = play("restore", {**variables, "recovery_project_nam": "x"}, tmp_path)
        assert "There is no variable recovery_project_nam" in unread.stdout
        for shown in (short, watched, planned, done, undone, unread):
            assert server.token not in shown.stdout + shown.stderr
