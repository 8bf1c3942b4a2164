# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database of D1 comes back exactly, whatever is in it, and what does not is no backup."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.backup import (
    SqliteBackup,
    SqliteBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._operations import backup as operation
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.data.d1_exports import EXPORT
from tests.support.data.identity import make_identity
from tests.support.data.torture import TORTURE, WIDE
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import D1Server

Options = dict[str, t.Any]


def run(where: Options, sql: str, params: t.Sequence[t.Any] = ()) -> Options:
    return run_module("d1_execute", {**where, "sql": sql, "params": list(params)})


@pytest.fixture(scope="module")
def tortured(d1: D1Server) -> Options:
    options = d1.options(f"torture-{secrets.token_hex(4)}")
    run_module("d1_database", options)
    for sql, params in TORTURE:
        run(options, sql, params)
    run(options, WIDE)
    return options


@pytest.fixture
def small(tmp_path: Path) -> Options:
    path = tmp_path / "small.sqlite"
    made = sqlite3.connect(path)
    made.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES ('a'), (2), (NULL);")
    made.close()
    return {"path": str(path)}


def back_up(where: Options, store: Options, **options: t.Any) -> Options:
    return run_module("d1_backup", {**where, "source": "studio", "store": store, **options})


def restore(where: Options, store: Options, **options: t.Any) -> Options:
    return run_module("d1_restore", {**where, "source": "studio", "store": store, **options})


def refused(work: t.Callable[[], object]) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        work()
    assert caught.value.result["error_kind"] != "unexpected", caught.value.result
    return caught.value.result


