# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that are not only bytes under a plain name: packed, archived, with headers and tags, with hostile keys."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import subprocess
import typing as t
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.compare import excluded_names
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.data.identity import make_identity
from tests.support.documentation import commands_of
from tests.support.fakes.faults import adding, faulty, listing_with, matching, refusal, unpacking
from tests.support.operator import Operator
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    with moto_server() as server:
        yield server


class Media:
    """A prefix of a bucket, its store, and a folder to restore to."""

    def __init__(self, server: S3Server, root: Path) -> None:
        self.server, self.client, self.prefix = server, server.client(), secrets.token_hex(4)
        self.files: Options = server.store_options(prefix=self.prefix)
        self.store: Options = {"provider": "directory", "path": str(root / "store")}
        self.folder = root / "folder"

    def put(self, key: str, data: bytes = b"text", **headers: t.Any) -> None:
        self.client.put_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}", Body=data, **headers)

    def get(self, key: str) -> t.Any:
        return self.client.get_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")

    def tags(self, key: str) -> dict[str, str]:
        answer = self.client.get_object_tagging(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def back_up(self, url: str | None = None, *, check_mode: bool = False, **options: t.Any) -> Options:
        files = {**self.files, "endpoint_url": url} if url else self.files
        arguments = {"source": "media", "files": files, "store": self.store}
        return run_module("bucket_backup", {**arguments, **options}, check_mode=check_mode)

    def restore(self, url: str | None = None, **options: t.Any) -> Options:
        files = {**self.files, "endpoint_url": url} if url else self.files
        check_mode = options.pop("check_mode", False)
        arguments = {"source": "media", "files": files, "store": self.store, "recovery_environment": "sandbox"}
        return run_module("bucket_restore", {**arguments, **options}, check_mode=check_mode)

    def restore_to_folder(self, **options: t.Any) -> Options:
        self.folder.mkdir(exist_ok=True)
        return self.restore(files={"provider": "directory", "path": str(self.folder)}, **options)

    def in_folder(self) -> dict[str, bytes]:
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def restore_by_hand(self, work: Path) -> subprocess.CompletedProcess[bytes]:
        work.mkdir()
        environment = {"PATH": "/usr/bin:/bin", "STORE": self.store["path"], "SOURCE": "media", "WORK": str(work)}
        commands = commands_of("docs/restore-by-hand.md", 2)
        return subprocess.run(commands, env=environment, check=False, capture_output=True)


@pytest.fixture
def media(moto: S3Server, tmp_path: Path) -> Media:
    return Media(moto, tmp_path)


@pytest.mark.parametrize("sized", [False, True], ids=["without a size", "with another size"])
def test_packed_objects_of_a_service_that_unpacks_are_kept_as_stored(media: Media, sized: bool) -> None:
    small, large = gzip.compress(b"small" * 100), gzip.compress(secrets.token_bytes(5_000_000))
    media.put("a.js", small, ContentEncoding="gzip", ContentType="text/javascript")
    media.put("large.js", large, ContentEncoding="gzip")
    media.put("plain.txt", b"plain")
    with faulty(media.server, matching("^(GET|HEAD) (?!.*list-type)", unpacking(sized=sized))) as url:
        taken = media.back_up(url)
        assert (taken["files"], taken["bytes_read"]) == (3, len(small) + len(large) + 5)
        assert media.back_up(url)["files_changed"] == 0
        media.delete("a.js")
        media.put("large.js", gzip.compress(b"defaced"), ContentEncoding="gzip")
        restored = media.restore(url, mode="all")
        assert (restored["restored"], restored["replaced"], restored["equal"]) == (1, 1, 1)
        assert media.restore(url, mode="all")["changed"] is False
    assert media.get("large.js")["Body"].read() == large
    assert (media.get("a.js")["Body"].read(), media.get("a.js")["ContentEncoding"]) == (small, "gzip")


def test_a_packed_object_is_downloaded_as_stored(media: Media, tmp_path: Path) -> None:
    packed = gzip.compress(b"text" * 100)
    media.put("a.js", packed, ContentEncoding="gzip")
    with faulty(media.server, matching("^(GET|HEAD) (?!.*list-type)", unpacking())) as url:
        files = {**media.files, "endpoint_url": url}
        run_module("r2_object", {"files": files, "key": "a.js", "dest": str(tmp_path / "a.js")})
    assert (tmp_path / "a.js").read_bytes() == packed


def test_archived_objects_are_counted_and_named_and_left_out_on_demand(media: Media) -> None:
    for name in ("old 1", "old 2"):
        media.put(name, name.encode(), StorageClass="GLACIER")
    media.put("new", b"new")
    for check_mode in (True, False):
        with pytest.raises(ModuleFailed) as caught:
            media.back_up(check_mode=check_mode)
        failed = caught.value.result
        assert (failed["error_kind"], failed["files_archived"]) == ("archived", 2)
        assert "2 files of " in failed["msg"]
        assert "old 1, old 2" in failed["msg"]
        assert "archived=skip" in failed["msg"]
    assert not list(Path(media.store["path"]).rglob("sets/*"))
    taken = media.back_up(archived="skip")
    assert (taken["files"], taken["files_archived"], taken["archived_files"]) == (1, 2, ["old 1", "old 2"])
    assert "2 archived files were left out" in taken["summary"]
    assert "2 files in an archive storage class" in taken["not_covered"]


def test_a_file_that_moved_into_an_archive_after_its_backup_stays_in_the_sets(media: Media) -> None:
    media.put("a", b"a")
    media.back_up()
    moved = listing_with(b"<StorageClass>STANDARD<", b"<StorageClass>GLACIER<")
    with faulty(media.server, matching("list-type=2", moved)) as url:
        again = media.back_up(url)
    assert (again["files"], again["files_changed"], again["files_archived"]) == (1, 0, 0)


def test_archive_tiers_that_no_listing_shows_are_found_by_reading(media: Media, tmp_path: Path) -> None:
    media.put("cold", b"cold", StorageClass="INTELLIGENT_TIERING")
    media.put("warm", b"warm", StorageClass="INTELLIGENT_TIERING")
    sealed = {**media.store, "encrypt_to": [make_identity(tmp_path / "key").recipient]}
    with (
        faulty(media.server, matching("^HEAD .*cold", adding(b"x-amz-archive-status: ARCHIVE_ACCESS"))) as url,
        pytest.raises(ModuleFailed, match=r"1 files of .* cold"),
    ):
        media.back_up(url, check_mode=True)
    with faulty(media.server, matching("^GET .*cold", refusal(403, "InvalidObjectState"))) as url:
        with pytest.raises(ModuleFailed, match=r"1 files of .* cold"):
            media.back_up(url)
        taken = media.back_up(url, archived="skip", store=sealed)
    assert (taken["files"], taken["archived_files"]) == (1, ["cold"])
    stored = b"".join(path.read_bytes() for path in Path(sealed["path"]).rglob("sets/*"))
    assert b"1 files in an archive storage class" in stored
    assert b"cold" not in stored


KEPT = {
    "ContentType": "image/png",
    "CacheControl": "max-age=60",
    "ContentDisposition": "inline",
    "ContentLanguage": "de",
    "Expires": datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
    "WebsiteRedirectLocation": "/elsewhere",
    "StorageClass": "STANDARD_IA",
    "Metadata": {"owner": "7"},
}


def shown(media: Media, key: str) -> Options:
    answer = media.get(key)
    return {name: answer.get(name) for name in KEPT} | {"tags": media.tags(key), "body": answer["Body"].read()}


@pytest.mark.parametrize("size", [3, 20_000_000], ids=["small", "in parts"])
def test_headers_tags_and_storage_class_come_back(media: Media, size: int) -> None:
    media.put("cover", bytes(size), **KEPT, Tagging="class=a%20b%2Bc&owner=7")
    media.put("plain", b"plain")
    before = {key: shown(media, key) for key in ("cover", "plain")}
    assert before["cover"]["tags"] == {"class": "a b+c", "owner": "7"}
    described = run_module("r2_object_info", {"files": media.files, "key": "cover"})["object"]
    assert (described["tags"], described["storage_class"]) == (before["cover"]["tags"], "STANDARD_IA")
    assert described["website_redirect"] == "/elsewhere"
    media.back_up()
    media.delete("cover", "plain")
    restored = media.restore()
    assert restored["headers_not_kept"] == []
    assert {key: shown(media, key) for key in ("cover", "plain")} == before
    assert media.restore(mode="all")["changed"] is False


@pytest.mark.parametrize(
    "other",
    [
        *({name: value} for name, value in KEPT.items() if name != "StorageClass"),
        {"Tagging": "class=b"},
        {"Metadata": {"owner": "7", "added": "x"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_mode_all_restores_headers_that_differ(media: Media, other: Options) -> None:
    media.put("page", b"page", CacheControl="no-cache", Metadata={"owner": "1"})
    before = shown(media, "page")
    media.back_up()
    media.put("page", b"page", **{"CacheControl": "no-cache", "Metadata": {"owner": "1"}, **other})
    foreseen = media.restore(mode="all", check_mode=True)
    assert foreseen["header_files"] == ["page"]
    assert "page (other headers)" in foreseen["diff"]["before"]
    assert media.restore()["changed"] is False
    restored = media.restore(mode="all")
    assert (restored["replaced"], restored["header_files"]) == (1, ["page"])
    assert "1 differing (1 in headers only) of 1 files" in restored["summary"]
    assert shown(media, "page") == before
    undone = media.restore(**restored["undo"])
    assert undone["header_files"] == ["page"]


def test_headers_that_a_target_refuses_are_named_and_the_files_are_restored(media: Media) -> None:
    for name in ("a", "b"):
        media.put(name, b"text", StorageClass="STANDARD_IA", Tagging="class=x")
    media.back_up()
    media.delete("a", "b")

    rule = matching("^PUT ", replace(refusal(501, "NotImplemented"), headers=rb"(?i)x-amz-tagging"))
    with faulty(media.server, rule) as url:
        restored = media.restore(url)
    assert restored["restored"] == 2
    assert restored["headers_not_kept"] == ["storage_class", "tags"]
    assert "does not keep these headers" in json.dumps(restored["warnings"])
    assert media.tags("a") == {}


def test_tags_that_may_not_be_read_are_named_as_not_covered(media: Media) -> None:
    media.put("a", b"a", Tagging="class=x")
    with faulty(media.server, matching("^GET .*tagging", refusal(403, "AccessDenied"))) as url:
        taken = media.back_up(url)
    assert "tags of 1 files, which need the right s3:GetObjectTagging" in taken["not_covered"]


def test_objects_that_show_folders_come_back(media: Media) -> None:
    media.put("empty folder/", b"")
    media.put("folder/a", b"a")
    media.put("folder/", b"")
    assert media.back_up()["files"] == 3
    media.delete("empty folder/", "folder/")
    assert media.restore()["restored"] == 2
    assert media.get("empty folder/")["Body"].read() == b""
    assert media.restore_to_folder()["restored"] == 3
    assert (media.folder / "empty folder").is_dir()
    assert media.in_folder() == {"folder/a": b"a"}
    assert media.restore_to_folder(mode="all")["changed"] is False


def test_folders_are_counted_when_their_files_are_restored_first(media: Media) -> None:
    for number in range(40):
        media.put(f"{number}/", b"")
        media.put(f"{number}/a", b"a")
    media.back_up()
    restored = media.restore_to_folder(parallel_files=16)
    assert (restored["restored"], restored["left"]) == (80, 0)


#: Keys that no folder holds beside the good ones, and good ones that look odd.
REFUSED = {
    "../../escape.txt": "part of dots",
    "./here": "part of dots",
    "/absolute": "starts with a slash",
    "b//c.txt": "empty part",
    "full/": "ends with a slash",
    "k": "need a folder of that name",
    "long/" + "n" * 256: "256 bytes",
}
GOOD = ("a.txt", "k/child", "k!", " blanks ", "-n", "$(touch x)", "\u00fc" * 127, "z.txt")


def test_files_that_a_folder_cannot_hold_are_named_before_the_rest_is_restored(media: Media) -> None:
    for key in (*REFUSED, *GOOD):
        media.put(key, key.encode())
    media.back_up()
    foreseen = media.restore_to_folder(check_mode=True)
    assert (foreseen["refused"], foreseen["restored"]) == (len(REFUSED), len(GOOD))
    restored = media.restore_to_folder()
    reasons = {item["file"]: item["reason"] for item in restored["refused_files"]}
    assert reasons.keys() == REFUSED.keys()
    assert all(part in reasons[key] for key, part in REFUSED.items())
    assert media.in_folder() == {key: key.encode() for key in GOOD}
    assert f"cannot hold {len(REFUSED)} files" in json.dumps(restored["warnings"])
    assert f"{len(REFUSED)} files of the set: " in restored["summary"]
    again = media.restore_to_folder(mode="all")
    assert (again["changed"], again["refused"], again["equal"]) == (False, len(REFUSED), len(GOOD))


def test_obstacles_in_a_folder_stop_no_other_file_and_fail_the_restore(media: Media) -> None:
    for key in ("a", "b/c", "d", "e"):
        media.put(key)
    media.back_up()
    (media.folder / "a").mkdir(parents=True)
    (media.folder / "b").write_text("a file in the way")
    with pytest.raises(ModuleFailed) as caught:
        media.restore_to_folder()
    assert len(caught.value.result["failures"]) == 2
    assert media.in_folder() == {"b": b"a file in the way", "d": b"text", "e": b"text"}


def test_keys_with_dots_are_never_those_of_other_objects(media: Media) -> None:
    media.put("x/../secret", b"one")
    media.put("secret", b"two")
    media.back_up()
    media.delete("x/../secret", "secret")
    media.restore()
    assert (media.get("x/../secret")["Body"].read(), media.get("secret")["Body"].read()) == (b"one", b"two")


NAMES = st.text(st.sampled_from("a/. '$!\u00fc"), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(files=st.dictionaries(NAMES, st.sampled_from([b"", b"x"]), min_size=1, max_size=12))
def test_a_folder_holds_each_name_that_is_not_refused(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("names") / "folder"
    folder = DirectoryStore(str(root))
    excluded = set(excluded_names([(key, len(files[key])) for key in sorted(files)], folder.refuses))
    held = {key for key in files if not folder.refuses(key, len(files[key]))} - excluded
    for key in held:
        folder.put(key, [files[key]])
    for key in held:
        assert (root / key).is_dir() if key.endswith("/") else (root / key).read_bytes() == files[key]
    # Of names that exclude each other, only those are left out whose place another one takes.
    for key in excluded:
        assert any(other.rstrip("/") == key.rstrip("/") or other.startswith(f"{key}/") for other in held)
    assert [path.name for path in root.parent.iterdir()] in ([], ["folder"])


def test_the_object_of_the_prefix_itself_is_no_file(media: Media) -> None:
    media.put("", b"")
    media.put("a")
    assert media.back_up()["files"] == 1


def test_files_are_restored_by_hand_under_their_exact_names_or_refused(media: Media, tmp_path: Path) -> None:
    for key in (*REFUSED, *GOOD):
        media.put(key, key.encode())
    media.put("empty folder/", b"")
    media.put("packed", b"packed " * 500)
    media.put("damaged", b"damaged " * 500)
    media.back_up(compression="gzip")
    (stored,) = Path(media.store["path"]).rglob(hashlib.sha256(b"damaged " * 500).hexdigest())
    stored.write_bytes(b"x" * stored.stat().st_size)
    done = media.restore_by_hand(tmp_path / "work")
    assert done.returncode == 1
    assert len((tmp_path / "work/refused.txt").read_text().splitlines()) == len(REFUSED) + 1
    assert all(ascii(key).encode() in done.stderr for key in REFUSED)
    assert b"damaged is damaged" in done.stderr
    media.folder = tmp_path / "work/files"
    assert media.in_folder() == {**{key: key.encode() for key in GOOD}, "packed": b"packed " * 500}
    assert (media.folder / "empty folder").is_dir()
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["files", "inventory.jsonl", "refused.txt"]


def test_names_of_several_lines_are_restored_by_hand(media: Media, tmp_path: Path) -> None:
    media.folder.mkdir()
    files = {"line\nfeed\n": b"a", " blanks ": b"b", "folder\n/x\t": b"c"}
    for key, data in files.items():
        (media.folder / key).parent.mkdir(exist_ok=True)
        (media.folder / key).write_bytes(data)
    media.back_up(files={"provider": "directory", "path": str(media.folder)})
    done = media.restore_by_hand(tmp_path / "work")
    assert done.returncode == 0, done.stderr
    media.folder = tmp_path / "work/files"
    assert media.in_folder() == files


def test_playbooks_name_what_is_left_out(media: Media, operator: Operator) -> None:
    media.put("cold", StorageClass="GLACIER")
    for key in ("a.txt", "b//c.txt", "z.txt"):
        media.put(key)
    folder = operator.home / "folder"
    store = {"provider": "directory", "path": str(operator.home / "store")}
    inventory = {"recovery_source": "media", "recovery_store": store, "recovery_files": media.files}
    failed = operator.play("backup", inventory=inventory)
    assert failed.returncode != 0
    assert "recovery_archived" in failed.stdout
    taken = operator.cold.play("backup", "-e", "recovery_archived=skip", inventory=inventory)
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert "1 archived files were left out" in taken.stdout
    inventory["recovery_files"] = {"provider": "directory", "path": str(folder)}
    restored = operator.cold.play("restore", inventory=inventory)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "'b//c.txt' (the name has an empty part)" in restored.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "z.txt"]
