# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract of every store, against each store and each server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import PART_SIZE, ObjectStore, read_all
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import StoreOptions, open_store
from tests.support.fakes.faults import Fault, every, faulty, first, refusal
from tests.support.servers.s3 import S3Server, moto_server, rclone_server

OTHER_USER = pwd.getpwuid(65534)


@pytest.fixture(scope="module")
def servers() -> t.Iterator[dict[str, S3Server]]:
    with rclone_server() as rclone, rclone_server(etags=False) as bare, moto_server() as moto:
        yield {"rclone": rclone, "rclone without ETags": bare, "moto": moto}


#: The last is a server that is too busy for every fifth request.
@pytest.fixture(params=["directory", "rclone", "rclone without ETags", "moto", "busy"])
def store(request: pytest.FixtureRequest, servers: dict[str, S3Server], tmp_path: Path) -> t.Iterator[ObjectStore]:
    with contextlib.ExitStack() as stack:
        if request.param == "directory":
            options = {"provider": "directory", "path": str(tmp_path / "store")}
        else:
            server = servers["moto" if request.param == "busy" else request.param]
            options = server.store_options(prefix=secrets.token_hex(4))
        if request.param == "busy":
            options["endpoint_url"] = stack.enter_context(faulty(server, every(5, refusal(503, "SlowDown"))))
        opened = open_store(StoreOptions(**options))
        stack.callback(opened.close)
        yield opened


def data_of(size: int) -> bytes:
    return (hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1))[:size]


def in_chunks(data: bytes, size: int = 1000_003) -> t.Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [0, 1, 100_000, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 3 * PART_SIZE + 7])
def test_stored_bytes_are_read_back(store: ObjectStore, size: int) -> None:
    data = data_of(size)
    put = store.put("a/b/object", in_chunks(data))
    head = store.head("a/b/object")
    assert head is not None
    assert (put.size, head.size) == (size, size)
    assert put.etag is None or head.etag in (None, put.etag)
    assert b"".join(store.read("a/b/object")) == data


def test_reading_begins_at_the_offset(store: ObjectStore) -> None:
    data = data_of(3_000_000)
    store.put("object", [data])
    assert b"".join(store.read("object", start=2_999_990)) == data[2_999_990:]
    assert b"".join(store.read("object", start=3_000_000)) == b""


def test_many_threads_put_in_parallel(store: ObjectStore) -> None:
    def put(number: int) -> None:
        store.put(f"many/{number}", in_chunks(data_of(5_000_000 * (number % 4 + 1) + number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(12)))
    for number in range(12):
        expected = data_of(5_000_000 * (number % 4 + 1) + number)
        assert hashlib.sha256(b"".join(store.read(f"many/{number}"))).digest() == hashlib.sha256(expected).digest()


@pytest.mark.parametrize("before", [10, PART_SIZE * 2 + 5])
def test_a_source_that_fails_leaves_nothing(store: ObjectStore, servers: dict[str, S3Server], before: int) -> None:
    def failing() -> t.Iterator[bytes]:
        yield from in_chunks(data_of(before))
        raise RuntimeError("the dump died")

    with pytest.raises(RuntimeError, match="the dump died"):
        store.put("x/failed", failing())
    assert store.head("x/failed") is None
    assert list(store.list("x/")) == []
    moto = servers["moto"]
    assert "Uploads" not in moto.client().list_multipart_uploads(Bucket=moto.bucket)


def test_put_replaces_and_if_absent_does_not(store: ObjectStore) -> None:
    store.put("key", [b"one"])
    store.put("key", [b"two"])
    with pytest.raises(RecoveryError) as caught:
        store.put("key", [b"three"], if_absent=True)
    assert caught.value.kind == ErrorKind.ALREADY_EXISTS
    assert read_all(store, "key") == b"two"
    store.put("other", [b"new"], if_absent=True)
    assert read_all(store, "other") == b"new"


@pytest.mark.parametrize("size", [3, PART_SIZE + 3])
def test_put_replaces_only_the_version_that_was_read(store: ObjectStore, size: int) -> None:
    # A store without ETags distinguishes versions of one second by their size only.
    store.put("key", [b"a" * size])
    seen = store.head("key")
    store.put("key", [b"b" * (size + 1)], replaces=seen)
    with pytest.raises(RecoveryError, match="was changed or deleted after it was read") as caught:
        store.put("key", [b"c" * size], replaces=seen)
    assert caught.value.kind == ErrorKind.CONFLICT
    assert next(store.read("key"))[:1] == b"b"
    seen = store.head("key")
    store.delete(["key"])
    with pytest.raises(RecoveryError) as caught:
        store.put("key", [b"d" * size], replaces=seen)
    assert (caught.value.kind, store.head("key")) == (ErrorKind.CONFLICT, None)


def test_one_of_many_that_replace_a_version_succeeds(servers: dict[str, S3Server], tmp_path: Path) -> None:
    store = open_store(StoreOptions(**servers["moto"].store_options(prefix=secrets.token_hex(4))))
    store.put("name", [b"before"])
    seen = store.head("name")

    def put(number: int) -> str:
        try:
            store.put("name", [str(number).encode()], replaces=seen)
        except RecoveryError as error:
            return error.kind
        return "replaced"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(put, range(8)))
    assert sorted(answers) == [ErrorKind.CONFLICT] * 7 + ["replaced"]


