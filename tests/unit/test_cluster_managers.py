# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server of a cluster manager is detected by the names and settings that the manager leaves."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._replication.managers import judge_manager

BY_PATRONI = ("cluster_name", "listen_addresses", "port", "max_connections", "wal_level", "hot_standby")


@pytest.mark.parametrize(
    ("found", "manager"),
    [
        ({"names": ["psql", "Patroni heartbeat"]}, "Patroni"),
        ({"names": ["Patroni restapi"]}, "Patroni"),
        ({"settings": dict.fromkeys(BY_PATRONI, ("x", "command line"))}, "Patroni"),
        ({"names": ["repmgr_slot_2"]}, "repmgr"),
        ({"has_repmgr": True}, "repmgr"),
        ({"settings": {"shared_preload_libraries": ("pg_cron, repmgr", "configuration file")}}, "repmgr"),
        ({"names": ["pgautofailover_standby_2"]}, "pg_auto_failover"),
        ({"settings": {"shared_preload_libraries": ("pgautofailover", "configuration file")}}, "pg_auto_failover"),
        ({"names": ["_cnpg_main_2"]}, "CloudNativePG"),
        ({"names": ["stolon_1a2b"]}, "Stolon"),
        ({"has_rds": True}, "Amazon RDS"),
        ({"settings": {"rds.extensions": ("", "default")}}, "Amazon RDS"),
    ],
)
def test_the_traces_of_a_manager_name_it(found: dict[str, t.Any], manager: str) -> None:
    given = {"settings": {}, "names": [], "has_repmgr": False, "has_rds": False, **found}
    judged = judge_manager(given.pop("settings"), given.pop("names"), **given)
    assert judged is not None
    assert (judged.name, bool(judged.command), bool(judged.evidence)) == (manager, True, True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {name: ("x", "command line") for name in BY_PATRONI if name != "cluster_name"},
        {"shared_preload_libraries": ("pg_stat_statements", "configuration file")},
    ],
)
def test_a_server_of_its_own_has_no_manager(settings: dict[str, tuple[str, str]]) -> None:
    # A name that merely contains the name of a manager is no trace of it.
    assert judge_manager(settings, ["psql", "my_repmgr_slot_1", "walreceiver"], has_repmgr=False, has_rds=False) is None