def test_a_table_of_a_file_whose_name_d1_keeps_is_named_as_not_covered(small: Options, folder_store: Options) -> None:
    with contextlib.closing(sqlite3.connect(small["path"])) as file:
        file.executescript("CREATE TABLE _cf_notes (x); INSERT INTO _cf_notes VALUES (1)")

    taken = back_up(small, folder_store)

    assert taken["not_covered"] == ["the table _cf_notes (D1 keeps the name for itself)"]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_file_that_another_process_writes_to_is_backed_up_as_it_is_at_one_moment(
    folder_store: Options, tmp_path: Path, journal: str
) -> None:
    path = str(tmp_path / "busy.sqlite")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript(f"PRAGMA journal_mode = {journal}; CREATE TABLE a (n); CREATE TABLE b (n); BEGIN")
        file.executemany("INSERT INTO a VALUES(?)", ((number,) for number in range(20000)))
        file.execute("COMMIT")
    ended = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
            while not ended.wait(0.01):
                other.executescript("BEGIN IMMEDIATE; INSERT INTO a VALUES(0); INSERT INTO b VALUES(0); COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = back_up({"path": path}, folder_store)
    finally:
        ended.set()
        writer.join()
    assert taken["consistent"] is True
    back = tmp_path / "back.sqlite"
    restore({"path": str(back)}, folder_store)
    with contextlib.closing(sqlite3.connect(back)) as file:
        assert file.execute("SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b)").fetchone() == (20000,)


def test_the_torture_database_comes_back_exactly(
    d1: D1Server, tortured: Options, folder_store: Options, tmp_path: Path
) -> None:
    taken = back_up(tortured, folder_store)
    assert taken["consistent"] is True
    assert taken["not_covered"] == ["bare"]
    assert taken["bookmark"] == run_module("d1_time_travel", tortured)["bookmark"]
    target = d1.options(f"back-{secrets.token_hex(4)}")
    foreseen = run_module("d1_restore", {**target, "source": "studio", "store": folder_store}, check_mode=True)
    assert (foreseen["uuid"], foreseen["created"]) == (None, True)
    done = restore(target, folder_store)
    assert (done["tables"], done["rows"]) == (taken["tables"], taken["rows"])
    for sql in (
        "SELECT id, typeof(n), n, typeof(r), r, length(b), hex(CAST(t AS BLOB)), stored, first FROM parent ORDER BY id",
        "SELECT rowid, x, typeof(x), y, typeof(y) FROM plain ORDER BY rowid LIMIT 50",
        "SELECT * FROM child ORDER BY id",
        "SELECT a, b, c, typeof(c) FROM pairs",
        "SELECT * FROM sqlite_sequence",
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY type, name",
        "SELECT rowid, title FROM own WHERE own MATCH 'world OR second'",
        "SELECT rowid FROM external WHERE external MATCH 'it'",
        "SELECT count(*), sum(c98) FROM wide",
        "SELECT * FROM shown ORDER BY id",
        "PRAGMA foreign_key_check",
        "PRAGMA quick_check",
    ):
        assert run(target, sql)["rows"] == run(tortured, sql)["rows"], sql
    assert (
        run(target, "SELECT t FROM parent WHERE id = 'p5'")["rows"]
        == run(tortured, "SELECT t FROM parent WHERE id = 'p5'")["rows"]
    )
    # The trigger works, and the counter continues at its value.
    run(target, "INSERT INTO child(parent, v) VALUES ('p1', 42)")
    assert run(target, "SELECT max(id) AS id FROM child")["rows"] == [{"id": 2**53 + 4}]
    file = tmp_path / "restored.sqlite"
    restore({"path": str(file)}, folder_store)
    assert sqlite3.connect(file).execute("SELECT n FROM parent WHERE id = 'p1'").fetchone() == (2**53 + 1,)


def test_a_database_with_rows_is_refused_and_a_failed_restore_leaves_nothing(
    d1: D1Server, small: Options, folder_store: Options, tmp_path: Path
) -> None:
    back_up(small, folder_store)
    target = d1.options(f"back-{secrets.token_hex(4)}")
    restore(target, folder_store)
    assert refused(lambda: restore(target, folder_store))["error_kind"] == "target_exists"
    assert refused(lambda: restore(small, folder_store))["error_kind"] == "target_exists"
    for fault in ({"at": 4, "before": "denied"}, {"at": 6, "before": "denied"}):
        other = d1.options(f"back-{secrets.token_hex(4)}")
        d1.rules(fault)
        result = refused(lambda other=other: restore(other, folder_store))
        d1.rules()
        assert "was deleted again" in result["msg"]
        assert run_module("d1_database", other, check_mode=True)["exists"] is False


def test_the_content_of_a_database_is_replaced_and_can_be_undone(
    d1: D1Server, small: Options, folder_store: Options
) -> None:
    back_up(small, folder_store)
    original = d1.options(f"live-{secrets.token_hex(4)}")
    run_module("d1_database", original)
    run(
        original,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p(id)); INSERT INTO p VALUES (1);"
        "INSERT INTO c VALUES (1); CREATE VIEW v AS SELECT * FROM c; CREATE VIRTUAL TABLE f USING fts5(x);"
        "CREATE TABLE t (other); CREATE TRIGGER g AFTER INSERT ON c BEGIN SELECT 1; END",
    )
    requested = {**original, "mode": "in_place"}
    digest = run_module("d1_restore", {**requested, "source": "studio", "store": folder_store}, check_mode=True)[
        "plan_digest"
    ]
    assert refused(lambda: restore(requested, folder_store))["error_kind"] == "confirmation_required"
    assert run(original, "SELECT count(*) AS n FROM c")["rows"] == [{"n": 1}]
    done = restore(requested, folder_store, recovery_confirm=digest)
    assert [row["x"] for row in run(original, "SELECT x FROM t ORDER BY id")["rows"]] == ["a", 2, None]
    names = run(original, "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")["rows"]
    assert [row["name"] for row in names] == ["t"]
    run_module(
        "d1_time_travel",
        {**original, "bookmark": done["previous_bookmark"], "restore": True, "recovery_confirm": original["database"]},
    )
    assert run(original, "SELECT count(*) AS n FROM v")["rows"] == [{"n": 1}]
    d1.rules()
    restore(requested, folder_store, recovery_confirm=original["database"])
    asked = len(d1.requests())
    for at in range(4, asked):
        before = run(original, "SELECT group_concat(name) AS names FROM sqlite_schema")["rows"]
        d1.rules({"at": at, "before": "denied"})
        result = refused(lambda: restore(requested, folder_store, recovery_confirm=original["database"]))
        d1.rules()
        assert "is unchanged" in result["msg"]
        assert run(original, "SELECT group_concat(name) AS names FROM sqlite_schema")["rows"] == before