def test_listing_is_in_key_order_by_prefix(store: ObjectStore) -> None:
    keys = ["a/1", "a/2", "a-b/1", "a.json", "b/c/d", "b/c.json", "z"]
    for key in reversed(keys):
        store.put(key, [key.encode()])
    assert [item.key for item in store.list()] == sorted(keys)
    assert [item.key for item in store.list("a/")] == ["a/1", "a/2"]
    assert [item.key for item in store.list("a")] == ["a-b/1", "a.json", "a/1", "a/2"]
    assert [item.size for item in store.list("b/c/d")] == [5]
    assert list(store.list("nothing/")) == []


def test_listing_passes_a_thousand(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"many/{number:05d}", [b"x"]), range(1005)))
    assert [item.key for item in store.list("many/")] == [f"many/{number:05d}" for number in range(1005)]


def test_missing_object_is_reported(store: ObjectStore) -> None:
    assert store.head("missing") is None
    with pytest.raises(RecoveryError) as caught:
        list(store.read("missing"))
    assert caught.value.kind == ErrorKind.OBJECT_MISSING
    store.put("there", [b"x"])
    store.delete(["missing", "there"])
    assert store.head("there") is None


def test_wrong_credentials_are_named_and_never_shown(servers: dict[str, S3Server]) -> None:
    options = servers["rclone"].store_options(secret_key="a-wrong-secret-key-0123456789")
    store = open_store(StoreOptions(**options))
    with pytest.raises(RecoveryError) as caught:
        store.put("key", [b"x"])
    assert caught.value.kind == ErrorKind.ACCESS_DENIED
    assert "a-wrong-secret" not in str(caught.value) + repr(StoreOptions(**options)) + repr(vars(store))


def test_a_store_that_does_not_answer_is_unreachable() -> None:
    store = open_store(
        StoreOptions(provider="minio", bucket="b", endpoint_url="http://127.0.0.1:9", access_key="a", secret_key="b")
    )
    with pytest.raises(RecoveryError) as caught:
        store.head("key")
    assert caught.value.kind == ErrorKind.UNREACHABLE


