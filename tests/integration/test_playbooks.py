# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks as an operator runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from tests.support.data.school import load_school
from tests.support.fakes.sinks import http_sink
from tests.support.playbooks import play
from tests.support.runner.modules import run_module
from tests.support.servers.d1 import d1_server
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import moto_server


@pytest.fixture
def inventory(postgres: PostgresServer, database: str, store: dict[str, t.Any]) -> dict[str, t.Any]:
    load_school(postgres, database)
    login = postgres.module_options()
    login.pop("login_db")
    return {
        "recovery_environment": "production",
        "recovery_source": "school",
        "recovery_database": database,
        "recovery_connection": login,
        "recovery_store": store,
    }


def test_backup_verify_check_and_restore(postgres: PostgresServer, inventory: dict[str, t.Any], tmp_path: Path) -> None:
    database = inventory["recovery_database"]
    outputs = []
    for name, more in (
        ("backup", {}),
        ("verify", {"recovery_rpo_seconds": 3600}),
        ("check", {"recovery_connection": {**inventory["recovery_connection"], "login_db": database},
                   "recovery_checks": [{"type": "foreign_keys"}, {"type": "sequences"}]}),
    ):  # fmt: skip
        done = play(name, {**inventory, **more}, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    late = play("verify", {**inventory, "recovery_rpo_seconds": 0, "recovery_verify_depth": "presence"}, tmp_path)
    assert late.returncode != 0
    assert "Back up more often" in late.stdout
    planned = play("restore", {**inventory, "restore_mode": "swap"}, tmp_path, "--check")
    assert planned.returncode == 0, planned.stdout
    assert "plan digest" in planned.stdout
    refused = play("restore", {**inventory, "restore_mode": "swap"}, tmp_path)
    assert refused.returncode != 0
    assert "recovery_confirm" in refused.stdout
    done = play("restore", {**inventory, "restore_mode": "swap", "recovery_confirm": database}, tmp_path, "-v")
    assert done.returncode == 0, done.stdout
    for text in (*outputs, late.stdout, planned.stdout, refused.stdout, done.stdout):
        assert postgres.password not in text
        assert inventory["recovery_store"]["secret_key"] not in text


def test_a_failed_check_is_reported_without_rows_and_is_an_incident_until_one_passes(
    postgres: PostgresServer, inventory: dict[str, t.Any], folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    login = {**inventory["recovery_connection"], "login_db": inventory["recovery_database"]}
    query = "SELECT display_name FROM public.profiles"
    with postgres.session(inventory["recovery_database"]) as cursor:
        cursor.execute(query)
        names = [row[0] for row in cursor.fetchall()]
    with http_sink() as web:
        check = {"name": "nobody", "type": "sql", "query": f"{query} LIMIT 1", "equals": "x"}
        variables = {
            "recovery_store": folder_store,
            "recovery_sources": [
                {"name": "school", "checks": [check],
                 "database": inventory["recovery_database"], "connection": login},
            ],
            "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook", "details": True}],
            "recovery_notify_state_path": str(tmp_path / "incidents.json"),
            "recovery_source": "school",
        }  # fmt: skip
        Path(folder_store["path"]).mkdir()
        failed = play("check", variables, tmp_path)
        assert failed.returncode == 2, failed.stdout
        # Later observations of the source know of it: the incident is the same, and continues.
        watched = play("status", {**variables, "status_fail_on": "never"}, tmp_path)
        assert watched.returncode == 0, watched.stdout
        assert "school: the checks at" in watched.stdout
        returned = [one for one in web.at("/hook") if one.json["event"].startswith("check.")]
        assert [one.json["event"] for one in returned] == ["check.failed"]
        assert names
        assert not [name for name in names if name in returned[0].body]
        variables["recovery_checks"] = [{"type": "foreign_keys"}]
        assert play("check", variables, tmp_path).returncode == 0
        returned = [one.json["event"] for one in web.at("/hook") if one.json["event"].startswith("check.")]
        assert returned == ["check.failed", "check.succeeded"]


