# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens the store that the options describe."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .base import ObjectStore
from .directory import DirectoryStore
from .s3 import S3Settings, S3Store

_NEEDS_ENDPOINT = ("r2", "minio", "supabase", "generic")


@dataclass(frozen=True)
class StoreOptions:
    """The option C(store) of the modules. parallel counts parts in flight, timeout is in seconds."""

    provider: str = "aws"
    bucket: t.Optional[str] = None
    prefix: str = ""
    path: t.Optional[str] = None
    endpoint_url: t.Optional[str] = None
    region: t.Optional[str] = None
    access_key: t.Optional[str] = field(default=None, repr=False)
    secret_key: t.Optional[str] = field(default=None, repr=False)
    session_token: t.Optional[str] = field(default=None, repr=False)
    ca_bundle: t.Optional[str] = None
    parallel: int = 3
    timeout: int = 60


def open_store(options: StoreOptions) -> ObjectStore:
    """A DirectoryStore or an S3Store. Raises RecoveryError(invalid_options or library_missing)."""
    if options.parallel < 1 or options.timeout < 1:
        raise _invalid("The store's parallel and timeout must be at least 1.", "Correct them.")
    if options.provider == "directory":
        if not options.path:
            raise _invalid("A store of provider directory needs a path.", "Set store.path.")
        return DirectoryStore(options.path, options.prefix)
    if not options.bucket:
        raise _invalid(f"A store of provider {options.provider} needs a bucket.", "Set store.bucket.")
    if options.provider in _NEEDS_ENDPOINT and not options.endpoint_url:
        raise _invalid(f"A store of provider {options.provider} needs an endpoint_url.", "Set store.endpoint_url.")
    if bool(options.access_key) != bool(options.secret_key):
        raise _invalid("A store needs access_key and secret_key together, or neither.", "Set both, or none.")
    return S3Store(
        S3Settings(
            provider=options.provider,
            bucket=options.bucket,
            prefix=options.prefix.strip("/"),
            endpoint_url=options.endpoint_url,
            region=options.region or _default_region(options.provider),
            access_key=options.access_key,
            secret_key=options.secret_key,
            session_token=options.session_token,
            ca_bundle=options.ca_bundle,
            parallel=options.parallel,
            timeout=options.timeout,
        )
    )


def _default_region(provider: str) -> t.Optional[str]:
    return {"r2": "auto", "aws": None}.get(provider, "us-east-1")


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)
