# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores documents to a version: chosen, judged, published again, and compared in tables and bucket."""

from __future__ import annotations

import difflib
import typing as t
from collections import Counter
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.sizes import counted
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .content import Content, pretty_lines
from .publish import TransactionPublisher
from .reader import DocumentState, Layout, Reader, reading, require_ids
from .rows import Newest, VersionRow
from .schema import Validator
from .service import ServicePublisher
from .target import PublishOptions, Restored, Target

LAST_GOOD = "last_good"
_DIFF_LINES = 400


@dataclass(frozen=True)
class DocumentsRequest:
    """documents: ids, or None for those that are damaged, or for all. version: a number, or None for the newest
    valid one.

    max_documents: the most documents that are changed. diff_mode: whether the result shows the changes as text. every:
    whether None means all documents.
    """

    layout: Layout
    documents: t.Optional[t.Sequence[str]]
    version: t.Optional[int]
    options: PublishOptions
    max_documents: int
    safeguards: Safeguards
    source: t.Optional[str] = None
    diff_mode: bool = False
    every: bool = False


class NotRestored(t.NamedTuple):
    """A document that stays as it is, and why."""

    document: str
    reason: str


@dataclass(frozen=True)
class DocumentsResult(Outcome):
    """The fields of the result; plan: the version of each document that is restored."""

    documents: t.Sequence[Restored]
    plan: t.Mapping[str, int]
    not_restored: t.Sequence[t.Mapping[str, str]]
    summary: str
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]


