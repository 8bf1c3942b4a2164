# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the state of documents: newest version, metadata, published copy, and whether these agree."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import INTERNAL, SUBOPTIONS, option
from .._core.parallel import for_each
from .._engines.postgresql.server.confined import Session, begin_reading
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection
from .._store.base import ObjectStore
from .published import Published, PublishedCopies
from .rows import DocumentTables, Newest, Stored
from .schema import Validator, Verdict
from .tables import MetadataTable, VersionsTable, find_table

#: Documents whose rows one statement reads.
_BATCH = 200
#: Bytes of their texts that one statement reads, beyond which the next document belongs to another one.
_BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Layout:
    """Where documents live. metadata.table empty: the database has no table of documents. files None: there is no
    bucket.

    key: the key of a published copy, with {document} in the place of the id. run_as: the role that reads and writes;
    if it is None, the owner of the tables.
    """

    connection: ConnectionOptions
    versions: VersionsTable = field(metadata={**SUBOPTIONS, **option(default={})})
    metadata: MetadataTable = field(metadata={**SUBOPTIONS, **option(default={})})
    files: t.Optional[ObjectStore] = field(default=None, metadata=INTERNAL)
    key: str = field(default="{document}.json", metadata=option(shown=True))
    json_schema: t.Optional[t.Mapping[str, t.Any]] = None
    run_as: t.Optional[str] = None
    parallel: int = field(default=8, metadata=option("parallel_files"))

    def copies(self) -> t.Optional[PublishedCopies]:
        """The published copies; None without a bucket."""
        return None if self.files is None else PublishedCopies(self.files, self.key)


@dataclass(frozen=True)
class DocumentState:
    """A document as its tables and its bucket show it. newest: of both tables. verdict: of its newest version.

    published: None without a bucket. findings: damage and differences; empty for a sound document.
    """

    document: str
    newest: Newest
    verdict: t.Optional[Verdict]
    published: t.Optional[Published]
    findings: t.Sequence[str] = field(default_factory=tuple)

    def without_contents(self) -> DocumentState:
        """The state without the values of its contents, for a plan that holds many documents."""
        verdict = self.verdict and self.verdict.without_value()
        published = self.published and replace(self.published, verdict=self.published.verdict.without_value())
        return replace(self, verdict=verdict, published=published)


class Reader:
    """Reads documents in one transaction that only reads."""

    def __init__(self, layout: Layout, tables: DocumentTables, validator: Validator) -> None:
        self.layout, self.tables, self.validator = layout, tables, validator
        self.copies = layout.copies()

    def states(self, documents: t.Optional[t.Sequence[str]]) -> t.Iterator[DocumentState]:
        """The states of these documents, or of all, in any order; few of them are in memory at a time.

        Raises RecoveryError(rows_missing) for an id that no table has.
        """
        wanted = self.tables.documents() if documents is None else documents
        return for_each(self.contents(wanted), self._judge, parallel=self.layout.parallel)

    def state(self, document: str) -> DocumentState:
        (state,) = self.states([document])
        return state

    def contents(self, documents: t.Sequence[str]) -> t.Iterator[t.Tuple[Newest, Stored]]:
        """The newest versions of these documents with their contents; a few megabytes are in memory at a time."""
        for start in range(0, len(documents), _BATCH):
            ids = documents[start : start + _BATCH]
            batch = self.tables.newest(ids)
            missing = set(ids) - {one.document for one in batch}
            if missing:
                raise RecoveryError(
                    ErrorKind.ROWS_MISSING,
                    f"The document {min(missing)!r} has no row in the tables of documents and versions.",
                    next_step="Check `documents`: only documents that a table holds can be restored.",
                )
            for group in _groups(batch):
                versions = [(one.document, one.version) for one in group if one.version is not None]
                contents = self.tables.contents(versions)
                for one in group:
                    yield one, contents.pop(one.document, Stored())

    def _judge(self, item: t.Tuple[Newest, Stored]) -> DocumentState:
        newest, stored = item
        verdict = None if newest.version is None else self.judge_content(stored)
        published = self.copies.read(newest.document, self.validator) if self.copies is not None else None
        found = findings(newest, verdict, published, has_metadata=self.tables.metadata is not None)
        return DocumentState(newest.document, newest, verdict, published, tuple(found))

    def judge_version(self, document: str, version: int) -> Verdict:
        """The content of a version, and whether it is valid."""
        return self.judge_content(self.tables.content(document, version))

    def judge_content(self, stored: Stored) -> Verdict:
        return read_stored(stored, self.copies, self.validator)[0]


