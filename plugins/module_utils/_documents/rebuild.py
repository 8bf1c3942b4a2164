# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rebuilds lost versions from published copies: a first one of documents without any, and lost current ones."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import INTERNAL, option
from .._core.parallel import for_each
from .._core.sizes import counted
from .._engines.postgresql.server.confined import drop_role, require_nothing_deferred, run
from .._engines.postgresql.server.connection import connection
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .publish import refusal_of, writing_tables
from .reader import Layout, Reader, reading
from .rows import Known, MetadataRow, NewVersion
from .schema import Validator

#: Documents and bytes of one transaction.
_BATCH, _BATCH_BYTES = 500, 32 * 1024 * 1024
_LISTED = 1000


@dataclass(frozen=True)
class RebuildRequest:
    """publisher: the id of the user who is named as publisher. number: that of a document's first version; None for
    the version of the table of documents.
    """

    layout: Layout
    safeguards: Safeguards
    publisher: t.Optional[str] = None
    changelog: str = field(default="Rebuilt from storage backup", metadata=option(default=None))
    number: t.Optional[int] = field(default=1, metadata=INTERNAL)
    source: t.Optional[str] = None


@dataclass(frozen=True)
class RebuildResult(Outcome):
    """The fields of the result. rebuilt: the number of new versions; documents: the first of them.

    without_row: published copies whose document has no row in the table of documents. not_rebuilt: copies that are
    not valid. behind: documents whose current version by the table of documents is higher than the rebuilt one.
    current: those of the new versions whose document has older versions.
    """

    rebuilt: int
    current: int
    documents: t.Sequence[str]
    with_versions: int
    without_row: t.Sequence[str]
    not_rebuilt: t.Sequence[t.Mapping[str, str]]
    behind: int
    requests: int
    summary: str
    timings: t.Mapping[str, float]


