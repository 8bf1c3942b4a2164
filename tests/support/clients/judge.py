# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the records of clients: lost rows, the servers that accepted rows, and the outage."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

#: A row: the client and the number.
Row = tuple[str, int]


@dataclass(frozen=True)
class Attempt:
    """One row that a client tried to write. server is empty unless the server acknowledged the row."""

    client: str
    number: int
    began: float
    ended: float
    server: str
    error: str

    @property
    def row(self) -> Row:
        return self.client, self.number


@dataclass(frozen=True)
class Verdict:
    acknowledged: int
    #: Rows that were acknowledged and are not on the final primary.
    lost: list[Row]
    #: Servers in the order in which they accepted rows. A server that returns was the writer twice.
    writers: list[str]
    #: The longest time without an acknowledged row, in seconds, of the client that waited longest.
    outage: float
    #: The longest time that one acknowledged row took, in seconds.
    longest_wait: float


def attempts(record: Path) -> list[Attempt]:
    return read(record.stem, record.read_text())


def read(client: str, text: str) -> list[Attempt]:
    """The attempts of a record. A client that was killed leaves a partial last line, which is left out."""
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [
        Attempt(client, line["number"], line["began"], line["ended"], line["server"] or "", line["error"] or "")
        for line in lines
    ]


def judge(found: t.Iterable[Attempt], rows: t.Collection[Row]) -> Verdict:
    """The verdict on attempts, of one client or of several, against the rows of the final primary."""
    tried = sorted(found, key=_ended)
    accepted = [attempt for attempt in tried if attempt.server]
    return Verdict(
        acknowledged=len(accepted),
        lost=[attempt.row for attempt in accepted if attempt.row not in rows],
        writers=[server for server, _attempts in groupby(attempt.server for attempt in accepted)],
        outage=max((_outage(own) for own in _by_client(tried)), default=0.0),
        longest_wait=max((attempt.ended - attempt.began for attempt in accepted), default=0.0),
    )


def _ended(attempt: Attempt) -> float:
    return attempt.ended


def _by_client(tried: t.Iterable[Attempt]) -> t.Iterator[list[Attempt]]:
    clients: dict[str, list[Attempt]] = {}
    for attempt in tried:
        clients.setdefault(attempt.client, []).append(attempt)
    yield from clients.values()


def _outage(tried: list[Attempt]) -> float:
    # A client that is without service at the end counts until its last attempt.
    ends = [tried[0].began, *(attempt.ended for attempt in tried if attempt.server), tried[-1].ended]
    return max(later - earlier for earlier, later in pairwise(ends))
