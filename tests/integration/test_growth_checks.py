# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the type monotonic: a number is compared with the audit records of earlier checks."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


class Watched:
    """A table of versions, and a check of it that records its results in a folder."""

    def __init__(self, postgres: PostgresServer, database: str, store: Options, **options: t.Any) -> None:
        self._server, self._database, self.store = postgres, database, store
        self.options = {**postgres.module_options(database), "source": "learnplay", "store": store, **options}
        self.sql(
            "CREATE TABLE course_versions (id int, version int); INSERT INTO course_versions VALUES (1, 7), (2, 9)"
        )

    def sql(self, script: str) -> None:
        with self._server.session(self._database) as cursor:
            cursor.execute(script)

    def check(self, *descriptions: Options, check_mode: bool = False, **options: t.Any) -> list[Options]:
        checks = [{"type": "monotonic", **one} for one in descriptions or ({"table": "course_versions"},)]
        given = {**self.options, "record": True, "fail_on": "never", "checks": checks, **options}
        found: list[Options] = run_module("integrity_check", given, check_mode=check_mode)["checks"]
        return found

    def one(self, *description: Options, **options: t.Any) -> tuple[str, str]:
        (result,) = self.check(*description, **options)
        return result["status"], result["message"]

    def records(self) -> list[Path]:
        return sorted(Path(self.store["path"]).glob("learnplay/audit/*/*/*-check-*.json"))


@pytest.fixture
def watched(postgres: PostgresServer, database: str, folder_store: Options) -> Watched:
    return Watched(postgres, database, folder_store)


def test_the_first_run_compares_nothing_and_does_not_pass(watched: Watched) -> None:
    (first,) = watched.check()
    assert (first["status"], first["actual"]) == ("skipped", {"value": 2})
    assert "nothing was compared, because this is the first run" in first["message"]
    assert watched.one()[0] == "passed"
    with pytest.raises(ModuleFailed) as failed:
        watched.check({"table": "course_versions", "column": "version"}, fail_on="error")
    assert failed.value.result["verdict"] == "error"


def test_a_decrease_fails_until_the_number_is_restored(watched: Watched) -> None:
    watched.check()
    watched.sql("INSERT INTO course_versions VALUES (3, 9)")
    assert watched.one()[0] == "passed"
    watched.sql("DELETE FROM course_versions WHERE id > 1")
    for _run in range(2):
        status, message = watched.one()
        assert status == "failed"
        assert message.startswith("public.course_versions: 1, after 3 at 20")
        assert "set accept_decrease to the reason" in message
    watched.sql("INSERT INTO course_versions VALUES (2, 9), (3, 9)")
    assert watched.one()[0] == "passed"
    watched.sql("DROP TABLE course_versions")
    assert watched.one()[0] == "failed"


def test_a_decrease_is_accepted_once_for_its_reason(watched: Watched) -> None:
    watched.check()
    accepting = {"table": "course_versions", "accept_decrease": "Restored the state of Monday."}
    watched.sql("DELETE FROM course_versions WHERE id = 2")
    status, message = watched.one(accepting)
    assert (status, "the decrease is accepted: Restored the state of Monday." in message) == ("passed", True)
    assert json.loads(watched.records()[-1].read_text())["details"]["measured"].popitem()[1]["accepted"]
    assert watched.one(accepting)[0] == "passed"
    watched.sql("DELETE FROM course_versions")
    status, message = watched.one(accepting)
    assert (status, "was used for an earlier decrease" in message) == ("failed", True)
    assert watched.one({**accepting, "accept_decrease": "Emptied on purpose."})[0] == "passed"
    assert watched.one()[0] == "passed"


def test_a_run_without_a_record_changes_no_history(watched: Watched) -> None:
    assert watched.one(record=False)[0] == "skipped"
    assert watched.one()[0] == "skipped"
    watched.sql("INSERT INTO course_versions VALUES (3, 9)")
    assert watched.one(record=False)[0] == "passed"
    assert watched.one(check_mode=True)[0] == "passed"
    watched.sql("DELETE FROM course_versions WHERE id = 3")
    assert watched.one()[0] == "passed"
    without = {**watched.options, "store": None, "source": None, "fail_on": "never"}
    checks = [{"type": "monotonic", "table": "course_versions"}]
    (result,) = run_module("integrity_check", {**without, "checks": checks})["checks"]
    assert (result["status"], "source and store are not set" in result["message"]) == ("skipped", True)


