# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a bucket are restored unchanged, after any change of the bucket."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.data.identity import make_identity
from tests.support.documentation import commands_of
from tests.support.fakes.faults import clock_wrong_by, faulty, matching
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]
Files = dict[str, bytes]


class Bucket:
    """A prefix of a real bucket, with the options that modules need for it."""

    def __init__(self, server: S3Server) -> None:
        self._server, self._client = server, server.client()
        self._prefix = secrets.token_hex(6)
        options = server.store_options(prefix=self._prefix)
        self.options: Options = options

    def put(self, files: Files, **headers: t.Any) -> None:
        for key, data in files.items():
            self._client.put_object(Bucket=self._server.bucket, Key=f"{self._prefix}/{key}", Body=data, **headers)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._client.delete_object(Bucket=self._server.bucket, Key=f"{self._prefix}/{key}")

    def head(self, key: str) -> t.Any:
        return self._client.head_object(Bucket=self._server.bucket, Key=f"{self._prefix}/{key}")

    def files(self) -> Files:
        found = {}
        for page in self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._server.bucket, Prefix=f"{self._prefix}/"
        ):
            for item in page.get("Contents", ()):
                body = self._client.get_object(Bucket=self._server.bucket, Key=item["Key"])["Body"].read()
                found[item["Key"][len(self._prefix) + 1 :]] = body
        return found


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return Bucket(s3)


@pytest.fixture
def content() -> Files:
    large = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(700_000))
    return {
        "courses/1/cover.png": secrets.token_bytes(5000),
        "courses/1/text.html": b"<p>Welcome</p>" * 500,
        "courses/2/copy of text.html": b"<p>Welcome</p>" * 500,
        "courses/2/\u00fcbung \u2013 1+1 & more.txt": "\u00fcben".encode(),
        "empty": b"",
        "media/lecture.mp4": large,
        "profiles/7.json": b'{"id": 7}',
    }


def back_up(bucket: Bucket, store: Options, **options: t.Any) -> Options:
    return run_module("bucket_backup", {"source": "media", "files": bucket.options, "store": store, **options})


def restore(bucket: Bucket, store: Options, **options: t.Any) -> Options:
    check_mode = options.pop("check_mode", False)
    arguments = {"source": "media", "files": bucket.options, "store": store, **options}
    return run_module("bucket_restore", arguments, check_mode=check_mode)


def test_deleted_files_are_restored_and_new_files_stay(bucket: Bucket, folder_store: Options, content: Files) -> None:
    bucket.put(content)
    taken = back_up(bucket, folder_store)
    assert (taken["files"], taken["files_changed"], taken["objects_uploaded"]) == (7, 7, 6)
    bucket.delete("courses/1/cover.png", "media/lecture.mp4")
    bucket.put({"courses/3/new.txt": b"new"})
    foreseen = restore(bucket, folder_store, check_mode=True)
    assert foreseen["missing_files"] == ["courses/1/cover.png", "media/lecture.mp4"]
    restored = restore(bucket, folder_store)
    assert (restored["restored"], restored["replaced"], restored["left"]) == (2, 0, 5)
    assert bucket.files() == {**content, "courses/3/new.txt": b"new"}
    assert restore(bucket, folder_store)["changed"] is False
    assert "their content was not compared. Set `mode` to all" in restore(bucket, folder_store)["summary"]
    assert "are equal to the set" in restore(bucket, folder_store, mode="all")["summary"]


def test_only_what_changed_is_read_and_only_what_is_new_is_stored(
    bucket: Bucket, folder_store: Options, content: Files
) -> None:
    bucket.put(content)
    back_up(bucket, folder_store)
    bucket.put({"profiles/7.json": b'{"id": 7, "name": "x"}', "courses/9.html": content["courses/1/text.html"]})
    bucket.delete("empty")
    second = back_up(bucket, folder_store)
    assert (second["files"], second["files_changed"], second["files_gone"]) == (7, 2, 1)
    assert second["objects_uploaded"] == 1
    assert second["bytes_read"] == 22 + 7000
    third = back_up(bucket, folder_store)
    assert (third["files_changed"], third["bytes_read"], third["objects_uploaded"]) == (0, 0, 0)


def test_a_deletion_in_the_bucket_never_deletes_from_a_set(
    bucket: Bucket, folder_store: Options, content: Files
) -> None:
    bucket.put(content)
    first = back_up(bucket, folder_store)
    bucket.delete(*content)
    second = back_up(bucket, folder_store)
    assert (second["files"], second["files_gone"]) == (0, 7)
    restored = restore(bucket, folder_store, set=first["set_id"])
    assert restored["restored"] == 7
    assert bucket.files() == content


