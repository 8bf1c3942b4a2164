# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detects the cluster manager that owns a server, by SQL. A manager undoes a promotion that it did not make."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.connection import Connection, fetch_all

# Settings that a role may not read are missing from pg_settings. Names are compared in Python: they are data.
_SETTINGS = """
SELECT name, setting, source FROM pg_settings
WHERE name IN ('cluster_name', 'shared_preload_libraries', 'primary_slot_name', 'primary_conninfo', 'port',
               'listen_addresses', 'max_connections', 'wal_level', 'hot_standby', 'rds.extensions')
"""
_NAMES = """
SELECT slot_name::text FROM pg_replication_slots
UNION SELECT application_name FROM pg_stat_activity WHERE application_name <> ''
UNION SELECT application_name FROM pg_stat_replication WHERE application_name <> ''
"""
_OTHERS = (
    "SELECT to_regclass('repmgr.nodes') IS NOT NULL, EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser')"
)

#: Settings that Patroni gives on the command line of the server, next to cluster_name.
#: https://patroni.readthedocs.io/en/latest/patroni_configuration.html
_BY_PATRONI = ("cluster_name", "listen_addresses", "port", "max_connections", "wal_level", "hot_standby")


@dataclass(frozen=True)
class Manager:
    """The owner of a server. evidence: the name or setting that shows it. command: the way its users switch over."""

    name: str
    evidence: str
    command: str


_COMMANDS = {
    "Patroni": "recovery_failover_way=patroni, the module patroni_switchover, or patronictl switchover",
    "repmgr": "repmgr standby switchover",
    "pg_auto_failover": "pg_autoctl perform switchover",
    "CloudNativePG": "kubectl cnpg promote",
    "Stolon": "stolonctl failkeeper",
    "Amazon RDS": "recovery_failover_way=rds, the module rds_promotion, or aws rds promote-read-replica",
}
#: The beginning of the names of slots and sessions.
_PREFIXES = {
    "Patroni heartbeat": "Patroni",
    "Patroni restapi": "Patroni",
    "repmgr_slot_": "repmgr",
    "repmgrd": "repmgr",
    "pgautofailover_standby_": "pg_auto_failover",
    "_cnpg_": "CloudNativePG",
    "stolon_": "Stolon",
}


def find_manager(conn: Connection) -> t.Optional[Manager]:
    """The manager whose traces the server shows, or None. The role needs pg_monitor to see all traces."""
    settings = {name: (value or "", source) for name, value, source in fetch_all(conn, _SETTINGS)}
    ((has_repmgr, has_rds),) = fetch_all(conn, _OTHERS)
    names = [str(name) for (name,) in fetch_all(conn, _NAMES) if name]
    names += [settings[name][0] for name in ("primary_slot_name",) if name in settings]
    names += _application_names(settings.get("primary_conninfo", ("", ""))[0])
    return judge_manager(settings, names, has_repmgr=has_repmgr, has_rds=has_rds)


def judge_manager(
    settings: t.Mapping[str, t.Tuple[str, str]], names: t.Iterable[str], *, has_repmgr: bool, has_rds: bool
) -> t.Optional[Manager]:
    """settings: value and source by name. names: of slots and sessions. Pure."""
    for name in sorted(names):
        for prefix, manager in _PREFIXES.items():
            if name.startswith(prefix):
                return _manager(manager, f"the name {name!r} of a slot or session")
    libraries = [one.strip() for one in settings.get("shared_preload_libraries", ("", ""))[0].split(",")]
    if has_repmgr or "repmgr" in libraries:
        return _manager("repmgr", "the table repmgr.nodes" if has_repmgr else "shared_preload_libraries")
    if "pgautofailover" in libraries:
        return _manager("pg_auto_failover", "shared_preload_libraries")
    if has_rds or "rds.extensions" in settings:
        return _manager("Amazon RDS", "the role rds_superuser" if has_rds else "the setting rds.extensions")
    if all(settings.get(name, ("", ""))[1] == "command line" for name in _BY_PATRONI):
        return _manager("Patroni", "the settings on the server's command line")
    return None


def _manager(name: str, evidence: str) -> Manager:
    return Manager(name, evidence, _COMMANDS[name])


def _application_names(conninfo: str) -> t.List[str]:
    return [part.split("=", 1)[1].strip("'") for part in conninfo.split() if part.startswith("application_name=")]
