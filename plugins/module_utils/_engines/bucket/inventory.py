# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a bucket: a line of JSON for each file, in parts.

The name of a file decides whether a part ends after it, so a change of one file changes one part only.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import typing as t
import zlib
from dataclasses import dataclass, field, fields
from datetime import timedelta

from ..._core.clock import format_instant, parse_instant
from ..._core.digest import bare_etag, same_etag
from ..._core.errors import ErrorKind, RecoveryError
from ..._repository.references import reference_in
from ..._store.base import Headers, ObjectInfo

#: One name in so many ends a part; and none is longer than this.
_ENDS = 1024
_LONGEST = 8192
_BATCH = 5000

#: So many characters of an instant end with its second.
_SECOND = 19

#: A file that was written this short before it was listed may be written again within the same second.
_SETTLED = timedelta(seconds=2)

#: A file is as it was if its size and second are, and its ETag. Where either side has no ETag, the fractions of the
#: second decide; where either side has none of these (.000), the file is read again unless it had settled.
_TAKE_OVER = """
    UPDATE files SET line = (
        SELECT line
        FROM old
        WHERE old.key = files.key
          AND old.size = files.size
          AND substr(old.modified, 1, 19) = substr(files.modified, 1, 19)
          AND CASE
                  WHEN old.etag != '' AND files.etag != '' THEN old.etag = files.etag
                  WHEN '000' IN (substr(old.modified, 21, 3), substr(files.modified, 21, 3)) THEN old.settled
                  ELSE old.modified = files.modified
              END
    )
"""

_REFERENCE = ("object", "codec", "stored_size", "stored_sha256")


