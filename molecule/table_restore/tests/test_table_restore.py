# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deleted rows are back, and so is what a cascade took along."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import sets_of, sql


def test_the_rows_are_back(host: Host) -> None:
    assert sql(host, "rows", "SELECT count(*) FROM children WHERE id IN (11, 12)") == "2"
    assert int(sql(host, "rows", "SELECT count(*) FROM bookings WHERE child_id IN (11, 12)")) > 0


def test_it_can_be_taken_back(host: Host) -> None:
    (undo,) = sets_of(host, "table_restore", "rows", "undo")
    assert undo["engine"] == "postgresql-rows"
