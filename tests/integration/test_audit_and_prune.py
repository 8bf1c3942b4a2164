# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each operation is on record, and pruning lists the sets before it removes them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import write_audit
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    (made / "first").write_text("first")
    return made


def back_up(folder: Path, store: Options, **options: t.Any) -> Options:
    files = {"provider": "directory", "path": str(folder)}
    return run_module("bucket_backup", {"source": "media", "files": files, "store": store, **options})


def audit(store: Options, **options: t.Any) -> Options:
    return run_module("audit_info", {"source": "media", "store": store, **options})


def prune(store: Options, *, check_mode: bool = False, **options: t.Any) -> Options:
    tier = {"tier": "daily"} if "keep_daily" in options else {}
    return run_module("backup_prune", {"source": "media", "store": store, **tier, **options}, check_mode=check_mode)


def keys_in(store: Options) -> list[str]:
    return sorted(str(path.relative_to(store["path"])) for path in Path(store["path"]).rglob("*") if path.is_file())


def test_every_operation_leaves_a_record(folder: Path, folder_store: Options) -> None:
    back_up(folder, folder_store)
    run_module("backup_verify", {"source": "media", "store": folder_store})
    (folder / "first").unlink()
    files = {"provider": "directory", "path": str(folder)}
    run_module("bucket_restore", {"source": "media", "files": files, "store": folder_store})
    for content in ("second", "third"):
        (folder / "second").write_text(content)
        back_up(folder, folder_store)
    prune(folder_store, keep_daily=1)
    with pytest.raises(ModuleFailed):
        back_up(
            folder,
            folder_store,
            files={"provider": "directory", "path": "/proc/1/nowhere"},
            spool_dir="/nowhere",
        )
    found = audit(folder_store)
    assert {record["operation_type"] for record in found["records"]} == {"backup", "verify", "restore", "prune"}
    assert (found["chain"], found["breaks"]) == ("intact", [])
    assert all(record["performed_by"] and record["performed_at"] and record["host"] for record in found["records"])
    failed = audit(folder_store, operation="backup", status="failed")
    assert failed["total"] == 1
    assert audit(folder_store, limit=1)["total"] == found["total"] == len(found["records"])
    assert audit(folder_store, since="2100-01-01T00:00:00Z")["records"] == []


def test_a_record_that_was_changed_or_taken_away_is_missed(folder: Path, folder_store: Options) -> None:
    for number in range(3):
        (folder / "first").write_text(str(number))
        back_up(folder, folder_store)
    records = sorted(Path(folder_store["path"]).rglob("audit/**/*.json"))
    content = records[1].read_bytes()
    records[1].write_bytes(content.replace(b"succeeded", b"partially"))
    assert audit(folder_store)["chain"] == "broken"
    records[1].unlink()
    assert "missing" in audit(folder_store)["breaks"][0]
    records[1].write_bytes(content)
    assert audit(folder_store)["chain"] == "intact"


def test_pruned_audit_records_hide_no_missing_younger_record(folder: Path, folder_store: Options) -> None:
    store = open_store(StoreOptions(**folder_store))
    write_audit(store, "media", "check", "passed", {})
    back_up(folder, folder_store)
    assert audit(folder_store)["chain"] == "intact"
    restored = write_audit(store, "media", "restore", "succeeded", {})
    checked = [write_audit(store, "media", "check", "passed", {}) for _number in range(2)]
    back_up(folder, folder_store)
    assert prune(folder_store, audit_days={"check": 1e-9})["audit_removed"] == 3
    assert not [key for key in checked if Path(folder_store["path"], key).exists()]
    assert audit(folder_store)["chain"] == "intact"
    Path(folder_store["path"], restored).unlink()
    assert f"{restored} is missing" in audit(folder_store)["breaks"][0]


