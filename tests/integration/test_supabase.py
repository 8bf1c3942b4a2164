# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A project of Supabase is restored to its former state, once, and failures on the way are reported."""

from __future__ import annotations

import json
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.api import Access, Step, SupabaseApi
from tests.support.fakes.supabase import DAY, REF, Fault, SupabaseServer, supabase_server
from tests.support.runner.modules import ModuleFailed, parse_result, run_module, start_module

LESSONS = "SELECT id FROM lessons ORDER BY id"
QUICK = {"poll_seconds": 0.02, "timeout": 20, "begin_timeout": 5}
CONFIRMED = {"recovery_confirm": REF}


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[SupabaseServer]:
    """Two lessons for an hour, a third for ten seconds, then none."""
    with supabase_server(tmp_path) as running:
        now = running.latest
        running.run("CREATE TABLE lessons (id INTEGER PRIMARY KEY); INSERT INTO lessons VALUES (1), (2)", now - 3600)
        running.run("INSERT INTO lessons VALUES (3)", now - 110)
        running.run("DELETE FROM lessons", now - 100)
        yield running


def instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def act(server: SupabaseServer, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    result = run_module("supabase_backup", {**server.options(), **QUICK, **options}, check_mode=check_mode)
    assert server.token not in json.dumps(result)
    return result


def refused(server: SupabaseServer, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        act(server, check_mode=check_mode, **options)
    result = caught.value.result
    assert server.token not in json.dumps(result)
    assert "Unexpected" not in result["msg"]
    return result


def restore(server: SupabaseServer, **options: t.Any) -> dict[str, t.Any]:
    before = {"action": "restore", "to": instant(server.latest - 101), **CONFIRMED}
    return act(server, **{**before, **options})


def failed_restore(server: SupabaseServer, **options: t.Any) -> dict[str, t.Any]:
    before = {"action": "restore", "to": instant(server.latest - 101), **CONFIRMED}
    return refused(server, **{**before, **options})


def test_the_rows_of_a_second_before_come_back_and_the_undo_takes_them_back(server: SupabaseServer) -> None:
    assert server.rows(LESSONS) == []
    done = restore(server)
    assert server.rows(LESSONS) == [(1,), (2,), (3,)]
    assert (done["changed"], done["status"], done["answer_lost"]) == (True, "ACTIVE_HEALTHY", False)
    assert set(done["timings"]) == {"preflight", "undo", "restore", "verify", "total"}
    assert server.writes() == ["POST restore-point", "POST restore-pitr"]
    assert done["undo"]["name"] in done["summary"]
    back = act(server, **done["undo"], **CONFIRMED)
    assert server.rows(LESSONS) == []
    assert (back["undo"], back["target"]) == ({}, f"restore point {done['undo']['name']}")
    restore(server, to=instant(server.latest - 111))
    assert server.rows(LESSONS) == [(1,), (2,)]


def test_check_mode_shows_the_plan_and_sends_nothing(server: SupabaseServer) -> None:
    requested = {"action": "restore", "to": instant(server.latest - 101)}
    foreseen = act(server, **requested, check_mode=True)
    assert (foreseen["changed"], foreseen["plan"]["project"]) == (True, REF)
    act(server, action="restore_point", name="before", check_mode=True)
    assert server.writes() == []
    assert refused(server, **requested)["plan_digest"] == foreseen["plan_digest"]
    assert failed_restore(server, recovery_confirm="learning")["error_kind"] == "confirmation_required"
    other = {**requested, "to": instant(server.latest - 102)}
    assert refused(server, **other, recovery_confirm=foreseen["plan_digest"])["error_kind"] == "confirmation_required"
    assert server.writes() == []
    act(server, **requested, recovery_confirm=foreseen["plan_digest"])
    assert server.rows(LESSONS) == [(1,), (2,), (3,)]


@pytest.mark.parametrize("seconds", [-7 * DAY - 60, 10])
def test_an_instant_outside_the_window_is_refused_before_anything_is_sent(server: SupabaseServer, seconds: int) -> None:
    result = failed_restore(server, to=instant(server.latest + seconds))
    assert result["error_kind"] == "outside_window"
    assert result["window"]["latest"].startswith(instant(server.latest)[:-1])
    assert server.writes() == []


def test_another_project_than_was_meant_is_refused(server: SupabaseServer) -> None:
    assert failed_restore(server, project_name="production")["error_kind"] == "conflict"
    assert failed_restore(server, project_ref="b" * 20)["error_kind"] == "target_missing"
    assert failed_restore(server, project_ref="learning")["error_kind"] == "invalid_options"
    assert failed_restore(server, access_token="sbp_wrong")["error_kind"] == "access_denied"
    assert failed_restore(server, access_token="sbp_x\nX-Other: y")["error_kind"] == "invalid_options"
    assert server.writes() == []


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("RESTORING", "target_in_use", "action wait"),
        ("UPGRADING", "target_in_use", "UPGRADING"),
        ("INACTIVE", "unsupported", "paused"),
        ("REMOVED", "unsupported", "REMOVED"),
    ],
)
def test_a_project_that_is_not_free_is_left_alone(server: SupabaseServer, status: str, kind: str, said: str) -> None:
    server.status = status
    result = failed_restore(server)
    assert result["error_kind"] == kind
    assert said in result["msg"]
    assert server.writes() == []


