# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleted rows and tenants are restored with the rows that belong to them, and undo sets were stored."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from tests.support.containers import nothing_left, sets_of, sql


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM auth.users WHERE id = md5('user7')::uuid",
        "SELECT count(*) FROM profiles WHERE id = md5('user7')::uuid",
        "SELECT count(*) FROM children WHERE parent_id = md5('user7')::uuid",
        "SELECT count(*) FROM bookings b JOIN children c ON c.id = b.child_id WHERE c.parent_id = md5('user7')::uuid",
        "SELECT count(*) / 2 FROM children WHERE id IN (11, 12)",
        "SELECT count(*) FROM bookings WHERE child_id IN (11, 12)",
    ],
)
def test_deleted_rows_are_restored(host: Host, query: str) -> None:
    assert int(sql(host, "rows", query)) > 0


def test_the_tenant_of_the_file_is_restored_and_no_other_is_touched(host: Host) -> None:
    query = "SELECT b.id, t.id FROM bookings b JOIN tenants t ON t.id = b.tenant_id"
    rows = host.run(f"sqlite3 /srv/restore_rows.sqlite '{query}'")
    assert rows.stdout.split() == ["1|north", "2|south"]


def test_each_restore_stored_an_undo_set(host: Host) -> None:
    assert [item["engine"] for item in sets_of(host, "restore_rows", "rows", "undo")] == ["postgresql-rows"] * 2
    assert [item["engine"] for item in sets_of(host, "restore_rows", "studio", "undo")] == ["sqlite-rows"]
    assert nothing_left(host)
