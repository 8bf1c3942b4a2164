# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL on D1 and on a file: the same result, exact values, and certainty about what was applied."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.api import D1Api
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.d1.engine import D1Engine
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.sqlite.execute import ExecuteRequest, execute
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.d1 import D1Server

Options = dict[str, t.Any]


@pytest.fixture
def database(d1: D1Server) -> t.Iterator[Options]:
    """A new database on workerd."""
    d1.rules()
    options = d1.options(f"school-{secrets.token_hex(4)}")
    run_module("d1_database", options)
    yield options
    d1.rules()
    run_module("d1_database", {**options, "state": "absent", "recovery_environment": "sandbox"})


@pytest.fixture(params=["workerd", "file"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Options:
    if request.param == "file":
        return {"path": str(tmp_path / "school.sqlite")}
    options: Options = request.getfixturevalue("database")
    return options


def run(where: Options, sql: str, *, check_mode: bool = False, **options: t.Any) -> Options:
    return run_module("d1_execute", {**where, "sql": sql, **options}, check_mode=check_mode)


def refused(where: Options, sql: str, **options: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        run(where, sql, **options)
    assert caught.value.result["error_kind"] != "unexpected", caught.value.result
    if where.get("api_token"):
        assert where["api_token"] not in json.dumps(caught.value.result)
    return caught.value.result


def value_of(where: Options, sql: str, **options: t.Any) -> t.Any:
    (row,) = run(where, sql, **options)["rows"]
    (value,) = row.values()
    return value


def test_statements_run_and_return_their_changes(either: Options) -> None:
    made = run(
        either,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); -- a comment; with a semicolon\n"
        "INSERT INTO t (x) VALUES ('a;b'), ('c');\nSELECT id, x FROM t ORDER BY id",
    )
    assert (made["changed"], made["changes"], made["batches"]) == (True, 2, 1)
    assert made["rows"] == [{"id": 1, "x": "a;b"}, {"id": 2, "x": "c"}]
    assert [item["kind"] for item in made["statements"]] == ["schema", "write", "read"]
    assert [item["line"] for item in made["statements"]] == [1, 2, 3]
    read = run(either, "SELECT count(*) AS n FROM t", read_only=True)
    assert (read["changed"], read["rows"]) == (False, [{"n": 2}])
    assert run(either, "UPDATE t SET x = 'z' WHERE id = 99")["changed"] is False


def test_triggers_and_cases_are_one_statement(either: Options) -> None:
    run(
        either,
        "CREATE TABLE t (x); CREATE TABLE log (x);"
        "CREATE TRIGGER kept AFTER INSERT ON t BEGIN INSERT INTO log SELECT CASE WHEN new.x > 1 THEN 'big' ELSE 's;'"
        " END; INSERT INTO log VALUES ('end;'); END; INSERT INTO t VALUES (2);",
    )
    assert [row["x"] for row in run(either, "SELECT x FROM log")["rows"]] == ["big", "end;"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (9007199254740993, "integer"),
        (-(2**63), "integer"),
        (2**63 - 1, "integer"),
        (1, "integer"),
        (True, "integer"),
        (1.5, "real"),
        (1.0, "real"),
        (0.1 + 0.2, "real"),
        (1e300, "real"),
        ("text with ' and \u00fc \U0001f600", "text"),
        ("", "text"),
        ({"base64": base64.b64encode(bytes(range(256))).decode()}, "blob"),
        (None, "null"),
    ],
)
def test_values_go_in_and_come_back_exactly(either: Options, value: t.Any, kind: str) -> None:
    run(either, "CREATE TABLE t (x)")
    run(either, "INSERT INTO t VALUES (?)", params=[value])
    assert value_of(either, "SELECT typeof(x) FROM t") == kind
    assert value_of(either, "SELECT x FROM t") == value
    assert value_of(either, "SELECT count(*) FROM t WHERE x IS ?1", params=[value]) == 1


def test_large_integers_of_any_query_come_back_exactly(database: Options) -> None:
    run(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    run(database, "INSERT INTO t VALUES (?, 'a')", params=[2**53 + 1])
    run(database, "INSERT INTO t VALUES (?, 1.5e17)", params=[2**53 + 3])
    rows = run(
        database, "WITH q AS (SELECT * FROM t) SELECT *, x'00ff' AS b FROM q ORDER BY id DESC LIMIT ?", params=[5]
    )
    assert rows["columns"] == ["id", "x", "b"]
    assert [list(row.values())[:2] for row in rows["rows"]] == [[2**53 + 3, 1.5e17], [2**53 + 1, "a"]]


def test_a_batch_is_applied_as_a_whole_or_not_at_all(either: Options) -> None:
    run(either, "CREATE TABLE t (x UNIQUE)")
    result = refused(either, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)")
    assert (result["error_kind"], result["applied"], result["batches_applied"]) == ("query_failed", "no", 0)
    assert value_of(either, "SELECT count(*) FROM t") == 0


def test_statements_between_begin_and_commit_run_together(either: Options) -> None:
    run(either, "CREATE TABLE t (x UNIQUE)")
    sql = "INSERT INTO t VALUES (0); BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); COMMIT;"
    result = refused(either, sql)
    assert result["batches_applied"] == 1
    assert value_of(either, "SELECT count(*) FROM t") == 1
    assert run(either, "BEGIN TRANSACTION; INSERT INTO t VALUES (5); END;")["changes"] == 1
    for sql in ("BEGIN; SELECT 1", "ROLLBACK", "SAVEPOINT a", "BEGIN; BEGIN; COMMIT"):
        assert refused(either, sql)["error_kind"] == "invalid_options"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "WITH q AS (SELECT 1) DELETE FROM t",
        "SELECT 1; REPLACE INTO t VALUES (1)",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA optimize",
        "DROP TABLE t",
        "VACUUM",
    ],
)
def test_read_only_refuses_what_writes_before_anything_runs(either: Options, sql: str) -> None:
    run(either, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    assert refused(either, sql, read_only=True)["error_kind"] == "invalid_options"
    assert value_of(either, "SELECT replace(x, 1, 2) FROM t -- DELETE\n", read_only=True) == "2"


def test_check_mode_returns_the_statements_and_writes_nothing(either: Options) -> None:
    run(either, "CREATE TABLE t (x)")
    returned = run(either, "INSERT INTO t VALUES (1); SELECT * FROM t", check_mode=True)
    assert (returned["changed"], returned["executed"]) == (True, False)
    assert [item["kind"] for item in returned["statements"]] == ["write", "read"]
    assert value_of(either, "SELECT count(*) FROM t", check_mode=True) == 0


@pytest.mark.parametrize(
    ("sql", "options"),
    [
        ("", {}),
        ("-- only a comment", {}),
        ("SELECT 'cut", {}),
        ("SELECT ?", {}),
        ("SELECT ?", {"params": [1, 2]}),
        ("SELECT :name", {"params": [1]}),
        ("SELECT 1; SELECT ?", {"params": [1]}),
        ("SELECT ?", {"params": [2**63]}),
        ("SELECT ?", {"params": [{"base64": "!"}]}),
        ("SELECT ?", {"params": [[1]]}),
    ],
)
def test_contradicting_options_are_refused(either: Options, sql: str, options: Options) -> None:
    assert refused(either, sql, **options)["error_kind"] == "invalid_options"


def test_limits_of_d1_are_checked_before_anything_runs(d1: D1Server, database: Options) -> None:
    d1.rules()
    run(database, "CREATE TABLE t (x)")
    long = f"INSERT INTO t VALUES ('{'x' * 100_000}')"
    assert "100000" in refused(database, f"INSERT INTO t VALUES (1); {long}")["msg"]
    many = f"SELECT {', '.join('?' * 101)}"
    assert "101 parameters" in refused(database, many, params=list(range(101)))["msg"]
    assert value_of(database, "SELECT count(*) FROM t") == 0
    run(database, "INSERT INTO t VALUES (?)", params=["x" * 1_500_000])
    assert value_of(database, "SELECT length(x) FROM t") == 1_500_000


def test_a_long_file_goes_in_batches(either: Options, tmp_path: Path) -> None:
    file = tmp_path / "long.sql"
    file.write_text(
        "\ufeffCREATE TABLE t (x);\r\n" + "".join(f"INSERT INTO t VALUES ('{'y' * 3000}{n}');\r\n" for n in range(900))
    )
    done = run_module("d1_execute", {**either, "src": str(file)})
    assert done["changes"] == 900
    assert (done["batches"] > 4) is ("path" not in either)
    with pytest.raises(ModuleFailed, match="cannot be read"):
        run_module("d1_execute", {**either, "src": str(tmp_path / "missing.sql")})


def test_a_missing_file_and_a_missing_database_are_refused(d1: D1Server, tmp_path: Path) -> None:
    assert refused({"path": str(tmp_path / "missing")}, "SELECT 1", read_only=True)["error_kind"] == "target_missing"
    (tmp_path / "text").write_text("no database" * 1000)
    assert refused({"path": str(tmp_path / "text")}, "SELECT 1")["error_kind"] == "unreachable"
    assert refused(d1.options("nobody"), "SELECT 1")["error_kind"] == "target_missing"
    assert refused({**d1.options("nobody"), "api_token": "a-wrong-token"}, "SELECT 1")["error_kind"] == "access_denied"
    assert refused({**d1.options("x"), "api_token": ""}, "SELECT 1")["error_kind"] == "invalid_options"
    unreachable = {**d1.options("x"), "api_url": "http://127.0.0.1:9", "api_timeout": 1}
    assert refused(unreachable, "SELECT 1")["error_kind"] == "unreachable"


FAULTS: list[Options] = [
    *({"before": fault} for fault in ("429", "503", "reset", "overloaded")),
    *({"after": fault} for fault in ("503", "reset")),
    {"drop": "before"},
    {"drop": "after"},
]


def count(database: Options) -> int:
    return t.cast("int", value_of(database, "SELECT count(*) FROM t"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, *fault.items())))
