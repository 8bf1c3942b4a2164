# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restored database equals the database that was backed up."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest
import zstandard

from tests.support.data.school import load_school
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer, available_versions
from tests.support.servers.s3 import S3Server

Options = dict[str, t.Any]


@pytest.fixture
def school(postgres: PostgresServer, database: str) -> str:
    load_school(postgres, database)
    return database


def back_up(server: PostgresServer, database: str, store: Options, **options: t.Any) -> Options:
    return run_module("pg_backup", {"source": "school", "store": store, **server.module_options(database), **options})


def restore(server: PostgresServer, target: str, store: Options, **options: t.Any) -> Options:
    arguments = {"source": "school", "store": store, "target_db": target, **server.module_options(), **options}
    try:
        return run_module("pg_restore", arguments)
    finally:
        if options.get("mode", "new") == "new":
            server.drop_database(target)


@pytest.mark.parametrize("version", available_versions())
def test_every_version_restores_what_it_backed_up(
    servers: t.Callable[[str], PostgresServer], store: Options, version: str
) -> None:
    server = servers(version)
    database = server.create_database()
    load_school(server, database)
    taken = back_up(server, database, store)
    verified = run_module("backup_verify", {"source": "school", "store": store, "client_bin_dir": str(server.bin_dir)})
    restored = restore(server, f"{database}_copy", store)
    assert taken["rows"] > 1000
    assert verified["rows"] == taken["rows"]
    assert verified["depth"] == "decode"
    assert restored["fingerprint"]["equal"] is True
    assert restored["fingerprint"]["rows"] == taken["rows"]
    assert restored["foreign_keys"]["violated"] == []
    server.drop_database(database)


@pytest.mark.skipif(len(available_versions()) < 2, reason="needs two versions of PostgreSQL")
def test_a_newer_server_restores_an_older_set(servers: t.Callable[[str], PostgresServer], store: Options) -> None:
    older, newer = servers(available_versions()[0]), servers(available_versions()[-1])
    database = older.create_database()
    load_school(older, database)
    back_up(older, database, store)
    restored = restore(newer, f"{database}_newer", store, create_roles=True)
    assert restored["fingerprint"]["equal"] is True
    older.drop_database(database)


def test_rows_written_after_the_snapshot_are_not_in_the_set(
    postgres: PostgresServer, school: str, folder_store: Options
) -> None:
    taken = back_up(postgres, school, folder_store)
    with postgres.session(school) as cursor:
        cursor.execute("INSERT INTO public.legacy_orders VALUES (77, 1)")
    restored = restore(postgres, f"{school}_copy", folder_store)
    assert restored["fingerprint"]["rows"] == taken["rows"]


def test_tiers_share_nothing(postgres: PostgresServer, school: str, folder_store: Options) -> None:
    back_up(postgres, school, folder_store, tier="daily")
    weekly = back_up(postgres, school, folder_store, tier="weekly")
    assert weekly["bytes_reused"] < 0.2 * weekly["bytes_uploaded"]


def test_a_difference_of_one_value_is_found(postgres: PostgresServer, school: str, folder_store: Options) -> None:
    back_up(postgres, school, folder_store)
    manifest_path = next(Path(folder_store["path"]).glob("school/daily/sets/*.json"))
    manifest = json.loads(manifest_path.read_text())
    for table in manifest["fingerprint"]["tables"]:
        if table["name"] == "lessons":
            table["digest"] = str(int(table["digest"]) + 1)
    manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(ModuleFailed) as caught:
        restore(postgres, f"{school}_copy", folder_store)
    assert caught.value.result["error_kind"] == "not_equal"
    assert "public.lessons" in caught.value.result["msg"]
    kept = next(name for name in caught.value.result["left"].split("'") if "_copy_restoring_" in name)
    postgres.drop_database(kept)


