# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An old primary follows the new one without the loss of a row, or is refused and accepts no writes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._failover import isolated, rewind
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.fence import Fence, FenceRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.follow import Replication
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.rejoin import Rejoin, RejoinRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.rejoin_log import RejoinLog
from ansible_collections.lifeline.recovery.plugins.module_utils._failover.server_process import server_processes
from ansible_collections.lifeline.recovery.plugins.module_utils._maintenance import systemd
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.cluster import Cluster
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.fakes.systemctl import Systemctl
from tests.support.kills import Call, killed_at
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import (
    PostgresServer,
    as_server_user,
    available_versions,
    give_to_server,
    postgres_server,
)
from tests.support.servers.standby import standby_of, until, value

SETTINGS = {
    "wal_log_hints": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_sender_timeout": "4s",
    "wal_receiver_timeout": "4s",
}


class Pair(t.NamedTuple):
    """The old primary a, the new primary b, and the folder for states and rows."""

    a: PostgresServer
    b: PostgresServer
    folder: Path

    def fence(self) -> dict[str, t.Any]:
        given = {"data_dir": str(self.a.data_dir), "client_bin_dir": str(self.a.bin_dir), "timeout": 30}
        return run_module("pg_fence", {**given, "state_dir": str(self.folder / "states")})

    def promote(self) -> None:
        with self.b.session() as session:
            session.execute("SELECT pg_promote(true, 30)")

    def rejoin(self, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {
            **self.b.module_options(), "data_dir": str(self.a.data_dir), "slot": "a", "timeout": 30,
            "replication": {
                "host": "127.0.0.1", "port": self.b.port, "user": "postgres", "password": self.b.password
            },
            "rows_dir": str(self.folder / "rows"), "state_dir": str(self.folder / "states"),
            "recovery_confirm": str(self.a.data_dir),
        }  # fmt: skip
        return run_module("pg_rejoin", {**given, **options}, check_mode=check_mode)

    def refused(self, **options: t.Any) -> dict[str, t.Any]:
        with pytest.raises(ModuleFailed) as caught:
            self.rejoin(**options)
        assert self.b.password not in json.dumps(caught.value.result)
        return caught.value.result

    def signal(self) -> bool:
        return (self.a.data_dir / "standby.signal").exists()


@contextlib.contextmanager
def pair_of(version: str, folder: Path, **settings: str) -> t.Iterator[Pair]:
    given = {**SETTINGS, **settings}
    with postgres_server(version, settings=given) as a:
        a.psql("postgres", "CREATE TABLE notes (id int PRIMARY KEY, text text); CREATE TABLE log (line text)")
        note = a.data_dir / "a-note.conf"
        note.write_text("of the old primary\n")
        give_to_server(note)
        with standby_of(a, settings=given) as b:
            try:
                yield Pair(a, b, folder)
            finally:
                program = [str(a.bin_dir / "pg_ctl"), "-D", str(a.data_dir), "-m", "immediate", "-w", "-s", "stop"]
                subprocess.run(program, check=False, stderr=subprocess.DEVNULL, **as_server_user())


def kill(server: PostgresServer) -> None:
    """As a crash of the host; a process whose parent does not wait for it would still seem to run."""
    pid = int((server.data_dir / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def execute(server: PostgresServer, *statements: str) -> None:
    with server.session() as session:
        for statement in statements:
            session.execute(statement)


def slots(server: PostgresServer) -> t.Any:
    return value(server, "SELECT count(*) FROM pg_replication_slots")


def rows(server: PostgresServer) -> t.Any:
    return value(server, "SELECT array_agg(n::text ORDER BY id) FROM notes n")


def diverge(pair: Pair) -> None:
    """Rows of both, then rows that only a has, and rows that only b has."""
    a, b = pair.a, pair.b
    execute(
        a, "INSERT INTO notes SELECT g, 'old ' || g FROM generate_series(1, 2000) g", "INSERT INTO log VALUES ('1')"
    )
    until(lambda: value(b, "SELECT count(*) FROM log") == 1)
    pair.promote()
    execute(
        a,
        "INSERT INTO notes VALUES (3001, E'tab\\there'), (3002, NULL), (3003, E'back\\\\slash')",
        "UPDATE notes SET text = 'changed on a' WHERE id = 7",
        "INSERT INTO log VALUES ('1'), ('2')",
        "CREATE TABLE only_here (id int)",
        "INSERT INTO only_here VALUES (5)",
    )
    execute(b, "INSERT INTO notes VALUES (4001, 'on b')", "CREATE TABLE after_promotion (id int)")


def copied(result: dict[str, t.Any], table: str) -> list[str]:
    (found,) = [one for one in result["tables"] if one["table"] == table]
    return sorted((Path(result["rows_folder"]) / found["file"]).read_text().splitlines())


@pytest.mark.parametrize("version", available_versions()[1:2])
def test_a_clean_primary_is_attached(version: str, tmp_path: Path) -> None:
    with pair_of(version, tmp_path) as pair:
        execute(pair.a, "INSERT INTO notes SELECT generate_series(1, 100)")
        assert "is a standby" in pair.refused()["msg"]
        assert pair.fence()["is_clean"] is True
        until(lambda: value(pair.b, "SELECT count(*) FROM notes") == 100)
        pair.promote()
        plan = pair.rejoin(check_mode=True)
        assert (plan["changed"], plan["way"], server_processes(str(pair.a.data_dir))) == (True, "attach", [])
        done = pair.rejoin()
        assert (done["changed"], done["way"], done["timeline"], done["rows_saved"]) == (True, "attach", 2, None)
        # Its standby streamed through the slot "second".
        assert ["hold back WAL on this standby: second." in finding for finding in done["findings"]] == [True]
        execute(pair.b, "INSERT INTO notes VALUES (101)")
        until(lambda: rows(pair.a) == rows(pair.b))
        assert pair.rejoin()["changed"] is False
        # The fence has ended, because its release would make a writer of a standby.
        given = {"data_dir": str(pair.a.data_dir), "client_bin_dir": str(pair.a.bin_dir), "state": "released"}
        assert run_module("pg_fence", {**given, "state_dir": str(tmp_path / "states")})["changed"] is False
        assert value(pair.a, "SELECT pg_is_in_recovery()") is True


def test_starts_of_the_service_are_allowed_again_for_the_standby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = Systemctl(tmp_path)
    (tmp_path / "units.json").write_text(json.dumps({"db.service": {"state": "active", "triggers": []}}))
    monkeypatch.setattr(systemd, "run_program", systemctl.run)
    monkeypatch.setattr(systemd, "PERSISTENT", str(tmp_path / "runtime"))
    with pair_of("15", tmp_path) as pair:
        states = DirectoryStore(str(tmp_path / "states"))
        perform(Fence(FenceRequest(str(pair.a.data_dir), str(pair.a.bin_dir), "db"), states))
        assert (systemctl.units()["db.service"]["state"], len(list(tmp_path.glob("runtime/*/*")))) == ("inactive", 1)
        until(lambda: value(pair.b, "SELECT count(*) FROM pg_stat_wal_receiver") == 0)
        pair.promote()
        request = RejoinRequest(
            server=pair.b.options(), data_dir=str(pair.a.data_dir), slot="a", client_bin_dir=str(pair.a.bin_dir),
            replication=Replication("127.0.0.1", "postgres", pair.b.password, pair.b.port), service="db", mode="attach",
        )  # fmt: skip
        assert perform(Rejoin(request, states)).changed is True
        assert (systemctl.units()["db.service"]["state"], list(tmp_path.glob("runtime/*"))) == ("active", [])
        assert value(pair.a, "SELECT pg_is_in_recovery()") is True


@pytest.mark.parametrize("version", available_versions())
def test_a_rewind_saves_the_rows_that_only_the_old_primary_has(version: str, tmp_path: Path) -> None:
    # The checkpoint of a clean stop removes WAL that pg_rewind needs, unless the server keeps it.
    with pair_of(version, tmp_path, wal_keep_size="256MB") as pair:
        diverge(pair)
        assert "runs as a primary" in pair.refused()["msg"]
        if version == available_versions()[0]:
            kill(pair.a)
        pair.fence()
        configuration = (pair.a.data_dir / "postgresql.conf").read_bytes()
        assert pair.refused(recovery_confirm=None)["error_kind"] == "confirmation_required"
        assert pair.refused(mode="attach")["error_kind"] == "not_ready"
        plan = pair.rejoin(check_mode=True)
        assert (plan["way"], plan["rows_saved"], (tmp_path / "rows").exists()) == ("rewind", None, False)
        done = pair.rejoin(recovery_confirm=plan["plan_digest"])
        assert (done["changed"], done["way"], done["rows_saved"]) == (True, "rewind", 7)
        assert copied(done, "public.notes") == [
            "3001\ttab\\there",
            "3002\t\\N",
            "3003\tback\\\\slash",
            "7\tchanged on a",
        ]
        assert (copied(done, "public.log"), copied(done, "public.only_here")) == (["1", "2"], ["5"])
        (notes,) = [one for one in done["tables"] if one["table"] == "public.notes"]
        assert (notes["missing"], notes["differing"]) == (3, 1)
        manifest = Path(done["rows_folder"]) / "manifest.json"
        assert (json.loads(manifest.read_text())["rows"], manifest.stat().st_mode & 0o777) == (7, 0o600)
        assert (pair.a.data_dir / "postgresql.conf").read_bytes() == configuration
        assert (pair.a.data_dir / "a-note.conf").exists()
        assert (list(pair.a.data_dir.parent.glob("data.rejoin-*")), done["findings"]) == ([], [])
        execute(pair.b, "INSERT INTO notes VALUES (5001, 'later')")
        until(lambda: rows(pair.a) == rows(pair.b))
        assert (value(pair.a, "SELECT pg_is_in_recovery()"), pair.rejoin()["changed"]) == (True, False)


def test_a_primary_that_cannot_be_rewound_is_refused(tmp_path: Path) -> None:
    with pair_of("15", tmp_path, wal_log_hints="off") as pair:
        diverge(pair)
        pair.fence()
        refused = pair.refused()
        assert (refused["error_kind"], refused["way"]) == ("not_ready", "reseed")
        assert "wal_log_hints" in refused["msg"] and "standby.yml" in refused["next_step"]
        assert (server_processes(str(pair.a.data_dir)), slots(pair.b)) == ([], 0)


def test_a_rewind_without_the_wal_of_the_new_primary_is_refused(tmp_path: Path) -> None:
    with pair_of("15", tmp_path, min_wal_size="32MB", max_wal_size="32MB") as pair:
        diverge(pair)
        kill(pair.a)
        for _number in range(4):
            execute(pair.b, "INSERT INTO log VALUES ('x')", "SELECT pg_switch_wal()", "CHECKPOINT")
        pair.fence()
        refused = pair.refused()
        assert (refused["error_kind"], "removed WAL" in refused["msg"]) == ("not_ready", True)
        assert (server_processes(str(pair.a.data_dir)), pair.signal(), slots(pair.b)) == ([], True, 0)
        # The rows are saved nonetheless.
        assert [path.name for path in (tmp_path / "rows").glob("*/manifest.json")] == ["manifest.json"]


def test_a_killed_run_leaves_no_server_that_accepts_writes(tmp_path: Path) -> None:
    with pair_of("15", tmp_path, wal_keep_size="256MB") as pair:
        diverge(pair)
        kill(pair.a)
        pair.fence()
        states = DirectoryStore(str(tmp_path / "states"))
        log = RejoinLog(states, str(pair.a.data_dir))

        def run() -> None:
            request = RejoinRequest(
                server=pair.b.options(), data_dir=str(pair.a.data_dir), slot="a", client_bin_dir=str(pair.a.bin_dir),
                replication=Replication("127.0.0.1", "postgres", pair.b.password, pair.b.port),
                rows_dir=str(tmp_path / "rows"), safeguards=Safeguards(confirm=str(pair.a.data_dir)),
            )  # fmt: skip
            perform(Rejoin(request, states))

        calls = (
            Call(DirectoryStore, "put"),
            Call(isolated, "remove_signal"),
            Call(Cluster, "start"),
            Call(Cluster, "request_stop"),
            Call(rewind, "_pg_rewind"),
        )
        phases: list[str] = []
        fences = 0
        # The moment after a call is the one before the next call.
        for moment in itertools.count(1, 2):
            assert killed_at(moment, run, calls), moment
            with pytest.raises(psycopg2.OperationalError), pair.a.session():
                pass
            guarded = "nonexistent" in (pair.a.data_dir / "postgresql.auto.conf").read_text()
            assert pair.signal() or guarded, moment
            state = log.last()
            phases.append(state.phase if state else "")
            if server_processes(str(pair.a.data_dir)) or not pair.signal():
                # The fence stops the isolated server, and keeps the state before of the regular one.
                before = pair.fence()["before"]
                assert (before["running"], server_processes(str(pair.a.data_dir)), pair.signal()) == (False, [], True)
                assert "nonexistent" not in (pair.a.data_dir / "postgresql.auto.conf").read_text()
                fences += 1
            if phases[-1] == "rewinding":
                break
        assert (phases.count("saving") > 4, fences > 1) == (True, True)
        refused = pair.refused()
        assert (refused["error_kind"], "cut off" in refused["msg"]) == ("not_ready", True)
        given = {"data_dir": str(pair.a.data_dir), "client_bin_dir": str(pair.a.bin_dir), "state": "released"}
        assert run_module("pg_fence", {**given, "state_dir": str(tmp_path / "states")})["changed"] is False
        assert pair.signal()
