# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of SQL are checked without a database: whole, loadable, and with the tables that belong in them."""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.data.d1_exports import EXPORT
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]

GOOD = "PRAGMA defer_foreign_keys=TRUE;\n" + "".join(
    f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, note TEXT);\nINSERT INTO t{number} VALUES(1,'a; note\n');\n"
    for number in range(70)
)


def check(path: Path, *, engine: str = "sqlite", sample: int = 5, **options: t.Any) -> Options:
    description = {"type": "sql_dump", "path": str(path), **options}
    arguments = {"engine": engine, "checks": [description], "fail_on": "never", "sample": sample}
    found: Options = run_module("integrity_check", arguments)["checks"][0]
    return found


@pytest.fixture
def dump(tmp_path: Path) -> t.Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "dump.sql"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def shell_dump(tmp_path: Path) -> Path:
    made = sqlite3.connect(tmp_path / "made.sqlite")
    made.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE VIRTUAL TABLE f USING fts5(x);"
        "INSERT INTO f VALUES ('found again')"
    )
    made.executemany("INSERT INTO t (x) VALUES (?)", [(f"row {number}",) for number in range(100)])
    made.commit()
    made.close()
    path = tmp_path / "shell.sql"
    with path.open("wb") as stream:
        subprocess.run(["sqlite3", str(tmp_path / "made.sqlite"), ".dump"], stdout=stream, check=True)
    return path


Write = t.Callable[[str], Path]


def test_an_export_without_commit_is_good(dump: Write) -> None:
    found = check(dump(GOOD), min_tables=70, present=["t0", "t69"])
    assert (found["status"], found["message"]) == ("passed", "It holds 70 tables, ends correctly and loads.")
    assert (found["sample"], found["actual"]["refused_by_d1"]) == ([], {})


@pytest.mark.parametrize("load", [True, False])
def test_an_export_that_is_cut_off_fails(dump: Write, load: bool) -> None:
    cut = GOOD[: int(len(GOOD) * 0.9)]
    assert not cut.endswith(";\n")
    found = check(dump(cut), load=load)
    assert found["status"] == "failed", found
    between = GOOD[: GOOD.index("CREATE TABLE t63 ")]
    assert check(dump(between), load=load)["status"] == "passed"
    missing = check(dump(between), load=load, min_tables=70, present=["t0", "t69"])
    assert (missing["status"], missing["actual"]["missing"]) == ("failed", ["t69"])
    assert "63 tables, at least 70 were expected" in missing["message"]


def test_a_dump_of_the_shell_ends_with_commit(shell_dump: Path) -> None:
    found = check(shell_dump, present=["t", "f"])
    assert found["status"] == "passed", found
    text = shell_dump.read_text()
    assert text.endswith("COMMIT;\n")
    shell_dump.write_text(text.replace("COMMIT;\n", ""))
    assert "without COMMIT" in check(shell_dump)["message"]
    shell_dump.write_text(text[: int(len(text) * 0.9)])
    assert check(shell_dump)["status"] == "failed"
    shell_dump.write_text(text.replace("COMMIT;\n", "ROLLBACK; -- due to errors\n"))
    assert check(shell_dump)["status"] == "failed"


