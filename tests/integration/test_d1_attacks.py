# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of other tenants stay unchanged, and the result of a restore is true, however odd the database is."""

from __future__ import annotations

import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1 import api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.engine import D1Engine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.schema import read_schema
from tests.support.fakes.cloudflare import answering
from tests.support.runner.modules import ModuleFailed, run_module

Options = dict[str, t.Any]

TENANTS = "CREATE TABLE tenants(id TEXT PRIMARY KEY, name); INSERT INTO tenants VALUES ('north', 'N'), ('south', 'S');"
NORTH = {"table": "tenants", "keys": ["north"], "columns": ["tenant_id"]}


class Target:
    """A file that is backed up once, damaged, and restored."""

    def __init__(self, folder: Path, sql: str) -> None:
        self.path = folder / "live.sqlite"
        self.store: Options = {"provider": "directory", "path": str(folder / "store")}
        self.run(sql)
        run_module("d1_backup", {"path": str(self.path), "source": "s", "store": self.store})

    def run(self, sql: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.executescript(f"PRAGMA foreign_keys = ON; {sql}")
        connection.close()

    def rows(self, sql: str) -> list[t.Any]:
        connection = sqlite3.connect(self.path)
        connection.text_factory = bytes
        found = connection.execute(sql).fetchall()
        connection.close()
        return [tuple(x.decode() if isinstance(x, bytes) else x for x in row) for row in found]

    def restore(self, **options: t.Any) -> Options:
        requested = {"path": str(self.path), "source": "s", "store": self.store, "recovery_environment": "sandbox"}
        tenant = dict(options.pop("tenant", None) or {})
        if not tenant and options.get("tier") != "undo":
            return run_module("d1_restore", {**requested, **options})
        if tenant:
            options = {"mode": tenant.pop("mode", "merge"), "tenant": tenant, **options}
        return run_module("d1_restore_rows", {**requested, "reason": "a drill", **options})

    def refused(self, **options: t.Any) -> str:
        before = self.dump()
        with pytest.raises(ModuleFailed) as caught:
            self.restore(**options)
        assert self.dump() == before
        return str(caught.value.result["error_kind"])

    def dump(self) -> list[str]:
        connection = sqlite3.connect(self.path)
        found = list(connection.iterdump())
        connection.close()
        return found


@pytest.fixture
def target(tmp_path: Path) -> t.Callable[[str], Target]:
    return lambda sql: Target(tmp_path, sql)


Make = t.Callable[[str], Target]


@pytest.mark.parametrize("mode", ["missing", "merge", "exact"])
def test_a_number_that_another_tenant_got_is_a_conflict(target: Make, mode: str) -> None:
    here = target(
        TENANTS + "CREATE TABLE b(id INTEGER PRIMARY KEY, tenant_id TEXT, note);"
        "INSERT INTO b VALUES (1, 'south', 's'), (2, 'north', 'n')"
    )
    here.run("DELETE FROM b WHERE tenant_id = 'north'; INSERT INTO b(tenant_id, note) VALUES ('south', 'new of south')")
    assert here.refused(tenant={**NORTH, "mode": mode}) == "conflict"


def test_a_row_that_was_moved_to_another_tenant_is_a_conflict(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, v); INSERT INTO u VALUES ('1', 'north', 1)"
    )
    here.run("UPDATE u SET tenant_id = 'south', v = 'moved now'")
    assert here.refused(tenant=NORTH) == "conflict"


def test_a_row_whose_reference_was_only_emptied_comes_back(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id REFERENCES tenants(id));"
        "CREATE TABLE b(id INTEGER PRIMARY KEY, u REFERENCES u(id) ON DELETE SET NULL);"
        "INSERT INTO u VALUES ('u1', 'north'); INSERT INTO b VALUES (1, 'u1')"
    )
    here.run("DELETE FROM u")
    here.restore(tenant=NORTH)
    assert here.rows("SELECT * FROM b") == [(1, "u1")]


