# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of files in buckets."""

from __future__ import annotations

from .._core.errors import ErrorKind, RecoveryError
from .._engines.bucket.locations import refuse_shared_location
from .._engines.bucket.transfer import TransferOptions
from .._store.base import Headers, ObjectStore
from .._store.open import StoreOptions
from .._store.r2_locks import LockChange
from .options import request_of
from .requests import Params, optional_instant
from .store_requests import opened_store


def checked_locations(params: Params) -> ObjectStore:
    """As opened_store, for backups of files: not where these are. Raises RecoveryError(invalid_options)."""
    store = opened_store(params)
    given = {name: value for name, value in params["store"].items() if name != "audit_log"}
    files = StoreOptions(**params["files"])
    refuse_shared_location(files, StoreOptions(**given), allow_same_bucket=params["allow_same_bucket"])
    return store


def transfer_options(params: Params, *, check_mode: bool) -> TransferOptions:
    """Raises RecoveryError(invalid_options) for a header of several lines."""
    texts = [params[name] for name in ("content_type", "cache_control", "content_disposition", "content_encoding")]
    if any(
        "\n" in str(text) or "\r" in str(text) for text in (*texts, *params["metadata"], *params["metadata"].values())
    ):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "A header or metadata has several lines.", next_step="Write it in one."
        )
    headers = Headers(
        content_type=params["content_type"],
        cache_control=params["cache_control"],
        content_disposition=params["content_disposition"],
        content_encoding=params["content_encoding"],
        metadata={str(name).lower(): str(value) for name, value in params["metadata"].items()},
    )
    return request_of(TransferOptions, params, check_mode=check_mode, headers=headers)


def lock_change(params: Params) -> LockChange:
    until = optional_instant(params["until"])
    if params["days"] is not None and params["days"] < 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "days must be at least 1.", next_step="Correct it.")
    text = until.strftime("%Y-%m-%dT%H:%M:%SZ") if until else None
    return request_of(LockChange, params, check_mode=False, until=text)
