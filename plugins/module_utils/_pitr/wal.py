# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Segments of the write-ahead log, as numbers that compare.

https://www.postgresql.org/docs/current/wal-internals.html
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._engines.postgresql.server.lsn import parse_lsn

_SEGMENT = re.compile(r"[0-9A-F]{24}")


@dataclass(frozen=True, order=True)
class Segment:
    """number counts segments from the first one, on every timeline."""

    number: int
    timeline: int
    name: str


@dataclass(frozen=True)
class TimelineSpan:
    """A timeline and the position where the next timeline of the path branches off; None for the last."""

    timeline: int
    end: t.Optional[int]


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None


def parse_segment(name: str, size: int) -> Segment:
    """A segment by its file name; size is that of all segments of the cluster in bytes."""
    per_log = 0x100000000 // size
    return Segment(int(name[8:16], 16) * per_log + int(name[16:24], 16), int(name[:8], 16), name)


def segment_name(timeline: int, number: int, size: int) -> str:
    per_log = 0x100000000 // size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def parse_history(text: str, timeline: int) -> t.List[TimelineSpan]:
    """The path to a timeline, oldest first, from its history file."""
    spans = []
    for line in text.splitlines():
        fields = line.split("#")[0].split()
        if len(fields) >= 2 and fields[0].isdigit():
            spans.append(TimelineSpan(int(fields[0]), parse_lsn(fields[1])))
    return [*spans, TimelineSpan(timeline, None)]


def on_path(segments: t.Iterable[Segment], path: t.Sequence[TimelineSpan], size: int) -> t.Dict[int, Segment]:
    """The segments that a recovery along the path reads, by number; of two, that of the newer timeline."""
    ends = {span.timeline: span.end for span in path}
    chosen: t.Dict[int, Segment] = {}
    for segment in sorted(segments):
        end = ends.get(segment.timeline, -1)
        if end is None or segment.number * size <= end:
            chosen[segment.number] = segment
    return chosen


def first_missing(numbers: t.Container[int], first: int, last: int) -> t.Optional[int]:
    """The first missing number of the range."""
    return next((number for number in range(first, last + 1) if number not in numbers), None)
