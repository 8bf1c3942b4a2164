# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults found by attacking buckets, one test each: races, changed settings, odd files, wrong options."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.backup import (
    BucketBackup,
    BucketBackupRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.restore import (
    BucketRestore,
    BucketRestoreRequest,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.prune import prune
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import find_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.prune import PruneRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.recovery_points import Selection
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.retention import Policy
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import ObjectInfo
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.data.identity import make_identity
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.s3 import S3Server, moto_server

Options = dict[str, t.Any]


class Place:
    """A folder that is backed up into another."""

    def __init__(self, root: Path) -> None:
        self.files, self.store = root / "files", root / "store"
        self.files.mkdir()

    def write(self, **content: str) -> None:
        for name, text in content.items():
            (self.files / name).write_text(text)

    def back_up(self, **options: t.Any) -> Options:
        return run_module("bucket_backup", self._arguments(options))

    def restore(self, **options: t.Any) -> Options:
        check_mode = options.pop("check_mode", False)
        return run_module("bucket_restore", self._arguments(options), check_mode=check_mode)

    def verify(self, store: Options, **options: t.Any) -> Options:
        place = {"provider": "directory", "path": str(self.store), **store}
        return run_module("backup_verify", {"source": "media", "store": place, "depth": "digests", **options})

    def content(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.files.iterdir() if path.is_file()}

    def _arguments(self, options: Options) -> Options:
        store = {"provider": "directory", "path": str(self.store), **options.pop("store", {})}
        files = options.pop("files", {"provider": "directory", "path": str(self.files)})
        return {"source": "media", "files": files, "store": store, **options}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def refused(work: t.Callable[[], object]) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        work()
    assert caught.value.result["error_kind"] != "unexpected", caught.value.result
    return caught.value.result


def test_a_change_of_keys_stores_everything_for_the_new_ones(place: Place, tmp_path: Path) -> None:
    first, second = make_identity(tmp_path / "1.key"), make_identity(tmp_path / "2.key")
    place.write(a="one", b="two")
    settings: list[Options] = [
        {},
        {"encrypt_to": [first.recipient]},
        {"encrypt_to": [second.recipient], "identity_file": str(first.file)},
        {"identity_file": str(first.file)},
    ]
    readers: list[Options] = [
        {},
        {"identity_file": str(first.file)},
        {"identity_file": str(second.file)},
        {},
    ]
    taken = [place.back_up(store=store, state_dir=str(tmp_path / "state")) for store in settings]
    for made, reader in zip(taken, readers):
        shutil.rmtree(place.files)
        place.files.mkdir()
        place.restore(store=reader, set=made["set_id"])
        assert place.content() == {"a": "one", "b": "two"}


def test_an_encrypted_set_is_verified_with_and_without_its_key(place: Place, tmp_path: Path) -> None:
    owner = make_identity(tmp_path / "key")
    place.write(a="one" * 100)
    store = {"encrypt_to": [owner.recipient]}
    place.back_up(store=store)
    assert place.verify(store)["status"] == "passed"
    assert place.verify({**store, "identity_file": str(owner.file)})["status"] == "passed"
    assert place.back_up(store={**store, "identity_file": str(owner.file)})["objects_uploaded"] == 0


def test_the_undo_of_an_encrypted_set_is_encrypted_as_well(place: Place, tmp_path: Path) -> None:
    owner = make_identity(tmp_path / "key")
    place.write(a="one")
    place.back_up(store={"encrypt_to": [owner.recipient]})
    place.write(a="the secret of now")
    reader = {"identity_file": str(owner.file)}
    undo = place.restore(store=reader, mode="all", recovery_environment="sandbox")["undo"]
    stored = b"".join(path.read_bytes() for path in place.store.rglob("*") if path.is_file())
    assert b"the secret of now" not in stored
    place.restore(store=reader, recovery_environment="sandbox", **undo)
    assert place.content() == {"a": "the secret of now"}


@pytest.mark.parametrize("parallel", [0, -1])
def test_a_backup_without_workers_is_refused(place: Place, parallel: int) -> None:
    place.write(a="one")
    result = refused(lambda: place.back_up(parallel_files=parallel))
    assert (result["error_kind"], result["what"]) == (
        "invalid_options", f"`parallel_files` must be at least 1, got {parallel}."
    )  # fmt: skip
    place.back_up()
    assert refused(lambda: place.restore(parallel_files=parallel))["error_kind"] == "invalid_options"


def test_a_change_of_compression_leaves_older_sets_whole(place: Place) -> None:
    taken = []
    for compression in ("gzip", "gzip", "zstd", "none"):
        if compression == "gzip" and taken:
            (place.files / "a").unlink()
        else:
            place.write(a="text " * 1000)
        place.write(b=compression)
        taken.append(place.back_up(compression=compression)["set_id"])
    for set_id in taken:
        assert place.verify({}, set=set_id)["status"] == "passed"


class Acting(DirectoryStore):
    """A store beside which something else happens, once, before a key is put or after it was described."""

    act: t.Callable[[], object] | None = None
    when = ""

    def put(self, key: str, chunks: t.Iterable[bytes], **options: t.Any) -> ObjectInfo:
        self._happen(key)
        return super().put(key, chunks, **options)

    def _happen(self, key: str) -> None:
        if self.act is not None and self.when in key:
            act, self.act = self.act, None
            act()


def test_prune_keeps_objects_that_a_running_backup_uses_again(place: Place) -> None:
    store = Acting(str(place.store))
    request = BucketBackupRequest("media")
    origin = DirectoryStore(str(place.files))
    place.write(a="comes back")
    back_up(BucketBackup(origin, request), store)
    (place.files / "a").unlink()
    place.write(b="other")
    back_up(BucketBackup(origin, request), store)
    keep = PruneRequest(source="media", tier="daily", policy=Policy(keep_daily=1))
    prune(store, keep, utc_now())
    for path in place.store.rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_mtime - 200_000,) * 2)
    place.write(a="comes back")
    # After the backup took the old object up, and before it commits.
    store.when, store.act = "/sets/", lambda: prune(store, keep, utc_now())
    back_up(BucketBackup(origin, request), store)
    assert store.act is None
    assert place.verify({})["status"] == "passed"


