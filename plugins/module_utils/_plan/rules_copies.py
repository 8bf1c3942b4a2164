# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules about copies of backups: their number, their distance, and the accounts that can destroy or read them."""

from __future__ import annotations

import typing as t
from datetime import date

from .._core.severity import ERROR, WARNING
from .facts import account_of_asset, account_of_source, account_of_store, is_backed_up, stores_of, tiers_of
from .findings import Hit, Rule
from .model import Plan


def _backup_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        if not is_backed_up(plan, source):
            what = "schedule" if stores_of(plan, source) else "store"
            yield Hit(f"sources[{index}]", f"The backups of {source.name} have no {what}.")


def _in_bucket_of_assets(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, store in enumerate(plan.stores):
        for asset in plan.assets:
            if store.bucket == asset.bucket and store.provider == (asset.provider or store.provider):
                yield Hit(f"stores[{index}].bucket", f"{store.name} is the bucket of the files of {asset.name}.")


def _account_of_assets(plan: Plan, today: date) -> t.Iterator[Hit]:
    owners = {account_of_asset(asset): asset.name for asset in reversed(plan.assets)}
    buckets = {asset.bucket for asset in plan.assets}
    for index, store in enumerate(plan.stores):
        account = account_of_store(plan, store)
        if account is not None and account in owners and store.bucket not in buckets:
            yield Hit(
                f"stores[{index}].account",
                f"The account that can delete the files of {owners[account]} can delete {store.name}.",
            )


def _copy_elsewhere(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        own, stores = account_of_source(plan, source), stores_of(plan, source)
        if own is not None and stores and all(account_of_store(plan, store) == own for store in stores):
            yield Hit(
                f"sources[{index}].stores",
                f"Every backup of {source.name} is in the account {own}, like the source itself.",
            )


def _single_place(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        stores = stores_of(plan, source)
        if len(stores) == 1:
            yield Hit(
                f"sources[{index}].stores", f"{stores[0].name} is the only store of the backups of {source.name}."
            )


def _one_region(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        regions = [store.region for store in stores_of(plan, source)]
        if len(regions) > 1 and None not in regions and len(set(regions)) == 1:
            yield Hit(f"sources[{index}].stores", f"Every backup of {source.name} is in {regions[0]}.")


def _lock_missing(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, source in enumerate(plan.sources):
        stores = stores_of(plan, source)
        if stores and not any(store.object_lock for store in stores):
            yield Hit(
                f"sources[{index}].stores", f"A thief of the access keys can delete every backup of {source.name}."
            )


def _not_encrypted(plan: Plan, today: date) -> t.Iterator[Hit]:
    for index, store in enumerate(plan.stores):
        if not store.encrypted:
            yield Hit(
                f"stores[{index}].encrypted", f"The plan does not state that the objects of {store.name} are encrypted."
            )


def _files_unprotected(plan: Plan, today: date) -> t.Iterator[Hit]:
    covered = {source.asset for source in plan.sources if tiers_of(source) and stores_of(plan, source)}
    for index, asset in enumerate(plan.assets):
        if asset.name in covered:
            continue
        owners = [source.name for source in plan.sources if asset.name in source.files]
        referred = f", to which rows of {owners[0]} refer," if owners else ""
        why = "; replication repeats a deletion" if asset.replicated else ""
        yield Hit(f"assets[{index}]", f"The files of {asset.name}{referred} are in no backup{why}.")


RULES = (
    Rule(
        "backup_missing",
        ERROR,
        None,
        "Each source has a schedule and a store.",
        "Give the source tiers with a schedule, and a store.",
        _backup_missing,
    ),
    Rule(
        "backup_in_bucket_of_assets",
        ERROR,
        "T15",
        "Backups are not in a bucket of the application.",
        "Store backups in a separate bucket, which the keys of the application cannot reach.",
        _in_bucket_of_assets,
    ),
    Rule(
        "backup_in_account_of_assets",
        WARNING,
        "T15",
        "Backups are not in the account of the application's files.",
        "Store them in another account with separate keys.",
        _account_of_assets,
    ),
    Rule(
        "copy_elsewhere_missing",
        ERROR,
        None,
        "A copy is in another account than the source.",
        "Add a store of another provider, or of another account, to the copies.",
        _copy_elsewhere,
    ),
    Rule(
        "single_place",
        WARNING,
        None,
        "Backups are in at least two stores.",
        "Add a second store to the copies.",
        _single_place,
    ),
    Rule(
        "copies_in_one_region",
        WARNING,
        None,
        "Copies are in more than one region.",
        "Add a store in another region to the copies.",
        _one_region,
    ),
    Rule(
        "lock_missing",
        WARNING,
        None,
        "A copy cannot be deleted for a time.",
        "Set object_lock on a store, or lock rules on a bucket of R2, and prove it with store_check.",
        _lock_missing,
    ),
    Rule(
        "not_encrypted",
        WARNING,
        None,
        "Backups are encrypted at rest.",
        "Encrypt the sets with encrypt_to, or let the provider encrypt the bucket.",
        _not_encrypted,
    ),
    Rule(
        "files_unprotected",
        ERROR,
        "T16",
        "The files of the application have a backup.",
        "Add the bucket as a source of kind bucket, with tiers and a store.",
        _files_unprotected,
    ),
)