@pytest.mark.parametrize(
    "options",
    [
        {"provider": "directory"},
        {"provider": "aws"},
        {"provider": "r2", "bucket": "b"},
        {"bucket": "b", "parallel": 0},
        {"bucket": "b", "access_key": "only-half-of-a-pair"},
        {"bucket": "b", "region": "no region"},
        {"provider": "minio", "bucket": "b", "endpoint_url": "localhost:9000"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, t.Any]) -> None:
    with pytest.raises(RecoveryError) as caught:
        open_store(StoreOptions(**options))
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS


@pytest.mark.parametrize("key", ["../escape", "/absolute", "a//b", "a/../../b", ""])
def test_a_directory_store_keeps_to_its_folder(tmp_path: Path, key: str) -> None:
    store = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    with pytest.raises(RecoveryError):
        store.put(key, [b"x"])


@contextlib.contextmanager
def running_as(user: int) -> t.Iterator[None]:
    """This process as another user, with the way back to root."""
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("folder", ["store", "store/app", "store/app/daily/objects", ""])
def test_a_folder_of_another_user_is_named_with_the_command_that_mends_it(folder: str) -> None:
    """The folder belongs to root: the store itself, one below, one that an earlier run left, or only the parent."""
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        os.chmod(top, 0o755)
        root = Path(top, "store")
        made = Path(top, folder or "elsewhere")
        made.mkdir(parents=True)
        for path in made.parents:
            if path.is_relative_to(root):
                os.chown(path, OTHER_USER.pw_uid, -1)
        with running_as(OTHER_USER.pw_uid), pytest.raises(RecoveryError) as refused:
            DirectoryStore(str(root)).require_writable("app/daily/")
    assert refused.value.kind == ErrorKind.ACCESS_DENIED
    expected = (
        f"chown -R {OTHER_USER.pw_name} {root}" if folder else f"install -d -o {OTHER_USER.pw_name} -m 750 {root}"
    )
    assert refused.value.next_step.endswith(expected)


def test_a_directory_store_is_private(tmp_path: Path) -> None:
    store = open_store(StoreOptions(provider="directory", path=str(tmp_path / "store")))
    store.put("a/b", [b"x"])
    assert os.stat(tmp_path / "store" / "a").st_mode & 0o077 == 0
    assert os.stat(tmp_path / "store" / "a" / "b").st_mode & 0o077 == 0


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    script = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import *
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))
store = open_store(StoreOptions(provider="directory", path={str(tmp_path)!r}))
try:
    store.put("big", [b"x" * 4000000])
except RecoveryError as error:
    print(error.kind, len(list(store.list())))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["store_full", "0"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture(params=["rclone", "rclone without ETags", "moto"])
def server(request: pytest.FixtureRequest, servers: dict[str, S3Server]) -> S3Server:
    return servers[request.param]


def store_behind(url: str, server: S3Server, prefix: str) -> ObjectStore:
    return open_store(StoreOptions(**{**server.store_options(prefix=prefix), "endpoint_url": url}))


def test_interrupted_read_resumes_at_its_offset(server: S3Server, request: pytest.FixtureRequest) -> None:
    prefix, data = secrets.token_hex(4), os.urandom(8_000_000)
    open_store(StoreOptions(**server.store_options(prefix=prefix))).put("object", [data])
    if "without" in request.node.name:
        # An object without an ETag is continued once its last write lies so far back that another would show.
        time.sleep(2.1)
    with faulty(server, first(3, "^GET ", Fault(cut_after=2_000_000))) as url:
        assert b"".join(store_behind(url, server, prefix).read("object")) == data


@pytest.mark.parametrize("size", [8_000_000, 10])
def test_an_object_replaced_during_a_read_is_never_mixed(server: S3Server, size: int) -> None:
    prefix = secrets.token_hex(4)
    direct = open_store(StoreOptions(**server.store_options(prefix=prefix)))
    direct.put("object", [os.urandom(8_000_000)])
    cut = first(1, "^GET ", Fault(cut_after=5_000_000))

    def cut_then_replace(line: str) -> Fault | None:
        fault = cut(line)
        if fault is None:
            direct.put("object", [bytes(size)])
        return fault

    with faulty(server, cut_then_replace) as url, pytest.raises(RecoveryError) as caught:
        list(store_behind(url, server, prefix).read("object"))
    assert caught.value.kind == ErrorKind.STORE_FAILED
    assert "replaced" in caught.value.what


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_store_is_asked_again(server: S3Server, status: int) -> None:
    with faulty(server, first(1, "^PUT ", refusal(status, "Busy"))) as url:
        store = store_behind(url, server, secrets.token_hex(4))
        store.put("object", [b"whole"])
        assert read_all(store, "object") == b"whole"


def test_a_lost_answer_is_not_an_object_of_another(server: S3Server) -> None:
    with faulty(server, first(1, "^PUT ", Fault(lost=True))) as url:
        store = store_behind(url, server, secrets.token_hex(4))
        assert store.put("object", [b"mine"], if_absent=True).size == 4
    with faulty(server, lambda line: None) as url, pytest.raises(RecoveryError) as caught:
        store_behind(url, server, store.location.rpartition("/")[2]).put("object", [b"mine"], if_absent=True)
    assert caught.value.kind == ErrorKind.ALREADY_EXISTS


def test_one_of_many_that_want_a_name_gets_it(servers: dict[str, S3Server], tmp_path: Path) -> None:
    def put(store: ObjectStore, number: int) -> str:
        try:
            store.put("name", [str(number).encode()], if_absent=True)
        except RecoveryError as error:
            return error.kind
        return "got it"

    for options in (
        {"provider": "directory", "path": str(tmp_path)},
        servers["moto"].store_options(prefix=secrets.token_hex(4)),
    ):
        store = open_store(StoreOptions(**options))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number, store=store: put(store, number), range(8)))
        assert sorted(answers) == [ErrorKind.ALREADY_EXISTS] * 7 + ["got it"]