def test_a_project_without_point_in_time_goes_back_to_a_daily_backup(server: SupabaseServer) -> None:
    server.pitr, server.earliest, server.latest = False, 0, 0
    server.run("INSERT INTO lessons VALUES (9)", int(time.time()) - 10)
    assert failed_restore(server)["error_kind"] == "unsupported"
    missing = failed_restore(server, to=None, backup_id=7)
    assert (missing["error_kind"], "99" in missing["msg"]) == ("no_backup_set", True)
    server.backups[0]["status"] = "FAILED"
    assert failed_restore(server, to=None, backup_id=99)["error_kind"] == "unsupported"
    assert server.writes() == []
    server.backups[0].update(status="COMPLETED", inserted_at=f"{instant(time.time() - 60)[:-1]}.5Z")
    done = restore(server, to=None, backup_id=99)
    assert done["target"].startswith("backup 99 of ")
    assert server.writes() == ["POST restore-point", "POST restore"]
    assert server.rows(LESSONS) == []


def test_without_a_restore_point_nothing_is_restored_unless_that_is_wanted(server: SupabaseServer) -> None:
    server.offers_points = False
    result = failed_restore(server)
    assert (result["error_kind"], result["applied"]) == ("access_denied", "no")
    assert "undo_first" in result["next_step"]
    assert "not begun" in result["left"]
    assert server.writes() == ["POST restore-point"]
    done = restore(server, undo_first="try")
    assert (done["undo"], "nothing here takes it back" in done["summary"]) == ({}, True)
    assert "no right to a restore point" in done["without_undo"]
    server.requests.clear()
    restore(server, undo_first="none")
    assert server.writes() == ["POST restore-pitr"]


@pytest.mark.parametrize("undo_first", ["required", "try"])
def test_a_restore_point_that_failed_stops_the_restore(server: SupabaseServer, undo_first: str) -> None:
    server.point_course = ("PENDING", "FAILED")
    result = failed_restore(server, undo_first=undo_first)
    assert (result["error_kind"], "FAILED" in result["msg"]) == ("service_failed", True)
    server.point_course = ("PENDING",)
    late = failed_restore(server, undo_first=undo_first, timeout=0)
    assert (late["error_kind"], "PENDING" in late["msg"]) == ("timeout", True)
    assert "POST restore-pitr" not in server.writes()


@pytest.mark.parametrize("after", ["drop", "500", "504"])
def test_a_request_whose_answer_was_lost_is_watched_and_not_sent_again(server: SupabaseServer, after: str) -> None:
    server.faults = [Fault("POST restore-point", after=after), Fault("POST restore-pitr", after=after)]
    done = restore(server)
    assert done["answer_lost"] is True
    assert server.rows(LESSONS) == [(1,), (2,), (3,)]
    assert server.writes() == ["POST restore-point", "POST restore-pitr"]


