# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces the content of a live database in one transaction, from the lock that stops writers to the last row.

The transaction first locks every table that it will replace against writers. The undo set is taken while it holds
these locks, so a row whose insert was acknowledged is in the undo set, or is written after the restore.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from dataclasses import dataclass

from ...._core.digest import file_chunks
from ...._core.errors import ErrorKind, RecoveryError
from ...._repository.fingerprint import Fingerprint
from ...._repository.manifest import Manifest
from ...._store.base import ObjectStore
from ..archive.copy_in import NESTED, Loader, tables_with_code
from ..archive.load import archive_script
from ..archive.object_errors import ObjectFailure, without_session_settings
from ..archive.toc import Toc, TocEntry, write_list
from ..archive.validated import add_validated, split_validated
from ..foreign.run_script import run_statements
from ..foreign.script import GuardedScript
from ..neutral.neutralization import deactivate_jobs
from ..neutral.request import Neutralized
from ..server.client import ClientPrograms
from ..server.confined import is_superuser
from ..server.connection import Connection, ConnectionOptions, connection, fetch_all, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import query_error, refusal_reason
from . import databases
from .collateral import Collateral, refuse_unsaved_rows
from .large_objects import LargeObjectGuard
from .locked_content import compare_content
from .materialized_views import KIND as VIEW_ROWS
from .ownership import Replacement
from .proof import Content, Proof, Rules
from .removal import Removal, plan_removal