class Rebuild(Change[RebuildResult]):
    """Inserts versions in batches, each in one transaction; a second run inserts those that a first one did not.

    Raises RecoveryError: invalid_options without files or if a publisher is required, damaged if copies are not valid
    (the others are rebuilt), and those of the connection and of the bucket.
    """

    operation = "recover_course_versions"

    def __init__(self, request: RebuildRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._wanted: t.List[str] = []
        #: Documents whose current version is lost, and an older one is not: the table of versions is from a backup.
        self._outdated: t.Set[str] = set()
        self._metadata: t.Dict[str, MetadataRow] = {}
        self._with_versions = self._rebuilt = self._current = self._behind = 0
        self._without_row: t.List[str] = []
        self._documents: t.List[str] = []
        #: Of the published copies that were read, by document: what the versions in the database are compared with.
        self._digests: t.Dict[str, bytes] = {}
        self._problems: t.List[t.Dict[str, str]] = []

    def plan(self) -> ChangePlan:
        layout = self._request.layout
        if layout.files is None:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`files` is required if `state` is rebuilt.")
        with self.timings.phase("plan"), reading(layout) as reader:
            self._require_content(reader)
            self._require_publisher(reader)
            batch: t.List[str] = []
            for document, _info in guaranteed(reader.copies).documents():
                batch.append(document)
                if len(batch) == _BATCH:
                    self._select(reader, batch)
                    batch = []
            self._select(reader, batch)
        self.details = {"documents": len(self._wanted), "publisher": self._request.publisher}
        return ChangePlan(
            {"database": layout.connection.place, "documents": self._wanted},
            target=layout.connection.database,
            destroys=False,
            changes=bool(self._wanted),
        )

    def _require_publisher(self, reader: Reader) -> None:
        column = reader.tables.versions.columns.get("publisher")
        if column is not None and column.required and not self._request.publisher:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`publisher` is required: the column {column.sql} of {reader.tables.versions.name} holds a user.",
                next_step="Set it to the id of the user who is responsible for the rebuilt versions.",
            )

    @staticmethod
    def _require_content(reader: Reader) -> None:
        versions = reader.tables.versions
        if "content" not in versions:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"`state: rebuilt` writes the content of versions into rows, and {versions.name} has only keys of "
                "objects.",
                next_step="Restore the rows of the table from a backup set with restore_rows.yml, and missing objects "
                "with bucket_restore.",
            )

    def _select(self, reader: Reader, documents: t.Sequence[str]) -> None:
        versions = reader.tables.versions
        self._problems += [
            {"document": one, "reason": f"its key is no id of the type {versions.columns['document'].type}"}
            for one in documents
            if not versions.can_hold(one)
        ]
        documents = [one for one in documents if versions.can_hold(one)]
        if not documents:
            return
        known = reader.tables.known(documents)
        wanted = [document for document, one in known.items() if not one.is_complete]
        self._with_versions += len(known) - len(wanted)
        self._wanted += wanted
        self._outdated.update(document for document in wanted if known[document].version is not None)
        if reader.tables.metadata is not None:
            self._without_row += [document for document in documents if document not in known]
            self._metadata.update((one, guaranteed(known[one].metadata)) for one in wanted)
            self._behind += sum(map(self._is_behind, wanted))

    def _is_behind(self, document: str) -> bool:
        number, row = self._request.number, self._metadata.get(document)
        return bool(number and row and (row.version or 0) > number and document not in self._outdated)

    def act(self) -> None:
        layout = self._request.layout
        copies, validator = guaranteed(layout.copies()), Validator(layout.json_schema)
        with self.timings.phase("rebuild"):
            found = for_each(
                self._wanted,
                lambda document: (document, copies.read(document, validator, keep=True)),
                parallel=layout.parallel,
            )
            batch: t.Dict[str, bytes] = {}
            size = 0
            for document, published in found:
                if published.verdict.problem:
                    self._problems.append({"document": document, "reason": published.verdict.problem})
                    continue
                batch[document] = published.text
                self._digests[document] = bytes.fromhex(guaranteed(published.digest))
                size += len(published.text)
                if len(batch) == _BATCH or size >= _BATCH_BYTES:
                    self._insert(batch)
                    batch, size = {}, 0
            self._insert(batch)

    def _insert(self, batch: t.Mapping[str, bytes]) -> None:
        request, layout = self._request, self._request.layout
        if not batch:
            return
        with connection(layout.connection, application="lifeline.recovery documents", describe=refusal_of) as conn:
            run(conn, "BEGIN")
            session, tables = writing_tables(layout, conn)
            # Between the plan and this transaction, the application may have published some of them.
            known = tables.known(list(batch))
            new = [self._version_of(one, data) for one, data in batch.items() if not self._is_published(one, known)]
            if new:
                tables.add_versions(new, publisher=request.publisher, changelog=request.changelog, only_newest=True)
            drop_role(conn, session.role)
            require_nothing_deferred(conn)
            run(conn, "COMMIT")
        self._rebuilt += len(new)
        self._current += sum(version.document in self._outdated for version in new)
        self._documents += [version.document for version in new[: _LISTED - len(self._documents)]]
        for document in set(batch).difference(version.document for version in new):
            self._digests.pop(document)

    def _is_published(self, document: str, known: t.Mapping[str, Known]) -> bool:
        """Whether the application published a version since the plan was made."""
        now, row = known.get(document), self._metadata.get(document)
        if now is None or now.is_complete:
            return now is not None
        has_first = now.version is not None and document not in self._outdated
        return has_first or now.current != (row.version if row else None)

    def _version_of(self, document: str, data: bytes) -> NewVersion:
        row = self._metadata.get(document)
        first = None if document in self._outdated else self._request.number
        version = first or (row.version if row else None) or 1
        return NewVersion(document, version, data.decode(), row.etag if row else 1)

    def verify(self) -> None:
        """Read every version from the database and compare it with the published copy that it was made of."""
        with self.timings.phase("verify"), reading(self._request.layout) as reader:
            for newest, stored in reader.contents(list(self._digests)):
                found = reader.judge_content(stored).content
                if found is None or bytes.fromhex(found.digest) != self._digests[newest.document]:
                    self.equal = False
                    raise RecoveryError(
                        ErrorKind.NOT_EQUAL,
                        f"The rebuilt version of {newest.document} is not equal to its published copy.",
                        left=f"{self._rebuilt:,} versions were rebuilt.",
                        next_step="A trigger changed it, or it was published during the run: list it with "
                        "course_version_info.",
                    )
        self.equal = True if self._rebuilt else None
        self._raise_problems()

    def _raise_problems(self) -> None:
        if self._problems:
            named = "; ".join(f"{one['document']}: {one['reason']}" for one in self._problems[:10])
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"{counted(len(self._problems), 'published document')} cannot be a version: {named}.",
                left=f"{self._rebuilt:,} versions were rebuilt.",
                next_step="Restore these objects of the bucket from a backup set, then run it again.",
                details={"not_rebuilt": self._problems},
            )

    def has_changed(self) -> bool:
        return bool(self._rebuilt)

    def why_unchanged(self) -> Unchanged:
        self._raise_problems()
        return Unchanged("Every published document has its current version.", "Nothing is left to do.")

    def _counts(self) -> t.Tuple[int, int]:
        """The number of new versions, and of those whose document has older ones."""
        if self.safeguards.acts:
            return self._rebuilt, self._current
        return len(self._wanted), len(self._outdated)

    def result(self, outcome: Outcome) -> RebuildResult:
        does = "Rebuilt" if self.safeguards.acts else "Would rebuild"
        count, current = self._counts()
        notes = []
        if self._without_row:
            notes.append(
                f"{counted(len(self._without_row), 'published document')} without a row in the table of documents."
            )
        if self._behind:
            notes.append(
                f"{counted(self._behind, 'document')} had a higher version than {self._request.number}: set "
                "`rebuilt_version` to current to number these as before."
            )
        files = self._request.layout.files
        summary = outcome.unchanged.reason if outcome.unchanged else f"{does} {_named(count - current, current)}."
        return RebuildResult(
            **vars(outcome),
            rebuilt=count,
            current=current,
            documents=self._documents if self.safeguards.acts else self._wanted[:_LISTED],
            with_versions=self._with_versions,
            without_row=self._without_row[:_LISTED],
            not_rebuilt=self._problems,
            behind=self._behind,
            requests=files.requests if files is not None else 0,
            summary=" ".join([summary, *notes]),
            timings=self.timings.as_dict(),
        )


def _named(first: int, current: int) -> str:
    parts = [("first", first), ("current", current)]
    return " and ".join(f"the {name} version of {counted(count, 'document')}" for name, count in parts if count)
