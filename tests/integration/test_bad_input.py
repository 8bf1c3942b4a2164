# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each thing that can be wrong gives one clear error, and nothing is half done."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from tests.support.data.school import load_school
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions

Options = dict[str, t.Any]


@pytest.fixture
def small(postgres: PostgresServer, database: str) -> str:
    postgres.psql(database, "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1, 'a'), (2, 'b');")
    return database


def failure(module: str, arguments: Options, **options: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        run_module(module, arguments, **options)
    result = caught.value.result
    assert result["msg"].count("Traceback") == 0
    assert "next_step" in result
    return result


def backup_arguments(server: PostgresServer, database: str, store: Options, **extra: t.Any) -> Options:
    return {"source": "school", "store": store, **server.module_options(database), **extra}


def objects_in(store: Options) -> list[Path]:
    return [path for path in Path(store["path"]).rglob("*.json") if "sets" in path.parts]


def test_an_unknown_source_and_an_empty_store(folder_store: Options) -> None:
    for module in ("backup_verify", "drill_self_test"):
        assert failure(module, {"source": "nobody", "store": folder_store})["error_kind"] == "unknown_source"
    assert run_module("backup_info", {"store": folder_store})["sets"] == []


def test_a_set_that_is_not_there_names_what_is(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    taken = run_module("pg_backup", backup_arguments(postgres, small, folder_store))
    result = failure("backup_verify", {"source": "school", "store": folder_store, "set": "20010101T000000Z"})
    assert result["error_kind"] == "no_backup_set"
    assert taken["set_id"] in result["msg"]


def test_objects_without_a_manifest_are_no_set(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    run_module("pg_backup", backup_arguments(postgres, small, folder_store))
    for path in objects_in(folder_store):
        path.unlink()
    assert failure("backup_verify", {"source": "school", "store": folder_store})["error_kind"] == "unknown_source"


def test_a_manifest_of_a_newer_schema_is_refused(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    run_module("pg_backup", backup_arguments(postgres, small, folder_store))
    (path,) = objects_in(folder_store)
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema": "lifeline.recovery/backup-set/2"}))
    result = failure("backup_verify", {"source": "school", "store": folder_store})
    assert result["error_kind"] == "unsupported_manifest"
    path.write_text(json.dumps({**manifest, "surprise": 1}))
    assert failure("backup_verify", {"source": "school", "store": folder_store})["error_kind"] == "unsupported_manifest"
    path.write_text(path.read_text()[:100])
    assert failure("backup_verify", {"source": "school", "store": folder_store})["error_kind"] == "damaged"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"login_password": "wrong-password-123"}, "access_denied"),
        ({"login_host": "127.0.0.1", "login_port": 9}, "unreachable"),
        ({"login_port": 6543}, "transaction_pooler"),
        ({"login_db": "no_such_database"}, "target_missing"),
        ({"client_bin_dir": "/nonexistent"}, "client_missing"),
        ({"spool_dir": "/nonexistent"}, "invalid_options"),
        ({"source": "../other"}, "invalid_options"),
        (
            {
                "store": {
                    "provider": "minio",
                    "bucket": "b",
                    "endpoint_url": "http://127.0.0.1:9",
                    "access_key": "a",
                    "secret_key": "a-long-secret-key",
                }
            },
            "unreachable",
        ),
    ],
)
def test_a_backup_refuses(
    postgres: PostgresServer, small: str, folder_store: Options, change: Options, kind: str
) -> None:
    result = failure("pg_backup", {**backup_arguments(postgres, small, folder_store), **change})
    assert result["error_kind"] == kind
    assert "wrong-password-123" not in json.dumps({**result, "invocation": None})
    assert objects_in(folder_store) == []
    assert sessions(postgres) == 0


@pytest.mark.skipif("15" not in available_versions() or "18" not in available_versions(), reason="needs 15 and 18")
def test_a_client_older_than_the_server(servers: t.Callable[[str], PostgresServer], folder_store: Options) -> None:
    newer, older = servers("18"), servers("15")
    result = failure(
        "pg_backup", {**backup_arguments(newer, "postgres", folder_store), "client_bin_dir": str(older.bin_dir)}
    )
    assert result["error_kind"] == "client_too_old"
    assert "15." in result["msg"]


