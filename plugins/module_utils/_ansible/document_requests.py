# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of versioned documents."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._documents.publish import PublishOptions
from .._documents.reader import Layout
from .._documents.rebuild import RebuildRequest
from .._documents.restore import LAST_GOOD, DocumentsRequest
from .._documents.tables import MetadataTable, VersionsTable
from .._repository.change import Safeguards
from .options import ArgumentSpec, spec_of
from .postgres_requests import connection_options
from .requests import Params
from .store_requests import optional_files

DAMAGED = "damaged"


def documents_spec() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "versions": {"type": "dict", "default": {}, "options": spec_of(VersionsTable).options},
            "metadata": {"type": "dict", "default": {}, "options": spec_of(MetadataTable).options},
            "key": {"type": "str", "default": "{document}.json", "no_log": False},
            "json_schema": {"type": "dict"},
            "run_as": {"type": "str"},
            "parallel_files": {"type": "int", "default": 8},
        }
    )


def layout_of(params: Params) -> Layout:
    """Where the documents live. Raises RecoveryError for a bucket that cannot be opened."""
    metadata = MetadataTable(**params["metadata"])
    return Layout(
        connection=connection_options(params),
        versions=VersionsTable(**params["versions"]),
        metadata=metadata if metadata.table else None,
        files=optional_files(params),
        key=params["key"],
        json_schema=params["json_schema"],
        run_as=params["run_as"],
        parallel=params["parallel_files"],
    )


def restore_request(params: Params, *, check_mode: bool, diff_mode: bool) -> DocumentsRequest:
    """Raises RecoveryError(invalid_options) without documents, and for a version that is no number."""
    documents: t.Sequence[str] = params["documents"]
    if not documents:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, "`documents` is required: ids of documents, or damaged.", next_step="Set it."
        )
    given = PublishOptions()
    options = PublishOptions(
        via=params["via"],
        changelog=params["changelog"] or given.changelog,
        publisher=params["publisher"],
        function=params["function"],
        url=params["url"],
        token=params["token"] or None,
        timeout=params["timeout"],
        lock_timeout=params["lock_timeout"],
    )
    return DocumentsRequest(
        layout=layout_of(params),
        documents=None if list(documents) == [DAMAGED] else documents,
        version=_version(params["version"]),
        options=options,
        max_documents=params["max_documents"],
        safeguards=Safeguards(check_mode=check_mode),
        source=params["source"],
        diff_mode=diff_mode,
    )


def rebuild_request(params: Params, *, check_mode: bool) -> RebuildRequest:
    changelog = {} if params["changelog"] is None else {"changelog": params["changelog"]}
    return RebuildRequest(
        layout=layout_of(params),
        safeguards=Safeguards(check_mode=check_mode),
        publisher=params["publisher"],
        number=1 if params["rebuilt_version"] == "first" else None,
        source=params["source"],
        **changelog,
    )


def _version(text: str) -> t.Optional[int]:
    if text == LAST_GOOD:
        return None
    if not text.isascii() or not text.isdigit():
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS, f"`version` must be the number of a version or {LAST_GOOD}, got {text!r}."
        )
    return int(text)
