# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of names with a number each that does not grow in memory: what is too much goes to a temporary file."""

from __future__ import annotations

import sqlite3
import threading
import typing as t

_BATCH = 10_000


class NameIndex:
    """Names, each with a number. May be used from several threads; close removes it."""

    def __init__(self) -> None:
        # An empty name is a private database that SQLite keeps in memory until it is large, then on disk.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("CREATE TABLE names (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID")
        self._lock = threading.Lock()

    def add(self, name: str, number: int = 0) -> None:
        """Remember the name, with this number from now on."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, number))

    def add_all(self, rows: t.Iterable[t.Tuple[str, int]]) -> None:
        batch: t.List[t.Tuple[str, int]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                self._add_batch(batch)
                batch = []
        self._add_batch(batch)

    def get(self, name: str) -> t.Optional[int]:
        """The number of a name, or None if the index lacks it."""
        with self._lock:
            row = self._database.execute("SELECT number FROM names WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __len__(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM names").fetchone()[0])

    def items(self) -> t.Iterator[t.Tuple[str, int]]:
        """All names in their order. Nothing may be added until the last one was read."""
        last = ""
        while True:
            with self._lock:
                rows = self._database.execute(
                    "SELECT name, number FROM names WHERE name > ? ORDER BY name LIMIT ?", (last, _BATCH)
                ).fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][0]

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> NameIndex:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _add_batch(self, batch: t.Sequence[t.Tuple[str, int]]) -> None:
        with self._lock:
            self._database.executemany("INSERT OR REPLACE INTO names VALUES (?, ?)", batch)
