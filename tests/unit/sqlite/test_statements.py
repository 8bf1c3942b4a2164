# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements are separated as SQLite does it."""

from __future__ import annotations

import io
import sqlite3
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.statements import (
    Completeness,
    bind_exactly,
    complete_statements,
    split_statements,
)

PIECES = [
    "select", "CREATE", "trigger", "temp", "TEMPORARY", "end", "explain", "begin", ";", "; end;", "'a;'", "'", '"', "[",
    "]", "`", "--", "\n", " ", "/*", "*/", "/", "-", "x", "?1", ":a", "@create", "$a", "1end", "end1", "\u00e9", "\t",
    "(", ")", "case", "when", "#", ":", "?", "\v",
]  # fmt: skip


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", "\n"])), max_size=16))
@example([("explain", " "), ("@create", " "), ("trigger", " "), (";", "")])
def test_the_end_of_a_statement_is_where_sqlite_sees_it(pieces: list[tuple[str, str]]) -> None:
    text = "".join(piece + space for piece, space in pieces)
    for lines in ([text], text.splitlines(keepends=True)):
        seen = Completeness()
        for line in lines:
            seen.feed(line)
        assert seen.is_complete is bool(sqlite3.complete_statement(text))


COMPLETE = [
    "CREATE TABLE t (a, b DEFAULT ';')",
    "INSERT INTO t VALUES ('it''s; -- no comment', 1)",
    'SELECT "a;b" FROM t -- why; not\n WHERE a = 1',
    "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; UPDATE t SET a = ';'; END",
    "CREATE TEMP TRIGGER y BEFORE DELETE ON t BEGIN SELECT 1; END",
    "/* ; */ DELETE FROM t",
    "WITH q AS (SELECT 1) SELECT * FROM q",
]


@given(st.lists(st.sampled_from(COMPLETE), max_size=6), st.sampled_from([";", ";\n", " ;; \n", ";--x\n"]))
def test_joined_statements_are_split_again(statements: list[str], between: str) -> None:
    found = [item.text for item in split_statements(between.join(statements))]
    assert found == [item.removeprefix("/* ; */ ") for item in statements]


@pytest.mark.parametrize("line", ["  border-radius: 4px;\n", "it''s;\n", "; -- x;\n", ";\r"])
def test_the_time_to_find_ends_grows_as_the_text_does(line: str) -> None:
    value = line * (2_000_000 // len(line))
    text = f"INSERT INTO t VALUES('{value}');\nSELECT 1;\n"
    began = time.process_time()
    found = list(complete_statements(io.StringIO(text, newline="")))
    assert time.process_time() - began < 10
    assert [len(item) for item in found] == [len(text) - 10, 10]


def test_each_statement_knows_its_line() -> None:
    assert [item.line for item in split_statements("\n-- a\nSELECT 1;\n\nSELECT\n2; SELECT 3")] == [3, 5, 6]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT delete FROM t", "read"),
        ("values (1)", "read"),
        ("WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x FROM a) SELECT * FROM a", "read"),
        ("WITH a AS (SELECT 1), b AS (SELECT (2)) INSERT INTO t SELECT * FROM a", "write"),
        ("WITH a AS (DELETE) UPDATE t SET x = 1", "write"),
        ("REPLACE INTO t VALUES (1)", "write"),
        ("EXPLAIN DELETE FROM t", "read"),
        ("EXPLAIN QUERY PLAN INSERT INTO t VALUES (1)", "read"),
        ("PRAGMA table_info(t)", "read"),
        ("PRAGMA main.table_info('t')", "read"),
        ("PRAGMA foreign_keys", "read"),
        ("PRAGMA foreign_keys = 0", "pragma"),
        ("PRAGMA foreign_keys(0)", "pragma"),
        ("PRAGMA optimize", "pragma"),
        ("PRAGMA main.wal_checkpoint", "pragma"),
        ("PRAGMA writable_schema=1", "pragma"),
        ("ALTER TABLE t ADD COLUMN x", "schema"),
        ("VACUUM", "schema"),
        ("ATTACH 'x' AS y", "schema"),
        ("begin immediate", "transaction"),
        ("END TRANSACTION", "transaction"),
        ("nonsense", "schema"),
    ],
)
def test_kind_of_a_statement(sql: str, kind: str) -> None:
    (statement,) = split_statements(sql)
    assert statement.kind == kind


@pytest.mark.parametrize("sql", ["SELECT 'a", 'SELECT "a', "SELECT [a", "SELECT `a", "SELECT 1; /* a"])
def test_truncated_statement_is_refused(sql: str) -> None:
    with pytest.raises(RecoveryError, match="has no end"):
        list(split_statements(sql))


def test_parameters_are_bound_so_that_json_does_not_round_them() -> None:
    assert bind_exactly("SELECT ?, '?', ?", [2**60, "a"]) == (
        "SELECT +CAST(? AS INTEGER), '?', ?",
        ["1152921504606846976", "a"],
    )
    assert bind_exactly("SELECT ?2, ?1, ?", [1.5, True, None]) == ("SELECT +CAST(? AS INTEGER), ?, ?", ["1", 1.5, None])
    assert bind_exactly("SELECT ?, ?", [b"\x00\xff", float("-inf")]) == ("SELECT x'00ff', -9.0e+999", [])
    for sql, params in (("SELECT ?", []), ("SELECT 1", [1]), ("SELECT :a", [1]), ("SELECT ?3", [1])):
        with pytest.raises(RecoveryError):
            bind_exactly(sql, params)
