# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fenced primary is down, does not come back as a writer, and is proved by its control file."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._failover import fence, fence_log
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.fence import Fence, FenceRequest, FenceResult
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.server_process import (
    postmaster_status,
    server_processes,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._maintenance import systemd
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.cluster import Cluster
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.fakes.systemctl import Systemctl
from tests.support.kills import Call, killed_at
from tests.support.runner.modules import ModuleFailed, run_module, tree
from tests.support.servers.postgres import PostgresServer, as_server_user, postgres_server
from tests.support.servers.standby import standby_of, until, value

SETTINGS = {"wal_sender_timeout": "3s", "archive_mode": "on"}


@pytest.fixture
def primary() -> t.Iterator[PostgresServer]:
    with postgres_server("15", settings=SETTINGS) as server:
        server.psql("postgres", "CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)")
        yield server
        pg_ctl(server, "stop", "-m", "immediate")


def fenced(
    server: PostgresServer, tmp_path: Path, state: str = "fenced", *, check_mode: bool = False, **options: t.Any
) -> dict[str, t.Any]:
    given = {
        "data_dir": str(server.data_dir), "client_bin_dir": str(server.bin_dir), "state": state, "timeout": 20,
        "state_dir": str(tmp_path / "states"),
    }  # fmt: skip
    return run_module("pg_fence", {**given, **options}, check_mode=check_mode)


def refusal(server: PostgresServer, tmp_path: Path, state: str = "fenced", **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        fenced(server, tmp_path, state, **options)
    return caught.value.result


def pg_ctl(server: PostgresServer, *arguments: str) -> None:
    program = [str(server.bin_dir / "pg_ctl"), "-D", str(server.data_dir), "-w", "-s", *arguments]
    subprocess.run(program, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_server_user())


def postmaster(server: PostgresServer) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])


def test_a_fenced_primary_does_not_come_back_as_a_writer(primary: PostgresServer, tmp_path: Path) -> None:
    arguments = ["-o", f"-p {primary.port} -c unix_socket_directories={primary.data_dir.parent}"]
    assert fenced(primary, tmp_path, check_mode=True)["changed"] is True
    assert value(primary, "SELECT count(*) FROM notes") == 1
    with primary.session() as session:
        session.execute("BEGIN; INSERT INTO notes VALUES (2)")
        done = fenced(primary, tmp_path)
    assert (done["changed"], done["is_clean"], done["reason"], done["before"]["running"]) == (True, True, "", True)
    read = run_module("pg_control_info", {"data_dir": str(primary.data_dir), "client_bin_dir": str(primary.bin_dir)})
    assert (done["control"], done["control"]["state"]) == (read["control"], "shut down")
    again = fenced(primary, tmp_path)
    assert (again["changed"], again["control"], again["is_clean"]) == (False, read["control"], True)
    pg_ctl(primary, "start", "-l", "/dev/null", *arguments)
    assert value(primary, "SELECT pg_is_in_recovery()") is True
    # Its standby.signal is now that of a standby, and the state before is that of another cluster.
    for state in ("released", "fenced"):
        assert refusal(primary, tmp_path, state)["error_kind"] == "conflict"


def test_a_release_restores_the_state_before(primary: PostgresServer, tmp_path: Path) -> None:
    assert fenced(primary, tmp_path, "released")["changed"] is False
    fenced(primary, tmp_path)
    assert fenced(primary, tmp_path, "released", check_mode=True)["changed"] is True
    assert fenced(primary, tmp_path, "released")["changed"] is True
    primary.psql("postgres", "INSERT INTO notes VALUES (2)")
    assert fenced(primary, tmp_path, "released")["changed"] is False
    # A server that did not run is fenced without a start, and the release does not start it.
    os.kill(postmaster(primary), signal.SIGKILL)
    until(lambda: not server_processes(str(primary.data_dir)))
    done = fenced(primary, tmp_path)
    assert (done["changed"], done["is_clean"], done["before"]["running"]) == (True, False, False)
    assert "without a shutdown checkpoint" in done["reason"]
    assert fenced(primary, tmp_path, "released")["changed"] is True
    assert (server_processes(str(primary.data_dir)), (primary.data_dir / fence.SIGNAL).exists()) == ([], False)


def test_a_release_of_a_directory_that_was_built_again_leaves_a_standby(
    primary: PostgresServer, tmp_path: Path
) -> None:
    copy = primary.data_dir.parent / "copy"
    subprocess.run(
        [str(primary.bin_dir / "pg_basebackup"), "-D", str(copy), "-R", "--no-sync", "--checkpoint=fast"],
        check=True,
        env=primary.options().environment(),
        **as_server_user(),
    )
    fenced(primary, tmp_path)
    aside = primary.data_dir.rename(primary.data_dir.with_name("aside"))
    copy.rename(primary.data_dir)
    released = fenced(primary, tmp_path, "released")
    assert (released["changed"], released["before"]["running"]) == (True, False)
    assert (primary.data_dir / "standby.signal").exists()
    assert fenced(primary, tmp_path, "released")["changed"] is False
    # The same directory without a base backup is the fenced primary, and starts as one.
    primary.data_dir.rename(copy)
    aside.rename(primary.data_dir)


def test_a_standby_and_a_managed_server_are_refused(primary: PostgresServer, tmp_path: Path) -> None:
    with standby_of(primary) as standby:
        refused = refusal(standby, tmp_path)
        assert (refused["error_kind"], "is a standby" in refused["msg"]) == ("conflict", True)
    (primary.data_dir / "patroni.dynamic.json").touch()
    assert refusal(primary, tmp_path)["error_kind"] == "managed"
    assert postmaster_status(str(primary.data_dir)) == "ready"


