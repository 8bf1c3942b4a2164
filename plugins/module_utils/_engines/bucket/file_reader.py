# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one file of a bucket for a backup: its bytes, its headers, and what the next listing is compared with."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import threading
import typing as t
from dataclasses import dataclass, replace

from ..._core.clock import format_instant
from ..._core.digest import Tally, bare_etag, file_chunks, same_etag
from ..._core.errors import ErrorKind, RecoveryError
from ..._core.sizes import readable_size
from ..._repository.packing import IN_MEMORY, Content
from ..._store.base import ObjectInfo, ObjectStore
from .gaps import Gaps
from .inventory import listed_time

#: Key, size, ETag and time of a file, as the bucket listed them.
Listed = t.Tuple[str, int, str, str]


@dataclass(frozen=True)
class ReadFile:
    """A file that was read. etag and modified are what the next listing is compared with."""

    info: ObjectInfo
    plain: Tally
    content: Content
    etag: str
    modified: str


class FileReader:
    """Reads files of a bucket through memory, large ones through a folder. Used from several threads."""

    def __init__(self, origin: ObjectStore, folder: str, gaps: Gaps) -> None:
        self._origin, self._folder, self._gaps = origin, folder, gaps

    @contextlib.contextmanager
    def read(self, listed: Listed) -> t.Iterator[t.Optional[ReadFile]]:
        """Read a file; None for a file that cannot be read, which is counted in the gaps unless it was deleted."""
        key, size = listed[:2]
        with contextlib.ExitStack() as stack:
            try:
                opened = (self._origin.open_small if size <= IN_MEMORY else self._origin.open)(key, size=size)
                info = opened.info
                if info.size <= IN_MEMORY:
                    plain = Tally()
                    data = b"".join(plain.watch(opened.chunks))
                    content: Content = _in_memory(data)
                else:
                    plain, content = stack.enter_context(self._spooled(opened.chunks, info.size))
            except RecoveryError as error:
                if error.kind == ErrorKind.ARCHIVED:
                    self._gaps.add_archived(key)
                elif error.kind != ErrorKind.OBJECT_MISSING:
                    raise
                elif any(found.key == key for found in itertools.islice(self._origin.list(key), 1)):
                    # Not deleted since it was listed: the bucket still lists the file.
                    self._gaps.add_unreadable()
                yield None
                return
            info = self._with_tags(info)
            yield ReadFile(info, plain, content, *self._seen_as(info, listed))

    def _seen_as(self, info: ObjectInfo, listed: Listed) -> t.Tuple[str, str]:
        key, size, etag, modified = listed
        if same_etag(info.etag, etag) is False and info.size == size:
            for now in itertools.islice(self._origin.list(key), 1):
                if (now.key, now.size, bare_etag(now.etag), format_instant(now.modified)) == listed:
                    # Nothing changed: the store shows another ETag of an object than in its listings.
                    return etag, modified
        return info.etag or "", listed_time(info, size, etag, modified)

    def _with_tags(self, info: ObjectInfo) -> ObjectInfo:
        if info.headers is None or not info.tag_count:
            return info
        try:
            return replace(info, headers=replace(info.headers, tags=self._origin.tags(info.key)))
        except RecoveryError as error:
            if error.kind != ErrorKind.ACCESS_DENIED:
                raise
            self._gaps.add_untagged()
            return info

    @contextlib.contextmanager
    def _spooled(self, chunks: t.Iterable[bytes], size: int) -> t.Iterator[t.Tuple[Tally, Content]]:
        if shutil.disk_usage(self._folder).free < size:
            raise _spool_full(f"a file of {readable_size(size)}")
        path = os.path.join(self._folder, f"file-{threading.get_ident()}")
        plain = Tally()
        try:
            with open(path, "wb") as stream:
                for chunk in plain.watch(chunks):
                    try:
                        stream.write(chunk)
                    except OSError:
                        raise _spool_full("the files that are read") from None
            yield plain, _in_file(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def listing_errors() -> t.Iterator[None]:
    """A database of names that cannot grow becomes RecoveryError(spool_full)."""
    try:
        yield
    except sqlite3.OperationalError:
        raise _spool_full("the list of files") from None


def _in_memory(data: bytes) -> Content:
    return lambda: [data]


def _in_file(path: str) -> Content:
    return lambda: file_chunks(path)


def _spool_full(what: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.SPOOL_FULL,
        f"The spool folder has not enough free space for {what}.",
        left="No backup set was written; earlier sets are unchanged.",
        next_step="Set spool_dir to a file system with more free space.",
    )
