# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a promotion changes besides the role of the server, and what would make the new primary unusable."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from .._core.errors import RecoveryError
from .._core.sizes import counted, first_of
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value
from .._replication.facts import Server
from .._replication.judge import Finding

_DATABASES = """
SELECT datname::text, datallowconn, datconnlimit FROM pg_database WHERE NOT datistemplate ORDER BY datname
"""
_READ_ONLY = """
SELECT coalesce(d.datname::text, ''), coalesce(r.rolname::text, '')
FROM pg_db_role_setting s
LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,
     unnest(s.setconfig) AS one
WHERE one IN ('default_transaction_read_only=on', 'default_transaction_read_only=true',
              'default_transaction_read_only=1', 'default_transaction_read_only=yes')
ORDER BY 1, 2
"""
# Databases have the version of their collation since PostgreSQL 15.
_DATABASE_COLLATIONS = """
SELECT datname::text FROM pg_database
WHERE datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid) AND datcollversion IS NOT NULL
ORDER BY datname
"""
_COLLATIONS = """
SELECT DISTINCT collname::text FROM pg_collation c
WHERE collversion IS NOT NULL AND collversion IS DISTINCT FROM pg_collation_actual_version(oid)
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attcollation = c.oid AND a.attrelid >= 16384)
ORDER BY 1
"""
# TOAST tables and indexes of an unlogged table are unlogged too.
_UNLOGGED = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence = 'u' AND c.relkind = 'r' ORDER BY 1 LIMIT 1001
"""
_SUBSCRIPTIONS = "SELECT subname::text FROM pg_subscription WHERE subenabled ORDER BY subname"
_SETTINGS = """
SELECT name, setting FROM pg_settings
WHERE name IN ('synchronous_standby_names', 'default_transaction_read_only') OR name LIKE 'recovery\\_target%'
ORDER BY name
"""
_PAUSE_STATE = "SELECT pg_get_wal_replay_pause_state()"
#: Defaults of the settings recovery_target*, which are no target.
_NO_TARGET = {
    "recovery_target_action": "pause",
    "recovery_target_inclusive": "on",
    "recovery_target_timeline": "latest",
}
_MOST_NAMES = 20


@dataclass(frozen=True)
class Candidate:
    """The parts of a standby that decide whether it is usable as a primary. Names are as the server shows them.

    unlogged: tables whose rows are lost, with their database. subscriptions: those that start on the new primary.
    closed: databases that accept no sessions or no writes. collations: databases and collations whose version differs
    from that of the library on the host. unread: databases that were not read, with the reason.
    """

    is_held: bool
    targets: t.Sequence[str]
    synchronous_standby_names: str
    unlogged: t.Sequence[str]
    subscriptions: t.Sequence[str]
    closed: t.Sequence[str]
    collations: t.Sequence[str]
    unread: t.Sequence[str]


def read_candidate(conn: Connection, options: ConnectionOptions, major: int) -> Candidate:
    """Read all databases of a standby. Raises RecoveryError(query_failed)."""
    settings = dict(fetch_all(conn, _SETTINGS))
    unlogged: t.List[str] = []
    subscriptions: t.List[str] = []
    collations = [name for (name,) in fetch_all(conn, _DATABASE_COLLATIONS)] if major >= 15 else []
    closed = [
        f"{database or 'all databases'}{f' for the role {role}' if role else ''} (read only)"
        for database, role in fetch_all(conn, _READ_ONLY)
    ]
    if settings.get("default_transaction_read_only") == "on" and not closed:
        closed.append("all databases (read only)")
    unread: t.List[str] = []
    for name, allows, limit in fetch_all(conn, _DATABASES):
        if not allows or limit == 0:
            closed.append(f"{name} (accepts no sessions)")
            continue
        try:
            with connection(options.with_database(name)) as session:
                unlogged += [f"{name}: {table}" for (table,) in fetch_all(session, _UNLOGGED)]
                collations += [f"{name}: {collation}" for (collation,) in fetch_all(session, _COLLATIONS)]
                with contextlib.suppress(RecoveryError):
                    subscriptions += [f"{name}: {one}" for (one,) in fetch_all(session, _SUBSCRIPTIONS)]
        except RecoveryError as error:
            unread.append(f"{name}: {error.what}")
    return Candidate(
        is_held=fetch_value(conn, _PAUSE_STATE) != "not paused" if major >= 14 else False,
        targets=[
            f"{name} = {value}"
            for name, value in settings.items()
            if name.startswith("recovery_target") and value and _NO_TARGET.get(name) != value
        ],
        synchronous_standby_names=settings.get("synchronous_standby_names", ""),
        unlogged=unlogged,
        subscriptions=sorted(set(subscriptions)),
        closed=closed,
        collations=collations,
        unread=unread,
    )


def judge_candidate(
    candidate: Candidate, standby: Server, primary: t.Optional[Server], *, accepts_collations: bool
) -> t.Iterator[Finding]:
    """Findings about a candidate that judge_standby does not have. Pure."""
    if candidate.is_held and not standby.paused:
        yield Finding("A pause of the replay was requested; pg_wal_replay_resume() cancels it.", blocks=True)
    if candidate.is_held or standby.paused:
        yield Finding(
            "The server pauses the replay itself when a setting of the primary was raised above its own, for example "
            "max_connections; a promotion would then shut it down.",
            blocks=True,
        )
    for target in candidate.targets:
        yield Finding(f"The standby has a recovery target, {target}; remove it and restart the standby.", blocks=True)
    if candidate.synchronous_standby_names:
        yield Finding(
            f"synchronous_standby_names is {candidate.synchronous_standby_names!r} on the standby: each commit would "
            "wait for these standbys. Reset it with ALTER SYSTEM and reload first.",
            blocks=True,
        )
    if candidate.collations:
        yield Finding(
            f"The collation library of the host has another version than the indexes: {_listed(candidate.collations)}. "
            "Text indexes may return wrong rows until REINDEX.",
            blocks=not accepts_collations,
        )
    if standby.apply_delay_ms:
        yield Finding("A promotion replays all received WAL immediately, also the part that is delayed on purpose.")
    if candidate.unlogged:
        yield Finding(
            f"{counted(len(candidate.unlogged), 'unlogged table')} will be empty: {_listed(candidate.unlogged)}."
        )
    if candidate.subscriptions:
        yield Finding(f"Subscriptions that start on the new primary: {_listed(candidate.subscriptions)}.")
    if candidate.closed:
        yield Finding(
            f"Settings that reached the standby through replication close {_listed(candidate.closed)}; "
            "remove them after the promotion."
        )
    lost = [slot.name for slot in (primary.slots if primary else ()) if slot.kind == "logical"]
    lost = [name for name in lost if name not in {slot.name for slot in standby.slots if not slot.invalidated}]
    if lost:
        yield Finding(
            f"Logical slots that the standby does not have: {_listed(lost)}. Their consumers would miss changes."
        )
    for reason in candidate.unread:
        yield Finding(f"A database was not read. {reason}")


def _listed(names: t.Sequence[str]) -> str:
    return first_of(names, _MOST_NAMES)