def test_metadata_that_is_not_ascii_comes_back(place: Place) -> None:
    with moto_server() as server:
        client, files = server.client(), server.store_options(prefix="media")
        url = client.generate_presigned_url("put_object", Params={"Bucket": server.bucket, "Key": "media/a"})
        # As raw UTF-8, which http.client sends for text that is decoded as Latin-1.
        named = {"x-amz-meta-name": "\u00dcbung".encode().decode("latin-1"), "Content-Type": "text/plain"}
        request = urllib.request.Request(url, data=b"text", headers=named, method="PUT")
        urllib.request.build_opener().open(request).close()
        place.back_up(files=files)
        client.delete_object(Bucket=server.bucket, Key="media/a")
        place.restore(files=files)
        head = client.head_object(Bucket=server.bucket, Key="media/a")
        assert head["Metadata"]["name"] in ("\u00dcbung", "=?utf-8?b?w5xidW5n?=", "=?utf-8?q?=C3=9Cbung?=")
        assert place.restore(files=files, mode="all", recovery_environment="sandbox")["changed"] is False


def test_a_file_that_grows_while_it_is_read_makes_a_whole_set(place: Place) -> None:
    class Growing(DirectoryStore):
        def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
            with open(place.files / key, "a", encoding="utf-8") as stream:
                stream.write("more")
            return super().read(key, start=start)

    place.write(a="begin")
    back_up(BucketBackup(Growing(str(place.files)), BucketBackupRequest("media")), DirectoryStore(str(place.store)))
    assert place.verify({})["status"] == "passed"
    (place.files / "a").unlink()
    place.restore()
    assert place.content() == {"a": "beginmore"}


