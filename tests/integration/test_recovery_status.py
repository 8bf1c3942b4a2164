# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""recovery_status reports what exists and what is missing, of a real server and a real store."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
import sqlite3
import stat
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import format_instant, utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import write_audit
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.runner.modules import ModuleFailed, parse_result, run_module, start_module
from tests.support.servers.postgres import PostgresServer, available_versions, postgres_server
from tests.support.servers.s3 import rclone_server
from tests.support.servers.standby import standby_of

Options = dict[str, t.Any]


def status(store: Options | None, **options: t.Any) -> Options:
    return run_module("recovery_status", {"source": "media", **({"store": store} if store else {}), **options})


def events(result: Options) -> dict[str, str]:
    return {breach["event"]: breach["severity"] for breach in result["breaches"]}


@pytest.fixture
def files(tmp_path: Path) -> Options:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    return {"provider": "directory", "path": str(tmp_path / "files")}


def back_up(files: Options, store: Options, **options: t.Any) -> Options:
    return run_module("bucket_backup", {"source": "media", "files": files, "store": store, **options})


def test_one_dictionary_holds_the_state_of_a_source(files: Options, folder_store: Options, tmp_path: Path) -> None:
    made = back_up(files, folder_store)
    run_module("backup_verify", {"source": "media", "store": folder_store})
    found = status(
        folder_store,
        files=files,
        rpo_seconds=86400,
        verified_within_seconds=86400,
        volumes=["/proc"],
        capacity_bytes=10**9,
    )
    assert (found["level"], found["breaches"], found["reachable"], found["changed"]) == ("ok", [], True, False)
    assert found["backup"]["set_id"] == made["set_id"]
    assert (found["sets"], found["rpo_seconds"]) == (1, 86400)
    assert found["verification"]["passed_set"] == made["set_id"]
    assert found["attempt"]["status"] == "succeeded"
    stored = sum(path.stat().st_size for path in Path(folder_store["path"]).rglob("*") if path.is_file())
    assert found["storage"][1]["used_bytes"] == stored
    assert found["drill"] is found["replication"] is found["archive"] is None


def test_last_run_of_each_operation_is_listed_with_its_operator(files: Options, folder_store: Options) -> None:
    assert status(folder_store)["operations"] == []
    for _run in range(2):
        back_up(files, folder_store)
    run_module("backup_verify", {"source": "media", "store": folder_store})
    write_audit(open_store(StoreOptions(**folder_store)), "media", "restore_rows", "failed", {})
    found = status(folder_store)["operations"]
    assert [(one["operation"], one["status"]) for one in found] == [
        ("restore_rows", "failed"), ("verify", "passed"), ("backup", "succeeded"),
    ]  # fmt: skip
    assert {(one["performed_by"], one["host"]) for one in found} == {(getpass.getuser(), socket.gethostname())}
    assert all(0 <= one["age_seconds"] < 300 for one in found)


def test_last_restore_is_known_by_its_instant_and_not_by_the_age_of_its_set(
    files: Options, folder_store: Options, tmp_path: Path
) -> None:
    older, newer = (back_up(files, folder_store)["set_id"] for _run in range(2))
    for name in (newer, older):
        target = {"provider": "directory", "path": str(tmp_path / name)}
        (tmp_path / name).mkdir()
        run_module("bucket_restore", {"source": "media", "store": folder_store, "set": name, "files": target})
        assert status(folder_store)["restore"]["passed_set"] == name


def test_a_source_without_a_backup_is_reported(files: Options, folder_store: Options) -> None:
    Path(folder_store["path"]).mkdir()
    assert events(status(folder_store, files={"provider": "directory", "path": "/nowhere"})) == {
        "source.unreachable": "critical",
        "backup.missing": "critical",
    }
    found = status(folder_store, files=files, drilled_within_seconds=60)
    assert events(found) == {"backup.missing": "critical", "drill.overdue": "warning"}
    assert status(None)["summary"] == "media: no breach was found in the facts that were read."


