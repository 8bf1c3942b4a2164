# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts about objects: one, or all whose keys begin alike."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._core.clock import format_instant
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.options import option
from ..._store.base import ObjectInfo, ObjectStore
from ..._store.s3 import S3Store
from .local import DIGEST

_LONGEST_URL = 7 * 86400


@dataclass(frozen=True)
class DescribeRequest:
    """One object by key, or a listing by prefix. url_seconds asks for a URL as well."""

    key: t.Optional[str] = field(default=None, metadata=option(shown=True))
    prefix: t.Optional[str] = None
    limit: int = 1000
    url_seconds: t.Optional[int] = None
    url_method: t.Literal["get", "put"] = "get"


def describe_objects(store: ObjectStore, request: DescribeRequest) -> t.Dict[str, t.Any]:
    """A dictionary for people. Raises RecoveryError: those of the store, unsupported for a URL of a folder."""
    if request.key is None:
        return _listing(store, request.prefix or "", request.limit)
    info = store.head(request.key)
    found: t.Dict[str, t.Any] = {"exists": info is not None, "object": _described(store, info) if info else None}
    if request.url_seconds is not None:
        found["url"] = _url(store, request.key, request.url_seconds, upload=request.url_method == "put")
    return found


def _listing(store: ObjectStore, prefix: str, limit: int) -> t.Dict[str, t.Any]:
    objects: t.List[t.Dict[str, t.Any]] = []
    total = size = 0
    for info in store.list(prefix):
        total += 1
        size += info.size
        if len(objects) < limit:
            objects.append(_brief(info))
    return {"objects": objects, "total": total, "total_bytes": size}


def _brief(info: ObjectInfo) -> t.Dict[str, t.Any]:
    return {"key": info.key, "size": info.size, "modified": format_instant(info.modified), "etag": info.etag}


def _described(store: ObjectStore, info: ObjectInfo) -> t.Dict[str, t.Any]:
    headers: t.Dict[str, t.Any] = {"metadata": {}, **(vars(info.headers) if info.headers else {})}
    return {
        **_brief(info),
        **headers,
        "sha256": headers["metadata"].get(DIGEST),
        "tags": dict(store.tags(info.key)) if info.tag_count else {},
        "storage_class": info.storage_class,
        "archived": info.archived,
        "locked_until": format_instant(info.locked_until) if info.locked_until else None,
    }


def _url(store: ObjectStore, key: str, seconds: int, *, upload: bool) -> str:
    if not isinstance(store, S3Store):
        raise RecoveryError(ErrorKind.UNSUPPORTED, "Only an S3 store has URLs.", next_step="Leave url_seconds out.")
    if not 1 <= seconds <= _LONGEST_URL:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"url_seconds is {seconds}.",
            next_step="Give between 1 and 604800, which is a week: longer ones are refused.",
        )
    return store.presigned_url(key, seconds=seconds, upload=upload)