@pytest.mark.parametrize(
    ("playbook", "wrong"),
    [
        ("backup", {"backup_tier": "yearly"}),
        ("restore", {"restore_mode": "swapp"}),
        ("restore", {"restore_jobs": "two"}),
        ("restore_rows", {"restore_rows_mode": "all"}),
        ("backup", {"recovery_kind": "d1", "backup_verify_depth": "deep"}),
        ("prune", {"prune_grace_seconds": "soon"}),
        ("verify", {"verify_level": "yearly"}),
        ("restore", {"recovery_kind": "mongodb"}),
    ],
)
def test_a_wrong_argument_of_a_role_prints_no_secret(playbook: str, wrong: dict[str, t.Any], tmp_path: Path) -> None:
    inventory = {
        "recovery_source": "school",
        "recovery_database": "school",
        "recovery_connection": {"login_host": "127.0.0.1", "login_password": "secret-of-the-database"},
        "recovery_store": {"bucket": "b", "access_key": "a", "secret_key": "secret-of-the-store"},
        "recovery_files": {"bucket": "f", "access_key": "a", "secret_key": "secret-of-the-files"},
    }
    done = play(playbook, {**inventory, **wrong}, tmp_path, "-vvv")
    assert done.returncode != 0
    assert "Validation of arguments failed" in done.stdout
    assert "secret-of-the" not in done.stdout + done.stderr


def make_bucket(folder: Path) -> dict[str, bytes]:
    content = {"courses/1/text.html": b"<p>Welcome</p>", "courses/2/cover.png": os.urandom(2000), "empty": b""}
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return content


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_is_backed_up_pruned_and_restored(store: dict[str, t.Any], tmp_path: Path) -> None:
    files, copy = tmp_path / "bucket", tmp_path / "copy"
    content = make_bucket(files)
    variables = {
        "recovery_source": "media",
        "recovery_files": {"provider": "directory", "path": str(files)},
        "recovery_store": {**store, "copies": [{"provider": "directory", "path": str(copy)}]},
        "backup_verify_depth": "digests",
    }
    outputs = []

    def done(name: str, *extra: str, **more: t.Any) -> str:
        played = play(name, {**variables, **more}, tmp_path, "-v", *extra)
        assert played.returncode == 0, played.stdout + played.stderr
        outputs.append(played.stdout)
        return played.stdout

    done("backup")
    for name in ("a", "b"):
        (files / name).write_text(name)
        done("backup", backup_verify_depth="none")
    policy = [{"tier": "daily", "keep_daily": 1, "minimum": 1}]
    planned = done("prune", "--check", "--diff", recovery_retention=policy)
    assert "Would remove 1 of 3 sets" in planned
    # The newest and the newest verified stay, here and in the copy, where nothing was verified.
    assert len(list(copy.glob("media/daily/sets/*.json"))) == 3
    assert "Removed 1 of 3 sets" in done("prune", recovery_retention=policy)
    assert len(list(copy.glob("media/daily/sets/*.json"))) == 1
    (files / "courses/1/text.html").unlink()
    (files / "empty").write_bytes(b"filled")
    planned = done("restore", "--check")
    assert "Would restore 1 missing" in planned
    done("restore")
    assert content_of(files) == {**content, "a": b"a", "b": b"b", "empty": b"filled"}
    undone = done("restore", recovery_mode="all", recovery_confirm=str(files))
    assert "recovery_tier=undo" in undone
    assert content_of(files) == {**content, "a": b"a", "b": b"b"}
    for text in outputs:
        assert store["secret_key"] not in text


