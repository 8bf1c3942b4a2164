# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Buckets whose server gives no ETags: size and time decide, and what is written is proved by reading it."""

from __future__ import annotations

import secrets
import time
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.fakes.faults import (
    ACCEPTED_AND_LOST,
    Rule,
    clock_wrong_by,
    faulty,
    first,
    listing_with,
    matching,
    without_etags,
)
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.s3 import S3Server, rclone_server

Options = dict[str, t.Any]


@pytest.fixture(scope="module")
def bare() -> t.Iterator[S3Server]:
    with rclone_server(etags=False) as server:
        yield server


class Media:
    """Files below a prefix of their own, backed up to a folder."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.server, self.prefix = server, secrets.token_hex(4)
        self.files: Options = server.store_options(prefix=self.prefix)
        self.store = {"provider": "directory", "path": str(folder)}

    def put(self, key: str, data: bytes, **headers: t.Any) -> None:
        self.server.client().put_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}", Body=data, **headers)

    def get(self, key: str) -> bytes:
        answer = self.server.client().get_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")
        return t.cast(bytes, answer["Body"].read())

    def delete(self, key: str) -> None:
        self.server.client().delete_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")

    def back_up(self, url: str | None = None) -> Options:
        return self._run("bucket_backup", url, {})

    def restore(self, url: str | None = None, **options: t.Any) -> Options:
        return self._run("bucket_restore", url, options)

    def copy(self, source: str, key: str) -> Options:
        return run_module("r2_object", {"files": self.files, "copy_from": source, "key": key})

    def _run(self, name: str, url: str | None, options: Options) -> Options:
        files = {**self.files, "endpoint_url": url} if url else self.files
        return run_module(name, {"source": "media", "files": files, "store": self.store, **options})


@pytest.fixture
def media(bare: S3Server, tmp_path: Path) -> Media:
    return Media(bare, tmp_path / "store")


def test_only_changed_files_are_read_again(media: Media) -> None:
    # Fractions of a second, because a file written at .000 is read again.
    for number in range(12):
        media.put(f"folder/{number}", b"text %d" % number, Metadata={"mtime": f"{1700000000 + number}.25"})
    taken = media.back_up()
    assert (taken["files_changed"], taken["files_without_etag"]) == (12, 12)
    assert media.back_up()["files_changed"] == 0
    media.put("folder/7", b"tExt 7", Metadata={"mtime": "1700000007.75"})
    changed = media.back_up()
    assert (changed["files_changed"], changed["bytes_read"]) == (1, 6)
    assert "12 have no ETag and were compared by size and time alone" in changed["summary"]


def test_a_change_within_the_second_of_a_listing_without_fractions_is_read(media: Media) -> None:
    seconds = matching("list-type=2", clock_wrong_by(timedelta()))
    media.put("old", b"old", Metadata={"mtime": "1700000000.25"})
    # A time ahead, so that a slow test does not list the file long after it was written.
    just_now = {"mtime": str(int(time.time()) + 60)}
    with faulty(media.server, seconds) as url:
        media.put("new", b"one", Metadata=just_now)
        assert media.back_up(url)["files_changed"] == 2
        media.put("new", b"two", Metadata=just_now)
        assert media.back_up(url)["bytes_read"] == 3
        media.delete("new")
        media.restore(url)
    assert media.get("new") == b"two"


@pytest.mark.parametrize(
    "rule",
    [
        matching("list-type=2", without_etags()),
        matching("^(HEAD|GET) (?!.*list-type)", without_etags()),
        matching(".", without_etags()),
        matching(".", without_etags(in_listings=False)),
        matching("list-type=2", listing_with(b"</ETag>", b"-other</ETag>")),
    ],
    ids=["listings", "objects", "everywhere", "headers", "others in listings"],
)
def test_etags_in_some_places_only_make_no_file_count_as_changed(s3: S3Server, tmp_path: Path, rule: Rule) -> None:
    media = Media(s3, tmp_path / "store")
    media.put("a", b"first")
    media.put("b", b"second")
    with faulty(s3, rule) as url:
        assert media.back_up(url)["files_changed"] == 2
        assert media.back_up(url)["files_changed"] == 0
        media.put("b", b"SECOND")
        assert media.back_up(url)["files_changed"] == 1
        media.put("b", b"third!")
        media.delete("a")
        restored = media.restore(url, mode="all", recovery_confirm="backups")
    assert (restored["restored"], restored["replaced"]) == (1, 1)
    assert (media.get("a"), media.get("b")) == (b"first", b"SECOND")


def test_missing_and_differing_files_are_restored(media: Media) -> None:
    large = secrets.token_bytes(20_000_000)
    media.put("large", large)
    media.put("gone", b"gone")
    media.put("same size", b"right")
    media.back_up()
    media.put("large", bytes(len(large)))
    media.put("same size", b"wrong")
    media.delete("gone")
    restored = media.restore(mode="all", recovery_confirm="backups")
    assert (restored["restored"], restored["replaced"]) == (1, 2)
    assert (media.get("large") == large, media.get("gone"), media.get("same size")) == (True, b"gone", b"right")
    again = media.restore(mode="all", recovery_confirm="backups")
    assert (again["changed"], again["equal"]) == (False, 3)
    undone = media.restore(recovery_confirm="backups", **restored["undo"])
    assert undone["replaced"] == 2
    assert media.get("same size") == b"wrong"


def test_a_write_that_the_store_lost_is_detected_by_reading(media: Media) -> None:
    media.put("page", b"right")
    media.back_up()
    media.put("page", b"wrong")
    with (
        faulty(media.server, first(9, "^PUT ", ACCEPTED_AND_LOST)) as url,
        pytest.raises(ModuleFailed, match="shows other bytes"),
    ):
        media.restore(url, mode="all", recovery_confirm="backups")
    assert media.get("page") == b"wrong"


def test_a_copy_onto_other_bytes_of_the_same_size_is_made(media: Media) -> None:
    media.put("from", b"one")
    media.put("to", b"two")
    assert media.copy("from", "to")["changed"] is True
    assert media.get("to") == b"one"
    assert media.copy("from", "to")["changed"] is False


def test_a_folder_is_synced_up_and_down(media: Media, tmp_path: Path) -> None:
    folder, back = tmp_path / "site", tmp_path / "back"
    folder.mkdir()
    (folder / "a").write_bytes(b"one")
    (folder / "b").write_bytes(b"two")
    up = {"files": media.files, "src": str(folder), "key": "site", "sync": True}
    assert len(run_module("r2_object", up)["created"]) == 2
    (folder / "b").write_bytes(b"TWO")
    assert run_module("r2_object", up)["updated"] == ["site/b"]
    down = {"files": media.files, "dest": str(back), "key": "site", "sync": True}
    assert len(run_module("r2_object", down)["created"]) == 2
    assert (back / "b").read_bytes() == b"TWO"
    assert run_module("r2_object", down)["changed"] is False