def test_a_table_that_replaces_on_conflict_loses_no_row_of_other_tenants(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, email TEXT UNIQUE ON CONFLICT REPLACE);"
        "INSERT INTO u VALUES ('n1', 'north', 'a@x')"
    )
    here.run("DELETE FROM u WHERE id = 'n1'; INSERT INTO u VALUES ('s2', 'south', 'a@x')")
    assert here.refused(tenant=NORTH) == "conflict"


def test_another_tenant_that_refers_to_a_row_of_this_one_is_not_taken_along(target: Make) -> None:
    here = target(
        "CREATE TABLE tenants(id TEXT PRIMARY KEY, name, created_by TEXT REFERENCES users(id));"
        "CREATE TABLE users(id TEXT PRIMARY KEY, tenant_id TEXT REFERENCES tenants(id));"
        "CREATE TABLE b(id INTEGER PRIMARY KEY, tenant_id TEXT REFERENCES tenants(id), v);"
        "INSERT INTO tenants VALUES ('north', 'N', NULL); INSERT INTO users VALUES ('n1', 'north');"
        "INSERT INTO tenants VALUES ('south', 'S', 'n1'); INSERT INTO b VALUES (2, 'south', 'y')"
    )
    here.run(
        "UPDATE tenants SET name = 'South Ltd' WHERE id = 'south'; UPDATE b SET v = 'paid';"
        "INSERT INTO b VALUES (3, 'south', 'new'); UPDATE tenants SET name = 'x' WHERE id = 'north'"
    )
    here.restore(tenant={**NORTH, "mode": "exact"})
    assert here.rows("SELECT name FROM tenants ORDER BY id") == [("N",), ("South Ltd",)]
    assert here.rows("SELECT id, v FROM b ORDER BY id") == [(2, "paid"), (3, "new")]


def test_integer_primary_key_desc_is_no_row_number(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id INTEGER PRIMARY KEY DESC, tenant_id TEXT, v);"
        "INSERT INTO u(rowid, id, tenant_id, v) VALUES (5, 10, 'north', 1), (9, 20, 'south', 2), (77, 30, 'north', 3)"
    )
    here.run("DELETE FROM u WHERE id = 30; INSERT INTO u VALUES (40, 'south', 's40')")
    here.restore(tenant=NORTH)
    assert here.rows("SELECT id, tenant_id FROM u ORDER BY id") == [
        (10, "north"),
        (20, "south"),
        (30, "north"),
        (40, "south"),
    ]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("id TEXT PRIMARY KEY, v", "CAST(x'61' || CAST(printf('%03d', n) AS BLOB) || x'ff' AS TEXT)"),
        (
            "id TEXT COLLATE NOCASE, v, PRIMARY KEY (id COLLATE BINARY)",
            "'A' || printf('%03d', n / 2) || iif(n % 2, 'x', 'X')",
        ),
    ],
)
def test_no_row_is_lost_between_pages_whatever_its_key_is(target: Make, tmp_path: Path, schema: str, text: str) -> None:
    here = target(
        f"CREATE TABLE u({schema}) WITHOUT ROWID; WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c"
        f" WHERE n < 40) INSERT INTO u SELECT {text}, n FROM c"
    )
    done = here.restore(path=str(tmp_path / "back.sqlite"))
    assert done["rows"] == 40
    back = sqlite3.connect(tmp_path / "back.sqlite")
    assert back.execute("SELECT count(*), sum(v) FROM u").fetchone() == (40, 820)


