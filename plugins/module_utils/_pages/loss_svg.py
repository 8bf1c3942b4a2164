# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery points on an axis up to the incident: what was lost, and what another moment would have cost."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .._core.clock import parse_instant
from .markup import Markup, element, joined
from .phrases import instant, plural, span
from .report_format import Report
from .svg import Scale, box, chart, diamond, flag, level, percent, text, upright

_AXIS = 92

#: Single points have a title up to this number.
_MOST_TITLES = 200


def draw_loss(report: Report) -> t.Optional[Markup]:
    """The figure, or None when neither a recovery point nor a marker is known."""
    rpo = report["rpo"]
    if not report["incident_at"]:
        return None
    incident = parse_instant(report["incident_at"])

    def before(text_: str) -> float:
        return (parse_instant(text_) - incident).total_seconds()

    points = [before(point) for point in rpo.get("recovery_points", [])]
    marker = before(rpo["marker_at"]) if rpo.get("marker_at") else None
    known = [*points, *([] if marker is None else [marker])]
    if not known:
        return None
    low, high = min(known), max([0.0, *known])
    margin = (high - low) * 0.04 or 1.0
    scale = Scale(low - margin, high)
    gap = rpo.get("longest_gap")
    ends = (before(gap["from"]), before(gap["until"])) if gap else None
    drawn = [
        _loss(scale, marker) if marker is not None and marker <= 0 else None,
        level(_AXIS, "axis"),
        _gap(scale, ends, rpo) if ends else None,
        [_point(scale, at, point) for at, point in zip(points, rpo.get("recovery_points", [])[:_MOST_TITLES])],
        [_point(scale, at, "") for at in points[_MOST_TITLES:]],
        _incident(scale, instant(report["incident_at"])),
        _marker(scale, marker, rpo["marker_at"]) if marker is not None else None,
        _objective(scale, rpo["objective_seconds"]),
        text(0, _AXIS + 66, instant(incident + timedelta(seconds=low))[:16], "tick"),
        text(100, _AXIS + 66, "incident" if high <= 0 else "marker", "tick", "end"),
    ]
    return chart("loss", "Recovery points before the incident", _description(report, points, marker), _AXIS + 74, drawn)


def _point(scale: Scale, at: float, point: str) -> Markup:
    title = element("title", f"recovery point {instant(point)}") if point else None
    return element("circle", title, cx=percent(scale.at(at)), cy=_AXIS, r=5, class_="point")


def _gap(scale: Scale, ends: t.Tuple[float, float], rpo: Report) -> Markup:
    left, right = scale.at(ends[0]), scale.at(ends[1])
    late = rpo["objective_seconds"] is not None and rpo["exposure_seconds"] > rpo["objective_seconds"]
    label = f"Longest gap: {span(rpo['exposure_seconds'])}"
    style = "late" if late else "within"
    middle = (left + right) / 2
    anchor = "middle" if 30 <= middle <= 70 else "start" if middle < 30 else "end"
    x = middle if anchor == "middle" else left if anchor == "start" else right
    return joined(
        box(left, right, _AXIS - 4, 8, f"gap {style}"),
        text(x, _AXIS + 26, label, f"flag {style}", anchor),
    )


def _loss(scale: Scale, marker: float) -> Markup:
    return box(scale.at(marker), scale.at(0), _AXIS - 24, 48, "lost")


def _incident(scale: Scale, when: str) -> Markup:
    return joined(
        upright(scale.at(0), 4, _AXIS + 24, "mark incident"),
        flag(scale.at(0), 15, f"Incident, {when[11:]}", "flag incident"),
    )


def _marker(scale: Scale, marker: float, when: str) -> Markup:
    x = scale.at(marker)
    lost = f"Recovered up to −{span(-marker)}" if marker <= 0 else "! Recovered marker after the incident"
    return joined(
        upright(x, 30, _AXIS, "mark recovered"),
        flag(x, 41, lost, "flag recovered"),
        diamond(x, _AXIS, 8, "marker", element("title", f"newest recovered marker {instant(when)}")),
    )


def _objective(scale: Scale, objective: t.Optional[float]) -> t.Optional[Markup]:
    if objective is None:
        return None
    y = _AXIS + 42
    if -objective < scale.low:
        return text(100, y + 4, f"← RPO objective, {span(objective)}", "flag objective", "end")
    left, right = scale.at(-objective), scale.at(0)
    label = f"RPO objective, {span(objective)}"
    label_left = text(left, y + 4, label, "flag objective", "end", -7) if left > 50 else None
    return joined(
        level(y, "mark objective", left, right),
        upright(left, y - 5, y + 5, "mark objective"),
        upright(right, y - 5, y + 5, "mark objective"),
        label_left or text(right, y - 8, label, "flag objective", "end"),
    )


def _description(report: Report, points: t.Sequence[float], marker: t.Optional[float]) -> str:
    rpo = report["rpo"]
    parts = [f"{plural(len(points), 'recovery point')} up to the incident at {instant(report['incident_at'])}"]
    if rpo["exposure_seconds"] is not None:
        parts.append(f"the longest gap is {span(rpo['exposure_seconds'])}")
    if marker is not None:
        parts.append(f"the newest recovered marker is from {instant(rpo['marker_at'])}")
    if rpo["objective_seconds"] is not None:
        parts.append(f"the objective is {span(rpo['objective_seconds'])}")
    return "; ".join(parts) + "."