def test_swap_keeps_the_old_database_and_undo_restores_it(
    postgres: PostgresServer, school: str, folder_store: Options
) -> None:
    back_up(postgres, school, folder_store)
    with postgres.session(school) as cursor:
        cursor.execute("DELETE FROM public.progress_notes")
    swapped = restore(postgres, school, folder_store, mode="swap", recovery_confirm=school)
    assert count(postgres, school, "public.progress_notes") > 0
    undone = restore(
        postgres, school, folder_store, mode="undo", undo_db=swapped["undo"]["undo_db"], recovery_confirm=school
    )
    assert count(postgres, school, "public.progress_notes") == 0
    postgres.drop_database(undone["undo"]["undo_db"])


def test_in_place_takes_an_undo_set_first(postgres: PostgresServer, school: str, folder_store: Options) -> None:
    back_up(postgres, school, folder_store)
    with postgres.session(school) as cursor:
        cursor.execute("DELETE FROM public.progress_notes")
    done = restore(postgres, school, folder_store, mode="in_place", recovery_confirm=school)
    assert done["fingerprint"]["equal"] is True
    assert count(postgres, school, "public.progress_notes") > 0
    back = restore(
        postgres, school, folder_store, mode="in_place", set=done["undo"]["set"], tier="undo", recovery_confirm=school
    )
    assert back["fingerprint"]["equal"] is True
    assert count(postgres, school, "public.progress_notes") == 0


def test_production_needs_the_name_or_the_plan(postgres: PostgresServer, school: str, folder_store: Options) -> None:
    back_up(postgres, school, folder_store)
    arguments = {
        "source": "school", "store": folder_store, "target_db": school, "mode": "swap", **postgres.module_options()
    }  # fmt: skip
    for confirm in ({}, {"recovery_confirm": "another"}):
        with pytest.raises(ModuleFailed) as caught:
            run_module("pg_restore", {**arguments, **confirm})
        assert caught.value.result["error_kind"] == "confirmation_required"
    planned = run_module("pg_restore", arguments, check_mode=True)
    assert caught.value.result["plan_digest"] == planned["plan_digest"]
    another = run_module("pg_restore", {**arguments, "mode": "in_place"}, check_mode=True)
    assert another["plan_digest"] != planned["plan_digest"]
    # The application keeps writing while the operator reads the plan.
    postgres.psql(school, "CREATE TABLE public.later AS SELECT generate_series(1, 100000) AS id")
    assert run_module("pg_restore", arguments, check_mode=True)["plan"]["replaces"] != planned["plan"]["replaces"]
    done = run_module("pg_restore", {**arguments, "recovery_confirm": planned["plan_digest"]})
    postgres.drop_database(done["undo"]["undo_db"])


def test_grants_and_policies_come_back(postgres: PostgresServer, school: str, folder_store: Options) -> None:
    back_up(postgres, school, folder_store)
    copy = f"{school}_copy"
    run_module(
        "pg_restore", {"source": "school", "store": folder_store, "target_db": copy, **postgres.module_options()}
    )
    with postgres.session(copy) as cursor:
        cursor.execute("SELECT has_table_privilege('anon', 'public.lessons', 'SELECT')")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT has_table_privilege('anon', 'public.children', 'SELECT')")
        assert cursor.fetchone() == (False,)
        cursor.execute("SELECT count(*) FROM pg_policy")
        assert cursor.fetchone() == (3,)
    postgres.drop_database(copy)


