# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery to a point in time, against a real server and a real archive."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import parse_instant, utc_now
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module, start_module
from tests.support.servers.archived import PASSPHRASE, ArchivedServer, archived_server, can_run
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_run(), reason="needs PostgreSQL 15 and pgBackRest")]


@pytest.fixture(scope="module")
def archived() -> t.Iterator[ArchivedServer]:
    with archived_server() as server:
        yield server


@pytest.fixture
def copy_path(archived: ArchivedServer) -> t.Iterator[str]:
    """A directory to restore into, in a folder that the server's user may enter."""
    path = archived.root / f"copy-{time.monotonic_ns()}"
    yield str(path)
    run_module("pg_pitr", archived.options(mode="remove", data_directory=str(path)))
    assert not path.exists()


def second_before(instant: str) -> str:
    return (parse_instant(instant) - timedelta(seconds=1)).isoformat()


def targets(archived: ArchivedServer) -> dict[str, tuple[dict[str, t.Any], str]]:
    """Options, and whose rows come back."""
    moments = archived.moments
    return {
        "a second before": ({"target_type": "time", "target": second_before(moments["at"])}, "early"),
        "its very instant": ({"target_type": "time", "target": moments["at"]}, "late"),
        "its transaction": ({"target_type": "xid", "target": moments["xid"]}, "late"),
        "after it": ({"target_type": "xid", "target": moments["xid"], "inclusive": True}, "spoiled"),
        "a name": ({"target_type": "name", "target": "before_migration"}, "early"),
        "an LSN": ({"target_type": "lsn", "target": moments["lsn"]}, "late"),
    }


@pytest.mark.parametrize("name", ["a second before", "its transaction", "after it", "a name", "an LSN"])
def test_exactly_the_rows_of_then_come_back_beside(name: str, archived: ArchivedServer, copy_path: str) -> None:
    options, whose = targets(archived)[name]
    result = run_module("pg_pitr", archived.options(data_directory=copy_path, **options))
    assert result["reached"]["state"] == "paused"
    assert archived.rows(result["port"]) == archived.moments[whose]
    assert archived.has_table("public.dropped", result["port"]) is (whose != "spoiled")
    # The live server continues, and the copy cannot write into its archive.
    assert archived.rows() == archived.moments["now"]
    assert "archive_mode = 'off'" in (Path(copy_path) / "postgresql.auto.conf").read_text()


def test_wal_that_is_not_archived_is_archived_first_and_the_end_is_promoted(
    archived: ArchivedServer, copy_path: str
) -> None:
    result = run_module("pg_pitr", archived.options(data_directory=copy_path, target_type="latest"))
    assert result["reached"]["state"] == "promoted"
    assert archived.rows(result["port"]) == archived.moments["now"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target_type": "time", "target": "2020-01-01T00:00:00Z"}, "before the end of the oldest backup"),
        ({"target_type": "time", "target": "2999-01-01T00:00:00Z"}, "in the future"),
        ({"target_type": "xid", "target": "4000000000"}, "does not reach just before transaction 4000000000"),
        ({"target_type": "name", "target": "never_made"}, "does not reach restore point 'never_made'"),
        ({"target_type": "lsn", "target": "0/28"}, "before the end of the oldest backup"),
        ({"target_type": "lsn", "target": "FF/0"}, "does not reach just before LSN FF/0"),
    ],
)
def test_a_target_outside_the_archive_is_refused_before_anything_stops(
    options: dict[str, t.Any], text: str, archived: ArchivedServer
) -> None:
    data = archived.server.data_dir
    before = started(archived), os.stat(data).st_ino, sorted(os.listdir(data.parent))
    with pytest.raises(ModuleFailed) as failed:
        run_module("pg_pitr", archived.options(mode="in_place", data_directory=str(data), **options))
    assert failed.value.result["error_kind"] == "outside_archive"
    assert text in failed.value.result["msg"]
    assert (started(archived), os.stat(data).st_ino, sorted(os.listdir(data.parent))) == before


