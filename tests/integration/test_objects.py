# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single objects and folders, up and down: only what differs is sent, and nothing is half there."""

from __future__ import annotations

import gzip
import hashlib
import os
import typing as t
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.progress import Progress
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.transfer import (
    TransferOptions,
    upload_file,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.fakes.faults import ACCEPTED_AND_LOST, Fault, Rule, faulty, first, matching
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.s3 import S3Server, moto_server, rclone_server

Options = dict[str, t.Any]

LARGE = os.urandom(16 * 1024 * 1024 + 5)


@pytest.fixture(scope="module")
def moto() -> t.Iterator[S3Server]:
    """A store that keeps every header, as R2 does."""
    with moto_server() as server:
        yield server


@pytest.fixture(params=["rclone", "moto", "directory"])
def files(request: pytest.FixtureRequest, s3: S3Server, moto: S3Server, tmp_path: Path) -> Options:
    if request.param == "directory":
        return {"provider": "directory", "path": str(tmp_path / "bucket")}
    server = {"rclone": s3, "moto": moto}[request.param]
    return server.store_options(prefix=tmp_path.name)


@pytest.fixture
def kept(moto: S3Server, tmp_path: Path) -> Options:
    return moto.store_options(prefix=tmp_path.name)


def act(files: Options, key: str, *, check_mode: bool = False, **options: t.Any) -> Options:
    return run_module("r2_object", {"files": files, "key": key, **options}, check_mode=check_mode)


def info(files: Options, **options: t.Any) -> Options:
    return run_module("r2_object_info", {"files": files, **options})


def refused(files: Options, key: str, **options: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        act(files, key, **options)
    assert "Traceback" not in caught.value.result["msg"]
    return caught.value.result


@pytest.mark.parametrize("data", [b"", b"content", LARGE], ids=["empty", "small", "parts"])
def test_a_file_goes_up_and_comes_down_once(files: Options, tmp_path: Path, data: bytes) -> None:
    src, dest = tmp_path / "src.bin", tmp_path / "down" / "dest.bin"
    src.write_bytes(data)
    foreseen = act(files, "a/object.bin", src=str(src), check_mode=True)
    assert foreseen["changed"] is True
    assert foreseen["diff"]["after"] == "a/object.bin\n"
    assert info(files, key="a/object.bin")["exists"] is False
    sent = act(files, "a/object.bin", src=str(src))
    assert (sent["changed"], sent["size"], sent["sha256"]) == (True, len(data), hashlib.sha256(data).hexdigest())
    again = act(files, "a/object.bin", src=str(src))
    assert (again["changed"], again["bytes_transferred"]) == (False, 0)
    assert again["diff"] == {"before": "", "after": ""}
    fetched = act(files, "a/object.bin", dest=str(dest))
    assert (fetched["changed"], fetched["bytes_transferred"]) == (True, len(data))
    assert dest.read_bytes() == data
    assert act(files, "a/object.bin", dest=str(dest))["changed"] is False
    assert os.listdir(dest.parent) == ["dest.bin"]
    assert act(files, "a/object.bin", state="absent")["deleted"] == ["a/object.bin"]
    assert act(files, "a/object.bin", state="absent")["changed"] is False


def test_other_bytes_of_the_same_size_are_seen(files: Options, tmp_path: Path) -> None:
    for content in ("one", "two"):
        assert act(files, "text", content=content)["changed"] is True
    src = tmp_path / "src"
    src.write_text("two")
    assert act(files, "text", src=str(src))["changed"] is False
    src.write_text("six")
    assert act(files, "text", dest=str(src))["changed"] is True
    assert src.read_text() == "two"


def test_an_object_of_parts_without_our_digest_is_compared_by_reading(
    moto: S3Server, kept: Options, tmp_path: Path
) -> None:
    src = tmp_path / "src"
    src.write_bytes(LARGE)
    moto.client().upload_file(str(src), moto.bucket, f"{kept['prefix']}/foreign")
    assert "-" in info(kept, key="foreign")["object"]["etag"]
    assert act(kept, "foreign", src=str(src))["changed"] is False
    src.write_bytes(LARGE[:-1] + b"x")
    assert act(kept, "foreign", src=str(src))["changed"] is True


def test_if_none_match_never_replaces(files: Options) -> None:
    act(files, "name", content="mine", if_none_match=True)
    assert refused(files, "name", content="yours", if_none_match=True)["error_kind"] == "already_exists"
    assert info(files, key="name")["object"]["size"] == 4


def test_headers_are_kept_changed_and_shown(kept: Options) -> None:
    headers = {
        "content_type": "text/html",
        "cache_control": "max-age=60",
        "content_disposition": "inline",
        "content_encoding": "identity",
        "metadata": {"Owner": 7},
    }
    assert act(kept, "page", content="<p>", **headers)["changed"] is True
    assert act(kept, "page", content="<p>", **headers)["changed"] is False
    shown = info(kept, key="page")["object"]
    assert {name: shown[name] for name in headers if name != "metadata"} == {
        name: value for name, value in headers.items() if name != "metadata"
    }
    assert shown["metadata"]["owner"] == "7"
    assert shown["sha256"] == hashlib.sha256(b"<p>").hexdigest()
    assert act(kept, "page", content="<p>", cache_control="no-store")["changed"] is True
    assert info(kept, key="page")["object"]["cache_control"] == "no-store"
    act(kept, "cold", content="x", storage_class="STANDARD_IA")
    assert info(kept, key="cold")["object"]["storage_class"] == "STANDARD_IA"


def test_the_type_is_guessed_from_the_name(kept: Options, tmp_path: Path) -> None:
    src = tmp_path / "cover.png"
    src.write_bytes(b"png")
    act(kept, "cover", src=str(src))
    assert info(kept, key="cover")["object"]["content_type"] == "image/png"


def test_an_object_is_copied_on_the_server(kept: Options) -> None:
    act(kept, "first", content="text", content_type="text/css")
    foreseen = act(kept, "second", copy_from="first", check_mode=True)
    assert foreseen["changed"] is True
    assert act(kept, "second", copy_from="first")["changed"] is True
    assert act(kept, "second", copy_from="first")["changed"] is False
    assert info(kept, key="second")["object"]["content_type"] == "text/css"
    assert refused(kept, "third", copy_from="missing")["error_kind"] == "object_missing"


def cut_off(size: int) -> Rule:
    """The first download ends after so many bytes, and no later one is answered: a network that went away."""
    answers = [Fault(cut_after=size)]
    return matching("^GET .*/object", lambda _line: answers.pop() if answers else Fault(cut_after=0))


def test_a_download_continues_where_it_was_cut(s3: S3Server, tmp_path: Path) -> None:
    options = s3.store_options(prefix=tmp_path.name)
    src, dest = tmp_path / "src", tmp_path / "dest"
    src.write_bytes(LARGE)
    act(options, "object", src=str(src))
    with faulty(s3, cut_off(9_000_000)) as url:
        cut = refused({**options, "endpoint_url": url, "timeout": 1}, "object", dest=str(dest))
    assert cut["error_kind"] == "unreachable"
    assert not dest.exists()
    resumed = act(options, "object", dest=str(dest))
    assert 8_000_000 < resumed["resumed_from"] < 9_000_000
    assert resumed["bytes_transferred"] == len(LARGE) - resumed["resumed_from"]
    assert dest.read_bytes() == LARGE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dest", "src"]


def test_a_partial_download_of_another_version_starts_again(moto: S3Server, kept: Options, tmp_path: Path) -> None:
    act(kept, "object", content="old " * 1000)
    with faulty(moto, cut_off(900)) as url:
        refused({**kept, "endpoint_url": url, "timeout": 1}, "object", dest=str(tmp_path / "dest"))
    assert [path.stat().st_size for path in tmp_path.iterdir() if path.suffix == ""] != []
    act(kept, "object", content="new " * 1000)
    assert act(kept, "object", dest=str(tmp_path / "dest"))["resumed_from"] == 0
    assert (tmp_path / "dest").read_text() == "new " * 1000


def test_bytes_with_another_digest_never_become_the_file(moto: S3Server, kept: Options, tmp_path: Path) -> None:
    act(kept, "object", content="whole")
    (tmp_path / "dest").write_text("before")
    spoiled = Fault(rewrite=lambda answer: answer.replace(b"\r\n\r\nwhole", b"\r\n\r\nwhose"))
    with faulty(moto, matching("^GET .*/object", spoiled)) as url:
        assert refused({**kept, "endpoint_url": url}, "object", dest=str(tmp_path / "dest"))["error_kind"] == "damaged"
    assert (tmp_path / "dest").read_text() == "before"


def test_an_upload_that_is_accepted_and_lost_is_not_called_done(moto: S3Server, kept: Options) -> None:
    with faulty(moto, first(1, "^PUT ", ACCEPTED_AND_LOST)) as url:
        assert refused({**kept, "endpoint_url": url}, "object", content="x")["error_kind"] == "store_failed"


def test_a_range(files: Options, tmp_path: Path) -> None:
    act(files, "object", content="0123456789")
    dest = str(tmp_path / "dest")
    assert act(files, "object", dest=dest, range_start=2, range_length=3)["changed"] is True
    assert Path(dest).read_text() == "234"
    assert act(files, "object", dest=dest, range_start=2, range_length=3)["changed"] is False
    act(files, "object", dest=dest, range_start=8, range_length=100)
    assert Path(dest).read_text() == "89"
    assert refused(files, "object", dest=dest, range_start=-1, range_length=3)["error_kind"] == "invalid_options"
    assert refused(files, "missing", dest=dest, range_start=0, range_length=3)["error_kind"] == "object_missing"


def make_folder(folder: Path) -> dict[str, bytes]:
    content = {"a.txt": b"a", "b/c.txt": b"c", "b/\u00fc 1+1.txt": b"u", "empty": b""}
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return content


def test_a_folder_is_uploaded_and_downloaded_and_check_mode_lists_the_changes(files: Options, tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    content = make_folder(folder)
    foreseen = act(files, "site/", src=str(folder), sync=True, check_mode=True)
    assert foreseen["created"] == sorted(f"site/{name}" for name in content)
    assert info(files, prefix="site/")["total"] == 0
    assert act(files, "site/", src=str(folder), sync=True)["created"] == foreseen["created"]
    again = act(files, "site/", src=str(folder), sync=True)
    assert (again["changed"], again["unchanged"]) == (False, 4)
    (folder / "a.txt").write_text("b")
    (folder / "empty").unlink()
    foreseen = act(files, "site/", src=str(folder), sync=True, delete=True, check_mode=True)
    assert (foreseen["updated"], foreseen["deleted"]) == (["site/a.txt"], ["site/empty"])
    assert foreseen["diff"] == {"before": "site/a.txt (other content)\nsite/empty\n", "after": "site/a.txt\n"}
    kept = act(files, "site/", src=str(folder), sync=True)
    assert (kept["updated"], kept["deleted"]) == (["site/a.txt"], [])
    act(files, "site/", src=str(folder), sync=True, delete=True)
    (other / "stray").parent.mkdir()
    (other / "stray").write_text("x")
    down = act(files, "site/", dest=str(other), sync=True, delete=True)
    assert down["deleted"] == [str(other / "stray")]
    found = {str(path.relative_to(other)): path.read_bytes() for path in other.rglob("*") if path.is_file()}
    assert found == {"a.txt": b"b", "b/c.txt": b"c", "b/\u00fc 1+1.txt": b"u"}
    assert act(files, "site/", dest=str(other), sync=True)["changed"] is False


def test_keys_that_would_leave_the_folder_are_refused_before_anything_is_written(
    moto: S3Server, kept: Options, tmp_path: Path
) -> None:
    for key in ("fine", "../escape", "a//b", "bytes/", "k", "k/child"):
        moto.client().put_object(Bucket=moto.bucket, Key=f"{kept['prefix']}/evil/{key}", Body=b"x")
    dest = tmp_path / "dest"
    result = refused(kept, "evil/", dest=str(dest), sync=True)
    assert result["error_kind"] == "invalid_options"
    assert "cannot hold 4 of 6 keys" in result["msg"]
    assert all(f"{key!r} (" in result["msg"] for key in ("../escape", "a//b", "bytes/", "k"))
    assert not dest.exists()


def test_a_prefix_is_deleted_whole_and_everything_only_by_name(files: Options) -> None:
    for key in ("old/1", "old/2", "older"):
        act(files, key, content=key)
    assert act(files, "old/", state="absent", check_mode=True)["deleted"] == ["old/1", "old/2"]
    assert act(files, "old/", state="absent")["deleted"] == ["old/1", "old/2"]
    assert [item["key"] for item in info(files, prefix="")["objects"]] == ["older"]
    for key in ("", "/"):
        assert refused(files, key, state="absent")["error_kind"] == "invalid_options"


def test_a_listing_of_any_length_counts_all_and_shows_some() -> None:
    def fill(folder: Path) -> None:
        (folder / "many").mkdir()
        for number in range(1203):
            (folder / "many" / f"{number:05}").write_text("xy")

    with rclone_server(fill=fill) as server:
        listed = info(server.store_options(), prefix="many/", limit=2)
    assert (listed["total"], listed["total_bytes"]) == (1203, 2406)
    assert [item["key"] for item in listed["objects"]] == ["many/00000", "many/00001"]


def test_a_url_reads_and_writes_for_a_while(kept: Options) -> None:
    act(kept, "object", content="for the auditor")
    opener = urllib.request.build_opener()
    with opener.open(info(kept, key="object", url_seconds=60)["url"]) as answer:
        assert answer.read() == b"for the auditor"
    url = info(kept, key="incoming", url_seconds=60, url_method="put")["url"]
    assert "X-Amz-Signature" in url
    typed = {"Content-Type": "application/octet-stream"}
    with opener.open(urllib.request.Request(url, data=b"sent", headers=typed, method="PUT")):
        assert info(kept, key="incoming")["object"]["size"] == 4
    with pytest.raises(ModuleFailed, match="604800"):
        info(kept, key="object", url_seconds=700_000)


def test_packed_objects_stay_packed(kept: Options, moto: S3Server, tmp_path: Path) -> None:
    packed = gzip.compress(b"text " * 1000, mtime=0)
    moto.client().put_object(Bucket=moto.bucket, Key=f"{kept['prefix']}/page.css", Body=packed, ContentEncoding="gzip")
    act(kept, "page.css", dest=str(tmp_path / "page.css"))
    assert (tmp_path / "page.css").read_bytes() == packed
    store = {"provider": "directory", "path": str(tmp_path / "store")}
    run_module("bucket_backup", {"source": "site", "files": kept, "store": store})
    act(kept, "page.css", state="absent")
    run_module("bucket_restore", {"source": "site", "files": kept, "store": store})
    answer = moto.client().get_object(Bucket=moto.bucket, Key=f"{kept['prefix']}/page.css")
    assert (answer["Body"].read(), answer["ContentEncoding"]) == (packed, "gzip")


def test_wishes_that_do_not_go_together_are_refused(files: Options, tmp_path: Path) -> None:
    for options in (
        {},
        {"direction": "download"},
        {"direction": "upload", "dest": str(tmp_path / "x")},
        {"sync": True},
        {"src": str(tmp_path / "missing")},
        {"src": str(tmp_path / "missing"), "sync": True},
        {"dest": str(tmp_path), "range_start": 0, "range_length": 0},
    ):
        assert refused(files, "key", **options)["error_kind"] == "invalid_options"
    assert info(files, prefix="")["total"] == 0


@pytest.mark.parametrize("provider", ["r2", "supabase"])
def test_options_that_a_provider_refuses_are_never_sent(kept: Options, moto: S3Server, provider: str) -> None:
    sent: list[str] = []

    def note(line: str) -> None:
        sent.append(line)

    with faulty(moto, note) as url:
        files = {**kept, "provider": provider, "endpoint_url": url}
        act(files, "object", content="x", metadata={"a": "b"})
        assert refused(files, "object", content="y", storage_class="GLACIER")["error_kind"] == "unsupported"
    # Each of these is a request of its own where it is not a header of the PUT, which is checked at the server.
    assert not [line for line in sent if "tagging" in line or "acl" in line or "retention" in line]


def test_progress_is_reported_while_it_lasts(s3: S3Server, tmp_path: Path) -> None:
    src, returned = tmp_path / "src", tmp_path / "progress.json"
    src.write_bytes(LARGE)
    act(s3.store_options(prefix=tmp_path.name), "object", src=str(src), progress_file=str(returned))
    assert returned.exists()
    assert "object" in returned.read_text()


@pytest.mark.parametrize("module", ["r2_object", "r2_object_info", "bucket_backup", "bucket_restore"])
def test_a_bucket_that_is_not_named_is_missed(module: str, tmp_path: Path) -> None:
    backup = {"source": "media", "store": {"provider": "directory", "path": str(tmp_path)}}
    with pytest.raises(ModuleFailed, match="The option files is missing"):
        run_module(module, {"key": "x"} if module.startswith("r2") else backup)


def test_a_folder_is_only_itself_and_never_emptied_by_mistake(kept: Options, moto: S3Server, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    make_folder(folder)
    act(kept, "site-old/x", content="x")
    act(kept, "sitea", content="x")
    sent = act(kept, "site", src=str(folder), sync=True, delete=True)
    assert (sent["deleted"], len(sent["created"])) == ([], 4)
    assert act(kept, "site", src=str(folder), sync=True, delete=True)["changed"] is False
    (tmp_path / "nothing").mkdir()
    for requested in ({"src": str(tmp_path / "nothing")}, {"dest": str(folder)}):
        key = "site" if "src" in requested else "mistyped"
        assert "would go" in refused(kept, key, sync=True, delete=True, **requested)["msg"]
    assert info(kept, prefix="site/")["total"] == 4
    assert (folder / "a.txt").exists()


def test_a_download_never_leaves_its_folder_through_a_link(kept: Options, tmp_path: Path) -> None:
    dest, outside = tmp_path / "dest", tmp_path / "outside"
    dest.mkdir()
    outside.mkdir()
    (dest / "link").symlink_to(outside)
    act(kept, "in/link/evil", content="x")
    assert "A link leads" in refused(kept, "in/", dest=str(dest), sync=True)["msg"]
    assert list(outside.iterdir()) == []


def test_a_file_that_looks_like_a_partial_download_is_left_alone(kept: Options, tmp_path: Path) -> None:
    for key in ("in/a", "in/a.lifeline-partial", f"in/{'n' * 250}"):
        act(kept, key, content=key)
    act(kept, "in/", dest=str(tmp_path / "dest"), sync=True)
    act(kept, "in/a", content="new")
    assert act(kept, "in/", dest=str(tmp_path / "dest"), sync=True)["updated"] == [str(tmp_path / "dest/a")]
    assert len(list((tmp_path / "dest").iterdir())) == 3


def test_a_partial_download_that_is_not_what_it_seems_is_fetched_again(
    moto: S3Server, kept: Options, tmp_path: Path
) -> None:
    moto.client().put_object(Bucket=moto.bucket, Key=f"{kept['prefix']}/foreign", Body=b"right content")
    dest = tmp_path / "dest"
    with faulty(moto, matching("^GET .*/foreign", Fault(cut_after=250))) as url:
        refused({**kept, "endpoint_url": url, "timeout": 1}, "foreign", dest=str(dest))
    partial = next(path for path in tmp_path.iterdir() if path.suffix == "" and path.name.startswith(".lifeline"))
    partial.write_bytes(b"wrong")
    fetched = act(kept, "foreign", dest=str(dest))
    assert dest.read_bytes() == b"right content"
    assert fetched["resumed_from"] == 0


def test_a_file_that_changes_while_it_is_sent_leaves_the_object_unchanged(kept: Options, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.write_text("before")
    act(kept, "object", src=str(src))
    store = open_store(StoreOptions(**kept))
    src.write_text("second")
    returned = Progress(None, "x")

    def spoil(chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
        src.write_text("third!")
        yield from chunks

    returned.watch = spoil  # type: ignore[method-assign]
    with pytest.raises(RecoveryError, match="changed"):
        upload_file(store, "object", str(src), TransferOptions(), returned)
    assert act(kept, "object", dest=str(tmp_path / "dest"))["size"] == 6
    assert (tmp_path / "dest").read_text() == "before"


def test_a_copy_of_parts_and_new_headers_of_a_copy(kept: Options, moto: S3Server, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.write_bytes(LARGE)
    moto.client().upload_file(str(src), moto.bucket, f"{kept['prefix']}/foreign")
    assert act(kept, "copy", copy_from="foreign")["changed"] is True
    assert act(kept, "copy", copy_from="foreign")["changed"] is False
    assert act(kept, "copy", copy_from="foreign", cache_control="no-store")["changed"] is True
    assert act(kept, "copy", copy_from="foreign", cache_control="no-store")["changed"] is False
    assert info(kept, key="copy")["object"]["cache_control"] == "no-store"
    folder = tmp_path / "folder"
    make_folder(folder)
    act(kept, "site", src=str(folder), sync=True)
    assert act(kept, "site", src=str(folder), sync=True, cache_control="max-age=5")["changed"] is True
    assert act(kept, "site", src=str(folder), sync=True, cache_control="max-age=5")["changed"] is False


def test_a_delete_and_a_copy_that_were_lost_are_not_called_done(kept: Options, moto: S3Server) -> None:
    act(kept, "object", content="x")
    nothing = Fault(answer=b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    with faulty(moto, matching("^DELETE ", nothing)) as url:
        assert refused({**kept, "endpoint_url": url}, "object", state="absent")["error_kind"] == "store_failed"
    body = b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"
    copied = Fault(answer=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
    with faulty(moto, matching("^PUT ", copied)) as url:
        assert refused({**kept, "endpoint_url": url}, "second", copy_from="object")["error_kind"] == "store_failed"


@pytest.mark.parametrize("options", [{"content_type": "a\nb"}, {"metadata": {"a": "b\nc"}}])
def test_headers_of_several_lines_are_refused(kept: Options, options: Options) -> None:
    assert refused(kept, "object", content="x", **options)["error_kind"] == "invalid_options"


def test_a_range_beyond_the_end_and_a_folder_as_file_are_refused(kept: Options, tmp_path: Path) -> None:
    act(kept, "object", content="x")
    beyond = refused(kept, "object", dest=str(tmp_path / "x"), range_start=1, range_length=1)
    assert beyond["error_kind"] == "invalid_options"
    assert "a folder is in the way" in refused(kept, "object", dest=str(tmp_path))["msg"]
    assert list(tmp_path.iterdir()) == []
