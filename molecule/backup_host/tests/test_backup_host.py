# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timers stand at the right times, and one that fires brings a set about."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from testinfra.host import Host

from tests.support.containers import in_store, runs, sets_of

DAILY, WEEKLY = "lifeline-backup-school-daily", "lifeline-backup-school-weekly"


@pytest.mark.parametrize(("unit", "calendar"), [(DAILY, "*-*-* 02:00:00 UTC"), (WEEKLY, "Sun *-*-* 03:00:00 UTC")])
def test_the_timers_stand_at_the_times_of_the_plan(host: Host, unit: str, calendar: str) -> None:
    timer = host.service(f"{unit}.timer")
    assert timer.is_running
    assert timer.is_enabled
    shown = host.run(f"systemctl show {unit}.timer -p TimersCalendar -p Persistent -p RandomizedDelayUSec").stdout
    assert calendar in shown
    assert "Persistent=yes" in shown


def test_secrets_are_for_the_user_alone_and_in_no_unit(host: Host) -> None:
    kept = host.file("/etc/lifeline/school.yml")
    assert (kept.user, kept.mode) == ("lifeline", 0o600)
    assert "not-a-secret" in kept.content_string
    assert host.run("grep -r not-a-secret /etc/systemd/system").rc == 1


def test_the_units_are_sound_and_confined(host: Host) -> None:
    assert host.run(f"systemd-analyze verify /etc/systemd/system/{DAILY}.service").stderr == ""
    shown = host.run(f"systemctl show {DAILY}.service -p User -p NoNewPrivileges -p ProtectSystem -p MemoryMax").stdout
    assert set(shown.split()) == {
        "User=lifeline",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryMax=1073741824",
    }


def test_a_timer_that_fires_brings_a_set_about(host: Host) -> None:
    before = len(sets_of(host, "backup_host", "school", "daily"))
    # The timer's own clock is moved: it fires two seconds after it was started.
    folder = f"/run/systemd/system/{DAILY}.timer.d"
    moved = r"[Timer]\nOnCalendar=\nOnActiveSec=2\nRandomizedDelaySec=0\nAccuracySec=1\n"
    assert host.run(f"mkdir -p {folder} && printf '{moved}' > {folder}/moved.conf && systemctl daemon-reload").rc == 0
    try:
        assert host.run(f"systemctl restart {DAILY}.timer").rc == 0
        deadline = time.monotonic() + 90
        while len(sets_of(host, "backup_host", "school", "daily")) == before:
            assert time.monotonic() < deadline, runs(host, DAILY)
            time.sleep(2)
    finally:
        host.run(f"rm -r {folder}; systemctl daemon-reload; systemctl restart {DAILY}.timer")
    assert "not-a-secret" not in runs(host, DAILY)


def test_sets_are_verified_and_retention_is_applied_on_schedule(host: Host) -> None:
    for unit in ("lifeline-verify-school-daily", "lifeline-verify-school-weekly", "lifeline-prune-school"):
        assert host.service(f"{unit}.timer").is_enabled
    for unit in (DAILY, "lifeline-verify-school-weekly", "lifeline-prune-school"):
        host.run_expect([0], f"systemctl start {unit}.service")
        assert "failed=0" in runs(host, unit)


def test_the_content_is_checked_each_hour_and_the_verdict_is_recorded(host: Host) -> None:
    unit = "lifeline-check-school"
    shown = host.run(f"systemctl show {unit}.timer -p TimersCalendar").stdout
    assert "*-*-* *:30:00 UTC" in shown
    host.run_expect([0], f"systemctl start {unit}.service")
    assert "2 checks passed." in runs(host, unit)
    month = "/srv/s3/backups/backup_host/school/audit/*/*"
    assert '"status": "passed"' in in_store(host).run(f"cat {month}/*-check-*.json").stdout


def test_a_drill_is_due_on_the_last_friday(host: Host) -> None:
    unit = "lifeline-drill-rows_deleted"
    assert "Fri *-*~07/1 10:00:00 UTC" in host.run(f"systemctl show {unit}.timer -p TimersCalendar").stdout
    started = host.run(f"systemctl cat {unit}.service").stdout
    assert "lifeline.recovery.drill" in started
    assert "-e drill_scenario=rows_deleted -e drill_environment=sandbox" in started
    assert "-e @/etc/lifeline/.drills.yml" in started
    drills = host.file("/etc/lifeline/.drills.yml")
    assert (drills.user, drills.mode) == ("lifeline", 0o600)
    assert "recovery_channels" in drills.content_string
    assert "recovery_store" not in drills.content_string


def test_logs_are_kept_apart_from_those_of_the_system_and_for_a_year(host: Host) -> None:
    assert "MaxRetentionSec=365day" in host.file("/etc/systemd/journald@lifeline.conf").content_string
    host.run_expect([0], f"systemctl start {DAILY}.service")
    assert "PLAY RECAP" in runs(host, DAILY)
    assert "PLAY RECAP" not in host.run(f"journalctl --no-pager -u {DAILY}.service").stdout


def test_the_schedule_is_written_for_a_controller() -> None:
    written = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "schedules.yml"
    schedules = {one["name"]: one for one in yaml.safe_load(written.read_text())["schedules"]}
    assert schedules[DAILY] == {
        "name": DAILY,
        "unified_job_template": "lifeline.recovery.backup",
        "rrule": "DTSTART;TZID=UTC:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1",
        "extra_data": {"recovery_tier": "daily", "recovery_source": "school"},
    }
    assert schedules["lifeline-drill-rows_deleted"]["rrule"].endswith("FREQ=MONTHLY;INTERVAL=1;BYDAY=-1FR")
    assert "not-a-secret" not in written.read_text()
