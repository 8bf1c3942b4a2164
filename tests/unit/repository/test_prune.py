# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pruning real folders: what stays can be read, what a lock holds is counted, a backup during pruning is complete."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import compact_instant, format_instant
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.prune import prune
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import (
    AuditQuery,
    read_audit,
    write_audit,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import (
    Verification,
    list_sets,
    load_set,
    record_verification,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fetch import read_object
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.layout import (
    SetName,
    object_key,
    pruned_key,
    set_key,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.prune import PruneRequest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.restores import (
    record_restore,
    restore_outcomes,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.retention import Policy
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.writer import SetWriter
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.sets import NOW, back_up, no_facts


def require_complete(store: DirectoryStore) -> None:
    for name in list_sets(store):
        for entry in load_set(store, name).objects:
            assert len(read_object(store, entry)) == entry.plain_size


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4)), max_size=12),
    st.builds(Policy, keep_daily=st.integers(0, 10), keep_weekly=st.integers(0, 4), minimum=st.integers(1, 3)),
)
def test_a_set_that_survives_restores_and_nothing_stays_that_is_not_needed(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, list[str]]], policy: Policy
) -> None:
    root = tmp_path_factory.mktemp("prune")
    store = DirectoryStore(str(root / "store"))
    for days, contents in sorted(dict(history).items(), reverse=True):
        back_up(store, root / "spool", NOW - timedelta(days=days + 2), contents)
    request = PruneRequest(source="school" if history else None, tier="daily", policy=policy)
    foreseen = prune(store, replace(request, check_mode=True), NOW)
    first = prune(store, request, NOW)
    assert [vars(item) for item in foreseen.sets] == [vars(item) for item in first.sets]
    require_complete(store)
    assert prune(store, request, NOW).changed is False
    # A day later, what was put aside is swept.
    prune(store, request, datetime.now(timezone.utc) + timedelta(days=2))
    require_complete(store)
    needed = {entry.key for name in list_sets(store) for entry in load_set(store, name).objects}
    assert {item.key for item in store.list() if "/objects/" in item.key} == needed
    assert not [item.key for item in store.list() if "/pruned/" in item.key]


def history_of(store: DirectoryStore, spool: Path) -> None:
    for days in (40, 30, 20, 10):
        back_up(store, spool, NOW - timedelta(days=days), [f"content of {days}", "the same always"])


ONE = PruneRequest(source="school", tier="daily", policy=Policy(keep_daily=1))


