# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket and the store of its backups must not be lost together."""

from __future__ import annotations

import os
import typing as t
from urllib.parse import urlsplit

from ..._core.errors import ErrorKind, RecoveryError
from ..._store.open import StoreOptions

_LOOPBACK = ("127.0.0.1", "::1", "localhost", "ip6-localhost")


def refuse_shared_location(files: StoreOptions, store: StoreOptions, *, allow_same_bucket: bool) -> None:
    """Raise RecoveryError(invalid_options) for backups in the bucket that they are of, or among its files."""
    one, other = _place(files), _place(store)
    if one != other:
        return
    inner, outer = _within(store), _within(files)
    if inner.startswith(outer):
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The store lies among the files that are backed up, so each backup would hold the ones before it.",
            next_step="Use a bucket of its own for the store.",
        )
    if not allow_same_bucket and files.provider != "directory":
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            "The store lies in the bucket that is backed up, so who deletes the bucket deletes its backups.",
            next_step="Use a bucket of its own for the store, or set allow_same_bucket.",
        )


def _place(options: StoreOptions) -> t.Tuple[t.Optional[str], ...]:
    """The parts that identify a location: equal for two names of it, as far as names show that."""
    if options.provider == "directory":
        return ("directory",)
    url = urlsplit(options.endpoint_url or "")
    host = (url.hostname or "aws").lower().rstrip(".")
    try:
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        port = 0
    return ("localhost" if host in _LOOPBACK else host, str(port), options.bucket)


def _within(options: StoreOptions) -> str:
    """The folder within the place, with a slash at its end unless it is the whole."""
    prefix = options.prefix.strip("/")
    if options.provider == "directory":
        return os.path.realpath(os.path.join(options.path or "", prefix)).rstrip("/") + "/"
    return f"{prefix}/" if prefix else ""