def test_a_request_without_an_answer_is_not_reported_as_without_effect(server: SupabaseServer) -> None:
    server.faults = [Fault("POST restore-pitr", before="drop")]
    result = failed_restore(server, begin_timeout=0)
    assert (result["error_kind"], result["applied"], result["status"]) == ("timeout", "unknown", "ACTIVE_HEALTHY")
    assert "may still start" in result["left"]
    assert result["undo"]["name"] in result["next_step"]
    assert server.writes() == ["POST restore-point", "POST restore-pitr"]


def test_a_lost_answer_is_not_taken_for_a_restore_by_another_state(server: SupabaseServer) -> None:
    server.faults = [Fault("POST restore-pitr", after="drop")]
    server.course = ("RESTARTING", "ACTIVE_HEALTHY")
    assert failed_restore(server, begin_timeout=0)["applied"] == "unknown"


def test_too_many_requests_are_retried_when_the_service_allows(server: SupabaseServer) -> None:
    server.faults = [
        Fault("GET project", before="429", retry_after="0"),
        Fault("POST restore-pitr", before="429", retry_after="1"),
        Fault("GET backups", before="503"),
    ]
    restore(server)
    assert server.writes() == ["POST restore-point", "POST restore-pitr", "POST restore-pitr"]
    assert server.rows(LESSONS) == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("401", "access_denied", "does not accept the access token"),
        ("403", "access_denied", "database:write"),
        ("402", "unsupported", "plan"),
        ("404", "target_missing", "project_ref"),
        ("409", "target_in_use", "not free"),
        ("422", "invalid_options", "by rule"),
        ("302", "service_failed", "failed at a restore"),
    ],
)
def test_each_refusal_is_one_sentence(server: SupabaseServer, status: str, kind: str, said: str) -> None:
    server.faults = [Fault("POST restore-pitr", before=status)]
    result = failed_restore(server)
    assert (result["error_kind"], result["applied"], result["changed"]) == (kind, "no", False)
    assert said in result["msg"]
    assert result["left"].startswith("Nothing was restored")
    assert result["undo"]["name"] in result["left"]
    assert server.rows(LESSONS) == []


@pytest.mark.parametrize("just_before", [False, True])
def test_a_restore_of_another_that_began_first_is_reported(server: SupabaseServer, just_before: bool) -> None:
    def begins(_body: t.Any) -> tuple[int, t.Any]:
        server.status = "RESTORING"
        return 201, {"name": _body.get("name", ""), "status": "PENDING", "completed_on": None}

    def refuses(body: t.Any) -> tuple[int, t.Any]:
        begins(body)
        return 400, {"message": "A restore is in progress"}

    if just_before:
        server._restore_to = refuses  # type: ignore[method-assign]
    else:
        make_point = server._make_point
        server._make_point = lambda body: make_point(body) and begins(body)  # type: ignore[method-assign]
    result = failed_restore(server)
    assert result["error_kind"] == "target_in_use"
    assert "action wait" in result["next_step"]
    assert ("POST restore-pitr" in server.writes()) == just_before
    assert result["undo"]["name"] in result["left"]


def test_a_failed_restore_is_final_and_names_the_undo(server: SupabaseServer) -> None:
    server.course = ("RESTORING", "RESTORE_FAILED")
    result = failed_restore(server)
    assert (result["error_kind"], result["status"], result["changed"]) == ("restore_failed", "RESTORE_FAILED", True)
    assert result["undo"]["name"] in result["next_step"]
    assert refused(server, action="wait")["error_kind"] == "restore_failed"
    server.course = ("RESTORE_FAILED", "RESTORING", "ACTIVE_HEALTHY")
    act(server, **result["undo"], **CONFIRMED)
    assert server.rows(LESSONS) == []