def read_stored(stored: Stored, copies: t.Optional[PublishedCopies], validator: Validator) -> t.Tuple[Verdict, bytes]:
    """The content of a version, judged, and its bytes; from an object of the bucket if the row has no text.

    Metadata beside the content in the row is never content.
    """
    if stored.text is not None:
        return validator.judge(stored.text), stored.text.encode("utf-8", "surrogatepass")
    if not stored.path:
        return Verdict(None, "it has no content"), b""
    if copies is None:
        return Verdict(None, f"its content is the object {stored.path}, and `files` is not set"), b""
    found = copies.read_object(stored.path, validator, keep=True)
    if found.verdict.problem:
        return found.verdict._replace(problem=f"of its object {stored.path}, {found.verdict.problem}"), found.text
    return found.verdict, found.text


def _groups(batch: t.Iterable[Newest]) -> t.Iterator[t.List[Newest]]:
    """Documents whose texts are read in one statement."""
    group: t.List[Newest] = []
    size = 0
    for one in batch:
        group.append(one)
        size += one.size
        if size >= _BATCH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def findings(
    newest: Newest, verdict: t.Optional[Verdict], published: t.Optional[Published], *, has_metadata: bool
) -> t.Iterator[str]:
    """The damage of a document, and the differences between its tables and its published copy."""
    if newest.metadata is None:
        if has_metadata:
            yield "the table of documents has no row of it"
    elif newest.version is None and (newest.metadata.version or 0) > 1:
        yield f"the table of documents has version {newest.metadata.version}, the table of versions has none"
    elif newest.version is not None and newest.metadata.version != newest.version:
        yield f"the newest version is {newest.version}, the table of documents has {newest.metadata.version}"
    elif newest.etag is not None and newest.metadata.etag not in (None, newest.etag):
        yield f"version {newest.version} has etag {newest.etag}, the table of documents has {newest.metadata.etag}"
    if newest.rows > 1:
        yield f"the table of versions has {newest.rows} rows of version {newest.version}"
    if verdict is not None and verdict.problem:
        yield f"version {newest.version} is not valid: {verdict.problem}"
    if published is None:
        return
    if published.info is None:
        if newest.version is not None:
            yield "the published copy is missing"
    elif published.verdict.problem:
        yield f"the published copy is not valid: {published.verdict.problem}"
    elif verdict is not None and verdict.content is not None and published.digest != verdict.content.digest:
        yield f"the published copy differs from version {newest.version}"


@contextlib.contextmanager
def reading(layout: Layout) -> t.Iterator[Reader]:
    """A reader of the documents, whose transaction ends with the context.

    Raises RecoveryError: those of the connection, table_missing, schema_drift, unsupported, invalid_options.
    """
    validator = Validator(layout.json_schema)
    with connection(layout.connection, application="lifeline.recovery documents") as conn:
        session = begin_reading(conn, run_as=layout.run_as)
        yield Reader(layout, tables_of(layout, conn, session), validator)
        with conn.cursor() as cursor:
            cursor.execute("ROLLBACK")


def tables_of(layout: Layout, conn: Connection, session: t.Union[Session, Connection]) -> DocumentTables:
    versions = find_table(conn, layout.versions, "versions")
    metadata = find_table(conn, layout.metadata, "metadata") if layout.metadata.table else None
    return DocumentTables(session, versions, metadata)


def require_ids(documents: t.Sequence[str]) -> None:
    """Raise RecoveryError(invalid_options) for an id that no text column can hold, or that is given twice."""
    for document in documents:
        if not document or "\x00" in document:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`documents` must be ids of documents, got {document!r}.",
                next_step="An id is a text of at least one character, without NUL.",
            )
    repeated = sorted({document for document in documents if documents.count(document) > 1})
    if repeated:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`documents` contains {repeated[0]!r} more than once.")