def test_a_role_that_row_security_blinds(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    role = f"blind_{small}"
    postgres.psql(
        small,
        f"CREATE ROLE {role} LOGIN PASSWORD 'blind-secret-9'; GRANT pg_read_all_data TO {role};"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id = 1);",
    )
    blind = {**backup_arguments(postgres, small, folder_store), "login_user": role, "login_password": "blind-secret-9"}
    result = failure("pg_backup", blind)
    assert result["error_kind"] == "rls_blind"
    assert result["tables"] == ["public.t"]
    assert "BYPASSRLS" in result["next_step"]
    postgres.psql(small, f"DROP OWNED BY {role}; DROP ROLE {role};")


def test_a_second_backup_in_parallel_is_refused(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    with postgres.session(small) as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('lifeline.recovery backup of ' || 'school', 0))")
        result = failure("pg_backup", backup_arguments(postgres, small, folder_store))
        assert result["error_kind"] == "backup_running"
    run_module("pg_backup", backup_arguments(postgres, small, folder_store))


def test_a_locked_table_ends_the_backup_after_the_lock_timeout(
    postgres: PostgresServer, small: str, folder_store: Options
) -> None:
    with postgres.session(small) as cursor:
        cursor.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        result = failure("pg_backup", backup_arguments(postgres, small, folder_store, lock_timeout=1))
    assert result["error_kind"] == "locked"
    run_module("pg_backup", backup_arguments(postgres, small, folder_store))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_spool_leaves_no_set(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    postgres.psql(
        database, "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 3000) AS x FROM generate_series(1, 600) n"
    )
    spool = tmp_path / "spool"
    spool.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(spool)], check=False).returncode != 0:
        pytest.skip("this machine does not let us mount")
    try:
        # Long values are compressed in the database, so it looks as if they would fit.
        (spool / "ballast").write_bytes(bytes(100_000))
        result = failure("pg_backup", backup_arguments(postgres, database, folder_store, spool_dir=str(spool)))
        assert result["error_kind"] == "spool_full"
        assert [path.name for path in spool.iterdir()] == ["ballast"]
    finally:
        subprocess.run(["umount", str(spool)], check=True)
    assert objects_in(folder_store) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_store_leaves_no_set(postgres: PostgresServer, database: str, tmp_path: Path) -> None:
    postgres.psql(database, "CREATE TABLE t AS SELECT md5(n::text) FROM generate_series(1, 400000) n")
    place = tmp_path / "store"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=False).returncode != 0:
        pytest.skip("this machine does not let us mount")
    store = {"provider": "directory", "path": str(place)}
    try:
        result = failure("pg_backup", backup_arguments(postgres, database, store))
        assert result["error_kind"] == "store_full"
        assert objects_in(store) == []
        assert sessions(postgres) == 0
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_target_that_exists_or_is_in_use(postgres: PostgresServer, small: str, folder_store: Options) -> None:
    run_module("pg_backup", backup_arguments(postgres, small, folder_store))
    arguments = {"source": "school", "store": folder_store, "target_db": small, **postgres.module_options()}
    assert failure("pg_restore", arguments)["error_kind"] == "target_exists"
    missing = {**arguments, "target_db": "no_such_db", "mode": "swap"}
    assert failure("pg_restore", missing)["error_kind"] == "target_missing"
    with postgres.session(small) as cursor:
        cursor.execute("SET application_name = 'the shop'")
        result = failure("pg_restore", {**arguments, "mode": "swap", "recovery_confirm": small})
        assert result["error_kind"] == "target_in_use"
        assert "the shop" in result["msg"]
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (2,)
        cursor.execute("SELECT count(*) FROM pg_database WHERE starts_with(datname, %s)", (f"{small}_restoring",))
        assert cursor.fetchone() == (0,)


def test_roles_that_the_server_lacks(servers: t.Callable[[str], PostgresServer], folder_store: Options) -> None:
    first, second = servers(available_versions()[0]), servers(available_versions()[-1])
    if first is second:
        pytest.skip("needs two servers")
    database = first.create_database()
    role = f'Only "{database}"'
    quoted = role.replace('"', '""')
    first.psql(database, f'CREATE ROLE "{quoted}"; CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{quoted}";')
    run_module("pg_backup", backup_arguments(first, database, folder_store))
    arguments = {"source": "school", "store": folder_store, "target_db": database, **second.module_options()}
    result = failure("pg_restore", arguments)
    assert result["error_kind"] == "roles_missing"
    assert result["roles"] == [role]
    done = run_module("pg_restore", {**arguments, "create_roles": True})
    assert done["roles_created"] == [role]
    second.drop_database(database)
    first.drop_database(database)


