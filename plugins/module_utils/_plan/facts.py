# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts derived from a plan that several rules need."""

from __future__ import annotations

import typing as t
from datetime import date, timedelta

from .model import Asset, FirstStep, Method, Plan, Source, Store, Tier
from .placeholders import is_placeholder
from .schedule import longest_gap

#: The account of owners without an account of their own.
_OWNER_OF_KIND = {"supabase": "supabase", "d1": "cloudflare"}
_OWNER_OF_PROVIDER = {"r2": "cloudflare"}
#: The time that one set of a tier covers, for the retention.
_PERIODS = {"hourly": 3600.0, "daily": 86400.0, "weekly": 7 * 86400.0, "monthly": 30 * 86400.0}


def tiers_of(source: Source) -> t.List[t.Tuple[str, Tier]]:
    """The tiers that a source has, by name."""
    found = [(name, getattr(source.tiers, name)) for name in _PERIODS]
    return [(name, tier) for name, tier in found if tier is not None]


def schedule_gap(source: Source) -> t.Optional[float]:
    """The longest time in seconds between two of its sets; None without a tier."""
    return min((longest_gap(tier.schedule) for _name, tier in tiers_of(source)), default=None)


def kept_seconds(source: Source) -> t.Optional[float]:
    """The age in seconds that its oldest set reaches; None if no tier states the number of sets."""
    spans = [tier.keep * _PERIODS[name] for name, tier in tiers_of(source) if tier.keep is not None]
    return max(spans, default=None)


def stores_of(plan: Plan, source: Source) -> t.List[Store]:
    """The stores of a source and their copies, each once."""
    by_name = {store.name: store for store in plan.stores}
    found: t.List[Store] = []
    waiting = list(source.stores)
    while waiting:
        store = by_name.get(waiting.pop(0))
        if store is not None and store not in found:
            found.append(store)
            waiting += store.copies
    return found


def account_of_source(plan: Plan, source: Source) -> t.Optional[str]:
    """The accounts that can delete the source, according to the plan."""
    asset = asset_of(plan, source)
    if source.account is None and asset is not None:
        return account_of_asset(asset)
    return source.account or _OWNER_OF_KIND.get(source.kind)


def account_of_store(plan: Plan, store: Store) -> t.Optional[str]:
    """The accounts that can delete the store. A managed backup is deleted with its source."""
    if store.account is None and store.provider == "managed":
        owners = [account_of_source(plan, source) for source in plan.sources if store.name in source.stores]
        return owners[0] if owners else None
    return store.account or _OWNER_OF_PROVIDER.get(store.provider, store.provider)


def account_of_asset(asset: Asset) -> t.Optional[str]:
    """The accounts that can delete the files."""
    return asset.account or _OWNER_OF_PROVIDER.get(asset.provider or "", asset.provider)


def asset_of(plan: Plan, source: Source) -> t.Optional[Asset]:
    """The bucket of the application that the source is."""
    return next((asset for asset in plan.assets if asset.name == source.asset), None)


def is_backed_up(plan: Plan, source: Source) -> bool:
    """Whether it has a schedule and a store."""
    timed = bool(tiers_of(source)) or source.pitr.enabled
    return timed and bool(stores_of(plan, source))


def methods_with(plan: Plan, step: str) -> t.List[t.Tuple[int, Method]]:
    """The methods with steps, with their index."""
    return [(index, method) for index, method in enumerate(plan.methods) if step in method.steps]


def methods_of_kind(plan: Plan, kind: str) -> t.List[t.Tuple[int, Method]]:
    return [(index, method) for index, method in enumerate(plan.methods) if method.kind == kind]


def first_steps_due(plan: Plan) -> t.Iterator[t.Tuple[FirstStep, t.Optional[date]]]:
    """Each first step and its due date; None if the plan has no date of coming into force."""
    begun = plan.document.begun
    start = None if begun is None or is_placeholder(begun) else date.fromisoformat(begun)
    for step in plan.first_steps:
        yield step, None if start is None else start + timedelta(days=step.after_days)
