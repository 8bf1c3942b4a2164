# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One tenant is restored with its rows, no row of other tenants is touched, and the restore can be undone."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.rows import OpenedTarget, open_target
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.backup import (
    SqliteBackup,
    SqliteBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.engine import Bound
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.file import FileEngine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.restore_rows.ownership import Tenant
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.restore_rows.restore import (
    RowsRequest,
    RowsRestore,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.statements import split_statements
from ansible_collections.lifeline.recovery.plugins.module_utils._operations import backup as operation
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import find_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.recovery_points import Selection
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import D1Server

Options = dict[str, t.Any]
SANDBOX = Safeguards("sandbox")

#: References to later tables, some by keys and some by a column only, a table without key, full text, and a counter.
STUDIO = """
CREATE TABLE bookings (id INTEGER PRIMARY KEY, tenant_id TEXT, user TEXT REFERENCES users(id), note TEXT);
CREATE TABLE tenants (id TEXT PRIMARY KEY, name TEXT, plan TEXT REFERENCES plans(id), users INTEGER DEFAULT 0);
CREATE TABLE users (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE, email UNIQUE);
CREATE TABLE plans (id TEXT PRIMARY KEY);
CREATE TABLE log (tenant_id TEXT, what);
CREATE TABLE notes (booking INTEGER REFERENCES bookings ON DELETE CASCADE, seq INTEGER, big, PRIMARY KEY (booking, seq))
  WITHOUT ROWID;
CREATE VIRTUAL TABLE found USING fts5(note, content='bookings', content_rowid='id');
CREATE TRIGGER found_in AFTER INSERT ON bookings BEGIN INSERT INTO found(rowid, note) VALUES (new.id, new.note); END;
CREATE TRIGGER found_out AFTER DELETE ON bookings
  BEGIN INSERT INTO found(found, rowid, note) VALUES ('delete', old.id, old.note); END;
CREATE TRIGGER counted AFTER INSERT ON users BEGIN UPDATE tenants SET users = users + 1 WHERE id = new.tenant_id; END;
INSERT INTO plans VALUES ('gold'), ('free');
INSERT INTO tenants(id, name, plan) VALUES ('north', 'N', 'gold'), ('south', 'S', 'free');
INSERT INTO users VALUES ('n1', 'north', 'n1@n'), ('n2', 'north', 'n2@n'), ('s1', 'south', 's1@s');
INSERT INTO bookings VALUES (1, 'north', 'n1', 'yoga'), (2, 'north', 'n2', 'swim'), (3, 'south', 's1', 'yoga'),
  (4, NULL, 'n1', 'odd; -- ''quoted'''), (5, 'north', NULL, NULL);
INSERT INTO notes VALUES (1, 1, 9007199254740993), (1, 2, x'00ff'), (3, 1, 9e999), (4, 7, zeroblob(150000));
INSERT INTO log VALUES ('north', 'in'), ('north', 'in'), ('south', 'in'), ('north', 1.0);
"""
TABLES = ("bookings", "tenants", "users", "plans", "log", "notes")

GONE = """
DELETE FROM notes WHERE booking IN (1, 4); DELETE FROM bookings WHERE tenant_id = 'north' OR user = 'n1';
DELETE FROM users WHERE tenant_id = 'north'; DELETE FROM log WHERE tenant_id = 'north';
DELETE FROM tenants WHERE id = 'north'; DELETE FROM plans WHERE id = 'gold';
INSERT INTO bookings VALUES (9, 'south', 's1', 'new'); INSERT INTO log VALUES ('south', 'after');
"""

NORTH = {"table": "tenants", "keys": ["north"], "columns": ["tenant_id"]}


@pytest.fixture(params=["file", "d1"])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Options:
    """A file, or a database of D1, with the tables of a studio."""
    options: Options = {"path": str(tmp_path / "live.sqlite")}
    if request.param == "d1":
        options = request.getfixturevalue("d1").options(f"studio-{secrets.token_hex(4)}")
        run_module("d1_database", options)
    run(options, STUDIO)
    return options


@pytest.fixture
def file(tmp_path: Path) -> Options:
    options: Options = {"path": str(tmp_path / "live.sqlite")}
    run(options, STUDIO)
    return options


def run(where: Options, sql: str) -> list[Options]:
    return t.cast("list[Options]", run_module("d1_execute", {**where, "sql": sql, "max_rows": 10000})["rows"])


def target_of(where: Options) -> OpenedTarget:
    api = D1Api(Account(where["account_id"], where["api_token"], where["api_url"])) if "api_url" in where else None
    return open_target(api, where.get("database"), where.get("path"))


def state(where: Options) -> list[list[str]]:
    engine = target_of(where).engine
    answers = engine.run([Bound(f"SELECT * FROM {name}", reads_only=True) for name in TABLES])
    engine.close()
    return [sorted(map(str, answer.rows)) for answer in answers]


def name_of(where: Options) -> str:
    return str(where.get("database") or where["path"])


def back_up(where: Options, store: Options) -> None:
    run_module("d1_backup", {**where, "source": "studio", "store": store})


def restore(where: Options, store: Options, *, check_mode: bool = False, **options: t.Any) -> Options:
    requested = {**where, "source": "studio", "store": store, "reason": "a drill", **options}
    if requested.get("mode") == "difference":
        return run_module("d1_restore", requested, check_mode=check_mode)
    tenant = dict(requested.get("tenant") or {})
    if tenant:
        requested.update(mode=tenant.pop("mode", "merge"), references=tenant.pop("references", []), tenant=tenant)
    return run_module("d1_restore_rows", requested, check_mode=check_mode)


def refused(work: t.Callable[[], object]) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        work()
    assert caught.value.result["error_kind"] != "unexpected", caught.value.result
    return caught.value.result


def sums(result: Options) -> tuple[int, ...]:
    return tuple(
        sum(item[word] for item in result.get("changes", result["tables"]))
        for word in ("inserts", "updates", "deletes")
    )


def test_a_deleted_tenant_comes_back_and_can_be_taken_back(original: Options, folder_store: Options) -> None:
    back_up(original, folder_store)
    before = state(original)
    run(original, GONE)
    gone = state(original)
    foreseen = restore(original, folder_store, tenant=NORTH, check_mode=True, _ansible_diff=True)
    assert (state(original), foreseen["undo"], sums(foreseen)) == (gone, {}, (14, 0, 0))
    assert 'users: {"id": "n1", "tenant_id": "north", "email": "n1@n"}\n' in foreseen["diff"]["after"]
    assert foreseen["diff"]["before"] == ""
    done = restore(original, folder_store, tenant=NORTH)
    assert (sums(done), done["rows"], done["changed"]) == ((14, 0, 0), 14, True)
    back = state(original)
    extra = [set(now) - set(then) for now, then in zip(back, before)]
    assert [len(rows) for rows in extra] == [1, 0, 0, 0, 1, 0]
    assert all(set(then) <= set(now) for now, then in zip(back, before))
    # Full text follows its trigger, the counter does not count twice, and both triggers are there again.
    assert run(original, "SELECT rowid AS id FROM found WHERE found MATCH 'swim'") == [{"id": 2}]
    assert run(original, "SELECT users FROM tenants WHERE id = 'north'") == [{"users": 2}]
    names = run(original, "SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    assert [row["name"] for row in names] == ["counted", "found_in", "found_out"]
    again = restore(original, folder_store, tenant=NORTH)
    assert (again["changed"], again["undo"]) == (False, {})
    assert "and the database are equal in" in again["summary"]
    run(original, "UPDATE users SET email = id WHERE tenant_id = 'north'")
    left = restore(original, folder_store, tenant={**NORTH, "mode": "missing"})
    assert left["changed"] is False
    assert "differ from the set and are left unchanged; `mode` merge restores them" in left["summary"]
    run(original, "UPDATE users SET email = id || '@n' WHERE tenant_id = 'north'")
    confirm = name_of(original)
    assert refused(lambda: restore(original, folder_store, **done["undo"]))["error_kind"] == "confirmation_required"
    undone = restore(original, folder_store, **done["undo"], recovery_confirm=confirm)
    assert (state(original), sums(undone)) == (gone, (0, 0, 14))
    again = refused(lambda: restore(original, folder_store, **done["undo"]))
    assert (again["error_kind"], undone["undo"]["set"] in again["msg"]) == ("conflict", True)
    restore(original, folder_store, **undone["undo"], recovery_confirm=confirm)
    assert state(original) == back


def test_later_changes_of_a_tenant_are_replaced_in_mode_exact_only(original: Options, folder_store: Options) -> None:
    back_up(original, folder_store)
    before = state(original)
    run(
        original,
        "INSERT INTO users VALUES ('n9', 'north', 'n9@n'); INSERT INTO bookings VALUES (99, 'north', 'n9', 'stray');"
        "UPDATE users SET email = 'changed' WHERE id = 'n1'; INSERT INTO log VALUES ('north', 'in');"
        "UPDATE bookings SET note = hex(zeroblob(60000)) WHERE id = 2; DELETE FROM users WHERE id = 'n2' AND 0",
    )
    changed = state(original)
    assert sums(restore(original, folder_store, tenant={**NORTH, "mode": "missing"})) == (0, 0, 0)
    merged = restore(original, folder_store, tenant=NORTH, recovery_confirm=name_of(original))
    assert sums(merged) == (0, 3, 0)
    requested = {"tenant": {**NORTH, "mode": "exact"}, "recovery_confirm": name_of(original)}
    limited = refused(lambda: restore(original, folder_store, **requested, max_deletes=2))
    assert (limited["error_kind"], "`max_deletes` to 3" in limited["msg"]) == ("limit_exceeded", True)
    done = restore(original, folder_store, **requested)
    assert (sums(done), state(original)) == ((0, 0, 3), before)
    for undo in (done["undo"], merged["undo"]):
        restore(original, folder_store, **undo, recovery_confirm=name_of(original))
    assert state(original) == changed


def test_the_difference_of_a_whole_database_is_all_that_is_written(original: Options, folder_store: Options) -> None:
    back_up(original, folder_store)
    before = state(original)
    run(original, GONE)
    foreseen = restore(original, folder_store, mode="difference", check_mode=True)
    done = restore(original, folder_store, mode="difference", recovery_confirm=foreseen["plan_digest"])
    assert (sums(done), state(original)) == ((14, 0, 2), before)
    run(original, "ALTER TABLE log DROP COLUMN what")
    assert refused(lambda: restore(original, folder_store, mode="difference"))["error_kind"] == "schema_drift"


def test_a_large_tenant_comes_back_by_one_import(d1: D1Server, folder_store: Options) -> None:
    original = d1.options(f"large-{secrets.token_hex(4)}")
    run_module("d1_database", original)
    run(
        original,
        "CREATE TABLE tenants (id INTEGER PRIMARY KEY, name); CREATE TABLE users (id INTEGER PRIMARY KEY,"
        "tenant INTEGER REFERENCES tenants(id) ON DELETE CASCADE, name); INSERT INTO tenants VALUES (1, 1), (2, 2);"
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9000)"
        "INSERT INTO users SELECT n, 1 + n % 2, 'user ' || n FROM c",
    )
    back_up(original, folder_store)
    before = run(original, "SELECT * FROM users ORDER BY id")
    run(original, "DELETE FROM tenants WHERE id = 1")
    d1.rules()
    # A key that a template made a text of is found as well.
    done = restore(original, folder_store, tenant={"table": "tenants", "keys": ["1"]})
    assert (done["rows"], "POST import" in d1.requests()) == (4501, True)
    assert run(original, "SELECT * FROM users ORDER BY id") == before
    assert len(d1.requests()) < 80


def test_rows_by_key_come_back_with_the_closure_that_is_asked_for(original: Options, folder_store: Options) -> None:
    back_up(original, folder_store)
    run(original, GONE)
    gone = state(original)
    keys = {"users": ["n1", "none"]}
    children = [{"table": "log", "columns": ["tenant_id"], "parent": "users", "parent_columns": ["tenant_id"]}]
    found = {}
    for closure in ("parents", "children", "both"):
        options = {"keys": keys, "closure": closure, "references": children}
        done = restore(original, folder_store, **options, check_mode=True)
        found[closure] = {item["table"]: item["inserts"] for item in done["tables"] if item["inserts"]}
        assert done["missing_keys"] == {"users": {"missing": 1, "wanted": 2, "keys": ["'none'"]}}
        assert "Not in the set: 1 of 2 keys of users: 'none'." in done["summary"]
    assert found["parents"] == {"users": 1, "tenants": 1, "plans": 1}
    assert found["children"] == {"users": 1, "bookings": 2, "notes": 3, "log": 3}
    # By the reference of the options, the log refers to both users of the tenant.
    assert found["both"] == {**found["children"], **found["parents"], "users": 2}
    done = restore(original, folder_store, keys=keys, closure="both")
    assert (sums(done), done["undo"]["mode"]) == ((8, 0, 0), "exact")
    again = restore(original, folder_store, keys=keys, closure="both")
    assert (again["changed"], "are equal in 6 rows" in again["unchanged"]["reason"]) == (False, True)
    undone = restore(original, folder_store, **done["undo"], recovery_confirm=name_of(original))
    assert (state(original), sums(undone)) == (gone, (0, 0, 8))


def test_only_selected_rows_change_and_a_limit_counts_only_these(file: Options, folder_store: Options) -> None:
    back_up(file, folder_store)
    before = state(file)
    run(file, "UPDATE plans SET id = id; INSERT INTO plans VALUES ('new'), ('newer'); DELETE FROM log")
    confirm = {"recovery_confirm": name_of(file)}
    plans = {"tables": ["plans"], "mode": "exact"}
    limited = refused(lambda: restore(file, folder_store, **plans, **confirm, max_deletes=1))
    assert (limited["error_kind"], "`max_deletes` allows 1" in limited["msg"]) == ("limit_exceeded", True)
    planned = refused(lambda: restore(file, folder_store, **plans, plan_only=True))
    assert planned["error_kind"] == "confirmation_required"
    foreseen = restore(file, folder_store, **plans, **confirm, plan_only=True)
    assert (foreseen["changed"], foreseen["undo"], sums(foreseen)) == (True, {}, (0, 0, 2))
    assert sums(restore(file, folder_store, **plans, **confirm)) == (0, 0, 2)
    by_column = {"log": {"columns": ["tenant_id"], "values": ["south"]}}
    assert sums(restore(file, folder_store, keys=by_column)) == (1, 0, 0)
    assert sums(restore(file, folder_store, tables=["log"])) == (3, 0, 0)
    assert state(file) == before
    for options in (
        {},
        {"tables": ["plans"], "tenant": NORTH},
        {"keys": {"log": [1]}},
        {"keys": {"plans": []}},
        {"keys": {"plans": {"columns": ["id"]}}},
        {"tables": ["nobody"]},
    ):
        assert (
            refused(lambda options=options: restore(file, folder_store, **options))["error_kind"] == "invalid_options"
        )


@pytest.mark.parametrize(
    ("tenant", "kind", "message"),
    [
        ({"table": "absent", "keys": [1]}, "invalid_options", "no table absent"),
        ({"table": "tenants", "keys": []}, "invalid_options", "as many values"),
        ({"table": "tenants", "keys": [["north", 1]]}, "invalid_options", "as many values"),
        ({"table": "tenants", "keys": ["north", "west"]}, "invalid_options", "no row of tenants with the key 'west'"),
        ({"table": "tenants", "keys": [True]}, "invalid_options", "true or false"),
        ({"table": "log", "keys": [1]}, "invalid_options", "primary key (none)"),
        ({**NORTH, "columns": ["tenantid"]}, "invalid_options", "has a column tenantid"),
        (
            {
                **NORTH,
                "references": [{"table": "log", "columns": ["x"], "parent": "tenants", "parent_columns": ["id"]}],
            },
            "invalid_options",
            "no column x",
        ),
        (
            {**NORTH, "references": [{"table": "log", "columns": [], "parent": "tenants", "parent_columns": ["id"]}]},
            "invalid_options",
            "0 columns for 1",
        ),
        ({"table": "tenants", "keys": ["x' OR '1'='1"]}, "invalid_options", "no row of tenants"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused_in_a_sentence(
    file: Options, folder_store: Options, tenant: Options, kind: str, message: str
) -> None:
    back_up(file, folder_store)
    run(file, GONE)
    gone = state(file)
    result = refused(lambda: restore(file, folder_store, tenant=tenant))
    assert (result["error_kind"], message in result["msg"]) == (kind, True), result["msg"]
    assert state(file) == gone


@pytest.mark.parametrize(
    ("damage", "mode", "kind", "message"),
    [
        ("DROP TABLE notes", "merge", "schema_drift", "no table notes"),
        ("ALTER TABLE users RENAME COLUMN email TO mail", "merge", "schema_drift", "no column email"),
        (
            "DELETE FROM users WHERE id = 'n1'; INSERT INTO users VALUES ('s9', 'south', 'n1@n')",
            "merge",
            "conflict",
            "UNIQUE",
        ),
        (
            "INSERT INTO users VALUES ('n9', 'north', NULL);"
            "CREATE TABLE later (id INTEGER PRIMARY KEY, user REFERENCES users(id) ON DELETE CASCADE);"
            "INSERT INTO later VALUES (1, 'n9')",
            "exact",
            "conflict",
            "1 live rows of later refer",
        ),
    ],
)
def test_obstacles_are_named_and_nothing_is_changed(
    file: Options, folder_store: Options, damage: str, mode: str, kind: str, message: str
) -> None:
    back_up(file, folder_store)
    run(file, f"DELETE FROM bookings WHERE user = 'n1'; {damage}")
    held = b"".join(line.encode() for line in sqlite3.connect(file["path"]).iterdump() if "sqlite_stat" not in line)
    result = refused(
        lambda: restore(file, folder_store, tenant={**NORTH, "mode": mode}, recovery_confirm=name_of(file))
    )
    assert (result["error_kind"], message in result["msg"]) == (kind, True), result["msg"]
    assert "Nothing was changed." in result["msg"]
    assert b"".join(line.encode() for line in sqlite3.connect(file["path"]).iterdump()) == held


def test_columns_that_came_later_keep_what_they_hold(file: Options, folder_store: Options) -> None:
    back_up(file, folder_store)
    run(
        file,
        "ALTER TABLE users ADD COLUMN color DEFAULT 'blue';UPDATE users SET email = 'x', color = 'red' WHERE id = 'n1'",
    )
    run(file, "DELETE FROM bookings WHERE user = 'n2'; DELETE FROM users WHERE id = 'n2'")
    done = restore(file, folder_store, tenant=NORTH, recovery_confirm=name_of(file))
    assert run(file, "SELECT id, email, color FROM users WHERE tenant_id = 'north' ORDER BY id") == [
        {"id": "n1", "email": "n1@n", "color": "red"},
        {"id": "n2", "email": "n2@n", "color": "blue"},
    ]
    restore(file, folder_store, **done["undo"], recovery_confirm=name_of(file))
    assert run(file, "SELECT id, email, color FROM users WHERE tenant_id = 'north'") == [
        {"id": "n1", "email": "x", "color": "red"}
    ]


def test_a_row_that_was_given_to_the_tenant_since_is_left_alone(file: Options, folder_store: Options) -> None:
    back_up(file, folder_store)
    run(file, "UPDATE bookings SET tenant_id = 'north' WHERE id = 3")
    done = restore(file, folder_store, tenant={**NORTH, "mode": "exact"})
    assert (done["changed"], [item["elsewhere"] for item in done["tables"] if item["table"] == "bookings"]) == (
        False,
        [1],
    )


def test_triggers_fire_on_request_and_the_proof_reports_it(file: Options, folder_store: Options) -> None:
    back_up(file, folder_store)
    run(file, GONE)
    result = refused(lambda: restore(file, folder_store, tenant=NORTH, triggers="fire"))
    assert (result["error_kind"], "rows of tenants" in result["msg"]) == ("not_equal", True)
    assert run(file, "SELECT users FROM tenants WHERE id = 'north'") == [{"users": 4}]


def test_rows_without_a_key_do_not_take_the_number_of_others(file: Options, folder_store: Options) -> None:
    back_up(file, folder_store)
    run(
        file,
        "DELETE FROM log WHERE tenant_id = 'north';INSERT INTO log(rowid, tenant_id, what) VALUES (1, 'south', 'mine')",
    )
    done = restore(file, folder_store, tenant=NORTH)
    rows = run(file, "SELECT tenant_id, what FROM log WHERE tenant_id = 'north' ORDER BY what")
    assert [row["what"] for row in rows] == [1.0, "in", "in"]
    restore(file, folder_store, **done["undo"], recovery_confirm=name_of(file))
    assert run(file, "SELECT tenant_id, what FROM log ORDER BY what") == [
        {"tenant_id": "south", "what": "in"},
        {"tenant_id": "south", "what": "mine"},
    ]


def test_an_undo_set_is_no_backup(file: Options, folder_store: Options, tmp_path: Path) -> None:
    back_up(file, folder_store)
    run(file, GONE)
    done = restore(file, folder_store, tenant=NORTH)
    undo = {"set": done["undo"]["set"], "tier": "undo", "source": "studio", "store": folder_store}
    assert run_module("backup_verify", {**undo, "depth": "decode"})["rows"] == 0
    listed = run_module("backup_info", {"source": "studio", "store": folder_store})["sets"]
    assert [(item["tier"], item["tables"]) for item in listed] == [("undo", 6), ("daily", 6)]
    assert refused(lambda: restore(file, folder_store, **done["undo"], tenant=NORTH))["error_kind"] == "invalid_options"
    missing = {"path": str(tmp_path / "missing.sqlite")}
    assert refused(lambda: restore(missing, folder_store, tenant=NORTH))["error_kind"] == "target_missing"
    returned = run_module("audit_info", {"source": "studio", "store": folder_store})["records"]
    assert {item["operation_type"] for item in returned} >= {"restore_rows", "backup"}


FAULTS = [
    {"before": "503"},
    {"before": "reset"},
    {"before": "429"},
    {"after": "503"},
    {"after": "reset"},
    {"after": "overloaded"},
    {"drop": "before"},
    {"drop": "after"},
    {"before": "denied"},
]


@pytest.mark.parametrize(("number", "fault"), list(enumerate(FAULTS)), ids=str)
def test_after_a_fault_at_any_request_the_tenant_is_there_or_not(
    d1: D1Server, tmp_path: Path, number: int, fault: Options
) -> None:
    original = d1.options(f"faulty-{secrets.token_hex(4)}")
    run_module("d1_database", original)
    run(original, STUDIO)
    store = DirectoryStore(str(tmp_path / "store"))
    operation.back_up(SqliteBackup(target_of(original).engine, SqliteBackupRequest("studio")), store)
    run(original, GONE)

    def restore_here() -> None:
        # Sets are named by the second, and this is quicker.
        shutil.rmtree(tmp_path / "store" / "studio" / "undo", ignore_errors=True)
        request = RowsRequest("studio", Tenant("tenants", ["north"], ["tenant_id"]), mode="merge", safeguards=SANDBOX)
        perform(RowsRestore(store, find_set(store, "studio", Selection()), target_of(original), request))

    lost = [Bound(item.text) for item in split_statements(GONE) if "after" not in item.text and "new" not in item.text]
    gone = state(original)
    d1.rules()
    restore_here()
    asked, back = len(d1.requests()), state(original)
    # Each fault at every third request, all of them together at every one.
    for at in range(1 + number % 3, asked + 1, 3):
        target_of(original).engine.run(lost)
        assert state(original) == gone
        d1.rules({"at": at, **fault})
        try:
            restore_here()
            d1.rules()
            assert state(original) == back
        except RecoveryError as error:
            d1.rules()
            now = state(original)
            assert now in (gone, back), at
            assert ("Nothing was changed" in str(error)) <= (now == gone), str(error)
            restore_here()
            assert state(original) == back


def test_a_restore_meets_a_tenant_that_is_at_work(file: Options, tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    operation.back_up(SqliteBackup(FileEngine(file["path"]), SqliteBackupRequest("studio")), store)
    run(file, GONE)
    target = open_target(None, None, file["path"])
    other = sqlite3.connect(file["path"], isolation_level=None)
    asked = 0

    class Restless:
        """The live file, which another session writes to after it was compared."""

        limits, location, loses_bytes, identity = target.engine.limits, target.engine.location, False, None
        run, bookmark, close = target.engine.run, target.engine.bookmark, target.engine.close

        def state(self) -> str:
            nonlocal asked
            asked += 1
            if asked == 2:
                other.execute("INSERT INTO plans VALUES ('gold')")
            return target.engine.state()

    manifest = find_set(store, "studio", Selection("latest"))
    request = RowsRequest("studio", Tenant("tenants", ["north"], ["tenant_id"]), mode="merge")
    with pytest.raises(RecoveryError) as caught:
        perform(RowsRestore(store, manifest, target._replace(engine=Restless()), request))
    assert caught.value.kind == "inconsistent", caught.value
    assert other.execute("SELECT count(*) FROM tenants").fetchone() == (1,)


#: Tenants share tables; a row refers to its parent, to another row of its own table, or to nothing.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2), st.one_of(st.none(), st.integers(0, 9)), st.sampled_from(["x", "y", None, 1, 1.5, b"z"])
    ),
    max_size=14,
)
DAMAGE = st.lists(st.tuples(st.sampled_from("dui"), st.integers(0, 13), st.integers(0, 2)), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, damage=DAMAGE)
def test_after_any_change_mode_exact_restores_the_tenant_and_undo_reverts_it(
    tmp_path: Path, rows: list[tuple[int, int | None, t.Any]], damage: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path / secrets.token_hex(4)
    folder.mkdir()
    path = str(folder / "live.sqlite")
    made = sqlite3.connect(path, isolation_level=None)
    made.executescript(
        "CREATE TABLE tenant (id INTEGER PRIMARY KEY); INSERT INTO tenant VALUES (0), (1), (2);"
        "CREATE TABLE item (id TEXT PRIMARY KEY, tenant INTEGER REFERENCES tenant(id), up TEXT REFERENCES item(id), v);"
        "CREATE TABLE loose (tenant INTEGER, v)"
    )
    for number, (tenant, up, value) in enumerate(rows):
        parent = f"i{up}" if up is not None and up < number and rows[up][0] == tenant else None
        made.execute("INSERT INTO item VALUES (?, ?, ?, ?)", (f"i{number}", tenant, parent, value))
        made.execute("INSERT INTO loose VALUES (?, ?)", (tenant, value))
    store = DirectoryStore(str(folder / "store"))
    operation.back_up(SqliteBackup(FileEngine(path), SqliteBackupRequest("s")), store)

    def held(where: str) -> list[t.Any]:
        item = made.execute(f"SELECT id, tenant, up, v, typeof(v) FROM item WHERE {where}").fetchall()
        loose = made.execute(f"SELECT tenant, v, typeof(v) FROM loose WHERE {where}").fetchall()
        return [sorted(map(str, item)), sorted(map(str, loose))]

    before = held("tenant = 1")
    for kind, number, tenant in damage:
        if kind == "d":
            made.execute("UPDATE item SET up = NULL WHERE up = ?", (f"i{number}",))
            made.execute("DELETE FROM item WHERE id = ?", (f"i{number}",))
            made.execute("DELETE FROM loose WHERE rowid = ?", (number + 1,))
        elif kind == "u":
            made.execute("UPDATE item SET v = 'changed' WHERE id = ?", (f"i{number}",))
        else:
            made.execute("INSERT INTO item VALUES (hex(randomblob(8)), ?, NULL, 'new')", (tenant,))
            made.execute("INSERT INTO loose VALUES (?, 'new')", (tenant,))
    damaged, others = held("1"), held("tenant <> 1")
    target = open_target(None, None, path)
    requested = RowsRequest("s", Tenant("tenant", [1], ["tenant"]), mode="exact", safeguards=SANDBOX)
    done = perform(RowsRestore(store, find_set(store, "s", Selection("latest")), target, requested))
    assert (held("tenant = 1"), held("tenant <> 1")) == (before, others)
    assert made.execute("PRAGMA foreign_key_check").fetchall() == []
    if done.undo:
        undo = find_set(store, "s", Selection(done.undo["set"], tier="undo"))
        back = RowsRequest("s", safeguards=SANDBOX)
        perform(RowsRestore(store, undo, target, back))
    assert held("1") == damaged
