# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows are passed only if the object is complete, wherever its blocks are cut."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fetch import proved_rows
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import ObjectEntry
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore

ROWS = b"1\tone\n2\ttwo\n"
END = b"\\.\n\n\n"


class _Cut(DirectoryStore):
    """Answers in blocks of a given size, as a slow network does."""

    def __init__(self, root: str, size: int) -> None:
        super().__init__(root, "")
        self._size = size

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        data = b"".join(super().read(key, start=start))
        for place in range(0, len(data), self._size):
            yield data[place : place + self._size]


def _entry(data: bytes, **changes: t.Any) -> ObjectEntry:
    digest = hashlib.sha256(data).hexdigest()
    facts = {"plain_size": len(data), "plain_sha256": digest, "stored_size": len(data), "stored_sha256": digest}
    return ObjectEntry(**{"path": "1.dat", "role": "data", "key": "object", "codec": "none", **facts, **changes})


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 7, 11, 1000])
@pytest.mark.parametrize("rows", [ROWS, b""])
def test_rows_are_the_same_however_they_arrive(tmp_path: Path, size: int, rows: bytes) -> None:
    store = _Cut(str(tmp_path), size)
    store.put("object", [rows + END])
    assert b"".join(proved_rows(store, _entry(rows + END))) == rows


@pytest.mark.parametrize(
    ("data", "changes", "complaint"),
    [
        (ROWS, {}, "end mark"),
        (ROWS + END, {"stored_sha256": "0" * 64}, "stored digest"),
        (ROWS + END, {"stored_size": 3}, "stored size"),
        (ROWS + END, {"plain_size": 3}, "plain size"),
    ],
)
def test_an_object_that_is_not_as_recorded_ends_in_an_error(
    tmp_path: Path, data: bytes, changes: dict[str, t.Any], complaint: str
) -> None:
    store = _Cut(str(tmp_path), 4)
    store.put("object", [data])
    with pytest.raises(RecoveryError, match=complaint):
        list(proved_rows(store, _entry(data, **changes)))
