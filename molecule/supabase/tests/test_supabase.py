# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of then are back, and the record of it lies in the store."""

from __future__ import annotations

import json

from testinfra.host import Host

from tests.support.containers import in_store, nothing_left


def test_the_rows_of_then_are_back(host: Host) -> None:
    assert host.run("sqlite3 /srv/supabase/data/live.sqlite 'SELECT id FROM lessons'").stdout.split() == ["1", "2"]
    assert nothing_left(host)


def test_audit_records_contain_the_operations(host: Host) -> None:
    found = in_store(host).run("find /srv/s3/backups/supabase/learning/audit -name '*.json' -exec cat {} +")
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert {(item["operation_type"], item["status"]) for item in records} == {
        ("restore", "succeeded"),
        ("restore_point", "succeeded"),
    }
    assert all(item["details"]["project"] == "abcdefghijklmnopqrst" for item in records)
