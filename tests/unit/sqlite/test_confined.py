# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements of sets, of dumps and of the schema of a file end, and make no more than their text explains."""

from __future__ import annotations

import json
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite import confined, file
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.engine import Bound
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.exact import NotText, literal
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.foreign import open_dump
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.load import load_files
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.restore_rows.selection import (
    read_touched,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.schema import read_schema

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT {} FROM c {}"
TRIGGER = f"CREATE TRIGGER s AFTER INSERT ON t BEGIN INSERT INTO u {ENDLESS.format('n', 'WHERE n < 0')}; END;\n"


def _load_as_set(path: Path) -> None:
    load_files(str(path.parent / "loaded.sqlite"), str(path.parent), [(path.name, "")])


def _load_as_dump(path: Path) -> None:
    open_dump(str(path), str(path.parent))


@pytest.mark.parametrize("load", [_load_as_set, _load_as_dump])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"INSERT INTO t {ENDLESS.format('n', 'WHERE n < 0')};\n", "longer than"),
        (f"{TRIGGER}INSERT INTO t VALUES (1);\n", "longer than"),
        (f"CREATE TABLE v AS {ENDLESS.format('zeroblob(100000)', 'LIMIT 500')};\n", "a file of more than"),
    ],
)
def test_a_text_cannot_run_without_end_or_fill_the_disk(
    text: str, said: str, load: t.Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "_LOAD_SECONDS", 0.3 if said == "longer than" else 60)
    monkeypatch.setattr(confined, "_LOADED_BYTES", 16 * 1024**2)
    (tmp_path / "text.sql").write_text(f"CREATE TABLE t (a);\nCREATE TABLE u (a);\n{text}")

    with pytest.raises(RecoveryError, match=said) as caught:
        load(tmp_path / "text.sql")

    assert caught.value.kind == ErrorKind.DAMAGED
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20 * 1024**2


def test_pragmas_of_a_text_change_only_what_is_loaded(tmp_path: Path) -> None:
    pragmas = ("journal_mode = WAL", "user_version = 7", "max_page_count = 4000000000")
    lines = [*(f"PRAGMA {pragma};" for pragma in pragmas), "CREATE TABLE t (a);", ""]
    (tmp_path / "text.sql").write_text("\n".join(lines))

    _load_as_set(tmp_path / "text.sql")

    with sqlite3.connect(tmp_path / "loaded.sqlite") as made:
        assert made.execute("PRAGMA user_version").fetchone() == (7,)
        assert made.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_an_endless_trigger_of_a_live_file_is_ended_and_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "STATEMENT_SECONDS", 0.3)
    path = tmp_path / "live.sqlite"
    with sqlite3.connect(path) as made:
        made.executescript(f"CREATE TABLE t (a); CREATE TABLE u (a); {TRIGGER}")
    engine = FileEngine(str(path))

    with pytest.raises(RecoveryError, match="longer than 0") as caught:
        engine.apply(["INSERT INTO u VALUES (1)", "INSERT INTO t VALUES (1)"])

    assert caught.value.kind == ErrorKind.TIMEOUT
    assert engine.run([Bound("SELECT count(*) FROM u")])[0].rows == [[0]]
    engine.close()


@pytest.mark.parametrize("hidden", ["DROP TABLE t", "ATTACH 'x' AS x", "a"])
def test_a_definition_that_hides_a_second_statement_is_refused(tmp_path: Path, hidden: str) -> None:
    path = tmp_path / "live.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (a)")
        made.execute("PRAGMA writable_schema = ON")
        made.execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('view', 'v', 'v', 0, ?)",
            (f"CREATE VIEW v AS SELECT 1; {hidden}",),
        )
    engine = FileEngine(str(path), read_only=True)

    with pytest.raises(RecoveryError, match=r"view 'v' .* is not one CREATE statement"):
        read_schema(engine)

    engine.close()


def test_a_file_whose_schema_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (a)")
        made.execute("PRAGMA writable_schema = ON")
        made.execute("INSERT INTO sqlite_schema (type, name, tbl_name) VALUES (x'00ff', x'ff', x'ff')")

    with pytest.raises(RecoveryError, match="no UTF-8"):
        FileEngine(str(path), read_only=True)


VALUES: t.List[t.Any] = [
    None,
    5,
    -(2**63),
    1.5,
    -1e300,
    1e-07,
    # SQLite before 3.43 reads these digits as another number.
    6.142670190659486e-298,
    float("inf"),
    "it's",
    "a\nb\0",
    b"\xff",
    NotText(b"\xff"),
]


@pytest.mark.parametrize(
    "part", [*map(literal, VALUES), "fts3_tokenizer('simple')", "(SELECT 1)", "zeroblob(9)", "1, 2"]
)
def test_keys_of_an_undo_set_are_literals(part: str, tmp_path: Path) -> None:
    key = {"numbered": False, "columns": ["id"], "keys": [[[part], None]]}
    (tmp_path / "touched.json").write_text(json.dumps({"tables": {"t": key}}))

    if part in map(literal, VALUES):
        (found,) = read_touched(str(tmp_path))["t"].keys
        assert [literal(value) for value in found] == [part]
    else:
        with pytest.raises(RecoveryError, match="is damaged"):
            read_touched(str(tmp_path))
