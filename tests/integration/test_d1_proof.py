# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of D1 that was proved can be restored to D1, and what was not proved is named."""

from __future__ import annotations

import secrets
import sqlite3
import typing as t
from pathlib import Path

import pytest

from tests.support.data.application_schemas import APPLICATIONS
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import D1Server
from tests.support.servers.d1.native import NativeD1

Options = dict[str, t.Any]

#: The state of a database by the engine itself, without shadow tables, whose bytes depend on how they were filled.
SCHEMA = (
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'"
    " AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY 1, 2"
)


class Round:
    """A database of D1, its backup, and what comes back."""

    def __init__(self, d1: D1Server, folder: Path, statements: t.Iterable[str]) -> None:
        self.native, self.name, self._d1, self._folder = NativeD1(d1), f"proof-{secrets.token_hex(4)}", d1, folder
        self.native.create(self.name)
        for statement in statements:
            self.native.query(self.name, statement)
        self.back_name = f"{self.name}-back"
        self._common = {"source": self.name, "store": {"provider": "directory", "path": str(folder / "store")}}

    def back_up(self) -> Options:
        return run_module("d1_backup", {**self._common, **self._d1.options(self.name)})

    def restore(self) -> Options:
        return run_module("d1_restore", {**self._common, **self._d1.options(self.back_name)})

    def restore_file(self, **options: t.Any) -> Options:
        return run_module("d1_restore", {**self._common, "path": str(self._folder / "back.sqlite"), **options})

    def seen(self, name: str) -> dict[str, t.Any]:
        """The schema and every row, as D1 shows them."""
        found: dict[str, t.Any] = {"schema": self.native.query(name, SCHEMA)}
        tables = [item["name"] for item in found["schema"] if item["type"] == "table"]
        for table in tables:
            found[table] = sorted(map(repr, self.native.query(name, f'SELECT * FROM "{table}"')))
        return found


def warnings(result: Options) -> str:
    return str(result.get("warnings", ""))


@pytest.mark.parametrize("application", APPLICATIONS)
def test_schemas_of_applications_come_back_to_d1(d1: D1Server, tmp_path: Path, application: str) -> None:
    one = Round(d1, tmp_path, APPLICATIONS[application])
    taken = one.back_up()
    assert "loaded and found equal;" in taken["summary"]
    assert (taken["not_covered"], taken["not_proved"], warnings(taken)) == ([], [], "")
    assert one.restore()["summary"].endswith(", proved equal.")
    assert one.seen(one.back_name) == one.seen(one.name)
    assert one.restore_file()["summary"].endswith(", proved equal.")


@pytest.mark.parametrize("rows", [1, 300])
def test_parents_that_are_gone_stand_in_during_the_restore(d1: D1Server, tmp_path: Path, rows: int) -> None:
    # 300 rows are restored by an import, one by a batch.
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE gone(a, b, UNIQUE(a, b))",
            "CREATE TABLE old(id INTEGER PRIMARY KEY)",
            "CREATE TABLE child(id INTEGER PRIMARY KEY, a, b, o REFERENCES old,"
            " FOREIGN KEY(a, b) REFERENCES gone(a, b))",
            "CREATE TABLE parent(id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE)",
            "CREATE UNIQUE INDEX by_k ON parent(k)",
            "CREATE TABLE other(id INTEGER PRIMARY KEY, k TEXT REFERENCES parent(k))",
            "INSERT INTO parent VALUES(1, 'A'), (2, NULL), (3, NULL)",
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})"
            " INSERT INTO child(id) SELECT n FROM c",
            "INSERT INTO other VALUES(1, 'a'), (2, NULL)",
            "DROP INDEX by_k",
            "PRAGMA defer_foreign_keys = TRUE; DROP TABLE gone; DROP TABLE old",
        ],
    )
    taken = one.back_up()
    for returned in ("refers to the table gone", "refers to the table old", "k of parent, which has no unique index"):
        assert returned in warnings(taken)
    assert one.restore()["summary"].endswith(", proved equal.")
    assert one.seen(one.back_name) == one.seen(one.name)


