# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of one object or folder, and which transfer does it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.progress import Progress
from ..._store.base import ObjectStore
from .transfer import (
    TransferOptions,
    TransferResult,
    copy_object,
    download_file,
    download_range,
    remove_objects,
    sync_diff,
    sync_down,
    sync_up,
    upload_content,
    upload_file,
)


@dataclass(frozen=True)
class TransferRequest:
    """One of src, content, copy_from and dest, unless the object is to be absent."""

    key: str
    present: bool = True
    direction: t.Optional[str] = None
    src: t.Optional[str] = None
    content: t.Optional[str] = None
    copy_from: t.Optional[str] = None
    dest: t.Optional[str] = None
    sync: bool = False
    range_start: t.Optional[int] = None
    range_length: t.Optional[int] = None
    progress_file: t.Optional[str] = None


def fulfil(store: ObjectStore, wish: TransferRequest, options: TransferOptions) -> TransferResult:
    """Do what is asked. Raises RecoveryError(invalid_options) for what does not go together, and those of transfer."""
    progress = Progress(wish.progress_file, wish.key or "files")
    try:
        return _fulfil(store, wish, options, progress)
    finally:
        progress.end()


def wish_diff(result: TransferResult) -> t.Dict[str, str]:
    """Names before and after; for one object, its own."""
    if result.created or result.updated or result.deleted:
        return sync_diff(result)
    name = result.path or result.key or ""
    return {"before": "", "after": f"{name}\n" if result.changed else ""}


def _fulfil(store: ObjectStore, wish: TransferRequest, options: TransferOptions, progress: Progress) -> TransferResult:
    if not wish.present:
        return _absent(store, wish, options)
    if (wish.direction or ("download" if wish.dest else "upload")) == "download":
        return _down(store, wish, options, progress)
    if wish.dest:
        raise _invalid("dest is for downloads.", "Leave direction out, or give src.")
    if wish.sync:
        if not wish.src:
            raise _invalid("sync needs a folder.", "Give src to upload, or dest to download.")
        return sync_up(store, wish.key, wish.src, options, progress)
    if wish.src:
        return upload_file(store, wish.key, wish.src, options, progress)
    if wish.content is not None:
        return upload_content(store, wish.key, wish.content.encode(), options)
    if wish.copy_from:
        return copy_object(store, wish.copy_from, wish.key, options)
    raise _invalid("There is nothing to upload.", "Give src, content or copy_from, or dest to download.")


def _absent(store: ObjectStore, wish: TransferRequest, options: TransferOptions) -> TransferResult:
    if not wish.key.strip("/"):
        raise _invalid("key is empty, which would delete everything.", "Name what is to go.")
    keys = [item.key for item in store.list(wish.key)] if wish.key.endswith("/") else [wish.key]
    result = remove_objects(store, keys, options)
    result.key = wish.key
    return result


def _down(store: ObjectStore, wish: TransferRequest, options: TransferOptions, progress: Progress) -> TransferResult:
    if not wish.dest:
        raise _invalid("A download needs dest.", "Give the file or folder to download to.")
    if wish.sync:
        return sync_down(store, wish.key, wish.dest, options, progress)
    if wish.range_start is not None and wish.range_length is not None:
        if wish.range_start < 0 or wish.range_length < 1:
            raise _invalid("The range is empty or negative.", "Give range_start from 0 and range_length from 1 on.")
        return download_range(store, wish.key, wish.dest, wish.range_start, wish.range_length, options)
    return download_file(store, wish.key, wish.dest, options, progress)


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)