def test_a_put_that_failed_takes_nothing_from_the_next(servers: dict[str, S3Server]) -> None:
    options = servers["rclone"].store_options(prefix=secrets.token_hex(4), parallel=1)
    denied = open_store(StoreOptions(**{**options, "secret_key": "a-wrong-secret-key"}))

    def put(if_absent: bool) -> None:
        with contextlib.suppress(RecoveryError):
            denied.put("object", in_chunks(bytes(PART_SIZE + 1)), if_absent=if_absent)

    for if_absent in (True, False) * 3:
        attempt = threading.Thread(target=put, args=(if_absent,), daemon=True)
        attempt.start()
        attempt.join(30)
        assert not attempt.is_alive()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "the spool is full")])
def test_a_failure_of_the_source_keeps_its_name(store: ObjectStore, failure: BaseException) -> None:
    def failing() -> t.Iterator[bytes]:
        yield from in_chunks(data_of(PART_SIZE + 5))
        raise failure

    with pytest.raises(type(failure)) as caught:
        store.put("failed", failing())
    assert caught.value is failure
    assert list(store.list()) == []


def test_a_folder_is_no_object(tmp_path: Path) -> None:
    store = open_store(StoreOptions(provider="directory", path=str(tmp_path)))
    store.put("a/b", [b"x"])
    assert store.head("a") is None
    assert list(store.list("a/b/")) == []
    store.delete(["a", "a/b/c"])
    for key in ("a", "a/b/c"):
        with pytest.raises(RecoveryError) as caught:
            list(store.read(key))
        assert caught.value.kind == ErrorKind.OBJECT_MISSING
    assert read_all(store, "a/b") == b"x"


def test_parts_are_equal_but_for_the_last(servers: dict[str, S3Server]) -> None:
    server = servers["moto"]
    store = open_store(StoreOptions(**server.store_options(prefix="parts")))
    store.put("object", in_chunks(data_of(2 * PART_SIZE + 100), 777_777))
    sizes = [
        server.client().head_object(Bucket=server.bucket, Key="parts/object", PartNumber=number)["ContentLength"]
        for number in (1, 2, 3)
    ]
    assert sizes == [PART_SIZE, PART_SIZE, 100]


def test_memory_is_bounded_by_the_parts_in_flight(servers: dict[str, S3Server]) -> None:
    options = servers["rclone"].store_options(prefix="memory", parallel=2)
    script = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from concurrent.futures import ThreadPoolExecutor
from ansible_collections.lifeline.recovery.plugins.module_utils._store.open import *
store = open_store(StoreOptions(**{options!r}))
store.put("warm", [b"x"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chunk = bytes(1024 * 1024)
with ThreadPoolExecutor(10) as pool:
    list(pool.map(lambda n: store.put(str(n), (chunk + b"x" for _ in range(40))), range(10)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # 400 MiB flow through 2 buffers of 16 MiB; the allocator keeps some that were cut off, threads need the rest.
    assert int(done.stdout) < 180
