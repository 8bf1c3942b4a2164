# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of reports: complete, distinct, found through latest, and robust against what lies in it."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.journal import (
    JournalEvent,
    append_event,
    moment_now,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.publish import publish_report
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.report import validate_report
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.report_files import (
    folder_name,
    point_latest,
    read_history,
    reserve_folder,
    write_file,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import AuditQuery, read_audit
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.data.drill_reports import INCIDENT
from tests.support.drills import drill

FILES = ["junit.xml", "metrics.prom", "report.html", "report.json"]


def reports(tmp_path):
    return sorted(name for name in os.listdir(tmp_path / "reports") if not name.startswith("."))


def test_a_drill_leaves_its_four_files_and_latest(tmp_path):
    result = publish_report(drill(tmp_path))

    assert (result.verdict, result.exit_class) == ("passed", 0), result.reasons
    assert sorted(os.listdir(result.report_dir)) == FILES
    assert os.path.realpath(tmp_path / "reports" / "latest") == result.report_dir
    assert not os.path.isabs(os.readlink(tmp_path / "reports" / "latest"))
    with open(result.report_json, encoding="utf-8") as stream:
        report = json.load(stream)
    validate_report(report)
    assert report["rto"]["measured_seconds"] == pytest.approx(20)
    assert len(result.summary) == 5


def test_reports_are_readable_by_their_owner_only(tmp_path):
    result = publish_report(drill(tmp_path))

    assert os.stat(result.report_dir).st_mode & 0o007 == 0
    assert os.stat(result.report_json).st_mode & 0o777 == 0o640


def test_two_drills_of_one_second_have_folders_of_their_own(tmp_path):
    first = publish_report(drill(tmp_path))
    second = publish_report(drill(tmp_path))

    assert first.report_dir + "-2" == second.report_dir
    assert os.path.realpath(tmp_path / "reports" / "latest") == second.report_dir
    assert second.earlier_drills == 1


def test_drills_at_the_same_moment_do_not_mix(tmp_path):
    requests = [drill(tmp_path) for _index in range(6)]
    with ThreadPoolExecutor(6) as pool:
        folders = {result.report_dir for result in pool.map(publish_report, requests)}

    assert len(folders) == 6
    assert all(sorted(os.listdir(folder)) == FILES for folder in folders)
    assert os.path.realpath(tmp_path / "reports" / "latest") in folders


def test_check_mode_judges_and_writes_nothing(tmp_path):
    result = publish_report(drill(tmp_path, check_mode=True, metrics_textfile=str(tmp_path / "node.prom")))

    assert result.verdict == "passed"
    assert os.listdir(tmp_path) == ["drill.journal"]


def test_the_metrics_go_to_the_collector_too(tmp_path):
    target = tmp_path / "node.prom"
    result = publish_report(drill(tmp_path, metrics_textfile=str(target)))

    assert (
        target.read_text() == (tmp_path / "reports" / os.path.basename(result.report_dir) / "metrics.prom").read_text()
    )
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_failed_drill_is_reported_and_its_success_is_carried_over(tmp_path):
    good = publish_report(drill(tmp_path))
    bad = publish_report(drill(tmp_path, evidence={"sandbox_removed": False}))

    assert (bad.verdict, bad.exit_class) == ("failed", 1)
    lines = {
        line.split("{")[0].rsplit("_drill_", 1)[1]: line.rsplit(" ", 1)[1]
        for line in open(os.path.join(bad.report_dir, "metrics.prom"), encoding="utf-8").read().splitlines()
        if "timestamp" in line and line[0] != "#"
    }
    with open(good.report_json, encoding="utf-8") as stream:
        finished = json.load(stream)["finished_at"]
    assert lines["last_success_timestamp_seconds"] != "0"
    assert finished[:10] in open(bad.report_html, encoding="utf-8").read()


def test_module_fails_on_the_verdict_after_the_report_is_written(tmp_path):
    with pytest.raises(RecoveryError) as caught:
        publish_report(drill(tmp_path, fail_on_verdict=True, evidence={"marker_at": None}))

    assert caught.value.kind == ErrorKind.CHECK_FAILED
    assert caught.value.details["verdict"] == "error"
    assert caught.value.details["exit_class"] == 3
    assert os.path.exists(caught.value.details["report_html"])


def test_a_drill_without_a_journal_still_gets_its_report(tmp_path):
    result = publish_report(drill(tmp_path, journal=str(tmp_path / "none")))

    assert result.verdict == "error"
    assert any("No phase was recorded" in note for note in result.notes)


def test_damaged_journal_is_stated_in_the_report(tmp_path):
    request = drill(tmp_path)
    with open(request.journal, "ab") as stream:
        stream.write(b'{"phase": "tear')

    assert any("Line 4" in note for note in publish_report(request).notes)


def test_a_phase_left_open_fails_the_drill(tmp_path):
    request = drill(tmp_path)
    append_event(request.journal, JournalEvent("teardown", "start", moment_now()))

    result = publish_report(request)

    assert result.verdict == "failed"
    assert "teardown" in result.reasons[0]


@pytest.mark.parametrize("outcome", ["skipped", "missed"])
def test_a_drill_that_did_not_run_is_recorded(tmp_path, outcome):
    request = drill(tmp_path, journal=None, evidence={"outcome": outcome, "marker_at": None, "checks": ()})

    result = publish_report(request)

    assert (result.verdict, result.exit_class) == (outcome, 3)
    assert sorted(os.listdir(result.report_dir)) == FILES


def test_broken_reports_are_left_out_counted_and_named(tmp_path):
    publish_report(drill(tmp_path))
    folder = tmp_path / "reports"
    for name, content in (("half", '{"schema": "lifeline.rec'), ("other", '{"schema": "x"}'), ("deep", "[" * 100000)):
        (folder / f"20260101T000000Z-{name}").mkdir()
        (folder / f"20260101T000000Z-{name}" / "report.json").write_text(content)
    (folder / "20260101T000000Z-empty").mkdir()
    (folder / "notes").mkdir()

    result = publish_report(drill(tmp_path))

    assert result.earlier_drills == 1
    assert [name.rsplit("-", 1)[1] for name in result.broken_reports] == ["deep", "empty", "half", "other"]
    assert "4 earlier reports could not be read" in open(result.report_html, encoding="utf-8").read()


def test_the_history_holds_only_runs_of_the_same_drill(tmp_path):
    publish_report(drill(tmp_path, source="other"))
    publish_report(drill(tmp_path, scenario="table_loss"))
    publish_report(drill(tmp_path, environment="staging"))

    assert publish_report(drill(tmp_path)).earlier_drills == 0


def test_latest_is_never_written_over_a_real_folder(tmp_path):
    (tmp_path / "reports" / "latest").mkdir(parents=True)

    with pytest.raises(RecoveryError) as caught:
        publish_report(drill(tmp_path))

    assert caught.value.kind == ErrorKind.REPORT_FAILED
    assert (tmp_path / "reports" / "latest").is_dir()
    assert not [name for name in os.listdir(tmp_path / "reports") if name.startswith(".latest")]


def test_a_dangling_latest_is_replaced(tmp_path):
    folder = reserve_folder(str(tmp_path), "20260301T020005Z-a")
    (tmp_path / "latest").symlink_to("gone")

    point_latest(str(tmp_path), folder)

    assert os.readlink(tmp_path / "latest") == "20260301T020005Z-a"


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_scrap(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write_file(str(target), "\ud800")

    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_path_that_is_no_folder_is_reported(tmp_path):
    (tmp_path / "reports").write_text("")

    with pytest.raises(RecoveryError) as caught:
        publish_report(drill(tmp_path))
    assert caught.value.kind == ErrorKind.REPORT_FAILED


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("database_loss", "20260302T024731Z-database_loss"),
        ("../../etc", "20260302T024731Z-etc"),
        ("a b/c", "20260302T024731Z-a-b-c"),
        ("…", "20260302T024731Z-drill"),
        ("x" * 300, "20260302T024731Z-" + "x" * 80),
    ],
)
def test_folder_names_are_safe(scenario, name):
    assert folder_name(INCIDENT, scenario) == name


def test_an_empty_place_has_no_history(tmp_path):
    assert read_history(str(tmp_path / "none")).reports == ()


def test_a_drill_leaves_an_audit_record_in_the_store_that_is_given(tmp_path):
    store = DirectoryStore(str(tmp_path / "store"))
    publish_report(drill(tmp_path, check_mode=True), store)
    assert list(store.list()) == []
    result = publish_report(drill(tmp_path), store)
    read = read_audit(store, "school", AuditQuery(operation="drill"))
    (record,) = read.records
    assert (record.status, record.details["scenario"]) == ("passed", "database_loss")
    assert record.details["rto"]["measured_seconds"] == result.rto["measured_seconds"]
    assert record.details["data_origin"] == "source"
    publish_report(drill(tmp_path, data_origin="sample"), store)
    newest = read_audit(store, "school", AuditQuery(operation="drill")).records[0]
    assert newest.details["data_origin"] == "sample"
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecoveryError, match="audit record") as caught:
        publish_report(drill(tmp_path), DirectoryStore(str(tmp_path / "file")))
    assert "report is in" in caught.value.left
