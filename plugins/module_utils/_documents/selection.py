# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selects the target of a restore: a version of the document, or the former copy that an earlier restore kept."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .content import Content
from .reader import DocumentState, Reader
from .rows import Newest, VersionRow
from .target import PublishOptions, Target


@dataclass(frozen=True)
class Selection:
    """The target of a document, and its content; None for a former copy."""

    target: Target
    content: t.Optional[Content]


def select_version(
    reader: Reader, state: DocumentState, wanted: t.Optional[int], options: PublishOptions
) -> t.Optional[Selection]:
    """The wanted version, or the newest valid one; None if the document has its content and is sound.

    Raises RecoveryError: rows_missing without such a version, and for a document that needs a row which the restore
    cannot write; damaged if the version is not valid.
    """
    document = state.document
    rows = reader.tables.versions_of(document)
    version, content, publisher = _valid_version(reader, document, rows, wanted)
    newest = state.verdict.content if state.verdict is not None else None
    is_sound = not state.findings and newest is not None and newest.digest == content.digest
    if is_sound and _is_above(state.newest, options):
        return None
    _require_insertable(reader, state)
    judged = {content.digest, *([newest.digest] if newest is not None else [])}
    unversioned = _is_unversioned(reader, state, rows, judged)
    return Selection(Target(state, version, content.digest, publisher, unversioned), content)


def select_former_copy(reader: Reader, state: DocumentState) -> t.Optional[Selection]:
    """The newest copy that a restore of the document kept; None if it is the published one already.

    Raises RecoveryError: object_missing without such a copy, invalid_options without a bucket.
    """
    copies = guaranteed(reader.copies)
    kept = copies.kept_of(state.document)
    if not kept:
        raise RecoveryError(
            ErrorKind.OBJECT_MISSING,
            f"{copies.store.location} has no former copy of {state.document}.",
            next_step="A restore keeps the copy that it replaces only if no version has its content: choose a version.",
        )
    newest = kept[-1]
    seen = copies.read_to_replace(state.document, reader.validator)
    if seen.info is not None and seen.data == copies.read_kept(newest)[0]:
        return None
    rows = reader.tables.versions_of(state.document)
    known = state.verdict.content.digest if state.verdict is not None and state.verdict.content else None
    unversioned = _is_unversioned(reader, state, rows, {known} if known else set())
    return Selection(Target(state, state.newest.version or 0, known or "", None, unversioned, newest), None)


def require_etag_column(reader: Reader, options: PublishOptions) -> None:
    """Raise RecoveryError(invalid_options) if etags are to be raised that no table has."""
    tables = (reader.tables.versions, reader.tables.metadata)
    if options.etag_above is not None and not any(table and "etag" in table for table in tables):
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`etag_above` requires a column of the etag in a table.")


def _valid_version(
    reader: Reader, document: str, rows: t.Sequence[VersionRow], wanted: t.Optional[int]
) -> t.Tuple[int, Content, t.Optional[str]]:
    """The number, the content and the publisher of the version to restore."""
    candidates = [row for row in rows if wanted is None or row.version == wanted]
    if not candidates:
        there = f"it has {', '.join(str(row.version) for row in rows[:20])}" if rows else "it has no version"
        missing = "any version" if wanted is None else f"a version {wanted}"
        raise RecoveryError(
            ErrorKind.ROWS_MISSING,
            f"The document {document} does not have {missing}: {there}.",
            next_step="Choose another version; if versions were lost, restore the table or use state: rebuilt.",
        )
    problem = ""
    counts = Counter(row.version for row in candidates)
    for row in candidates:
        if counts[row.version] > 1:
            problem = f"version {row.version} has {counts[row.version]} rows, so its content is not known"
            continue
        verdict = reader.judge_version(document, row.version)
        if not verdict.problem:
            return row.version, guaranteed(verdict.content), row.publisher
        problem = f"version {row.version} is not valid: {verdict.problem}"
    others = f", nor is any of the {len(counts) - 1} before it" if len(counts) > 1 else ""
    raise RecoveryError(
        ErrorKind.DAMAGED,
        f"{document}: {problem}{others}.",
        next_step="Use last_good, or restore the table of versions from a backup set.",
    )


def _is_above(newest: Newest, options: PublishOptions) -> bool:
    """Whether version and etag are higher than the numbers that clients may know."""
    version, etag = options.version_above, options.etag_above
    etags = (newest.etag, newest.metadata.etag if newest.metadata else None)
    return (version is None or (newest.version or 0) > version) and (
        etag is None or max((one for one in etags if one is not None), default=0) > etag
    )


def _require_insertable(reader: Reader, state: DocumentState) -> None:
    """Raise RecoveryError(rows_missing) if the document needs a row that the restore cannot write."""
    metadata = reader.tables.metadata
    if metadata is None or state.newest.metadata is not None or not metadata.needed:
        return
    needed = ", ".join(metadata.needed)
    raise RecoveryError(
        ErrorKind.ROWS_MISSING,
        f"{metadata.name} has no row of {state.document}, and a new row needs values of {needed}.",
        next_step="Restore the row from a backup set with restore_rows.yml, then run it again.",
    )


def _is_unversioned(reader: Reader, state: DocumentState, rows: t.Sequence[VersionRow], judged: t.Set[str]) -> bool:
    """Whether the published copy has a content that no version has; judged: contents of versions that were read."""
    published = state.published
    if published is None or published.info is None or published.digest in judged:
        return False
    if published.digest is None:
        return True
    for row in rows:
        content = reader.judge_version(state.document, row.version).content
        if content is not None and content.digest == published.digest:
            return False
    return True
