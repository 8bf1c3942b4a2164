# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches objects of a set and proves each object: stored digest, plain digest, sizes, row counts."""

from __future__ import annotations

import errno
import os
import shutil
import typing as t
from dataclasses import dataclass

from .._core.codec import decompress
from .._core.digest import Tally
from .._core.errors import ErrorKind, RecoveryError
from .._core.parallel import in_order
from .._core.plain_files import create_file
from .._core.sealing import Sealing
from .._core.sizes import readable_size
from .._store.base import ObjectStore
from .manifest import ObjectEntry

#: The text that pg_dump writes after the rows of a table.
END_OF_COPY = b"\\.\n\n\n"
_NO_END = "its rows have no end mark"

#: Bytes of a part of a set that is read into memory: an inventory part has at most 8192 lines.
_IN_MEMORY = 256 * 1024 * 1024

#: Name, found value, value in the manifest.
_Fact = t.Tuple[str, t.Union[int, str], t.Union[int, str]]


class Readable(t.Protocol):
    """The part of a store that proved_rows needs."""

    location: str
    sealing: Sealing

    def read(self, key: str) -> t.Iterator[bytes]: ...


@dataclass(frozen=True)
class FetchedObject:
    """rows is the number of COPY lines of a data object, None for other roles and for what stays encrypted."""

    entry: ObjectEntry
    rows: t.Optional[int]


def plain_chunks(chunks: t.Iterable[bytes], entry: ObjectEntry, sealing: Sealing) -> t.Iterator[bytes]:
    """The plain bytes of an entry from its stored bytes, never more than the sizes in the entry.

    Raises RecoveryError(damaged or no_identity).
    """
    stored = _bounded(chunks, entry.stored_size)
    return decompress(sealing.decrypt(stored) if entry.encrypted else stored, entry.codec, limit=entry.plain_size)


def _bounded(chunks: t.Iterable[bytes], size: int) -> t.Iterator[bytes]:
    left = size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise RecoveryError(ErrorKind.DAMAGED, f"its stored size is more than {size} bytes", left="")
        yield chunk


def fetch_objects(
    store: ObjectStore, entries: t.Sequence[ObjectEntry], folder: t.Optional[str], *, parallel: int = 4
) -> t.List[FetchedObject]:
    """Read every entry, and write its plain bytes to folder unless that is None.

    Raises RecoveryError(object_missing or damaged) for the first object that is not as recorded,
    archived for one that must be thawed, no_identity when they are to be written and cannot be decrypted,
    and spool_full when the folder has no room for them. Without a folder and without an identity, what is
    encrypted is compared as it is stored.
    """
    if folder is not None:
        _require_space(folder, sum(entry.plain_size for entry in entries))
    ordered = sorted(entries, key=lambda entry: -entry.stored_size)
    return in_order(ordered, lambda entry: fetch_object(store, entry, folder), parallel=parallel)


def fetch_object(store: ObjectStore, entry: ObjectEntry, folder: t.Optional[str]) -> FetchedObject:
    """As fetch_objects, for one entry."""
    if folder is None:
        return _checked(store, entry, None)
    try:
        with create_file(folder, entry.path, f"The manifest of {entry.key}") as target:
            return _checked(store, entry, target)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_space(folder, entry.plain_size) from None


def read_object(store: ObjectStore, entry: ObjectEntry) -> bytes:
    """The plain bytes of an entry that fits into memory, proved. Raises as fetch_objects."""
    if entry.plain_size > _IN_MEMORY:
        raise _damaged(
            store,
            entry,
            f"it should hold {entry.plain_size} bytes, and no part of a set that is read into "
            f"memory has more than {_IN_MEMORY}",
        )
    return b"".join(_Checked(store, entry, sealed_will_do=False).chunks())


def fetch_stored(store: ObjectStore, entry: ObjectEntry, folder: str) -> str:
    """Write the stored bytes of an entry to a new file of folder, prove them, and give its path.

    Raises as fetch_objects.
    """
    stored, name = Tally(), entry.key.rpartition("/")[2]
    try:
        with create_file(folder, name, f"The key {entry.key}") as target:
            for chunk in stored.watch(_stored_bytes(store, entry)):
                target.write(chunk)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_space(folder, entry.stored_size) from None
    _require_equal(store, entry, _stored_facts(entry, stored))
    return os.path.join(folder, name)


