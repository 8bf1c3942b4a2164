# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restored database equals the backed up one."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from tests.support.containers import nothing_left, sql


@pytest.mark.parametrize("table", ["public.profiles", "public.children", "public.bookings", "auth.users"])
def test_the_rows_are_those_of_the_live_database(host: Host, table: str) -> None:
    query = f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t"
    restored = sql(host, "restored", query)
    assert restored == sql(host, "school", query)
    assert not restored.startswith("0|")


def test_nothing_is_left_on_the_host(host: Host) -> None:
    assert nothing_left(host)
    assert sql(host, "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%lifeline%'") == "0"