def test_replacing_is_confirmed_kept_as_undo_and_can_be_undone(
    bucket: Bucket, folder_store: Options, content: Files
) -> None:
    bucket.put(content)
    back_up(bucket, folder_store)
    spoiled = {"courses/1/text.html": b"<p>Defaced</p>", "profiles/7.json": b'{"id": 8}'}
    bucket.put(spoiled)
    with pytest.raises(ModuleFailed) as caught:
        restore(bucket, folder_store, mode="all")
    assert caught.value.result["error_kind"] == "confirmation_required"
    assert bucket.files() == {**content, **spoiled}
    restored = restore(bucket, folder_store, mode="all", recovery_confirm="backups")
    assert (restored["replaced"], restored["equal"]) == (2, 5)
    assert bucket.files() == content
    undone = restore(bucket, folder_store, recovery_confirm="backups", **restored["undo"])
    assert undone["replaced"] == 2
    assert bucket.files() == {**content, **spoiled}


def test_a_prefix_alone_and_another_bucket(bucket: Bucket, s3: S3Server, folder_store: Options, content: Files) -> None:
    bucket.put(content)
    back_up(bucket, folder_store)
    other = Bucket(s3)
    restored = restore(other, folder_store, prefixes=["courses/2/", "empty"])
    assert restored["restored"] == 3
    assert set(other.files()) == {key for key in content if key.startswith("courses/2/")} | {"empty"}


def test_types_and_metadata_come_back(folder_store: Options) -> None:
    headers = {
        "ContentType": "image/png",
        "CacheControl": "max-age=60",
        "ContentDisposition": "inline",
        "Metadata": {"owner": "7"},
    }
    with moto_server() as server:
        bucket = Bucket(server)
        bucket.put({"cover": b"png"}, **headers)
        back_up(bucket, folder_store)
        bucket.delete("cover")
        restore(bucket, folder_store)
        shown = bucket.head("cover")
    assert {name: shown[name] for name in headers} == headers


def test_an_object_that_the_store_lost_is_read_again(bucket: Bucket, folder_store: Options, content: Files) -> None:
    bucket.put(content)
    back_up(bucket, folder_store)
    name = hashlib.sha256(content["profiles/7.json"]).hexdigest()
    (lost,) = Path(folder_store["path"]).rglob(name)
    lost.unlink()
    with pytest.raises(ModuleFailed) as caught:
        run_module("backup_verify", {"source": "media", "store": folder_store, "depth": "presence"})
    assert caught.value.result["damaged"] == [f"media/daily/objects/{name[:2]}/{name}"]
    healed = back_up(bucket, folder_store)
    assert (healed["files_changed"], healed["objects_uploaded"]) == (1, 1)
    verified = run_module("backup_verify", {"source": "media", "store": folder_store, "depth": "digests"})
    assert verified["objects"] == 7


def test_a_file_whose_listing_has_another_second_than_its_head_is_read_once(
    bucket: Bucket, s3: S3Server, folder_store: Options
) -> None:
    bucket.put({"rounded up": b"x", "as well": b"y"})
    with faulty(s3, matching("list-type=2", clock_wrong_by(timedelta(seconds=1)))) as url:
        files = {**bucket.options, "endpoint_url": url}
        assert back_up(bucket, folder_store, files=files)["files_changed"] == 2
        assert back_up(bucket, folder_store, files=files)["files_changed"] == 0
        bucket.put({"rounded up": b"z"})
        assert back_up(bucket, folder_store, files=files)["files_changed"] == 1


def test_an_encrypted_bucket_is_backed_up_without_a_key_and_restored_with_it(
    bucket: Bucket, folder_store: Options, content: Files, tmp_path: Path
) -> None:
    owner = make_identity(tmp_path / "owner.key")
    sealed = {**folder_store, "encrypt_to": [owner.recipient]}
    bucket.put(content)
    state = {"state_dir": str(tmp_path / "state")}
    back_up(bucket, sealed, **state)
    bucket.put({"profiles/7.json": b"{}"})
    second = back_up(bucket, sealed, **state)
    assert (second["files_changed"], second["objects_uploaded"]) == (1, 1)
    blind = back_up(bucket, sealed)
    assert (blind["files_changed"], blind["objects_uploaded"]) == (7, 0)
    assert run_module("backup_verify", {"source": "media", "store": sealed, "depth": "digests"})["objects"] > 7
    stored = b"".join(path.read_bytes() for path in Path(folder_store["path"]).rglob("*") if path.is_file())
    assert b"cover.png" not in stored
    assert b"Welcome" not in stored
    pruned = run_module(
        "backup_prune",
        {"store": sealed, "source": "media", "tier": "daily", "keep_daily": 1, "grace_seconds": 0},
    )
    assert (pruned["kept"], pruned["removed"], pruned["blocked"]) == (1, 2, [])
    bucket.delete(*content)
    with pytest.raises(ModuleFailed) as caught:
        restore(bucket, sealed)
    assert caught.value.result["error_kind"] == "no_identity"
    restore(bucket, {**sealed, "identity_file": str(owner.file)})
    assert bucket.files() == {**content, "profiles/7.json": b"{}"}