def test_after_any_fault_the_database_is_before_or_after_and_the_result_reports_which(
    d1: D1Server, database: Options, fault: Options
) -> None:
    sql = "BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT;"
    account = Account(database["account_id"], database["api_token"], database["api_url"], timeout=5)

    def act(sql: str, *, exclusive: bool = False) -> t.Any:
        api = D1Api(account)
        found = api.require(database["database"])
        return execute(D1Engine(api, found.uuid, found.name, exclusive=exclusive), ExecuteRequest(sql))

    def count() -> int:
        return t.cast("int", act("SELECT count(*) AS n FROM t").rows[0]["n"])

    act("CREATE TABLE t (x)")
    d1.rules()
    act(sql)
    asked = d1.requests()
    # Looking for the database by name, bookmarks around the batch, and the batch itself.
    assert asked.count("POST raw") == 1
    for at in range(1, len(asked) + 1):
        before = count()
        d1.rules({"at": at, **fault})
        try:
            done = act(sql)
            said: t.Mapping[str, t.Any] = {"changes": done.changes, "changed": done.changed}
        except RecoveryError as error:
            said = error.details
        d1.rules()
        after = count()
        if "applied" in said:
            assert after - before == (2 if said["applied"] == "maybe" else 0)
            assert said["changed"] is (said["applied"] == "maybe")
        else:
            assert (after - before, said["changes"]) == (2, 2)
        d1.rules({"at": at, **fault})
        act(sql, exclusive=True)
        d1.rules()
        assert count() - after == 2