def test_a_wait_that_timed_out_returns_the_state_and_can_continue(server: SupabaseServer) -> None:
    server.course, server.point_course = ("RESTORING",) * 4 + ("ACTIVE_HEALTHY",), ("AVAILABLE",)
    result = failed_restore(server, timeout=0)
    assert (result["error_kind"], result["status"], result["applied"]) == ("timeout", "RESTORING", "yes")
    assert "RESTORING" in result["left"]
    assert act(server, action="wait", check_mode=True)["status"] == "RESTORING"
    done = act(server, action="wait")
    assert (done["changed"], done["status"]) == (False, "ACTIVE_HEALTHY")
    assert server.rows(LESSONS) == [(1,), (2,), (3,)]


def test_looking_that_fails_does_not_end_the_wait(server: SupabaseServer, tmp_path: Path) -> None:
    server.course = ("RESTORING",) * 5 + ("COMING_UP", "ACTIVE_UNHEALTHY", "ACTIVE_HEALTHY")
    server.ill_looks = 2
    server.faults = [Fault("GET health", before="drop"), Fault("GET health", before="500", times=5)]
    progress = tmp_path / "progress"
    # So short a timeout ends the patience of one look while the faults last.
    restore(server, progress_file=str(progress), api_timeout=1)
    assert "ACTIVE_HEALTHY" in progress.read_text()
    assert server.requests.count("GET health") == 9


def test_a_token_that_expires_during_the_wait_leaves_the_restore_running(server: SupabaseServer) -> None:
    server.course = ("RESTORING",) * 3
    token = server.token
    requested = {**server.options(), **QUICK, **CONFIRMED, "action": "restore", "to": instant(server.latest - 101)}
    with start_module("supabase_backup", requested) as process:
        while "POST restore-pitr" not in server.requests:
            time.sleep(0.01)
        server.token = "sbp_another"
        output, errors = process.communicate()
    assert token.encode() not in output + errors
    with pytest.raises(ModuleFailed) as caught:
        parse_result(output, errors)
    result = caught.value.result
    assert (result["error_kind"], result["applied"]) == ("access_denied", "yes")
    assert "the service continues it" in result["left"]


def test_an_interrupted_wait_reports_that_the_restore_continues(server: SupabaseServer) -> None:
    server.course = ("RESTORING",) * 1000
    requested = {**server.options(), **QUICK, **CONFIRMED, "action": "restore", "to": instant(server.latest - 101)}
    with start_module("supabase_backup", requested) as process:
        while server.status != "RESTORING":
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    with pytest.raises(ModuleFailed) as caught:
        parse_result(output, errors)
    result = caught.value.result
    assert (result["error_kind"], result["status"], result["changed"]) == ("interrupted", "RESTORING", True)
    assert result["undo"]["name"] in result["next_step"]


def test_a_restore_point_is_made_once_and_waited_for(server: SupabaseServer) -> None:
    made = act(server, action="restore_point", name="before-migration")
    assert (made["changed"], made["status"]) == (True, "AVAILABLE")
    assert made["undo"] == {"action": "undo", "name": "before-migration"}
    again = act(server, action="restore_point", name="before-migration")
    assert (again["changed"], again["status"]) == (False, "AVAILABLE")
    assert server.writes() == ["POST restore-point"]
    for name in (None, "before-migration"):
        assert act(server, name=name)["restore_point"]["status"] == "AVAILABLE"
    assert act(server, name="another")["restore_point"] is None
    assert refused(server, action="restore_point", name="x" * 21)["error_kind"] == "invalid_options"
    assert refused(server, action="undo", name="another", **CONFIRMED)["error_kind"] == "no_backup_set"
    assert len(act(server, action="restore_point")["name"]) <= 20
    server.point_course = ("REMOVED",)
    server._make_point({"name": "gone"})
    assert refused(server, action="restore_point", name="gone")["error_kind"] == "conflict"


@pytest.mark.parametrize(
    "options",
    [
        {"action": "restore"},
        {"action": "restore", "to": "2026-03-01T00:00:00Z", "backup_id": 1},
        {"action": "restore", "name": "x"},
        {"action": "undo"},
        {"action": "undo", "name": "x", "to": "2026-03-01T00:00:00Z"},
        {"action": "restore", "to": "yesterday"},
        {"action": "wait", "poll_seconds": 0},
        {"action": "restore", "to": "2026-03-01T00:00:00Z", "source": "learning"},
        {"access_token": ""},
    ],
)
def test_options_that_cannot_be_meant_are_refused(server: SupabaseServer, options: dict[str, t.Any]) -> None:
    assert refused(server, **options)["error_kind"] == "invalid_options"
    assert server.requests == []


