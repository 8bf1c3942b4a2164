# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that verification can fail: damaged views of a set must be caught, the undamaged one must pass."""

from __future__ import annotations

import hashlib
import io
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime

from .._core.codec import compress
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .._engines.sqlite.statements import complete_statements
from .._operations.verify import verify_set
from .._repository.fetch import END_OF_COPY, plain_chunks
from .._repository.manifest import SQLITE_ENGINE, Manifest, ObjectEntry
from .._repository.verifier import VerifyRequest
from .._store.base import AuditSink, Headers, ObjectInfo, ObjectStore, Opened, read_all

DAMAGES = ("flipped_byte", "truncated", "missing", "empty_but_valid", "dropped_rows")

#: The object that is damaged is held in memory, so a smaller table stands for the large ones.
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class DamageResult:
    """caught: verification refused the damaged set; how: in which words."""

    damage: str
    caught: bool
    how: str


@dataclass(frozen=True)
class SelfTestResult:
    """not_tried: kinds of damage to a restored copy for which the database has no object."""

    changed: bool
    set_id: str
    table: str
    self_tests: t.Sequence[DamageResult]
    all_caught: bool
    not_tried: t.Sequence[str] = ()


def run_self_tests(store: ObjectStore, manifest: Manifest) -> SelfTestResult:
    """Try every damage on one table of the set; nothing in the store is changed.

    Raises RecoveryError: unsupported when no table has rows, and whatever stops the undamaged set from passing.
    """
    entry = _subject(manifest)
    # A dump of SQLite loads as a whole, and only then shows what it holds.
    complete = manifest.engine == SQLITE_ENGINE
    alone = manifest if complete else _alone(manifest, entry)
    request = VerifyRequest(depth="decode" if complete else "digests", record=False, complete=complete)
    verify_set(store, alone, request)
    stored = read_all(store, entry.key, limit=2 * _LARGEST)
    results = [_try(store, alone, entry, stored, damage, request) for damage in DAMAGES]
    return SelfTestResult(
        changed=False,
        set_id=manifest.set_id,
        table=f"{entry.schema}.{entry.table}",
        self_tests=results,
        all_caught=all(result.caught for result in results),
    )


