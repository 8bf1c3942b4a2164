# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of pg_waldump as transactions: the end of each, and its changes per relation.

The descriptions are those of PostgreSQL 13 to 18, printed with TZ=UTC;
https://www.postgresql.org/docs/current/pgwaldump.html
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .._engines.postgresql.server.lsn import parse_lsn

_RECORD = re.compile(
    r"rmgr: (\w+)\s+len \(rec/tot\):\s*\d+/\s*\d+, tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), "
    r"prev [0-9A-F/]+, desc: (.*)"
)
_ENDED = re.compile(
    r"(COMMIT|ABORT)(?:_PREPARED|_PREPARED \d+)?:? .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) (\S+)(.*)"
)
_RELATION = re.compile(r"rel (\d+/\d+/\d+)")
_TUPLES = re.compile(r"(?:ntuples: )?(\d+)(?: tuples)?")
_VERBS = {
    "INSERT": "inserts",
    "MULTI_INSERT": "inserts",
    "UPDATE": "updates",
    "HOT_UPDATE": "updates",
    "DELETE": "deletes",
}


@dataclass
class Change:
    """The changes of a transaction to one relation, which is tablespace/database/file node."""

    relation: str
    inserts: int = 0
    updates: int = 0
    deletes: int = 0


@dataclass(frozen=True)
class Transaction:
    """The end of a transaction. position is that of its record; dropped are files that it removed."""

    xid: int
    ended_at: datetime
    position: int
    committed: bool
    changes: t.Sequence[Change] = ()
    dropped: t.Sequence[str] = ()


@dataclass(frozen=True)
class RestorePoint:
    """A name that pg_create_restore_point left in the log."""

    name: str
    position: int


@dataclass
class Reading:
    """The content of a range of WAL. last is the position of its last record that was read, 0 for none."""

    transactions: t.List[Transaction] = field(default_factory=list)
    restore_points: t.List[RestorePoint] = field(default_factory=list)
    last: int = 0


def parse_waldump(
    lines: t.Iterable[str],
    *,
    begin: int = 0,
    end: t.Optional[int] = None,
    pending: t.Optional[t.Dict[int, t.Dict[str, Change]]] = None,
) -> Reading:
    """Read records from begin up to, not including, end.

    pending carries the changes of transactions that have not ended from one range to the next.
    """  # fmt: skip
    reading = Reading()
    work: t.Dict[int, t.Dict[str, Change]] = {} if pending is None else pending
    for line in lines:
        match = _RECORD.match(line)
        if match is None:
            continue
        manager, xid, lsn, description = match.groups()
        position = parse_lsn(lsn)
        if position < begin or (end is not None and position >= end):
            continue
        reading.last = max(reading.last, position)
        if manager == "Transaction":
            _end(reading, work, int(xid), position, description)
        elif manager in ("Heap", "Heap2"):
            _change(work, int(xid), description)
        elif manager == "XLOG" and description.startswith("RESTORE_POINT"):
            name = description[len("RESTORE_POINT") :].strip().rstrip(";")
            reading.restore_points.append(RestorePoint(name, position))
    return reading


def _end(reading: Reading, work: t.Dict[int, t.Dict[str, Change]], xid: int, position: int, description: str) -> None:
    match = _ENDED.match(description)
    if match is None:
        return
    verb, moment, zone, rest = match.groups()
    if zone.rstrip(";") not in ("UTC", "GMT"):
        return
    prepared = re.match(r"(?:COMMIT|ABORT)_PREPARED (\d+):", description)
    top = int(prepared.group(1)) if prepared else xid
    subs = re.search(r"subxacts: ([\d ]+)", rest)
    total: t.Dict[str, Change] = {}
    for one in [top, *map(int, subs.group(1).split() if subs else ())]:
        for relation, change in work.pop(one, {}).items():
            into = total.setdefault(relation, Change(relation))
            into.inserts += change.inserts
            into.updates += change.updates
            into.deletes += change.deletes
    dropped = re.search(r"rels: ([^;]+)", rest)
    reading.transactions.append(
        Transaction(
            xid=top,
            ended_at=_moment(moment),
            position=position,
            committed=verb == "COMMIT",
            changes=tuple(total.values()),
            dropped=tuple(dropped.group(1).split()) if dropped else (),
        )
    )


def _change(work: t.Dict[int, t.Dict[str, Change]], xid: int, description: str) -> None:
    parts = description.replace("+INIT", "").split(" ", 1)
    kind = _VERBS.get(parts[0])
    relation = _RELATION.search(description)
    if kind is None or relation is None:
        return
    change = work.setdefault(xid, {}).setdefault(relation.group(1), Change(relation.group(1)))
    count = 1
    if parts[0] == "MULTI_INSERT":
        tuples = _TUPLES.search(parts[1])
        count = int(tuples.group(1)) if tuples else 1
    setattr(change, kind, getattr(change, kind) + count)


def _moment(text: str) -> datetime:
    complete, _dot, fraction = text.partition(".")
    moment = datetime.strptime(complete, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.replace(microsecond=int(fraction.ljust(6, "0")[:6])) if fraction else moment
