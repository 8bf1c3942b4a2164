# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bucket held: a line of JSON for each file, in parts that stay the same where nothing changed.

A part ends after a file whose name says so, so that a change in one place leaves the other parts as they are.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import typing as t
import zlib
from dataclasses import dataclass, field

from .._core.clock import format_instant
from .._store.base import Headers, ObjectInfo

#: One name in so many ends a part; and none is longer than this.
_ENDS = 1024
_LONGEST = 8192
_BATCH = 5000
_QUOTE = '"'


_REFERENCE = ("object", "codec", "stored_size", "stored_sha256")


@dataclass(frozen=True)
class FileEntry:
    """One file of a bucket, and where its bytes lie in the store.

    size, etag and modified are what the bucket said; sha256 is that of the file. object is the name of the object
    that holds it, in codec; stored_size and stored_sha256 are the object's own.
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
        """What those may know who hold no key: which object is needed, and how to prove it."""
        return json.dumps({name: getattr(self, name) for name in _REFERENCE}, sort_keys=True, separators=(",", ":"))


def parse_line(line: t.Union[str, bytes]) -> FileEntry:
    """Raises ValueError or TypeError for what is no such line."""
    return FileEntry(**json.loads(line))


def headers_of(info: ObjectInfo) -> t.Dict[str, t.Any]:
    """The headers worth keeping: those that are set."""
    if info.headers is None:
        return {}
    return {name: dict(value) if name == "metadata" else value for name, value in vars(info.headers).items() if value}


def as_headers(kept: t.Mapping[str, t.Any]) -> Headers:
    return Headers(**kept)


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
            CREATE TABLE old (key TEXT PRIMARY KEY, mark TEXT, line TEXT) WITHOUT ROWID;
            CREATE TABLE held (
                object TEXT PRIMARY KEY, codec TEXT, stored_size INTEGER, stored_sha256 TEXT
            ) WITHOUT ROWID;
            CREATE TABLE stored (sha256 TEXT PRIMARY KEY, line TEXT) WITHOUT ROWID;
            CREATE TABLE files (
                key TEXT PRIMARY KEY, mark TEXT, size INTEGER, etag TEXT, modified TEXT, line TEXT
            ) WITHOUT ROWID;
            """
        )

    def add_old(self, lines: t.Iterable[bytes]) -> None:
        """The lines of the last set."""
        pairs = ((parse_line(line), line.decode()) for line in lines)
        rows = ((entry.key, _mark(entry.size, entry.etag, entry.modified), line) for entry, line in pairs)
        self._insert("INSERT OR REPLACE INTO old VALUES (?, ?, ?)", rows)

    def add_held(self, references: t.Iterable[t.Union[str, bytes]]) -> None:
        """Which objects the store holds, and in which bytes: lines, or what to_reference makes of them."""
        known = (json.loads(line) for line in references)
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
        """What the bucket lists now; what is as it was takes its line over."""
        listed = ((info.key, info.size, info.etag or "", format_instant(info.modified)) for info in infos)
        rows = ((key, _mark(size, etag, modified), size, etag, modified) for key, size, etag, modified in listed)
        self._insert("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, NULL)", rows)
        with self._lock:
            self._database.execute(
                """
                UPDATE files SET line = (SELECT line FROM old WHERE old.key = files.key AND old.mark = files.mark)
                """
            )

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
        """How many files of the last set the bucket has no more."""
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

    def lines(self) -> t.Iterator[str]:
        """The lines of all known files, by key."""
        pages = self._pages("SELECT key, line FROM files WHERE line IS NOT NULL AND key > ? ORDER BY key LIMIT ?")
        return (line for _key, line in pages)

    def know(self, entry: FileEntry) -> None:
        with self._lock:
            self._database.execute("UPDATE files SET line = ? WHERE key = ?", (entry.to_line(), entry.key))

    def forget(self, key: str, *, file_too: bool = False) -> None:
        """Take the line of a file away; with file_too the file as well, because it is no more."""
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
        """What remember was told about the content."""
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
    """What changes when a file changes."""
    return _mark(info.size, info.etag or "", format_instant(info.modified))


def same_content(info: ObjectInfo, size: int, etag: str) -> bool:
    """Whether an object has the size and the ETag that a listing told; without an ETag nobody knows."""
    return bool(etag) and (info.size, (info.etag or "").strip(_QUOTE)) == (size, etag.strip(_QUOTE))


def _mark(size: int, etag: str, modified: str) -> str:
    # A listing may tell fractions of a second that the object itself does not, and leave out the quotes.
    return f"{size} {etag.strip(_QUOTE)} {modified[:19]}" if etag else f"{size} {modified}"
