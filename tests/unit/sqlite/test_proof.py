# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database is backed up whatever is wrong beside its rows, and what is wrong is reported."""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core import notices
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.backup import (
    SqliteBackup,
    SqliteBackupRequest,
    SqliteBackupResult,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.foreign import open_dump
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.load import definition_of, load_files
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.opened import (
    OpenedSet,
    open_set,
    opened_file,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.schema import Schema, read_schema
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.script import write_dump
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.stand_ins import (
    is_plain_unique,
    stand_in,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.prune import prune
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import list_sets, load_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.prune import PruneRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.retention import Policy
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reported warnings."""
    found: list[str] = []
    monkeypatch.setattr(notices, "_NOTICES", found)
    return found


def made(folder: Path, *statements: str) -> Path:
    path = folder / "source.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)
    return path


def backed_up(path: Path, folder: Path) -> tuple[SqliteBackupResult, OpenedSet]:
    """The result of a backup, and the set as a restore opens it."""
    store = DirectoryStore(str(folder / "store"))
    result = back_up(SqliteBackup(FileEngine(str(path), read_only=True), SqliteBackupRequest("app")), store)
    work = folder / "opened"
    work.mkdir()
    (name,) = list_sets(store, "app", "daily")
    return result, open_set(store, load_set(store, name), str(work))


FTS = ("CREATE VIRTUAL TABLE f USING fts5(a, b UNINDEXED)", "INSERT INTO f VALUES('x y', 1), ('p', NULL)")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM f_data WHERE id = 10",
        "DELETE FROM f_data",
        "DELETE FROM f_config",
        "DELETE FROM f_docsize",
        "UPDATE f_data SET block = x'00'",
        "DROP TABLE f_data",
    ],
)
def test_a_damaged_full_text_index_does_not_stop_the_backup_of_rows(
    tmp_path: Path, noted: list[str], damage: str
) -> None:
    path = made(tmp_path, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1)", *FTS, "PRAGMA writable_schema = ON", damage)
    result, opened = backed_up(path, tmp_path)
    assert result.rows == 3
    with contextlib.closing(sqlite3.connect(opened.path)) as file:
        assert file.execute("SELECT a, b FROM f WHERE f MATCH 'y'").fetchall() == [("x y", 1)]
    unreadable = damage not in ("DELETE FROM f_docsize", "UPDATE f_data SET block = x'00'")
    assert any("The virtual table f cannot be opened" in text for text in noted) is unreadable


def test_a_full_text_index_of_a_view_that_is_broken_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = made(
        tmp_path,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
        "CREATE VIEW v AS SELECT id, a FROM t",
        "CREATE VIRTUAL TABLE f USING fts5(a, content='v', content_rowid='id')",
        "CREATE VIRTUAL TABLE g USING fts5(a, content='nowhere')",
        "INSERT INTO t VALUES(1, 'word')",
        "DROP VIEW v",
        "CREATE VIEW v AS SELECT id, missing AS a FROM t",
    )
    result, opened = backed_up(path, tmp_path)
    assert [text.partition(" (")[0] for text in result.not_covered] == [
        "the content of the full-text index f",
        "the content of the full-text index g",
    ]
    assert sorted(opened.not_rebuilt) == ["f", "g"]


def test_rows_without_parents_and_rows_that_break_rules_are_reported(tmp_path: Path, noted: list[str]) -> None:
    path = made(
        tmp_path,
        "CREATE TABLE p(id INTEGER PRIMARY KEY)",
        "CREATE TABLE c(p REFERENCES p)",
        "INSERT INTO c VALUES(1), (2), (NULL)",
        "CREATE TABLE k(n CHECK(n > 0))",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO k VALUES(-1)",
    )
    result, opened = backed_up(path, tmp_path)
    assert result.rows == 4
    (returned,) = [text for text in noted if text.startswith("D1 refuses rows of")]
    assert "2 rows of c refer to missing rows of p." in returned
    assert any(text.startswith("Rows of k break a CHECK") for text in noted)
    assert opened.unchecked == ("k",)


def test_rows_that_a_unique_index_would_refuse_are_kept_without_the_index(tmp_path: Path) -> None:
    path = made(tmp_path, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (1), (2)", "CREATE INDEX u ON t(a)")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        # As a damaged index leaves it.
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX u ON t(a)' WHERE name = 'u'")
    result, opened = backed_up(path, tmp_path)
    assert (result.rows, opened.rows) == (3, 3)
    assert result.not_proved == ["index u (UNIQUE constraint failed: t.a)"]
    assert "and found equal; kept as text, not proved" in result.summary


def test_a_comment_at_the_end_of_a_definition_swallows_no_other_statement(tmp_path: Path) -> None:
    path = made(
        tmp_path,
        "CREATE TABLE t(a)",
        "CREATE VIEW v AS SELECT a FROM t -- all; of it\n",
        "CREATE VIEW w AS SELECT a FROM v --",
        "CREATE INDEX i ON t(a) WHERE a > 0 /* ; */",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    )
    _result, opened = backed_up(path, tmp_path)
    assert opened.schema.names("view") == ["v", "w"]
    assert opened.schema.names("trigger") == ["x"]


def test_a_statement_that_is_refused_in_a_backup_advises_no_other_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path, "CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES(1)")
    monkeypatch.setattr(
        "ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.script.insert_head",
        lambda _t: "INSERT INTO n",
    )
    with pytest.raises(RecoveryError) as caught:
        backed_up(path, tmp_path)
    assert caught.value.kind == ErrorKind.NOT_EQUAL
    assert "earlier sets are unchanged" in str(caught.value)
    assert "another" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "plain"),
    [
        ("CREATE UNIQUE INDEX u ON t(a)", True),
        ('create unique index if not exists "u" on "t" ("a" DESC, b COLLATE NOCASE) -- c', True),
        ("CREATE UNIQUE INDEX u ON t(lower(a))", False),
        ("CREATE UNIQUE INDEX u ON t(a || b)", False),
        ("CREATE UNIQUE INDEX u ON t(a) WHERE b", False),
        ("CREATE INDEX u ON t(a)", False),
    ],
)
def test_unique_keys_of_columns_are_distinguished_from_other_indexes(sql: str, plain: bool) -> None:
    assert is_plain_unique(sql) is plain


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE TABLE IF NOT EXISTS main.[a b](x)", "table a b"),
        ('CREATE VIRTUAL TABLE "f""" USING fts5(a)', 'table f"'),
        ("CREATE TEMP VIEW `v` AS SELECT 1", "view v"),
        ("/* c */ CREATE UNIQUE INDEX i ON t(a)", "index i"),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "trigger x"),
        ("""INSERT INTO "f"("f") VALUES ('rebuild')""", 'content of "f"'),
        ("""INSERT INTO "f"("f", rank) VALUES('rank', 'bm25(1.0)')""", 'setting "f" rank'),
        ("INSERT INTO t(a) VALUES(1)", None),
        ("DROP TABLE t", None),
    ],
)
def test_a_statement_is_known_by_what_it_defines(sql: str, what: str | None) -> None:
    assert definition_of(sql) == what


