# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about names: every reference names an existing element."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR
from .findings import Hit, Rule
from .model import Plan


def _name_unknown(plan: Plan, today: date) -> t.Iterator[Hit]:
    known = {
        kind: {item.name for item in items}
        for kind, items in (
            ("store", plan.stores),
            ("asset", plan.assets),
            ("source", plan.sources),
            ("method", plan.methods),
            ("scenario", plan.scenarios),
            ("channel", plan.channels),
        )
    }
    for path, kind, name in _references(plan):
        if name is not None and name not in known[kind]:
            yield Hit(path, f"There is no {kind} {name}.")


def _references(plan: Plan) -> t.Iterator[t.Tuple[str, str, t.Optional[str]]]:
    """Path, kind of the element, and its name."""
    for index, source in enumerate(plan.sources):
        yield from ((f"sources[{index}].stores[{n}]", "store", name) for n, name in enumerate(source.stores))
        yield from ((f"sources[{index}].files[{n}]", "asset", name) for n, name in enumerate(source.files))
        yield f"sources[{index}].asset", "asset", source.asset
    for index, store in enumerate(plan.stores):
        yield from ((f"stores[{index}].copies[{n}]", "store", name) for n, name in enumerate(store.copies))
    for index, scenario in enumerate(plan.scenarios):
        yield f"scenarios[{index}].source", "source", scenario.source
        yield f"scenarios[{index}].method", "method", scenario.method
    for index, item in enumerate(plan.verification):
        yield f"verification[{index}].method", "method", item.method
    for index, drill in enumerate(plan.drills):
        yield f"drills[{index}].scenario", "scenario", drill.scenario
    for index, channel in enumerate(plan.channels):
        yield f"channels[{index}].fallback", "channel", channel.fallback


RULES = (
    Rule(
        "name_unknown",
        ERROR,
        None,
        "Every name refers to an existing element.",
        "Correct the name, or add the element.",
        _name_unknown,
    ),
)
