# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract of backup and restore for every kind of source, against real servers."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.sealing import Sealing
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.verifiers import VERIFIERS
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.backup import back_up
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.verify import verify_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import (
    AuditQuery,
    AuditRecord,
    read_audit,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import list_sets, load_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.engine import BackupResult
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest_shape import (
    BUCKET_ENGINE,
    DATABASE_ENGINE,
    ENGINES,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.verification import DEPTHS, verifications
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.verifier import VerifyRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.base import ObjectInfo
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support import json_values
from tests.support.data.identity import make_identity
from tests.support.runner.modules import ModuleFailed
from tests.support.servers.d1 import D1Server, d1_server
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server, rclone_server
from tests.support.sets import NOW, no_facts
from tests.support.sources import LARGE, BucketSource, D1Source, FileSource, Options, PostgresSource, Source

KINDS = ("postgresql", "sqlite", "d1", "bucket", "json_values")
IDENTIFIED = ("postgresql", "d1")


@pytest.fixture(scope="module")
def s3() -> t.Iterator[S3Server]:
    with rclone_server() as server:
        yield server


@pytest.fixture(scope="module")
def d1() -> t.Iterator[D1Server]:
    with d1_server() as server:
        yield server


@pytest.fixture
def source(
    request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[Source]:
    """A source of the kind that the test names."""
    monkeypatch.setitem(ENGINES, json_values.KIND, json_values.REGISTERED)
    monkeypatch.setitem(VERIFIERS, json_values.KIND, json_values.ValuesVerifier())
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            yield PostgresSource(postgres, stack)
        elif request.param == "d1":
            yield D1Source(request.getfixturevalue("d1"))
        elif request.param == "bucket":
            yield BucketSource(request.getfixturevalue("s3"))
        else:
            yield FileSource(tmp_path) if request.param == "sqlite" else json_values.ValuesSource(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(str(tmp_path / "store"))


every_kind = pytest.mark.parametrize("source", KINDS, indirect=True)


def options(store: DirectoryStore) -> Options:
    """The option store of the modules."""
    return {"provider": "directory", "path": store.location}


def taken(source: Source, store: DirectoryStore, **request: t.Any) -> BackupResult:
    return back_up(source.engine(source="app", **request), store)


def refusal(work: t.Callable[[], object]) -> Mapping[str, t.Any]:
    """How a backup or a restore failed, as a module reports it."""
    with pytest.raises((RecoveryError, ModuleFailed)) as caught:
        work()
    if isinstance(caught.value, ModuleFailed):
        return caught.value.result
    return {"error_kind": caught.value.kind, "left": caught.value.left}


def audited(store: DirectoryStore) -> AuditRecord:
    """The newest audit record of a backup."""
    return read_audit(store, "app", AuditQuery(operation="backup")).records[0]


def files(folder: str) -> set[Path]:
    return {path for path in Path(folder).rglob("*") if path.is_file()}


def large_object(store: DirectoryStore) -> Path:
    """The file in the store that holds the content which lose destroys."""
    return max(
        (path for path in files(store.location) if "/objects/" in str(path)), key=lambda path: path.stat().st_size
    )


@every_kind
def test_restore_brings_back_what_was_lost_and_undo_takes_the_restore_back(
    source: Source, store: DirectoryStore
) -> None:
    before = source.content()
    done = taken(source, store)
    source.lose()
    lost = source.content()
    assert lost != before
    restored = source.restore(options(store), done.set_id)
    assert source.content() == before
    source.undo(options(store), restored)
    assert source.content() == lost


@every_kind
def test_a_second_backup_reuses_what_is_unchanged(source: Source, store: DirectoryStore, tmp_path: Path) -> None:
    first = taken(source, store, progress_file=str(tmp_path / "progress"))
    assert (tmp_path / "progress").read_text().startswith("app: ")
    assert first.timings.keys() >= {"preflight", "commit", "total"}
    source.change()
    second = taken(source, store)
    assert first.bytes_uploaded > LARGE > 10 * second.bytes_uploaded
    assert second.bytes_plain >= first.bytes_plain
    before = source.content()
    source.lose()
    source.restore(options(store), second.set_id)
    assert source.content() == before


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@every_kind
def test_restore_refuses_a_damaged_set_and_leaves_the_target_unchanged(source: Source, store: DirectoryStore) -> None:
    done = taken(source, store)
    damage(large_object(store))
    source.lose()
    lost = source.content()
    assert refusal(lambda: source.restore(options(store), done.set_id))["error_kind"] == "damaged"
    left = source.content()
    if isinstance(source, BucketSource):
        # The other files of a bucket are restored.
        assert t.cast("Options", left).keys() == t.cast("Options", lost).keys()
    else:
        assert left == lost


@every_kind
def test_verify_finds_damage_and_the_next_backup_repairs_it(source: Source, store: DirectoryStore) -> None:
    before = source.content()
    taken(source, store)
    damage(large_object(store))
    request = VerifyRequest(depth="digests", record=True)
    with pytest.raises(RecoveryError) as caught:
        verify_set(store, load_set(store, list_sets(store)[0]), request)
    assert caught.value.kind == ErrorKind.DAMAGED
    assert [Path(store.location) / key for key in caught.value.details["damaged"]] == [large_object(store)]
    newer = taken(source, store)
    assert newer.bytes_uploaded >= LARGE
    verify_set(store, load_set(store, list_sets(store)[-1]), request)
    source.lose()
    source.restore(options(store), newer.set_id)
    assert source.content() == before


@every_kind
@pytest.mark.parametrize("encrypted", [False, True])
def test_verify_proves_each_depth_and_records_no_depth_that_it_did_not_reach(
    source: Source, store: DirectoryStore, postgres: PostgresServer, tmp_path: Path, encrypted: bool
) -> None:
    owner = make_identity(tmp_path / "key")
    if encrypted:
        store.sealing = Sealing(recipients=(owner.recipient,), identity_file=str(owner.file))
    taken(source, store)
    (name,) = list_sets(store)

    def verify(depth: str) -> str:
        manifest = load_set(store, name)
        request = VerifyRequest(depth=depth, client_bin_dir=str(postgres.bin_dir))
        with contextlib.suppress(FileNotFoundError):
            os.remove(recorded)
        verified = verify_set(store, manifest, request)
        assert verified.objects >= len(manifest.objects)
        assert (verified.bytes_read > LARGE) == (depth != "presence")
        assert verifications(store, "app", "daily")[name.set_id].depth == verified.depth
        return verified.depth

    recorded = Path(store.location, f"app/daily/verified/{name.set_id}.json")
    assert [verify(depth) for depth in DEPTHS] == list(DEPTHS)
    if encrypted:
        store.sealing = Sealing(recipients=(owner.recipient,))
        assert [verify(depth) for depth in DEPTHS[:2]] == list(DEPTHS[:2])
        try:
            assert verify("decode") == "digests"
        except RecoveryError as error:
            assert error.kind == ErrorKind.NO_IDENTITY
    lost = large_object(store)
    damage(lost)
    for depth in DEPTHS[1:]:
        with pytest.raises(RecoveryError) as caught:
            verify(depth)
        assert caught.value.kind in (ErrorKind.DAMAGED, ErrorKind.NO_IDENTITY)
    lost.unlink()
    for depth in DEPTHS:
        with pytest.raises(RecoveryError) as caught:
            verify(depth)
        assert caught.value.kind == ErrorKind.OBJECT_MISSING


@every_kind
def test_check_mode_tests_refusals_and_writes_nothing(source: Source, store: DirectoryStore, tmp_path: Path) -> None:
    before, there = source.content(), files(str(tmp_path))
    foreseen = taken(source, store, check_mode=True, progress_file=str(tmp_path / "progress"))
    assert foreseen.changed
    assert foreseen.summary.startswith("Would ")
    assert (foreseen.bytes_uploaded, source.content(), files(str(tmp_path))) == (0, before, there)
    with set_of_another_kind(source, store):
        there = files(str(tmp_path))
        assert refusal(lambda: taken(source, store, check_mode=True))["error_kind"] == "invalid_options"
        assert files(str(tmp_path)) == there


@every_kind
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_store_that_cannot_be_written_is_refused_before_the_source_is_read(
    source: Source, store: DirectoryStore, check_mode: bool
) -> None:
    in_the_way = Path(store.location, "app/daily")
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file")
    phases: list[str] = []
    request = {"check_mode": check_mode, "listener": lambda phase, *_moment: phases.append(phase)}
    assert refusal(lambda: taken(source, store, **request))["error_kind"] == "store_failed"
    assert set(phases) == {"preflight"}


def test_check_mode_refuses_a_copy_that_cannot_be_written(store: DirectoryStore, tmp_path: Path) -> None:
    source = FileSource(tmp_path)
    (tmp_path / "copy").write_text("a file")
    store.copies = [DirectoryStore(str(tmp_path / "copy"))]
    assert refusal(lambda: taken(source, store, check_mode=True))["error_kind"] == "store_failed"


@every_kind
def test_success_and_failure_leave_an_audit_record(source: Source, store: DirectoryStore, tmp_path: Path) -> None:
    done = taken(source, store)
    record = audited(store)
    assert (record.status, record.details["set_id"], record.details["tier"]) == ("succeeded", done.set_id, "daily")
    assert refusal(lambda: taken(source, store, spool_dir=str(tmp_path / "missing")))["error_kind"] == "invalid_options"
    record = audited(store)
    assert (record.status, record.details["error_kind"]) == ("failed", "invalid_options")
    assert len(list_sets(store)) == 1


@contextlib.contextmanager
def set_of_another_kind(source: Source, store: DirectoryStore) -> t.Iterator[None]:
    other = DATABASE_ENGINE if isinstance(source, BucketSource) else BUCKET_ENGINE
    with SetWriter(store, "app", "daily", codec="none", parallel=1) as writer:
        facts = no_facts(NOW)
        manifest = writer.commit(type(facts)(**{**vars(facts), "engine": other}), {})
    yield
    store.delete([f"app/daily/sets/{manifest.set_id}.json"])


@every_kind
def test_a_source_keeps_its_kind(source: Source, store: DirectoryStore) -> None:
    with set_of_another_kind(source, store):
        # Also in another tier, which has no sets.
        engine = source.engine(source="app", tier="weekly")
        other = load_set(store, list_sets(store)[0]).engine
        expected = f"has sets of {ENGINES[other].holds}, and this is a backup of {ENGINES[engine.kind].holds}"
        with pytest.raises(RecoveryError, match=expected):
            back_up(engine, store)
        assert len(list_sets(store)) == 1
    taken(source, store, tier="weekly")


@pytest.mark.parametrize("source", IDENTIFIED, indirect=True)
def test_another_database_is_refused_until_the_operator_accepts_it(source: Source, store: DirectoryStore) -> None:
    taken(source, store)
    other = source.another()
    with pytest.raises(RecoveryError) as caught:
        taken(other, store, tier="hourly")
    assert caught.value.kind == ErrorKind.IDENTITY_CHANGED
    assert audited(store).details["error_kind"] == "identity_changed"
    details = caught.value.details
    # The former identity, or a part of the identity, accepts nothing.
    for wrong in (details["known_identity"], details["identity"].partition("/")[2], "1/app"):
        assert (
            refusal(lambda wrong=wrong: taken(other, store, accept_identity=wrong))["error_kind"] == "identity_changed"
        )
    assert [name.tier for name in list_sets(store)] == ["daily"]
    taken(other, store, tier="hourly", accept_identity=details["identity"])
    changed = {"from": details["known_identity"], "to": details["identity"]}
    assert audited(store).details["identity_changed"] == changed
    assert refusal(lambda: taken(source, store))["error_kind"] == "identity_changed"


class Interrupted(DirectoryStore):
    """A store beside which something happens once, before an object is stored."""

    act: t.Callable[[], object] | None = None

    def put(self, key: str, chunks: t.Iterable[bytes], **options: t.Any) -> ObjectInfo:
        act, self.act = (self.act, None) if "/objects/" in key else (None, self.act)
        if act is not None:
            act()
        return super().put(key, chunks, **options)


@every_kind
@pytest.mark.parametrize("encrypted", [False, True])
def test_sets_of_two_backups_at_the_same_time_are_both_complete(
    source: Source, store: DirectoryStore, tmp_path: Path, encrypted: bool
) -> None:
    first = Interrupted(store.location)
    if encrypted:
        owner = make_identity(tmp_path / "key")
        first.sealing = store.sealing = Sealing(recipients=(owner.recipient,), identity_file=str(owner.file))
    results: list[object] = []

    def second() -> None:
        try:
            results.append(taken(source, store))
        except RecoveryError as error:
            # PostgreSQL locks the source against a second backup.
            assert error.kind == ErrorKind.BACKUP_RUNNING
            results.append(None)

    first.act = second
    taken(source, first)
    assert len(results) == 1
    sets = list_sets(store)
    assert len(sets) == 1 + (results[0] is not None)
    for name in sets:
        verify_set(store, load_set(store, name), VerifyRequest(depth="digests"))


def killed_at(source: Source, store: DirectoryStore, spool: Path, number: int) -> bool:
    """Whether a backup in a process of its own reached the event of that number, where it was killed."""
    child = os.fork()
    if child == 0:
        # A process group of its own, because the programs of a killed backup are ended by their group.
        os.setsid()
        left = [number]

        def listener(_phase: str, _event: str) -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        try:
            taken(source, store, spool_dir=str(spool), listener=listener)
            os._exit(0)
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the backup failed"
    return os.WIFSIGNALED(status)


@every_kind
def test_a_backup_killed_in_any_phase_leaves_no_set_and_the_next_backup_works(
    source: Source, store: DirectoryStore, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    events: list[tuple[str, str]] = []
    taken(source, store, spool_dir=str(spool), listener=lambda phase, event: events.append((phase, event)))
    assert events[-1] == ("commit", "ok")
    for number in range(len(events) - 1):
        source.change()
        assert killed_at(source, store, spool, number), events[number]
        assert len(list_sets(store)) == 1, events[number]
        require_quiet(source, store, spool)
    before = source.content()
    newest = taken(source, store, spool_dir=str(spool))
    source.lose()
    source.restore(options(store), newest.set_id)
    assert source.content() == before


def require_quiet(source: Source, store: DirectoryStore, spool: Path) -> None:
    """A killed backup leaves no file in the spool folder, and does not block the next backup for long."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(RecoveryError):
            taken(source, store, check_mode=True)
            if not any(spool.iterdir()):
                return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {list(spool.iterdir())}")
