# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the transactions that ended around an instant, and their changes per relation."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from .._core.errors import RecoveryError
from .._engines.postgresql.server.lsn import format_lsn
from .archive import Archive
from .cluster import Cluster
from .plan import first_after
from .target import Target
from .waldump import Change, Transaction

#: Relations below are system catalogs: https://www.postgresql.org/docs/current/system-catalog-initial-data.html
_FIRST_NORMAL = 16384
#: The number of transaction ids before the newest that the server is asked for.
_LOOK_BACK = 1000000

_NAMES = """
SELECT pg_catalog.pg_relation_filenode(c.oid) || '=' || n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 't') AND c.oid >= 16384
"""
_COMMITS = """
WITH last AS (SELECT (pg_catalog.pg_last_committed_xact()).xid::text::bigint AS xid),
ended AS (
    SELECT g AS xid, pg_catalog.pg_xact_commit_timestamp(g::text::xid) AS at
    FROM last, pg_catalog.generate_series(greatest(3, last.xid - {back}), last.xid) g
)
SELECT xid || '|' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
FROM ended WHERE at >= '{since}' AND at <= '{until}' ORDER BY at LIMIT {limit}
"""


@dataclass(frozen=True)
class Relation:
    """name is database/schema.table if the server knows it, else the numbers database/file node."""

    name: str
    inserts: int
    updates: int
    deletes: int


@dataclass(frozen=True)
class Ended:
    """A transaction. lsn and relations are only known from the archive. harm: rows updated, deleted, files dropped."""

    xid: int
    ended_at: str
    committed: bool
    seen_in: str
    lsn: t.Optional[str] = None
    relations: t.Sequence[Relation] = ()
    catalog_changes: int = 0
    files_dropped: int = 0
    harm: int = 0


def from_archive(
    archive: Archive, first: int, around: datetime, window: float, names: t.Mapping[str, str], limit: int
) -> t.List[Ended]:
    """Transactions that ended within window seconds of the instant, oldest first; the newest limit of them."""
    since, until = around - timedelta(seconds=window), around + timedelta(seconds=window)
    numbers = archive.numbers(first)
    begin = max(0, first_after(archive, Target("time", at=since), numbers) - 1)
    pending: t.Dict[int, t.Dict[str, Change]] = {}
    found: t.List[Ended] = []
    for number in numbers[begin:]:
        ends = archive.read_changes(number, pending).transactions
        found += [_described(end, names) for end in ends if since <= end.ended_at <= until]
        if any(end.ended_at > until for end in ends):
            break
    return found[-limit:]


def from_server(origin: Cluster, around: datetime, window: float, limit: int) -> t.List[Ended]:
    """The same from the commit timestamps of the server; empty unless track_commit_timestamp is on."""
    if origin.query("SHOW track_commit_timestamp") != "on":
        return []
    since, until = around - timedelta(seconds=window), around + timedelta(seconds=window)
    text = origin.query(
        _COMMITS.format(back=_LOOK_BACK, since=since.isoformat(), until=until.isoformat(), limit=int(limit))
    )
    rows = [line.split("|") for line in text.splitlines() if "|" in line]
    return [Ended(int(xid), at, True, "server") for xid, at in rows]


def relation_names(origin: t.Optional[Cluster]) -> t.Dict[str, str]:
    """Names database/schema.table by the numbers database/file node; databases that cannot be queried are missing."""
    names: t.Dict[str, str] = {}
    if origin is None or origin.running() is None:
        return names
    try:
        databases = origin.query("SELECT oid || '=' || datname FROM pg_catalog.pg_database WHERE datallowconn")
        for line in databases.splitlines():
            number, _equals, database = line.partition("=")
            for found in origin.query(_NAMES, database).splitlines():
                node, _equals, name = found.partition("=")
                names[f"{number}/{node}"] = f"{database}/{name}"
    except RecoveryError:
        pass
    return names


def _described(end: Transaction, names: t.Mapping[str, str]) -> Ended:
    relations, catalog = [], 0
    for change in end.changes:
        _tablespace, database, node = change.relation.split("/")
        if int(node) < _FIRST_NORMAL:
            catalog += change.inserts + change.updates + change.deletes
            continue
        place = f"{database}/{node}"
        relations.append(Relation(names.get(place, place), change.inserts, change.updates, change.deletes))
    dropped = [path for path in end.dropped if int(path.rpartition("/")[2]) >= _FIRST_NORMAL]
    harm = sum(relation.updates + relation.deletes for relation in relations) + len(dropped)
    return Ended(
        xid=end.xid,
        ended_at=end.ended_at.isoformat(timespec="microseconds"),
        committed=end.committed,
        seen_in="log",
        lsn=format_lsn(end.position),
        relations=relations,
        catalog_changes=catalog,
        files_dropped=len(dropped),
        harm=harm if end.committed else 0,
    )
