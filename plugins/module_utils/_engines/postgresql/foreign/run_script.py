# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the statements of a script over one connection of libpq, without psql.

psql reads a script as a program: psql runs shell commands, opens files and connects to other databases. libpq has no
such commands, so a script cannot reach them, whatever the script holds.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ..archive.object_errors import ObjectFailure
from ..server.connection import Connection, ConnectionOptions, connection_error, stall_keywords
from ..server.driver import psycopg2
from ..server.landing import CopySource
from ..server.pooler import PostgresConnection
from ..server.refusals import NO_LOCK, NO_MEMORY, NO_RIGHT, NO_ROLE, query_error, server_message
from ..server.stall import supervise
from .script import GuardedScript
from .script_failures import Refused, script_refused
from .script_lexer import Statement
from .script_rules import is_safe_encoding

#: The session is that of psql: what a script does not set has the default of the server, the database and the role.
#: More memory makes index builds faster. A load that is cut off is dropped as a whole, so commits need not be durable.
_SESSION = (
    "SET standard_conforming_strings = on",
    "SET maintenance_work_mem = '256MB'",
    "SET synchronous_commit = off",
    "SET jit = off",
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
)
#: So many refused statements end a run that collects them; so many bytes of a statement are kept.
_MOST, _LONGEST = 200, 2000

_TRANSACTION_KEYWORDS = frozenset(["BEGIN", "START", "COMMIT", "END"])
#: INSERTs of rows travel together up to this many bytes. Measured with 300,000 rows: 20 s, and 150 s with psql.
_BATCH_BYTES = 64 * 1024


def load_script(
    options: ConnectionOptions, script: GuardedScript, *, one_transaction: bool = False, report: bool = False
) -> t.Tuple[ObjectFailure, ...]:
    """Run every statement of the script; returns the refused statements if report is true, else these fail the run.

    one_transaction: everything is committed at the end, or nothing, and the first refused statement ends the run.
    Otherwise the rest of the script is tried as well, without rows unless report is true, so that the error names
    everything that PostgreSQL refuses.
    Raises RecoveryError(restore_failed, roles_missing, locked, access_denied, unsafe_dump, damaged), with the line.
    """
    with contextlib.closing(plain_session(options, "lifeline.recovery restore")) as conn:
        run = _Run(conn, script, one_transaction=one_transaction, report=report)
        interruptible(conn, run.complete)
    return tuple(one.failure for one in run.refused)


def run_statements(conn: Connection, script: GuardedScript) -> None:
    """Run every statement of the script within the transaction of the caller. Raises as load_script."""
    interruptible(conn, _Run(conn, script, one_transaction=True).run)


def plain_session(options: ConnectionOptions, application: str) -> Connection:
    """A session without the fixed settings of our own queries, which would change what a script means."""
    keywords = {**stall_keywords(options), "application_name": application, "client_encoding": "UTF8"}
    try:
        opened = psycopg2.connect(**keywords, connection_factory=PostgresConnection)
    except psycopg2.OperationalError as error:
        raise connection_error(options, str(error)) from None
    opened.autocommit = True
    supervise(opened, keywords, options.place, options.stall_timeout)
    if opened.info.parameter_status("server_encoding") == "SQL_ASCII":
        opened.set_client_encoding("SQL_ASCII")
    return opened


