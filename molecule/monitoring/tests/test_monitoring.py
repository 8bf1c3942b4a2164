# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each breach is sent once with its severity, and its end as well; metrics follow."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t

import pytest
from testinfra.host import Host

from tests.support.containers import arrived, in_store, runs

DAILY = "lifeline-backup-school-daily"
METRICS = "/var/lib/prometheus/node-exporter/lifeline-school.prom"


def sent(host: Host) -> list[tuple[str, str, str]]:
    """Action, key and severity of every event that the on-call channel received."""
    seen = [json.loads(one["body"]) for one in arrived(host, "requests.jsonl") if one["path"] == "/watch"]
    return [(one["event_action"], one["dedup_key"], one.get("payload", {}).get("severity", "")) for one in seen]


def is_at_rest(host: Host) -> bool:
    state = host.run("systemctl show -P ActiveState lifeline-status.service").stdout.strip()
    return state in ("inactive", "failed")


def until(host: Host, happens: t.Callable[[Host], bool]) -> None:
    deadline = time.monotonic() + 90
    while not happens(host):
        assert time.monotonic() < deadline, runs(host, "lifeline-status")
        time.sleep(0.5)


def look(host: Host) -> str:
    """Have the service look, as its timer does; the metrics that it leaves."""
    # To start what runs is to wait for it, and it looked before something was broken.
    until(host, is_at_rest)
    host.run_expect([0], "systemctl start lifeline-status.service")
    return str(host.file(METRICS).content_string)


def metric(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return float(line.rpartition(" ")[2])


def looked_at(host: Host) -> float:
    return metric(host.file(METRICS).content_string, "lifeline_status_timestamp_seconds")


@pytest.fixture(scope="module")
def backed_up(host: Host) -> Host:
    host.run_expect([0], f"systemctl start {DAILY}.service")
    # The missing backup ends with the next status run, and no test depends on it.
    look(host)
    return host


@contextlib.contextmanager
def stopped(host: Host, unit: str) -> t.Iterator[None]:
    host.run_expect([0], f"systemctl stop {unit}")
    try:
        yield
    finally:
        host.run_expect([0], f"systemctl start {unit}")


def level(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("lifeline_status_level{") and line.endswith(" 1")]
    return line.partition('level="')[2].partition('"')[0]


def falls_and_rises(host: Host, broken: t.ContextManager[None], key: str, severity: str) -> tuple[str, str]:
    """Look while it is broken, and again when it is not; the metrics of both."""
    before = len(sent(host))
    with broken:
        during = look(host)
        # An unreachable source is a breach only after a while.
        if severity not in level(during):
            time.sleep(1.5)
            during = look(host)
    after = look(host)
    news = [one for one in sent(host)[before:] if one[1] == key]
    assert news == [("trigger", key, severity), ("resolve", key, "")], sent(host)[before:]
    return during, after


def test_the_timer_looks_by_itself(backed_up: Host) -> None:
    assert backed_up.service("lifeline-status.timer").is_enabled
    look(backed_up)
    seen = looked_at(backed_up)
    backed_up.run_expect([0], "systemctl restart lifeline-status.timer")
    until(backed_up, lambda host: looked_at(host) > seen)


def test_stopped_database_is_reported_and_its_return_as_well(backed_up: Host) -> None:
    broken = stopped(backed_up, "postgresql@15-main")
    during, after = falls_and_rises(backed_up, broken, "school/source.unreachable", "critical")
    assert (metric(during, "lifeline_source_reachable"), level(during)) == (0, "critical")
    assert (metric(after, "lifeline_source_reachable"), level(after)) == (1, "ok")


def test_stopped_store_is_reported_and_its_return_as_well(backed_up: Host) -> None:
    store = in_store(backed_up)
    key = "school/store.unreachable:s3://backups/monitoring"
    during, after = falls_and_rises(backed_up, stopped(store, "s3"), key, "critical")
    assert metric(during, "lifeline_store_reachable") == 0
    assert "lifeline_backup_sets" not in during
    assert (metric(after, "lifeline_backup_sets") >= 1, level(after)) == (True, "ok")


@contextlib.contextmanager
def filled(host: Host, megabytes: int) -> t.Iterator[None]:
    host.run_expect([0], f"dd if=/dev/zero of=/srv/monitoring/small/file bs=1M count={megabytes} status=none")
    try:
        yield
    finally:
        host.run_expect([0], "rm /srv/monitoring/small/file")


def test_full_disk_is_reported_and_its_emptying_as_well(backed_up: Host) -> None:
    key = "school/storage.full:/srv/monitoring/small"
    during, _after = falls_and_rises(backed_up, filled(backed_up, 10), key, "critical")
    assert level(during) == "critical"


def test_a_backup_that_fails_is_one_incident_until_one_succeeds(backed_up: Host) -> None:
    before = len(sent(backed_up))
    with stopped(backed_up, "postgresql@15-main"):
        assert backed_up.run(f"systemctl start {DAILY}.service").rc == 1
    look(backed_up)
    backed_up.run_expect([0], f"systemctl start {DAILY}.service")
    look(backed_up)
    assert sent(backed_up)[before:] == [("trigger", "school/backup", "critical"), ("resolve", "school/backup", "")]


def test_secrets_are_for_the_user_alone_and_in_no_log(backed_up: Host) -> None:
    kept = backed_up.file("/etc/lifeline/monitoring.yml")
    assert (kept.user, kept.mode) == ("lifeline", 0o600)
    assert "not-a-secret" not in runs(backed_up, "lifeline-status") + runs(backed_up, DAILY)
    assert "not-a-secret" not in backed_up.file(METRICS).content_string
    assert backed_up.file("/etc/lifeline-rules.yml").mode == 0o644
    assert json.loads(backed_up.file("/etc/lifeline-dashboard.json").content_string)["title"] == "Recovery"
