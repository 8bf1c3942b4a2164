# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster archives, is backed up on schedule, and was restored unchanged."""

from __future__ import annotations

import time

import pytest
from testinfra.host import Host

UNIT = "lifeline-pitr-school"


def as_owner(host: Host, command: str) -> str:
    done = host.run(f"cd /tmp && sudo -u postgres {command}")
    assert done.rc == 0, done.stderr
    return done.stdout.strip()


def test_archiving_works(host: Host) -> None:
    as_owner(host, "pgbackrest --config=/etc/pgbackrest/school.conf --stanza=school check")


@pytest.mark.parametrize("kind", ["full", "diff", "incr"])
def test_a_timer_waits_for_each_type(host: Host, kind: str) -> None:
    timer = host.service(f"{UNIT}-{kind}.timer")
    assert timer.is_enabled
    assert timer.is_running
    assert host.run(f"systemd-analyze verify {UNIT}-{kind}.service").rc == 0


def test_the_timers_of_another_stanza_stay(host: Host) -> None:
    assert host.file("/etc/systemd/system/lifeline-pitr-school-two-full.timer").exists


def test_the_unit_of_a_timer_takes_a_backup(host: Host) -> None:
    count = "pgbackrest --config=/etc/pgbackrest/school.conf --stanza=school info | grep -c 'incr backup'"
    before = int(host.run(f"cd /tmp && sudo -u postgres {count}").stdout or 0)
    assert host.run(f"systemctl start {UNIT}-incr.service").rc == 0
    assert int(host.run(f"cd /tmp && sudo -u postgres {count}").stdout) == before + 1


def left(host: Host, kind: str) -> dict[str, float]:
    """The metrics that the unit left, by name."""
    text = host.file(f"/var/lib/prometheus/node-exporter/{UNIT}-{kind}.prom").content_string
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all('{stanza="school",type="incr"} ' in line for line in lines)
    return {line.partition("{")[0].removeprefix("lifeline_pitr_backup_"): float(line.split()[-1]) for line in lines}


def test_a_backup_that_fails_shows_in_the_metrics_until_one_succeeds(host: Host) -> None:
    host.run_expect([0], f"systemctl start {UNIT}-incr.service")
    well = left(host, "incr")
    assert (well["last_success"], time.time() - well["success_timestamp_seconds"] < 300) == (1, True)
    host.run_expect([0], "systemctl stop postgresql@15-pitr")
    try:
        assert host.run(f"systemctl start {UNIT}-incr.service").rc == 1
    finally:
        host.run_expect([0], "systemctl start postgresql@15-pitr")
    assert left(host, "incr") == {**well, "last_success": 0}
    host.run_expect([0], f"systemctl start {UNIT}-incr.service")
    assert left(host, "incr")["last_success"] == 1


def test_only_the_owner_reads_the_configuration(host: Host) -> None:
    configuration = host.file("/etc/pgbackrest/school.conf")
    assert (configuration.user, configuration.mode) == ("postgres", 0o600)


def test_exactly_the_rows_of_then_are_beside(host: Host) -> None:
    folder = "/var/lib/postgresql/15/before"
    assert as_owner(host, f"psql -h {folder} -p 5445 -qAtc 'SELECT count(*) FROM kept'") == "1000"
    assert as_owner(host, f"psql -h {folder} -p 5445 -qAtc 'SHOW archive_mode'") == "off"


def test_the_cluster_in_place_is_back_and_writes_and_the_old_one_is_kept(host: Host) -> None:
    assert as_owner(host, "psql -p 5444 -qAtc 'SELECT count(*), pg_is_in_recovery() FROM kept'") == "1000|f"
    assert host.service("postgresql@15-pitr").is_running
    assert as_owner(host, "sh -c 'ls /var/lib/postgresql/15/pitr.before-*/PG_VERSION'")