def test_statements_that_d1_would_refuse_are_reported_and_are_no_failure(dump: Write) -> None:
    found = check(dump(EXPORT + f"INSERT INTO tenant VALUES('t2','{'long ' * 40_000}'), ('t3','a\0b');\n"), sample=9)
    assert found["status"] == "passed", found
    assert set(found["actual"]["refused_by_d1"]) == {
        "an infinity as a word",
        "a statement of more than 100000 bytes",
        "a text with NUL",
        "counters without a table that counts",
        "rows of booking before its table tenant",
    }
    assert {"line": 3, "problem": "rows of booking before its table tenant"} in found["sample"]
    assert "d1_restore corrects that" in found["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no statement"),
        (b"CREATE TABLE t (x);\nINSERT INTO t VALUES('\xff\xfe');\n", "UTF-8"),
        (gzip.compress(GOOD.encode()), "UTF-8"),
        (b"CREATE TABLE t (x);\nINSERT INTO u VALUES('a secret');\n", "line 2"),
        (
            b"CREATE TABLE c (x REFERENCES p(id));\nINSERT INTO c VALUES(1);\nCREATE TABLE p (id PRIMARY KEY);\n",
            "refer",
        ),
        (b"CREATE TABLE t (x);\nINSERT INTO t VALUES ('cut", "in line 2 has no end"),
    ],
)
def test_an_incomplete_dump_fails(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(content)
    found = check(path)
    assert found["status"] == "failed", found
    assert message in found["message"]
    assert "a secret" not in found["message"] + str(check(path, sample=0))


def test_a_huge_line_is_read(dump: Write) -> None:
    found = check(dump(f"CREATE TABLE t (x);\nINSERT INTO t VALUES('{'; x' * 7_000_000}');\n"))
    assert found["status"] == "passed", found["message"]


def test_an_unreadable_dump_is_an_error_and_no_database_is_required(tmp_path: Path, dump: Write) -> None:
    for engine in ("sqlite", "postgresql"):
        assert check(tmp_path / "missing.sql", engine=engine)["status"] == "error"
        assert check(tmp_path, engine=engine)["status"] == "error"
    checks = [{"type": "sql_dump", "path": str(dump(GOOD))}, {"type": "quick_check"}]
    with pytest.raises(ModuleFailed, match="account_id is missing"):
        run_module("integrity_check", {"engine": "sqlite", "checks": checks})
    with pytest.raises(ModuleFailed) as caught:
        check(dump(GOOD), min_tables="many", tables=["t"])
    assert len(caught.value.result["mistakes"]) == 2


def test_a_time_limit_is_kept(dump: Write) -> None:
    long = "CREATE TABLE t (x);\n" + "INSERT INTO t VALUES(1);\n" * 200_000
    found = check(dump(long), timeout=1)
    assert (found["status"], "time limit" in found["message"]) == ("error", True)


def test_a_plain_dump_of_pg_dump(postgres: PostgresServer, database: str, tmp_path: Path) -> None:
    postgres.psql(
        database,
        'CREATE TABLE "My ""Table" (x text); CREATE UNLOGGED TABLE u (); CREATE SCHEMA s; CREATE TABLE s.t (x int);'
        'INSERT INTO "My ""Table" VALUES (E\'a\\n-- PostgreSQL database dump complete\\n\\nCREATE TABLE no (x)\');'
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\nCREATE TABLE no (x int)\n$$",
    )
    path = tmp_path / "dump.sql"
    login = postgres.module_options(database)
    subprocess.run(
        [str(postgres.bin_dir / "pg_dump"), "-f", str(path), database],
        env={
            **os.environ,
            "PGHOST": str(login["login_host"]),
            "PGPORT": str(login["login_port"]),
            "PGUSER": str(login["login_user"]),
            "PGPASSWORD": str(login["login_password"]),
        },
        check=True,
    )
    requested: Options = {"engine": "postgresql", "min_tables": 3, "present": ['"My ""Table"', "u", "s.t"]}
    found = check(path, **requested)
    assert (found["status"], found["actual"]["tables"]) == ("passed", 3), found
    complete = path.read_bytes()
    packed = tmp_path / "dump.sql.gz"
    packed.write_bytes(gzip.compress(complete))
    assert check(packed, **requested)["status"] == "passed"
    packed.write_bytes(packed.read_bytes()[:-20])
    assert check(packed, **requested)["status"] == "failed"
    # Newer releases frame the dump in a pair of lines, older ones do not.
    bare = re.sub(rb"\\(un)?restrict .*\n\n", b"", complete)
    framed = bare.replace(b"\nSET ", b"\n\\restrict abc\n\nSET ", 1) + b"\\unrestrict abc\n\n"
    for content, status in (
        (bare, "passed"),
        (framed, "passed"),
        (complete[: int(len(complete) * 0.9)], "failed"),
        (complete[complete.index(b"COPY") :], "failed"),
        (complete.replace(b"CREATE TABLE s.t", b"CREATE TABLE s.other"), "failed"),
        (complete + b"SELECT 1;\n", "failed"),
        (b"", "failed"),
    ):
        path.write_bytes(content)
        assert check(path, **requested)["status"] == status, content[-200:]
    path.write_bytes(b"PGDMP" + b"\0" * 600)
    assert check(path, engine="postgresql")["status"] == "error"