def test_safety_copies_are_no_recovery_points_of_a_source(files: Options, folder_store: Options) -> None:
    made = back_up(files, folder_store)
    for _number in range(2):
        back_up(files, folder_store, tier="emergency")
    found = status(folder_store)
    assert (found["backup"]["set_id"], found["backup"]["tier"]) == (made["set_id"], "daily")
    info = {"source": "media", "store": folder_store}
    # They take no place of other sets either, however many there are.
    listed = run_module("backup_info", {**info, "limit": 1})
    assert [one["tier"] for one in listed["sets"]] == ["emergency", "daily"]
    assert listed["sources"][0]["newest"] == made["set_id"]
    assert run_module("backup_info", {**info, "set": "latest"})["selected"]["tier"] == "daily"
    shutil.rmtree(Path(folder_store["path"]) / "media/daily")
    assert events(status(folder_store)) == {"backup.missing": "critical"}
    with pytest.raises(ModuleFailed, match="Only `tier` or its id chooses a safety copy"):
        run_module("bucket_restore", {**info, "files": files})


def test_a_failed_backup_is_reported_until_the_next_one_succeeds(files: Options, folder_store: Options) -> None:
    back_up(files, folder_store)
    shutil.move(files["path"], files["path"] + ".away")
    with pytest.raises(ModuleFailed):
        back_up(files, folder_store)
    assert events(status(folder_store)) == {"backup.failed": "critical"}
    shutil.move(files["path"] + ".away", files["path"])
    back_up(files, folder_store)
    assert events(status(folder_store)) == {}


def test_size_is_held_against_the_median_and_not_the_last(files: Options, folder_store: Options) -> None:
    for size in (1000, 1000, 5000, 1000):
        (Path(files["path"]) / "first").write_bytes(os.urandom(size))
        back_up(files, folder_store)
    assert "backup.size" not in events(status(folder_store))
    (Path(files["path"]) / "first").write_bytes(os.urandom(600))
    back_up(files, folder_store)
    found = status(folder_store)
    assert events(found) == {"backup.size": "warning"}
    assert found["backup"]["size_change"] < -0.2


def test_damage_that_a_verification_found_stays_reported(files: Options, folder_store: Options) -> None:
    back_up(files, folder_store)
    for path in Path(folder_store["path"]).rglob("objects/*/*"):
        path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(ModuleFailed):
        run_module("backup_verify", {"source": "media", "store": folder_store})
    found = status(folder_store, verified_within_seconds=60)
    assert events(found) == {"verify.failed": "critical", "verify.overdue": "warning"}


def test_a_drill_is_known_by_its_record(files: Options, folder_store: Options) -> None:
    back_up(files, folder_store)
    store = open_store(StoreOptions(**folder_store))
    details = {"scenario": "database_loss", "rto": {"measured_seconds": 84.0}}
    write_audit(store, "media", "drill", "passed", details)
    found = status(folder_store, drilled_within_seconds=60)
    assert (found["drill"]["verdict"], found["drill"]["rto_measured_seconds"]) == ("passed", 84.0)
    assert found["level"] == "ok"
    write_audit(store, "media", "drill", "failed", details)
    assert events(status(folder_store)) == {"drill.failed": "error"}
    # A drill of generated data proves nothing about the source, with any verdict.
    write_audit(store, "media", "drill", "passed", {**details, "data_origin": "sample"})
    assert events(status(folder_store)) == {"drill.failed": "error"}
    write_audit(store, "media", "drill", "passed", {**details, "data_origin": "source"})
    assert events(status(folder_store)) == {}


def test_a_drill_of_sample_data_is_no_rehearsal_of_the_source(files: Options, folder_store: Options) -> None:
    back_up(files, folder_store)
    details = {"scenario": "database_loss", "data_origin": "sample", "rto": {"measured_seconds": 84.0}}
    write_audit(open_store(StoreOptions(**folder_store)), "media", "drill", "passed", details)
    found = status(folder_store, drilled_within_seconds=60)
    assert found["drill"] is None
    assert events(found) == {"drill.overdue": "warning"}


