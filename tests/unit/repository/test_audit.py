# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit record of an operation contains its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import (
    AuditQuery,
    AuditRecord,
    audited,
    read_audit,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore


def records(store: DirectoryStore) -> list[AuditRecord]:
    return list(read_audit(store, "school", AuditQuery()).records)


def test_success_is_recorded_with_its_outcome(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    with audited(store, "school", "backup", {"tier": "daily"}, check_mode=False) as outcome:
        outcome.update(rows=3)
    (found,) = records(store)
    assert (found.status, found.details) == ("succeeded", {"tier": "daily", "rows": 3})


@pytest.mark.parametrize(
    ("operation", "kind", "status"),
    [
        ("backup", ErrorKind.COPY_FAILED, "partial"),
        ("backup", ErrorKind.STORE_FULL, "failed"),
        ("restore", ErrorKind.COPY_FAILED, "failed"),
    ],
)
def test_failure_is_recorded_and_raised(tmp_path: Path, operation: str, kind: str, status: str) -> None:
    store = DirectoryStore(str(tmp_path))
    with (
        pytest.raises(RecoveryError, match="it broke"),
        audited(store, "school", operation, {"tier": "daily"}, check_mode=False) as outcome,
    ):
        outcome.update(rows=3)
        raise RecoveryError(kind, "it broke")
    (found,) = records(store)
    assert (found.status, found.details) == (status, {"tier": "daily", "error_kind": kind})


def test_neither_check_mode_nor_what_did_nothing_is_on_record(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    with audited(store, "school", "backup", {}, check_mode=True) as outcome:
        outcome.update(rows=3)
    with audited(store, "school", "restore", {"set_id": "a"}, check_mode=False):
        pass
    with pytest.raises(RecoveryError), audited(store, "school", "backup", {}, check_mode=True):
        raise RecoveryError(ErrorKind.DAMAGED, "it broke")
    assert records(store) == []


def test_a_store_that_takes_no_record_hides_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise RecoveryError(ErrorKind.ACCESS_DENIED, "no record")

    store = DirectoryStore(str(tmp_path))
    monkeypatch.setattr(store, "put", refuse)
    with pytest.raises(RecoveryError, match="it broke"), audited(store, "school", "backup", {}, check_mode=False):
        raise RecoveryError(ErrorKind.DAMAGED, "it broke")