def test_a_copy_replaces_the_lost_store_of_a_bucket(
    bucket: Bucket, store: Options, content: Files, tmp_path: Path
) -> None:
    bucket.put(content)
    both = {**store, "copies": [{"provider": "directory", "path": str(tmp_path / "copy")}]}
    back_up(bucket, both, allow_same_bucket=True)
    bucket.put({"profiles/7.json": b"{}"})
    back_up(bucket, both, allow_same_bucket=True)
    bucket.delete(*content)
    restored = restore(bucket, {**both, "bucket": "gone"})
    assert restored["restored"] == 7
    assert bucket.files() == {**content, "profiles/7.json": b"{}"}
    assert "copy" in json.dumps(restored["warnings"])


def test_backups_in_the_bucket_that_they_are_of_are_refused(bucket: Bucket, store: Options) -> None:
    for place in ({**bucket.options}, {**bucket.options, "prefix": bucket.options["prefix"] + "/backups"}):
        with pytest.raises(ModuleFailed) as caught:
            back_up(bucket, place, allow_same_bucket=True)
        assert "among the files" in caught.value.result["msg"]
    with pytest.raises(ModuleFailed) as caught:
        back_up(bucket, store)
    assert "allow_same_bucket" in caught.value.result["msg"]
    bucket.put({"a": b"a"})
    assert back_up(bucket, store, allow_same_bucket=True)["files"] == 1


def test_a_database_is_not_restored_from_a_set_of_files(
    postgres: PostgresServer, bucket: Bucket, folder_store: Options
) -> None:
    bucket.put({"a": b"a"})
    back_up(bucket, folder_store)
    with pytest.raises(ModuleFailed) as caught:
        run_module(
            "pg_restore", {"source": "media", "store": folder_store, "target_db": "x", **postgres.module_options()}
        )
    assert "bucket_restore" in caught.value.result["msg"]


def test_the_files_of_a_bucket_are_restored_by_hand(
    bucket: Bucket, folder_store: Options, content: Files, tmp_path: Path
) -> None:
    bucket.put(content)
    back_up(bucket, folder_store)
    work = tmp_path / "work"
    work.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "STORE": folder_store["path"], "SOURCE": "media", "WORK": str(work)}
    subprocess.run(commands_of("docs/restore-by-hand.md", 2), env=environment, check=True, capture_output=True)
    root = work / "files"
    assert {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()} == content


@pytest.fixture
def locking() -> t.Iterator[S3Server]:
    """A server whose bucket has versions and object lock."""
    with moto_server() as server:
        client = server.client()
        bucket = f"locked-{secrets.token_hex(6)}"
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        yield S3Server(server.endpoint_url, server.access_key, server.secret_key, bucket=bucket)


def test_a_locked_set_cannot_be_deleted_for_its_days(locking: S3Server, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("a", "b"):
        (files / name).write_text(name)
    store = locking.store_options(object_lock={"mode": "compliance", "days": 30})
    arguments = {"source": "media", "files": {"provider": "directory", "path": str(files)}, "store": store}
    run_module("bucket_backup", arguments)
    client = locking.client()
    first = versions(locking)
    assert len(first) > 3
    for key, version in first:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=locking.bucket, Key=key, VersionId=version)
    (files / "a").write_text("new")
    run_module("bucket_backup", arguments)
    pruned = run_module(
        "backup_prune", {"store": store, "source": "media", "tier": "daily", "keep_daily": 1, "grace_seconds": 0}
    )
    assert (pruned["kept"], pruned["removed"], pruned["retained"]) == (1, 0, 1)
    assert set(first) <= set(versions(locking))
    checked = run_module("store_check", {"store": store})
    assert checked["lock"] == "held"