def test_a_fault_is_refused_outside_a_sandbox(postgres: PostgresServer, small: str) -> None:
    arguments = {"database": small, "system_identifier": "1", **postgres.module_options()}
    assert failure("drill_fault", arguments)["error_kind"] == "not_a_sandbox"
    wrong_server = {**arguments, "recovery_environment": "sandbox"}
    assert failure("drill_fault", wrong_server)["error_kind"] == "not_a_sandbox"
    with postgres.session(small) as cursor:
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (2,)


def test_in_place_refuses_what_would_take_more_along(
    postgres: PostgresServer, small: str, folder_store: Options
) -> None:
    run_module("pg_backup", backup_arguments(postgres, small, folder_store, include_schemas=["public"]))
    postgres.psql(small, "CREATE SCHEMA other; CREATE VIEW other.v AS SELECT * FROM public.t;")
    result = failure(
        "pg_restore",
        {"source": "school", "store": folder_store, "target_db": small, "mode": "in_place", "recovery_confirm": small,
         "tier": "daily", **postgres.module_options()},
    )  # fmt: skip
    assert result["error_kind"] == "unsupported"
    assert "other.v" in result["msg"]
    with postgres.session(small) as cursor:
        cursor.execute("SELECT count(*) FROM other.v")
        assert cursor.fetchone() == (2,)


def test_an_empty_database_is_a_backup_too(postgres: PostgresServer, database: str, folder_store: Options) -> None:
    taken = run_module("pg_backup", backup_arguments(postgres, database, folder_store))
    assert (taken["tables"], taken["rows"]) == (0, 0)
    run_module("backup_verify", {"source": "school", "store": folder_store, "client_bin_dir": str(postgres.bin_dir)})
    copy = f"{database}_copy"
    done = run_module(
        "pg_restore", {"source": "school", "store": folder_store, "target_db": copy, **postgres.module_options()}
    )
    assert done["fingerprint"]["equal"] is True
    postgres.drop_database(copy)


def test_no_secret_is_in_argv_result_log_or_file(
    postgres: PostgresServer, database: str, store: Options, tmp_path: Path
) -> None:
    load_school(postgres, database, 4000)
    secrets = [postgres.password, store["secret_key"]]
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        own = str(os.getpid())
        while not stop.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if pid == own:
                    continue
                try:
                    seen.add(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        journal = tmp_path / "journal"
        results = [
            run_module("pg_backup", backup_arguments(postgres, database, store, journal=str(journal))),
            run_module("backup_verify", {"source": "school", "store": store, "client_bin_dir": str(postgres.bin_dir)}),
            run_module(
                "pg_restore",
                {"source": "school", "store": store, "target_db": f"{database}_copy", **postgres.module_options()},
            ),
        ]
        with pytest.raises(ModuleFailed) as caught:
            run_module("pg_backup", {**backup_arguments(postgres, database, store), "login_db": "missing"})
        results.append(caught.value.result)
    finally:
        stop.set()
        watcher.join()
        postgres.drop_database(f"{database}_copy")
    assert any("pg_dump" in line for line in seen)
    assert any("pg_restore" in line for line in seen)
    for result in results:
        result["invocation"] = {
            key: value for key, value in result.get("invocation", {}).items() if key != "module_args"
        }
    texts = [json.dumps(results), *seen, journal.read_text()]
    for secret in secrets:
        assert [text for text in texts if secret in text] == []


def sessions(server: PostgresServer) -> int:
    """Sessions of the collection that remain, after a moment for those that end."""
    for _try in range(50):
        with server.session() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^(lifeline|pg_dump|pg_restore)'"
            )
            found = int(cursor.fetchone()[0])
        if found == 0:
            return 0
        time.sleep(0.1)
    return found


def test_a_store_that_is_not_given_is_asked_for(postgres: PostgresServer, small: str) -> None:
    result = failure("pg_backup", {"source": "school", **postgres.module_options(small)})
    assert result["error_kind"] == "invalid_options"
    assert "store" in result["msg"]
