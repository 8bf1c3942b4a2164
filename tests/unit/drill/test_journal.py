# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline survives processes, crashes and clocks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.journal import (
    JournalEvent,
    Moment,
    append_event,
    moment_now,
    read_journal,
    replay,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._drill.record import PhaseRequest, record_phase

START = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)


def moment(offset, boot="one", step=0.0):
    return Moment(START + timedelta(seconds=offset + step), 500.0 + offset, boot)


def event(phase, kind, offset, **facts):
    boot = facts.pop("boot", "one")
    return JournalEvent(phase, kind, moment(offset, boot, facts.pop("step", 0.0)), **facts)


def only(journal):
    (phase,) = journal.phases
    return phase


def test_the_length_comes_from_the_monotonic_clock_when_the_wall_clock_is_set():
    journal = replay([event("restore", "start", 1), event("restore", "end", 4, step=3600)], moment(9))

    assert only(journal).seconds == pytest.approx(3)
    assert "wall clock was set by 3600.0 s" in journal.problems[0]


def test_a_phase_left_open_failed():
    journal = replay([event("restore", "start", 1)], moment(9))

    assert (only(journal).status, only(journal).seconds) == ("failed", pytest.approx(8))
    assert journal.open_phases == ("restore",)


def test_a_phase_across_a_restart_is_not_timed():
    journal = replay([event("restore", "start", 1), event("restore", "end", 4, boot="two")], moment(9, "two"))

    assert only(journal).status == "unknown"


def test_a_phase_left_open_across_a_restart_is_not_timed_either():
    assert only(replay([event("restore", "start", 1)], moment(9, "two"))).status == "unknown"


def test_an_end_without_its_start_is_not_timed():
    assert only(replay([event("restore", "end", 4)], moment(9))).status == "unknown"


def test_a_length_measured_elsewhere_counts_as_ended_now():
    phase = only(replay([event("fetch", "end", 10, seconds=2.5)], moment(12)))

    assert (phase.seconds, phase.started_at, phase.status) == (2.5, moment(7.5).at, "ok")


def test_a_phase_begun_again_leaves_the_first_attempt_failed():
    journal = replay([event("fetch", "start", 1), event("fetch", "start", 3), event("fetch", "end", 4)], moment(9))

    assert [(phase.status, phase.seconds) for phase in journal.phases] == [("failed", 2.0), ("ok", 1.0)]


def test_marks_are_moments_and_not_phases():
    journal = replay([event("incident", "mark", 2, note="pulled the plug")], moment(9))

    assert journal.phases == ()
    assert (journal.marks[0].name, journal.marks[0].note) == ("incident", "pulled the plug")


def test_recorded_phases_are_read_back(tmp_path):
    path = str(tmp_path / "new" / "drill.journal")
    append_event(path, event("restore", "start", 1, note="ünïcode\nand lines"))
    append_event(path, event("restore", "end", 4, status="failed", note="disk full"))

    journal = read_journal(path, moment(9))

    assert only(journal).note == "ünïcode\nand lines; disk full"
    assert (only(journal).seconds, only(journal).status, journal.problems) == (pytest.approx(3), "failed", ())
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_half_a_line_of_a_killed_writer_is_left_out_and_reported(tmp_path):
    path = tmp_path / "drill.journal"
    append_event(str(path), event("fetch", "start", 1))
    append_event(str(path), event("fetch", "end", 2))
    path.write_bytes(path.read_bytes() + b'{"phase": "restore", "event": "sta')

    journal = read_journal(str(path), moment(9))

    assert only(journal).name == "fetch"
    assert journal.problems == ("Line 3 of the journal is incomplete or damaged and was left out.",)


def test_a_line_after_half_a_line_is_not_lost(tmp_path):
    path = tmp_path / "drill.journal"
    path.write_bytes(b'{"phase": "restore", "event": "sta')

    append_event(str(path), event("fetch", "end", 2, seconds=1.0))

    assert only(read_journal(str(path), moment(9))).name == "fetch"


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[1, 2]",
        b"null",
        b'{"phase": "a"}',
        b'{"phase": "a", "event": "explode", "at": "2026-03-01T02:00:00Z", "monotonic": 1}',
        b'{"phase": "a", "event": "end", "at": "yesterday", "monotonic": 1}',
        b'{"phase": "a", "event": "end", "at": "2026-03-01T02:00:00Z", "monotonic": "soon"}',
    ],
)
def test_a_damaged_line_is_reported_and_the_others_stay(tmp_path, line):
    path = tmp_path / "drill.journal"
    append_event(str(path), event("fetch", "end", 2, seconds=1.0))
    path.write_bytes(line + b"\n" + path.read_bytes())

    journal = read_journal(str(path), moment(9))

    assert only(journal).name == "fetch"
    assert len(journal.problems) == 1


