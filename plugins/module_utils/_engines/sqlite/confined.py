# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to SQLite whose statements or whose file come from a store, a dump or an application.

PRAGMA trusted_schema stays on: with it off, SQLite refuses the triggers that keep a full-text index and checks that
call json_valid(). This process defines no functions that a schema could call.
https://www.sqlite.org/security.html
"""

from __future__ import annotations

import os
import sqlite3
import time
import typing as t

from ..._core.sizes import readable_size
from .statements import READING_PRAGMAS

#: Seconds after which a statement counts as endless. The index of a large table takes minutes.
STATEMENT_SECONDS = 3600

#: A text has this time to load, and more for each of its bytes.
_LOAD_SECONDS, _LOAD_BYTES_PER_SECOND = 60, 50_000

#: A text makes a file of this size at most. Each byte of a row may be part of many indexes.
_LOADED_BYTES, _LOADED_FACTOR = 64 * 1024**2, 32

#: The longest value that a small text may make, in bytes; a long text may hold a value of its own length.
_LONGEST_VALUE = 1_000_000

_PAGE = 4096
_INSTRUCTIONS = 20_000

#: fts3_tokenizer() takes the address of code as a blob and runs that code, and Debian's SQLite leaves the function on.
_FUNCTIONS = frozenset(["fts3_tokenizer", "load_extension"])

#: Pragmas of dumps that change what is loaded. SQLite's shell writes writable_schema for virtual tables.
_CONTENT_PRAGMAS = frozenset(["user_version", "application_id", "encoding", "writable_schema"])

#: SQLITE_FUNCTION of the authorizer, which the sqlite3 module names since Python 3.11.
_FUNCTION = 31


class Stopwatch:
    """Ends a statement of a connection when its time is over."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._end = float("inf")
        self.seconds = 0.0
        self.expired = False
        connection.set_progress_handler(self._is_over, _INSTRUCTIONS)

    def start(self, seconds: float) -> None:
        self.seconds, self.expired = seconds, False
        self._end = time.monotonic() + seconds

    def _is_over(self) -> bool:
        self.expired = time.monotonic() > self._end
        return self.expired


def confine(connection: sqlite3.Connection) -> Stopwatch:
    """Keep statements of a connection from code by address, other files and pages that are no B-tree."""
    connection.execute("PRAGMA cell_size_check = ON")
    connection.set_authorizer(_judged)
    return Stopwatch(connection)


class LoadLimits:
    """Confines a new, empty file that is filled from a text of so many bytes; bounds its time and its size as well."""

    def __init__(self, connection: sqlite3.Connection, path: str, size: int) -> None:
        self._path = path
        self._largest = _LOADED_BYTES + _LOADED_FACTOR * size
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute(f"PRAGMA max_page_count = {self._largest // _PAGE}")
        if hasattr(connection, "setlimit"):
            # Python 3.11
            longest = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(longest, max(_LONGEST_VALUE, size)))
        self._connection, self._seconds = connection, _LOAD_SECONDS + size / _LOAD_BYTES_PER_SECOND
        self._stopwatch = confine(connection)
        self._ignored = False

    def apply(self) -> None:
        """From now on statements are those of the text."""
        self._connection.set_authorizer(_judged_load)
        self._stopwatch.start(self._seconds)

    def ignore_checks(self, ignored: bool) -> None:
        """Whether rows may break a CHECK, which D1 takes with C(PRAGMA ignore_check_constraints)."""
        if ignored is not self._ignored:
            self._ignored = ignored
            self._connection.set_authorizer(_judged)
            self._connection.execute(f"PRAGMA ignore_check_constraints = {'ON' if ignored else 'OFF'}")
            self._connection.set_authorizer(_judged_load)

    def reached(self, error: Exception) -> t.Optional[str]:
        """The limit that ended a statement, for messages; None when SQLite refused the statement."""
        if self._stopwatch.expired:
            return f"its statements take longer than {self._stopwatch.seconds:.0f} seconds"
        # A full disk gives the same error. Pages that are not written yet are a small part of the file.
        if "disk is full" in str(error) and os.path.getsize(self._path) > 0.75 * self._largest:
            return f"its statements make a file of more than {readable_size(self._largest)}"
        return None


def _judged(action: int, first: t.Optional[str], second: t.Optional[str], *_place: t.Any) -> int:
    forbidden = action == sqlite3.SQLITE_ATTACH or (action == _FUNCTION and str(second).lower() in _FUNCTIONS)
    return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK


def _judged_load(action: int, first: t.Optional[str], second: t.Optional[str], *_place: t.Any) -> int:
    if action != sqlite3.SQLITE_PRAGMA or second is None:
        return _judged(action, first, second)
    name = str(first).lower()
    # An ignored pragma does nothing: a dump may set how its own connection works.
    return sqlite3.SQLITE_OK if name in _CONTENT_PRAGMAS or name in READING_PRAGMAS else sqlite3.SQLITE_IGNORE
