# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A D1 database after the export and import of D1 itself, and after a backup and restore of the collection."""

from __future__ import annotations

import secrets
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import run_module
from tests.support.servers.d1 import D1Server
from tests.support.servers.d1.native import NativeD1, Refused

Options = dict[str, t.Any]


@pytest.fixture
def native(d1: D1Server) -> NativeD1:
    return NativeD1(d1)


def new_name(stem: str) -> str:
    return f"{stem}-{secrets.token_hex(4)}"


class Trap(t.NamedTuple):
    """A database, how to look at what matters in it, and what its own export and import make of that.

    refused: the error of the import; otherwise comes: the content afterwards.
    """

    made: str
    seen: str
    there: list[t.Any]
    refused: str = ""
    comes: t.Sequence[t.Any] = ()


TRAPS = {
    "a reference to a later table": Trap(
        "CREATE TABLE a (b REFERENCES b(id)); CREATE TABLE b (id INTEGER PRIMARY KEY);"
        "INSERT INTO b VALUES (1); INSERT INTO a VALUES (1)",
        "SELECT b FROM a",
        [1],
        refused="no such table: main.b: SQLITE_ERROR",
    ),
    "tables that refer to each other": Trap(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b(id));"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a(id));"
        "INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1",
        "SELECT b FROM a",
        [1],
        refused="no such table: main.b: SQLITE_ERROR",
    ),
    "a row of more than 100 KB": Trap(
        "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(60000))",
        "SELECT length(x) FROM t",
        [60000],
        refused="statement too long: SQLITE_TOOBIG",
    ),
    "an integer beyond 2^53": Trap(
        "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (9007199254740993)",
        "SELECT CAST(x AS TEXT) FROM t",
        ["9007199254740993"],
        comes=["9007199254740992"],
    ),
    "keys that differ beyond 2^53": Trap(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (9007199254740992), (9007199254740993)",
        "SELECT count(*) FROM t",
        [2],
        refused="UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT",
    ),
    "the largest integer": Trap(
        "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (9223372036854775807)",
        "SELECT typeof(x) || ' ' || CAST(x AS TEXT) FROM t",
        ["integer 9223372036854775807"],
        comes=["real 9.22337203685478e+18"],
    ),
    "infinity": Trap(
        "CREATE TABLE t (x REAL); INSERT INTO t VALUES (9e999)",
        "SELECT CAST(x AS TEXT) FROM t",
        ["Inf"],
        refused="no such column: Infinity",
    ),
    "a text with NUL": Trap(
        "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('a' || char(0) || 'b')",
        "SELECT hex(CAST(x AS BLOB)) FROM t",
        ["610062"],
        refused="unrecognized token",
    ),
    "a text that is no UTF-8": Trap(
        "CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))",
        "SELECT hex(CAST(x AS BLOB)) FROM t",
        ["FF41"],
        comes=["EFBFBD41"],
    ),
    "1.0 in a column without a type": Trap(
        "CREATE TABLE t (x); INSERT INTO t VALUES (1.0)",
        "SELECT typeof(x) FROM t",
        ["real"],
        comes=["integer"],
    ),
    "the hidden key of a row": Trap(
        "CREATE TABLE t (x); INSERT INTO t (rowid, x) VALUES (77, 'a')",
        "SELECT rowid FROM t",
        [77],
        comes=[1],
    ),
    "a computed column": Trap(
        "CREATE TABLE t (n INTEGER, twice INTEGER AS (n * 2)); INSERT INTO t VALUES (4)",
        "SELECT twice FROM t",
        [8],
        comes=[8],
    ),
    "a trigger with a text like the end of it": Trap(
        "CREATE TABLE t (x); CREATE TABLE log (x);"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('END;'); END; INSERT INTO t VALUES (1)",
        "SELECT x FROM log",
        ["END;"],
        comes=["END;"],
    ),
}


def values(native: NativeD1, database: str, query: str) -> list[t.Any]:
    return [value for row in native.query(database, query) for value in row.values()]


