# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No difference between two databases of SQLite goes unnoticed, and a dump that is loaded shows none."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.engine import Bound
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.load import load_files
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.opened import OpenedSet, opened_file
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.schema import read_schema
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.script import (
    content_of,
    different_tables,
    write_dump,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.structure import structure_differences

#: Values that are alike in one way or another, as SQL, beside random ones.
ALIKE = [
    *("NULL", "''", "x''", "0", "0.0", "-0.0", "'0'", "x'30'", "1", "1.0", "'1'", "x'31'", "'1.0'", "'01'"),
    *("9223372036854775807", "-9223372036854775808", "9.2233720368547758e18", "9007199254740993", "9007199254740992.0"),
    *("9e999", "-9e999", "'Inf'", "5e-324", "2.2250738585072014e-308", "0.1", "0.30000000000000004", "0.3"),
    *("'a'", "'A'", "'a '", "'\u00e4'", "'a\u0308'", "CAST(x'6100' AS TEXT)", "CAST(x'610062' AS TEXT)"),
    *("CAST(x'ff' AS TEXT)", "x'ff'", "CAST(x'c3' AS TEXT)", "CAST(x'eda080' AS TEXT)", "'\ufffd'"),
]
VALUES = st.one_of(
    st.sampled_from(ALIKE),
    st.integers(-(2**63), 2**63 - 1).map(str).filter(lambda text: text != "-9223372036854775808"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.binary(max_size=6).map(lambda data: f"x'{data.hex()}'"),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6).map(
        lambda text: "'" + text.replace("'", "''") + "'"
    ),
)
TABLES = [
    "CREATE TABLE t(a, b, c)",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b REAL, c NUMERIC)",
    "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, b INTEGER, c BLOB)",
    "CREATE TABLE t(a ANY, b ANY, c ANY) STRICT",
    "CREATE TABLE t(k TEXT COLLATE NOCASE, a, b, c)",
    "CREATE TABLE t(k ANY PRIMARY KEY, a ANY, b ANY, c ANY) STRICT, WITHOUT ROWID",
    "CREATE TABLE t(k PRIMARY KEY, a, b COLLATE RTRIM, c) WITHOUT ROWID",
    "CREATE TABLE t(a, k, b, c, PRIMARY KEY(k, a)) WITHOUT ROWID",
    "CREATE TABLE t(a COLLATE RTRIM, k TEXT COLLATE NOCASE, b, c, PRIMARY KEY(k DESC, a)) WITHOUT ROWID",
    "CREATE TABLE t(k TEXT COLLATE NOCASE, a, b, c, PRIMARY KEY(k COLLATE BINARY DESC)) WITHOUT ROWID",
]
MUTATIONS = ["exchange", "rotate", "change", "drop", "add", "renumber"]


@contextlib.contextmanager
def database(*statements: str) -> t.Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lifeline-property-") as folder:
        path = Path(folder) / "here.sqlite"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
        yield path


def fill(path: Path, table: str, rows: list[list[str]]) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(table)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(t)") if row[1] != "id"]
        for row in rows:
            values = ", ".join(row[: len(columns)])
            with contextlib.suppress(sqlite3.IntegrityError):
                connection.execute(f"INSERT INTO t({', '.join(columns)}) VALUES({values})")