def test_a_stop_waits_for_standby_and_archiver_and_reports_them(primary: PostgresServer, tmp_path: Path) -> None:
    with standby_of(primary) as standby:
        receiver = value(standby, "SELECT pid FROM pg_stat_wal_receiver")
        os.kill(receiver, signal.SIGSTOP)
        try:
            # The control file shows "shut down" while a walsender runs, so it alone is no proof.
            hung = refusal(primary, tmp_path, timeout=0.5)
            assert (hung["error_kind"], hung["control"]["running"]) == ("timeout", True)
            done = fenced(primary, tmp_path)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(receiver, signal.SIGCONT)
    assert (done["is_clean"], done["before"]["running"]) == (True, True)
    fenced(primary, tmp_path, "released")
    with primary.session() as session:
        session.execute("ALTER SYSTEM SET archive_command = 'sleep 0.8; false'")
        session.execute("SELECT pg_reload_conf()")
        session.execute("INSERT INTO notes VALUES (3)")
        session.execute("SELECT pg_switch_wal()")
    done = fenced(primary, tmp_path, timeout=60)
    assert (done["is_clean"], done["findings"]) == (True, ["The stop waited for the archiver; check archive_command."])


def test_a_frozen_server_and_orphans_of_a_killed_one_are_not_taken_for_stopped(
    primary: PostgresServer, tmp_path: Path
) -> None:
    pid = postmaster(primary)
    os.kill(pid, signal.SIGSTOP)
    hung = refusal(primary, tmp_path, timeout=3)
    assert (hung["error_kind"], "frozen" in hung["findings"][0]) == ("timeout", True)
    os.kill(pid, signal.SIGCONT)
    until(lambda: not server_processes(str(primary.data_dir)))
    fenced(primary, tmp_path, "released")

    def work() -> None:
        with contextlib.suppress(Exception), primary.session() as session:
            session.execute("INSERT INTO notes SELECT 10 FROM generate_series(1, 2000000000) HAVING count(*) > 0")

    worker = threading.Thread(target=work)
    worker.start()
    until(lambda: value(primary, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO notes%'") == 1)
    os.kill(postmaster(primary), signal.SIGKILL)
    time.sleep(1)
    assert server_processes(str(primary.data_dir)) != []
    done = fenced(primary, tmp_path)
    worker.join(10)
    assert (done["is_clean"], server_processes(str(primary.data_dir))) == (False, [])


class Host(t.NamedTuple):
    """A server whose unit of systemd is a double, because containers of tests have no systemd."""

    server: PostgresServer
    systemctl: Systemctl

    def run(self, state: t.Any) -> FenceResult:
        request = FenceRequest(str(self.server.data_dir), str(self.server.bin_dir), "db", state, 20)
        return perform(Fence(request, DirectoryStore(str(self.systemctl.folder / "states"))))

    def facts(self) -> tuple[bool, bool, bool]:
        """Whether the server takes writes, whether there is a signal, and whether starts are refused."""
        data = self.server.data_dir
        refuses = any(self.systemctl.folder.glob("persistent/*/*"))
        return postmaster_status(str(data)) == "ready", (data / fence.SIGNAL).exists(), refuses


@pytest.fixture
def host(primary: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    systemctl = Systemctl(tmp_path)
    (tmp_path / "units.json").write_text(json.dumps({"db.service": {"state": "active", "triggers": []}}))
    monkeypatch.setattr(systemd, "run_program", systemctl.run)
    monkeypatch.setattr(systemd, "PERSISTENT", str(tmp_path / "persistent"))
    return Host(primary, systemctl)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability")
def test_root_of_a_container_sees_the_processes_of_the_server(primary: PostgresServer) -> None:
    package = "ansible_collections.lifeline.recovery.plugins.module_utils"
    look = (
        f"import sys; from {package}._failover.server_process import postmaster_status, server_processes; "
        f"from {package}._pitr.cluster import Cluster, Login; data, programs = sys.argv[1:]; "
        "print(len(server_processes(data)), postmaster_status(data), Cluster(data, programs, None, Login()).running())"
    )
    command = [sys.executable, "-c", look, str(primary.data_dir), str(primary.bin_dir)]
    environment = {**os.environ, "PYTHONPATH": str(tree())}
    seen = [
        subprocess.run([*prefix, *command], env=environment, check=True, capture_output=True, text=True).stdout.split()
        for prefix in ([], ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"])
    ]
    assert seen[0] == seen[1]
    assert (int(seen[0][0]) > 1, seen[0][1], seen[0][2].startswith("Running(")) == (True, "ready", True)


def test_a_killed_run_is_continued_or_taken_back(host: Host) -> None:
    calls = (
        Call(DirectoryStore, "put"),
        Call(systemd, "replace_file"),
        Call(systemd.os, "unlink"),
        Call(systemd, "run_program", lambda arguments, **_named: arguments[1] != "show"),
        Call(Cluster, "request_stop"),
        Call(Cluster, "start"),
        Call(fence, "replace_file"),
    )
    killed, number = True, 0
    for state in ("fenced", "released"):
        # The moment after a call is the one before the next call.
        for moment in itertools.count(1, 2):
            if state == "released":
                host.run("fenced")
            killed = killed_at(moment, lambda state=state: host.run(state), calls)
            # Both ways lead out of every moment; the one that is not taken here is taken after the next moment.
            if (moment // 2 + (state == "released")) % 2:
                assert host.run("fenced").control.running is False
                assert host.facts() == (False, True, True), (state, moment)
            host.run("released")
            assert host.facts() == (True, False, False), (state, moment)
            number += 1
            if not killed:
                break
    assert number > 12
    assert (
        fence_log.FenceLog(DirectoryStore(str(host.systemctl.folder / "states")), str(host.server.data_dir)).last()
        is None
    )