class DamagedStore:
    """A store in which one object has other bytes, or none; all else shows through."""

    def __init__(self, store: ObjectStore, key: str, data: t.Optional[bytes]) -> None:
        self._store, self._key, self._data = store, key, data
        self.location, self.sealing = store.location, store.sealing
        self.locks, self.paths, self.key_prefix = store.locks, store.paths, store.key_prefix
        self.requests = 0
        self.copies: t.Sequence[ObjectStore] = ()
        self.audit_sinks: t.Sequence[AuditSink] = ()

    def refuses(self, key: str, size: int) -> str:
        return self._store.refuses(key, size)

    def tags(self, key: str) -> t.Mapping[str, str]:
        return self._store.tags(key)

    def head(self, key: str, *, size: t.Optional[int] = None) -> t.Optional[ObjectInfo]:
        info = self._store.head(key)
        if key != self._key or info is None:
            return info
        return None if self._data is None else replace(info, size=len(self._data))

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        if key != self._key:
            yield from self._store.read(key, start=start)
            return
        if self._data is None:
            raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {self.location}.")
        yield self._data[start:]

    def open(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        raise _only_read()

    def open_small(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        raise _only_read()

    def put(
        self,
        key: str,
        chunks: t.Iterable[bytes],
        *,
        if_absent: bool = False,
        replaces: t.Optional[ObjectInfo] = None,
        headers: t.Optional[Headers] = None,
    ) -> ObjectInfo:
        raise _only_read()

    def remove(self, key: str) -> t.Optional[str]:
        raise _only_read()

    def retain(self, key: str) -> None:
        raise _only_read()

    def require_there(self) -> None:
        self._store.require_there()

    def require_writable(self, prefix: str) -> None:
        raise _only_read()

    def now(self) -> datetime:
        return self._store.now()

    def tidy(self, before: datetime) -> None:
        raise _only_read()

    def thaw(self, key: str, *, days: int, speed: str) -> bool:
        raise _only_read()

    def lifecycle_rules(self) -> t.List[t.Dict[str, t.Any]]:
        return self._store.lifecycle_rules()

    def set_lifecycle_rules(self, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        raise _only_read()

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def delete(self, keys: t.Iterable[str]) -> None:
        raise _only_read()

    def close(self) -> None:
        """The store behind it belongs to the caller."""


def damaged_bytes(stored: bytes, entry: ObjectEntry, damage: str, sealing: Sealing) -> t.Optional[bytes]:
    """The stored bytes of a data object after the damage; None when it is missing.

    Where rows are gone they are not encrypted, because that takes no part in what is tested.
    """
    if damage == "missing":
        return None
    if damage == "truncated":
        return stored[: len(stored) // 2]
    if damage == "flipped_byte":
        middle = len(stored) // 2
        return stored[:middle] + bytes((stored[middle] ^ 0x01,)) + stored[middle + 1 :]
    plain = b"".join(plain_chunks([stored], entry, sealing))
    if entry.role == "table":
        statements = list(complete_statements(io.StringIO(plain.decode(), newline="")))
        left = [] if damage == "empty_but_valid" else statements[:-1]
        return b"".join(compress(["".join(left).encode()], entry.codec))
    rows = plain[: -len(END_OF_COPY)].split(b"\n")[:-1]
    kept = [] if damage == "empty_but_valid" else rows[:-1]
    return b"".join(compress([b"".join(row + b"\n" for row in kept) + END_OF_COPY], entry.codec))


def _only_read() -> RecoveryError:
    return RecoveryError(ErrorKind.UNSUPPORTED, "A damaged view of a store is only verified.")


def _try(
    store: ObjectStore, alone: Manifest, entry: ObjectEntry, stored: bytes, damage: str, request: VerifyRequest
) -> DamageResult:
    data = damaged_bytes(stored, entry, damage, store.sealing)
    manifest = alone
    if data is not None and damage in ("empty_but_valid", "dropped_rows"):
        # As if the backup itself had lost the rows: every digest fits, only the content is wrong.
        kept = [item for item in alone.objects if item.path != entry.path]
        manifest = replace(alone, objects=(*kept, _described(entry, data)))
    try:
        verify_set(DamagedStore(store, entry.key, data), manifest, request)
    except RecoveryError as error:
        if error.kind not in (ErrorKind.DAMAGED, ErrorKind.OBJECT_MISSING):
            raise
        return DamageResult(damage, True, error.what)
    return DamageResult(damage, False, "the damaged set passed verification")


def _subject(manifest: Manifest) -> ObjectEntry:
    if manifest.engine == SQLITE_ENGINE:
        tables = [entry for entry in manifest.objects if entry.role == "table" and 0 < entry.plain_size <= _LARGEST]
        if not tables:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The set {manifest.set_id} has no table with rows and less than 64 MiB to damage.",
            )
        return max(tables, key=lambda entry: entry.plain_size)
    rows = (
        {(table.schema, table.name): table.rows for table in manifest.fingerprint.tables}
        if manifest.fingerprint
        else {}
    )
    candidates = [
        entry
        for entry in manifest.objects
        if entry.role == "data" and entry.plain_size <= _LARGEST and rows.get((entry.schema, entry.table), 0) > 0
    ]
    if not candidates:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The set {manifest.set_id} has no fingerprinted table with rows and less than 64 MiB to damage.",
            next_step="Take a set with fingerprint full or counts.",
        )
    return max(candidates, key=lambda entry: entry.plain_size)


def _alone(manifest: Manifest, entry: ObjectEntry) -> Manifest:
    fingerprint = manifest.fingerprint
    if fingerprint is None:
        raise RecoveryError(ErrorKind.UNSUPPORTED, f"The set {manifest.set_id} has no fingerprint.")
    table = tuple(item for item in fingerprint.tables if (item.schema, item.name) == (entry.schema, entry.table))
    return replace(manifest, objects=(entry,), fingerprint=replace(fingerprint, tables=table))


def _described(entry: ObjectEntry, stored: bytes) -> ObjectEntry:
    entry = replace(entry, encrypted=False)
    plain = b"".join(plain_chunks([stored], entry, Sealing()))
    return replace(
        entry,
        stored_size=len(stored),
        stored_sha256=hashlib.sha256(stored).hexdigest(),
        plain_size=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
    )
