# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery times of earlier drills against their objective."""

from __future__ import annotations

import typing as t

from .markup import Markup, element, joined
from .phrases import SIGNS, instant, span
from .report_format import Report
from .svg import Scale, box, chart, level, text

#: The largest number of drills that a phone shows as separate bars, and the smallest number of columns, for slim bars.
MOST_DRILLS = 24
_FEWEST_COLUMNS = 8

_TOP = 34
_HEIGHT = 150
_BASE = _TOP + _HEIGHT

#: An objective this many times the longest recovery would flatten all bars.
_FARTHEST = 3.0


def draw_history(reports: t.Sequence[Report]) -> Markup:
    """reports: oldest first, at least one; the last is the newest drill."""
    shown = list(reports[-MOST_DRILLS:])
    longest = max([report["rto"]["measured_seconds"] or 0.0 for report in shown]) or 1.0
    objectives = [report["rto"]["objective_seconds"] for report in shown]
    known = [objective for objective in objectives if objective is not None]
    near = [objective for objective in known if objective <= _FARTHEST * longest]
    top = max([longest, *near]) * 1.08
    heights = Scale(0.0, top)
    columns = max(len(shown), _FEWEST_COLUMNS)
    drawn: t.List[Markup] = [_grid(heights, top)]
    for index, report in enumerate(shown):
        left, right = 100 * index / columns, 100 * (index + 1) / columns
        drawn.append(_bar(heights, report, left, right, newest=index == len(shown) - 1))
        objective = report["rto"]["objective_seconds"]
        if objective is not None and objective <= _FARTHEST * longest:
            drawn.append(level(_y(heights, objective), "mark objective", left, right))
    if known:
        edge = "" if near else ", above this scale ↑"
        drawn.append(text(100, 14, f"RTO objective {span(known[-1])}{edge}", "flag objective", "end"))
    drawn.extend(_dates(shown, columns))
    return chart("history", "Recovery time of each drill", _description(shown), _BASE + 26, drawn)


def _y(heights: Scale, seconds: float) -> float:
    return _BASE - heights.at(seconds) / 100 * _HEIGHT


def _grid(heights: Scale, top: float) -> Markup:
    values = [top / 1.08, top / 2.16]
    return joined(
        level(_BASE, "axis"),
        [level(_y(heights, value), "grid") for value in values],
        # To the left of the figure, where the style keeps room.
        [text(0, _y(heights, value) + 4, span(_rounded(value)), "tick", "end", -8) for value in [*values, 0.0]],
    )


def _bar(heights: Scale, report: Report, left: float, right: float, *, newest: bool) -> Markup:
    seconds, verdict = report["rto"]["measured_seconds"], report["verdict"]
    sign, word = SIGNS[verdict]
    margin = (right - left) * 0.16
    y = _BASE if seconds is None else _y(heights, seconds)
    label = f"{instant(report['started_at'])}: {word}, {'no time measured' if seconds is None else span(seconds)}"
    return element(
        "g",
        element("title", label),
        box(left + margin, right - margin, y, max(2.0, _BASE - y), f"bar {verdict}{' newest' if newest else ''}"),
        text((left + right) / 2, y - 6, sign, f"sign {verdict}", "middle"),
    )


def _dates(shown: t.Sequence[Report], columns: int) -> t.Iterator[Markup]:
    width = 100 / columns
    every = len(shown) <= _FEWEST_COLUMNS
    same_day = len({report["started_at"][:10] for report in shown}) == 1
    for index, report in enumerate(shown):
        if every or index in (0, len(shown) - 1):
            anchor = "middle" if every else "start" if index == 0 else "end"
            x = width * (index + 0.5) if every else width * (index if index == 0 else index + 1)
            when = instant(report["started_at"])
            label = when[11:16] if every and same_day else when[5:10] if every else when[:10]
            yield text(x, _BASE + 17, label, "tick", anchor)


def _rounded(seconds: float) -> float:
    return round(seconds, 1) if seconds < 60 else float(round(seconds))


def _description(shown: t.Sequence[Report]) -> str:
    parts = []
    for report in shown:
        seconds = report["rto"]["measured_seconds"]
        length = "not measured" if seconds is None else span(seconds)
        parts.append(f"{instant(report['started_at'])} {SIGNS[report['verdict']][1]}, {length}")
    return "; ".join(parts) + "."
