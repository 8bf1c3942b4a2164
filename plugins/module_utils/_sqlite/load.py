# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads dumps into a file of SQLite, to prove them and to restore from."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .statements import shortened, split_statements


def load_files(path: str, folder: str, files: t.Iterable[str]) -> None:
    """Run the files into a new database, a statement at a time. Raises RecoveryError(damaged) for what fails."""
    with loading(path) as connection:
        for name in files:
            _load(connection, os.path.join(folder, name), name)


@contextlib.contextmanager
def loading(path: str) -> t.Iterator[sqlite3.Connection]:
    """A new database that is filled quickly, in one transaction, and checks no foreign key until it is filled."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        _keep_to_own_file(connection)
        for quick in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF", "BEGIN"):
            connection.execute(quick)
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def _keep_to_own_file(connection: sqlite3.Connection) -> None:
    """Refuse ATTACH and VACUUM INTO: the statements come from a store or a dump, and would write files anywhere."""
    if hasattr(connection, "setlimit"):
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    else:
        # Python before 3.11. The authorizer is asked for every statement, which is slower.
        connection.set_authorizer(
            lambda action, *_rest: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
        )


def _load(connection: sqlite3.Connection, path: str, name: str) -> None:
    with open(path, encoding="utf-8", newline="") as stream:
        for text in whole_statements(stream):
            try:
                _execute(connection, text)
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                raise RecoveryError(
                    ErrorKind.DAMAGED,
                    f"{name} does not load: {error} at {shortened(text)}",
                    next_step="Use another set or dump.",
                ) from None


def _execute(connection: sqlite3.Connection, text: str) -> None:
    """Run a line, which nearly always is one statement; SQLite refuses several at once before it runs any."""
    try:
        connection.execute(text)
    except (sqlite3.Warning, sqlite3.ProgrammingError) as error:
        if "one statement at a time" not in str(error):
            raise
        for statement in split_statements(text):
            connection.execute(statement.text)


def whole_statements(stream: t.Iterable[str]) -> t.Iterator[str]:
    """Lines, joined until a statement is complete: a text may hold ends of lines."""
    held: t.List[str] = []
    for line in stream:
        held.append(line)
        # SQLite takes no NUL, and where a statement ends does not depend on it.
        if line.rstrip().endswith(";") and sqlite3.complete_statement("".join(held).replace("\0", " ")):
            yield "".join(held)
            held = []
    if held:
        yield "".join(held)
