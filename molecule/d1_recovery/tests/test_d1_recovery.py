# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tenant is back, and nobody else was touched."""

from __future__ import annotations

from testinfra.host import Host

from tests.support.containers import nothing_left, sets_of


def test_the_tenant_is_back(host: Host) -> None:
    query = "SELECT b.id, t.id FROM bookings b JOIN tenants t ON t.id = b.tenant_id"
    rows = host.run(f"sqlite3 /srv/studio.sqlite '{query}'")
    assert rows.stdout.split() == ["1|north", "2|south"]
    assert [item["engine"] for item in sets_of(host, "d1_recovery", "studio", "undo")] == ["sqlite-rows"]
    assert nothing_left(host)
