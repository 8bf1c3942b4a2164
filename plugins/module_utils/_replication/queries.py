# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the replication state of a server. The role needs only pg_monitor."""

from __future__ import annotations

import time
import typing as t

from .._engines.postgresql.server.catalog import system_identifier
from .._engines.postgresql.server.connection import Connection, fetch_all, fetch_value
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.refusals import query_error
from .facts import STANDBY_SETTINGS, Attached, Extension, Receiver, Server, Slot
from .lag import distance, parse_position

_SLOTS = """
SELECT slot_name, slot_type, active, wal_status, restart_lsn::text,
       coalesce(wal_status = 'lost', false) OR coalesce(to_jsonb(s) ->> 'conflicting' = 'true', false)
       OR to_jsonb(s) ->> 'invalidation_reason' IS NOT NULL
FROM pg_replication_slots s WHERE NOT temporary ORDER BY slot_name
"""

# Clients that fetch a base backup or WAL, and subscribers of logical replication, are no standbys.
_ATTACHED = """
SELECT r.application_name, host(r.client_addr), r.state, r.sync_state, s.slot_name, r.replay_lsn::text,
       extract(epoch FROM r.replay_lag)::float8
FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
WHERE coalesce(s.slot_type, 'physical') = 'physical' AND r.state IS DISTINCT FROM 'backup'
  AND r.application_name NOT IN ('pg_basebackup', 'pg_receivewal')
ORDER BY r.application_name, r.pid
"""

_EXTENSIONS = """
SELECT e.extname, e.extversion, a.default_version,
       EXISTS (SELECT FROM pg_available_extension_versions v WHERE v.name = e.extname AND v.version = e.extversion)
FROM pg_extension e LEFT JOIN pg_available_extensions a ON a.name = e.extname ORDER BY e.extname
"""

_RECEIVER = """
SELECT status, slot_name, latest_end_lsn::text, last_msg_receipt_time, received_tli FROM pg_stat_wal_receiver
"""

_REPLAY = """
SELECT pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp(),
       pg_is_wal_replay_paused(), current_setting('primary_slot_name'),
       (SELECT setting::int FROM pg_settings WHERE name = 'recovery_min_apply_delay')
"""

# The control file has a new timeline only after the next checkpoint; the name of the WAL file changes immediately.
_PRIMARY_TIMELINE = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
_STANDBY_TIMELINE = """
SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r
"""

#: Seconds that a standby has to catch up, so that WAL in transfer is no lag.
_PATIENCE = 1.0


def read_server(conn: Connection, place: str) -> Server:
    """The state of one server. Raises RecoveryError(query_failed)."""
    try:
        return _read(conn, place)
    except psycopg2.Error as error:
        raise query_error(error) from None


def in_recovery(conn: Connection) -> bool:
    return bool(fetch_value(conn, "SELECT pg_is_in_recovery()"))


def wait_for(conn: Connection, goal: int) -> t.Optional[float]:
    """The seconds until the standby has replayed up to goal; None when it has not within a second."""
    began = time.monotonic()
    while True:
        replayed = parse_position(fetch_value(conn, "SELECT pg_last_wal_replay_lsn()::text"))
        waited = time.monotonic() - began
        if replayed is not None and replayed >= goal:
            return waited
        if waited > _PATIENCE:
            return None
        time.sleep(0.05)


def _read(conn: Connection, place: str) -> Server:
    recovering = in_recovery(conn)
    sees_all = bool(fetch_value(conn, "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"))
    position = "pg_last_wal_replay_lsn()" if recovering else "pg_current_wal_lsn()"
    ((at, now, version),) = fetch_all(
        conn, f"SELECT {position}::text, clock_timestamp(), current_setting('server_version')"
    )
    here = parse_position(at)
    timeline = fetch_value(conn, _PRIMARY_TIMELINE) if not recovering else None
    more: t.Dict[str, t.Any] = {"written": here}
    if recovering:
        more, received_timeline = _read_recovery(conn, sees_all)
        allowed = _may(conn, "pg_control_checkpoint()") and _may(conn, "pg_control_recovery()")
        known = [received_timeline, fetch_value(conn, _STANDBY_TIMELINE) if allowed else None]
        timeline = max((number for number in known if number), default=None)
    return Server(
        place=place,
        in_recovery=recovering,
        server_version=version.split()[0],
        now=now,
        system_identifier=system_identifier(conn),
        timeline=timeline,
        settings=dict(
            fetch_all(
                conn,
                "SELECT name, setting::int FROM pg_settings WHERE name = ANY (%s) ORDER BY name",
                (list(STANDBY_SETTINGS),),
            )
        ),
        extensions={
            name: Extension(version, usable, default) for name, version, default, usable in fetch_all(conn, _EXTENSIONS)
        },
        slots=_read_slots(conn, here),
        attached=_read_attached(conn, here) if sees_all else None,
        base_backups=fetch_value(conn, "SELECT count(*) FROM pg_stat_progress_basebackup") if sees_all else None,
        **more,
    )


def _read_recovery(conn: Connection, sees_all: bool) -> t.Tuple[t.Dict[str, t.Any], t.Optional[int]]:
    """The values that only a standby has, and the timeline that it receives."""
    rows = fetch_all(conn, _RECEIVER)
    # Read after the receiver, so that the announced position is not ahead only because it is newer.
    ((received, replayed, replayed_at, paused, slot, delay),) = fetch_all(conn, _REPLAY)
    receiver, timeline = None, None
    if rows and sees_all:
        status, used_slot, announced, heard_at, timeline = rows[0]
        receiver = Receiver(status, used_slot, parse_position(announced), heard_at)
        slot = used_slot or slot
    facts = {
        "received": parse_position(received),
        "replayed": parse_position(replayed),
        "replayed_at": replayed_at,
        "paused": paused,
        "apply_delay_ms": delay or 0,
        "slot_name": slot or None,
        "receiver": receiver,
        "sees_receiver": sees_all or not rows,
    }
    return facts, timeline


def _read_slots(conn: Connection, here: t.Optional[int]) -> t.List[Slot]:
    return [
        Slot(name, kind, active, status, distance(here, parse_position(restart)), invalidated)
        for name, kind, active, status, restart, invalidated in fetch_all(conn, _SLOTS)
    ]


def _read_attached(conn: Connection, here: t.Optional[int]) -> t.List[Attached]:
    found = []
    for name, address, state, sync, slot, replayed, seconds in fetch_all(conn, _ATTACHED):
        behind = distance(here, parse_position(replayed))
        # The server measures no lag while it is idle.
        measured = 0.0 if behind == 0 else None if seconds is None else round(seconds, 3)
        found.append(Attached(name, address, state, sync, slot, behind, measured))
    return found


def _may(conn: Connection, function: str) -> bool:
    return bool(fetch_value(conn, "SELECT has_function_privilege(%s, 'EXECUTE')", (function,)))
