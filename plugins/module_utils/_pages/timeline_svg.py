# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline of a recovery, to scale, from the incident."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.clock import parse_instant
from .markup import Markup, element, joined
from .phrases import SIGNS, instant, span
from .report_format import Report
from .svg import Scale, box, chart, flag, level, shortened, text, ticks, time_axis, upright

_ROW = 38
_FLAG = 22

#: An objective further away than this many lengths of the drill would squeeze the phases together.
_FARTHEST = 2.5

_MOST_MARKS = 6


@dataclass(frozen=True)
class _Flag:
    at: float
    label: str
    style: str


def draw_timeline(report: Report) -> t.Optional[Markup]:
    """The figure, or None when the drill has no phases."""
    phases = _placed(report)
    if not phases:
        return None
    flags, note = _flags(report, phases)
    starts = [offset for offset, _phase in phases] + [item.at for item in flags]
    ends = [offset + phase["seconds"] for offset, phase in phases] + [item.at for item in flags]
    low, high = min(starts), max(ends)
    scale = Scale(low, high if high > low else low + 1)
    top = _FLAG * (len(flags) + (1 if note else 0)) + 6
    bottom = top + _ROW * len(phases) + 4
    measured = report["rto"]["measured_seconds"]
    drawn: t.List[Markup] = [time_axis(scale, ticks(scale.low, scale.high, 7), top, bottom)]
    if measured is not None:
        drawn.insert(0, box(scale.at(0), scale.at(measured), top, bottom - top, "span"))
    for index, item in enumerate(flags):
        drawn.append(upright(scale.at(item.at), _FLAG * index + 4, bottom, f"mark {item.style}"))
        drawn.append(flag(scale.at(item.at), _FLAG * index + 15, item.label, f"flag {item.style}"))
    if note:
        drawn.append(text(100, _FLAG * len(flags) + 15, note, "flag objective", "end", -7))
    for index, (offset, phase) in enumerate(phases):
        drawn.append(_row(scale, offset, phase, top + _ROW * index + 4))
    return chart("timeline", "Timeline of the recovery", _description(phases, flags), bottom + 24, drawn)


def _placed(report: Report) -> t.List[t.Tuple[float, Report]]:
    origin = parse_instant(report["incident_at"] or report["started_at"])
    placed = []
    for phase in report["phases"]:
        offset = phase.get("offset_seconds")
        if offset is None:
            offset = (parse_instant(phase["started_at"]) - origin).total_seconds()
        placed.append((float(offset), phase))
    return sorted(placed, key=lambda item: item[0])


def _flags(report: Report, phases: t.Sequence[t.Tuple[float, Report]]) -> t.Tuple[t.List[_Flag], str]:
    flags: t.List[_Flag] = []
    rto = report["rto"]
    measured, objective = rto["measured_seconds"], rto["objective_seconds"]
    if report["incident_at"]:
        flags.append(_Flag(0.0, f"Incident, {instant(report['incident_at'])[11:]}", "incident"))
        origin = parse_instant(report["incident_at"])
        for mark in report.get("marks", [])[:_MOST_MARKS]:
            if mark["name"] != "incident":
                offset = (parse_instant(mark["at"]) - origin).total_seconds()
                flags.append(_Flag(offset, shortened(mark["name"], 30), "other"))
    if measured is not None:
        flags.append(_Flag(measured, f"Recovered after {span(measured)}", "recovered"))
    if objective is None or not report["incident_at"]:
        return flags, ""
    last = max([offset + phase["seconds"] for offset, phase in phases] + [1.0])
    first = min([offset for offset, _phase in phases] + [0.0])
    if objective <= _FARTHEST * max(last, last - first):
        flags.append(_Flag(objective, f"RTO objective, {span(objective)}", "objective"))
        return flags, ""
    return flags, f"RTO objective, {span(objective)} →"


def _row(scale: Scale, offset: float, phase: Report, y: float) -> Markup:
    sign, word = SIGNS[phase["status"]]
    length = span(phase["seconds"])
    shown = length if phase["status"] == "ok" else f"{sign} {word}, {length}"
    label = f"{phase['name']}: {length}, {word}" + (f" ({phase['note']})" if phase.get("note") else "")
    left, right = scale.at(offset), scale.at(offset + phase["seconds"])
    style = phase["status"] if phase["status"] != "ok" or offset >= 0 else "before"
    return element(
        "g",
        element("title", label),
        text(
            0, y + 12, joined(_name(phase), element("tspan", shown, dx="8", class_=f"value {phase['status']}")), "label"
        ),
        level(y + 24, "rail"),
        box(left, right, y + 18, 12, f"phase {style}"),
    )


def _name(phase: Report) -> Markup:
    return element("tspan", shortened(phase["name"].replace("_", " "), 28), class_="name")


def _description(phases: t.Sequence[t.Tuple[float, Report]], flags: t.Sequence[_Flag]) -> str:
    sentences = [
        f"{phase['name']} from {span(offset)} for {span(phase['seconds'])}, {SIGNS[phase['status']][1]}"
        for offset, phase in phases
    ]
    return "Offsets are from the incident. " + "; ".join([*sentences, *(item.label for item in flags)]) + "."