def test_a_file_that_goes_while_it_is_read_is_left_out(place: Place) -> None:
    class Vanishing(DirectoryStore):
        def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
            if key == "a":
                (place.files / key).unlink()
            return super().read(key, start=start)

    place.write(a="one", b="two")
    taken = back_up(
        BucketBackup(Vanishing(str(place.files)), BucketBackupRequest("media")), DirectoryStore(str(place.store))
    )
    assert taken.files == 1


def test_odd_files_are_named_or_left_out(place: Place, tmp_path: Path) -> None:
    place.write(a="one")
    (place.files / ".unfinished-report.txt").write_text("kept")
    (place.files / ".unfinished-abcd1234").write_text("of a killed writer")
    (place.files / "loop").symlink_to(".")
    (tmp_path / "outside").mkdir()
    (place.files / "way").symlink_to(tmp_path / "outside")
    assert place.back_up()["files"] == 2
    odd = os.path.join(os.fsencode(place.files), b"caf\xe9")
    with open(odd, "wb"):
        pass
    assert "is not UTF-8" in refused(place.back_up)["msg"]
    os.unlink(odd)


def test_a_restore_never_follows_a_link_out_of_its_folder(place: Place, tmp_path: Path) -> None:
    (place.files / "sub").mkdir()
    (place.files / "sub" / "a").write_text("one")
    place.back_up()
    shutil.rmtree(place.files / "sub")
    (tmp_path / "outside").mkdir()
    (place.files / "sub").symlink_to(tmp_path / "outside")
    assert "A link leads" in refused(place.restore)["msg"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_in_the_way_is_no_success(place: Place) -> None:
    place.write(a="one", b="two")
    place.back_up()
    (place.files / "a").unlink()
    (place.files / "b").unlink()
    (place.files / "b").mkdir()
    result = refused(lambda: place.restore(parallel_files=1))
    assert "a folder is in the way" in result["msg"]
    assert "1 other files were restored." in result["msg"]
    assert result["changed"] is True


def test_files_saved_after_the_undo_are_not_overwritten(place: Place) -> None:
    store, target = Acting(str(place.store)), DirectoryStore(str(place.files))
    place.write(a="good", b="good too")
    back_up(BucketBackup(target, BucketBackupRequest("media")), store)
    place.write(a="bad", b="worse")
    store.when, store.act = "undo/sets/", lambda: place.write(b="saved just now")
    request = BucketRestoreRequest(mode="all", target_name="x", safeguards=Safeguards("sandbox"))
    result = perform(BucketRestore(store, find_set(store, "media", Selection("latest")), target, request))
    assert place.content() == {"a": "good", "b": "saved just now"}
    assert (result["replaced"], result["left"]) == (1, 1)


def test_a_digest_confirms_one_plan_only(place: Place) -> None:
    place.write(a="same", b="same")
    place.back_up()
    place.write(a="diff")
    digest = place.restore(mode="all", check_mode=True)["plan_digest"]
    assert place.restore(mode="all", check_mode=True)["plan_digest"] == digest
    place.write(a="same", b="diff")
    assert refused(lambda: place.restore(mode="all", recovery_confirm=digest))["error_kind"] == "confirmation_required"
    assert place.content()["b"] == "diff"


def test_a_confirmation_of_something_else_is_refused_whatever_is_to_be_done(place: Place) -> None:
    place.write(a="one")
    place.back_up()
    (place.files / "a").unlink()
    assert refused(lambda: place.restore(recovery_confirm="another"))["error_kind"] == "confirmation_required"
    assert place.content() == {}
    place.restore(recovery_confirm=str(place.files))
    assert place.content() == {"a": "one"}


def test_a_damaged_state_is_as_none(place: Place, tmp_path: Path) -> None:
    owner, state = make_identity(tmp_path / "key"), tmp_path / "state"
    store = {"encrypt_to": [owner.recipient]}
    place.write(a="one")
    place.back_up(store=store, state_dir=str(state))
    (kept,) = state.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_bytes(kept.read_bytes()[:20])
    again = place.back_up(store=store, state_dir=str(state))
    assert (again["files_changed"], again["objects_uploaded"]) == (1, 0)
    assert "set state_dir" in again["summary"]
    assert place.back_up(store=store, state_dir=str(state))["files_changed"] == 0


def test_names_of_one_place_are_known_as_one(s3: S3Server, place: Place, tmp_path: Path) -> None:
    files = s3.store_options(prefix=tmp_path.name)
    port = s3.endpoint_url.rpartition(":")[2]
    for url in (f"http://localhost:{port}", f"http://127.0.0.1:{port}/", f"HTTP://127.0.0.1:{port}"):
        store = {**files, "endpoint_url": url, "path": None, "prefix": f"{tmp_path.name}/backups"}
        assert "among the files" in refused(lambda store=store: place.back_up(files=files, store=store))["msg"]
    nested = {"provider": "directory", "path": str(place.files / "backups")}
    assert "among the files" in refused(lambda: place.back_up(store=nested))["msg"]


def test_check_mode_writes_nothing_at_all(place: Place, tmp_path: Path) -> None:
    place.write(a="one")
    returned = tmp_path / "progress"
    arguments = {
        "source": "media",
        "files": {"provider": "directory", "path": str(place.files)},
        "store": {"provider": "directory", "path": str(place.store)},
        "progress_file": str(returned),
    }
    run_module("bucket_backup", arguments, check_mode=True)
    assert not returned.exists()
    assert not place.store.exists()


def test_leftovers_of_killed_writers_are_removed_after_a_day(place: Place) -> None:
    place.write(a="one")
    place.back_up()
    old, new = (place.store / "media/daily" / f".unfinished-{name}" for name in ("aaaaaaaa", "bbbbbbbb"))
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (old.stat().st_mtime - 90_000,) * 2)
    run_module("backup_prune", {"source": "media", "store": {"provider": "directory", "path": str(place.store)}})
    assert (old.exists(), new.exists()) == (False, True)