def proved_rows(store: Readable, entry: ObjectEntry) -> t.Iterator[bytes]:
    """The COPY lines of a data object without their end mark, proved by the stored digest and the plain size.

    The stored bytes decide the plain ones, so the plain digest is left to those who judge the set itself.
    Raises RecoveryError as fetch_objects, at the end: what was yielded counts only when this ends.
    """
    stored, plain_size, held = Tally(), 0, b""
    for chunk in _plain(store, entry, stored):
        plain_size += len(chunk)
        if len(chunk) < len(END_OF_COPY):
            chunk = held + chunk
        elif held:
            yield held
        held = chunk
    if not held.endswith(END_OF_COPY):
        raise _damaged(store, entry, _NO_END)
    _require_equal(store, entry, (*_stored_facts(entry, stored), ("plain size", plain_size, entry.plain_size)))
    yield held[: -len(END_OF_COPY)]


def _checked(store: ObjectStore, entry: ObjectEntry, target: t.Optional[t.IO[bytes]]) -> FetchedObject:
    checked = _Checked(store, entry, sealed_will_do=target is None)
    for chunk in checked.chunks():
        if target is not None:
            target.write(chunk)
    return FetchedObject(entry, checked.rows)


class _Checked:
    """Reads one object and compares it with its entry. rows is known when chunks has ended."""

    def __init__(self, store: ObjectStore, entry: ObjectEntry, *, sealed_will_do: bool) -> None:
        self._store, self._entry, self._sealed_will_do = store, entry, sealed_will_do
        self.rows: t.Optional[int] = None

    def chunks(self) -> t.Iterator[bytes]:
        store, entry = self._store, self._entry
        stored, plain, lines = Tally(), Tally(), _CopyLines()
        if entry.encrypted and not store.sealing.can_read and self._sealed_will_do:
            for _chunk in stored.watch(_stored_bytes(store, entry)):
                pass
            _require_equal(store, entry, _stored_facts(entry, stored))
            return
        is_data = entry.role == "data"
        for chunk in _plain(store, entry, stored):
            plain.add(chunk)
            if is_data:
                lines.add(chunk)
            yield chunk
        _require_equal(
            store,
            entry,
            (
                *_stored_facts(entry, stored),
                ("plain size", plain.size, entry.plain_size),
                ("plain digest", plain.sha256, entry.plain_sha256),
            ),
        )
        if is_data:
            self.rows = lines.rows(store, entry)


def _plain(store: Readable, entry: ObjectEntry, stored: Tally) -> t.Iterator[bytes]:
    try:
        yield from plain_chunks(stored.watch(store.read(entry.key)), entry, store.sealing)
    except RecoveryError as error:
        if error.kind == ErrorKind.DAMAGED:
            raise _damaged(store, entry, error.what) from None
        raise


def _stored_bytes(store: Readable, entry: ObjectEntry) -> t.Iterator[bytes]:
    """The stored bytes, never more than the size in the entry."""
    try:
        yield from _bounded(store.read(entry.key), entry.stored_size)
    except RecoveryError as error:
        if error.kind == ErrorKind.DAMAGED:
            raise _damaged(store, entry, error.what) from None
        raise


def _stored_facts(entry: ObjectEntry, stored: Tally) -> t.Tuple[_Fact, _Fact]:
    return ("stored size", stored.size, entry.stored_size), ("stored digest", stored.sha256, entry.stored_sha256)


def _require_equal(store: Readable, entry: ObjectEntry, facts: t.Iterable[_Fact]) -> None:
    for name, seen, expected in facts:
        if seen != expected:
            raise _damaged(store, entry, f"its {name} is {seen}, the manifest has {expected}")


class _CopyLines:
    """Counts rows of COPY text: one line each, because newlines in data are escaped."""

    def __init__(self) -> None:
        self._newlines = 0
        self._tail = b""

    def add(self, chunk: bytes) -> None:
        self._newlines += chunk.count(b"\n")
        self._tail = (self._tail + chunk[-len(END_OF_COPY) :])[-len(END_OF_COPY) :]

    def rows(self, store: ObjectStore, entry: ObjectEntry) -> int:
        if self._tail != END_OF_COPY:
            raise _damaged(store, entry, _NO_END)
        return self._newlines - 3


def _damaged(store: Readable, entry: ObjectEntry, why: str) -> RecoveryError:
    table = f" (table {entry.schema}.{entry.table})" if entry.table else ""
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The object {entry.key}{table} in {store.location} is damaged: {why}.",
        next_step="Use another set or another copy; the next backup stores this content again.",
        damaged=[entry.key],
    )


def _require_space(folder: str, wanted: int) -> None:
    if shutil.disk_usage(folder).free < wanted:
        raise _no_space(folder, wanted)


def _no_space(folder: str, wanted: int) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SPOOL_FULL,
        f"The spool folder {folder} has no room for {readable_size(wanted)}.",
        next_step="Set spool_dir to a file system with more room.",
    )
