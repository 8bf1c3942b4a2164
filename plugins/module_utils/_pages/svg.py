# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drawing that fits every width: positions across are percentages, so text keeps its size on a phone."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .markup import Child, Markup, element, joined
from .phrases import span

#: Seconds between two ticks of a time axis, as people count.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True)
class Scale:
    """Maps values to percent of the width."""

    low: float
    high: float

    def at(self, value: float) -> float:
        width = self.high - self.low
        return 0.0 if width <= 0 else min(100.0, max(0.0, (value - self.low) / width * 100))


def percent(value: float) -> str:
    return f"{value:.3f}%"


def chart(key: str, title: str, description: str, height: float, *children: Child) -> Markup:
    """A figure with title and description for screen readers."""
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *children,
        class_=f"chart {key}",
        width="100%",
        height=f"{height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start", dx: float = 0) -> Markup:
    return element(
        "text",
        content,
        x=percent(x),
        y=f"{y:g}",
        dx=f"{dx:g}" if dx else None,
        class_=class_ or None,
        text_anchor=anchor,
    )


def flag(x: float, y: float, content: str, class_: str) -> Markup:
    """A label beside an upright line, on the side that has room."""
    return text(x, y, content, class_, "start", 7) if x < 50 else text(x, y, content, class_, "end", -7)


def upright(x: float, top: float, bottom: float, class_: str) -> Markup:
    return element("line", x1=percent(x), x2=percent(x), y1=f"{top:g}", y2=f"{bottom:g}", class_=class_)


def level(y: float, class_: str, left: float = 0, right: float = 100) -> Markup:
    return element("line", x1=percent(left), x2=percent(right), y1=f"{y:g}", y2=f"{y:g}", class_=class_)


def box(left: float, right: float, top: float, height: float, class_: str, *children: Child) -> Markup:
    return element(
        "rect",
        *children,
        x=percent(left),
        y=f"{top:g}",
        width=percent(max(0.0, right - left)),
        height=f"{height:g}",
        class_=class_,
    )


def diamond(x: float, y: float, size: float, class_: str, *children: Child) -> Markup:
    path = element("path", *children, d=f"M0 {-size:g}L{size:g} 0L0 {size:g}L{-size:g} 0Z", class_=class_)
    return element("svg", path, x=percent(x), y=f"{y:g}", style="overflow:visible")


def ticks(low: float, high: float, most: int = 5) -> t.List[float]:
    """Round values from low to high, zero among them if it lies between."""
    width = high - low
    if width <= 0:
        return [low]
    step: float = next((step for step in _STEPS if width / step <= most), 86400.0)
    while width / step > most:
        step *= 2
    first = int(low // step)
    values = [(first + index) * step for index in range(most + 3)]
    return [round(value, 3) for value in values if low <= value <= high]


def time_axis(scale: Scale, values: t.Sequence[float], top: float, bottom: float) -> Markup:
    """Grid lines with their offsets from the incident below."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    return joined(
        [upright(scale.at(value), top, bottom, "grid") for value in values],
        [
            # Every second label gives way where there is no room, never the one at zero.
            text(
                scale.at(value),
                bottom + 16,
                tick_label(value),
                "tick fine" if round(value / step) % 2 else "tick",
                _tick_anchor(scale.at(value)),
            )
            for value in values
        ],
    )


def tick_label(value: float) -> str:
    """C(0), C(+15 s), C(−2 min)."""
    if value == 0:
        return "0"
    if abs(value) < 1:
        return f"{'+' if value > 0 else '−'}{abs(value):g} s"
    return f"+{span(value)}" if value > 0 else span(value)


def shortened(content: str, limit: int) -> str:
    return content if len(content) <= limit else content[: limit - 1] + "…"


def _tick_anchor(x: float) -> str:
    if x < 4:
        return "start"
    return "end" if x > 96 else "middle"
