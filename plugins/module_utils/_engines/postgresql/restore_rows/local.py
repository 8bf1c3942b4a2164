# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of some tables, brought here once, compressed as they are, and read as often as needed."""

from __future__ import annotations

import typing as t

from ...._core.digest import file_chunks
from ...._core.parallel import in_order
from ...._repository.fetch import fetch_stored, plain_chunks, proved_rows
from ...._repository.manifest import ObjectEntry
from ...._store.base import ObjectStore
from .description import Rows


class LocalObjects:
    """Keeps objects in a folder. bytes_fetched counts what came from the store."""

    def __init__(self, store: ObjectStore, folder: str, *, parallel: int) -> None:
        self._store, self._folder, self._parallel = store, folder, parallel
        self._paths: t.Dict[str, str] = {}
        self.bytes_fetched = 0
        self.location, self.sealing = store.location, store.sealing

    def bring(self, entries: t.Iterable[ObjectEntry]) -> None:
        """Fetch those that are not here yet. Raises RecoveryError as fetch_stored."""
        missing = {entry.key: entry for entry in entries if entry.key not in self._paths}
        paths = in_order(list(missing.values()), self._bring, parallel=self._parallel)
        self._paths.update(zip(missing, paths))
        self.bytes_fetched += sum(entry.stored_size for entry in missing.values())

    def content(self, entry: ObjectEntry) -> bytes:
        """The plain bytes of a small object."""
        self.bring([entry])
        return b"".join(plain_chunks(self.read(entry.key), entry, self.sealing))

    def lines(self, rows: Rows) -> t.Iterator[bytes]:
        """The COPY lines of an object, in blocks that may end within a line."""
        self.bring([rows.entry])
        return proved_rows(self, rows.entry)

    def read(self, key: str) -> t.Iterator[bytes]:
        """The stored bytes, as a store gives them."""
        return file_chunks(self._paths[key])

    def _bring(self, entry: ObjectEntry) -> str:
        return fetch_stored(self._store, entry, self._folder)