def test_the_lock_of_a_reused_object_lasts_as_long_as_that_of_its_new_set(locking: S3Server, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a").write_text("a")
    client = locking.client()
    until = []
    for days in (1, 50):
        store = locking.store_options(object_lock={"mode": "governance", "days": days})
        run_module(
            "bucket_backup",
            {"source": "media", "files": {"provider": "directory", "path": str(files)}, "store": store},
        )
        name = hashlib.sha256(b"a").hexdigest()
        head = client.head_object(Bucket=locking.bucket, Key=f"media/daily/objects/{name[:2]}/{name}")
        until.append(head["ObjectLockRetainUntilDate"])
    assert (until[1] - until[0]).days >= 48


def test_a_bucket_without_the_lock_that_was_asked_for_is_found_out(s3: S3Server, store: Options) -> None:
    with pytest.raises(ModuleFailed) as caught:
        run_module("store_check", {"store": store, "require_lock": True})
    assert caught.value.result["error_kind"] == "not_locked"
    assert run_module("store_check", {"store": store})["lock"] == "absent"


@pytest.mark.parametrize("options", [{"object_lock": {"days": 3}}, {"storage_class": "GLACIER"}])
def test_r2_is_never_sent_what_it_refuses(store: Options, options: Options) -> None:
    with pytest.raises(ModuleFailed) as caught:
        run_module("store_check", {"store": {**store, "provider": "r2", **options}})
    assert caught.value.result["error_kind"] == "unsupported"


def test_a_set_in_an_archive_is_made_readable_first(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a").write_text("a" * 100)
    place = {"provider": "directory", "path": str(files)}
    with moto_server() as server:
        store = server.store_options(storage_class="GLACIER")
        arguments = {"source": "media", "store": store, "tier": "monthly"}
        run_module("bucket_backup", {**arguments, "files": place})
        classes = {
            item["Key"].split("/")[2]: item["StorageClass"]
            for item in server.client().list_objects_v2(Bucket=server.bucket, Prefix="media/monthly/")["Contents"]
        }
        assert classes == {"objects": "GLACIER", "sets": "STANDARD"}
        (files / "a").unlink()
        with pytest.raises(ModuleFailed) as caught:
            run_module("bucket_restore", {**arguments, "files": place})
        assert caught.value.result["error_kind"] == "archived"
        assert "backup_thaw" in caught.value.result["msg"]
        foreseen = run_module("backup_thaw", arguments, check_mode=True)
        assert (foreseen["ready"], foreseen["changed"]) == (False, True)
        thawed = run_module("backup_thaw", {**arguments, "wait_seconds": 30, "poll_seconds": 1})
        assert thawed["ready"] is True
        assert run_module("backup_thaw", arguments)["changed"] is False
        run_module("bucket_restore", {**arguments, "files": place})
    assert (files / "a").read_text() == "a" * 100


def test_a_download_of_prefixes_leaves_other_objects_out(s3: S3Server, tmp_path: Path) -> None:
    folder, files = tmp_path / "files", s3.store_options(prefix=tmp_path.name)
    for key in ("a/1", "a/2", "ab", "b/1"):
        s3.client().put_object(Bucket=s3.bucket, Key=f"{tmp_path.name}/{key}", Body=b"x")
    arguments = {"key": "", "dest": str(folder), "sync": True, "files": files, "prefixes": ["a/", "b/"]}
    done = run_module("r2_object", arguments)
    assert done["created"] == [str(folder / name) for name in ("a/1", "a/2", "b/1")]
    with pytest.raises(ModuleFailed, match="`prefixes` selects objects of a download"):
        run_module("r2_object", {**arguments, "delete": True})


def test_a_download_leaves_archived_files_out_only_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with moto_server() as server:
        client = server.client()
        for key, kind in (("a", "STANDARD"), ("b", "GLACIER"), ("c/d", "DEEP_ARCHIVE")):
            client.put_object(Bucket=server.bucket, Key=key, Body=key.encode(), StorageClass=kind)
        arguments = {"key": "", "dest": str(folder), "sync": True, "files": server.store_options()}
        for check_mode in (True, False):
            with pytest.raises(ModuleFailed) as caught:
                run_module("r2_object", arguments, check_mode=check_mode)
            assert caught.value.result["error_kind"] == "archived"
            assert caught.value.result["archived_files"] == ["b", "c/d"]
            assert not folder.exists()
        arguments = {**arguments, "archived": "skip", "delete": True}
        for check_mode in (True, False):
            done = run_module("r2_object", arguments, check_mode=check_mode)
            assert (done["created"], done["files_archived"]) == ([str(folder / "a")], 2)
            assert done["archived_files"] == ["b", "c/d"]
        assert [path.name for path in folder.iterdir()] == ["a"]
        # The file of an archived object stays, equal or not.
        (folder / "b").write_text("older")
        again = run_module("r2_object", arguments)
        assert (again["changed"], again["unchanged"], again["deleted"], again["files_archived"]) == (False, 1, [], 2)
        (folder / "b").write_text("b")
        assert run_module("r2_object", arguments)["unchanged"] == 2
    assert (folder / "b").read_text() == "b"


def versions(server: S3Server) -> list[tuple[str, str]]:
    listed = server.client().list_object_versions(Bucket=server.bucket, Prefix="media/daily/")
    return [(item["Key"], item["VersionId"]) for item in listed["Versions"]]
