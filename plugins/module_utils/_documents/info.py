# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists the versions of documents, and finds documents that are damaged or that do not agree with their copies."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.options import FAMILY
from .._core.sizes import counted
from .reader import DocumentState, Layout, Reader, reading, require_ids
from .schema import Verdict


@dataclass(frozen=True)
class InfoRequest:
    """documents: ids whose versions are listed; empty for all documents, without lists of versions.

    limit: the most documents of the result; those with findings are first.
    """

    layout: Layout = field(metadata=FAMILY)
    documents: t.Sequence[str] = ()
    limit: int = 1000


@dataclass(frozen=True)
class DocumentsInfo:
    """The fields of the result. count, damaged_count: of all documents, also beyond the limit."""

    documents: t.Sequence[t.Mapping[str, t.Any]]
    count: int
    damaged: t.Sequence[str]
    damaged_count: int
    summary: str
    changed: bool = False


def describe_documents(request: InfoRequest) -> DocumentsInfo:
    """Raises RecoveryError: rows_missing for an unknown id, and those of the connection and of the bucket."""
    require_ids(request.documents)
    sound: t.List[t.Mapping[str, t.Any]] = []
    damaged: t.List[t.Mapping[str, t.Any]] = []
    count = damaged_count = 0
    with reading(request.layout) as reader:
        states = list(reader.states(request.documents)) if request.documents else reader.states(None)
        for state in states:
            count += 1
            damaged_count += bool(state.findings)
            kept = damaged if state.findings else sound
            if len(kept) < request.limit:
                kept.append(_described(state, reader, with_versions=bool(request.documents)))
    for documents in (damaged, sound):
        documents.sort(key=lambda one: str(one["document"]))
    found = f"{damaged_count:,} damaged or not equal to their published copy" if damaged_count else "no damage found"
    return DocumentsInfo(
        [*damaged, *sound][: request.limit],
        count,
        [str(one["document"]) for one in damaged],
        damaged_count,
        f"{counted(count, 'document')} compared: {found}.",
    )


def _described(state: DocumentState, reader: Reader, *, with_versions: bool) -> t.Dict[str, t.Any]:
    newest, published = state.newest, state.published
    metadata = newest.metadata
    described: t.Dict[str, t.Any] = {
        "document": state.document,
        "version": newest.version,
        "etag": newest.etag,
        "metadata": None if metadata is None else metadata._asdict(),
        "published": None,
        "agrees": not state.findings,
        "findings": list(state.findings),
    }
    if published is not None:
        described["published"] = {
            "key": published.key,
            "etag": published.info.etag if published.info else None,
            "modified": published.info.modified if published.info else None,
            **_judged(published.verdict, published.info.size if published.info else None),
        }
    if with_versions:
        described["versions"] = [
            {
                **row._asdict(),
                **_judged(reader.judge_version(state.document, row.version), row.size),
            }
            for row in reader.tables.versions_of(state.document)
        ]
    return described


def _judged(verdict: Verdict, size: t.Optional[int]) -> t.Dict[str, t.Any]:
    return {
        "size": verdict.content.size if size is None and verdict.content else size,
        "digest": verdict.content.digest if verdict.content else None,
        "valid": not verdict.problem,
        "problem": verdict.problem,
    }