def test_a_key_of_another_type_or_case_finds_what_refers_to_it(target: Make) -> None:
    here = target(
        "CREATE TABLE tenants(id INTEGER PRIMARY KEY); INSERT INTO tenants VALUES (1), (2);"
        "CREATE TABLE log(id INTEGER PRIMARY KEY, tenant_id, what);"
        "INSERT INTO log VALUES (1, 1, 'a'), (2, '1', 'b'), (3, 2, 'c');"
        "CREATE TABLE doc(id INTEGER PRIMARY KEY, data, tenant_id TEXT AS (json_extract(data, '$.t')));"
        "INSERT INTO doc(id, data) VALUES (1, '{\"t\": 1}'), (2, '{\"t\": 2}')"
    )
    here.run("DELETE FROM log; DELETE FROM doc")
    here.restore(tenant={"table": "tenants", "keys": ["1"], "columns": ["tenant_id"]})
    assert here.rows("SELECT id FROM log ORDER BY id") == [(1,), (2,)]
    assert here.rows("SELECT id FROM doc") == [(1,)]


def test_references_are_followed_as_the_parent_compares(target: Make) -> None:
    here = target(
        "CREATE TABLE tenants(id TEXT PRIMARY KEY COLLATE NOCASE); INSERT INTO tenants VALUES ('north');"
        "CREATE TABLE u(id INTEGER PRIMARY KEY, t TEXT REFERENCES tenants(id));"
        "INSERT INTO u VALUES (1, 'NORTH'), (2, 'north')"
    )
    here.run("DELETE FROM u")
    here.restore(tenant={"table": "tenants", "keys": ["North"]})
    assert here.rows("SELECT * FROM u ORDER BY id") == [(1, "NORTH"), (2, "north")]


def test_tenants_that_differ_by_case_alone_are_two(target: Make) -> None:
    here = target(
        "CREATE TABLE tenants(id TEXT PRIMARY KEY); INSERT INTO tenants VALUES ('Ab'), ('aB');"
        "CREATE TABLE u(id INTEGER PRIMARY KEY, tenant_id TEXT COLLATE NOCASE, v);"
        "INSERT INTO u VALUES (1, 'Ab', 1), (2, 'aB', 2)"
    )
    here.run("UPDATE u SET v = 'changed'; INSERT INTO u VALUES (3, 'aB', 'new')")
    here.restore(tenant={"table": "tenants", "keys": ["Ab"], "columns": ["tenant_id"], "mode": "exact"})
    assert here.rows("SELECT id, v FROM u ORDER BY id") == [(1, 1), (2, "changed"), (3, "new")]


def test_a_delete_that_cascades_to_another_tenant_is_a_conflict(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE p(id TEXT PRIMARY KEY COLLATE NOCASE, tenant_id);"
        "CREATE TABLE c(id INTEGER PRIMARY KEY, tenant_id, p TEXT REFERENCES p(id) ON DELETE CASCADE)"
    )
    here.run("INSERT INTO p VALUES ('New', 'north'); INSERT INTO c VALUES (1, 'south', 'new')")
    assert here.refused(tenant={**NORTH, "mode": "exact"}) == "conflict"


def test_an_update_that_cascades_to_another_tenant_is_a_conflict(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE p(id TEXT PRIMARY KEY, tenant_id TEXT, code TEXT UNIQUE);"
        "INSERT INTO p VALUES ('p1', 'north', 'A');"
        "CREATE TABLE c(id INTEGER PRIMARY KEY, who TEXT, code TEXT REFERENCES p(code) ON UPDATE SET NULL)"
    )
    here.run(
        "UPDATE p SET code = 'B'; INSERT INTO tenants VALUES ('west', 'W'); INSERT INTO c VALUES (1, 'south', 'B')"
    )
    here.run("ALTER TABLE c ADD COLUMN tenant_id TEXT; UPDATE c SET tenant_id = 'south'")
    assert here.refused(tenant=NORTH) == "conflict"


