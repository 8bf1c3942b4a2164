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
from .confined import LoadLimits, confine
from .statements import shortened, split_statements, whole_statements


def load_files(path: str, folder: str, files: t.Iterable[str]) -> None:
    """Run the files into a new database, a statement at a time.

    Raises RecoveryError(damaged) for a statement that fails, or for statements that make far more than their text.
    """
    names = list(files)
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in names)
    with loading_text(path, size) as (connection, limits):
        for name in names:
            _load(connection, os.path.join(folder, name), name, limits)


@contextlib.contextmanager
def loading(path: str) -> t.Iterator[sqlite3.Connection]:
    """A new database that is filled quickly, in one transaction, and checks no foreign key until it is filled."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        confine(connection)
        with _quickly(connection):
            yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def loading_text(path: str, size: int) -> t.Iterator[t.Tuple[sqlite3.Connection, LoadLimits]]:
    """As loading, for statements of a store or a dump, whose text has so many bytes."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        limits = LoadLimits(connection, path, size)
        with _quickly(connection):
            limits.apply()
            yield connection, limits
    finally:
        connection.close()


@contextlib.contextmanager
def _quickly(connection: sqlite3.Connection) -> t.Iterator[None]:
    for quick in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF", "BEGIN"):
        connection.execute(quick)
    yield
    connection.execute("COMMIT")


def _load(connection: sqlite3.Connection, path: str, name: str, limits: LoadLimits) -> None:
    with open(path, encoding="utf-8", newline="") as stream:
        for text in whole_statements(stream):
            try:
                _execute(connection, text)
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                raise RecoveryError(
                    ErrorKind.DAMAGED,
                    f"{name} does not load: {limits.reached(error) or error} at {shortened(text)}",
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