@pytest.fixture
def sandboxes() -> t.Iterator[Path]:
    """A folder that the user of a sandbox's server can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_every_source_is_judged_and_one_that_fails_hides_no_other(
    inventory: dict[str, t.Any], sandboxes: Path, tmp_path: Path
) -> None:
    files, store = tmp_path / "bucket", inventory["recovery_store"]
    make_bucket(files)
    media = {
        **inventory,
        "recovery_source": "media",
        "recovery_files": {"provider": "directory", "path": str(files)},
    }
    assert play("backup", inventory, tmp_path).returncode == 0
    assert play("backup", media, tmp_path).returncode == 0
    everything = {name: value for name, value in inventory.items() if name != "recovery_source"}
    sources = {
        **everything,
        "recovery_sources": [{"name": "school"}, {"name": "media"}],
        "recovery_sandbox_path": str(sandboxes),
    }
    done = play("verify", {**sources, "verify_level": "monthly"}, tmp_path, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert store["secret_key"] not in done.stdout
    # Both came back in full.
    assert "Restored 3 missing" in done.stdout
    assert "tables" in done.stdout
    assert "chosen by the seed" in done.stdout
    assert not list(sandboxes.iterdir())
    (files / "large").write_bytes(os.urandom(100_000))
    assert play("backup", media, tmp_path).returncode == 0
    late = [{"name": "unknown"}, {"name": "school", "rpo_seconds": 0}, {"name": "media"}]
    done = play("verify", {**everything, "recovery_sources": late}, tmp_path)
    assert done.returncode != 0
    assert "unknown in backups: The store holds no backup set of the source 'unknown'" in done.stdout
    assert "school in backups: the longest gap" in done.stdout
    # A judgement has one severity in all playbooks: growth is a warning, and fails no verification.
    assert "WARNING: media in backups: the newest set differs in size" in done.stdout
    media_only = play("verify", {**everything, "recovery_sources": late, "recovery_source": "media"}, tmp_path)
    assert media_only.returncode == 0, media_only.stdout
    assert "WARNING: media in backups: the newest set differs in size" in media_only.stdout
    assert "There is nothing to verify" in play("verify", {"recovery_store": store}, tmp_path).stdout


def test_a_source_with_a_store_of_its_own_is_verified_there(
    inventory: dict[str, t.Any], folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    store = inventory["recovery_store"]
    assert play("backup", inventory, tmp_path).returncode == 0
    elsewhere = {"recovery_sources": [{"name": "school", "store": store}, {"name": "media", "store": folder_store}]}
    make_bucket(tmp_path / "bucket")
    files = {"recovery_source": "media", "recovery_files": {"provider": "directory", "path": str(tmp_path / "bucket")}}
    assert play("backup", {"recovery_store": folder_store, **files}, tmp_path).returncode == 0
    done = play("verify", elsewhere, tmp_path, "-vvv")
    assert done.returncode == 0, done.stdout
    assert store["secret_key"] not in done.stdout


def test_an_unreachable_store_is_reported_although_its_copy_serves(
    folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    files, copy = tmp_path / "bucket", tmp_path / "copy"
    make_bucket(files)
    media = {
        "recovery_source": "media",
        "recovery_files": {"provider": "directory", "path": str(files)},
        "recovery_store": {**folder_store, "copies": [{"provider": "directory", "path": str(copy)}]},
    }
    assert play("backup", media, tmp_path).returncode == 0
    done = play("verify", {**media, "verify_level": "weekly"}, tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("are as recorded (digests)") == 2
    shutil.rmtree(folder_store["path"])
    Path(folder_store["path"]).write_text("in the way")
    gone = play("verify", media, tmp_path)
    assert gone.returncode != 0
    assert f"media in {folder_store['path']}" in gone.stdout
    # The copy was judged all the same, and pruned.
    assert gone.stdout.count("are as recorded (presence)") == 1
    pruned = play("prune", {**media, "recovery_retention": [{"tier": "daily", "keep_daily": 1}]}, tmp_path)
    assert pruned.returncode != 0
    assert "Removed 0 of 1 sets" in pruned.stdout
    assert folder_store["path"] in pruned.stdout
    (files / "courses/1/text.html").unlink()
    assert play("restore", media, tmp_path).returncode == 0
    assert (files / "courses/1/text.html").exists()


def test_a_set_that_does_not_restore_is_found_by_the_monthly_verification(
    inventory: dict[str, t.Any], folder_store: dict[str, t.Any], tmp_path: Path
) -> None:
    files = tmp_path / "bucket"
    make_bucket(files)
    media = {
        **inventory,
        "recovery_store": folder_store,
        "recovery_source": "media",
        "recovery_files": {"provider": "directory", "path": str(files)},
        "recovery_sandbox_path": str(tmp_path / "sandboxes"),
    }
    (tmp_path / "sandboxes").mkdir()
    assert play("backup", media, tmp_path).returncode == 0
    victim = max(Path(folder_store["path"]).glob("media/daily/objects/*/*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(os.urandom(victim.stat().st_size))
    assert play("verify", media, tmp_path).returncode == 0
    for level in ("weekly", "monthly"):
        done = play("verify", {**media, "verify_level": level, "verify_depth": "presence"}, tmp_path)
        assert (done.returncode == 0) is (level == "weekly"), done.stdout
    assert "is damaged" in done.stdout
    assert not list((tmp_path / "sandboxes").iterdir())


def test_a_database_of_d1_is_backed_up_verified_and_restored(folder_store: dict[str, t.Any], tmp_path: Path) -> None:
    with d1_server() as server, http_sink() as web:
        original = server.options("studio")
        run_module("d1_database", original)
        run_module(
            "d1_execute", {**original, "sql": "CREATE TABLE t (x); INSERT INTO t VALUES ('a'), (9007199254740993)"}
        )
        connection = server.options()
        variables = {
            "recovery_source": "studio",
            "recovery_database": "studio",
            "recovery_connection": connection,
            "recovery_store": folder_store,
            "recovery_kind": "d1",
            "recovery_sql_name": "backups/backup-%Y-%m-%d.sql",
        }
        outputs = []
        for name, more in (
            ("backup", {}),
            ("verify", {"verify_level": "monthly"}),
            (
                "check",
                {
                    "recovery_checks": [{"type": "tables", "present": ["t"]}],
                    "recovery_channels": [{"name": "hook", "type": "webhook", "url": f"{web.url}/hook"}],
                },
            ),
            ("restore", {"recovery_target": "studio-recovery"}),
        ):
            done = play(name, {**variables, **more}, tmp_path, "-v")
            assert done.returncode == 0, done.stdout + done.stderr
            outputs.append(done.stdout)
        assert "bind the Worker to the database with the id" in outputs[-1]
        assert [one.json["event"] for one in web.at("/hook")] == ["check.succeeded"]
        back = run_module("d1_execute", {**server.options("studio-recovery"), "sql": "SELECT x FROM t"})
        assert [row["x"] for row in back["rows"]] == ["a", 9007199254740993]
        taken = play("restore", variables, tmp_path)
        assert "The D1 database studio is not empty" in taken.stdout, taken.stdout
        export = {**variables, "recovery_export_path": str(tmp_path / "export")}
        done = play("export", export, tmp_path)
        assert done.returncode == 0, done.stdout
        assert json.loads((tmp_path / "export/export.json").read_text())["databases"][0]["rows"] == 2
    assert len(list(Path(folder_store["path"]).glob("studio/daily/sql/backups/backup-*.sql"))) == 1
    for text in outputs:
        assert connection["api_token"] not in text


def test_a_tenant_of_d1_is_restored_and_the_restore_is_undone(folder_store: dict[str, t.Any], tmp_path: Path) -> None:
    original = {"path": str(tmp_path / "studio.sqlite")}
    run_module(
        "d1_execute",
        {
            **original,
            "sql": "CREATE TABLE tenants (id TEXT PRIMARY KEY);"
            "CREATE TABLE bookings (id INTEGER PRIMARY KEY, tenant_id);"
            "INSERT INTO tenants VALUES ('north'), ('south'); INSERT INTO bookings VALUES (1, 'north'), (2, 'south')",
        },
    )
    variables = {
        "recovery_source": "studio",
        "recovery_kind": "d1",
        "recovery_connection": original,
        "recovery_store": folder_store,
        "recovery_environment": "production",
    }
    tenant = {"recovery_tenant_table": "tenants", "recovery_tenant_keys": ["north"]}
    bookings = {**original, "sql": "SELECT id FROM bookings ORDER BY id"}
    assert play("backup", variables, tmp_path).returncode == 0
    run_module(
        "d1_execute", {**original, "sql": "DELETE FROM bookings WHERE id = 1; DELETE FROM tenants WHERE id = 'north'"}
    )
    misspelled = play("restore_rows", {**variables, **tenant, "restore_rows_befor": "2020-01-01"}, tmp_path)
    assert "There is no variable restore_rows_befor." in misspelled.stdout
    assert (
        "must be absolute" in play("backup", {**variables, "recovery_connection": {"path": "studio"}}, tmp_path).stdout
    )
    reason = {"recovery_reason": "A tenant was deleted by mistake."}
    assert "recovery_tenant_keys are required" in play("restore_rows", {**variables, **reason}, tmp_path).stdout
    requested = {**variables, **tenant, **reason, "recovery_tenant_columns": ["tenant_id"]}
    foreseen = play("restore_rows", requested, tmp_path, "--check", "--diff")
    assert foreseen.returncode == 0, foreseen.stdout
    assert '+bookings: {"id": 1, "tenant_id": "north"}' in foreseen.stdout
    done = play("restore_rows", requested, tmp_path)
    assert done.returncode == 0, done.stdout
    assert run_module("d1_execute", bookings)["rows"] == [{"id": 1}, {"id": 2}]
    undo = re.search(r"recovery_set=(\S+?Z)", done.stdout)
    assert undo
    described = {"name": "studio", "kind": "d1", "checks": [{"type": "row_count", "table": "tenants", "equals": 2}]}
    checked = play("check", {**variables, "recovery_sources": [described], "recovery_database": "studio"}, tmp_path)
    assert checked.returncode == 0, checked.stdout
    # The name of a database does no harm beside a file, and a target is a file then.
    neighbour = {**variables, "recovery_database": "studio", "recovery_target": str(tmp_path / "beside.sqlite")}
    assert play("restore", neighbour, tmp_path).returncode == 0
    assert (tmp_path / "beside.sqlite").exists()
    back = {**variables, **reason, "recovery_tier": "undo"}
    assert "recovery_tier=undo with recovery_set" in play("restore_rows", back, tmp_path).stdout
    confirmed = {**back, "recovery_set": undo[1], "recovery_confirm": original["path"]}
    done = play("restore_rows", confirmed, tmp_path)
    assert done.returncode == 0, done.stdout
    assert run_module("d1_execute", bookings)["rows"] == [{"id": 2}]


def test_a_source_among_many_is_known_by_its_name_alone(inventory: dict[str, t.Any], tmp_path: Path) -> None:
    own = {name: inventory[f"recovery_{name}"] for name in ("database", "connection")}
    policy = [{"tier": "daily", "keep_daily": 1, "minimum": 1}]
    variables = {name: value for name, value in inventory.items() if name.removeprefix("recovery_") not in own}
    make_bucket(tmp_path / "bucket")
    files = {"files": {"provider": "directory", "path": str(tmp_path / "bucket")}}
    variables["recovery_sources"] = [
        {"name": "media", "kind": "bucket", **files},
        {"name": variables.pop("recovery_source"), "retention": policy, **own},
    ]
    shown = ""
    for name, source in (("backup", "school"), ("backup", "school"), ("backup", "media")):
        done = play(name, {**variables, "recovery_source": source}, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        shown += done.stdout
    pruned = play("prune", {**variables, "recovery_source": "school"}, tmp_path, "--check")
    assert "Would remove 1 of 2 sets" in pruned.stdout
    lost = play("backup", {**variables, "recovery_source": "school", "recovery_database": "of_nobody"}, tmp_path)
    assert "'of_nobody' does not exist" in lost.stdout
    assert own["connection"]["login_password"] not in shown + pruned.stdout + lost.stdout


def test_a_bucket_is_exported_as_what_it_is(inventory: dict[str, t.Any], tmp_path: Path) -> None:
    content = make_bucket(tmp_path / "bucket")
    with moto_server() as server:
        for name, data in content.items():
            server.client().put_object(Bucket=server.bucket, Key=name, Body=data)
        server.client().put_object(Bucket=server.bucket, Key="old", Body=b"old", StorageClass="GLACIER")
        variables = {**inventory, "recovery_source": "media", "recovery_files": server.store_options()}
        variables |= {"recovery_archived": "skip", "recovery_export_path": str(tmp_path / "export")}
        done = play("export", variables, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert content_of(tmp_path / "export/files/media") == content
    assert "media: the export does not hold 1 file in an archive storage class" in done.stdout
    assert not (tmp_path / "export/sets").exists()


def test_everything_is_exported_into_one_folder(
    postgres: PostgresServer, inventory: dict[str, t.Any], tmp_path: Path
) -> None:
    content = make_bucket(tmp_path / "bucket")
    folder = tmp_path / "export"
    variables = {
        **inventory,
        "recovery_export_path": str(folder),
        "recovery_source": "",
        "recovery_sources": [
            {"name": "school", "exclude_table_data": ["public.bookings"]},
            {"name": "media", "files": {"provider": "directory", "path": str(tmp_path / "bucket")}},
        ],
    }
    done = play("export", variables, tmp_path, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert content_of(folder / "files/media") == content
    returned = json.loads((folder / "export.json").read_text())
    assert (returned["files"], returned["bytes"]) == ({"media": 3}, {"media": 2014})
    assert returned["databases"][0]["source"] == "school"
    assert "rows of public.bookings, public.bookings_2025" in str(returned["not_exported"]["school"])
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True
    )
    names = {line.split(b"./")[1] for line in checked.stdout.splitlines()}
    assert len(names) == len(content_of(folder)) - 1
    target = postgres.create_database() + "_back"
    restore = {
        **inventory,
        "recovery_store": {"provider": "directory", "path": str(folder / "sets")},
        "restore_target": target,
    }
    done = play("restore", restore, tmp_path)
    assert done.returncode == 0, done.stdout
    postgres.drop_database(target)
    assert [path for path in folder.rglob("*") if path.stat().st_mode & 0o077] == []
    again = play("export", variables, tmp_path)
    assert again.returncode != 0
    assert f"{folder} exists. Nothing was done." in again.stdout


def test_rows_and_tenants_come_back(postgres: PostgresServer, inventory: dict[str, t.Any], tmp_path: Path) -> None:
    database = inventory["recovery_database"]

    def count() -> tuple[int, ...]:
        with postgres.session(database) as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM public.children), (SELECT count(*) FROM public.bookings)")
            return t.cast("tuple[int, ...]", cursor.fetchone())

    def delete(condition: str) -> None:
        with postgres.session(database) as cursor:
            cursor.execute(
                f"DELETE FROM public.bookings WHERE child_id IN (SELECT id FROM public.children {condition})"
            )
            cursor.execute(f"DELETE FROM public.children {condition}")

    assert play("backup", inventory, tmp_path).returncode == 0
    before = count()
    delete("WHERE id IN (11, 12)")
    requested = {
        **inventory,
        "restore_rows_keys": {"children": [11, 12]},
        "restore_rows_closure": "children",
        "recovery_reason": "An administrator deleted two children.",
    }
    refused = play("restore_rows", {**requested, "recovery_reason": ""}, tmp_path)
    assert refused.returncode != 0
    assert "recovery_reason is required" in refused.stdout
    planned = play("restore_rows", requested, tmp_path, "--check", "--diff")
    assert planned.returncode == 0, planned.stdout
    assert "public.children: id='11'" in planned.stdout
    assert count() != before
    done = play("restore_rows", requested, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    delete("WHERE parent_id = md5('user9')::uuid")
    with postgres.session(database) as cursor:
        cursor.execute("SELECT md5('user9')::uuid::text")
        (key,) = cursor.fetchone()
    tenant = {
        **inventory,
        "recovery_tenant_table": "auth.users",
        "recovery_tenant_keys": [key],
        "recovery_reason": "A user's rows were deleted by mistake.",
        "recovery_confirm": database,
    }
    unknown = play("restore_rows", {**tenant, "recovery_tenant_keys": []}, tmp_path)
    assert "recovery_tenant_table and recovery_tenant_keys belong together" in unknown.stdout
    done = play("restore_rows", tenant, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    with postgres.session(database) as cursor:
        cursor.execute("DROP TABLE public.bookings CASCADE")
    requested = {**inventory, "restore_rows_tables": ["bookings"], "recovery_reason": "x"}
    done = play("restore_rows", requested, tmp_path)
    assert done.returncode == 0, done.stdout
    assert count() == before
    # The newest set holds the rows of an undo; a whole set is restored all the same.
    verified = play("verify", {**inventory, "verify_level": "monthly"}, tmp_path)
    assert "are equal to the set" in verified.stdout, verified.stdout
    for text in (planned.stdout, done.stdout):
        assert postgres.password not in text
        assert inventory["recovery_store"]["secret_key"] not in text


@pytest.mark.slow
def test_a_drill_passes_leaves_a_report_and_nothing_else(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    variables = {
        "drill_reports_dir": str(reports),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-drill",
    }
    done = play("drill", variables, tmp_path, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((reports / "latest/report.json").read_text())
    assert report["verdict"] == "passed"
    assert report["fingerprint"]["equal"] is True
    assert [item["damage"] for item in report["self_tests"] if item["caught"]] == [
        "flipped_byte", "truncated", "missing", "empty_but_valid", "dropped_rows", "row_dropped_from_copy",
        "values_exchanged_in_copy", "value_changed_in_copy", "row_added_to_copy", "sequence_set_back_in_copy",
        "policy_removed_from_copy", "grant_removed_from_copy", "trigger_disabled_in_copy",
    ]  # fmt: skip
    assert {"backup", "failure", "detection", "decision", "fetch", "restore", "verify", "first_access"} <= {
        phase["name"] for phase in report["phases"]
    }
    assert report["rto"]["met"] is True
    # The plan of this inventory has it as lengths.
    assert report["estimate_seconds"] == {"min": 1200, "max": 3600}
    assert (report["estimate_exceeded"], report["estimate_drills"]) == (False, 1)
    assert "; estimated " not in done.stdout
    assert report["rpo"]["observed_seconds"] > 0
    assert sorted(path.name for path in (reports / "latest").iterdir()) == [
        "junit.xml", "metrics.prom", "report.html", "report.json"
    ]  # fmt: skip
    assert not Path(variables["drill_sandbox_path"]).exists()


@pytest.mark.slow
def test_a_drill_that_misses_its_objective_fails(tmp_path: Path) -> None:
    variables = {
        "drill_reports_dir": str(tmp_path / "reports"),
        "drill_sandbox_path": f"/tmp/{tmp_path.parent.name}-{os.getpid()}-late",
        "drill_rto_seconds": 1,
        "drill_rows": 1000,
        "drill_scenario": "d1_loss",
    }
    done = play("drill", variables, tmp_path)
    assert done.returncode != 0
    report = json.loads((tmp_path / "reports/latest/report.json").read_text())
    assert report["verdict"] == "failed"
    assert report["rto"]["met"] is False


def test_a_drill_refuses_an_estimate_that_cannot_be_read_before_it_begins(tmp_path: Path) -> None:
    sandbox = f"/tmp/{tmp_path.parent.name}-{os.getpid()}-unread"
    variables = {"drill_reports_dir": str(tmp_path / "r"), "drill_sandbox_path": sandbox}
    done = play("drill", {**variables, "drill_estimate_seconds": {"max": "soon"}}, tmp_path)
    assert done.returncode != 0
    assert "max must be seconds, or a duration" in done.stdout
    assert not (tmp_path / "r").exists()
    assert not Path(sandbox).exists()


def test_a_drill_refuses_production(tmp_path: Path) -> None:
    done = play("drill", {"recovery_environment": "production", "drill_reports_dir": str(tmp_path / "r")}, tmp_path)
    assert done.returncode != 0
    assert "Nothing was changed" in done.stdout
    assert not (tmp_path / "r").exists()
