# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A weekly verification judges the audit log and the store; pruning sets the lock rules of its bucket."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.support.fakes.cloudflare import lock_api
from tests.support.fakes.sinks import http_sink
from tests.support.playbooks import play
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import moto_server, reading_key

Options = dict[str, t.Any]


@pytest.fixture
def media(folder_store: Options, tmp_path: Path) -> Options:
    """Variables of a bucket with one backup set."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/first").write_text("first")
    files = {"provider": "directory", "path": str(tmp_path / "files")}
    run_module("bucket_backup", {"source": "media", "files": files, "store": folder_store})
    return {"recovery_source": "media", "recovery_files": files, "recovery_store": folder_store}


def test_a_missing_audit_record_is_a_finding_of_a_weekly_verification(media: Options, tmp_path: Path) -> None:
    weekly = {**media, "recovery_level": "weekly"}
    done = play("verify", weekly, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "writes, reads and lists" in done.stdout
    records = sorted(Path(media["recovery_store"]["path"]).glob("media/audit/*/*/*.json"))
    records[0].unlink()
    found = play("verify", weekly, tmp_path)
    assert found.returncode == 2
    assert f"{records[0].name}" in found.stdout
    # The set is judged all the same.
    assert "are as recorded (digests)" in found.stdout
    listed = play("sets", {**media, "recovery_action": "records"}, tmp_path)
    assert listed.returncode == 2
    assert records[0].name in listed.stdout


def test_prune_sets_the_lock_rules_of_the_bucket_and_check_mode_shows_them(media: Options, tmp_path: Path) -> None:
    with lock_api() as api:
        rule = {
            "account_id": "account-1", "api_token": api.api_token, "api_url": api.api_url, "bucket": "backups",
            "rule": "daily", "prefix": "media/daily/", "days": 30,
        }  # fmt: skip
        variables = {**media, "recovery_bucket_locks": [rule]}
        planned = play("prune", variables, tmp_path, "--check", "--diff")
        assert planned.returncode == 0, planned.stdout
        assert '"prefix": "media/daily/"' in planned.stdout
        assert api.rules == []
        done = play("prune", variables, tmp_path)
        assert done.returncode == 0, done.stdout
        assert [(one["id"], one["prefix"]) for one in api.rules] == [("daily", "media/daily/")]
        assert api.api_token not in planned.stdout + done.stdout


def test_a_key_that_may_not_write_is_refused_before_the_source_is_read(postgres: PostgresServer, database: str) -> None:
    postgres.psql(database, "CREATE TABLE t (i int)")
    with moto_server() as server, reading_key(server) as reader, postgres.session(database) as session:
        # A backup that reads the table would wait for this lock.
        session.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        given = {**postgres.module_options(database), "source": "app", "store": reader.store_options(prefix="app")}
        for check_mode in (True, False):
            with pytest.raises(ModuleFailed) as failed:
                run_module("pg_backup", {**given, "stall_timeout": 5}, check_mode=check_mode)
            assert failed.value.result["error_kind"] == "access_denied"
            assert reader.secret_key not in str(failed.value.result)


def test_check_judges_the_files_of_a_bucket_and_its_service(media: Options, tmp_path: Path) -> None:
    (tmp_path / "files/courses").mkdir()
    (tmp_path / "files/courses/a.json").write_text('{"id": "a"}')
    with http_sink() as service:
        checks: list[Options] = [
            {"type": "json_files", "prefix": "courses/", "id_path": "id"},
            {"type": "http", "url": service.url, "token": "health"},
        ]
        variables = {**media, "recovery_checks": checks, "recovery_check_secrets": {"health": "hidden-token"}}
        passed = play("check", variables, tmp_path, "-vvv")
        assert passed.returncode == 0, passed.stdout
        assert "courses/*.json: 1 file as expected" in passed.stdout
        assert service.seen[-1].authorization == "Bearer hidden-token"
        assert "hidden-token" not in passed.stdout + passed.stderr
        (tmp_path / "files/courses/a.json").write_text('{"id": ')
        failed = play("check", variables, tmp_path)
        assert failed.returncode == 2
        assert "it is not JSON" in failed.stdout
        unknown = play("check", {**variables, "recovery_checks": [{"type": "row_count", "table": "t"}]}, tmp_path)
        assert (unknown.returncode, "unknown type 'row_count'" in unknown.stdout) == (2, True)
