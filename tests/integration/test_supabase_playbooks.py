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
            "recovery_supabase": server.options(),
            "recovery_store": folder_store,
            "recovery_to": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(server.latest - 61)),
            "supabase_recovery_poll_seconds": 0.05,
            "recovery_environment": "production",
        }
        short = play("supabase_backups", {**variables, "supabase_recovery_window_days": 30}, tmp_path)
        assert short.returncode != 0
        assert "30 days are required" in short.stdout
        planned = play("supabase_restore", variables, tmp_path, "--check")
        digest = re.search(r"recovery_confirm=([0-9a-f]{16})", planned.stdout)
        assert digest is not None, planned.stdout
        assert server.writes() == []
        done = play("supabase_restore", {**variables, "recovery_confirm": digest.group(1)}, tmp_path)
        assert server.rows("SELECT id FROM lessons") == [(1,)]
        point = re.search(
            rf"supabase_recovery_action=undo -e supabase_recovery_point=(\S+) -e recovery_confirm={REF}\"", done.stdout
        )
        assert point is not None, done.stdout
        back = {"supabase_recovery_action": "undo", "supabase_recovery_point": point.group(1), "recovery_confirm": REF}
        undone = play("supabase_restore", {**variables, **back}, tmp_path)
        assert undone.returncode == 0, undone.stdout
        assert server.rows("SELECT id FROM lessons") == []
        unread = play("supabase_restore", {**variables, "supabase_recovery_too": "x"}, tmp_path)
        assert "There is no variable supabase_recovery_too" in unread.stdout
        for shown in (short, planned, done, undone, unread):
            assert server.token not in shown.stdout + shown.stderr
