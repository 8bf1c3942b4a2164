# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishes an older version of a document again: in one transaction, by a function of the database, or over HTTP."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.request
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.http import Answer, NoAnswer, exchange, is_url
from .._core.notices import note
from .._core.options import Secret, option
from .._engines.postgresql.server.confined import (
    SAFE_PATH,
    Confined,
    drop_role,
    require_nothing_deferred,
    run,
    writing_role,
)
from .._engines.postgresql.server.connection import Connection, connection, fetch_all, fetch_value, quote_identifier
from .._engines.postgresql.server.driver import psycopg2
from .._engines.postgresql.server.names import parse_qualified_name
from .._engines.postgresql.server.refusals import query_error
from .._store.base import ObjectInfo, is_same_version
from .content import parse_content
from .published import Published
from .reader import DocumentState, Layout, reading, tables_of
from .schema import Validator
from .tables import DocumentTables, MetadataRow, NewVersion

_UNCHANGED = "The document is unchanged."
_LARGEST_ANSWER = 1024 * 1024
#: Seconds between two looks at a document whose request got no answer.
_LOOK = 1.0

#: Statuses of the service to the kind of error, and the next step.
_STATUSES = {
    401: (ErrorKind.ACCESS_DENIED, "Check `token`: the service does not accept it."),
    403: (ErrorKind.ACCESS_DENIED, "Use a token of a user who may restore versions."),
    404: (ErrorKind.OBJECT_MISSING, "Check `url`, the document and the version."),
    409: (ErrorKind.CONFLICT, "Another session publishes the document: run it again."),
}


