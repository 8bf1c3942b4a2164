# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A SQLite file as an engine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import typing as t

from ..._core.errors import Applied, ErrorKind, RecoveryError
from ..._repository.identity import Identity
from .confined import STATEMENT_SECONDS, confine
from .engine import Bound, Limits, StatementResult
from .exact import NotText, text_of
from .statements import bind_exactly, shortened

_BUSY_SECONDS = 30

#: SQLITE_BUSY and SQLITE_LOCKED, which the sqlite3 module names since Python 3.11.
_LOCKED = (5, 6)

#: The text of an error of a damaged schema may be no UTF-8.
_FAILURES = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeDecodeError)

#: It brought C(PRAGMA table_list) and strict tables.
_OLDEST = (3, 37, 0)


class FileEngine:
    """One connection to a file. With read_only the file is opened so that nothing can write to it."""

    limits = Limits()
    loses_bytes = False
    identity: t.Optional[Identity] = None

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.location = path
        self._seconds: float = STATEMENT_SECONDS
        require_sqlite()
        if read_only and not os.path.exists(path):
            raise RecoveryError(ErrorKind.TARGET_MISSING, f"There is no file {path}.", next_step="Check path.")
        try:
            self._connection = sqlite3.connect(
                _address(path, read_only),
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            # Bytes that are not UTF-8 must be returned unchanged; messages contain text of a damaged schema.
            self._connection.text_factory = text_of
            self._stopwatch = confine(self._connection)
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            self._connection.execute("PRAGMA foreign_keys = ON")
        except _FAILURES as error:
            raise RecoveryError(
                ErrorKind.UNREACHABLE,
                f"{path} cannot be opened: {_reason(error)}.",
                next_step="End the process that holds the file locked, or try again later."
                if "locked" in str(error)
                else "Check that it is a SQLite database and its rights.",
            ) from None

    def run(self, batch: t.Sequence[Bound]) -> t.List[StatementResult]:
        results: t.List[StatementResult] = []
        statement: t.Optional[Bound] = None
        try:
            self._connection.execute("BEGIN" if all(item.reads_only for item in batch) else "BEGIN IMMEDIATE")
            for statement in batch:
                results.append(self._one(statement))
            self._connection.execute("COMMIT")
        except _FAILURES as error:
            raise self._refused(error, statement) from None
        return results

    def apply(self, statements: t.Iterable[str], state: t.Optional[str] = None) -> None:
        """Run statements without results in one transaction. Raises as run.

        Raises RecoveryError(inconsistent) if the state has changed.
        """
        text = ""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if state is not None and self.state() != state:
                self._connection.execute("ROLLBACK")
                raise RecoveryError(
                    ErrorKind.INCONSISTENT, f"{self.location} was changed while it was read.", next_step="Run it again."
                )
            for text in statements:
                self._stopwatch.start(self._seconds)
                self._connection.execute(text)
            self._connection.execute("COMMIT")
        except _FAILURES as error:
            raise self._refused(error, Bound(text)) from None

    def snapshot(self, folder: str) -> FileEngine:
        path = os.path.join(folder, "snapshot.sqlite")
        try:
            self.copy_to(path)
        except sqlite3.Error as error:
            if "disk is full" in str(error):
                raise RecoveryError(
                    ErrorKind.SPOOL_FULL,
                    f"A copy of {self.location} does not fit into {folder}.",
                    next_step="Free disk space for temporary files, or set spool_dir to a larger file system.",
                ) from None
            raise RecoveryError(
                ErrorKind.QUERY_FAILED,
                f"{self.location} cannot be copied: {error}.",
                next_step="Check the file with PRAGMA integrity_check, and which process holds it locked.",
            ) from None
        copy = FileEngine(path, read_only=True)
        copy.location = self.location
        return copy

    def copy_to(self, path: str) -> None:
        """A consistent copy of the database as one file, without a log."""
        end = time.monotonic() + _BUSY_SECONDS

        def judge(status: int, _remaining: int, _total: int) -> None:
            # The sqlite3 module repeats a step of a locked file forever unless this function raises.
            if status in _LOCKED and time.monotonic() > end:
                raise sqlite3.OperationalError(f"another process held it locked for {_BUSY_SECONDS} seconds")

        with contextlib.closing(sqlite3.connect(path)) as other:
            self._connection.backup(other, progress=judge)
            other.execute("PRAGMA journal_mode = DELETE")

    def copy_from(self, path: str) -> None:
        """Become what such a copy holds."""
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.backup(self._connection)

    def judge_references(self, judged: bool) -> None:
        """Turn the check of foreign keys on or off. It must be off while tables are created again."""
        self._connection.execute(f"PRAGMA foreign_keys = {'ON' if judged else 'OFF'}")

    def limit_statements(self, seconds: float) -> None:
        """End each later statement that takes longer. 0 sets the limit of every connection."""
        self._seconds = seconds or STATEMENT_SECONDS

    def bookmark(self) -> t.Optional[str]:
        return None

    def state(self) -> str:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return f"{version} {self._connection.total_changes}"

    def close(self) -> None:
        self._connection.close()

    def _refused(self, error: Exception, statement: t.Optional[Bound]) -> RecoveryError:
        """Roll the transaction back, and return the error to raise."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        where = f" in line {statement.line} ({shortened(statement.text)})" if statement else ""
        details = {"line": statement.line if statement else None}
        if self._stopwatch.expired:
            return RecoveryError(
                ErrorKind.TIMEOUT,
                f"A statement{where} took longer than {self._stopwatch.seconds:.0f} seconds and was ended.",
                left="The batch that the statement is part of was rolled back.",
                next_step="Check whether a trigger or a view of the database has no end.",
                details=details,
                applied=Applied.NO,
            )
        return RecoveryError(
            ErrorKind.QUERY_FAILED,
            f"SQLite refused a statement{where}: {_reason(error)}.",
            left="The batch that it is of was rolled back.",
            next_step="Correct the SQL.",
            details=details,
            applied=Applied.NO,
        )

    def _one(self, statement: Bound) -> StatementResult:
        before = self._connection.total_changes
        text, params = statement.text, statement.params
        if any(isinstance(value, NotText) for value in params):
            # Bound, it would be a BLOB.
            text, params = bind_exactly(text, params)
        self._stopwatch.start(self._seconds)
        cursor = self._connection.execute(text, tuple(params))
        columns = tuple(item[0] for item in cursor.description or ())
        rows = [list(row) for row in cursor.fetchall()] if columns else []
        changes = self._connection.total_changes - before
        return StatementResult(columns, rows, changes, len(rows), changes, cursor.lastrowid)


def _reason(error: Exception) -> str:
    return "its schema holds names that are no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def require_sqlite() -> None:
    """Raise RecoveryError(library_missing) unless Python's SQLite is new enough to read schemas."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            f"Python has SQLite {sqlite3.sqlite_version} on this host, and 3.37 or newer is needed.",
            next_step="Run it on a host with a newer one; Debian 12 and Ubuntu 22.04 have it.",
        )


def _address(path: str, read_only: bool) -> str:
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{quoted}{'?mode=ro' if read_only else ''}"
