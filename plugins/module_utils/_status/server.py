# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the server of a source whether it answers, and for the position of its WAL."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.clock import format_instant, utc_now
from .._engines.postgresql.restore.kept import kept_databases
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value
from .._engines.sqlite.engine import Bound, Engine
from .._replication.info import ReplicationRequest, ReplicationResult, describe_replication
from .._replication.queries import in_recovery
from .._store.base import ObjectStore
from .model import ArchiveFact, KeptFact, ReplicationFact


@dataclass(frozen=True)
class ServerState:
    """The answer of a server."""

    replication: t.Optional[ReplicationFact] = None
    archive: t.Optional[ArchiveFact] = None
    kept: t.Tuple[KeptFact, ...] = ()


def ask_postgres(options: ConnectionOptions) -> ServerState:
    """Raises RecoveryError(unreachable, access_denied, target_missing or query_failed)."""
    with connection(options, application="lifeline.recovery status") as conn:
        archive = _archive(conn)
        kept = tuple(
            KeptFact(one.name, one.age_seconds, one.bytes) for one in kept_databases(conn, options.database, utc_now())
        )
    return ServerState(_replication(describe_replication(ReplicationRequest(options))), archive, kept)


def ask_sqlite(opened: t.Callable[[], Engine]) -> ServerState:
    """Raises RecoveryError when the database of D1, or the file, cannot be read."""
    engine = opened()
    try:
        engine.run([Bound("SELECT count(*) FROM sqlite_master")])
    finally:
        engine.close()
    return ServerState()


def ask_files(files: ObjectStore) -> ServerState:
    """Raises RecoveryError if the bucket cannot be listed, or the folder does not exist."""
    files.require_there()
    return ServerState()


def _replication(seen: ReplicationResult) -> t.Optional[ReplicationFact]:
    """None for a server without a primary and without standbys."""
    if seen.role == "standby":
        return ReplicationFact(seen.role, seen.streaming, 0, seen.lag_seconds, seen.lag_bytes)
    # A client that takes a base backup is no standby; its connection ends with the backup.
    attached = [one for one in seen.standbys or () if one.state != "backup"]
    slots = [one for one in seen.slots if one.kind == "physical"]
    if not attached and not slots:
        return None
    streaming = all(one.state == "streaming" for one in attached) and all(one.active for one in slots)
    return ReplicationFact(seen.role, streaming, len(attached), seen.lag_seconds, seen.lag_bytes)


def _archive(conn: Connection) -> t.Optional[ArchiveFact]:
    """None if this server does not archive WAL. Only members of pg_monitor can read the number of waiting segments."""
    if fetch_value(conn, "SELECT current_setting('archive_mode')") == "off" or in_recovery(conn):
        return None
    [(archived_at, failing)] = fetch_all(
        conn,
        "SELECT last_archived_time, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
        " FROM pg_stat_archiver",
    )
    waiting, oldest = None, None
    if fetch_value(conn, "SELECT has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE')"):
        [(waiting, oldest)] = fetch_all(
            conn,
            "SELECT count(*), extract(epoch FROM clock_timestamp() - min(modification))::float"
            " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'",
        )
    return ArchiveFact(bool(failing), waiting, oldest, format_instant(archived_at) if archived_at else None)