@dataclass(frozen=True)
class PublishOptions:
    """How versions are published. via: sql, function or http. publisher: the id of a user; None for the user of the
    version that is restored. function: of the database. url, token, timeout: of the HTTP service. lock_timeout: the
    seconds to wait for another session.
    """

    via: t.Literal["sql", "function", "http"] = "sql"
    changelog: str = field(default="Restored by lifeline.recovery", metadata=option(default=None))
    publisher: t.Optional[str] = None
    function: str = "restore_course_version"
    url: t.Optional[str] = None
    token: t.Optional[Secret] = None
    timeout: float = 30
    lock_timeout: float = 10

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options) for options that cannot be meant together."""
        if self.via != "http":
            return
        if not self.url or not is_url(self.url):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`url` must be an HTTP address if `via` is http.", next_step="Set `url`."
            )
        if not self.token:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`token` is required if `via` is http.")


@dataclass(frozen=True)
class Target:
    """A document that is restored: its state in the plan, the version, the digest of the version's content.

    unversioned: the published copy has a content that no version has, so that the restore keeps it first.
    """

    state: DocumentState
    version: int
    digest: str
    publisher: t.Optional[str]
    unversioned: bool

    @property
    def document(self) -> str:
        return self.state.document


@dataclass(frozen=True)
class Restored:
    """A document that was restored, as a new version. kept_version, kept_copy: where its former content is."""

    document: str
    restored_from: int
    version: int
    etag: t.Optional[int]
    kept_version: t.Optional[int] = None
    kept_copy: t.Optional[str] = None


class Publisher:
    """Publishes versions. One document is one transaction: it is restored completely, or unchanged."""

    def __init__(self, layout: Layout, options: PublishOptions, validator: Validator) -> None:
        self._layout, self._options, self._validator = layout, options, validator
        self._copies = layout.copies()

    def publish(self, target: Target) -> Restored:
        """Raises RecoveryError: conflict if the document was published since the plan, access_denied, locked,
        not_equal, invalid_options, service_failed, timeout, and those of the bucket.
        """
        return self._over_http(target) if self._options.via == "http" else self._in_transaction(target)

    def _in_transaction(self, target: Target) -> Restored:
        with connection(
            self._layout.connection, application="lifeline.recovery documents", describe=refusal_of
        ) as conn:
            run(conn, "BEGIN")
            milliseconds = f"{int(self._options.lock_timeout * 1000)}ms"
            fetch_value(conn, "SELECT set_config('lock_timeout', %s, true)", (milliseconds,))
            session, tables = writing_tables(self._layout, conn)
            before = tables.metadata_of([target.document], lock=True).get(target.document)
            _require_same(target, before, tables)
            seen = self._copy_of_plan(target)
            write = self._by_function if self._options.via == "function" else self._by_statements
            restored = write(conn, tables, target, before, seen)
            text = tables.content(target.document, restored.version)
            if text is None or parse_content(text).digest != target.digest:
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"Version {restored.version} of {target.document} does not have the content of version "
                    f"{target.version}: a trigger or the function changed it.",
                    left=_UNCHANGED,
                )
            written = None
            if seen is not None and self._copies is not None:
                written = self._copies.write(seen, text.encode())
            self._commit(conn, session, target, seen, written)
            return restored

    def _commit(
        self,
        conn: Connection,
        session: Confined,
        target: Target,
        seen: t.Optional[Published],
        written: t.Optional[ObjectInfo],
    ) -> None:
        committing = False
        try:
            drop_role(conn, session.role)
            require_nothing_deferred(conn)
            committing = True
            run(conn, "COMMIT")
        except psycopg2.Error as error:
            if committing and getattr(error, "pgcode", None) is None:
                raise RecoveryError(
                    ErrorKind.UNREACHABLE,
                    f"The connection to PostgreSQL was lost during the commit of {target.document}.",
                    left="Whether the new version was stored is unknown; the published copy has the restored content.",
                    next_step="List the document with course_version_info, then run it again.",
                ) from None
            if seen is not None and self._copies is not None:
                self._copies.put_back(seen, written)
            raise refusal_of(error) from None

    def _by_statements(
        self,
        _conn: Connection,
        tables: DocumentTables,
        target: Target,
        before: t.Optional[MetadataRow],
        seen: t.Optional[Published],
    ) -> Restored:
        newest, document = target.state.newest, target.document
        version = max(newest.version or 0, (before.version if before else 0) or 0)
        etags = [etag for etag in (newest.etag, before.etag if before else None) if etag is not None]
        etag = max(etags) if etags else None
        kept_version = kept_copy = None
        if target.unversioned and seen is not None:
            if seen.verdict.content is None:
                kept_copy = guaranteed(self._copies).keep(seen)
            else:
                version, etag = version + 1, None if etag is None else etag + 1
                tables.add_versions(
                    [NewVersion(document, version, seen.text.decode(), etag)],
                    publisher=self._options.publisher or target.publisher,
                    changelog=f"Published content before the restore of version {target.version}",
                )
                kept_version = version
        version, etag = version + 1, None if etag is None else etag + 1
        tables.copy_version(
            document,
            target.version,
            to=version,
            publisher=self._options.publisher,
            changelog=self._options.changelog,
            etag=etag,
        )
        if before is not None and tables.set_current(document, before, version, etag) != 1:
            raise _conflict(document)
        return Restored(document, target.version, version, etag, kept_version, kept_copy)

    def _by_function(
        self,
        conn: Connection,
        tables: DocumentTables,
        target: Target,
        _before: t.Optional[MetadataRow],
        seen: t.Optional[Published],
    ) -> Restored:
        publisher = self._options.publisher or target.publisher
        if publisher:
            # The function reads the user from the token of a request, which a session of an operator has not.
            claims = json.dumps({"sub": publisher, "role": "authenticated"})
            fetch_all(
                conn,
                "SELECT set_config('request.jwt.claim.sub', %s, true), set_config('request.jwt.claims', %s, true)",
                (publisher, claims),
            )
        tables.call(
            parse_qualified_name(self._options.function), target.document, target.version, self._options.changelog
        )
        (newest,) = tables.newest([target.document])
        if newest.version is None or newest.version <= (target.state.newest.version or 0):
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The function {self._options.function} added no version of {target.document}.",
                left=_UNCHANGED,
                next_step="Restore with `via: sql`.",
            )
        if newest.metadata is not None and newest.metadata.version != newest.version:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The function {self._options.function} added version {newest.version} of {target.document}, but the "
                f"table of documents has {newest.metadata.version}.",
                left=_UNCHANGED,
                next_step="Restore with `via: sql`.",
            )
        kept = guaranteed(self._copies).keep(seen) if target.unversioned and seen is not None else None
        return Restored(target.document, target.version, newest.version, newest.etag, None, kept)

    def _over_http(self, target: Target) -> Restored:
        with reading(self._layout) as reader:
            (now,) = reader.tables.newest([target.document])
            if now != target.state.newest:
                raise _conflict(target.document)
        seen = self._copy_of_plan(target)
        kept = guaranteed(self._copies).keep(seen) if target.unversioned and seen is not None else None
        problem = self._request(target)
        state, text = self._after_request(target, wait=problem is not None and problem.kind == ErrorKind.TIMEOUT)
        advanced = (state.newest.version or 0) > (target.state.newest.version or 0)
        if problem is not None and not advanced:
            raise problem
        digest = state.verdict.content.digest if state.verdict and state.verdict.content else None
        if not advanced or digest != target.digest:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"The service answered, but the newest version of {target.document} does not have the content of "
                f"version {target.version}.",
                left="",
                next_step="List the document with course_version_info, then restore with `via: sql`.",
            )
        if problem is not None:
            note(f"The request for {target.document} failed ({problem.what}), but the version was restored.")
        if state.published is not None and state.published.digest != target.digest:
            guaranteed(self._copies).write(state.published, text.encode())
        return Restored(
            target.document, target.version, guaranteed(state.newest.version), state.newest.etag, None, kept
        )

    def _request(self, target: Target) -> t.Optional[RecoveryError]:
        """The error of a request that failed."""
        options = self._options
        body = {"courseId": target.document, "version": target.version, "changelog": options.changelog}
        request = urllib.request.Request(
            guaranteed(options.url),
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {options.token}"},
            method="POST",
        )
        try:
            answer = exchange(request, timeout=options.timeout, largest=_LARGEST_ANSWER)
        except NoAnswer as error:
            return RecoveryError(
                ErrorKind.TIMEOUT if error.begun else ErrorKind.UNREACHABLE,
                f"The service of `url` did not answer the request for {target.document}: {error.reason}.",
                left=f"{_UNCHANGED[:-1]} so far." if error.begun else _UNCHANGED,
                next_step="List the document with course_version_info before the next try.",
            )
        return None if 200 <= answer.status < 300 else self._refused(answer, target)

    def _refused(self, answer: Answer, target: Target) -> RecoveryError:
        kind, next_step = _STATUSES.get(answer.status, (ErrorKind.SERVICE_FAILED, "Read the log of the service."))
        return RecoveryError(
            kind,
            f"The service of `url` refused version {target.version} of {target.document}: {answer.outcome}"
            f"{self._reason(answer)}.",
            left=_UNCHANGED,
            next_step=next_step,
        )

    def _reason(self, answer: Answer) -> str:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            return ""
        reason = document.get("error") or document.get("message") if isinstance(document, dict) else None
        text = " ".join(str(reason).split())[:200] if isinstance(reason, str) else ""
        return f" ({text.replace(str(self._options.token), '********')})" if text else ""

    def _after_request(self, target: Target, *, wait: bool) -> t.Tuple[DocumentState, str]:
        """The state after a request; with wait, looked at until the document changed or the timeout is over."""
        until = time.monotonic() + (self._options.timeout if wait else 0)
        while True:
            with reading(self._layout) as reader:
                state = reader.state(target.document)
                if (state.newest.version or 0) > (target.state.newest.version or 0) or time.monotonic() >= until:
                    text = reader.tables.content(target.document, state.newest.version or 0)
                    return state, text or ""
            time.sleep(_LOOK)

    def _copy_of_plan(self, target: Target) -> t.Optional[Published]:
        """The published copy with its bytes. Raises RecoveryError(conflict) if it is not the one of the plan."""
        planned = target.state.published
        if planned is None or self._copies is None:
            return None
        seen = self._copies.read(target.document, self._validator, keep=True)
        same = is_same_version(planned.info, seen.info) if planned.info is not None else seen.info is None
        if not same:
            raise _conflict(target.document)
        return seen


def writing_tables(layout: Layout, conn: Connection) -> t.Tuple[Confined, DocumentTables]:
    """A session with the rights of the owner of the tables, in the open transaction."""
    tables = tables_of(layout, conn, conn)
    found = [table for table in (tables.versions, tables.metadata) if table is not None]
    role = layout.run_as or writing_role(conn, [table.oid for table in found])
    # Triggers of the application may name tables without a schema.
    schemas = ", ".join(
        quote_identifier(name) for name in dict.fromkeys([*(one.name.schema for one in found), "public"])
    )
    session = Confined(conn, role, path=f"{SAFE_PATH}, {schemas}")
    return session, DocumentTables(session, tables.versions, tables.metadata)


def _require_same(target: Target, metadata: t.Optional[MetadataRow], tables: DocumentTables) -> None:
    """Raise RecoveryError(conflict) if the document was published since the plan."""
    planned = target.state.newest
    now = tables.newest([target.document])
    if not now or (now[0].version, now[0].etag) != (planned.version, planned.etag):
        raise _conflict(target.document)
    if metadata is not None and planned.metadata is not None and metadata[:2] != planned.metadata[:2]:
        raise _conflict(target.document)


def _conflict(document: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"{document} was published by another session during the restore.",
        left="The restore changed nothing in it.",
        next_step="Read the new version; if the document is still damaged, run it again.",
    )


def refusal_of(error: t.Any) -> RecoveryError:
    """A refused statement: unique keys are published by another session, other constraints are about the publisher."""
    state = getattr(error, "pgcode", None)
    column = getattr(getattr(error, "diag", None), "column_name", None)
    if state == "23505":
        return RecoveryError(
            ErrorKind.CONFLICT,
            f"Another session has published a version: {error.diag.message_primary}.",
            left=_UNCHANGED,
            next_step="Run it again.",
        )
    refusal = query_error(error, left=_UNCHANGED)
    if state in ("23502", "23503"):
        missing = f" in {column}" if column else ""
        return refusal.restated(
            next_step=f"Set `publisher` to the id of a user{missing}; a session of an operator has no user of its own."
        )
    return refusal