@pytest.mark.parametrize("kind", ["sql", "gzip", "zstd", "custom", "directory"])
def test_dumps_of_others_are_restored(postgres: PostgresServer, school: str, tmp_path: Path, kind: str) -> None:
    dump = tmp_path / "dump"
    form = {"custom": ["-Fc"], "directory": ["-Fd"]}.get(kind, ["-Fp"])
    command = [str(postgres.bin_dir / "pg_dump"), *form, "-f", str(dump)]
    subprocess.run(command, env=postgres.options(school).environment(), check=True)
    if kind in ("gzip", "zstd"):
        plain = dump.read_bytes()
        dump.write_bytes(gzip.compress(plain) if kind == "gzip" else zstandard.compress(plain))
    if dump.is_file():
        digest = hashlib.sha256(dump.read_bytes()).hexdigest()
        dump.with_name("dump.sha256").write_text(f"{digest}  dump\n")
    copy = f"{school}_copy"
    done = run_module("pg_restore", {"archive": str(dump), "target_db": copy, **postgres.module_options()})
    assert done["fingerprint"]["equal"] is None
    assert count(postgres, copy, "public.children") == count(postgres, school, "public.children")
    postgres.drop_database(copy)


def test_a_dump_with_one_bad_statement_is_a_failed_restore(postgres: PostgresServer, tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE TABLE good (id int);\nINSERT INTO missing VALUES (1);\nCREATE TABLE late (id int);\n")
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_restore", {"archive": str(dump), "target_db": "bad_dump", **postgres.module_options()})
    assert caught.value.result["error_kind"] == "restore_failed"
    assert "line 2" in caught.value.result["msg"]
    with pytest.raises(psycopg2.OperationalError), postgres.session("bad_dump"):
        pass


def test_a_sidecar_that_disagrees_stops_the_restore(postgres: PostgresServer, tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("SELECT 1;\n")
    dump.with_name("dump.sql.sha256").write_text("0" * 64)
    with pytest.raises(ModuleFailed) as caught:
        run_module("pg_restore", {"archive": str(dump), "target_db": "x", **postgres.module_options()})
    assert caught.value.result["error_kind"] == "damaged"


def test_the_catalogue_returns_age_change_and_verification(
    postgres: PostgresServer, school: str, folder_store: Options
) -> None:
    first = back_up(postgres, school, folder_store)
    with postgres.session(school) as cursor:
        cursor.execute("INSERT INTO \"App Data\".without_key SELECT 'more', n FROM generate_series(1, 50000) n")
    time.sleep(1)
    second = back_up(postgres, school, folder_store)
    run_module("backup_verify", {"source": "school", "store": folder_store, "set": first["set_id"], "depth": "digests"})
    info = run_module("backup_info", {"source": "school", "store": folder_store, "rpo_seconds": 3600})
    assert [item["set_id"] for item in info["sets"]] == [second["set_id"], first["set_id"]]
    assert info["sets"][0]["size_change"] > 0.1
    assert info["sets"][1]["verified"]["status"] == "passed"
    assert info["sources"][0]["newest_verified"] == first["set_id"]
    assert info["sources"][0]["rpo_met"] is True
    before = run_module(
        "backup_info",
        {"source": "school", "store": folder_store, "set": "latest", "before": second["recovery_point"]},
    )
    assert before["selected"]["set_id"] == first["set_id"]
    choices = {
        run_module("backup_info", {"source": "school", "store": folder_store, "set": "random", "seed": seed})[
            "selected"
        ]["set_id"]
        for seed in (1, 1, 1)
    }
    assert len(choices) == 1


def test_self_tests_catch_every_damage(postgres: PostgresServer, school: str, store: Options, s3: S3Server) -> None:
    back_up(postgres, school, store)
    before = sorted((path, path.stat().st_mtime_ns) for path in (s3.folder or Path()).rglob("*") if path.is_file())
    result = run_module("drill_self_test", {"source": "school", "store": store})
    assert [item["damage"] for item in result["self_tests"]] == [
        "flipped_byte", "truncated", "missing", "empty_but_valid", "dropped_rows"
    ]  # fmt: skip
    assert result["all_caught"] is True
    after = sorted((path, path.stat().st_mtime_ns) for path in (s3.folder or Path()).rglob("*") if path.is_file())
    assert after == before


def count(server: PostgresServer, database: str, table: str) -> int:
    with server.session(database) as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])
