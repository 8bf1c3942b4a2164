# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration is judged before a statement of it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._migrations.files import read_file, read_folder
from ansible_collections.lifeline.recovery.plugins.module_utils._migrations.order import pending
from ansible_collections.lifeline.recovery.plugins.module_utils._migrations.script import (
    SEPARATOR,
    read_script,
    same_statements,
)


@pytest.mark.parametrize(
    ("sql", "separate"),
    [
        ("CREATE TABLE a (b int)", False),
        ("CREATE INDEX CONCURRENTLY i ON a (b)", True),
        ("create unique index /* - */ concurrently i on a (b)", True),
        ("CREATE INDEX concurrently_used ON a (b)", False),
        ("DROP INDEX CONCURRENTLY IF EXISTS i", True),
        ("REINDEX TABLE CONCURRENTLY a", True),
        ("REINDEX (CONCURRENTLY) TABLE a", True),
        ("REINDEX TABLE a", False),
        ("REINDEX SCHEMA public", True),
        ("VACUUM a", True),
        ("ALTER SYSTEM SET work_mem = '1MB'", True),
        ("ALTER TYPE mood ADD VALUE 'sad'", False),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", True),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", False),
        ("CREATE DATABASE other", True),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", True),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)", False),
        ("BEGIN", True),
        ("start transaction", True),
        ("COMMIT", True),
        ("END", True),
        ("ROLLBACK", True),
        ("SAVEPOINT a; ROLLBACK TO SAVEPOINT a; RELEASE a", False),
        ("ROLLBACK WORK TO a", False),
        ("PREPARE TRANSACTION 'x'", True),
        ("PREPARE q AS SELECT 1", False),
        ("DO $$ BEGIN PERFORM 1; END $$", False),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", False),
        ("SELECT 'COMMIT; VACUUM'", False),
        ("-- COMMIT\nSELECT 1 /* VACUUM; */", False),
        ("DISCARD ALL", True),
    ],
)
def test_a_statement_that_no_transaction_can_hold_is_found(sql: str, separate: bool) -> None:
    assert (read_script("1_a.sql", f"{sql};".encode()).separate is not None) == separate


@pytest.mark.parametrize(
    ("sql", "destroys"),
    [
        ("DROP TABLE a", True),
        ("DROP FUNCTION f()", False),
        ("DROP FUNCTION f() CASCADE", True),
        ("DROP POLICY p ON a", False),
        ("DROP SCHEMA s", True),
        ("TRUNCATE a", True),
        ("DELETE FROM a", True),
        ("UPDATE a SET b = 1", True),
        ("WITH gone AS (DELETE FROM a RETURNING b) SELECT * FROM gone", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("INSERT INTO a SELECT 1", False),
        ("INSERT INTO a SELECT 1 ON CONFLICT (b) DO UPDATE SET b = 2", True),
        ("INSERT INTO a SELECT 1 ON CONFLICT DO NOTHING", False),
        ("ALTER TABLE a DROP COLUMN b", True),
        ("ALTER TABLE a DROP b", True),
        ("ALTER TABLE a DROP CONSTRAINT c", False),
        ("ALTER TABLE a ALTER COLUMN b DROP NOT NULL, ALTER b DROP DEFAULT", False),
        ("ALTER TABLE a ALTER COLUMN b SET DATA TYPE int", True),
        ("ALTER TABLE a ADD COLUMN type text", False),
        ("ALTER TYPE t DROP ATTRIBUTE a", True),
        ("ALTER TYPE t ADD VALUE 'x'", False),
        ("CREATE TABLE a (b int)", False),
    ],
)
def test_a_statement_that_deletes_or_overwrites_data_needs_a_confirmation(sql: str, destroys: bool) -> None:
    assert bool(read_script("1_a.sql", sql.encode() + b";").destructive) == destroys


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SELECT 1;\n\\i other.sql\n", r"line 2, \i: "),
        (b"SELECT 1;\n\n\\connect other\n", "line 3, "),
        (b"SELECT :name;\n", "psql would replace the variable"),
        (b"SELECT 1;\nSELECT '\xe9';\n", "line 2 is not UTF-8"),
        ("SELECT 1;".encode("utf-16"), "line 1 is not UTF-8"),
        ("SELECT 1;\n".encode("utf-16-le"), "NUL byte"),
        (b"SELECT 1;\nSELECT '\0';", "NUL byte"),
        (b"SELECT 1;\nSELECT 'open;\n", "it ends within a string constant"),
        (b"COPY a FROM stdin;\n1\n\\.\n", "it reads rows from the file"),
        (b"", "it is empty"),
        (b" \r\n\t\n", "it is empty"),
        (b"\xef\xbb\xbf\n", "it is empty"),
    ],
)
def test_a_file_that_is_no_sequence_of_statements_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "1_a.sql"
    file.write_bytes(data)
    with pytest.raises(RecoveryError) as caught:
        read_file(str(file))
    assert caught.value.kind == "migration_refused"
    assert caught.value.what.startswith("1_a.sql is refused")
    assert message in caught.value.what


def test_a_comment_is_a_migration_that_does_nothing_and_a_last_semicolon_is_optional(tmp_path: Path) -> None:
    file = tmp_path / "1_a.sql"
    for text, count in (("-- squashed\n", 0), ("\ufeffSELECT 1;\r\nSELECT 2 -- end", 2)):
        file.write_text(text, newline="")
        assert len(read_file(str(file)).steps) == count


@given(st.lists(st.sampled_from(["SELECT 1", "SELECT ';'", "SELECT $$a;b$$", "-- note\nSELECT 2", "/* ; */SELECT 3"])))
def test_statements_are_the_same_however_a_ledger_splits_them(texts: list[str]) -> None:
    script = read_script("1_a.sql", "".join(f"{text};\n" for text in texts).encode())
    assert same_statements(script, script.statements)
    assert same_statements(script, texts)
    assert same_statements(script, [SEPARATOR.join(texts)])
    assert not same_statements(script, [*texts, "SELECT 4"])


def test_versions_are_ordered_as_numbers_and_other_files_are_named(tmp_path: Path) -> None:
    for name in ("10_c.sql", "9_b.sql", "1_a.sql", "1_a.down.sql", "README.md", "a_1.sql", "2_x.SQL", "3.sql"):
        (tmp_path / name).write_text("SELECT 1;")
    (tmp_path / "4_folder.sql").mkdir()
    folder = read_folder(str(tmp_path))
    assert [one.version for one in folder.migrations] == ["1", "9", "10"]
    assert list(folder.down) == ["1"]
    assert set(folder.skipped) == {"README.md", "a_1.sql", "2_x.SQL", "3.sql", "4_folder.sql"}
    assert [one.version for one in pending(folder, ["1"], include_older=False)] == ["9", "10"]
    assert [one.version for one in pending(folder, ["10", "1"], include_older=True)] == ["9"]
    with pytest.raises(RecoveryError, match="1 migrations are older than 10"):
        pending(folder, ["10", "1"], include_older=False)
    with pytest.raises(RecoveryError, match=r"2 versions that have no file .*: 7, zero"):
        pending(folder, ["1", "zero", "7"], include_older=True)


@pytest.mark.parametrize("second", ["1_b.sql", "01_b.sql"])
def test_a_version_has_one_file(tmp_path: Path, second: str) -> None:
    for name in ("1_a.sql", second):
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(RecoveryError, match="has two files"):
        read_folder(str(tmp_path))
