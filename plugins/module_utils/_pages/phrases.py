# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts, durations, instants and estimates as text on the page and in sentences."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone

from .._core.clock import parse_instant
from .._core.sizes import first_of, readable_seconds

#: A sign and a word for each status, so that colour never carries the meaning alone.
SIGNS = {
    "passed": ("✓", "passed"),
    "ok": ("✓", "ok"),
    "failed": ("✕", "failed"),
    "error": ("!", "not verified"),
    "unknown": ("?", "not timed"),
    "warning": ("△", "warning"),
    "skipped": ("–", "skipped"),
    "missed": ("○", "missed"),
}

#: The smallest number of drills for an estimate: the 90th percentile of fewer drills is not meaningful.
FEWEST_DRILLS = 5

#: The reference of a comparison that names none.
FINGERPRINT_REFERENCE = "the fingerprint of the backup set"

HEADLINES = {
    "passed": "Passed",
    "failed": "Failed",
    "error": "Could not be verified",
    "skipped": "Skipped",
    "missed": "Missed",
}


def span(seconds: float) -> str:
    """A length without idle zeros: C(60 ms), C(18.4 s), C(15 min), C(4 min 05 s), C(1 h), C(7 d 3 h)."""
    if seconds < 0:
        return "−" + span(-seconds)
    if 0 < seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 60 and seconds == int(seconds):
        return f"{int(seconds)} s"
    if seconds < 48 * 3600:
        text = readable_seconds(seconds)
        for idle in (" 00 min", " 00 s"):
            text = text[: -len(idle)] if text.endswith(idle) else text
        return text
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def instant(value: t.Union[str, datetime, None]) -> str:
    """C(2026-03-01 02:00:05 UTC), or a dash where nothing is known."""
    if not value:
        return "–"
    moment = value if isinstance(value, datetime) else parse_instant(value)
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float) -> str:
    """Thousands set apart by a thin space, which no language reads as a decimal sign."""
    return f"{value:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def compact(value: t.Any, limit: int = 240) -> str:
    """A value of a check on one line; long ones are cut, and the cut shows."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def as_text(value: t.Any) -> str:
    """A value of a check for a reader: C(enabled: yes, min policies: 1), C(none) for an empty list."""
    if value in ([], {}, ()):
        return "none"
    if isinstance(value, t.Mapping):
        return compact(", ".join(f"{str(name).replace('_', ' ')}: {as_text(one)}" for name, one in value.items()))
    if isinstance(value, (list, tuple)):
        return compact("; ".join(as_text(one) for one in value))
    return compact(value)


def named(names: t.Sequence[str], most: int = 3) -> str:
    """The first names of a list, each cut to a readable length, and how many more there are."""
    return first_of([compact(name, 72) for name in names], most)


def exceeded_sentence(measured: float, longest: float) -> str:
    return f"Recovery took {span(measured)}, more than the {span(longest)} that were estimated."


def estimate_range(low: t.Optional[float], high: t.Optional[float]) -> str:
    """C(5 min to 15 min), C(at most 2 h), C(at least 5 min), C(5 min)."""
    if low is None or high is None:
        return f"at least {span(low)}" if low is not None else f"at most {span(high or 0)}"
    return span(high) if low == high else f"{span(low)} to {span(high)}"


def too_few_sentence(drills: int) -> str:
    there = "there is none" if not drills else f"there {'is' if drills == 1 else 'are'} {number(drills)}"
    return f"An estimate for the plan is proposed from {FEWEST_DRILLS} passed drills on; {there}."


def plan_line(proposed: t.Mapping[str, t.Any]) -> str:
    """The line to write into the scenario of the plan."""
    low, high = (f"{proposed[end]:.3f}".rstrip("0").rstrip(".") for end in ("min", "max"))
    return f"estimate_seconds: {{min: {low}, max: {high}}}"
