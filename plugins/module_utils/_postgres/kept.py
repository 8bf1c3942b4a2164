# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that a swap kept as its undo: found by their names, and removed by a policy."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from .._core.clock import format_instant, parse_instant
from .._core.confirmation import plan_digest, require_confirmation
from .._core.errors import ErrorKind, RecoveryError
from .._core.sizes import readable_seconds, readable_size
from .._sets.audit import write_audit
from .._store.base import ObjectStore
from . import databases
from .connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier

#: How the name of a kept database goes on after that of the database that took its place.
_WORDS = ("_before_", "_undone_")
_STAMP = re.compile(r"\d{8}t\d{6}z")

# The size of a database is known to roles that may connect to it, and to members of pg_read_all_stats.
_DATABASES = """
    SELECT datname, oid,
           CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                THEN pg_database_size(oid) END
    FROM pg_database WHERE NOT datistemplate ORDER BY datname
"""


@dataclass(frozen=True)
class KeptDatabase:
    """A database that a restore of another one kept; bytes is None where this role may not know."""

    name: str
    oid: int
    kept_at: str
    age_seconds: float
    bytes: t.Optional[int]


@dataclass(frozen=True)
class KeptPruneRequest:
    """Remove what is older than keep_seconds, but not the newest of so many.

    connection leads to the database. source: of the audit record. confirm: the database's name or the plan's digest.
    """

    connection: ConnectionOptions
    database: str
    keep_seconds: float
    minimum: int = 1
    environment: str = "production"
    confirm: t.Optional[str] = None
    source: str = ""
    check_mode: bool = False


@dataclass
class KeptPruneResult:
    """removed and in_use are names; in_use stay, because sessions are connected to them."""

    changed: bool
    kept: t.Sequence[KeptDatabase]
    removed: t.List[str] = field(default_factory=list)
    in_use: t.List[str] = field(default_factory=list)
    plan_digest: str = ""
    summary: str = ""
    diff: t.Optional[t.Mapping[str, str]] = None


def kept_databases(conn: Connection, database: str, now: datetime) -> t.List[KeptDatabase]:
    """The databases that restores of the database kept, oldest first."""
    rows = fetch_all(conn, _DATABASES)
    others = [row[0] for row in rows if row[0] != database and _stamp_of(row[0], database) is None]
    found = []
    for name, oid, size in rows:
        stamp = _stamp_of(name, database)
        # A long name is shortened, so that it may be of another database with the same beginning.
        if stamp is None or any(_stamp_of(name, other) for other in others):
            continue
        kept_at = parse_instant(stamp.upper())
        age = round((now - kept_at).total_seconds(), 3)
        found.append(KeptDatabase(name, int(oid), format_instant(kept_at), age, None if size is None else int(size)))
    return sorted(found, key=lambda one: one.kept_at)


def _stamp_of(name: str, database: str) -> t.Optional[str]:
    """The instant in the name of a database that a restore of the database kept, or None."""
    for word in _WORDS:
        stamp = name[-16:]
        if _STAMP.fullmatch(stamp) and name == databases.derived_name(database, f"{word}{stamp}"):
            try:
                parse_instant(stamp.upper())
            except RecoveryError:
                return None
            return stamp
    return None


def prune_kept(request: KeptPruneRequest, now: datetime, store: t.Optional[ObjectStore] = None) -> KeptPruneResult:
    """Drop the kept databases that the policy no longer keeps; none that has sessions.

    Raises RecoveryError: invalid_options, target_missing, confirmation_required, target_in_use, those of the server.
    """
    _require_sensible(request)
    with connection(request.connection, application="lifeline.recovery prune") as admin:
        kept = kept_databases(admin, request.database, now)
        candidates = kept[: len(kept) - request.minimum] if request.minimum else kept
        planned = [one for one in candidates if one.age_seconds > request.keep_seconds]
        digest = plan_digest({"database": request.database, "drop": [(one.name, one.oid) for one in planned]})
        result = KeptPruneResult(bool(planned), kept, plan_digest=digest, diff=_difference(kept, planned))
        if request.check_mode or not planned:
            result.removed = [one.name for one in planned]
            result.summary = _summary(request, result, planned)
            return result
        does = f"drops {', '.join(one.name for one in planned)}, which restores kept of"
        require_confirmation(request.environment, request.confirm, request.database, digest, does)
        with databases.restore_lock(admin, request.connection, request.database):
            for one in planned:
                _drop(admin, one, result)
        result.changed = bool(result.removed)
        result.kept = [one for one in kept if one.name not in result.removed]
        result.summary = _summary(request, result, planned)
    if store is not None and request.source and result.removed:
        details = {"database": request.database, "dropped": result.removed, "in_use": result.in_use}
        write_audit(store, request.source, "prune", "succeeded", details)
    return result


def _drop(admin: Connection, one: KeptDatabase, result: KeptPruneResult) -> None:
    found = databases.find(admin, one.name)
    if found is None or found.oid != one.oid:
        return
    if databases.sessions(admin, one.name):
        result.in_use.append(one.name)
        return
    # Without FORCE: a session that connects in this moment keeps the database.
    databases.execute(admin, f"DROP DATABASE {quote_identifier(one.name)}")
    result.removed.append(one.name)


def _require_sensible(request: KeptPruneRequest) -> None:
    for name, value in (("keep_days", request.keep_seconds), ("minimum", request.minimum)):
        if value < 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`{name}` must be at least 0, got {value / 86400 if name == 'keep_days' else value:g}.",
                left="No database was dropped.",
                next_step=f"Correct `{name}`.",
            )


def _difference(kept: t.Sequence[KeptDatabase], planned: t.Sequence[KeptDatabase]) -> t.Dict[str, str]:
    gone = {one.name for one in planned}
    return {
        "before": "".join(f"{describe(one)}\n" for one in kept),
        "after": "".join(f"{describe(one)}\n" for one in kept if one.name not in gone),
    }


def describe(one: KeptDatabase) -> str:
    """C(school_before_20260301t124500z, 5 d 02 h old, 2.1 GiB)."""
    return f"{one.name}, {age_and_size(one.age_seconds, one.bytes)}"


def age_and_size(age_seconds: float, size: t.Optional[int]) -> str:
    """C(5 d 02 h old, 2.1 GiB)."""
    known = "size not known" if size is None else readable_size(size)
    return f"{readable_seconds(max(age_seconds, 0))} old, {known}"


def _summary(request: KeptPruneRequest, result: KeptPruneResult, planned: t.Sequence[KeptDatabase]) -> str:
    verb = "Would drop" if request.check_mode else "Dropped"
    total = len(result.kept) if request.check_mode else len(result.kept) + len(result.removed)
    said = f"{verb} {len(result.removed)} of {total} databases that restores of {request.database!r} kept"
    named = [describe(one) for one in planned if one.name in result.removed]
    said += f": {'; '.join(named)}." if named else "."
    if result.in_use:
        said += f" Not dropped, because sessions are connected: {', '.join(result.in_use)}."
    return said + (f" The plan digest is {result.plan_digest}." if request.check_mode and planned else "")