def test_rows_identified_by_number_are_undone_by_number(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, v);"
        "INSERT INTO u VALUES (NULL, 'north', 'null'), ('1', 'south', 's1'), ('2', 'south', 's2'), ('n', 'north', 'n')"
    )
    here.run("DELETE FROM u WHERE tenant_id = 'north'")
    done = here.restore(tenant=NORTH)
    here.run("DELETE FROM u WHERE id IS NULL")
    here.restore(**done["undo"])
    assert here.rows("SELECT id FROM u ORDER BY id") == [("1",), ("2",)]


@pytest.mark.parametrize("value", ["9e999", "CAST(x'61ff' AS TEXT)", "x'00ff'", "1.5", "9223372036854775807"])
def test_whatever_the_key_is_the_undo_finds_it(target: Make, value: str) -> None:
    here = target(
        TENANTS
        + f"CREATE TABLE u(id PRIMARY KEY, tenant_id TEXT) WITHOUT ROWID; INSERT INTO u VALUES ({value}, 'north')"
    )
    here.run("DELETE FROM u")
    done = here.restore(tenant=NORTH)
    assert here.rows("SELECT count(*) FROM u") == [(1,)]
    here.restore(**done["undo"])
    assert here.rows("SELECT count(*) FROM u") == [(0,)]


def test_parents_without_a_primary_key_come_along_and_go_again(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE plans(code TEXT UNIQUE, v, up TEXT REFERENCES plans(code));"
        "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, plan TEXT REFERENCES plans(code));"
        "INSERT INTO plans VALUES ('gold', 1, NULL), ('free', 2, 'gold'); INSERT INTO u VALUES ('n', 'north', 'free')"
    )
    here.run(
        "DELETE FROM u; DELETE FROM plans WHERE code = 'free'; DELETE FROM plans;"
        "INSERT INTO plans VALUES ('other', 3, NULL)"
    )
    done = here.restore(tenant=NORTH)
    assert here.rows("SELECT code FROM plans ORDER BY code") == [("free",), ("gold",), ("other",)]
    here.restore(**done["undo"])
    assert here.rows("SELECT code FROM plans") == [("other",)]


def test_a_parent_that_is_there_is_not_written_again(target: Make) -> None:
    here = target(
        "CREATE TABLE tenants(id INTEGER PRIMARY KEY); INSERT INTO tenants VALUES (1);"
        "CREATE TABLE plans(id TEXT PRIMARY KEY COLLATE NOCASE); INSERT INTO plans VALUES ('gold');"
        "CREATE TABLE u(id INTEGER PRIMARY KEY, tenant_id TEXT REFERENCES tenants(id), plan TEXT REFERENCES plans(id));"
        "INSERT INTO u VALUES (1, '1', 'Gold')"
    )
    here.run("DELETE FROM u")
    here.restore(tenant={"table": "tenants", "keys": [1]})
    assert here.rows("SELECT plan FROM u") == [("Gold",)]


@pytest.mark.parametrize("name", ["-wal", "-journal", "-shm"])
def test_files_of_an_earlier_database_are_not_taken_into_a_new_one(target: Make, name: str) -> None:
    here = target(TENANTS)
    here.path.unlink()
    Path(f"{here.path}{name}").write_bytes(b"old")
    with pytest.raises(ModuleFailed, match="earlier database"):
        here.restore()
    assert not here.path.exists()


@pytest.mark.parametrize(
    "text", ["", "SELECT 1;", "-- nothing", "CREATE TABLE t (x); CREATE TABLE u (y)", "CREATE TEMP TABLE t (x);"]
)
def test_a_dump_that_is_empty_or_cut_off_replaces_nothing(target: Make, tmp_path: Path, text: str) -> None:
    here = target(TENANTS)
    dump = tmp_path / "dump.sql"
    dump.write_text(text)
    before = here.dump()
    with pytest.raises(ModuleFailed) as caught:
        requested = {"path": str(here.path), "src": str(dump), "mode": "in_place", "recovery_environment": "sandbox"}
        run_module("d1_restore", requested)
    assert (caught.value.result["error_kind"], here.dump()) == ("damaged", before)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE w(id INTEGER PRIMARY KEY); ALTER TABLE u ADD COLUMN w_id INTEGER REFERENCES w(id)",
        "CREATE TABLE g(id INTEGER PRIMARY KEY, x AS (id) UNIQUE);"
        "CREATE TABLE h(x REFERENCES g(x), y REFERENCES g(nope))",
    ],
)
def test_references_that_came_later_or_are_odd_do_no_harm(target: Make, change: str) -> None:
    here = target(TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT); INSERT INTO u VALUES ('n', 'north')")
    here.run(f"DELETE FROM u; {change}")
    here.restore(tenant=NORTH)
    assert here.rows("SELECT id FROM u") == [("n",)]


