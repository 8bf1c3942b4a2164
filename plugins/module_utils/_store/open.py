# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens the store that the options describe."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .._core.clock import parse_instant
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import BY_MODULE, INTERNAL, FilePath, Secret, option
from .._core.sealing import Sealing
from .base import ObjectStore
from .directory import DirectoryStore
from .s3 import S3Store
from .s3_client import LockRule, S3Settings

#: Options that a copy shares with the first store.
INHERITED = ("encrypt_to", "name_key", "identity_file", "require_authentic", "authentic_since")

_NEEDS_ENDPOINT = ("r2", "minio", "supabase", "generic")
_PROVIDERS = ("aws", *_NEEDS_ENDPOINT, "directory")


@dataclass(frozen=True)
class StoreOptions:
    """The option C(store) of the modules. parallel counts parts in flight, timeout is in seconds."""

    provider: str = field(default="aws", metadata=option(choices=_PROVIDERS))
    bucket: t.Optional[str] = None
    prefix: str = ""
    path: t.Optional[FilePath] = None
    endpoint_url: t.Optional[str] = field(
        default=None, metadata=option(environment=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    )
    region: t.Optional[str] = field(default=None, metadata=option(environment=("AWS_REGION", "AWS_DEFAULT_REGION")))
    access_key: t.Optional[str] = field(
        default=None, repr=False, metadata=option(shown=True, environment=("AWS_ACCESS_KEY_ID",))
    )
    secret_key: t.Optional[Secret] = field(
        default=None, repr=False, metadata=option(environment=("AWS_SECRET_ACCESS_KEY",))
    )
    session_token: t.Optional[Secret] = field(
        default=None, repr=False, metadata=option(environment=("AWS_SESSION_TOKEN",))
    )
    ca_bundle: t.Optional[FilePath] = field(default=None, metadata=option(environment=("AWS_CA_BUNDLE",)))
    parallel: int = 3
    timeout: int = 60
    object_lock: t.Optional[t.Mapping[str, t.Any]] = field(default=None, metadata=option(type=LockRule))
    storage_class: t.Optional[str] = None
    encrypt_to: t.Sequence[str] = ()
    name_key: t.Optional[Secret] = field(default=None, repr=False)
    identity_file: t.Optional[FilePath] = None
    require_authentic: bool = True
    authentic_since: t.Optional[str] = None
    copies: t.Sequence[t.Mapping[str, t.Any]] = field(default=(), metadata=BY_MODULE)
    attempts: int = field(default=4, metadata=INTERNAL)


def open_store(options: StoreOptions) -> ObjectStore:
    """A DirectoryStore or an S3Store, with its copies.

    Raises RecoveryError: invalid_options, library_missing, unsupported, or no_identity.
    """
    if options.authentic_since is not None:
        parse_instant(options.authentic_since)
    sealing = Sealing(
        tuple(options.encrypt_to or ()),
        options.name_key or None,
        options.identity_file,
        options.require_authentic,
        options.authentic_since,
    )
    sealing.require_usable()
    store = _open_one(options)
    store.sealing = sealing
    # A copy holds the stored bytes of the first store, so it is read with the same key.
    inherited = {name: getattr(options, name) for name in INHERITED}
    store.copies = tuple(open_store(StoreOptions(**{**copy, **inherited})) for copy in options.copies or ())
    return store


def _open_one(options: StoreOptions) -> t.Union[DirectoryStore, S3Store]:
    if options.parallel < 1 or options.timeout < 1:
        raise _invalid("`parallel` and `timeout` of the store must be at least 1.", "Correct them.")
    if options.provider == "directory":
        if not options.path:
            raise _invalid("`path` is required for the provider directory.", "Set store.path.")
        if not os.path.isabs(options.path):
            # With a local connection, modules run in the folder of the playbook, inside the installed collection.
            raise _invalid(f"store.path must be absolute, got {options.path!r}.", "Set store.path to an absolute path.")
        if options.object_lock or options.storage_class:
            raise _invalid(
                "A store of provider directory has neither object_lock nor storage_class.", "Remove these options."
            )
        return DirectoryStore(options.path, options.prefix)
    if not options.bucket:
        raise _invalid(f"`bucket` is required for the provider {options.provider}.", "Set store.bucket.")
    if options.provider in _NEEDS_ENDPOINT and not options.endpoint_url:
        raise _invalid(f"`endpoint_url` is required for the provider {options.provider}.", "Set store.endpoint_url.")
    if "@" in urlsplit(options.endpoint_url or "").netloc:
        raise _invalid("`endpoint_url` must not contain a user.", "Set access_key and secret_key instead.")
    if bool(options.access_key) != bool(options.secret_key):
        raise _invalid("`access_key` and `secret_key` of a store must be set together.", "Set both, or none.")
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
            lock=_lock_rule(options.object_lock),
            storage_class=options.storage_class,
            attempts=options.attempts,
        )
    )


def _lock_rule(given: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[LockRule]:
    if not given:
        return None
    if not 1 <= int(given["days"]) <= 36500:
        raise _invalid("object_lock.days must be between 1 and 36500.", "Correct it.")
    return LockRule(str(given["mode"]), int(given["days"]))


def _default_region(provider: str) -> t.Optional[str]:
    return {"r2": "auto", "aws": None}.get(provider, "us-east-1")


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)
