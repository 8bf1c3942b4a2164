# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores that lie, refuse, lag or fill up: nothing that was there is lost, and nothing is called good that is not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.fakes.faults import (
    ACCEPTED_AND_LOST,
    Fault,
    Rule,
    clock_wrong_by,
    faulty,
    first,
    for_seconds,
    hiding,
    matching,
    refusal,
    remembered,
)
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

Options = dict[str, t.Any]

LISTING = "list-type=2"


class Source:
    """Something that is backed up, and can be changed between two backups."""

    def __init__(self, module: str, arguments: Options, change: t.Callable[[int], None]) -> None:
        self._module, self._arguments = module, arguments
        self.change = change
        change(0)

    def back_up(self, store: Options) -> Options:
        return run_module(self._module, {"source": "school", "store": store, **self._arguments})


@pytest.fixture(params=["pg_backup", "bucket_backup"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "pg_backup":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        database: str = request.getfixturevalue("database")
        postgres.psql(database, "CREATE TABLE kept (x text); INSERT INTO kept VALUES ('a'); CREATE TABLE t (x int)")

        def insert(number: int) -> None:
            postgres.psql(database, f"INSERT INTO t VALUES ({number})")

        return Source("pg_backup", postgres.module_options(database), insert)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "kept").write_text("a")

    def write(number: int) -> None:
        (folder / f"file-{number}").write_text(str(number))

    return Source("bucket_backup", {"files": {"provider": "directory", "path": str(folder)}}, write)


@contextlib.contextmanager
def behind(server: S3Server, store: Options, rule: Rule) -> t.Iterator[Options]:
    """The same store, with the fault between."""
    with faulty(server, rule) as url:
        yield {**store, "endpoint_url": url}


def verified(store: Options) -> list[str]:
    """The sets of the catalogue, each proved by reading all of it."""
    sets = [item["set_id"] for item in run_module("backup_info", {"source": "school", "store": store})["sets"]]
    for set_id in sets:
        run_module("backup_verify", {"source": "school", "store": store, "set": set_id, "depth": "digests"})
    return sets


def refused(work: t.Callable[[], object]) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        work()
    assert "Traceback" not in caught.value.result["msg"]
    return caught.value.result


@pytest.mark.parametrize("lost", ["/objects/", "/sets/"])
def test_a_put_that_is_accepted_and_lost_makes_no_set(s3: S3Server, store: Options, source: Source, lost: str) -> None:
    before = source.back_up(store)["set_id"]
    source.change(1)
    with behind(s3, store, first(1, f"^PUT .*{lost}", ACCEPTED_AND_LOST)) as lying:
        assert refused(lambda: source.back_up(lying))["error_kind"] == "store_failed"
    assert verified(store) == [before]
    source.back_up(store)
    assert len(verified(store)) == 2


@pytest.mark.parametrize(
    "rule",
    [
        matching("^GET .*/objects/", Fault(cut_after=500)),
        matching("^GET .*/objects/", Fault(rewrite=lambda answer: answer[:-3] + b"xyz")),
    ],
    ids=["truncated", "other bytes"],
)
def test_a_body_that_is_not_the_object_is_never_good(s3: S3Server, store: Options, source: Source, rule: Rule) -> None:
    source.back_up(store)
    with behind(s3, {**store, "timeout": 2}, rule) as lying:
        verify = {"source": "school", "store": lying, "depth": "digests"}
        result = refused(lambda: run_module("backup_verify", verify))
    assert result["error_kind"] in ("damaged", "unreachable", "store_failed")
    assert len(verified(store)) == 1


def test_a_store_that_is_busy_for_a_while_is_waited_for(s3: S3Server, store: Options, source: Source) -> None:
    with behind(s3, {**store, "timeout": 8}, for_seconds(6, refusal(503, "SlowDown"))) as busy:
        source.back_up(busy)
    assert len(verified(store)) == 1


def test_a_store_that_stays_busy_is_named_and_nothing_is_written(s3: S3Server, store: Options, source: Source) -> None:
    source.back_up(store)
    rule = matching("^PUT .*/objects/", refusal(503, "SlowDown"))
    source.change(1)
    with behind(s3, {**store, "timeout": 1}, rule) as busy:
        result = refused(lambda: source.back_up(busy))
    assert "SlowDown" in result["msg"]
    assert len(verified(store)) == 1


def test_a_listing_that_lags_behind_loses_nothing(s3: S3Server, store: Options, source: Source) -> None:
    first_set = source.back_up(store)["set_id"]
    source.change(1)
    second = source.back_up(store)["set_id"]
    source.change(2)
    with behind(s3, store, matching(LISTING, hiding(second))) as stale:
        third = source.back_up(stale)["set_id"]
        pruned = {"source": "school", "tier": "daily", "keep_daily": 1, "store": stale}
        run_module("backup_prune", pruned)
        assert run_module("backup_verify", {"source": "school", "store": stale, "depth": "digests"})["set_id"] == third
    # The set that the listing hid was not pruned with the others, and is still complete.
    assert verified(store) == [third, second]
    assert first_set not in (second, third)


def test_a_listing_that_shows_what_is_gone_is_not_believed(s3: S3Server, store: Options, source: Source) -> None:
    answers: dict[str, bytes] = {}
    source.back_up(store)
    with behind(s3, store, matching(LISTING + ".*objects", remembered(answers))) as stale:
        verify = {"source": "school", "store": stale, "depth": "presence"}
        run_module("backup_verify", verify)
        # An S3 listing of the folder of objects was seen now; each of them goes.
        client = s3.client()
        gone = 0
        for item in client.list_objects_v2(Bucket=s3.bucket, Prefix=f"{store['prefix']}/school/daily/objects/")[
            "Contents"
        ]:
            client.delete_object(Bucket=s3.bucket, Key=item["Key"])
            gone += 1
        assert gone > 1
        assert refused(lambda: run_module("backup_verify", verify))["error_kind"] == "object_missing"
        source.change(1)
        second = source.back_up(stale)["set_id"]
    verify = {"source": "school", "store": store, "depth": "digests"}
    assert run_module("backup_verify", verify)["set_id"] == second


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_by_an_hour(s3: S3Server, store: Options, source: Source, hours: int) -> None:
    for number in (1, 2, 3):
        source.back_up(store)
        source.change(number)
    with behind(s3, store, matching("", clock_wrong_by(timedelta(hours=hours)))) as wrong:
        newest = source.back_up(wrong)["set_id"]
        info = run_module("backup_info", {"source": "school", "store": wrong, "rpo_seconds": 1800})
        # By the store an hour has passed, or the clock of this host is an hour behind: not called good.
        assert info["sources"][0]["rpo_met"] is (hours < 0)
        pruned = run_module(
            "backup_prune",
            {"source": "school", "tier": "daily", "keep_daily": 1, "grace_seconds": 600, "store": wrong},
        )
        assert (pruned["kept"], pruned["removed"], pruned["objects_removed"]) == (1, 3, 0)
        difference = run_module("store_check", {"store": wrong})["clock_difference"]
        assert abs(difference - hours * 3600) < 60
    assert verified(store) == [newest]


def test_a_full_disk_keeps_the_existing_sets(folder_store: Options, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "small").write_text("small")
    arguments = {"source": "school", "files": {"provider": "directory", "path": str(folder)}, "store": folder_store}
    taken = run_module("bucket_backup", arguments)["set_id"]
    (folder / "large").write_bytes(os.urandom(3_000_000))
    with largest_file(1_000_000):
        result = refused(lambda: run_module("bucket_backup", arguments))
    assert result["error_kind"] == "store_full"
    assert verified(folder_store) == [taken]
    unfinished = [path for path in Path(folder_store["path"]).rglob("*") if path.name.startswith(".")]
    assert unfinished == []
    run_module("bucket_backup", arguments)
    assert len(verified(folder_store)) == 2


def test_credentials_that_may_write_but_not_list_are_named(s3: S3Server, store: Options, source: Source) -> None:
    taken = source.back_up(store)["set_id"]
    with behind(s3, store, matching(LISTING, refusal(403, "AccessDenied"))) as blind:
        result = refused(lambda: source.back_up(blind))
        assert result["error_kind"] == "access_denied"
        assert "listing" in result["msg"]
        assert refused(lambda: run_module("store_check", {"store": blind}))["error_kind"] == "access_denied"
    assert verified(store) == [taken]


def test_credentials_that_may_not_delete_back_up_and_prune_counts_what_it_could_not(
    s3: S3Server, store: Options, source: Source
) -> None:
    with behind(s3, store, matching("^DELETE ", refusal(403, "AccessDenied"))) as held:
        for number in (1, 2):
            source.back_up(held)
            source.change(number)
        prune = {"source": "school", "tier": "daily", "keep_daily": 1, "grace_seconds": 0, "store": held}
        pruned = run_module("backup_prune", prune)
        assert (pruned["kept"], pruned["removed"], pruned["retained"]) == (1, 0, 1)
        assert run_module("store_check", {"store": held})["lock"] == "refused"
    assert len(verified(store)) == 2


def test_an_object_that_was_replaced_by_others_is_found_and_healed(
    s3: S3Server, store: Options, source: Source
) -> None:
    source.back_up(store)
    client = s3.client()
    listed = client.list_objects_v2(Bucket=s3.bucket, Prefix=f"{store['prefix']}/school/daily/objects/")["Contents"]
    victim = max(listed, key=lambda item: item["Size"])
    client.put_object(Bucket=s3.bucket, Key=victim["Key"], Body=hashlib.sha256(b"x").digest() * 200)
    assert refused(lambda: verified(store))["error_kind"] == "damaged"
    source.change(1)
    newest = source.back_up(store)["set_id"]
    verify = {"source": "school", "store": store, "depth": "digests"}
    assert run_module("backup_verify", verify)["set_id"] == newest


@contextlib.contextmanager
def largest_file(size: int) -> t.Iterator[None]:
    """Modules that are started within the context cannot write a larger file, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