def test_a_value_that_a_stray_row_holds_comes_back_in_mode_exact(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, email TEXT UNIQUE, boss TEXT REFERENCES u(id));"
        "INSERT INTO u VALUES ('n1', 'north', 'a@x', NULL), ('n2', 'north', 'b@x', 'n1')"
    )
    here.run(
        "UPDATE u SET email = 'c@x' WHERE id = 'n1'; INSERT INTO u VALUES ('n9', 'north', 'a@x', NULL);"
        "UPDATE u SET boss = 'n9' WHERE id = 'n2'"
    )
    here.restore(tenant={**NORTH, "mode": "exact"})
    assert here.rows("SELECT id, email, boss FROM u ORDER BY id") == [("n1", "a@x", None), ("n2", "b@x", "n1")]


def test_long_values_keep_their_rules_and_their_index(target: Make) -> None:
    here = target(
        TENANTS + "CREATE TABLE d(id INTEGER PRIMARY KEY, tenant_id TEXT, j TEXT CHECK (json_valid(j)));"
        "CREATE VIRTUAL TABLE f USING fts5(j, content='d', content_rowid='id');"
        "CREATE TRIGGER f_in AFTER INSERT ON d BEGIN INSERT INTO f(rowid, j) VALUES (new.id, new.j); END;"
        "CREATE TRIGGER f_out AFTER DELETE ON d BEGIN INSERT INTO f(f, rowid, j) VALUES ('delete', old.id, old.j); END;"
        "INSERT INTO d VALUES (1, 'north', json_array('needle', hex(zeroblob(60000))))"
    )
    here.run("DELETE FROM d")
    done = here.restore(tenant=NORTH)
    assert here.rows("SELECT rowid FROM f WHERE f MATCH 'needle'") == [(1,)]
    here.restore(**done["undo"])
    assert here.rows("SELECT count(*) FROM d") == [(0,)]


def test_an_undo_touches_nothing_that_was_worked_on_since(target: Make, tmp_path: Path) -> None:
    here = target(
        TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, v); INSERT INTO u VALUES ('n1', 'north', 1)"
    )
    here.run("DELETE FROM u")
    done = here.restore(tenant=NORTH)
    here.run("UPDATE u SET tenant_id = 'south', v = 'worked on since'")
    assert here.refused(**done["undo"]) == "conflict"
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).executescript(TENANTS + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, v)")
    with pytest.raises(ModuleFailed, match="undoes a restore into"):
        here.restore(**done["undo"], path=str(other))
    with pytest.raises(ModuleFailed, match="mode"):
        here.restore(**{**done["undo"], "mode": "in_place"})


def test_a_trigger_that_only_has_the_word_of_a_full_text_table_is_silenced(target: Make) -> None:
    here = target(
        TENANTS
        + "CREATE TABLE u(id TEXT PRIMARY KEY, tenant_id TEXT, v); CREATE TABLE stats(n); INSERT INTO stats VALUES (0);"
        "CREATE VIRTUAL TABLE v USING fts5(x);"
        "CREATE TRIGGER c AFTER INSERT ON u BEGIN UPDATE stats SET n = n + length(new.v); END;"
        "INSERT INTO u VALUES ('n1', 'north', 'x')"
    )
    here.run("DELETE FROM u")
    done = here.restore(tenant=NORTH)
    assert here.rows("SELECT n FROM stats") == [(1,)]
    assert done["not_covered"] == ["v"]