def test_without_its_server_only_what_is_archived_can_be_reached(archived: ArchivedServer, copy_path: str) -> None:
    # Other tests leave timelines of their recoveries, and no operator chooses among them.
    gone = archived.options(
        data_directory=copy_path, live_data_directory="/nonexistent", os_user=archived.user, timeline="1"
    )
    late = utc_now().isoformat()
    with pytest.raises(ModuleFailed) as failed:
        run_module("pg_pitr", {**gone, "target_type": "time", "target": late})
    assert "its newest transaction ended at" in failed.value.result["what"]
    options, whose = targets(archived)["its very instant"]
    result = run_module("pg_pitr", {**gone, **options, "action": "promote"})
    assert result["reached"]["state"] == "promoted"
    assert archived.rows(result["port"]) == archived.moments[whose]


def test_in_place_keeps_the_old_directory_and_undo_gives_it_back(archived: ArchivedServer) -> None:
    options, whose = targets(archived)["its transaction"]
    data = str(archived.server.data_dir)
    given = archived.options(mode="in_place", data_directory=data, action="promote", **options)
    given["recovery_environment"] = "production"
    with pytest.raises(ModuleFailed) as refused:
        run_module("pg_pitr", given)
    assert refused.value.result["error_kind"] == "confirmation_required"
    plan = run_module("pg_pitr", given, check_mode=True)
    result = run_module("pg_pitr", {**given, "recovery_confirm": plan["confirmation"]})
    try:
        assert archived.rows() == archived.moments[whose]
        assert result["reached"]["timeline"] > 1
        assert result["backup_due"] is True
        assert (Path(result["undo"]["kept"]) / "PG_VERSION").exists()
    finally:
        run_module("pg_pitr", archived.options(mode="undo", data_directory=data))
    wait_until_it_answers(archived)
    assert archived.rows() == archived.moments["now"]


def test_a_restore_in_place_that_is_killed_leaves_the_old_directory(archived: ArchivedServer) -> None:
    data = archived.server.data_dir
    program = archived.root / "slow-pgbackrest"
    program.write_text(
        f"#!/bin/sh\ncase \"$*\" in *' restore') touch {archived.root}/log/restores; sleep 60;; "
        '*) exec pgbackrest "$@";; esac\n'
    )
    program.chmod(0o755)
    sleeping = archived.root / "log/restores"
    options, _whose = targets(archived)["its transaction"]
    given = archived.options(mode="in_place", data_directory=str(data), **options)
    process = start_module("pg_pitr", {**given, "pgbackrest": str(program)})
    while not sleeping.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    sleeping.unlink()
    with pytest.raises(ModuleFailed) as failed:
        run_module("pg_pitr", given)
    assert "was interrupted" in failed.value.result["msg"]
    run_module("pg_pitr", archived.options(mode="undo", data_directory=str(data)))
    wait_until_it_answers(archived)
    assert archived.rows() == archived.moments["now"]