#: Seconds of one attempt to lock, and of the pauses between attempts, in which the application continues.
_ATTEMPT, _FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 0.25, 4.0

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    ORDER BY 1, 2
"""

_PART = 1024 * 1024


@dataclass(frozen=True)
class Undo:
    """The undo set: its id, its table of contents, and the fingerprint of what it holds."""

    set_id: str
    toc: Toc
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Loading:
    """Options of the load of an archive. search_path is that of the database, for code with names without a schema."""

    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    rows_as_owner: bool = True
    search_path: str = '"$user", public'


#: For the entry of a table, what opens its COPY lines; None for an entry without rows.
RowsOf = t.Callable[[TocEntry], t.Optional[t.Callable[[], t.Iterator[bytes]]]]


class LockedDatabase:
    """A live database within the transaction that replaces its content."""

    def __init__(
        self,
        conn: Connection,
        removal: Removal,
        guard: LargeObjectGuard,
        end_sessions: t.Callable[[], None],
        lock_timeout: float,
    ) -> None:
        self._conn, self._removal, self._end_sessions, self._lock_timeout = conn, removal, end_sessions, lock_timeout
        self._guard = guard

    def replace(
        self,
        client: ClientPrograms,
        archive: str,
        toc: Toc,
        undo: Undo,
        rows: RowsOf,
        loading: Loading,
        jobs: t.Sequence[str] = (),
    ) -> t.List[ObjectFailure]:
        """Remove what the set in the folder archive brings, load the set, and schedule jobs. The caller commits.

        rows gives for an entry what opens its COPY lines, or None. Returns the objects that PostgreSQL refused.
        Raises RecoveryError(unsupported) when something would fall that neither the set nor undo holds, conflict when
        large objects changed since undo, and locked.
        """
        self._clear(toc, undo)
        failures = self._section(client, archive, toc, "pre-data", loading)
        self._run(self._removal.before_rows)
        failures += self._rows(toc, rows, loading)
        self._run(self._removal.after_rows)
        # pg_dump 18 creates large objects in this section, earlier versions before the rows.
        failures += self._definitions(client, archive, toc, "data", loading, ["--section=data"])
        self._large_objects(toc, archive)
        failures += self._section(client, archive, toc, "post-data", loading)
        self._run(self._removal.last)
        self._run(jobs)
        return failures

    def replace_foreign(self, script: GuardedScript, toc: Toc, undo: Undo) -> None:
        """As replace, with the script of an archive of another tool. The first statement that is refused ends it."""
        self._clear(toc, undo)
        run_statements(self._conn, script)
        self._run(self._removal.last)

    def compared(
        self, manifest: t.Optional[Manifest], store: t.Optional[ObjectStore], rules: Rules
    ) -> t.Tuple[Content, Proof]:
        """The content as the transaction sees it, which no other session can write, compared with the set."""
        return compare_content(self._conn, manifest, store, rules)

    def deactivate_jobs(self) -> t.List[Neutralized]:
        """Deactivate the jobs of pg_cron before the commit, because the scheduler reads them after it."""
        return deactivate_jobs(self._conn)

    def commit(self) -> None:
        self._run(("COMMIT",))

    def _run(self, statements: t.Iterable[str]) -> None:
        with self._conn.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _clear(self, toc: Toc, undo: Undo) -> None:
        self._lock("ACCESS EXCLUSIVE")
        collateral = Collateral(self._conn)
        if self._removal.large_objects:
            self._guard.remove(self._conn, undo.fingerprint)
        self._run(self._removal.first)
        collateral.refuse(self._removal, toc, undo.toc)

    def _lock(self, mode: str) -> None:
        _lock_tables(
            self._conn,
            self._removal,
            mode,
            self._lock_timeout,
            self._end_sessions,
            ("SAVEPOINT locks", "ROLLBACK TO locks"),
            self._guard.tables(self._removal, undo_taken=True),
        )

    def _section(
        self, client: ClientPrograms, archive: str, toc: Toc, section: str, loading: Loading
    ) -> t.List[ObjectFailure]:
        parts, confine = split_validated(toc, section), loading.rows_as_owner and loading.owner
        failures = self._definitions(client, archive, parts.first, section, loading, [f"--section={section}"])
        if not parts.confined:
            # Without these nothing depends on them.
            return failures
        failures += add_validated(self._conn, toc, parts.confined, confine=confine)
        return failures + self._definitions(client, archive, parts.rest, f"{section}-rest", loading, ())

    def _definitions(
        self,
        client: ClientPrograms,
        archive: str,
        toc: Toc,
        name: str,
        loading: Loading,
        sections: t.Sequence[str],
    ) -> t.List[ObjectFailure]:
        """Run the statements of the entries in sections one by one, each in a savepoint."""
        listing = write_list(toc, archive, f"{name}-in-place", without=("TABLE DATA", "BLOBS", VIEW_ROWS))
        chunks = archive_script(
            client, archive,
            owner=loading.owner, privileges=loading.privileges, tablespaces=loading.tablespaces,
            only=[*sections, f"--use-list={listing}"],
        )  # fmt: skip
        failures = []
        with self._conn.cursor() as cursor:
            for statement in GuardedScript(chunks, own=True):
                try:
                    cursor.execute(b"SAVEPOINT object;\n" + statement.text + b"\n;RELEASE SAVEPOINT object")
                except psycopg2.Error as error:
                    reason = refusal_reason(error)
                    cursor.execute("ROLLBACK TO SAVEPOINT object")
                    text = statement.text.decode("utf-8", "replace").strip()
                    failures.append(ObjectFailure(_title(toc, text), reason, text))
        return without_session_settings(failures)

    def _rows(self, toc: Toc, rows: RowsOf, loading: Loading) -> t.List[ObjectFailure]:
        failures = []
        for entry in toc.of_kind("ENCODING", "STDSTRINGS"):
            self._run((entry.definition,))
        with contextlib.ExitStack() as stack:
            confined: t.Mapping[t.Tuple[str, str], int] = {}
            if loading.rows_as_owner:
                confined = stack.enter_context(tables_with_code(self._conn, toc))
            loader = Loader(toc, confined, loading.search_path, NESTED)
            for table in toc.of_kind("TABLE DATA"):
                source = rows(table)
                failure = loader.load(self._conn, table, source) if source is not None else None
                if failure is not None:
                    failures.append(failure)
        return failures

    def _large_objects(self, toc: Toc, archive: str) -> None:
        for entry in toc.of_kind("BLOBS"):
            with open(os.path.join(archive, entry.file_name), encoding="ascii") as listing:
                files = [line.split() for line in listing if line.strip()]
            with self._conn.cursor() as cursor:
                for number, name in files:
                    offset = 0
                    for part in file_chunks(os.path.join(archive, name), _PART):
                        cursor.execute(
                            "SELECT pg_catalog.lo_put(%s, %s, %s)", (int(number), offset, psycopg2.Binary(part))
                        )
                        offset += len(part)


@contextlib.contextmanager
def locked_database(
    options: ConnectionOptions,
    admin: Connection,
    replacement: Replacement,
    *,
    lock_timeout: float,
    terminate_sessions: bool,
) -> t.Iterator[LockedDatabase]:
    """Stop the writers of every table that the archive replaces, until the transaction ends.

    lock_timeout, in seconds, bounds each of the two times that locks are taken. A failed attempt gives the tables
    back for a while, so that the application does not queue behind it.
    Raises RecoveryError(locked, unsupported); the database is unchanged unless commit was called.
    """

    def refusal(error: Exception) -> RecoveryError:
        return query_error(error, f"The database {options.database!r} is unchanged.")

    with connection(options, application="lifeline.recovery restore", describe=refusal) as conn:
        pid = conn.info.backend_pid

        def end_sessions() -> None:
            if terminate_sessions:
                databases.terminate(admin, options.database, spare=(pid,))

        removal = plan_removal(conn, replacement)
        refuse_unsaved_rows(conn, removal)
        end_sessions()
        guard = LargeObjectGuard(options, superuser=is_superuser(conn))
        also = guard.tables(removal, undo_taken=False)
        _lock_tables(conn, removal, "EXCLUSIVE", lock_timeout, end_sessions, ("BEGIN", "ROLLBACK"), also)
        with conn.cursor() as cursor:
            cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        yield LockedDatabase(conn, removal, guard, end_sessions, lock_timeout)


def _title(toc: Toc, statement: str) -> str:
    """The entry that a statement belongs to, or the beginning of the statement."""
    for entry in toc.entries:
        if statement in entry.definition:
            return entry.title
    return " ".join(statement.split()[:6])


def _lock_tables(
    conn: Connection,
    removal: Removal,
    mode: str,
    lock_timeout: float,
    end_sessions: t.Callable[[], None],
    marks: t.Tuple[str, str],
    also: t.Sequence[str],
) -> None:
    """Lock every table and the catalogs in also, or none: marks run before an attempt and after a failed one."""
    begin, undo = marks
    deadline, pause = time.monotonic() + lock_timeout, _FIRST_PAUSE
    while True:
        remaining = deadline - time.monotonic()
        try:
            with conn.cursor() as cursor:
                cursor.execute(begin)
                cursor.execute(f"SET LOCAL lock_timeout = '{max(1, int(min(_ATTEMPT, remaining) * 1000))}ms'")
                tables = fetch_all(conn, _TABLES, ([*removal.schemas],))
                names = [quote_identifier(*row) for row in (*tables, *removal.emptied)]
                if names:
                    cursor.execute(f"LOCK TABLE {', '.join(names)} IN {mode} MODE")
                if also:
                    # Readers of the catalog may continue: pg_dump, and psql which lists large objects.
                    cursor.execute(f"LOCK TABLE {', '.join(also)} IN EXCLUSIVE MODE")
                cursor.execute("SET LOCAL lock_timeout = 0")
            return
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            with conn.cursor() as cursor:
                cursor.execute(undo)
        if time.monotonic() + pause >= deadline:
            raise RecoveryError(
                ErrorKind.LOCKED,
                f"Other sessions held tables of the database for longer than lock_timeout, {lock_timeout:g} seconds.",
                left="The database is unchanged.",
                next_step="End these sessions, set terminate_sessions to true, or raise lock_timeout.",
            )
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        end_sessions()
