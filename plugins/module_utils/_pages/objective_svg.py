# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measured durations as bars, with the objective as a line across them."""

from __future__ import annotations

import typing as t

from .markup import Markup
from .phrases import estimate_range, span
from .svg import Scale, box, chart, flag, level, text, upright

_ROW = 40
_TOP = 24
_BELOW = 28

#: An estimate this many times what else is drawn would leave no bar to see.
_FARTHEST = 3.0

_Ends = t.Tuple[t.Optional[float], t.Optional[float]]


def draw_objective(
    key: str,
    title: str,
    measured: t.Sequence[t.Tuple[str, t.Optional[float]]],
    objective: t.Optional[float],
    estimate: t.Optional[_Ends] = None,
) -> t.Optional[Markup]:
    """One bar a measured length; None when there is nothing to draw. estimate: both ends, None where one is open."""
    known = [seconds for _name, seconds in measured if seconds is not None]
    if not known and objective is None:
        return None
    longest = max([*known, objective or 0.0, 0.001])
    near = [end for end in estimate or () if end is not None and end <= _FARTHEST * longest]
    scale = Scale(0.0, max([longest, *near]) * 1.12)
    bottom = _TOP + _ROW * len(measured)
    drawn: t.List[Markup] = [level(bottom, "grid")]
    names: t.List[Markup] = []
    for index, (name, seconds) in enumerate(measured):
        y = _TOP + _ROW * index
        late = objective is not None and seconds is not None and seconds > objective
        names.append(text(0, y + 11, name, "name"))
        drawn.append(box(0, 100, y + 17, 14, "track"))
        if seconds is None:
            drawn.append(text(0, y + 28, "? not measured", "value unknown", dx=6))
        else:
            drawn.append(box(0, scale.at(seconds), y + 17, 14, "bar late" if late else "bar within"))
    if objective is not None:
        drawn.append(upright(scale.at(objective), 4, bottom, "mark objective"))
        drawn.append(flag(scale.at(objective), 14, f"objective {span(objective)}", "flag objective"))
    description = ", ".join(f"{name} {'not measured' if value is None else span(value)}" for name, value in measured)
    if estimate is not None:
        description += f", estimate {estimate_range(*estimate)}"
        drawn.extend(_draw_estimate(scale, bottom, estimate))
    limit = "no objective" if objective is None else f"objective {span(objective)}"
    height = bottom + (_BELOW if estimate else 4)
    return chart(key, title, f"{description}; {limit}.", height, drawn, names)


def _draw_estimate(scale: Scale, top: float, ends: _Ends) -> t.Iterator[Markup]:
    """A band below the bars, to the edge where it goes beyond, with its name under it."""
    low, high = ends
    left = scale.at(low or 0.0)
    right = 100.0 if high is None else scale.at(high)
    beyond = "" if high is not None and high <= scale.high else " →"
    yield box(left, right, top + 4, 6, "estimate")
    label = f"estimate {estimate_range(low, high)}{beyond}"
    if left < 50:
        yield text(left, top + 24, label, "flag objective")
    else:
        yield text(right, top + 24, label, "flag objective", "end")