def by_ours(d1: D1Server, database: str, store: Options) -> str:
    """A database that this one was restored to from a backup of the collection."""
    target = new_name("ours")
    run_module("d1_backup", {**d1.options(database), "source": database, "store": store})
    run_module("d1_restore", {**d1.options(target), "source": database, "store": store})
    return target


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_content_after_the_native_way_and_after_a_restore(
    d1: D1Server, native: NativeD1, folder_store: Options, tmp_path: Path, trap: Trap
) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, trap.made)
    assert values(native, made, trap.seen) == trap.there
    assert values(native, by_ours(d1, made, folder_store), trap.seen) == trap.there

    file = tmp_path / "export.sql"
    file.write_bytes(native.export(made))
    target = new_name("native")
    native.create(target)
    if trap.refused:
        with pytest.raises(Refused) as caught:
            native.import_file(target, file)
        assert trap.refused in str(caught.value)
        # A refused import leaves what was.
        assert native.query(target, "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'") == []
    else:
        native.import_file(target, file)
        assert values(native, target, trap.seen) == list(trap.comes)


def test_full_text_search_cannot_be_exported_and_is_restored_from_a_set(
    d1: D1Server, native: NativeD1, folder_store: Options
) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, "CREATE TABLE t (x); CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('found again')")
    with pytest.raises(Refused, match=r"cannot export databases with Virtual Tables \(fts5\)"):
        native.export(made)
    # If the list leaves the search out, the other tables are exported, and the search is lost.
    assert b"VIRTUAL" not in native.export(made, tables=["t"])
    found = "SELECT count(*) FROM f WHERE f MATCH 'again'"
    assert values(native, by_ours(d1, made, folder_store), found) == [1]


def test_no_request_is_answered_during_an_export_and_a_backup_waits_for_its_end(
    d1: D1Server, native: NativeD1, folder_store: Options
) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    begun = native.call("POST", f"/{made}/export", {"output_format": "polling"})
    with pytest.raises(Refused, match="Currently processing a long-running export"):
        native.query(made, "SELECT 1")
    with pytest.raises(Refused, match="Currently processing a long-running export"):
        native.call("POST", f"/{made}/export", {"output_format": "polling"})
    # It is asked for no more, and so cancelled.
    taken = run_module("d1_backup", {**d1.options(made), "source": made, "store": folder_store})
    assert taken["rows"] == 1
    with pytest.raises(Refused, match="There is no export"):
        native.call("POST", f"/{made}/export", {"output_format": "polling", "current_bookmark": begun["at_bookmark"]})


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("CREATE TABLE t (x); INSERT INTO other VALUES (1);", "no such table: other"),
        ("CREATE TABLE t (x); INSERT INTO t VALUES ('cut", "unrecognized token"),
        ("CREATE TABLE t (x); BEGIN TRANSACTION; COMMIT;", "transaction"),
        (
            "PRAGMA defer_foreign_keys = TRUE; CREATE TABLE p (id INTEGER PRIMARY KEY);"
            "CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (1);",
            "FOREIGN KEY constraint failed",
        ),
    ],
)
def test_a_refused_import_changes_nothing(native: NativeD1, tmp_path: Path, sql: str, text: str) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, "CREATE TABLE before (x)")
    file = tmp_path / "import.sql"
    file.write_text(sql)
    with pytest.raises(Refused, match=text):
        native.import_file(made, file)
    names = values(native, made, "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
    assert names == ["before"]


def test_an_import_adds_to_what_is_there_and_can_be_taken_back(d1: D1Server, native: NativeD1, tmp_path: Path) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, "CREATE TABLE t (x); INSERT INTO t VALUES (random())")
    (first,) = values(native, made, "SELECT x FROM t")
    before = native.call("GET", f"/{made}/time_travel/bookmark")["bookmark"]
    file = tmp_path / "import.sql"
    file.write_text("INSERT INTO t VALUES (2); -- the end")
    returned = native.import_file(made, file)
    assert returned["result"]["num_queries"] == 1
    assert returned["result"]["final_bookmark"] > before
    assert values(native, made, "SELECT x FROM t") == [first, 2]
    native.call("POST", f"/{made}/time_travel/restore?bookmark={before}")
    assert values(native, made, "SELECT x FROM t") == [first]


def test_a_service_that_is_too_busy_for_every_third_request_is_asked_again(
    d1: D1Server, native: NativeD1, folder_store: Options
) -> None:
    made = new_name("made")
    native.create(made)
    native.query(made, "CREATE TABLE t (x); INSERT INTO t SELECT value FROM json_each('[1, 2, 3]')")
    d1.rules({"every": 3, "before": "429"})
    try:
        target = by_ours(d1, made, folder_store)
        asked = len(d1.requests())
    finally:
        d1.rules()
    assert asked > 9
    assert values(native, target, "SELECT x FROM t") == [1, 2, 3]