def test_uploads_that_killed_writers_left_are_aborted_after_a_day() -> None:
    with moto_server() as server:
        client, store = server.client(), server.store_options(prefix="backups")
        client.create_multipart_upload(Bucket=server.bucket, Key="backups/media/daily/objects/aa/aa")
        client.create_multipart_upload(Bucket=server.bucket, Key="of-others")
        from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store

        opened = open_store(StoreOptions(**store))
        opened.tidy(utc_now() - timedelta(days=400 * 365))
        assert len(client.list_multipart_uploads(Bucket=server.bucket)["Uploads"]) == 2
        opened.tidy(utc_now() + timedelta(days=400 * 365))
        (left,) = client.list_multipart_uploads(Bucket=server.bucket)["Uploads"]
        assert left["Key"] == "of-others"


@pytest.mark.parametrize(
    "options",
    [
        {"spool_dir": "/nonexistent"},
        {"progress_file": "/nonexistent/progress"},
        {"files": {"provider": "generic", "bucket": "Bad Bucket/..", "endpoint_url": "http://127.0.0.1:9"}},
        {"state_dir": "/proc/nowhere", "store": {"encrypt_to": ["KEY"]}},
    ],
)
def test_wrong_places_are_named(place: Place, options: Options, tmp_path: Path) -> None:
    place.write(a="one")
    if "store" in options:
        options = {**options, "store": {"encrypt_to": [make_identity(tmp_path / "key").recipient]}}
    assert refused(lambda: place.back_up(**options))["error_kind"] in ("invalid_options", "access_denied")
    assert not (place.store / "media/daily/sets").exists()


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("backup_prune", {"grace_seconds": 10**18}),
        ("backup_prune", {"grace_seconds": -1}),
        ("backup_prune", {"tier": "daily", "keep_within_days": float("1e300")}),
        ("backup_prune", {"audit_days": {"backup": 10**9}}),
        ("backup_prune", {"audit_days": {"backup": "soon"}}),
        ("backup_prune", {"audit_days": {"backup": -1}}),
        ("audit_info", {"limit": -1}),
        ("audit_info", {"since": "soon"}),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(place: Place, module: str, options: Options) -> None:
    place.write(a="one")
    place.back_up()
    store = {"provider": "directory", "path": str(place.store)}
    result = refused(lambda: run_module(module, {"source": "media", "store": store, **options}))
    assert result["error_kind"] == "invalid_options"