class DocumentsRestore(Change[DocumentsResult]):
    """Restores documents, each in one transaction; one that fails does not stop the others.

    Raises RecoveryError: rows_missing, damaged if a version is not valid, limit_exceeded, conflict, and those of
    publishers. An error after some documents were restored names these.
    """

    operation = "recover_courses"

    def __init__(self, request: DocumentsRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._targets: t.List[Target] = []
        self._restored: t.List[Restored] = []
        self._failed: t.List[t.Tuple[NotRestored, RecoveryError]] = []
        self._diff: t.List[t.Tuple[str, t.List[str], t.List[str]]] = []
        self.details = {"via": request.options.via, "changelog": request.options.changelog}

    def plan(self) -> ChangePlan:
        request = self._request
        request.options.require_valid()
        if request.documents is not None:
            require_ids(request.documents)
        with self.timings.phase("plan"), reading(request.layout) as reader:
            states = reader.states(request.documents)
            self._require_etag(reader)
            wanted = [state for state in states if request.documents is not None or request.every or state.findings]
            wanted.sort(key=lambda state: state.document)
            for state in wanted:
                self._choose(reader, state)
        self._require_count()
        self.details["documents"] = {target.document: target.version for target in self._targets}
        database = request.layout.connection.database
        return ChangePlan(
            {
                "database": database,
                "server": request.layout.connection.place,
                "documents": {
                    target.document: [target.version, target.digest, target.state.newest.version]
                    for target in self._targets
                },
            },
            target=database,
            destroys=False,
            does="restores documents of",
            changes=bool(self._targets),
        )

    def _choose(self, reader: Reader, state: DocumentState) -> None:
        try:
            target = self._target(reader, state)
        except RecoveryError as error:
            if self._request.documents is not None:
                raise
            self._failed.append((NotRestored(state.document, error.what), error))
            return
        if target is not None:
            self._targets.append(target)

    def _target(self, reader: Reader, state: DocumentState) -> t.Optional[Target]:
        """The version to restore, or None if the document has its content and is sound."""
        document = state.document
        rows = reader.tables.versions_of(document)
        wanted = self._request.version
        candidates = [row for row in rows if wanted is None or row.version == wanted]
        if not candidates:
            there = f"it has {', '.join(str(row.version) for row in rows[:20])}" if rows else "it has no version"
            missing = "any version" if wanted is None else f"a version {wanted}"
            raise RecoveryError(
                ErrorKind.ROWS_MISSING,
                f"The document {document} does not have {missing}: {there}.",
                next_step="Choose another version; if versions were lost, restore the table or use state: rebuilt.",
            )
        chosen: t.Optional[t.Tuple[int, Content, t.Optional[str]]] = None
        problem = ""
        counts = Counter(row.version for row in candidates)
        for row in candidates:
            if counts[row.version] > 1:
                problem = f"version {row.version} has {counts[row.version]} rows, so its content is not known"
                continue
            verdict = reader.judge_text(reader.tables.content(document, row.version))
            if not verdict.problem:
                chosen = row.version, guaranteed(verdict.content), row.publisher
                break
            problem = f"version {row.version} is not valid: {verdict.problem}"
        if chosen is None:
            others = f", nor is any of the {len(counts) - 1} before it" if len(counts) > 1 else ""
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"{document}: {problem}{others}.",
                next_step="Use last_good, or restore the table of versions from a backup set.",
            )
        version, content, publisher = chosen
        newest = state.verdict.content if state.verdict is not None else None
        is_sound = not state.findings and newest is not None and newest.digest == content.digest
        if is_sound and self._is_above(state.newest):
            return None
        self._require_insertable(reader, state)
        published = state.published
        judged = {content.digest, *([newest.digest] if newest is not None else [])}
        unversioned = (
            published is not None and published.info is not None
            and not self._is_versioned(reader, document, rows, published.digest, judged)
        )  # fmt: skip
        if self._request.diff_mode:
            current = published.verdict.content if published is not None else newest
            self._diff.append((document, pretty_lines(current) if current else [], pretty_lines(content)))
        return Target(state, version, content.digest, publisher, unversioned)

    def _is_above(self, newest: Newest) -> bool:
        """Whether version and etag are higher than the numbers that clients may know."""
        options = self._request.options
        version, etag = options.version_above, options.etag_above
        etags = (newest.etag, newest.metadata.etag if newest.metadata else None)
        return (version is None or (newest.version or 0) > version) and (
            etag is None or max((one for one in etags if one is not None), default=0) > etag
        )

    def _require_etag(self, reader: Reader) -> None:
        tables = (reader.tables.versions, reader.tables.metadata)
        if self._request.options.etag_above is not None and not any(table and "etag" in table for table in tables):
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`etag_above` requires a column of the etag in a table.")

    def _require_insertable(self, reader: Reader, state: DocumentState) -> None:
        """Raise RecoveryError(rows_missing) if the document needs a row that this restore cannot write."""
        metadata = reader.tables.metadata
        if metadata is None or state.newest.metadata is not None or not metadata.needed:
            return
        needed = ", ".join(metadata.needed)
        raise RecoveryError(
            ErrorKind.ROWS_MISSING,
            f"{metadata.name} has no row of {state.document}, and a new row needs values of {needed}.",
            next_step="Restore the row from a backup set with restore_rows.yml, then run it again.",
        )

    @staticmethod
    def _is_versioned(
        reader: Reader, document: str, rows: t.Sequence[VersionRow], digest: t.Optional[str], judged: t.Set[str]
    ) -> bool:
        """Whether a version has this content; judged: contents of versions that were read before."""
        if digest is None or digest in judged:
            return digest is not None
        for row in rows:
            verdict = reader.judge_text(reader.tables.content(document, row.version))
            if verdict.content is not None and verdict.content.digest == digest:
                return True
        return False

    def _require_count(self) -> None:
        count, limit = len(self._targets), self._request.max_documents
        if count > limit:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED,
                f"The restore would change {count:,} documents, `max_documents` allows {limit:,}.",
                next_step=f"Read the plan with --check --diff; if it is correct, set `max_documents` to {count}.",
            )

    def act(self) -> None:
        request = self._request
        publisher_of = ServicePublisher if request.options.via == "http" else TransactionPublisher
        publisher = publisher_of(request.layout, request.options, Validator(request.layout.json_schema))
        with self.timings.phase("publish"):
            for target in self._targets:
                try:
                    self._restored.append(publisher.publish(target))
                except RecoveryError as error:
                    if len(self._targets) == 1:
                        raise
                    self._failed.append((NotRestored(target.document, error.what), error))

    def verify(self) -> None:
        """Read every restored document again: tables, metadata, published copy, and the version that it came from."""
        expected = {target.document: target.digest for target in self._targets}
        with self.timings.phase("verify"), reading(self._request.layout) as reader:
            for restored in self._restored:
                state = reader.state(restored.document)
                source = reader.judge_text(reader.tables.content(restored.document, restored.restored_from)).content
                found = state.verdict.content if state.verdict is not None else None
                problems = [*state.findings]
                if state.newest.version != restored.version:
                    problems.append(f"the newest version is {state.newest.version}, not {restored.version}")
                elif found is None or source is None or not found.digest == source.digest == expected[state.document]:
                    problems.append(f"its content is not that of version {restored.restored_from}")
                if problems:
                    self.equal = False
                    raise RecoveryError(
                        ErrorKind.NOT_EQUAL,
                        f"{restored.document} was restored as version {restored.version}, but {'; '.join(problems)}.",
                        left=f"Restored: {self._names()}.",
                        next_step="List the document with course_version_info, then run it again.",
                    )
        self.equal = True if self._restored else None
        self.details["restored"] = {one.document: one.version for one in self._restored}
        self._raise_failures()

    def _raise_failures(self) -> None:
        if not self._failed:
            return
        first = self._failed[0][1]
        total = len(self._failed) + len(self._restored)
        raise first.restated(
            what=f"{len(self._failed)} of {total} documents were not restored. "
            + " ".join(f"{one.document}: {one.reason}" for one, _error in self._failed[:10]),
            left=f"Restored: {self._names()}.",
            details={"not_restored": [one._asdict() for one, _error in self._failed]},
        )

    def _names(self) -> str:
        return ", ".join(one.document for one in self._restored[:20]) or "no document"

    def has_changed(self) -> bool:
        return bool(self._restored)

    def why_unchanged(self) -> Unchanged:
        if self._failed:
            # Only damaged documents that have no valid version are left.
            self._raise_failures()
        if self._request.documents is None and not self._request.every:
            return Unchanged("No document is damaged.", "Nothing is left to do.")
        return Unchanged("The documents have the content of these versions already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> DocumentsResult:
        plan = {target.document: target.version for target in self._targets}
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Restored" if self.safeguards.acts else "Would restore"
            named = ", ".join(f"{document} to version {version}" for document, version in list(plan.items())[:10])
            more = ", ..." if len(plan) > 10 else ""
            summary = f"{does} {counted(len(plan), 'document')}: {named}{more}."
        return DocumentsResult(
            **vars(outcome),
            documents=self._restored,
            plan=plan,
            not_restored=[one._asdict() for one, _error in self._failed],
            summary=summary,
            diff=self._difference(),
            timings=self.timings.as_dict(),
        )

    def _difference(self) -> t.Dict[str, str]:
        if not self._diff:
            return {}
        lines: t.List[str] = []
        for document, before, after in self._diff:
            lines += difflib.unified_diff(before, after, f"{document} published", f"{document} restored", lineterm="")
            if len(lines) > _DIFF_LINES:
                lines = [*lines[:_DIFF_LINES], f"... the first {_DIFF_LINES} lines are shown"]
                break
        return {"prepared": "".join(f"{line}\n" for line in lines)}
