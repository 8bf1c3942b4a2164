# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set that would not restore is reported until a restore of it passes, and every restore leaves an audit record."""

from __future__ import annotations

import json
import secrets
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore import database_restore
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.restore import restore_of
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.restore.restore_request import (
    RestoreRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer

Options = dict[str, t.Any]


def back_up(server: PostgresServer, database: str, store: Options, **options: t.Any) -> str:
    arguments = {"source": "app", "store": store, **server.module_options(database), **options}
    return str(run_module("pg_backup", arguments)["set_id"])


def restore(server: PostgresServer, target: str, store: Options, **options: t.Any) -> Options:
    arguments = {"source": "app", "store": store, "target_db": target, **server.module_options(), **options}
    try:
        return run_module("pg_restore", arguments)
    finally:
        with server.session() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (target,))
            found = [row[0] for row in cursor.fetchall()]
        for name in found:
            server.drop_database(name)


def failures(store: Options) -> list[str]:
    found = run_module("recovery_status", {"source": "app", "store": store})
    return [breach["message"] for breach in found["breaches"] if breach["event"] != "backup.size"]


def newest_audit(store: Options) -> Options:
    records = run_module("audit_info", {"source": "app", "store": store, "operation": "restore"})["records"]
    return t.cast(Options, records[0])


def test_a_set_that_was_not_restored_is_reported_until_it_is(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    gate, copy = f"gate_{secrets.token_hex(4)}", f"{database}_copy"
    postgres.psql(
        database,
        f"""
        CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1);
        CREATE ROLE {gate};
        CREATE FUNCTION public.is_open(int) RETURNS bool LANGUAGE plpgsql AS
            $$BEGIN RETURN EXISTS (SELECT FROM pg_roles WHERE rolname = '{gate}'); END$$;
        CREATE TABLE public.guarded (id int CHECK (public.is_open(id))); INSERT INTO public.guarded VALUES (1);
        DROP ROLE {gate};
        """,
    )
    set_id = back_up(postgres, database, folder_store)
    run_module("backup_verify", {"source": "app", "store": folder_store})
    assert failures(folder_store) == []
    with pytest.raises(ModuleFailed):
        restore(postgres, copy, folder_store, set="20010101T000000Z")
    # That there is no such set, or that the target exists, is no fact of this set.
    with pytest.raises(ModuleFailed):
        run_module(
            "pg_restore",
            {"source": "app", "store": folder_store, "target_db": database, **postgres.module_options()},
        )
    assert failures(folder_store) == []
    with pytest.raises(ModuleFailed):
        restore(postgres, copy, folder_store, set=set_id)
    (message,) = failures(folder_store)
    assert f"the last restore of the set {set_id}" in message
    assert "failed with restore_failed (rows of table public.guarded)" in message
    audit = newest_audit(folder_store)
    assert (audit["status"], audit["details"]["set_id"]) == ("failed", set_id)
    # Without the refused rows the database is not equal to the set.
    restore(postgres, copy, folder_store, set=set_id, object_errors="report")
    (message,) = failures(folder_store)
    assert "failed with not_equal (rows of table public.guarded)" in message
    postgres.psql(database, f"CREATE ROLE {gate}")
    try:
        restore(postgres, copy, folder_store, set=set_id)
    finally:
        postgres.psql(database, f"DROP ROLE {gate}")
    assert failures(folder_store) == []


def test_a_set_without_the_rows_of_a_table_is_found_by_verification(
    postgres: PostgresServer, database: str, folder_store: Options
) -> None:
    postgres.psql(database, "CREATE TABLE public.t (id int); INSERT INTO public.t VALUES (1)")
    back_up(postgres, database, folder_store, fingerprint="none")
    run_module("backup_verify", {"source": "app", "store": folder_store})
    (manifest,) = Path(folder_store["path"]).glob("app/daily/sets/*.json")
    document = json.loads(manifest.read_text())
    document["objects"] = [entry for entry in document["objects"] if entry["role"] != "data"]
    manifest.write_text(json.dumps(document))
    for depth in ("digests", "decode"):
        with pytest.raises(ModuleFailed) as caught:
            run_module("backup_verify", {"source": "app", "store": folder_store, "depth": depth})
        assert caught.value.result["error_kind"] == "damaged"
        assert "it has no rows of table public.t" in caught.value.result["what"]
    (message,) = failures(folder_store)
    assert "read back and is not complete" in message


@pytest.mark.parametrize(("error", "kind"), [(ValueError("a bug"), "unexpected"), (KeyboardInterrupt(), "interrupted")])
def test_every_end_of_a_restore_leaves_an_audit_record(
    postgres: PostgresServer, folder_store: Options, monkeypatch: pytest.MonkeyPatch, error: BaseException, kind: str
) -> None:
    def fail(*_arguments: t.Any) -> None:
        raise error

    monkeypatch.setattr(database_restore, "find_set", fail)
    request = RestoreRequest(connection=postgres.options(), target_db="never_made", source="app")
    with pytest.raises(type(error)):
        perform(restore_of(request, open_store(StoreOptions(**folder_store))))
    audit = newest_audit(folder_store)
    assert (audit["status"], audit["details"]["error_kind"]) == ("failed", kind)


@pytest.mark.parametrize("kind", ["sqlite", "bucket"])
def test_only_a_restore_of_the_whole_set_clears_the_failure_of_a_set(
    folder_store: Options, tmp_path: Path, kind: str
) -> None:
    place = {"source": "app", "store": folder_store, "recovery_environment": "sandbox"}
    if kind == "sqlite":
        run_module("d1_execute", {"path": str(tmp_path / "a"), "sql": "CREATE TABLE t (x); INSERT INTO t VALUES (1)"})
        run_module("d1_backup", {"path": str(tmp_path / "a"), "source": "app", "store": folder_store})
        partial: Options = {"mode": "difference"}
    else:
        (tmp_path / "a").mkdir()
        for name in ("one", "two"):
            (tmp_path / "a" / name).write_text(name * 3)
        files = {"provider": "directory", "path": str(tmp_path / "a")}
        run_module("bucket_backup", {"files": files, "source": "app", "store": folder_store})
        partial = {"prefixes": ["one"]}

    def restore_to(name: str, **options: t.Any) -> Options:
        target = str(tmp_path / name)
        if kind == "sqlite":
            return run_module("d1_restore", {**place, "path": target, **options})
        (tmp_path / name).mkdir(exist_ok=True)
        files = {"provider": "directory", "path": target}
        return run_module("bucket_restore", {**place, "files": files, "mode": "all", **options})

    damaged = max(Path(folder_store["path"]).glob("app/daily/objects/*/*"), key=lambda path: path.stat().st_size)
    content = damaged.read_bytes()
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(byte ^ 1 for byte in content))
    with pytest.raises(ModuleFailed) as caught:
        restore_to("b")
    assert caught.value.result["error_kind"] == "damaged"
    (message,) = [text for text in failures(folder_store) if "last restore" in text]
    assert "failed with damaged" in message
    audit = newest_audit(folder_store)
    assert (audit["status"], audit["details"]["error_kind"]) == ("failed", "damaged")
    damaged.write_bytes(content)
    restore_to("a" if kind == "sqlite" else "c", **partial)
    assert [text for text in failures(folder_store) if "last restore" in text] == [message]
    restore_to("d")
    assert [text for text in failures(folder_store) if "last restore" in text] == []
    audit = newest_audit(folder_store)
    assert (audit["status"], audit["details"]["equal"]) == ("succeeded", True)
