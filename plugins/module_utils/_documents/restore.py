# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores documents to a version: chosen, judged, published again, and compared in tables and bucket."""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.sizes import counted
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .content import Content, pretty_lines
from .former import FormerCopyPublisher
from .publish import TransactionPublisher
from .reader import DocumentState, Layout, Reader, reading, require_ids
from .schema import Validator
from .selection import Selection, require_etag_column, select_former_copy, select_version
from .service import ServicePublisher
from .target import Publisher, PublishOptions, Restored, Target

LAST_GOOD: t.Final = "last_good"
BEFORE: t.Final = "before"
_DIFF_LINES = 400


@dataclass(frozen=True)
class DocumentsRequest:
    """documents: ids, or None for those that are damaged, or for all. version: a number, None for the newest
    valid one, or before for the copy that the last restore replaced and kept.

    max_documents: the most documents that are changed. diff_mode: whether the result shows the changes as text. every:
    whether None means all documents.
    """

    layout: Layout
    documents: t.Optional[t.Sequence[str]]
    version: t.Union[int, t.Literal["before"], None]
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
    """The fields of the result; plan: the version of each document, or the key of its former copy."""

    documents: t.Sequence[Restored]
    plan: t.Mapping[str, t.Union[int, str]]
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
        self._publisher: t.Optional[Publisher] = None
        self._diff: t.List[t.Tuple[str, t.List[str], t.List[str]]] = []
        self.details = {"via": request.options.via, "changelog": request.options.changelog}

    def plan(self) -> ChangePlan:
        request = self._request
        request.options.require_valid()
        if request.documents is not None:
            require_ids(request.documents)
        elif request.version == BEFORE:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`documents` must be ids of documents if `version` is before."
            )
        if request.version == BEFORE and request.layout.files is None:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`files` is required if `version` is before.")
        with self.timings.phase("plan"), reading(request.layout) as reader:
            require_etag_column(reader, request.options)
            # Threads read the states, so that the session is free for other statements only afterwards.
            wanted = [
                state.without_contents()
                for state in reader.states(request.documents)
                if request.documents is not None or request.every or state.findings
            ]
            wanted.sort(key=lambda state: state.document)
            for state in wanted:
                self._select(reader, state)
        self._require_count()
        self.details["documents"] = self._names_of_targets()
        database = request.layout.connection.database
        return ChangePlan(
            {
                "database": database,
                "server": request.layout.connection.place,
                "documents": {
                    target.document: [target.name, target.digest, target.state.newest.version]
                    for target in self._targets
                },
            },
            target=database,
            destroys=False,
            does="restores documents of",
            changes=bool(self._targets),
        )

    def _select(self, reader: Reader, state: DocumentState) -> None:
        try:
            selection = self._selected(reader, state)
        except RecoveryError as error:
            if self._request.documents is not None:
                raise
            self._failed.append((NotRestored(state.document, error.what), error))
            return
        if selection is None:
            return
        self._targets.append(selection.target)
        if self._request.diff_mode and len(self._diff) < _DIFF_LINES:
            before = _current_content(reader, state)
            self._diff.append((state.document, pretty_lines(before), pretty_lines(selection.content)))

    def _selected(self, reader: Reader, state: DocumentState) -> t.Optional[Selection]:
        request = self._request
        if request.version == BEFORE:
            return select_former_copy(reader, state)
        return select_version(reader, state, request.version, request.options)

    def _require_count(self) -> None:
        count, limit = len(self._targets), self._request.max_documents
        if count > limit:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED,
                f"The restore would change {count:,} documents, `max_documents` allows {limit:,}.",
                next_step=f"Read the plan with --check --diff; if it is correct, set `max_documents` to {count}.",
            )

    def act(self) -> None:
        publisher = self._publisher = self._publisher_of()
        with self.timings.phase("publish"):
            for target in self._targets:
                try:
                    self._restored.append(publisher.publish(target))
                except RecoveryError as error:
                    if len(self._targets) == 1:
                        raise
                    self._failed.append((NotRestored(target.document, error.what), error))

    def _publisher_of(self) -> Publisher:
        request, validator = self._request, Validator(self._request.layout.json_schema)
        if request.version == BEFORE:
            return FormerCopyPublisher(request.layout, validator)
        publisher = ServicePublisher if request.options.via == "http" else TransactionPublisher
        return publisher(request.layout, request.options, validator)

    def verify(self) -> None:
        """Read every restored document again and compare it with what it was restored to."""
        targets = {target.document: target for target in self._targets}
        with self.timings.phase("verify"), reading(self._request.layout) as reader:
            for restored in self._restored:
                problems = guaranteed(self._publisher).problems(reader, targets[restored.document], restored)
                if problems:
                    self.equal = False
                    raise RecoveryError(
                        ErrorKind.NOT_EQUAL,
                        f"{restored.document} was restored, but {'; '.join(problems)}.",
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
        plan = self._names_of_targets()
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Restored" if self.safeguards.acts else "Would restore"
            named = ", ".join(f"{one.document} to {one.title}" for one in self._targets[:10])
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

    def _names_of_targets(self) -> t.Dict[str, t.Union[int, str]]:
        return {target.document: target.name for target in self._targets}

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


def _current_content(reader: Reader, state: DocumentState) -> t.Optional[Content]:
    """The content that users see: of the published copy, or of the newest version if there is no bucket."""
    if reader.copies is not None:
        return reader.copies.read(state.document, reader.validator).verdict.content
    return None if state.newest.version is None else reader.judge_version(state.document, state.newest.version).content
