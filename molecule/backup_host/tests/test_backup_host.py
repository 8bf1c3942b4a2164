# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timers stand at the right times, and one that fires brings a set about."""

from __future__ import annotations

import time

import pytest
from testinfra.host import Host

from tests.doubles.containers import sets_of

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
            assert time.monotonic() < deadline, host.run(f"journalctl --no-pager -u {DAILY}.service | tail -30").stdout
            time.sleep(2)
    finally:
        host.run(f"rm -r {folder}; systemctl daemon-reload; systemctl restart {DAILY}.timer")
    assert "not-a-secret" not in host.run(f"journalctl --no-pager -u {DAILY}.service").stdout