@dataclass(frozen=True)
class FileEntry:
    """One file of a bucket, and where its bytes lie in the store.

    size, etag and modified are those that the bucket listed; sha256 is that of the file. object is the name of the
    object that holds it, in codec; stored_size and stored_sha256 are those of the object.
    """

    key: str
    size: int
    etag: str
    modified: str
    sha256: str
    object: str
    codec: str
    stored_size: int
    stored_sha256: str
    headers: t.Mapping[str, t.Any] = field(default_factory=dict)

    def to_line(self) -> str:
        return json.dumps(vars(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def to_reference(self) -> str:
        """The line for readers without the identity: the object that is needed, and its digest."""
        return json.dumps({name: getattr(self, name) for name in _REFERENCE}, sort_keys=True, separators=(",", ":"))


def read_line(line: bytes, part: str = "the inventory") -> FileEntry:
    """A line that a store gave back. Raises RecoveryError(damaged) for one that no backup writes."""
    known = reference_in(line, part)
    if known.keys() != _FIELDS or not _HEADERS.issuperset(known["headers"]):
        raise RecoveryError(ErrorKind.DAMAGED, f"A line of {part} is damaged: it has other fields than a file has.")
    return FileEntry(**known)


def parse_line(line: t.Union[str, bytes]) -> FileEntry:
    """A line that read_line judged before, or that this run made."""
    return FileEntry(**json.loads(line))


def headers_of(info: ObjectInfo) -> t.Dict[str, t.Any]:
    """The headers worth keeping: those that are set."""
    if info.headers is None:
        return {}
    return {
        name: dict(value) if isinstance(value, t.Mapping) else value
        for name, value in vars(info.headers).items()
        if value
    }


def as_headers(kept: t.Mapping[str, t.Any]) -> Headers:
    return Headers(**kept)


_FIELDS = frozenset(item.name for item in fields(FileEntry))
_HEADERS = frozenset(item.name for item in fields(Headers))

#: The headers that a set of this version keeps; its manifest names them.
KEPT_HEADERS = tuple(sorted(_HEADERS))


class Catalogue:
    """The files of a bucket in a temporary database, so that millions need no memory.

    A file is known when its line is: taken over from the last set, or made when the file was stored.
    """

    def __init__(self, folder: str) -> None:
        self._database = sqlite3.connect(os.path.join(folder, "files.sqlite"), check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._lock = threading.Lock()
        self._database.executescript(
            """
            CREATE TABLE old (
                key TEXT PRIMARY KEY, size INTEGER, etag TEXT, modified TEXT, settled INTEGER, line TEXT
            ) WITHOUT ROWID;
            CREATE TABLE held (
                object TEXT PRIMARY KEY, codec TEXT, stored_size INTEGER, stored_sha256 TEXT
            ) WITHOUT ROWID;
            CREATE TABLE stored (sha256 TEXT PRIMARY KEY, line TEXT) WITHOUT ROWID;
            CREATE TABLE files (
                key TEXT PRIMARY KEY, size INTEGER, etag TEXT, modified TEXT, class TEXT, line TEXT
            ) WITHOUT ROWID;
            """
        )

    def add_old(self, lines: t.Iterable[bytes], listed_at: str) -> None:
        """The lines of the last set, whose bucket was listed at that instant of the bucket's own clock."""
        last = format_instant(parse_instant(listed_at) - _SETTLED)[:_SECOND]
        pairs = ((read_line(line), line.decode()) for line in lines)
        rows = (
            (entry.key, entry.size, bare_etag(entry.etag), entry.modified, entry.modified[:_SECOND] <= last, line)
            for entry, line in pairs
        )
        self._insert("INSERT OR REPLACE INTO old VALUES (?, ?, ?, ?, ?, ?)", rows)

    def add_held(self, references: t.Iterable[t.Union[str, bytes]], *, judged: bool = False) -> None:
        """Which objects the store holds, and in which bytes: lines, or what to_reference makes of them.

        judged: the lines are those of old_lines.
        """
        known = (json.loads(line) if judged else reference_in(line, "the references") for line in references)
        rows = (tuple(reference[name] for name in _REFERENCE) for reference in known)
        self._insert("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", rows)

    def old_lines(self) -> t.Iterator[str]:
        """The lines that add_old took."""
        pages = self._pages("SELECT key, line FROM old WHERE key > ? ORDER BY key LIMIT ?")
        return (line for _key, line in pages)

    def clear_old(self) -> None:
        """Forget what add_old took, because its end was missing."""
        with self._lock:
            self._database.execute("DELETE FROM old")

    def add_files(self, infos: t.Iterable[ObjectInfo]) -> None:
        """Add the files of the current listing; an unchanged file keeps its line."""
        rows = (
            (info.key, info.size, bare_etag(info.etag), format_instant(info.modified), info.storage_class)
            for info in infos
        )
        self._insert("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, NULL)", rows)
        with self._lock:
            self._database.execute(_TAKE_OVER)

    def without_etag(self) -> int:
        """The number of files that the bucket lists without an ETag."""
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM files WHERE etag = ''").fetchone()[0])

    def totals(self) -> t.Tuple[int, int, int, int]:
        """Files, their bytes, how many of them are not known yet, and the bytes of those."""
        with self._lock:
            row = self._database.execute(
                """
                SELECT count(*), coalesce(sum(size), 0), count(*) FILTER (WHERE line IS NULL),
                       coalesce(sum(size) FILTER (WHERE line IS NULL), 0)
                FROM files
                """
            ).fetchone()
        return t.cast(t.Tuple[int, int, int, int], row)

    def gone(self) -> int:
        """The number of files of the last set that the bucket no longer has."""
        with self._lock:
            return int(
                self._database.execute("SELECT count(*) FROM old WHERE key NOT IN (SELECT key FROM files)").fetchone()[
                    0
                ]
            )

    def unknown(self) -> t.Iterator[t.Tuple[str, int, str, str]]:
        """Key, size, ETag and time, as listed, of every file without a line, while lines are added."""
        return t.cast(
            t.Iterator[t.Tuple[str, int, str, str]],
            self._pages(
                "SELECT key, size, etag, modified FROM files WHERE line IS NULL AND key > ? ORDER BY key LIMIT ?"
            ),
        )

    def unknown_of(self, classes: t.Sequence[str]) -> t.Iterator[str]:
        """Keys of the files without a line that the bucket lists in one of these storage classes."""
        listed = "', '".join(classes)
        pages = self._pages(
            f"SELECT key FROM files WHERE line IS NULL AND class IN ('{listed}') AND key > ? ORDER BY key LIMIT ?"
        )
        return (row[0] for row in pages)

    def lines(self) -> t.Iterator[str]:
        """The lines of all known files, by key."""
        pages = self._pages("SELECT key, line FROM files WHERE line IS NOT NULL AND key > ? ORDER BY key LIMIT ?")
        return (line for _key, line in pages)

    def know(self, entry: FileEntry) -> None:
        with self._lock:
            self._database.execute("UPDATE files SET line = ? WHERE key = ?", (entry.to_line(), entry.key))

    def forget(self, key: str, *, file_too: bool = False) -> None:
        """Remove the line of a file; with file_too, also the file, because it no longer exists."""
        statement = "DELETE FROM files WHERE key = ?" if file_too else "UPDATE files SET line = NULL WHERE key = ?"
        with self._lock:
            self._database.execute(statement, (key,))

    def held(self, name: str) -> t.Optional[t.Tuple[str, int, str]]:
        """Codec, stored size and stored digest of an object that the last set needs."""
        with self._lock:
            row = self._database.execute(
                "SELECT codec, stored_size, stored_sha256 FROM held WHERE object = ?", (name,)
            ).fetchone()
        return t.cast(t.Optional[t.Tuple[str, int, str]], row)

    def remember(self, sha256: str, place: t.Mapping[str, t.Any]) -> None:
        """Where content lies that this run stored."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO stored VALUES (?, ?)", (sha256, json.dumps(place)))

    def remembered(self, sha256: str) -> t.Optional[t.Dict[str, t.Any]]:
        """The facts of the content that remember stored."""
        with self._lock:
            row = self._database.execute("SELECT line FROM stored WHERE sha256 = ?", (sha256,)).fetchone()
        return t.cast(t.Dict[str, t.Any], json.loads(row[0])) if row else None

    def close(self) -> None:
        self._database.close()

    def _insert(self, statement: str, rows: t.Iterable[t.Tuple[t.Any, ...]]) -> None:
        batch = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                with self._lock:
                    self._database.executemany(statement, batch)
                batch = []
        with self._lock:
            self._database.executemany(statement, batch)

    def _pages(self, query: str) -> t.Iterator[t.Tuple[t.Any, ...]]:
        last = ""
        while True:
            with self._lock:
                rows = self._database.execute(query, (last, _BATCH)).fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][0]


def parts_of(lines: t.Iterable[str]) -> t.Iterator[t.List[str]]:
    """The lines in parts; which lines stand together depends on the names alone."""
    part: t.List[str] = []
    for line in lines:
        part.append(line)
        if zlib.crc32(json.loads(line)["key"].encode()) % _ENDS == 0 or len(part) >= _LONGEST:
            yield part
            part = []
    if part:
        yield part


def mark_of(info: ObjectInfo) -> str:
    """A text that changes when the file changes."""
    return f"{info.size} {bare_etag(info.etag)} {format_instant(info.modified)[:_SECOND]}"


def listed_time(info: ObjectInfo, size: int, etag: str, modified: str) -> str:
    """The time to remember of an object that was listed with this size, ETag and time, and read afterwards.

    The listing's, which the next listing is compared with, unless the object was seen to have changed in between. An
    object itself may have another second, or no fractions of a second. After an undetected change the next listing has
    another time, so the file is read again.
    """
    changed = info.size != size or same_etag(info.etag, etag) is False
    return format_instant(info.modified) if changed else modified