def test_statements_that_this_sqlite_cannot_read_are_kept_as_text_and_not_called_equal(
    d1: D1Server, tmp_path: Path
) -> None:
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, d TEXT, n DEFAULT 1_000_000)",
            "CREATE TABLE g(k TEXT COLLATE NOCASE PRIMARY KEY, g TEXT AS (concat(k, '!')) STORED) WITHOUT ROWID",
            "CREATE TABLE u(id INTEGER PRIMARY KEY, k TEXT UNIQUE, n DEFAULT 1_0)",
            "CREATE TABLE of_u(k TEXT REFERENCES u(k))",
            "CREATE TABLE c(p REFERENCES p(id), k CHECK(octet_length(k) < 10) REFERENCES g(k))",
            "CREATE TABLE s(a ANY, b INT DEFAULT 1_0) STRICT",
            "CREATE VIEW v AS SELECT group_concat(d, ',' ORDER BY id) AS d, 1 AS id FROM p",
            "CREATE VIRTUAL TABLE of_v USING fts5(d, content='v', content_rowid='id')",
            "CREATE VIRTUAL TABLE own USING fts5(a, b UNINDEXED, tokenize='trigram remove_diacritics 1')",
            "CREATE TRIGGER on_v INSTEAD OF INSERT ON v BEGIN INSERT INTO p(d) VALUES(new.d); END",
            "CREATE INDEX by_size ON p(octet_length(d))",
            "CREATE UNIQUE INDEX by_d ON p(d)",
            "INSERT INTO p(d) VALUES('one'), ('two'), (NULL)",
            "INSERT INTO g(k) VALUES('A'), ('b')",
            "INSERT INTO u(k) VALUES('x'), (NULL), (NULL)",
            "INSERT INTO of_u VALUES('x'), (NULL)",
            "INSERT INTO c VALUES(1, 'a'), (2, 'B'), (NULL, NULL)",
            "INSERT INTO s VALUES('1', 1), (1, 2), (x'31', 3)",
            "INSERT INTO own VALUES('search me', 'x')",
            "INSERT INTO of_v(of_v) VALUES('rebuild')",
            "INSERT INTO own(own, rank) VALUES('secure-delete', 1)",
        ],
    )
    taken = one.back_up()
    newer = sqlite3.sqlite_version_info >= (3, 47)
    assert warnings(taken) == ""
    if not newer:
        named = {item.partition(" (")[0] for item in taken["not_proved"]}
        assert {"table p", "table g", "table c", "table s", "view v", "index by_size", "trigger on_v"} <= named
        assert "rows loaded and found equal; kept as text, not proved" in taken["summary"]
    back = one.restore()
    assert back["summary"].endswith(", proved equal.")
    assert one.seen(one.back_name) == one.seen(one.name)
    query = "SELECT rowid FROM {} WHERE {} MATCH '{}'"
    for table, word in (("of_v", "two"), ("own", "search")):
        assert one.native.query(one.back_name, query.format(table, table, word))
    restored = one.restore_file()
    if not newer:
        assert "proved equal. Left out, as SQLite" in restored["summary"]
        assert "table p" in restored["not_covered"]
        assert "is incomplete" in warnings(restored)
        one.restore_file(mode="in_place", recovery_environment="sandbox")
    config = "SELECT k, v FROM own_config WHERE k <> 'version'"
    assert one.native.query(one.back_name, config) == [{"k": "secure-delete", "v": 1}]


def test_a_value_that_only_newer_json_reads_is_not_lost(d1: D1Server, tmp_path: Path) -> None:
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE j(id INTEGER PRIMARY KEY, d CHECK(json_valid(d, 2)), a AS (json_extract(d, '$.a')) STORED)",
            "INSERT INTO j(d) VALUES('{\"a\": 1}'), ('{a: 2, /* JSON5 */}')",
            "CREATE INDEX by_a ON j(json_extract(d, '$.a'))",
        ],
    )
    one.back_up()
    assert one.restore()["summary"].endswith(", proved equal.")
    assert one.seen(one.back_name) == one.seen(one.name)