def test_a_copy_beside_a_file_is_for_whom_the_file_is_for(target: Make) -> None:
    here = target(TENANTS + "PRAGMA user_version = 7; PRAGMA application_id = 9;")
    here.run("PRAGMA user_version = 8")
    here.path.chmod(0o600)
    copies = [here.restore(mode="in_place")["previous_path"] for _again in range(2)]
    assert len(set(copies)) == 2
    assert [os.stat(copy).st_mode & 0o777 for copy in copies] == [0o600, 0o600]
    assert (here.rows("PRAGMA user_version"), here.rows("PRAGMA application_id")) == ([(7,)], [(9,)])
    here.path.unlink()
    here.restore()
    assert (here.rows("PRAGMA user_version"), here.rows("PRAGMA application_id")) == ([(7,)], [(9,)])


UUID = "11111111-2222-3333-4444-555555555555"
FACTS = f'{{"uuid": "{UUID}", "name": "x", "bookmark": "b"'


@pytest.mark.parametrize(
    "answer",
    [
        '{"success": true, "result": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"success": true, "result": [1, "x"]}',
        '{"success": true, "result": {"uuid": 5}}',
        '{"success": true, "result": null}',
        '{"success": true, "result": 7, "result_info": {"total_count": "many"}}',
        f'{{"success": true, "result": {FACTS}, "file_size": "large"}}}}',
    ],
)
@pytest.mark.parametrize("module", ["d1_time_travel", "d1_backup"])
def test_an_answer_that_is_not_as_documented_is_refused_by_name(
    answer: str, module: str, folder_store: Options
) -> None:
    with answering(answer.encode()) as url:
        options: Options = {"account_id": "a", "api_token": "t", "api_url": url, "database": UUID, "api_timeout": 2}
        if module == "d1_backup":
            options.update(source="s", store=folder_store)
        with pytest.raises(ModuleFailed) as caught:
            run_module(module, options)

    assert caught.value.result["error_kind"] in ("service_failed", "unreachable"), caught.value.result


@pytest.mark.parametrize(
    "result",
    [
        '[{"results": {"columns": ["type", "name", "sql"], "rows": [["table", "t", "CREATE TABLE t (a); DROP x"]]}},'
        ' {"results": {"columns": ["schema", "name", "type", "wr"], "rows": []}}]',
        '[{"results": {"columns": ["a"], "rows": [[1, 2]]}}, {}]',
        '[{"results": {"columns": ["a"], "rows": [[[999]]]}}, {}]',
        '[{"results": {"columns": ["a"], "rows": [[{}]]}}, {}]',
        '[{"results": 5}, {"meta": 5}]',
        "[]",
    ],
)
def test_rows_that_are_not_as_documented_are_refused_by_name(result: str) -> None:
    with answering(f'{{"success": true, "result": {result}}}'.encode()) as url:
        engine = D1Engine(D1Api(Account("a", "t", url, 2)), UUID, "x")
        with pytest.raises(RecoveryError) as caught:
            read_schema(engine)

    assert caught.value.kind in ("service_failed", "damaged")


def test_an_import_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "statements.sql").write_text("SELECT 1;")
    monkeypatch.setattr(api, "transfer_limit", lambda *_sizes: 1.0)
    with (
        answering(b'{"success": true, "result": {"status": "active", "at_bookmark": "b"}}') as url,
        pytest.raises(RecoveryError, match="did not finish the import") as caught,
    ):
        D1Api(Account("a", "t", url, 2)).import_file(UUID, str(tmp_path / "statements.sql"), "0" * 32)

    assert (caught.value.kind, caught.value.details["applied"]) == ("timeout", "unknown")
