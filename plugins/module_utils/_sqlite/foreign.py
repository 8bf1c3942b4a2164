# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps of other tools, mended where they are known to break: of D1's export, and of the shell of SQLite.

What was seen of D1's export: https://github.com/cloudflare/workers-sdk/issues/5683 (rows before the tables that they
refer to), bare words for infinities. Here nothing depends on the order, because references are judged after all is in.
"""

from __future__ import annotations

import os
import re
import sqlite3
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .backup import OpenedSet, opened_file
from .load import loading, whole_statements
from .statements import Statement, shortened, split_statements, tokens

_WORDS = {"infinity": "9.0e+999", "inf": "9.0e+999"}
_COUNTER = re.compile(r"(DELETE\s+FROM|INSERT\s+INTO)\s+[\"'`\[]?sqlite_sequence\b", re.IGNORECASE)


def open_dump(path: str, folder: str) -> OpenedSet:
    """Load a text of SQL into a file of the folder.

    Raises RecoveryError: invalid_options for what cannot be read, damaged for a dump that is cut off, does not load,
    or breaks its own references.
    """
    target = os.path.join(folder, "loaded.sqlite")
    with loading(target) as connection:
        begun = 0
        for statement in _statements(path):
            if statement.kind == "transaction":
                begun += 1 if statement.word == "BEGIN" else -1
                continue
            _run(connection, statement, path)
        if begun > 0:
            raise _damaged(path, "it has a BEGIN without COMMIT, so it is cut off")
    _require_sound(target, path)
    return opened_file(target)


def _statements(path: str) -> t.Iterator[Statement]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            for text in whole_statements(stream):
                yield from split_statements(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"{path} cannot be read ({error.strerror if isinstance(error, OSError) else 'it is no UTF-8'}).",
            next_step="Check src.",
        ) from None
    except RecoveryError as error:
        raise _damaged(path, error.what) from None


def _run(connection: sqlite3.Connection, statement: Statement, path: str) -> None:
    try:
        connection.execute(statement.text)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if _COUNTER.match(statement.text) and "no such table" in str(error):
            # There is no counter without a table that counts.
            return
        mended = _with_numbers(statement.text)
        if mended == statement.text:
            raise _damaged(path, f"{error} at {shortened(statement.text)}") from None
        try:
            connection.execute(mended)
        except sqlite3.Error:
            raise _damaged(path, f"{error} at {shortened(statement.text)}") from None


def _with_numbers(text: str) -> str:
    """Infinities, which D1's export writes as words."""
    return "".join(
        _WORDS.get(token.text.lower(), token.text) if token.kind == "word" else token.text for token in tokens(text)
    )


def _require_sound(target: str, path: str) -> None:
    connection = sqlite3.connect(target)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(1)
    finally:
        connection.close()
    if verdict != "ok":
        raise _damaged(path, f"what it makes is not sound ({verdict})")
    if broken:
        raise _damaged(path, f"rows of {broken[0][0]} refer to rows of {broken[0][2]} that it does not hold")


def _damaged(path: str, why: str) -> RecoveryError:
    return RecoveryError(ErrorKind.DAMAGED, f"The dump {path} does not load: {why}.", next_step="Use another dump.")