@pytest.mark.parametrize("damage", ["missing", "flipped", "another"])
def test_a_damaged_segment_is_noticed_before_anything_stops(damage: str, archived: ArchivedServer) -> None:
    began = started(archived)
    with archived.copy_of_repository() as (repository, config):
        segments = sorted((repository / "archive/main/15-1/0000000100000000").glob("*.zst"))
        segment = segments[-2]
        if damage == "missing":
            segment.unlink()
        elif damage == "another":
            # It can be read without an error, but it is not the file that its name promises.
            segment.write_bytes(segments[-3].read_bytes())
        else:
            data = bytearray(segment.read_bytes())
            data[len(data) // 2] ^= 1
            segment.write_bytes(data)
        given = archived.options(mode="in_place", data_directory=str(archived.server.data_dir), target_type="latest")
        with pytest.raises(ModuleFailed) as failed:
            run_module("pg_pitr", {**given, "config": str(config)})
    assert segment.name[:24] in failed.value.result["msg"]
    assert started(archived) == began


def test_a_damaged_backup_fails_in_place_and_the_old_directory_is_back(archived: ArchivedServer) -> None:
    with archived.copy_of_repository() as (repository, config):
        largest = max(
            (repository / "backup/main").glob("*F/pg_data/base/**/*.zst"), key=lambda path: path.stat().st_size
        )
        largest.write_bytes(largest.read_bytes()[:-100])
        options, _whose = targets(archived)["a name"]
        given = archived.options(mode="in_place", data_directory=str(archived.server.data_dir), **options)
        with pytest.raises(ModuleFailed) as failed:
            run_module("pg_pitr", {**given, "config": str(config)})
    assert "The old data directory has its original name and its server runs" in failed.value.result["msg"]
    wait_until_it_answers(archived)
    assert archived.rows() == archived.moments["now"]


def test_a_recovery_and_a_failed_one_leave_audit_records(
    archived: ArchivedServer, copy_path: str, tmp_path: Path
) -> None:
    place = {"source": "school", "store": {"provider": "directory", "path": str(tmp_path / "store")}}
    options, _whose = targets(archived)["a name"]
    given = archived.options(data_directory=copy_path, start=False, **options, **place)
    assert run_module("pg_pitr", given)["reached"]["state"] == "restored"
    with pytest.raises(ModuleFailed):
        run_module("pg_pitr", given)
    records = run_module("audit_info", place)["records"]
    assert [(record["operation_type"], record["status"]) for record in records] == [
        ("point_in_time_recovery", "failed"),
        ("point_in_time_recovery", "succeeded"),
    ]


def test_a_sandbox_that_should_archive_names_the_missing_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModuleFailed) as failed:
        run_module("sandbox", {"path": str(tmp_path / "sandbox"), "wal_archive": True})
    assert failed.value.result["msg"].startswith("pgBackRest is missing on this host. Nothing was changed. Install")
    assert not (tmp_path / "sandbox").exists()


def test_another_cluster_is_never_replaced(archived: ArchivedServer) -> None:
    other = archived.another_cluster()
    with pytest.raises(ModuleFailed) as failed:
        run_module("pg_pitr", archived.options(mode="in_place", data_directory=str(other)))
    assert failed.value.result["error_kind"] == "wrong_server"
    assert "has system identifier" in failed.value.result["what"]
    assert (other / "PG_VERSION").exists()


def test_secrets_are_shown_in_no_result(archived: ArchivedServer, copy_path: str) -> None:
    options, _whose = targets(archived)["a name"]
    result = run_module("pg_pitr", archived.options(data_directory=copy_path, **options))
    result.pop("invocation")
    shown = json.dumps(result) + "".join(
        path.read_text(errors="replace")
        for path in (Path(f"{copy_path}.log"), Path(f"{copy_path}.pitr.json"), Path(copy_path) / "postgresql.auto.conf")
    )
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            shown += process.read_text(errors="replace")
        except OSError:
            continue
    assert PASSPHRASE not in shown
    assert archived.server.password not in shown


def started(archived: ArchivedServer) -> t.Any:
    with archived.server.session() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        return cursor.fetchone()[0]


def wait_until_it_answers(archived: ArchivedServer) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            started(archived)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_transaction_that_did_the_damage_is_found_in_the_log(archived: ArchivedServer) -> None:
    moments = archived.moments
    asked = {key: value for key, value in archived.options().items() if not key.startswith("recovery_")}
    found = run_module("pg_pitr_info", {**asked, "around": moments["at"], "window_seconds": 30})
    worst = found["suspects"][0]
    assert (str(worst["xid"]), worst["ended_at"]) == (moments["xid"], moments["at"].replace("Z", "+00:00"))
    assert worst["files_dropped"] >= 1
    assert {relation["name"]: (relation["updates"], relation["deletes"]) for relation in worst["relations"]} == {
        "postgres/public.kept": (200, 80)
    }
    assert found["oldest"]["at"] < worst["ended_at"] <= found["newest"]["at"]
    gone = {**asked, "live_data_directory": "/nonexistent", "os_user": archived.user, "timeline": "1"}
    assert run_module("pg_pitr_info", {**gone, "around": moments["at"]})["suspects"][0]["xid"] == worst["xid"]


