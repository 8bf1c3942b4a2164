# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publishes a version again in one transaction: by statements, or by a function of the database."""

from __future__ import annotations

import contextlib
import json
import typing as t

from .._core.errors import ErrorKind, RecoveryError, guaranteed
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
from .published import ObjectChanges, Published
from .reader import Layout, Reader, read_stored, tables_of
from .rows import DocumentTables, MetadataRow, NewVersion
from .schema import Validator
from .target import PublishOptions, Restored, Target, conflict_of, read_planned_copy, version_problems

_UNCHANGED = "The document is unchanged."
#: SQLSTATE of a statement that ran longer than statement_timeout.
_CANCELLED = "57014"


class TransactionPublisher:
    """Publishes versions by SQL. One document is one transaction: it is restored completely, or unchanged."""

    def __init__(self, layout: Layout, options: PublishOptions, validator: Validator) -> None:
        self._layout, self._options, self._validator = layout, options, validator
        self._copies = layout.copies()

    def publish(self, target: Target) -> Restored:
        """Raises RecoveryError: conflict if the document was published since the plan, locked, not_equal, query_failed,
        unreachable, and those of the bucket.
        """
        with connection(
            self._layout.connection, application="lifeline.recovery documents", describe=refusal_of
        ) as conn:
            run(conn, "BEGIN")
            milliseconds = f"{int(self._options.lock_timeout * 1000)}ms"
            fetch_value(conn, "SELECT set_config('lock_timeout', %s, true)", (milliseconds,))
            session, tables = writing_tables(self._layout, conn)
            before = tables.metadata_of([target.document], lock=True).get(target.document)
            _require_same(target, before, tables)
            if before is None and tables.metadata is not None:
                newest = target.state.newest
                before = tables.add_metadata(target.document, newest.version, newest.etag)
            seen = read_planned_copy(self._copies, target, self._validator)
            outside = ObjectChanges(self._copies)
            with _put_back_after_failure(outside):
                restored = self._write(conn, tables, target, before, seen, outside)
                # Deferred triggers of the application would run with the rights of this session at the commit.
                run(session, "SET CONSTRAINTS ALL IMMEDIATE")
                drop_role(conn, session.role)
                require_nothing_deferred(conn)
            self._commit(conn, target, outside)
            return restored

    @staticmethod
    def problems(reader: Reader, target: Target, restored: Restored) -> t.List[str]:
        """The differences between the restored document and its version."""
        return version_problems(reader, target, restored)

    def _write(
        self,
        conn: Connection,
        tables: DocumentTables,
        target: Target,
        before: t.Optional[MetadataRow],
        seen: t.Optional[Published],
        outside: ObjectChanges,
    ) -> Restored:
        write = self._by_function if self._options.via == "function" else self._by_statements
        restored = write(conn, tables, target, before, seen, outside)
        stored = tables.content(target.document, guaranteed(restored.version))
        verdict, data = read_stored(stored, self._copies, self._validator)
        if verdict.content is None or verdict.content.digest != target.digest:
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"Version {restored.version} of {target.document} does not have the content of version "
                f"{target.version}: a trigger or the function changed it.",
                left=_UNCHANGED,
            )
        if seen is not None and seen.digest != target.digest:
            outside.replace(seen, data)
        return restored

    @staticmethod
    def _commit(conn: Connection, target: Target, outside: ObjectChanges) -> None:
        try:
            run(conn, "COMMIT")
        except psycopg2.Error as error:
            if getattr(error, "pgcode", None) is None:
                raise RecoveryError(
                    ErrorKind.UNREACHABLE,
                    f"The connection to PostgreSQL was lost during the commit of {target.document}.",
                    left="Whether the new version was stored is unknown; the published copy has the restored content.",
                    next_step="List the document with course_version_info, then run it again.",
                ) from None
            raise outside.put_back(refusal_of(error)) from None

    def _by_statements(
        self,
        _conn: Connection,
        tables: DocumentTables,
        target: Target,
        before: t.Optional[MetadataRow],
        seen: t.Optional[Published],
        outside: ObjectChanges,
    ) -> Restored:
        newest, document = target.state.newest, target.document
        above = self._options
        version = max(newest.version or 0, (before.version if before else 0) or 0, above.version_above or 0)
        etags = [etag for etag in (newest.etag, before.etag if before else None, above.etag_above) if etag is not None]
        etag = max(etags) if etags else None
        kept_version = kept_copy = None
        if target.unversioned and seen is not None:
            if seen.verdict.content is None or "content" not in tables.versions:
                kept_copy = outside.keep(seen)
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
            raise conflict_of(document)
        return Restored(document, target.version, version, etag, kept_version, kept_copy, newest.version)

    def _by_function(
        self,
        conn: Connection,
        tables: DocumentTables,
        target: Target,
        _before: t.Optional[MetadataRow],
        seen: t.Optional[Published],
        outside: ObjectChanges,
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
        milliseconds = f"{max(1, int(self._options.timeout * 1000))}ms"
        fetch_value(conn, "SELECT set_config('statement_timeout', %s, true)", (milliseconds,))
        # A confined session keeps the settings that it began with.
        limited = Confined(conn, tables.session.role, path=tables.session.path)
        DocumentTables(limited, tables.versions, tables.metadata).call(
            parse_qualified_name(self._options.function), target.document, target.version, self._options.changelog
        )
        fetch_value(conn, "SELECT set_config('statement_timeout', '0', true)")
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
        kept = outside.keep(seen) if target.unversioned and seen is not None else None
        former = target.state.newest.version
        return Restored(target.document, target.version, newest.version, newest.etag, None, kept, former)


@contextlib.contextmanager
def _put_back_after_failure(outside: ObjectChanges) -> t.Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise outside.put_back(refusal_of(error)) from None
    except RecoveryError as error:
        raise outside.put_back(error) from None


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
        raise conflict_of(target.document)
    if metadata is not None and (planned.metadata is None or metadata[:2] != planned.metadata[:2]):
        raise conflict_of(target.document)


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
    if state == _CANCELLED:
        return RecoveryError(
            ErrorKind.TIMEOUT,
            f"The function did not end within `timeout`: {error.diag.message_primary}.",
            left=_UNCHANGED,
            next_step="Raise `timeout`, or restore with `via: sql`.",
        )
    refusal = query_error(error, left=_UNCHANGED)
    if state in ("23502", "23503"):
        missing = f" in {column}" if column else ""
        return refusal.restated(
            next_step=f"Set `publisher` to the id of a user{missing}; a session of an operator has no user of its own."
        )
    return refusal
