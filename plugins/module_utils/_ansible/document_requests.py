# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of versioned documents."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._documents.prune import CopiesPruneRequest
from .._documents.reader import Layout
from .._documents.rebuild import RebuildRequest
from .._documents.restore import BEFORE, LAST_GOOD, DocumentsRequest
from .._documents.target import PublishOptions
from .._repository.change import Safeguards
from .options import request_of
from .postgres_requests import connection_options
from .requests import Params
from .store_requests import opened_files, optional_files

DAMAGED, ALL = "damaged", "all"


def layout_of(params: Params) -> Layout:
    """Where the documents live. Raises RecoveryError for a bucket that cannot be opened."""
    return request_of(
        Layout, params, check_mode=False, connection=connection_options(params), files=optional_files(params)
    )


def restore_request(params: Params, *, check_mode: bool, diff_mode: bool) -> DocumentsRequest:
    """Raises RecoveryError(invalid_options) without documents, and for a version that is no number."""
    documents: t.Sequence[str] = params["documents"]
    if not documents:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "`documents` is required: ids of documents, damaged or all.", next_step="Set it."
        )
    return DocumentsRequest(
        layout=layout_of(params),
        documents=None if list(documents) in ([DAMAGED], [ALL]) else documents,
        every=list(documents) == [ALL],
        version=_version(params["version"]),
        options=request_of(PublishOptions, params, check_mode=check_mode),
        max_documents=params["max_documents"],
        safeguards=request_of(Safeguards, params, check_mode=check_mode),
        source=params["source"],
        diff_mode=diff_mode,
    )


def rebuild_request(params: Params, *, check_mode: bool) -> RebuildRequest:
    return request_of(
        RebuildRequest,
        params,
        check_mode=check_mode,
        layout=layout_of(params),
        safeguards=request_of(Safeguards, params, check_mode=check_mode),
        number=1 if params["rebuilt_version"] == "first" else None,
    )


def prune_request(params: Params, *, check_mode: bool) -> CopiesPruneRequest:
    """Raises RecoveryError for a bucket that is missing or cannot be opened."""
    return request_of(
        CopiesPruneRequest,
        params,
        check_mode=check_mode,
        files=opened_files(params),
        safeguards=Safeguards(check_mode=check_mode),
    )


def _version(text: str) -> t.Union[int, t.Literal["before"], None]:
    if text == BEFORE:
        return BEFORE
    if text == LAST_GOOD:
        return None
    if not text.isascii() or not text.isdigit():
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`version` must be the number of a version or {LAST_GOOD} or {BEFORE}, got {text!r}.",
        )
    return int(text)