def test_a_text_for_a_number_of_days_counts_as_the_number(place: Place) -> None:
    place.write(a="one")
    place.back_up()
    store = {"provider": "directory", "path": str(place.store)}
    run_module("backup_prune", {"source": "media", "store": store, "audit_days": {"backup": "30"}})


def test_a_broken_record_of_a_verification_stops_nothing(place: Place) -> None:
    place.write(a="one")
    place.back_up()
    place.verify({})
    (record,) = (place.store / "media/daily/verified").iterdir()
    record.write_text("{")
    place.back_up()
    place.verify({})


def test_secrets_in_the_wrong_option_are_not_shown(place: Place) -> None:
    place.write(a="one")
    key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"
    for store in (
        {"encrypt_to": [key]},
        {"provider": "generic", "bucket": "b", "endpoint_url": "http://u:hidden-word@127.0.0.1:9"},
    ):
        result = refused(lambda store=store: place.back_up(store=store))
        assert key not in json.dumps(result)
        assert "hidden-word" not in json.dumps(result)


def test_objects_without_any_set_in_the_listing_are_not_swept(place: Place) -> None:
    class Hiding(DirectoryStore):
        def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
            return (item for item in super().list(prefix) if "/sets/" not in item.key)

    place.write(a="one")
    place.back_up()
    result = prune(Hiding(str(place.store)), PruneRequest(source="media", grace=0), utc_now() + timedelta(days=3))
    assert result.objects_removed == 0
    place.verify({})


def test_a_replaced_file_whose_put_was_lost_is_not_called_replaced(place: Place) -> None:
    class Losing(DirectoryStore):
        def put(self, key: str, chunks: t.Iterable[bytes], **_options: t.Any) -> ObjectInfo:
            size = sum(map(len, chunks))
            info = self.head(key)
            assert info is not None
            return replace(info, size=size)

    place.write(a="good")
    place.back_up()
    place.write(a="evil")
    store = DirectoryStore(str(place.store))
    request = BucketRestoreRequest(mode="all", target_name="x", undo=False, safeguards=Safeguards("sandbox"))
    with pytest.raises(RecoveryError, match="shows other bytes"):
        perform(BucketRestore(store, find_set(store, "media", Selection("latest")), Losing(str(place.files)), request))


def test_a_file_that_another_client_saves_before_the_write_is_not_replaced(place: Place) -> None:
    place.write(a="good", b="fine")
    place.back_up()
    place.write(a="evil", b="bad")
    target = Acting(str(place.files))
    target.when, target.act = "a", lambda: place.write(a="saved by a user")
    store = DirectoryStore(str(place.store))
    request = BucketRestoreRequest(
        mode="all", target_name="x", undo=False, parallel=1, safeguards=Safeguards("sandbox")
    )
    result = perform(BucketRestore(store, find_set(store, "media", Selection("latest")), target, request))
    assert (result["replaced"], result["left"]) == (1, 1)
    assert place.content() == {"a": "saved by a user", "b": "fine"}


def test_a_chosen_file_that_came_back_is_left_unless_it_may_be_replaced(place: Place) -> None:
    class Chosen(dict[str, bool]):
        def may_replace(self, key: str) -> bool:
            return self[key]

    place.write(a="good", b="good", c="good", d="good")
    place.back_up()
    place.write(a="newer", b="newer", d="newer")
    (place.files / "c").unlink()
    store, target = DirectoryStore(str(place.store)), DirectoryStore(str(place.files))
    chosen = Chosen(a=False, b=True, c=False)
    request = BucketRestoreRequest(chosen=chosen, target_name="x", undo=False, safeguards=Safeguards("sandbox"))
    result = perform(BucketRestore(store, find_set(store, "media", Selection("latest")), target, request))
    assert (result["restored"], result["replaced"], result["left"]) == (1, 1, 1)
    assert place.content() == {"a": "newer", "b": "good", "c": "good", "d": "newer"}