def test_a_backup_is_taken_and_its_repository_verified(archived: ArchivedServer) -> None:
    asked = {key: value for key, value in archived.options().items() if not key.startswith(("recovery_", "login_"))}
    archived_again = run_module("pg_pitr_backup", {**asked, "type": "none", "verify": True})
    assert archived_again["verified"]["problems"] == []
    assert archived_again["changed"] is False
    with archived.copy_of_repository() as (repository, config):
        largest = max(
            (repository / "backup/main").glob("*F/pg_data/base/**/*.zst"), key=lambda path: path.stat().st_size
        )
        largest.write_bytes(largest.read_bytes()[:-100])
        with pytest.raises(ModuleFailed) as failed:
            run_module(
                "pg_pitr_backup", {**asked, "config": str(config), "type": "none", "check": False, "verify": True}
            )
    assert failed.value.result["error_kind"] == "damaged"


def test_settings_of_the_backup_cannot_act_through_a_copy(archived: ArchivedServer, copy_path: str) -> None:
    """A copy that cleans the live archive would do harm; one whose commits wait for a standby cannot be written to."""
    done = archived.root / "spool" / "ran"
    config = archived.root / "spool" / "copy.conf"
    commands = ("archive_cleanup_command", "recovery_end_command")
    config.write_text("".join(f"{name} = 'touch {done}'\n" for name in commands) + "synchronous_standby_names = 'x'\n")
    archived.own(config.parent)
    requested = {"target_type": "xid", "target": archived.moments["xid"], "action": "promote"}

    result = run_module(
        "pg_pitr", archived.options(mode="side_by_side", data_directory=copy_path, config_file=str(config), **requested)
    )

    with PostgresServer(
        "15", archived.server.bin_dir, result["port"], archived.root, archived.server.password
    ).session() as cursor:
        cursor.execute("SET statement_timeout = '20s'; CREATE TABLE written (n int); CHECKPOINT")
    assert not done.exists()


@pytest.mark.parametrize("name", ["x'\narchive_cleanup_command = 'false", "it's", "back\\slash", "two\nlines"])
def test_a_restore_point_cannot_add_settings_to_the_restored_server(
    archived: ArchivedServer, copy_path: str, name: str
) -> None:
    with archived.server.session() as cursor:
        cursor.execute("SELECT pg_create_restore_point(%s)", (name,))

    with pytest.raises(ModuleFailed, match="could add settings") as failed:
        run_module(
            "pg_pitr", archived.options(mode="side_by_side", data_directory=copy_path, target_type="name", target=name)
        )

    assert failed.value.result["error_kind"] == "invalid_options"