def test_checks_are_known_by_their_record_which_names_no_row(
    files: Options, folder_store: Options, tmp_path: Path
) -> None:
    back_up(files, folder_store)
    database = tmp_path / "school.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript("CREATE TABLE tags (name TEXT); INSERT INTO tags VALUES ('never-shown')")
    asked: Options = {
        "engine": "sqlite",
        "path": str(database),
        "source": "media",
        "store": folder_store,
        "record": True,
        "checks": [{"name": "no tags", "type": "sql", "query": "SELECT name FROM tags", "empty": True}],
    }
    with pytest.raises(ModuleFailed):
        run_module("integrity_check", asked, check_mode=True)
    assert status(folder_store)["check"] is None
    with pytest.raises(ModuleFailed):
        run_module("integrity_check", asked)
    found = status(folder_store, checked_within_seconds=60)
    assert events(found) == {"check.failed": "critical"}
    assert (found["check"]["verdict"], found["check"]["failed"]) == ("failed", ["no tags"])
    records = b"".join(path.read_bytes() for path in Path(folder_store["path"]).rglob("audit/**/*-check-*.json"))
    assert b"no tags" in records
    assert b"told-to-nobody" not in records
    run_module("integrity_check", {**asked, "checks": [{"type": "quick_check"}]})
    assert events(status(folder_store, checked_within_seconds=60)) == {}
    # Checks that are described wrongly are no damage, and leave no doubt that nothing was checked.
    with pytest.raises(ModuleFailed):
        run_module("integrity_check", {**asked, "checks": [{"type": "nothing"}]})
    (breach,) = status(folder_store)["breaches"]
    assert (breach["event"], breach["severity"], breach["key"]) == ("check.misconfigured", "error", "media/check")
    assert "are invalid, so that none ran" in breach["message"]
    run_module("integrity_check", {**asked, "checks": [{"type": "quick_check"}]})
    assert events(status(folder_store, checked_within_seconds=1e-6)) == {"check.overdue": "warning"}


@pytest.mark.parametrize(
    "odd",
    [
        {"details": [1]},
        {"details": None},
        {"performed_at": 5},
        {"performed_at": "some day"},
        {"details": {"not_passed": 5}},
    ],
)
def test_a_record_that_is_none_hides_nothing(files: Options, folder_store: Options, odd: Options) -> None:
    back_up(files, folder_store)
    key = write_audit(open_store(StoreOptions(**folder_store)), "media", "check", "failed", {"not_passed": ["one"]})
    path = Path(folder_store["path"], key)
    path.write_text(json.dumps({**json.loads(path.read_text()), **odd}))
    found = status(folder_store, checked_within_seconds=60)
    assert set(events(found)) <= {"check.failed", "check.overdue"}
    assert found["backup"]


@pytest.mark.parametrize("checks", [[{"type": "quick_check"}], [{"type": "row_count", "table": "gone", "min": 1}]])
def test_checks_that_cannot_be_recorded_fail_with_both_reasons(tmp_path: Path, checks: list[Options]) -> None:
    database = tmp_path / "school.sqlite"
    sqlite3.connect(database).close()
    (tmp_path / "file").write_text("")
    asked = {"engine": "sqlite", "path": str(database), "source": "media", "record": True, "checks": checks}
    with pytest.raises(ModuleFailed, match="The option store is missing"):
        run_module("integrity_check", asked)
    with pytest.raises(ModuleFailed) as failed:
        run_module("integrity_check", {**asked, "store": {"provider": "directory", "path": str(tmp_path / "file/s")}})
    assert "The audit record failed: " in failed.value.result["msg"]
    assert failed.value.result["checks"][0]["status"] == ("passed" if len(checks[0]) == 1 else "failed")