def test_an_import_that_continues_without_an_answer_is_undone(d1: D1Server, small: Options) -> None:
    original = d1.options(f"live-{secrets.token_hex(4)}")
    run_module("d1_database", original)
    run(original, "CREATE TABLE precious (x)")
    dump = Path(small["path"]).with_name("dump.sql")
    # More than one batch takes, so that it is imported.
    dump.write_text("CREATE TABLE t (x);" + "INSERT INTO t VALUES (1);\n" * 250)
    requested = {**original, "mode": "in_place", "src": str(dump), "recovery_confirm": original["database"]}
    d1.rules({"at": 6, "slow": 3}, {"at": 7, "before": "denied"})
    result = refused(lambda: run_module("d1_restore", requested))
    assert d1.requests()[4:7] == ["POST import"] * 3
    d1.rules()
    assert "was sent back" in result["msg"]
    time.sleep(3)
    assert run(original, "SELECT name FROM sqlite_schema WHERE name IN ('t', 'precious')")["rows"] == [
        {"name": "precious"}
    ]


def test_an_export_that_d1_refuses_is_mended_and_restored(d1: D1Server, tmp_path: Path) -> None:
    dump = tmp_path / "export.sql"
    dump.write_text(EXPORT + f"INSERT INTO tenant VALUES('t2','{'long ' * 40_000}');\n")
    target = d1.options(f"mended-{secrets.token_hex(4)}")
    done = run_module("d1_restore", {**target, "src": str(dump)})
    assert (done["set_id"], done["tables"], done["rows"]) == (None, 2, 4)
    assert run(target, "SELECT price FROM booking WHERE price IN (9e999, -9e999) ORDER BY id")["row_count"] == 2
    assert run(target, "SELECT length(note) AS n FROM tenant WHERE id = 't2'")["rows"] == [{"n": 200_000}]
    assert "BEGIN TRANSACTION" in run(target, "SELECT note FROM tenant WHERE id = 't1'")["rows"][0]["note"]


def test_a_dump_of_the_shell_with_full_text_is_restored(d1: D1Server, tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "made.sqlite")
    made.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO t (x) VALUES ('a'), (x'00');"
        "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('found again')"
    )
    made.close()
    dump = tmp_path / "dump.sql"
    with dump.open("wb") as stream:
        subprocess.run(["sqlite3", str(tmp_path / "made.sqlite"), ".dump"], stdout=stream, check=True)
    target = d1.options(f"shell-{secrets.token_hex(4)}")
    run_module("d1_restore", {**target, "src": str(dump)})
    assert run(target, "SELECT count(*) AS n FROM f WHERE f MATCH 'again'")["rows"] == [{"n": 1}]
    assert run(target, "SELECT typeof(x) AS k FROM t WHERE id = 2")["rows"] == [{"k": "blob"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXPORT[:-20] + "'", "has no end"),
        ("BEGIN TRANSACTION;\nCREATE TABLE t (x);\n", "cut off"),
        (
            "CREATE TABLE a (b REFERENCES c(id)); INSERT INTO a VALUES (1); CREATE TABLE c (id PRIMARY KEY);",
            "refer to rows",
        ),
        ("CREATE TABLE t (x); INSERT INTO other VALUES (1);", "no such table"),
        ("CREATE TABLE t (", "incomplete"),
    ],
)
def test_a_dump_that_is_cut_off_or_broken_makes_nothing(d1: D1Server, tmp_path: Path, text: str, message: str) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text(text)
    target = d1.options(f"none-{secrets.token_hex(4)}")
    result = refused(lambda: run_module("d1_restore", {**target, "src": str(dump)}))
    assert (result["error_kind"], message in result["msg"]) == ("damaged", True), result["msg"]
    assert run_module("d1_database", target, check_mode=True)["exists"] is False


@pytest.mark.parametrize("depth", ["presence", "digests", "decode"])
def test_a_set_is_verified_and_damage_is_found(small: Options, folder_store: Options, depth: str) -> None:
    back_up(small, folder_store)
    verify = {"source": "studio", "store": folder_store, "depth": depth}
    assert run_module("backup_verify", verify)["tables"] == 1
    shown = run_module("backup_info", {"source": "studio", "store": folder_store})["sets"][0]
    assert (shown["engine"], shown["tables"]) == ("sqlite", 1)
    (victim,) = (
        path
        for path in Path(folder_store["path"]).glob("studio/daily/objects/*/*")
        if b"INSERT" in subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    )
    victim.unlink()
    assert refused(lambda: run_module("backup_verify", verify))["error_kind"] == "object_missing"
    assert refused(lambda: restore({"path": small["path"] + ".new"}, folder_store))["error_kind"] == "object_missing"
    back_up(small, folder_store)
    run_module("backup_verify", verify)