def test_reads_are_asked_again_and_writes_that_never_work_are_named(d1: D1Server, database: Options) -> None:
    run(database, "CREATE TABLE t (x)")
    d1.rules({"at": 2, "before": "reset"}, {"at": 3, "drop": "before"})
    assert count(database) == 0
    d1.rules({"at": "always", "before": "denied"})
    assert refused(database, "SELECT 1")["error_kind"] == "access_denied"
    d1.rules(*({"at": at, "before": "503"} for at in range(4, 60)))
    result = refused(database, "INSERT INTO t VALUES (1)", api_timeout=2)
    assert (result["error_kind"], result["applied"]) == ("service_failed", "unknown")
    assert result["bookmark_before"] in result["msg"]


def test_a_database_is_made_described_and_deleted_on_confirmation(d1: D1Server) -> None:
    options = d1.options(f"school-{secrets.token_hex(4)}")
    foreseen = run_module("d1_database", options, check_mode=True)
    assert (foreseen["changed"], foreseen["exists"], foreseen["facts"]) == (True, False, None)
    made = run_module("d1_database", options)
    assert (made["changed"], made["facts"]["name"]) == (True, options["database"])
    again = run_module("d1_database", {**options, "database": made["facts"]["uuid"]})
    assert (again["changed"], again["exists"]) == (False, True)
    with pytest.raises(ModuleFailed) as caught:
        run_module("d1_database", {**options, "state": "absent"})
    assert caught.value.result["error_kind"] == "confirmation_required"
    assert run_module("d1_database", {**options, "state": "absent"}, check_mode=True)["changed"] is True
    gone = run_module("d1_database", {**options, "state": "absent", "recovery_confirm": options["database"]})
    assert gone["diff"] == {"before": f"{options['database']}\n", "after": ""}
    assert run_module("d1_database", {**options, "state": "absent"})["changed"] is False


