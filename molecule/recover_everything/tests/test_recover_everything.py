# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Database and files are restored, and the maintenance is over."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import nothing_left, sql


def test_database_and_files_are_as_before_the_loss(host: Host) -> None:
    assert sql(host, "everything", "SELECT count(*) || ' ' || max(title) FROM tracks") == "100 Track 99"
    assert host.file("/srv/recover_everything/files/cover.png").content_string == "cover"


def test_the_maintenance_is_over(host: Host) -> None:
    assert not host.file("/srv/recover_everything/maintenance.html").exists
    assert nothing_left(host)