def _write_many(path, name, count):
    for number in range(count):
        append_event(path, JournalEvent(f"{name}-{number}", "end", moment_now(), seconds=0.0, note="x" * 500))


def test_parallel_writers_lose_no_record(tmp_path):
    path = str(tmp_path / "drill.journal")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, f"writer{index}", 40)) for index in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    journal = read_journal(path)

    assert len({phase.name for phase in journal.phases}) == 160
    assert journal.problems == ()


def test_a_phase_may_begin_in_one_process_and_end_in_another(tmp_path):
    path = str(tmp_path / "drill.journal")
    append_event(path, JournalEvent("restore", "start", moment_now()))
    child = multiprocessing.get_context("fork").Process(
        target=append_event, args=(path, JournalEvent("restore", "end", moment_now()))
    )
    child.start()
    child.join()

    assert only(read_journal(path)).status == "ok"


def test_a_killed_writer_leaves_a_journal_that_reads(tmp_path):
    path = str(tmp_path / "drill.journal")
    child = multiprocessing.get_context("fork").Process(target=_write_many, args=(path, "writer", 100000))
    child.start()
    while not os.path.exists(path) or os.path.getsize(path) < 5000:
        child.join(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.join()

    append_event(path, JournalEvent("after", "end", moment_now(), seconds=1.0))
    journal = read_journal(path)

    assert journal.phases[-1].name == "after" or any(phase.name == "after" for phase in journal.phases)
    assert len(journal.problems) <= 1


def test_missing_journal_is_reported(tmp_path):
    with pytest.raises(RecoveryError) as caught:
        read_journal(str(tmp_path / "none"))
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS


def test_a_journal_behind_a_link_is_not_written(tmp_path):
    (tmp_path / "precious").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "precious")

    with pytest.raises(RecoveryError) as caught:
        append_event(str(tmp_path / "link"), event("fetch", "start", 1))

    assert caught.value.kind == ErrorKind.REPORT_FAILED
    assert (tmp_path / "precious").read_text() == ""


class TestRecordPhase:
    def request(self, tmp_path, **facts):
        return PhaseRequest(
            **{"journal": str(tmp_path / "drill.journal"), "phase": "restore", "event": "start", **facts}
        )

    def test_end_of_a_phase_contains_its_duration(self, tmp_path):
        start = self.request(tmp_path)
        assert record_phase(start).seconds is None
        result = record_phase(replace(start, event="end", status="failed"))

        assert result.seconds is not None
        assert result.seconds >= 0
        assert only(read_journal(start.journal)).status == "failed"

    def test_an_end_without_a_start_is_refused_and_not_written(self, tmp_path):
        with pytest.raises(RecoveryError, match="was not started"):
            record_phase(self.request(tmp_path, event="end"))
        assert list(tmp_path.iterdir()) == []

    def test_a_second_end_is_refused(self, tmp_path):
        record_phase(self.request(tmp_path))
        record_phase(self.request(tmp_path, event="end"))
        with pytest.raises(RecoveryError, match="was not started"):
            record_phase(self.request(tmp_path, event="end"))

    def test_a_given_length_and_start_are_kept(self, tmp_path):
        began = moment_now().at - timedelta(seconds=60)
        record_phase(self.request(tmp_path, event="end", seconds=12.5, started_at=began))

        phase = only(read_journal(str(tmp_path / "drill.journal")))
        assert (phase.seconds, phase.status) == (12.5, "ok")
        assert abs((phase.started_at - began).total_seconds()) < 0.01

    def test_check_mode_writes_nothing(self, tmp_path):
        for kind in ("start", "end", "mark"):
            assert record_phase(self.request(tmp_path, event=kind, check_mode=True)).changed
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "facts",
        [
            {"seconds": 1.0},
            {"event": "mark", "seconds": 1.0},
            {"event": "end", "seconds": -1.0},
            {"event": "end", "seconds": float("nan")},
            {"event": "end", "started_at": START},
            {"phase": " "},
        ],
    )
    def test_nonsense_is_refused(self, tmp_path, facts):
        with pytest.raises(RecoveryError) as caught:
            record_phase(self.request(tmp_path, **facts))
        assert caught.value.kind == ErrorKind.INVALID_OPTIONS
        assert list(tmp_path.iterdir()) == []
