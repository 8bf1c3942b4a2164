# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requested transfer of one object or folder, and the function that does it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..._core.errors import ErrorKind, RecoveryError
from ..._core.options import FilePath, option
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

    key: str = field(metadata=option(shown=True))
    state: t.Literal["present", "absent"] = "present"
    direction: t.Optional[t.Literal["upload", "download"]] = None
    src: t.Optional[FilePath] = None
    content: t.Optional[str] = None
    copy_from: t.Optional[str] = None
    dest: t.Optional[FilePath] = None
    sync: bool = False
    range_start: t.Optional[int] = None
    range_length: t.Optional[int] = None
    progress_file: t.Optional[FilePath] = None


def transfer(store: ObjectStore, request: TransferRequest, options: TransferOptions) -> TransferResult:
    """Raises RecoveryError(invalid_options) for options that exclude each other, and those of transfer."""
    progress = Progress(request.progress_file, request.key or "files")
    try:
        return _transfer(store, request, options, progress)
    finally:
        progress.end()


def transfer_diff(result: TransferResult) -> t.Dict[str, str]:
    """The names before and after; of a single object, its name."""
    if result.created or result.updated or result.deleted:
        return sync_diff(result)
    name = result.path or result.key or ""
    return {"before": "", "after": f"{name}\n" if result.changed else ""}


def _transfer(
    store: ObjectStore, request: TransferRequest, options: TransferOptions, progress: Progress
) -> TransferResult:
    if request.state == "absent":
        return _delete(store, request, options)
    is_download = (request.direction or ("download" if request.dest else "upload")) == "download"
    if options.prefixes and (options.delete or not (is_download and request.sync)):
        raise _invalid(
            "`prefixes` selects objects of a download of a folder that deletes nothing.",
            "Set sync and dest, and leave delete out.",
        )
    if is_download:
        return _download(store, request, options, progress)
    if request.dest:
        raise _invalid("dest is for downloads.", "Leave direction out, or give src.")
    if request.sync:
        if not request.src:
            raise _invalid("sync needs a folder.", "Give src to upload, or dest to download.")
        return sync_up(store, request.key, request.src, options, progress)
    if request.src:
        return upload_file(store, request.key, request.src, options, progress)
    if request.content is not None:
        return upload_content(store, request.key, request.content.encode(), options)
    if request.copy_from:
        return copy_object(store, request.copy_from, request.key, options)
    raise _invalid("There is nothing to upload.", "Give src, content or copy_from, or dest to download.")


def _delete(store: ObjectStore, request: TransferRequest, options: TransferOptions) -> TransferResult:
    if not request.key.strip("/"):
        raise _invalid("key is empty, which would delete everything.", "Set key to the object or folder to delete.")
    keys = [item.key for item in store.list(request.key)] if request.key.endswith("/") else [request.key]
    result = remove_objects(store, keys, options)
    result.key = request.key
    return result


def _download(
    store: ObjectStore, request: TransferRequest, options: TransferOptions, progress: Progress
) -> TransferResult:
    if not request.dest:
        raise _invalid("A download needs dest.", "Give the file or folder to download to.")
    if request.sync:
        return sync_down(store, request.key, request.dest, options, progress)
    if request.range_start is not None and request.range_length is not None:
        if request.range_start < 0 or request.range_length < 1:
            raise _invalid("The range is empty or negative.", "Give range_start from 0 and range_length from 1 on.")
        return download_range(store, request.key, request.dest, request.range_start, request.range_length, options)
    return download_file(store, request.key, request.dest, options, progress)


def _invalid(what: str, next_step: str) -> RecoveryError:
    return RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step=next_step)