def test_a_pruned_set_can_be_taken_back_for_a_day(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    history_of(store, tmp_path / "spool")
    result = prune(store, ONE, NOW)
    assert (result.kept, result.removed) == (1, 3)
    oldest = SetName("school", "daily", compact_instant(NOW - timedelta(days=40)))
    os.rename(Path(store.location) / pruned_key(*oldest), Path(store.location) / set_key(*oldest))
    require_complete(store)
    assert len(list_sets(store)) == 2


def test_a_backup_that_reuses_what_is_being_pruned_is_complete(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    history_of(store, tmp_path / "spool")
    spool = tmp_path / "other"
    spool.mkdir()
    (spool / "1.dat").write_text("content of 20")
    writer = SetWriter(store, "school", "daily", codec="none", parallel=1)
    with writer:
        writer.add(str(spool), "1.dat", "globals")
        assert [item.uploaded for item in writer.finish()] == [0]
        # Its set goes after the backup saw the object, and before it commits.
        assert prune(store, ONE, NOW).removed == 3
        prune(store, ONE, NOW)
        writer.commit(no_facts(NOW), {})
    require_complete(store)


def test_the_newest_verified_set_stays_until_a_newer_one_is_verified(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    history_of(store, tmp_path / "spool")
    verified = compact_instant(NOW - timedelta(days=30))
    record_verification(store, "school", "daily", Verification(verified, format_instant(NOW), "decode", "passed"))
    prune(store, ONE, NOW)
    newest = compact_instant(NOW - timedelta(days=10))
    assert [name.set_id for name in list_sets(store)] == [verified, newest]
    record_verification(store, "school", "daily", Verification(newest, format_instant(NOW), "decode", "passed"))
    prune(store, ONE, NOW)
    assert [name.set_id for name in list_sets(store)] == [newest]


def test_a_set_whose_restore_failed_takes_no_place_of_a_good_one(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    history_of(store, tmp_path / "spool")
    names = list_sets(store)
    record_restore(store, load_set(store, names[-1]), "restore_failed", ["table public.t"])
    record_restore(store, load_set(store, names[0]), None)
    prune(store, ONE, NOW)
    # The newest set always stays, and the newest set that did not fail stays beside it.
    assert [name.set_id for name in list_sets(store)] == [names[-2].set_id, names[-1].set_id]
    # Records about a set are removed with the set.
    assert list(restore_outcomes(store, "school", "daily")) == [names[-1].set_id]


def test_an_unreadable_manifest_stops_the_sweep_of_its_tier(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path / "store"))
    history_of(store, tmp_path / "spool")
    newest = list_sets(store)[-1]
    store.put(set_key(*newest), [b"{"])
    before = {item.key for item in store.list() if "/objects/" in item.key}
    result = prune(store, replace(ONE, grace=0), datetime.now(timezone.utc) + timedelta(days=2))
    assert "damaged" in result.blocked[0]
    assert {item.key for item in store.list() if "/objects/" in item.key} == before


class Holding(DirectoryStore):
    """A store whose lock rules refuse every removal."""

    def remove(self, key: str) -> str | None:
        return "locked"


def test_a_lock_that_forbids_pruning_is_counted_and_nothing_breaks(tmp_path: Path) -> None:
    history_of(DirectoryStore(str(tmp_path / "store")), tmp_path / "spool")
    store = Holding(str(tmp_path / "store"))
    store.put(object_key("school", "daily", "ab" * 32), [b"left by a crash"])
    result = prune(store, replace(ONE, grace=0), datetime.now(timezone.utc) + timedelta(days=2))
    assert (result.kept, result.removed, result.retained) == (1, 0, 3)
    assert (result.objects_removed, result.objects_retained) == (0, 1)
    assert len(list_sets(store)) == 4


def test_a_tier_must_be_named_for_a_policy_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(RecoveryError, match="none is named"):
        prune(DirectoryStore(str(tmp_path)), PruneRequest(policy=Policy(keep_daily=1)), NOW)


def test_an_unknown_source_is_named_and_an_empty_store_is_no_error(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    with pytest.raises(RecoveryError, match="'school'"):
        prune(store, PruneRequest(source="school"), NOW)
    assert prune(store, PruneRequest(), NOW).changed is False


def test_chain_of_audit_records_detects_every_change(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    keys = [write_audit(store, "school", operation, "succeeded", {}) for operation in ("backup", "verify", "restore")]
    read = read_audit(store, "school", AuditQuery())
    assert (read.chain, read.total) == ("intact", 3)
    assert {record.operation_type for record in read.records} == {"backup", "verify", "restore"}
    assert read_audit(store, "school", AuditQuery(operation="verify")).total == 1
    path = tmp_path / keys[1]
    kept = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(kept.replace(b"succeeded", b"failed"))
    assert keys[1] in read_audit(store, "school", AuditQuery()).breaks[0]
    path.unlink()
    assert "missing" in read_audit(store, "school", AuditQuery()).breaks[0]
    path.write_bytes(kept)
    assert read_audit(store, "school", AuditQuery()).chain == "intact"


def test_old_audit_records_go_after_their_own_time_and_the_chain_stays_whole(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    for operation in ("backup", "restore", "backup"):
        write_audit(store, "school", operation, "succeeded", {})
    later = datetime.now(timezone.utc) + timedelta(days=500)
    assert prune(store, PruneRequest(source="school", check_mode=True), later).audit_removed == 2
    result = prune(store, PruneRequest(source="school"), later)
    assert result.audit_removed == 2
    read = read_audit(store, "school", AuditQuery())
    assert [record.operation_type for record in read.records] == ["prune", "restore"]
    assert read.chain == "intact"
