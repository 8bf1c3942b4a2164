# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mistakes of recovery plans, run as the plans describe them, and the result of the collection."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.data.school import load_school
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


def psql(server: PostgresServer, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(server.bin_dir / "psql"), "-X", "-q", "-t", "-A", *arguments],
        env=server.options(database).environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_broken_restore_that_psql_calls_a_success_is_refused(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE TABLE a (id int);\nCOPY missing FROM stdin;\n1\n\\.\nCREATE TABLE b (id int);\n")
    naive = psql(postgres, database, "-f", str(dump))
    assert naive.returncode == 0
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_restore", {"archive": str(dump), "target_db": f"{database}_x", **postgres.module_options()})
    assert caught.value.result["error_kind"] == "restore_failed"


def test_a_dump_of_one_schema_has_no_users_and_a_set_names_its_content(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    load_school(postgres, database)
    dump = tmp_path / "public.sql"
    subprocess.run(
        [str(postgres.bin_dir / "pg_dump"), "--schema=public", "-f", str(dump)],
        env=postgres.options(database).environment(), check=True,
    )  # fmt: skip
    assert "COPY auth.users" not in dump.read_text()
    complete = run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    part = run_module(
        "pg_backup",
        {"source": "part", "store": folder_store, "include_schemas": ["public"], **postgres.module_options(database)},
    )
    assert "auth" in complete["coverage"]["schemas"]
    assert part["coverage"]["schemas"] == ["public"]
    assert part["coverage"]["excluded"]["include_schemas"] == ["public"]


def test_grants_that_no_privileges_drops_are_compared(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    load_school(postgres, database)
    run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    copy = f"{database}_copy"
    run_module(
        "pg_restore",
        {
            "source": "school",
            "store": folder_store,
            "target_db": copy,
            "privileges": False,
            **postgres.module_options(),
        },
    )
    checked = {"source": "school", "store": folder_store, "checks": [{"type": "fingerprint"}], "fail_on": "never"}
    result = run_module("integrity_check", {**checked, **postgres.module_options(copy)})
    assert result["verdict"] == "failed"
    assert any("ACL" in str(item) for item in result["checks"][0]["sample"])
    postgres.drop_database(copy)


def test_pg_dump_has_no_where(postgres: PostgresServer, database: str) -> None:
    naive = subprocess.run(
        [str(postgres.bin_dir / "pg_dump"), "--where=id=1"],
        env=postgres.options(database).environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert naive.returncode != 0
    assert "--where" in naive.stderr


def test_the_latest_set_is_the_newest_manifest_and_no_pointer_that_can_be_stale(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, "CREATE TABLE t AS SELECT 1 AS id")
    arguments = {"source": "school", "store": folder_store, **postgres.module_options(database)}
    first = run_module("pg_backup", arguments)
    with pytest.raises(ModuleFailed):
        run_module("pg_backup", {**arguments, "login_db": "missing"})
    chosen = run_module("backup_info", {"source": "school", "store": folder_store, "set": "latest"})
    assert chosen["selected"]["set_id"] == first["set_id"]
    assert [path for path in Path(folder_store["path"]).rglob("*") if "latest" in path.name] == []


def test_a_check_that_finds_no_fresh_rows_fails_instead_of_being_silent(
    postgres: PostgresServer, database: str
) -> None:
    postgres.psql(database, "CREATE TABLE orders (id int, created_at timestamptz)")
    naive = psql(postgres, database, "-c", "SELECT * FROM orders WHERE created_at > now() - interval '48 hours'")
    assert (naive.returncode, naive.stdout) == (0, "")
    with pytest.raises(ModuleFailed) as caught:
        run_module(
            "integrity_check",
            {
                "checks": [{"type": "freshness", "table": "orders", "column": "created_at", "max_age": 172800}],
                **postgres.module_options(database),
            },
        )
    assert caught.value.result["error_kind"] == "check_failed"


def test_a_listing_passes_an_archive_that_was_cut_off_but_verification_does_not(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, "CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 1000) n")
    archive = Path(folder_store["path"]).parent / "cut"
    subprocess.run(
        [str(postgres.bin_dir / "pg_dump"), "-Fd", "-Z0", "-f", str(archive)],
        env=postgres.options(database).environment(), check=True,
    )  # fmt: skip
    for path in archive.glob("[0-9]*.dat"):
        os.truncate(path, 100)
    naive = subprocess.run([str(postgres.bin_dir / "pg_restore"), "-l", str(archive)], capture_output=True, check=False)
    assert naive.returncode == 0
    run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    largest = max(Path(folder_store["path"]).glob("school/daily/objects/*/*"), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    with pytest.raises(ModuleFailed) as caught:
        run_module(
            "backup_verify",
            {"source": "school", "store": folder_store, "client_bin_dir": str(postgres.bin_dir)},
        )
    assert caught.value.result["error_kind"] == "damaged"


def test_a_good_export_of_d1_has_no_commit_to_look_for(tmp_path: Path) -> None:
    export = tmp_path / "backup-2026-03-01.sql"
    export.write_text("PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE tenants (id);\nINSERT INTO tenants VALUES('a');\n")
    naive = f"tail -1 {export} | grep -q 'COMMIT;'"
    assert subprocess.run(["sh", "-c", naive], check=False).returncode != 0
    requested: Options = {
        "engine": "sqlite",
        "checks": [{"type": "sql_dump", "path": str(export), "present": ["tenants"]}],
    }
    assert run_module("integrity_check", requested)["verdict"] == "passed"
    export.write_text(export.read_text()[:-10])
    with pytest.raises(ModuleFailed, match="1 failed"):
        run_module("integrity_check", requested)


def test_content_that_must_exist_once_does_not_come_twice(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, "CREATE TABLE organisations (name text); INSERT INTO organisations VALUES ('default')")
    run_module("pg_backup", {"source": "school", "store": folder_store, **postgres.module_options(database)})
    dump = subprocess.run(
        [str(postgres.bin_dir / "pg_dump"), "--data-only"],
        env=postgres.options(database).environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    postgres.psql(database, dump)
    assert psql(postgres, database, "-c", "SELECT count(*) FROM organisations").stdout.strip() == "2"
    for _again in range(2):
        run_module(
            "pg_restore",
            {"source": "school", "store": folder_store, "target_db": database, "mode": "in_place", "tier": "daily",
             "recovery_confirm": database, **postgres.module_options()},
        )  # fmt: skip
        assert psql(postgres, database, "-c", "SELECT count(*) FROM organisations").stdout.strip() == "1"


def test_rows_cannot_be_picked_from_a_dump_but_from_a_set(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    load_school(postgres, database)
    dump = tmp_path / "dump.sql"
    programs = {name: str(postgres.bin_dir / name) for name in ("pg_dump", "pg_restore")}
    for arguments in (
        [programs["pg_dump"], "--where=id = 5", "-f", str(dump)],
        [programs["pg_restore"], "--table=children", "-d", database, str(dump)],
    ):
        dump.write_text("-- PostgreSQL database dump\n")
        environment = postgres.options(database).environment()
        assert subprocess.run(arguments, env=environment, capture_output=True, check=False).returncode != 0
    login = postgres.module_options(database)
    run_module("pg_backup", {"source": "school", "store": folder_store, **login})
    psql(postgres, database, "-c", "DELETE FROM public.bookings WHERE child_id = 5")
    requested = {"source": "school", "store": folder_store, "where": {"bookings": "child_id = 5"}}
    assert run_module("pg_restore_table", {**requested, **login})["tables"][0]["inserts"] == 3


def test_truncating_a_table_to_reload_it_empties_its_dependents_but_a_merge_does_not(
    postgres: PostgresServer, database: str, folder_store: Options, tmp_path: Path
) -> None:
    load_school(postgres, database)
    login = postgres.module_options(database)
    run_module("pg_backup", {"source": "school", "store": folder_store, **login})
    count = ["-c", "SELECT count(*) FROM public.user_progress"]
    rows = psql(postgres, database, *count).stdout
    psql(postgres, database, "-c", "UPDATE public.children SET name = 'wrong'")
    requested = {"source": "school", "store": folder_store, "tables": ["children"], "mode": "exact"}
    merged = run_module("pg_restore_table", {**requested, "recovery_environment": "sandbox", **login})
    assert merged["fingerprint"]["equal"] is True
    assert psql(postgres, database, *count).stdout == rows
    copied = tmp_path / "children"
    psql(postgres, database, "-c", f"\\copy public.children TO '{copied}'")
    psql(postgres, database, "-c", "TRUNCATE public.children CASCADE", "-c", f"\\copy public.children FROM '{copied}'")
    assert psql(postgres, database, "-c", "SELECT count(*) > 0 FROM public.children").stdout == "t\n"
    assert psql(postgres, database, *count).stdout == "0\n"