TABLES = [
    "CREATE TABLE t(a, b, c)",
    "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a VARCHAR(9) CHECK(a <> 1), b DOUBLE PRECISION, c)",
    "CREATE TABLE t(a INTEGER PRIMARY KEY DESC, b, c)",
    "CREATE TABLE t(a TEXT COLLATE NOCASE PRIMARY KEY, b UNIQUE, c) WITHOUT ROWID",
    "CREATE TABLE t(a, b ANY, c INT, PRIMARY KEY(b DESC, a)) WITHOUT ROWID",
    "CREATE TABLE t(a ANY, b INT, c REAL AS (b * 2) STORED) STRICT",
    "CREATE TABLE t(a TEXT NOT NULL, b ANY PRIMARY KEY, c BLOB) STRICT, WITHOUT ROWID",
    "CREATE TABLE t(a PRIMARY KEY, b CHAR REFERENCES t(a), c NUMERIC DEFAULT (1))",
    'CREATE TABLE t("a" "a b", b "x;y"" INT", c)',
    "CREATE VIRTUAL TABLE t USING fts5(a, b UNINDEXED, c, tokenize = 'porter ascii')",
]
VALUES = st.sampled_from(["NULL", "1", "1.5", "'1'", "'01'", "'a'", "'A'", "'a '", "x'31'", "9007199254740993", "-0.0"])


@settings(max_examples=150, deadline=None)
@given(table=st.sampled_from(TABLES), rows=st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=8))
def test_a_stand_in_holds_every_row_as_the_table_does(
    tmp_path_factory: pytest.TempPathFactory, table: str, rows: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("stand-in")
    path = made(folder, table)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        names = [row[1] for row in file.execute("PRAGMA table_info(t)")][-3:]
        for row in rows:
            with contextlib.suppress(sqlite3.IntegrityError):
                file.execute(f"INSERT INTO t({', '.join(names)}) VALUES({', '.join(row[: len(names)])})")
    engine = FileEngine(str(path), read_only=True)
    schema = read_schema(engine)
    dump = write_dump(engine, schema, str(folder), lambda _rows: None)
    engine.close()
    # A host whose SQLite does not know the table.
    first = folder / dump.files[0][0]
    first.write_text(
        first.read_text()
        .replace("CREATE TABLE t(", "CREATE TABLE t(unknown AS (newer()), ", 1)
        .replace("fts5(", "fts9(", 1)
    )
    loaded = load_files(str(folder / "loaded.sqlite"), str(folder), dump.files, dump.stand_ins)
    opened = opened_file(str(folder / "loaded.sqlite"), loaded, ())
    assert "table t" in opened.aside
    assert list(opened.content) == list(dump.content)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CREATE VIEW v AS SELECT newer syntax ORDER; DROP TABLE t;", "syntax error"),
        ("CREATE INDEX i ON t(fts3_tokenizer(a));", "not authorized"),
        ("INSERT INTO t VALUES('cut);", "unrecognized token"),
    ],
)
def test_only_one_definition_alone_is_put_aside(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "text.sql").write_text(f"CREATE TABLE t(a);\n{line}\n")
    with pytest.raises(RecoveryError, match=said):
        load_files(str(tmp_path / "x.sqlite"), str(tmp_path), [("text.sql", "")], {"t": "CREATE TABLE t(a)"})


