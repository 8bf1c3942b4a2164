# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user is back with all that belongs to them."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from tests.support.containers import sql


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM auth.users WHERE id = md5('user7')::uuid",
        "SELECT count(*) FROM profiles WHERE id = md5('user7')::uuid",
        "SELECT count(*) FROM children WHERE parent_id = md5('user7')::uuid",
        "SELECT count(*) FROM bookings b JOIN children c ON c.id = b.child_id WHERE c.parent_id = md5('user7')::uuid",
    ],
)
def test_the_rows_are_back(host: Host, query: str) -> None:
    assert int(sql(host, "tenants", query)) > 0