def test_the_right_one_of_names_alike_is_found(d1: D1Server) -> None:
    stem = f"school-{secrets.token_hex(4)}"
    names = [stem, *(f"{stem}-{number}" for number in range(3))]
    for name in reversed(names):
        run_module("d1_database", d1.options(name))
    assert run_module("d1_database", d1.options(stem))["facts"]["name"] == stem
    for name in names:
        run_module("d1_database", {**d1.options(name), "state": "absent", "recovery_confirm": name})


def test_time_travel_goes_back_and_forth(database: Options) -> None:
    run(database, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    before = run_module("d1_time_travel", database)["bookmark"]
    harmed = run(database, "DELETE FROM t")
    assert harmed["bookmark_before"] == before
    back = {**database, "bookmark": before, "restore": True}
    with pytest.raises(ModuleFailed) as caught:
        run_module("d1_time_travel", back)
    assert caught.value.result["error_kind"] == "confirmation_required"
    confirmed = {**back, "recovery_confirm": database["database"]}
    foreseen = run_module("d1_time_travel", back, check_mode=True)
    assert (foreseen["changed"], foreseen["previous_bookmark"]) == (True, harmed["bookmark_after"])
    assert count(database) == 0
    done = run_module("d1_time_travel", confirmed)
    assert count(database) == 1
    run_module("d1_time_travel", {**confirmed, "bookmark": done["previous_bookmark"]})
    assert count(database) == 0
    with pytest.raises(ModuleFailed, match="time travel window"):
        run_module("d1_time_travel", {**confirmed, "bookmark": "00000000-00000000-00000000-00"})
    with pytest.raises(ModuleFailed, match="before the database"):
        run_module("d1_time_travel", {**database, "to": "2020-01-01T00:00:00Z"})
    at_now = run_module("d1_time_travel", {**database, "to": "2100-01-01T00:00:00Z"})["bookmark"]
    assert run_module("d1_time_travel", {**confirmed, "bookmark": at_now})["changed"] is False


def test_a_dump_of_the_shell_runs_on_both(either: Options, tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "made.sqlite")
    made.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a''b'), (2, NULL)")
    dump = tmp_path / "dump.sql"
    dump.write_text("\n".join(itertools.chain(made.iterdump())))
    run_module("d1_execute", {**either, "src": str(dump)})
    assert run(either, "SELECT * FROM t")["rows"] == [{"id": 1, "x": "a'b"}, {"id": 2, "x": None}]
