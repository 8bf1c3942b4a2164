# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about regions: the secondary region, and the residency of data."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, WARNING
from .findings import Hit, Rule
from .model import Plan


def _side_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    sides = (("primary", plan.regions.primary), ("secondary", plan.regions.secondary))
    if all(region is None for _side, region in sides):
        return
    for side, region in sides:
        if region is None or region.name is None:
            yield Hit(f"regions.{side}", f"The {side} region is not named.")


def _secondary_empty(plan: Plan, today: date) -> t.Iterator[Hit]:
    secondary = plan.regions.secondary
    if secondary is None or secondary.replica or secondary.database:
        return
    if secondary.name is None or all(store.region != secondary.name for store in plan.stores):
        yield Hit("regions.secondary", "The secondary region has neither a replica nor a copy of the backups.")


def _residency_undefined(plan: Plan, today: date) -> t.Iterator[Hit]:
    if plan.residency is not None and not plan.residency.allowed_regions:
        yield Hit("residency.allowed_regions", "Residency is required, but no region is allowed.")


def _region_forbidden(plan: Plan, today: date) -> t.Iterator[Hit]:
    allowed = plan.residency.allowed_regions if plan.residency else ()
    if not allowed:
        return
    for path, name, region in _regions_of_data(plan):
        if region is not None and region not in allowed:
            yield Hit(path, f"{name} is in {region}, which is not an allowed region.")


def _region_unknown(plan: Plan, today: date) -> t.Iterator[Hit]:
    if plan.residency is not None and plan.residency.allowed_regions:
        for path, name, region in _regions_of_data(plan):
            if region is None:
                yield Hit(path, f"The region of {name} is not set.")


def _regions_of_data(plan: Plan) -> t.Iterator[t.Tuple[str, str, t.Optional[str]]]:
    """Path, name and region of each part that holds data."""
    for index, store in enumerate(plan.stores):
        yield f"stores[{index}].region", store.name, store.region
    for index, asset in enumerate(plan.assets):
        yield f"assets[{index}].region", asset.name, asset.region
    for side, region in (("primary", plan.regions.primary), ("secondary", plan.regions.secondary)):
        if region is not None and region.name is not None and (region.database or region.replica):
            yield f"regions.{side}.name", f"the {side} database", region.name


RULES = (
    Rule(
        "region_side_missing",
        ERROR,
        None,
        "If there is a secondary region, both regions are named.",
        "Name the region, or remove the scenario that needs it.",
        _side_missing,
    ),
    Rule(
        "secondary_empty",
        ERROR,
        None,
        "A secondary region has a replica or a copy of the backups.",
        "Create a replica in it, or add a store in that region to the copies.",
        _secondary_empty,
    ),
    Rule(
        "residency_undefined",
        WARNING,
        None,
        "If residency is required, the allowed regions are named.",
        "List the allowed regions.",
        _residency_undefined,
    ),
    Rule(
        "region_forbidden",
        ERROR,
        None,
        "Every copy is in an allowed region.",
        "Move it to an allowed region, or remove it.",
        _region_forbidden,
    ),
    Rule(
        "region_unknown",
        WARNING,
        None,
        "If residency is required, the region of every copy is known.",
        "Look up the region and set it.",
        _region_unknown,
    ),
)
