# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that a swap kept as its undo: found by their names, and removed by a policy."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ...._core.clock import format_instant, parse_instant
from ...._core.errors import ErrorKind, RecoveryError
from ...._core.options import FAMILY, INTERNAL, option
from ...._core.sizes import readable_seconds, readable_size
from ...._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from ...._store.base import ObjectStore
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier
from . import databases

#: The part of the name of a kept database between the name of the database and the time stamp.
_INFIXES = ("_before_", "_undone_")
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
    """Remove what is older than keep_days, but not the newest of so many.

    connection leads to the database. source: of the audit record. confirmed_by_policy: the policy of the source is the
    confirmation.
    """

    connection: ConnectionOptions
    database: str = field(metadata=INTERNAL)
    keep_days: float = 14
    minimum: int = 1
    confirmed_by_policy: bool = False
    source: str = field(default="", metadata=option(default=None))
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)


@dataclass(frozen=True)
class KeptPruneResult(Outcome):
    """removed and in_use are names; in_use stay, because sessions are connected to them."""

    kept: t.Sequence[KeptDatabase]
    removed: t.Sequence[str]
    in_use: t.Sequence[str]
    summary: str
    diff: t.Mapping[str, str]


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
    for word in _INFIXES:
        stamp = name[-16:]
        if _STAMP.fullmatch(stamp) and name == databases.derived_name(database, f"{word}{stamp}"):
            try:
                parse_instant(stamp.upper())
            except RecoveryError:
                return None
            return stamp
    return None


class KeptPrune(Change[KeptPruneResult]):
    """Drops the kept databases that the policy no longer keeps; none that has sessions.

    Raises RecoveryError: invalid_options, target_missing, confirmation_required, target_in_use, those of the server.
    """

    operation = "prune"
    records_unchanged = False

    def __init__(self, request: KeptPruneRequest, now: datetime, store: t.Optional[ObjectStore] = None) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request, self._now = request, now
        self.details = {"database": request.database}
        if request.confirmed_by_policy:
            self.details["confirmed_by"] = "the policy of the source"
        self._dropped: t.List[str] = []
        self._in_use: t.List[str] = []

    def plan(self) -> ChangePlan:
        request = self._request
        _require_sensible(request)
        self._admin = self.resources.enter_context(
            connection(request.connection, application="lifeline.recovery prune")
        )
        self._kept = kept = kept_databases(self._admin, request.database, self._now)
        candidates = kept[: len(kept) - request.minimum] if request.minimum else kept
        self._planned = planned = [one for one in candidates if one.age_seconds > request.keep_days * 86400]
        return ChangePlan(
            {"database": request.database, "drop": [(one.name, one.oid) for one in planned]},
            request.database,
            # The inventory that sets the policy is the standing confirmation.
            destroys=not request.confirmed_by_policy,
            does=f"drops {', '.join(one.name for one in planned)}, which restores kept of",
            changes=bool(planned),
        )

    def act(self) -> None:
        request = self._request
        self.details.update(dropped=self._dropped, in_use=self._in_use)
        with databases.restore_lock(self._admin, request.connection, request.database):
            for one in self._planned:
                self._drop(one)

    def _drop(self, one: KeptDatabase) -> None:
        found = databases.find(self._admin, one.name)
        if found is None or found.oid != one.oid:
            return
        if databases.sessions(self._admin, one.name):
            self._in_use.append(one.name)
            return
        # Without FORCE: a session that connects in this moment keeps the database.
        databases.execute(self._admin, f"DROP DATABASE {quote_identifier(one.name)}")
        self._dropped.append(one.name)

    def has_changed(self) -> bool:
        return bool(self._dropped)

    def why_unchanged(self) -> Unchanged:
        if self._in_use:
            return Unchanged(
                f"Sessions are connected to {', '.join(self._in_use)}.", "End these sessions, and run it again."
            )
        return Unchanged("The policy keeps every database that restores kept.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> KeptPruneResult:
        removed = self._dropped if self.safeguards.acts else [one.name for one in self._planned]
        kept = [one for one in self._kept if one.name not in self._dropped]
        return KeptPruneResult(
            **vars(outcome),
            kept=kept,
            removed=removed,
            in_use=self._in_use,
            summary=self._summary(removed, outcome.plan_digest),
            diff=_difference(self._kept, self._planned),
        )

    def _summary(self, removed: t.Sequence[str], digest: str) -> str:
        acts = self.safeguards.acts
        done = f"{'Dropped' if acts else 'Would drop'} {len(removed)} of {len(self._kept)} databases "
        done += f"that restores of {self._request.database!r} kept"
        named = [describe(one) for one in self._planned if one.name in removed]
        done += f": {'; '.join(named)}." if named else "."
        if self._in_use:
            done += f" Not dropped, because sessions are connected: {', '.join(self._in_use)}."
        return done + (f" The plan digest is {digest}." if not acts and self._planned else "")


def _require_sensible(request: KeptPruneRequest) -> None:
    for name, value in (("keep_days", request.keep_days), ("minimum", request.minimum)):
        if value < 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`{name}` must be at least 0, got {value:g}.",
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
