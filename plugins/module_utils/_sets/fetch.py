# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings objects of a set back and proves each one: stored digest, plain digest, sizes, row counts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .._core.codec import decompress
from .._core.digest import Tally
from .._core.errors import ErrorKind, RecoveryError
from .._store.base import ObjectStore
from .manifest import ObjectEntry

#: F_SETPIPE_SZ of Linux, which the module fcntl names from Python 3.10 on.
_SET_PIPE_SIZE = 1031

#: What pg_dump writes after the rows of a table.
END_OF_COPY = b"\\.\n\n\n"


@dataclass(frozen=True)
class FetchedObject:
    """rows is the number of COPY lines of a data object, None for other roles."""

    entry: ObjectEntry
    rows: t.Optional[int]


def fetch_objects(
    store: ObjectStore, entries: t.Sequence[ObjectEntry], folder: t.Optional[str], *, parallel: int = 4
) -> t.List[FetchedObject]:
    """Read every entry, and write its plain bytes to folder unless that is None.

    Raises RecoveryError(object_missing or damaged) for the first object that is not as recorded.
    """
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="fetch") as pool:
        ordered = sorted(entries, key=lambda entry: -entry.stored_size)
        futures = [pool.submit(fetch_object, store, entry, folder) for entry in ordered]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def fetch_object(store: ObjectStore, entry: ObjectEntry, folder: t.Optional[str]) -> FetchedObject:
    """As fetch_objects, for one entry."""
    if folder is None:
        return _checked(store, entry, None)
    with open(os.path.join(folder, entry.path), "xb") as target:
        return _checked(store, entry, target)


class StreamedObjects:
    """Named pipes that a reader of the folder opens as files, fed from the store while it reads.

    What it reads is proved only at its end, so the reader's result counts only after C(finish).
    """

    def __init__(
        self, store: ObjectStore, entries: t.Sequence[ObjectEntry], folder: str, on_failure: t.Callable[[], None]
    ) -> None:
        self._paths = [os.path.join(folder, entry.path) for entry in entries]
        self._on_failure = on_failure
        self._closing = threading.Event()
        for path in self._paths:
            os.mkfifo(path, 0o600)
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(entries)), thread_name_prefix="stream")
        self._futures = [self._pool.submit(self._feed, store, entry, path) for entry, path in zip(entries, self._paths)]

    def finish(self) -> None:
        """After the reader has ended well: raise what an object lacked, or that one was not read to its end."""
        self.close()
        for future, path in zip(self._futures, self._paths):
            if not future.result():
                raise RecoveryError(
                    ErrorKind.RESTORE_FAILED, f"{os.path.basename(path)} of the archive was not read to its end."
                )

    def raise_failure(self) -> None:
        """After the reader has failed: raise what went wrong with an object, if anything did."""
        self.close()
        for future in self._futures:
            future.result()

    def close(self) -> None:
        """Release feeders that nobody reads from any more, and wait for all; safe to call twice."""
        self._closing.set()
        for path in self._paths:
            # A feeder waits in open until a reader comes; this is one, and it leaves at once.
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        self._pool.shutdown(wait=True)

    def _feed(self, store: ObjectStore, entry: ObjectEntry, path: str) -> bool:
        """Whether the object was read to its end and is as recorded."""
        try:
            with open(path, "wb", buffering=0) as target:
                if self._closing.is_set():
                    return False
                with contextlib.suppress(OSError):
                    fcntl.fcntl(target, _SET_PIPE_SIZE, 1024 * 1024)
                _checked(store, entry, target)
                return True
        except BrokenPipeError:
            return False
        except BaseException:
            self._on_failure()
            raise


def _checked(store: ObjectStore, entry: ObjectEntry, target: t.Optional[t.IO[bytes]]) -> FetchedObject:
    stored, plain, lines = Tally(), Tally(), _CopyLines()
    is_data = entry.role == "data"
    try:
        for chunk in decompress(stored.watch(store.read(entry.key)), entry.codec):
            plain.add(chunk)
            if is_data:
                lines.add(chunk)
            if target is not None:
                _write_all(target, chunk)
    except RecoveryError as error:
        if error.kind == ErrorKind.DAMAGED:
            raise _damaged(store, entry, error.what) from None
        raise
    for name, seen, expected in (
        ("stored size", stored.size, entry.stored_size),
        ("stored digest", stored.sha256, entry.stored_sha256),
        ("plain size", plain.size, entry.plain_size),
        ("plain digest", plain.sha256, entry.plain_sha256),
    ):
        if seen != expected:
            raise _damaged(store, entry, f"its {name} is {seen}, the manifest says {expected}")
    return FetchedObject(entry, lines.rows(store, entry) if is_data else None)


def _write_all(target: t.IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[target.write(view) :]


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
            raise _damaged(store, entry, "its rows have no end mark")
        return self._newlines - 3


def _damaged(store: ObjectStore, entry: ObjectEntry, why: str) -> RecoveryError:
    table = f" (table {entry.schema}.{entry.table})" if entry.table else ""
    return RecoveryError(
        ErrorKind.DAMAGED,
        f"The object {entry.key}{table} in {store.location} is damaged: {why}.",
        next_step="Use another set or another copy; the next backup stores this content anew.",
        details={"damaged": [entry.key]},
    )
