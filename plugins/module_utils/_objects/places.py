# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket and the store of its backups must not be lost together."""

from __future__ import annotations

import os
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._store.open import StoreOptions


def refuse_shared_place(files: StoreOptions, store: StoreOptions, *, allow_same_bucket: bool) -> None:
    """Raise RecoveryError(invalid_options) for backups in the bucket that they are of, or among its files."""
    one, other = _place(files), _place(store)
    if one != other:
        return
    inner, outer = _prefix(store), _prefix(files)
    if inner.startswith(outer):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The store lies among the files that are backed up, so each backup would hold the ones before it.",
            next_step="Use a bucket of its own for the store.",
        )
    if not allow_same_bucket:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The store lies in the bucket that is backed up, so who deletes the bucket deletes its backups.",
            next_step="Use a bucket of its own for the store, or set allow_same_bucket.",
        )


def _place(options: StoreOptions) -> t.Tuple[t.Optional[str], ...]:
    if options.provider == "directory":
        return ("directory", os.path.realpath(options.path or ""))
    return (options.endpoint_url or "aws", options.bucket)


def _prefix(options: StoreOptions) -> str:
    prefix = options.prefix.strip("/")
    return f"{prefix}/" if prefix else ""
