# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts about a dump: its tables, its end, and statements that D1 would not import."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.dump_facts import DumpFacts
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.foreign import open_dump, read_dump


def facts_of(tmp_path: Path, text: str) -> DumpFacts:
    path = tmp_path / "dump.sql"
    path.write_text(text)
    facts = DumpFacts()
    for statement in read_dump(str(path)):
        facts.see(statement)
    return facts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE TABLE t (x);\nINSERT INTO t VALUES (1);\n", None),
        ("CREATE TABLE t (x);\n-- the end\n", None),
        ("BEGIN TRANSACTION;\nCREATE TABLE t (x);\nCOMMIT;\n", None),
        ("BEGIN;\nCREATE TABLE t (x);\nEND;", None),
        ("SAVEPOINT a;\nCREATE TABLE t (x);\nRELEASE a;\n", None),
        ("", "no statement"),
        ("-- nothing\n\n", "no statement"),
        ("CREATE TABLE t (x);\nINSERT INTO t VALUES (1)\n", "begins in line 2"),
        ("CREATE TABLE t (x);\nCREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1;\n", "begins in line 2"),
        ("BEGIN TRANSACTION;\nCREATE TABLE t (x);\n", "without COMMIT"),
        ("BEGIN TRANSACTION;\nCREATE TABLE t (x);\nROLLBACK; -- due to errors\n", "ROLLBACK"),
    ],
)
def test_truncated_dump_is_detected(tmp_path: Path, text: str, message: str | None) -> None:
    found = facts_of(tmp_path, text).cut_off
    assert (message is None) is (found is None), found
    assert message is None or message in str(found)


def test_tables_are_counted_whatever_their_names_are_written_in(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        'CREATE TABLE "a ""b""" (x);\nCREATE TABLE IF NOT EXISTS [c d] (x);\ncreate table main.`e`(x);\n'
        "CREATE TABLE f(x);\nCREATE VIRTUAL TABLE g USING fts5(x);\nCREATE INDEX h ON f(x);\n"
        "INSERT INTO f VALUES ('\nCREATE TABLE no (x);\n');\n",
    )
    assert (facts.plain_tables, facts.tables) == (4, {'a "b"', "c d", "e", "f", "g"})


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        (
            'CREATE TABLE c (p REFERENCES "P"(id));\nINSERT INTO c VALUES (1);\nINSERT INTO c VALUES (1);\n'
            "CREATE TABLE p (id PRIMARY KEY);\n",
            "rows of c before its table p",
            2,
        ),
        (f"CREATE TABLE t (x);\nINSERT INTO t VALUES ('{'a' * 100_000}');\n", "more than 100000 bytes", 2),
        (f"CREATE TABLE t (x);\nINSERT INTO t VALUES ('{'é' * 60_000}');\n", "more than 100000 bytes", 2),
        ("CREATE TABLE t (x);\n\nINSERT INTO t VALUES (-Infinity);\n", "infinity", 3),
        ("CREATE TABLE t (x);\nINSERT INTO t VALUES ('a\0b');\n", "NUL", 2),
        ("CREATE TABLE t (x);\nDELETE FROM sqlite_sequence;\n", "counters", 2),
        ("BEGIN;\nCREATE TABLE t (x);\nROLLBACK;\n", "transaction", 1),
    ],
)
def test_statement_that_d1_refuses_is_reported_with_its_line(
    tmp_path: Path, text: str, problem: str, line: int
) -> None:
    facts = facts_of(tmp_path, text)
    assert problem in facts.notes[0].problem
    assert facts.notes[0].line == line


def test_statements_that_d1_imports_are_accepted(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        "PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE p (id INTEGER PRIMARY KEY AUTOINCREMENT, p REFERENCES p(id));\n"
        "INSERT INTO p VALUES (1, 1);\nCREATE TABLE c (x REFERENCES p(id), y REFERENCES later(id));\n"
        "CREATE TABLE later (id PRIMARY KEY);\nINSERT INTO c VALUES ('Infinity; of inf', NULL);\n"
        "DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES ('p', 1);\n",
    )
    assert facts.problems == {}


def test_a_text_with_nul_comes_back_whole(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE TABLE t (x, y);\nINSERT INTO t VALUES ('it''s\0;\n''', 'plain');\n")
    opened = open_dump(str(dump), str(tmp_path))
    loaded = sqlite3.connect(opened.path)
    assert loaded.execute("SELECT CAST(x AS BLOB), typeof(x), y FROM t").fetchall() == [
        (b"it's\0;\n'", "text", "plain")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ATTACH '{folder}/other.sqlite' AS other;\nCREATE TABLE other.t (x);\n", "no place"),
        ("BEGIN;\nCREATE TABLE t (x);\nROLLBACK; -- due to errors\n", "ROLLBACK"),
        ("CREATE TABLE t (x);\n\nINSERT INTO t VALUES ('cut", "in line 3"),
    ],
)
def test_a_dump_that_reaches_beyond_itself_or_gave_up_is_refused(tmp_path: Path, text: str, message: str) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text(text.format(folder=tmp_path))
    with pytest.raises(RecoveryError, match=message) as caught:
        open_dump(str(dump), str(tmp_path))
    assert caught.value.kind == ErrorKind.DAMAGED
    assert not (tmp_path / "other.sqlite").exists()