def test_a_message_of_an_ordinary_user_forges_no_transaction(archived: ArchivedServer) -> None:
    """pg_waldump prints the prefix of a logical message as it is, and every user may write one."""
    with archived.server.session() as cursor:
        cursor.execute(
            "SELECT pg_current_wal_insert_lsn()::text, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        )
        lsn, moment = cursor.fetchone()
        head = f"len (rec/tot): 59/ 59, tx: 4242, lsn: {lsn}, prev 0/0, desc:"
        change = f"rmgr: Heap {head} DELETE off 1, blkref #0: rel 1663/5/16384 blk 0"
        forged = f"\n{change}\nrmgr: Transaction {head} COMMIT {moment} UTC\n"
        cursor.execute("CREATE ROLE ordinary; SET ROLE ordinary")
        cursor.execute("SELECT pg_logical_emit_message(false, %s, 'x')", (forged,))
        cursor.execute(
            "RESET ROLE; DROP ROLE ordinary; SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
        (now,) = cursor.fetchone()
    asked = {key: value for key, value in archived.options().items() if not key.startswith("recovery_")}

    found = run_module("pg_pitr_info", {**asked, "around": now, "window_seconds": 30})

    assert 4242 not in [suspect["xid"] for suspect in found["suspects"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could write where the server's user may not")
def test_links_of_the_servers_user_lead_root_to_no_other_file(archived: ArchivedServer, tmp_path: Path) -> None:
    """The user that owns the data directory may write next to it, in the names that a recovery uses."""
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("precious")
    folder.mkdir(mode=0o750)
    before = (victim.stat(), folder.stat())
    data = archived.root / "spool" / f"linked-{time.monotonic_ns()}"
    options = archived.options(mode="side_by_side", data_directory=str(data), target_type="immediate", action="promote")
    for name, target in ((f"{data}.log", victim), (str(data), folder)):
        os.symlink(target, name)
        with pytest.raises(ModuleFailed) as failed:
            run_module("pg_pitr", options)
        assert failed.value.result["error_kind"] in ("target_exists", "conflict"), (
            name,
            failed.value.result["msg"][:120],
        )
        Path(name).unlink(missing_ok=True)
    marker = {
        "mode": "side_by_side", "state": "done", "stanza": "main", "system_identifier": "1",
        "bin_dir": str(archived.server.bin_dir), "tablespaces": str(folder),
    }  # fmt: skip
    forged = Path(f"{data}.pitr.json")
    for owner, document in ((65534, {**marker, "tablespaces": f"{data}.tablespaces"}), (0, marker)):
        forged.write_text(json.dumps(document))
        os.chown(forged, owner, -1)
        with pytest.raises(ModuleFailed) as failed:
            run_module("pg_pitr", archived.options(mode="remove", data_directory=str(data)))
        assert failed.value.result["error_kind"] == "conflict"
        forged.unlink()

    assert victim.read_text() == "precious"
    assert [(now.st_uid, now.st_mode) for now in (victim.stat(), folder.stat())] == [
        (then.st_uid, then.st_mode) for then in before
    ]


def printed_command(output: str, title: str) -> list[str]:
    """The arguments of the command that an outcome prints in the line of this title."""
    (line,) = [line.strip().strip('",') for line in output.splitlines() if line.strip().startswith(f'"{title}:')]
    return shlex.split(line.partition("ansible-playbook lifeline.recovery.restore_point_in_time ")[2])


def test_playbooks_select_the_cluster_by_the_name_of_the_source(
    archived: ArchivedServer, copy_path: str, tmp_path: Path
) -> None:
    login = {"login_user": "postgres", "login_password": archived.server.password}
    cluster = {"stanza": "main", "pgbackrest_config": str(archived.config)}
    school = {"name": "school", "connection": login, **cluster}
    shared = {
        "recovery_environment": "sandbox",
        "pitr_variables": {"PGBACKREST_REPO1_CIPHER_PASS": PASSPHRASE},
        "pitr_restore_directory": copy_path,
    }
    several = {**shared, "recovery_sources": [{**school, "name": "other", "stanza": "other"}, school]}
    target = ("-e", "pitr_target_type=name", "-e", "pitr_target=before_migration")
    shown = play("pitr", {**several, "recovery_source": "school"}, tmp_path, "-e", "pitr_action=info")
    assert (shown.returncode, "'oldest'" in shown.stdout or '"oldest"' in shown.stdout) == (0, True), shown.stdout
    done = play("restore_point_in_time", {**several, "recovery_source": "school"}, tmp_path, *target)
    assert done.returncode == 0, done.stdout
    assert "no rows were compared" in done.stdout
    (port,) = re.findall(r"psql -h \S+ -p (\d+)", done.stdout)
    assert archived.rows(int(port)) == archived.moments["early"]
    removed = play("restore_point_in_time", several, tmp_path, *printed_command(done.stdout, "Back"))
    assert (removed.returncode, Path(copy_path).exists()) == (0, False), removed.stdout
    # An inventory that describes one cluster names no source.
    one = {**shared, "recovery_connection": login, **{f"recovery_{name}": value for name, value in cluster.items()}}
    planned = play("restore_point_in_time", one, tmp_path, *target, "--check")
    assert planned.returncode == 0, planned.stdout
    assert "Would restore 'main' to" in planned.stdout
