# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows, objects and findings in a temporary database on disk, so that millions of them need no memory."""

from __future__ import annotations

import os
import sqlite3
import threading
import typing as t
import unicodedata

from .._core.clock import format_instant
from .._store.base import ObjectInfo
from .table import MediaRow

_BATCH = 5000
#: The object that Supabase Storage makes for an empty folder.
_PLACEHOLDER = ".emptyFolderPlaceholder"

#: Findings about rows. misnamed: the bucket has an object whose name differs only by case or by Unicode normalization.
MISSING, DAMAGED, MISNAMED = "missing", "damaged", "misnamed"

_TABLES = """
CREATE TABLE rows (id INTEGER PRIMARY KEY, key TEXT, size INTEGER, type TEXT, digest TEXT);
CREATE TABLE objects (key TEXT PRIMARY KEY, size INTEGER, etag TEXT, modified TEXT) WITHOUT ROWID;
CREATE TABLE findings (
    key TEXT PRIMARY KEY, class TEXT, reason TEXT, size INTEGER, type TEXT, digest TEXT, chosen TEXT, other TEXT,
    second TEXT
) WITHOUT ROWID;
CREATE TABLE folded (name TEXT, key TEXT);
"""


class Pair(t.NamedTuple):
    """A row, and the size and ETag of its object by the listing; None without an object."""

    row: MediaRow
    size: t.Optional[int]
    etag: t.Optional[str]


class Finding(t.NamedTuple):
    """A row whose file is missing or damaged. reason: as a clause; empty if the file is just missing.

    chosen: the backup set that the file is restored from. second: the newest set that has the file, but not as the row
    states.
    """

    key: str
    kind: str
    reason: str
    size: t.Optional[int]
    type: t.Optional[str]
    digest: t.Optional[str]
    chosen: t.Optional[str]
    second: t.Optional[str]

    @property
    def stated(self) -> MediaRow:
        """The row, or only its key if no set has the file as the row states."""
        facts = (None, None, None) if self.chosen == self.second else (self.size, self.type, self.digest)
        return MediaRow(self.key, *facts)