def test_an_encrypted_set_needs_its_key(small: Options, folder_store: Options, tmp_path: Path) -> None:
    owner = make_identity(tmp_path / "owner.key")
    sealed = {**folder_store, "encrypt_to": [owner.recipient]}
    run(small, "INSERT INTO t (x) VALUES ('a secret of studio')")
    back_up(small, sealed)
    stored = b"".join(path.read_bytes() for path in Path(folder_store["path"]).rglob("*") if path.is_file())
    assert b"secret of studio" not in stored
    run_module("backup_verify", {"source": "studio", "store": sealed, "depth": "decode"})
    target = {"path": str(tmp_path / "back.sqlite")}
    assert refused(lambda: restore(target, sealed))["error_kind"] == "no_identity"
    restore(target, {**sealed, "identity_file": str(owner.file)})
    assert refused(lambda: back_up(small, sealed, sql_name="plain.sql"))["error_kind"] == "invalid_options"


def test_the_file_of_the_plan_loads_by_the_shell_alone(small: Options, folder_store: Options, tmp_path: Path) -> None:
    taken = back_up(small, folder_store, sql_name="backups/backup-%Y-%m-%d.sql", tier="emergency")
    assert taken["sql_key"] == f"studio/emergency/sql/backups/backup-{taken['recovery_point'][:10]}.sql"
    loaded = sqlite3.connect(":memory:")
    loaded.executescript((Path(folder_store["path"]) / taken["sql_key"]).read_text())
    assert loaded.execute("SELECT x FROM t ORDER BY id").fetchall() == [("a",), (2,), (None,)]


class Restless(FileEngine):
    """A file that is read page by page as a database of D1 is, while another client writes to it."""

    def __init__(self, path: str, times: int) -> None:
        super().__init__(path)
        self._other, self._times = sqlite3.connect(path, isolation_level=None), times

    def snapshot(self, folder: str) -> FileEngine:
        return self

    def run(self, batch: t.Any) -> t.Any:
        if self._times and "LIMIT" in batch[0].text:
            self._times -= 1
            self._other.execute("INSERT INTO t (x) VALUES ('in between')")
        return super().run(batch)


@pytest.mark.parametrize(("times", "attempts", "allow"), [(1, 3, False), (9, 3, False), (9, 2, True)])
def test_a_database_that_changes_is_read_again_and_then_refused(
    small: Options, tmp_path: Path, times: int, attempts: int, allow: bool
) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    request = SqliteBackupRequest("studio", attempts=attempts, allow_inconsistent=allow)
    if times == 9 and not allow:
        with pytest.raises(RecoveryError, match="changed while it was read, 3 times"):
            operation.back_up(SqliteBackup(Restless(small["path"], times), request), store)
        assert not [item.key for item in store.list() if "/sets/" in item.key]
        return
    taken = operation.back_up(SqliteBackup(Restless(small["path"], times), request), store)
    assert taken.consistent is not allow


def test_an_empty_database_is_backed_up_and_a_missing_one_is_refused(
    d1: D1Server, folder_store: Options, tmp_path: Path
) -> None:
    empty = d1.options(f"empty-{secrets.token_hex(4)}")
    run_module("d1_database", empty)
    assert back_up(empty, folder_store)["tables"] == 0
    restore(d1.options(f"empty-{secrets.token_hex(4)}"), folder_store)
    assert refused(lambda: back_up(d1.options("nobody"), folder_store))["error_kind"] == "target_missing"
    missing = {"path": str(tmp_path / "missing.sqlite")}
    assert refused(lambda: back_up(missing, folder_store))["error_kind"] == "target_missing"


def test_check_mode_writes_nothing_and_a_set_of_another_kind_is_refused(
    small: Options, folder_store: Options, tmp_path: Path
) -> None:
    run_module("d1_backup", {**small, "source": "studio", "store": folder_store}, check_mode=True)
    assert refused(lambda: back_up(small, folder_store, attempts=0))["error_kind"] == "invalid_options"
    assert not Path(folder_store["path"]).exists()
    files = tmp_path / "files"
    files.mkdir()
    run_module(
        "bucket_backup",
        {"source": "media", "files": {"provider": "directory", "path": str(files)}, "store": folder_store},
    )
    result = refused(
        lambda: run_module("d1_restore", {"path": str(tmp_path / "x"), "source": "media", "store": folder_store})
    )
    assert "bucket_restore" in json.dumps(result)