def test_names_like_words_of_errors_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "text.sql").write_text("CREATE TABLE t(a);\nCREATE INDEX i ON t(disk_locked(a));\n")
    loaded = load_files(str(tmp_path / "x.sqlite"), str(tmp_path), [("text.sql", "")])
    assert [aside.reason for aside in loaded.aside.values()] == ["no such function: disk_locked"]


def test_a_damaged_file_is_named_and_no_sql_is_to_be_corrected(tmp_path: Path) -> None:
    path = made(tmp_path, "CREATE TABLE t(a)", *(f"INSERT INTO t VALUES(zeroblob({size}))" for size in [3000] * 20))
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 5)
    with pytest.raises(RecoveryError) as caught:
        backed_up(path, tmp_path)
    assert str(caught.value).endswith("unchanged. Check the database with PRAGMA integrity_check.")


def test_a_readable_dump_belongs_to_its_tier_and_goes_with_the_last_set_that_names_it(tmp_path: Path) -> None:
    path = made(tmp_path, "CREATE TABLE t(a)")
    store = DirectoryStore(str(tmp_path / "store"))

    def take(tier: str, name: str) -> SqliteBackupResult:
        request = SqliteBackupRequest("app", tier, sql_name=name)
        return back_up(SqliteBackup(FileEngine(str(path), read_only=True), request), store)

    def there() -> list[str]:
        return [item.key for item in store.list() if "/sql/" in item.key]

    take("daily", "first.sql")
    same = [take("daily", "same.sql"), take("daily", "same.sql"), take("emergency", "same.sql")]
    assert there() == ["app/daily/sql/first.sql", "app/daily/sql/same.sql", "app/emergency/sql/same.sql"]
    assert same[0].sql_key == same[1].sql_key == "app/daily/sql/same.sql"
    later = datetime.now(timezone.utc) + timedelta(days=2)
    prune(store, PruneRequest("app", "daily", Policy()), later)
    # The manifests that were put aside still name their dumps for a day.
    prune(store, PruneRequest("app", "daily", Policy()), later + timedelta(days=2))
    assert there() == ["app/daily/sql/same.sql", "app/emergency/sql/same.sql"]
    for name in ("../x.sql", "/x.sql", "a//b.sql", "a/../../b"):
        with pytest.raises(RecoveryError, match="sql_name must be a relative path"):
            take("daily", name)


def test_a_stand_in_takes_no_rule_from_a_type(tmp_path: Path) -> None:
    path = made(tmp_path, 'CREATE TABLE t(a "INT) ; DROP", b "primary key")')
    engine = FileEngine(str(path), read_only=True)
    (table,) = t.cast(Schema, read_schema(engine)).tables
    engine.close()
    with contextlib.closing(sqlite3.connect(":memory:")) as other:
        other.execute(stand_in(table))
        assert [row[1] for row in other.execute("PRAGMA table_info(t)")] == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r"unistr('a\u000ab')", "a\nb"),
        (r"unistr('\\ it''s \+01f600 \000d')", "\\ it's \U0001f600 \r"),
        (r"unistr('\u0000')", "\0"),
        ("'unistr(''x'')'", "unistr('x')"),
        ("1_000", 1000),
        ("'1_000'", "1_000"),
    ],
)
def test_a_dump_of_a_newer_shell_is_read(tmp_path: Path, written: str, value: t.Any) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text(f"BEGIN TRANSACTION;\nCREATE TABLE t(a);\nINSERT INTO t VALUES({written});\nCOMMIT;\n")
    opened = open_dump(str(dump), str(tmp_path))
    with contextlib.closing(sqlite3.connect(opened.path)) as file:
        assert file.execute("SELECT a FROM t").fetchone() == (value,)


def test_definitions_of_a_dump_load_in_any_order(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK(a > 0));\nINSERT INTO t VALUES(1, -1);\n"
        "CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT 1; END;\n"
        "CREATE VIRTUAL TABLE f USING fts5(a, content='v');\n"
        "CREATE VIEW v AS SELECT id, a FROM t;\nCREATE INDEX i ON t(newer(a));\n"
    )
    opened = open_dump(str(dump), str(tmp_path))
    assert [kind + " " + name for kind, name, _sql in opened.schema.definitions] == [
        "table t",
        "table f",
        "view v",
        "trigger x",
        "index i",
    ]
    assert opened.not_proved == ["index i (no such function: newer)"]
    assert list(opened.unchecked) == ["t"]