def test_an_unreachable_part_is_a_fact_that_lasts(files: Options, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with rclone_server() as server:
        store = {**server.store_options(prefix="p"), "timeout": 5}
        back_up(files, store)
        options = {"files": files, "state_dir": str(tmp_path / "state"), "rpo_seconds": 86400}
        assert status(store, **options)["level"] == "ok"
    found = status(store, **options)
    assert (found["level"], found["stores"][0]["reach"]["ok"]) == ("ok", False)
    since = found["stores"][0]["reach"]["since"]
    assert since is not None
    again = status(store, **options, unreachable_seconds=0)
    assert events(again) == {"store.unreachable": "critical"}
    assert again["stores"][0]["reach"]["since"] == since
    # If there is no folder for the state, the first time counts.
    assert events(status(store, files=files)) == {"store.unreachable": "critical"}
    assert store["secret_key"] not in str(again) + "".join(p.read_text() for p in (tmp_path / "state").iterdir())


def test_the_last_answer_of_a_store_stays_while_it_does_not_answer(
    files: Options, folder_store: Options, tmp_path: Path
) -> None:
    options = {"files": files, "state_dir": str(tmp_path / "state"), "unreachable_seconds": 0}
    Path(folder_store["path"]).mkdir()
    assert events(status(folder_store, **options)) == {"backup.missing": "critical"}
    Path(folder_store["path"]).rename(tmp_path / "away")
    status(folder_store, **options)
    for _look in range(2):
        away = events(status(folder_store, **options))
        assert away == {"backup.missing": "critical", "store.unreachable": "critical"}
    (tmp_path / "away").rename(folder_store["path"])
    back_up(files, folder_store)
    assert events(status(folder_store, **options)) == {}


def test_a_copy_is_looked_at_by_itself(files: Options, folder_store: Options, tmp_path: Path) -> None:
    copy = {"provider": "directory", "path": str(tmp_path / "copy")}
    back_up(files, {**folder_store, "copies": [copy]})
    complete = status({**folder_store, "copies": [copy]}, rpo_seconds=60)
    assert [store["newest"] is not None for store in complete["stores"]] == [True, True]
    shutil.rmtree(copy["path"])
    Path(copy["path"]).mkdir()
    assert events(status({**folder_store, "copies": [copy]}, rpo_seconds=60)) == {"store.behind": "error"}


def test_a_server_is_asked_and_missed(postgres: PostgresServer, database: str, folder_store: Options) -> None:
    login = postgres.module_options(database)
    Path(folder_store["path"]).mkdir()
    found = status(folder_store, **login)
    assert (found["reachable"], found["reach"]["ok"]) == (True, True)
    gone = status(None, **{**login, "login_port": 1})
    assert gone["reachable"] is False
    assert events(gone) == {"source.unreachable": "critical"}
    assert events(status(None, **{**login, "login_password": "wrong-one"})) == {"source.unreachable": "critical"}
    assert "wrong-one" not in str(status(None, **{**login, "login_password": "wrong-one"}))


def test_a_backup_that_was_not_let_in_is_one_that_failed(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    login = postgres.module_options(database)
    run_module("pg_backup", {**login, "source": "media", "store": folder_store})
    for wrong in ({"login_port": 1}, {"login_password": "wrong-one"}):
        with pytest.raises(ModuleFailed):
            run_module("pg_backup", {**login, **wrong, "source": "media", "store": folder_store}, check_mode=True)
        assert events(status(folder_store, **login)) == {}
        with pytest.raises(ModuleFailed):
            run_module("pg_backup", {**login, **wrong, "source": "media", "store": folder_store})
        assert events(status(folder_store, **login)) == {"backup.failed": "critical"}
        run_module("pg_backup", {**login, "source": "media", "store": folder_store})


def test_wal_that_cannot_be_archived_is_reported() -> None:
    settings = {"archive_mode": "on", "archive_command": "false", "max_wal_senders": "2", "wal_level": "replica"}
    with postgres_server(available_versions()[0], settings=settings) as server:
        with server.session() as cursor:
            cursor.execute("SELECT pg_switch_wal()")
            for _attempt in range(300):
                cursor.execute("SELECT failed_count FROM pg_stat_archiver")
                if cursor.fetchone()[0]:
                    break
                cursor.execute("SELECT pg_sleep(0.1)")
        found = status(None, **server.module_options())
        assert events(found) == {"archive.failing": "critical"}
        assert found["archive"]["waiting"] >= 1


def test_a_standby_that_stops_is_reported() -> None:
    with postgres_server(available_versions()[0]) as server:
        assert status(None, **server.module_options())["replication"] is None
        with standby_of(server) as standby:
            for _attempt in range(100):
                seen = status(None, **server.module_options())
                if seen["replication"]["streaming"]:
                    break
            assert (seen["replication"]["role"], seen["replication"]["standbys"], events(seen)) == ("primary", 1, {})
            followed = status(None, **standby.module_options())
            assert (followed["replication"]["role"], events(followed)) == ("standby", {})
        for _attempt in range(100):
            gone = status(None, **server.module_options())
            if gone["breaches"]:
                break
        assert events(gone) == {"replication.stopped": "critical"}


def test_metrics_are_for_the_collector_and_check_mode_writes_nothing(
    files: Options, folder_store: Options, tmp_path: Path
) -> None:
    back_up(files, folder_store)
    target, state = tmp_path / "media.prom", tmp_path / "state"
    options = {"source": "media", "store": folder_store, "metrics_textfile": str(target), "state_dir": str(state)}
    run_module("recovery_status", options, check_mode=True)
    assert not target.exists()
    assert not state.exists()
    run_module("recovery_status", options)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert 'lifeline_status_level{source="media",level="ok"} 1' in target.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "../other"}, "cannot be the name of a source"),
        ({"capacity_bytes": 0}, "capacity_bytes must be above 0, got 0"),
        ({"severities": {"backup.slow": "loud"}}, "backup.slow: loud"),
        ({"storage_used": 1.5}, "must be ratios"),
        ({"volumes": ["/nowhere"]}, "/nowhere cannot be read"),
        ({"metrics_textfile": "/nowhere/media.prom"}, "cannot be written"),
        ({"engine": "postgresql", "dsn": "no dsn"}, "not a PostgreSQL connection string"),
    ],
)
def test_contradicting_options_are_refused(folder_store: Options, options: Options, sentence: str) -> None:
    Path(folder_store["path"]).mkdir()
    with pytest.raises(ModuleFailed, match=sentence):
        status(folder_store, **options)