class Ledger:
    """May be used from several threads."""

    def __init__(self, folder: str) -> None:
        self._database = sqlite3.connect(os.path.join(folder, "media.sqlite"), check_same_thread=False)
        self._database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
        self._lock = threading.Lock()

    def close(self) -> None:
        self._database.close()

    def add_rows(self, rows: t.Iterable[MediaRow]) -> None:
        self._insert("INSERT INTO rows (key, size, type, digest) VALUES (?, ?, ?, ?)", rows)
        with self._lock:
            self._database.execute("CREATE INDEX by_key ON rows (key)")

    def add_objects(self, objects: t.Iterable[ObjectInfo]) -> None:
        rows = ((info.key, info.size, info.etag, format_instant(info.modified)) for info in objects)
        self._insert("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", rows)

    def add_finding(self, row: MediaRow, kind: str, reason: str) -> None:
        """The first finding of a file counts, if several rows have its key."""
        with self._lock:
            self._database.execute(
                "INSERT OR IGNORE INTO findings (key, class, reason, size, type, digest) VALUES (?, ?, ?, ?, ?, ?)",
                (row.key, kind, reason, row.size, row.type, row.digest),
            )

    def pairs(self) -> t.Iterator[Pair]:
        """Each row with its object, while findings are added."""
        sql = (
            "SELECT r.id, r.key, r.size, r.type, r.digest, o.size, o.etag FROM rows r "
            "LEFT JOIN objects o ON o.key = r.key WHERE r.id > ? ORDER BY r.id LIMIT ?"
        )
        for _id, key, size, kind, digest, listed, etag in self._pages(sql, 0):
            yield Pair(MediaRow(key, size, kind, digest), listed, etag)

    def unclaimed(self, until: str = "~") -> t.Iterator[t.Tuple[str, int, str]]:
        """Key, size and ETag of objects without a row that were written until an instant.

        Objects with nearly the name of a missing file are left out.
        """
        sql = (
            "SELECT o.key, o.size, o.etag FROM objects o WHERE o.modified <= ? AND o.key > ? "
            "AND NOT EXISTS (SELECT 1 FROM rows r WHERE r.key = o.key) "
            "AND o.key NOT IN (SELECT f.other FROM findings f WHERE f.other IS NOT NULL) ORDER BY o.key LIMIT ?"
        )
        rows = self._pages(sql, "", until)
        return (t.cast(t.Tuple[str, int, str], row) for row in rows if not _is_folder(row[0]))

    def pair_names(self) -> None:
        """Make findings of missing files misnamed if an object without a row has nearly their name."""
        if not self.count(MISSING):
            return
        self._insert(
            "INSERT INTO folded VALUES (?, ?)", ((_folded(key), key) for key, _size, _etag in self.unclaimed())
        )
        with self._lock:
            self._database.execute("CREATE INDEX by_name ON folded (name)")
        for finding in self.findings(MISSING):
            with self._lock:
                found = self._database.execute(
                    "SELECT min(key) FROM folded WHERE name = ?", (_folded(finding.key),)
                ).fetchone()
                if found[0] is not None:
                    self._database.execute(
                        "UPDATE findings SET class = ?, reason = ?, other = ? WHERE key = ?",
                        (MISNAMED, f"the bucket has {found[0]}", found[0], finding.key),
                    )

    def choose(self, key: str, chosen: str, *, fits: bool = True) -> None:
        """Note the backup set from which the file of a finding is restored. fits: False for a second choice."""
        column = "chosen" if fits else "second"
        with self._lock:
            self._database.execute(
                f"UPDATE findings SET {column} = ? WHERE key = ? AND {column} IS NULL", (chosen, key)
            )

    def take_second_choices(self) -> int:
        """Restore the files that no set has as their row states from the second choice; how many these are."""
        with self._lock:
            changed = self._database.execute(
                "UPDATE findings SET chosen = second WHERE chosen IS NULL AND second IS NOT NULL"
            )
            return int(changed.rowcount)

    def finding(self, key: str) -> t.Optional[Finding]:
        with self._lock:
            row = self._database.execute(f"SELECT {_FIELDS} FROM findings WHERE key = ?", (key,)).fetchone()
        return Finding(*row) if row else None

    def findings(self, kind: t.Optional[str] = None, *, lost: bool = False) -> t.Iterator[Finding]:
        """The findings by key, of one class or of all. lost: only those that no backup set has."""
        conditions = ["key > ?", *(["class = ?"] if kind else []), *(["chosen IS NULL"] if lost else [])]
        sql = (
            f"SELECT {_FIELDS} FROM findings WHERE {' AND '.join(conditions[1:] + conditions[:1])} ORDER BY key LIMIT ?"
        )
        return (Finding(*row) for row in self._pages(sql, "", *([kind] if kind else [])))

    def count(self, kind: t.Optional[str] = None, *, lost: bool = False) -> int:
        conditions = [*(["class = ?"] if kind else []), *(["chosen IS NULL"] if lost else [])] or ["1"]
        return self._number(
            f"SELECT count(*) FROM findings WHERE {' AND '.join(conditions)}", *([kind] if kind else [])
        )

    def chosen(self) -> t.Dict[str, int]:
        """The number of files that each backup set restores."""
        with self._lock:
            rows = self._database.execute(
                "SELECT chosen, count(*) FROM findings WHERE chosen IS NOT NULL GROUP BY chosen ORDER BY chosen"
            )
            return dict(rows.fetchall())

    def totals(self) -> t.Tuple[int, int]:
        """The number of rows and of objects."""
        return self._number("SELECT count(*) FROM rows"), self._number("SELECT count(*) FROM objects")

    def _number(self, sql: str, *parameters: t.Any) -> int:
        with self._lock:
            return int(self._database.execute(sql, parameters).fetchone()[0])

    def _insert(self, statement: str, rows: t.Iterable[t.Sequence[t.Any]]) -> None:
        batch: t.List[t.Sequence[t.Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                with self._lock:
                    self._database.executemany(statement, batch)
                batch = []
        with self._lock:
            self._database.executemany(statement, batch)

    def _pages(self, sql: str, last: t.Any, *parameters: t.Any) -> t.Iterator[t.Tuple[t.Any, ...]]:
        """The rows of a query whose first column grows; its last parameters are that column and the limit."""
        while True:
            with self._lock:
                rows = self._database.execute(sql, (*parameters, last, _BATCH)).fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][0]


def _is_folder(key: str) -> bool:
    """Whether an object only stands for a folder."""
    return key.endswith("/") or key.rpartition("/")[2] == _PLACEHOLDER


_FIELDS = "key, class, reason, size, type, digest, chosen, second"


def _folded(key: str) -> str:
    """The key without regard to case and Unicode normalization."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold())