def seen(path: Path) -> list[t.Any]:
    """Every fact that SQLite itself reports about the rows, read in another way than the collection reads it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        columns = [row[1].decode() for row in connection.execute("PRAGMA table_info(t)")]
        rowid = (
            [] if b"WITHOUT ROWID" in connection.execute("SELECT sql FROM sqlite_schema").fetchone()[0] else ["rowid"]
        )
        names = ", ".join(f"typeof({name}), {name}" for name in [*rowid, *columns])
        return sorted(map(repr, connection.execute(f"SELECT {names} FROM t")))


def mutate(path: Path, mutation: str, value: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection,
        contextlib.suppress(sqlite3.Error),
    ):
        if mutation == "drop":
            connection.execute("DELETE FROM t WHERE (a IS NULL) = (SELECT a IS NULL FROM t LIMIT 1)")
        elif mutation == "add":
            connection.execute("INSERT INTO t SELECT * FROM (SELECT * FROM t LIMIT 1)")
        elif mutation == "change":
            connection.execute(f"UPDATE t SET b = {value}")
        elif mutation == "renumber":
            connection.execute("UPDATE t SET rowid = rowid + 100")
        elif mutation == "exchange":
            connection.execute("UPDATE t SET a = b, b = a")
        else:
            first, last = connection.execute("SELECT min(rowid), max(rowid) FROM t").fetchone()
            connection.execute(
                "UPDATE t SET b = (SELECT o.b FROM t AS o WHERE o.rowid = ? + ? - t.rowid) WHERE rowid IN (?, ?)",
                (first, last, first, last),
            )


def differences(one: OpenedSet, other: OpenedSet) -> list[str]:
    return [*different_tables(one.content, other.content), *structure_differences(one.structure, other.structure)]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TABLES),
    st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=6),
    st.sampled_from(MUTATIONS),
    VALUES,
)
def test_no_difference_of_rows_goes_unnoticed(table: str, rows: list[list[str]], mutation: str, value: str) -> None:
    with database() as path:
        fill(path, table, rows)
        before, rows_before = opened_file(str(path)), seen(path)
        mutate(path, mutation, value)
        assert bool(different_tables(before.content, opened_file(str(path)).content)) == (seen(path) != rows_before)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TABLES), st.lists(st.lists(VALUES, min_size=4, max_size=4), max_size=8))
# SQLite before 3.43 reads the shortest digits of this number as another number.
@example("CREATE TABLE t(a, b, c)", [["NULL", "NULL", "6.14267019065948609e-298", "-6.14267019065948609e-298"]])
def test_a_dump_that_is_loaded_shows_no_difference(table: str, rows: list[list[str]]) -> None:
    with database() as path:
        fill(path, table, rows)
        assert differences(opened_file(str(path)), dumped_and_loaded(path)) == []
        assert seen(path) == seen(path.parent / "loaded.sqlite")


def dumped_and_loaded(path: Path) -> OpenedSet:
    engine = FileEngine(str(path), read_only=True)
    try:
        dump = write_dump(engine, read_schema(engine), str(path.parent), lambda _rows: None)
    finally:
        engine.close()
    loaded = path.parent / "loaded.sqlite"
    load_files(str(loaded), str(path.parent), dump.files, dump.stand_ins, judged=True)
    opened = opened_file(str(loaded))
    assert structure_differences(dump.structure, opened.structure) == []
    return opened


SHOP = (
    "CREATE TABLE shop(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL CHECK(length(name) > 0), x TEXT)",
    "CREATE TABLE sale(id INTEGER PRIMARY KEY, shop REFERENCES shop(id) ON DELETE CASCADE, cents INTEGER DEFAULT 0)",
    "CREATE TABLE wide(a, b AS (a || '!') STORED, PRIMARY KEY(a)) WITHOUT ROWID",
    "CREATE INDEX by_shop ON sale(shop) WHERE cents > 0",
    "CREATE UNIQUE INDEX by_name ON shop(lower(name))",
    "CREATE VIEW totals AS SELECT shop, sum(cents) AS cents FROM sale GROUP BY shop",
    "CREATE TRIGGER kept AFTER DELETE ON sale BEGIN INSERT INTO sale(shop) VALUES(old.shop); END",
    "CREATE TRIGGER through INSTEAD OF INSERT ON totals BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE found USING fts5(name, content='shop', content_rowid='id')",
    "INSERT INTO shop(name) VALUES('one'), ('two')",
    "DELETE FROM shop WHERE name = 'two'",
    "PRAGMA user_version = 7",
    "PRAGMA application_id = 9",
)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DROP TRIGGER kept", "trigger kept (missing)"),
        ("DROP INDEX by_shop", "index by_shop (missing)"),
        ("DROP VIEW totals", "view totals (missing)"),
        ("DROP TABLE wide", "table wide (missing)"),
        ("DROP TABLE found", "table found (missing)"),
        ("CREATE TABLE more(a)", "table more (additional)"),
        ("CREATE INDEX more ON sale(cents)", "index more (additional)"),
        ("CREATE VIEW more AS SELECT 1", "view more (additional)"),
        ("CREATE TRIGGER more AFTER INSERT ON sale BEGIN SELECT 1; END", "trigger more (additional)"),
        ("ALTER TABLE sale ADD COLUMN note TEXT", "table sale (other)"),
        ("ALTER TABLE shop DROP COLUMN x", "table shop (other)"),
        ("ALTER TABLE shop RENAME COLUMN x TO y", "table shop (other)"),
        ("UPDATE sqlite_sequence SET seq = 1", "counter shop (other)"),
        ("DELETE FROM sqlite_sequence", "counter shop (missing)"),
        ("INSERT INTO sqlite_sequence VALUES('shop', 2)", "counter shop (other)"),
        ("PRAGMA user_version = 8", "user_version (other)"),
        ("PRAGMA application_id = 0", "application_id (missing)"),
        ("INSERT INTO found(found, rank) VALUES('rank', 'bm25(2.0)')", 'setting "found" rank (additional)'),
        ("INSERT INTO found(found, rank) VALUES('pgsz', 1000)", 'setting "found" pgsz (additional)'),
    ],
)
def test_each_difference_of_the_structure_is_named(change: str, named: str) -> None:
    with database(*SHOP) as one, database(*SHOP, change) as other:
        assert named in differences(opened_file(str(one)), opened_file(str(other)))
        assert differences(opened_file(str(one)), dumped_and_loaded(one)) == []


@pytest.mark.parametrize(
    ("table", "other"),
    [
        ("CREATE TABLE a(x CHECK(x > 0))", "CREATE TABLE a(x)"),
        ("CREATE TABLE a(x NOT NULL)", "CREATE TABLE a(x)"),
        ("CREATE TABLE a(x DEFAULT 1)", "CREATE TABLE a(x DEFAULT 2)"),
        ("CREATE TABLE a(x COLLATE NOCASE)", "CREATE TABLE a(x)"),
        ("CREATE TABLE a(x REFERENCES a(x))", "CREATE TABLE a(x)"),
    ],
)
def test_an_empty_table_with_other_rules_is_not_equal(table: str, other: str) -> None:
    with database(table) as first, database(other) as second:
        assert differences(opened_file(str(first)), opened_file(str(second))) == ["table a (other)"]


@pytest.mark.parametrize("value", ["NULL", "1000.0", "'text'", "7"])
def test_a_counter_of_any_type_comes_back(value: str) -> None:
    with database(
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT)", f"INSERT INTO sqlite_sequence VALUES('a', {value})"
    ) as path:
        assert differences(opened_file(str(path)), dumped_and_loaded(path)) == []


@pytest.mark.parametrize("key", ["k TEXT COLLATE NOCASE PRIMARY KEY", "k, PRIMARY KEY(k COLLATE RTRIM DESC)"])
def test_pages_follow_the_order_of_the_key(key: str) -> None:
    with database(f"CREATE TABLE t({key}) WITHOUT ROWID") as path:
        engine = FileEngine(str(path), read_only=True)
        (table,) = read_schema(engine).tables
        order = ", ".join(table.order)
        query = f"EXPLAIN QUERY PLAN SELECT k FROM t WHERE {order} > ? ORDER BY {order} LIMIT 9"
        (plan,) = engine.run([Bound(query, ["x"], reads_only=True)])
        engine.close()
    assert [row[3].split()[0] for row in plan.rows] == ["SEARCH"]


class Skipping(FileEngine):
    """A database whose pages lack the row with the text x, as comparisons with the wrong affinity did."""

    def run(self, batch: t.Sequence[Bound]) -> t.Any:
        answers = super().run(batch)
        for item, answer in zip(batch, answers):
            if " ORDER BY " in item.text and ' FROM "t"' in item.text:
                answer.rows[:] = [row for row in answer.rows if "x" not in row]  # type: ignore[index]
        return answers


def test_a_row_that_no_page_shows_is_counted() -> None:
    with database("CREATE TABLE t(a)", "INSERT INTO t VALUES('x'), ('y')") as path:
        engine = Skipping(str(path), read_only=True)
        with pytest.raises(RecoveryError, match="has 2 rows, but 1 were read") as caught:
            content_of(engine, read_schema(engine))
        engine.close()
    assert caught.value.kind == ErrorKind.NOT_EQUAL