def test_a_record_is_found_across_the_turn_of_a_year(folder_store: Options) -> None:
    from datetime import datetime, timezone

    from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import newest_audit

    Path(folder_store["path"]).mkdir()
    store = open_store(StoreOptions(**folder_store))
    write_audit(store, "media", "backup", "succeeded", {})
    now = utc_now()
    later = datetime(now.year + 1, now.month, 1, tzinfo=timezone.utc)
    found = newest_audit(store, "media", "backup", later, months=13)
    assert found is not None
    assert found.performed_at[:10] == format_instant(now)[:10]
    assert newest_audit(store, "media", "backup", later, months=12) is None
    assert newest_audit(store, "media", "drill", later, months=13) is None


@pytest.fixture
def silent() -> t.Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_store_that_hangs_is_reported_within_a_minute_and_not_for_its_copy(silent: str, tmp_path: Path) -> None:
    hangs = {"provider": "generic", "bucket": "b", "region": "x", "access_key": "a", "secret_key": "b"}
    store = {**hangs, "endpoint_url": silent, "copies": [{**hangs, "endpoint_url": "http://127.0.0.1:1"}]}
    with start_module("recovery_status", {"source": "media", "store": store, "state_dir": str(tmp_path)}) as process:
        output, errors = process.communicate(timeout=60)
    found = parse_result(output, errors)
    assert [one["reach"]["ok"] for one in found["stores"]] == [False, False]
    assert len({one["reach"]["place"] for one in found["stores"]}) == 2
    assert len(json.loads((tmp_path / "media.json").read_text())["unreachable_since"]) == 2