@pytest.mark.parametrize("length", [200_000, 1_900_000])
def test_long_values_obey_every_rule_while_they_are_restored(d1: D1Server, tmp_path: Path, length: int) -> None:
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE j(id INTEGER PRIMARY KEY, d TEXT CHECK(json_valid(d)), a AS (json_type(d)) STORED)",
            "CREATE UNIQUE INDEX one ON j(substr(d, 1, 90000))",
            "INSERT INTO j(d) VALUES('\"\"')",
            f"INSERT INTO j(d) SELECT json_array(hex(zeroblob({length // 2 - 10})))",
            "CREATE TABLE k(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
            "INSERT INTO k VALUES('', 1), (hex(zeroblob(60000)), 2)",
        ],
    )
    one.back_up()
    assert one.restore()["summary"].endswith(", proved equal.")
    assert one.seen(one.back_name) == one.seen(one.name)


def test_rows_that_break_a_check_come_back_and_the_check_stays_on(d1: D1Server, tmp_path: Path) -> None:
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE a(n CHECK(n > 0))",
            "CREATE TABLE b(n CHECK(n > 0))",
            "PRAGMA ignore_check_constraints = ON; INSERT INTO a VALUES(-1), (1)",
            "PRAGMA ignore_check_constraints = OFF",
            "INSERT INTO b VALUES(1)",
        ],
    )
    taken = one.back_up()
    assert "Rows of a break a CHECK" in warnings(taken)
    one.restore()
    assert one.seen(one.back_name) == one.seen(one.name)
    with pytest.raises(Exception, match="CHECK constraint failed"):
        one.native.query(one.back_name, "INSERT INTO b VALUES(-1)")


def test_the_export_of_d1_with_a_trigger_before_its_view_is_restored(d1: D1Server, tmp_path: Path) -> None:
    one = Round(
        d1,
        tmp_path,
        [
            "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, d CHECK(d <> ''))",
            "CREATE VIEW v AS SELECT * FROM p",
            "CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN INSERT INTO p(d) VALUES(new.d); END",
            "PRAGMA ignore_check_constraints = ON; INSERT INTO p(d) VALUES('')",
            "UPDATE sqlite_sequence SET seq = NULL",
        ],
    )
    dump = tmp_path / "export.sql"
    dump.write_bytes(one.native.export(one.name))
    assert dump.read_text().index("CREATE TRIGGER") < dump.read_text().index("CREATE VIEW")
    run_module("d1_restore", {"src": str(dump), **d1.options(one.back_name)})
    assert one.seen(one.back_name) == one.seen(one.name)
    assert run_module("d1_restore", {"src": str(dump), "path": str(tmp_path / "x.sqlite")})["rows"] == 1


def test_rows_that_d1_cannot_hold_are_refused_before_a_database_is_made(d1: D1Server, tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    with sqlite3.connect(path) as file:
        file.executescript(
            "CREATE TABLE p(id INTEGER PRIMARY KEY, k); INSERT INTO p VALUES(1, 1), (2, 1);"
            "CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES(1), (8), (9);"
            "CREATE TABLE e(k REFERENCES p(k)); INSERT INTO e VALUES(1)"
        )
    store = {"provider": "directory", "path": str(tmp_path / "store")}
    taken = run_module("d1_backup", {"path": str(path), "source": "app", "store": store})
    target = d1.options(f"proof-{secrets.token_hex(4)}")
    with pytest.raises(ModuleFailed) as caught:
        run_module("d1_restore", {"source": "app", "store": store, **target}, check_mode=True)
    for returned in ("2 rows of c refer to missing rows of p.", "e refers to k of p, which is not unique."):
        assert returned in warnings(taken)
        assert returned in caught.value.result["what"]
    assert caught.value.result["error_kind"] == "unsupported"
