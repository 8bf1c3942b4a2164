# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of stores, and which sets in them are meant."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._core.errors import ErrorKind, RecoveryError
from .._engines.postgresql.server.audit_table import insert_audit
from .._engines.postgresql.server.connection import ConnectionOptions, parse_dsn
from .._repository.catalogue import list_sets
from .._repository.recovery_points import Selection
from .._repository.retention import DEFAULTS, Policy
from .._store.base import ObjectStore
from .._store.open import INHERITED, StoreOptions, open_store
from .ansible_module import WARNINGS
from .options import ArgumentSpec, request_of, spec_of
from .requests import Params

#: Errors of one store that another store may not have.
_ANOTHER_MAY_SERVE = (
    ErrorKind.UNREACHABLE,
    ErrorKind.ACCESS_DENIED,
    ErrorKind.STORE_FAILED,
    ErrorKind.TIMEOUT,
    ErrorKind.OBJECT_MISSING,
)


_STORE_OPTIONS = spec_of(StoreOptions).options
_PLACE_OPTIONS = {name: option for name, option in _STORE_OPTIONS.items() if name not in INHERITED}

#: The environment describes the first store, so it sets no option of a copy.
_COPY_OPTIONS = {
    name: {key: value for key, value in option.items() if key != "fallback"} for name, option in _PLACE_OPTIONS.items()
}

_AUDIT_LOG_OPTIONS: t.Dict[str, t.Any] = {
    "dsn": {"type": "str", "required": True, "no_log": True},
    "table": {"type": "str", "default": "backup_audit_log"},
}


def store_spec() -> ArgumentSpec:
    options = {
        **_STORE_OPTIONS,
        "copies": {"type": "list", "elements": "dict", "default": [], "options": _COPY_OPTIONS},
        "audit_log": {"type": "dict", "options": _AUDIT_LOG_OPTIONS},
    }
    return ArgumentSpec({"store": {"type": "dict", "options": options}})


def files_spec() -> ArgumentSpec:
    """A bucket of files, beside the store of backups."""
    options = {name: option for name, option in _PLACE_OPTIONS.items() if name not in ("object_lock", "storage_class")}
    return ArgumentSpec({"files": {"type": "dict", "options": options}})


def opened_store(params: Params) -> ObjectStore:
    """The store that the option store describes. Raises RecoveryError when it cannot be opened."""
    options = params["store"]
    if not options:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option store is missing.",
            next_step="Give a bucket and provider, or provider directory and a path.",
        )
    given = dict(options)
    audit_log = given.pop("audit_log", None)
    store = open_store(StoreOptions(**given))
    if audit_log:
        for one in (store, *store.copies):
            one.audit_sinks = [_audit_sink(audit_log)]
    return store


def optional_files(params: Params) -> t.Optional[ObjectStore]:
    """As opened_files, or None when no bucket is named."""
    return opened_files(params) if params["files"] else None


def opened_files(params: Params) -> ObjectStore:
    """The bucket that the option files describes, with storage_class for modules that have it.

    Raises RecoveryError(invalid_options) when it is missing.
    """
    if not params["files"]:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The option files is missing.",
            next_step="Give a bucket and provider, or provider directory and a path.",
        )
    return open_store(StoreOptions(**params["files"], storage_class=params.get("storage_class")))


def files_name(params: Params) -> str:
    """The name of the bucket for confirmations; empty if it is missing."""
    files = params["files"] or {}
    return str(files.get("bucket") or files.get("path") or "")


def readable_store(params: Params, source: t.Optional[str] = None) -> ObjectStore:
    """As opened_store, for those who read sets: the first of store and copies that answers and has the source.

    Warns when that is a copy. Raises the first store's error when none has it.
    """
    first = opened_store(params)
    if not first.copies:
        return first
    problem: t.Optional[RecoveryError] = None
    for store in (first, *first.copies):
        try:
            if list_sets(store, source):
                if store is not first:
                    why = problem.what if problem else f"{first.location} has no sets of it."
                    WARNINGS.append(f"Reading from the copy {store.location}: {why}")
                return store
        except RecoveryError as error:
            if error.kind not in _ANOTHER_MAY_SERVE:
                raise
            problem = problem or error
    if problem is not None:
        raise problem
    return first


def _audit_sink(audit_log: Params) -> t.Callable[[str, Params], None]:
    def tell(source: str, record: Params) -> None:
        try:
            insert_audit(ConnectionOptions(parse_dsn(audit_log["dsn"])), audit_log["table"], source, record)
        except RecoveryError as error:
            WARNINGS.append(
                f"The audit record is in the store, but not in the table {audit_log['table']}: {error.what}"
            )

    return tell


def store_parallel(params: Params) -> int:
    """The number of objects that are transferred in parallel."""
    return int(params["store"]["parallel"]) if params["store"] else 1


def set_selection(params: Params) -> Selection:
    """Which set the options set, before, tier and seed ask for; the latest when none is named."""
    return request_of(Selection, params, check_mode=False)


def retention_policy(params: Params) -> t.Optional[Policy]:
    """The policy of the keep options, or None when none of them is given."""
    within, minimum = params["keep_within_days"], params["minimum"]
    _require_bounds({"keep_within_days": within, **params["audit_days"]}, 36500)
    _require_bounds({"grace_seconds": params["grace_seconds"]}, 10**9)
    seconds = None if within is None else within * 86400
    policy = request_of(Policy, params, check_mode=False, keep_within=seconds)
    if replace(policy, minimum=Policy.minimum) != Policy():
        return policy
    if minimum is None:
        return None
    return replace(DEFAULTS[params["tier"]], minimum=minimum) if params["tier"] else policy


def _require_bounds(numbers: Params, most: int) -> None:
    """Raise RecoveryError(invalid_options) for what is no number of days or seconds."""
    for name, number in numbers.items():
        try:
            fits = number is None or 0 <= float(number) <= most
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{name} is {number!r}.",
                left="Nothing was removed.",
                next_step=f"Give a number between 0 and {most}.",
            )


def audit_days(params: Params) -> t.Dict[str, float]:
    """The option audit_days, whose values templates make texts of. Checked by retention_policy."""
    return {str(name): float(days) for name, days in params["audit_days"].items()}


def audit_store(params: Params) -> t.Optional[ObjectStore]:
    """Where to write records of a source, if it is named. Raises RecoveryError(invalid_options) without a store."""
    return opened_store(params) if params["source"] else None