@pytest.fixture
def hanging(postgres: PostgresServer) -> t.Iterator[int]:
    """The port of a server that lets clients in and then answers nothing."""

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", postgres.port)) as server:
            threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
            # The server is ready for queries; what comes after that is kept back.
            pass_on(server, client, until=b"Z\x00\x00\x00\x05I")
            over.wait()

    def pass_on(giver: socket.socket, taker: socket.socket, until: bytes | None = None) -> None:
        with contextlib.suppress(OSError):
            while data := giver.recv(65536):
                taker.sendall(data)
                if until and data.endswith(until):
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        over.set()


def test_a_server_that_hangs_after_the_login_is_reported_within_a_minute(
    postgres: PostgresServer, database: str, hanging: int, tmp_path: Path
) -> None:
    login = {**postgres.module_options(database), "login_port": hanging}
    seen = {"unreachable_seconds": -1, "state_dir": str(tmp_path)}
    options = {"source": "school", "engine": "postgresql", **login, **seen}
    with start_module("recovery_status", options) as process:
        output, _errors = process.communicate(timeout=60)
    found = json.loads(output)
    assert [breach["event"] for breach in found["breaches"]] == ["source.unreachable"], found
    assert "did not answer within 30 seconds" in found["breaches"][0]["message"]


def test_no_series_is_written_twice(files: Options, folder_store: Options, tmp_path: Path) -> None:
    """A collector refuses the whole file then."""
    back_up(files, folder_store)
    back_up(files, folder_store)
    for manifest in Path(folder_store["path"], "media/daily/sets").iterdir():
        manifest.chmod(0o600)
        manifest.write_text("{")
    metrics = tmp_path / "media.prom"
    found = status(folder_store, volumes=["/tmp", "/tmp"], metrics_textfile=str(metrics))
    damaged = [one for one in found["breaches"] if one["event"] == "backup.damaged"]
    assert len(damaged) == 1
    assert damaged[0]["message"].count("is damaged") == 2
    series = [line.rpartition(" ")[0] for line in metrics.read_text().splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


def test_a_clock_that_jumps_back_does_not_silence(tmp_path: Path) -> None:
    memory = tmp_path / "media.json"
    nowhere = {"provider": "directory", "path": str(tmp_path / "nowhere")}
    memory.write_text(json.dumps({"unreachable_since": {nowhere["path"]: "2999-01-01T00:00:00+00:00"}, "breaches": []}))
    assert status(nowhere, state_dir=str(tmp_path))["level"] == "ok"
    since = json.loads(memory.read_text())["unreachable_since"][nowhere["path"]]
    assert not since.startswith("2999")


def test_a_shallower_look_does_not_cover_damage_up(files: Options, folder_store: Options) -> None:
    Path(files["path"], "large").write_bytes(os.urandom(9000))
    back_up(files, folder_store)
    largest = max(Path(folder_store["path"]).rglob("objects/*/*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"x" * largest.stat().st_size)
    with pytest.raises(ModuleFailed):
        run_module("backup_verify", {"source": "media", "store": folder_store, "depth": "digests"})
    run_module("backup_verify", {"source": "media", "store": folder_store, "depth": "presence"})
    assert events(status(folder_store)) == {"verify.failed": "critical"}


def test_findings_are_in_the_error_when_the_state_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    metrics = tmp_path / "media.prom"
    nowhere = {"provider": "directory", "path": str(tmp_path / "nowhere")}
    with pytest.raises(ModuleFailed, match="cannot be written") as raised:
        status(nowhere, unreachable_seconds=-1, state_dir=str(tmp_path / "state"), metrics_textfile=str(metrics))
    assert [breach["event"] for breach in raised.value.result["breaches"]] == ["store.unreachable"]
    assert "store_reachable" in metrics.read_text()