def test_maxima_and_queries_are_measures_of_their_own(watched: Watched) -> None:
    watched.sql("CREATE TABLE texts (version text, amount numeric); INSERT INTO texts VALUES ('10', 'NaN')")
    measures: list[Options] = [
        {"table": "course_versions", "column": "version"},
        {"query": "SELECT sum(version) FROM course_versions;", "name": "Sum"},
        {"table": "course_versions"},
    ]
    assert [one["actual"]["value"] for one in watched.check(*measures)] == [9, 16, 2]
    # Another name is no other measure.
    watched.sql("UPDATE course_versions SET version = 8 WHERE id = 2")
    renamed = [{**one, "name": f"Check {number}"} for number, one in enumerate(measures)]
    assert [one["status"] for one in watched.check(*renamed)] == ["failed", "failed", "passed"]
    watched.sql("TRUNCATE course_versions")
    emptied = watched.check(*measures)
    assert [(one["status"], one["actual"]["value"]) for one in emptied] == [
        ("failed", None),
        ("failed", None),
        ("failed", 0),
    ]
    wrong = watched.check(
        {"table": "texts", "column": "version"},
        {"table": "texts", "column": "amount"},
        {"table": "texts", "column": "amuont"},
        {"query": "SELECT 'ten'"},
        {"query": "SELECT 1, 2"},
        {"query": "SELECT 1 WHERE false"},
        {"query": "SELECT true"},
    )
    assert [one["status"] for one in wrong] == ["error", "error", "failed", "error", "error", "error", "error"]


def test_large_and_fractional_numbers_keep_every_digit(watched: Watched) -> None:
    number = "170141183460469231731687303715884105728.0000000000000000001"
    (first,) = watched.check({"query": f"SELECT {number}"})
    assert first["status"] == "skipped", first["message"]
    # The same measure with a smaller last digit.
    watched.sql(f"CREATE TABLE m (n numeric); INSERT INTO m VALUES ({number})")
    measure = {"table": "m", "column": "n"}
    watched.check(measure)
    watched.sql("UPDATE m SET n = n - 0.0000000000000000001")
    assert watched.one(measure)[0] == "failed"
    watched.sql("UPDATE m SET n = power(10::numeric, 5000)")
    assert watched.one(measure)[0] == "error"


def test_hostile_records_neither_pass_nor_hide_the_history(watched: Watched) -> None:
    watched.check()
    watched.sql("DELETE FROM course_versions WHERE id = 2")
    (record,) = watched.records()
    document = json.loads(record.read_text())
    (key,) = document["details"]["measured"]

    def plant(name: str, text: str) -> Path:
        path = record.with_name(name)
        path.write_text(text)
        return path

    # Later records that are damaged, of another source, without values, or of the future.
    plant("20991231T235959.000000Z-check-ffffff.json", "{")
    later = record.name.replace(record.name[9:15], "235959")
    planted = [
        plant(later.replace("-check-", f"-check-{number}"), text)
        for number, text in enumerate(
            (
                json.dumps({**document, "source": "another"}),
                json.dumps({**document, "details": {"measured": [key]}}),
                json.dumps(
                    {**document, "performed_at": "2999-01-01T00:00:00.000+00:00", "details": {"measured": {key: {}}}}
                ),
            )
        )
    ]
    assert watched.one()[0] == "failed"
    for value in ({}, {"value": "NaN"}, {"value": "1e9"}, {"value": 1}, {"at": "noon"}, {"value": "9" * 500}):
        entry = {**document["details"]["measured"][key], **value} if value else {}
        text = json.dumps({**document, "details": {"measured": {key: entry}}})
        planted[0].with_name(later.replace("-check-", "-check-9")).write_text(text)
        status, message = watched.one(record=False)
        assert (status, "is damaged" in message) == ("error", True), message


def test_sqlite_and_its_numbers_are_watched_too(tmp_path: Path, folder_store: Options) -> None:
    path = {"path": str(tmp_path / "studio.sqlite")}
    run_module("d1_execute", {**path, "sql": "CREATE TABLE t (n); INSERT INTO t VALUES (9007199254740993), (1)"})
    given = {**path, "engine": "sqlite", "source": "studio", "store": folder_store, "record": True, "fail_on": "never"}
    measures = [{"table": "t"}, {"table": "t", "column": "n"}, {"query": "SELECT sum(n) FROM t"}]
    checks = [{"type": "monotonic", **one} for one in measures]

    def statuses() -> list[str]:
        return [one["status"] for one in run_module("integrity_check", {**given, "checks": checks})["checks"]]

    assert statuses() == ["skipped"] * 3
    run_module("d1_execute", {**path, "sql": "INSERT INTO t VALUES (9007199254740992)"})
    assert statuses() == ["passed"] * 3
    run_module("d1_execute", {**path, "sql": "DELETE FROM t WHERE n = 9007199254740993"})
    assert statuses() == ["failed"] * 3
    run_module("d1_execute", {**path, "sql": "INSERT INTO t VALUES ('text')"})
    assert statuses() == ["passed", "error", "failed"]