def test_operations_are_in_the_audit_records_and_the_token_is_in_none(
    server: SupabaseServer, folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    kept = {"source": "learning", "store": folder_store}
    journal = tmp_path / "journal"
    act(server, action="restore_point", name="before", **kept)
    done = restore(server, journal=str(journal), progress_file=str(tmp_path / "progress"), **kept)
    server.course = ("RESTORING", "RESTORE_FAILED")
    failed = failed_restore(server, **kept)
    records = run_module("audit_info", kept)["records"]
    assert [(item["operation_type"], item["status"]) for item in records] == [
        ("restore", "failed"),
        ("restore", "succeeded"),
        ("restore_point", "succeeded"),
    ]
    assert [item["details"]["undo"] for item in records[:2]] == [failed["undo"], done["undo"]]
    assert records[1]["details"]["target"] == done["target"]
    assert "restore" in journal.read_text()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or server.token.encode() not in path.read_bytes()


def test_a_service_that_echoes_the_token_does_not_make_us_show_it(server: SupabaseServer) -> None:
    refusal = {"message": f"bad request of {server.token}"}
    server._restore_to = lambda body: (422, refusal)  # type: ignore[method-assign]
    assert "bad request of ***" in failed_restore(server)["msg"]
    api = SupabaseApi(Access(REF, server.token, server.api_url))
    with pytest.raises(RecoveryError) as caught:
        api.begin(Step("restore-pitr", {"recovery_time_target_unix": 1}, "then"))
    assert "bad request of ***" in str(caught.value)
    assert server.token not in str(caught.value) + repr(vars(api)) + repr(Access(REF, server.token))


def test_answers_that_are_none_of_the_document_are_refused(server: SupabaseServer) -> None:
    for answer in ({}, [], {"ref": REF}, {"ref": "z" * 20, "name": "x", "status": "ACTIVE_HEALTHY"}):
        server._project = lambda answer=answer: (200, answer)  # type: ignore[misc, method-assign]
        assert failed_restore(server)["error_kind"] in ("service_failed", "conflict")
    assert server.writes() == []


def info(server: SupabaseServer, **options: t.Any) -> dict[str, t.Any]:
    result = run_module("supabase_backup_info", {**server.options(), **options})
    assert server.token not in json.dumps(result)
    return result


def codes(server: SupabaseServer, **options: t.Any) -> list[str]:
    return [finding["code"] for finding in info(server, **options)["findings"]]


def test_backups_are_listed_and_judged(server: SupabaseServer) -> None:
    wanted = {"rpo_seconds": 3600, "window_days": 7, "pitr": True}
    returned = info(server, **wanted)
    assert (returned["ok"], returned["findings"], len(returned["backups"])) == (True, [], 7)
    assert returned["window"]["seconds"] == server.latest - server.earliest
    assert act(server)["backups"][0]["id"] == returned["backups"][0]["id"]
    assert codes(server, window_days=14) == ["window_short"]
    server.backups[0]["status"] = "FAILED"
    assert codes(server, **wanted) == ["newest_failed"]
    server.latest -= 7200
    assert codes(server, **wanted) == ["newest_failed", "too_old"]
    server.pitr, server.status = False, "ACTIVE_UNHEALTHY"
    assert codes(server, **wanted) == ["status", "newest_failed", "pitr_disabled", "too_old"]
    server.status, server.backups = "ACTIVE_HEALTHY", []
    assert codes(server) == ["no_backups"]
    assert act(server, action="list")["newest"] is None
    assert server.writes() == []


def test_two_days_without_a_backup_are_found_though_the_newest_is_young(server: SupabaseServer) -> None:
    server.pitr = False
    assert codes(server, rpo_seconds=DAY + 600) == []
    del server.backups[3]
    assert codes(server, rpo_seconds=DAY + 600) == ["gap_too_long"]