def test_records_go_to_a_table_as_well_and_a_lost_table_stops_nothing(
    postgres: PostgresServer, database: str, folder: Path, folder_store: Options
) -> None:
    login = postgres.module_options(database)
    dsn = (
        f"host={login['login_host']} port={login['login_port']} user={login['login_user']} "
        f"password={login['login_password']} dbname={database}"
    )
    store = {**folder_store, "audit_log": {"dsn": dsn, "table": "ops.backup_audit_log"}}
    warned = back_up(folder, store)
    assert "ops.backup_audit_log" in json.dumps(warned["warnings"])
    assert audit(store)["total"] == 1
    postgres.psql(database, "CREATE SCHEMA ops")
    assert "warnings" not in back_up(folder, store)
    run_module("backup_verify", {"source": "media", "store": store})
    with postgres.session(database) as cursor:
        cursor.execute("SELECT operation_type, status, details ->> 'source' FROM ops.backup_audit_log ORDER BY id")
        assert cursor.fetchall() == [("backup", "succeeded", "media"), ("verify", "passed", "media")]
    unreachable = {**folder_store, "audit_log": {"dsn": "host=127.0.0.1 port=9 password=a-secret-of-the-table"}}
    result = back_up(folder, unreachable)
    assert "is in the store, but not in the table backup_audit_log" in json.dumps(result["warnings"])
    assert "a-secret-of-the-table" not in json.dumps(result)


def test_a_dry_run_of_prune_shows_the_plan_and_changes_nothing(folder: Path, folder_store: Options) -> None:
    taken = []
    for number in range(3):
        (folder / "first").write_text(str(number))
        taken.append(back_up(folder, folder_store)["set_id"])
    before = keys_in(folder_store)
    plan = prune(folder_store, keep_daily=1, check_mode=True)
    assert plan["changed"] is True
    assert keys_in(folder_store) == before
    assert {item["set_id"]: item["fate"] for item in plan["sets"]} == {
        taken[0]: "removed",
        taken[1]: "removed",
        taken[2]: "kept",
    }
    assert plan["diff"]["after"] == f"media/daily/{taken[2]}\n"
    assert plan["diff"]["before"].count("\n") == 3
    done = prune(folder_store, keep_daily=1)
    assert [item["fate"] for item in done["sets"]] == [item["fate"] for item in plan["sets"]]
    # Objects stay for a day, so that a set can be taken back and a backup that runs is whole.
    assert done["objects_removed"] == 0
    again = prune(folder_store, keep_daily=1)
    assert (again["changed"], again["kept"]) == (False, 1)
    swept = prune(folder_store, keep_daily=1, grace_seconds=0)
    # For each set that went: the content of its file and its inventory.
    assert swept["objects_removed"] == 4
    assert prune(folder_store, keep_daily=1, grace_seconds=0)["changed"] is False
    verify = {"source": "media", "store": folder_store, "depth": "digests"}
    assert run_module("backup_verify", verify)["set_id"] == taken[2]


def test_a_verified_set_outlives_unverified_ones(folder: Path, folder_store: Options) -> None:
    proved = back_up(folder, folder_store)["set_id"]
    run_module("backup_verify", {"source": "media", "store": folder_store})
    for number in range(3):
        (folder / "first").write_text(str(number))
        newest = back_up(folder, folder_store)["set_id"]
    plan = prune(folder_store, keep_daily=1, check_mode=True)
    kept = {item["set_id"]: item["reasons"] for item in plan["sets"] if item["fate"] == "kept"}
    assert set(kept) == {proved, newest}
    assert "newest verified" in kept[proved]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep_daily": 1}, "none is named"),
        ({"tier": "daily", "keep_daily": -1}, "negative"),
        ({"source": "nobody", "tier": "daily"}, "nobody"),
    ],
)
def test_a_policy_that_cannot_be_meant_removes_nothing(
    folder: Path, folder_store: Options, options: Options, text: str
) -> None:
    back_up(folder, folder_store)
    before = keys_in(folder_store)
    with pytest.raises(ModuleFailed, match=text):
        run_module("backup_prune", {"source": "media", "store": folder_store, **options})
    assert keys_in(folder_store) == before