class _Run:
    def __init__(self, conn: Connection, script: GuardedScript, *, one_transaction: bool, report: bool = False) -> None:
        self._conn, self._script, self._one_transaction = conn, script, one_transaction
        self._report = report
        self.refused: t.List[Refused] = []
        self._cursor = conn.cursor()
        self._rows: t.List[bytes] = []
        self._rows_size, self._rows_line = 0, 0

    def complete(self) -> None:
        for sql in [*_SESSION, *(["BEGIN"] if self._one_transaction else [])]:
            self._execute(sql.encode("utf-8", "surrogateescape"), "a statement that prepares the database")
        self.run()
        if self._one_transaction:
            self._execute(b"COMMIT", "the end of the transaction")
        if self.refused and not self._report:
            raise script_refused(self.refused, self._script.facts.tables)

    def run(self) -> None:
        for statement in self._script:
            if (statement.row or statement.takes_rows) and self._without_rows:
                continue
            if statement.row:
                self._keep_row(statement)
                continue
            self._send_rows()
            self._statement(statement)
        self._send_rows()

    def _statement(self, statement: Statement) -> None:
        if self._one_transaction and statement.tokens[0] in _TRANSACTION_KEYWORDS:
            return
        where = f"line {statement.line}, {statement.title}"
        if statement.takes_rows:
            self._copy(statement, where)
        else:
            self._execute(statement.text, where)
        self._check_reading(where)

    def _keep_row(self, statement: Statement) -> None:
        if not self._rows:
            self._rows_line = statement.line
        self._rows.append(statement.text)
        self._rows_size += len(statement.text)
        if self._rows_size >= _BATCH_BYTES:
            self._send_rows()

    def _send_rows(self) -> None:
        if self._rows:
            rows, self._rows, self._rows_size = self._rows, [], 0
            behind = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            self._execute(b";\n".join(rows), f"line {self._rows_line}, INSERT INTO{behind}")

    def _execute(self, sql: bytes, where: str) -> None:
        try:
            self._cursor.execute(sql)
        except psycopg2.Error as error:
            self._note(where, error, sql)

    def _copy(self, statement: Statement, where: str) -> None:
        blocks = self._script.rows()
        rows = CopySource(blocks)
        try:
            self._cursor.copy_expert(statement.text, rows)
        except psycopg2.Error as error:
            if rows.failure is not None:
                raise rows.failure from None
            self._note(where, error, statement.text)
            # The server may refuse a COPY before it reads a row.
            for _block in blocks:
                pass

    def _note(self, where: str, error: t.Any, sql: bytes) -> None:
        """Keep the refusal and continue, where the statements that follow can still run."""
        refusal = _refused(where, error)
        usable = (
            not self._conn.closed and self._conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        )
        if self._one_transaction or error.pgcode is None or not usable or len(self.refused) >= _MOST:
            raise refusal from None
        self.refused.append(
            Refused(where, refusal, server_message(error), sql[:_LONGEST].decode("utf-8", "replace").strip())
        )

    @property
    def _without_rows(self) -> bool:
        """A restore that fails in any case needs no rows to find what else is refused."""
        return bool(self.refused) and not self._report

    def _check_reading(self, where: str) -> None:
        """The server must read text as the scanner does; a function may change that unseen."""
        encoding = self._conn.get_parameter_status("client_encoding") or ""
        strings = self._conn.get_parameter_status("standard_conforming_strings")
        if not is_safe_encoding(encoding) or (strings == "off") != self._script.backslash_quotes:
            raise RecoveryError(
                ErrorKind.UNSAFE_DUMP,
                f"The dump is refused: {where}: it changes how the server reads text, unseen by the inspection.",
                left="",
                next_step="Create the dump again with pg_dump.",
            )


def interruptible(conn: Connection, work: t.Callable[[], None]) -> None:
    """Run work in a thread, because a statement in libpq keeps the main thread from seeing Ctrl-C."""
    failures: t.List[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        conn.cancel()
        raise
    if failures:
        raise failures[0]


def _refused(where: str, error: Exception) -> RecoveryError:
    return query_error(
        error,
        "",
        subject=where,
        kind=ErrorKind.RESTORE_FAILED,
        next_step="Correct the cause that PostgreSQL reports, then run the restore again.",
        steps={
            NO_ROLE: "Create the role, then run the restore again.",
            NO_LOCK: "End the sessions that hold the tables, then run the restore again.",
            NO_RIGHT: "Connect as a role that may create these objects, or set owner to false.",
            NO_MEMORY: "Raise max_locks_per_transaction of the server, then run the restore again.",
        },
        hint=True,
    )
