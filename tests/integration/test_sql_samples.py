# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL that others wrote is taken apart as SQLite does: every .sql file below the folder LIFELINE_SQL_SAMPLES names."""

from __future__ import annotations

import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.statements import (
    Completeness,
    split_statements,
)

_GIVEN = os.environ.get("LIFELINE_SQL_SAMPLES", "")
FOLDER = Path(_GIVEN)
FILES = sorted(FOLDER.rglob("*.sql")) if _GIVEN else []

pytestmark = pytest.mark.skipif(not FILES, reason="LIFELINE_SQL_SAMPLES names no folder with .sql files")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace").replace("\0", "")


def cut_by_sqlite(text: str) -> list[str]:
    """Pieces that end where a statement is complete by SQLite."""
    pieces, start = [], 0
    for at, char in enumerate(text):
        if char == ";" and sqlite3.complete_statement(text[start : at + 1]):
            pieces.append(text[start : at + 1])
            start = at + 1
    return [*pieces, text[start:]]


def bare(text: str) -> str:
    """A piece without what surrounds its statement: comments before it, and its semicolon."""
    return next((item.text for item in split_statements(text)), "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_statements_end_where_sqlite_ends_them(path: Path) -> None:
    text = read(path)
    try:
        ours = [item.text for item in split_statements(text)]
    except RecoveryError:
        # A quote without its end: SQLite does not see an end either.
        assert not sqlite3.complete_statement(text)
        return
    pieces = cut_by_sqlite(text)
    assert ours == [statement for statement in map(bare, pieces) if statement]
    # Nothing of the file is lost: what is no statement is space, comments and semicolons.
    left = text
    for statement in ours:
        before, found, left = left.partition(statement)
        assert found
        assert not list(split_statements(before))
    assert not list(split_statements(left))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_beginning_of_a_file_is_complete_where_sqlite_agrees(path: Path) -> None:
    text = read(path)
    ends = [at for at, char in enumerate(text) if char in ";\n"]
    for at in {*ends[:: max(1, len(ends) // 200)], len(text)}:
        for end in (at, at + 1):
            seen = Completeness()
            seen.feed(text[:end])
            assert seen.is_complete is sqlite3.complete_statement(text[:end]), text[:end][-80:]


def outcome(
    state: sqlite3.Connection, work: t.Callable[[sqlite3.Connection], object]
) -> tuple[sqlite3.Connection, str]:
    """A copy of a database after some work, and the error of it."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    state.backup(copy)
    try:
        work(copy)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return copy, str(error)
    return copy, ""


def shape(state: sqlite3.Connection) -> tuple[list[t.Any], dict[str, int]]:
    """The schema, and how many rows are in each table."""
    schema = state.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
    names = [name for kind, name, *_rest in schema if kind == "table"]
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    return schema, {name: state.execute(f"SELECT count(*) FROM {quoted[name]}").fetchone()[0] for name in names}


def a_statement_at_a_time(state: sqlite3.Connection, text: str) -> None:
    for statement in split_statements(text):
        state.execute(statement.text)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES}), ids=lambda item: str(item.relative_to(FOLDER))
)
def test_a_statement_at_a_time_does_what_the_whole_file_does(folder: Path) -> None:
    # Files of one folder follow upon each other, as migrations do.
    state = sqlite3.connect(":memory:", isolation_level=None)
    for path in sorted(folder.glob("*.sql")):
        text = read(path)
        try:
            list(split_statements(text))
        except RecoveryError:
            continue
        complete, said = outcome(state, lambda copy, text=text: copy.executescript(text))
        apart, said_too = outcome(state, lambda copy, text=text: a_statement_at_a_time(copy, text))
        assert (said_too, shape(apart)) == (said, shape(complete)), path.name
        state = complete
