# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file with the progress of long work, for operators and monitoring."""

from __future__ import annotations

import os
import threading
import time
import typing as t

from .errors import ErrorKind, RecoveryError
from .sizes import readable_seconds, readable_size

_EVERY_SECONDS = 0.5


class Progress:
    """Counts items and bytes, and keeps one line about them in a file, replaced as a whole at most twice a second.

    Without a path it only counts. total of items or bytes is 0 while it is not known.
    """

    def __init__(self, path: t.Optional[str], what: str) -> None:
        self._path, self._what = path, what
        self._began = time.monotonic()
        self._written = 0.0
        self._lock = threading.Lock()
        self._phase = ""
        self.items = self.total_items = 0
        self.bytes = self.total_bytes = 0

    def phase(self, name: str, *, total_items: int = 0, total_bytes: int = 0) -> None:
        """Begin a phase, from zero."""
        with self._lock:
            self._phase, self.items, self.bytes = name, 0, 0
            self.total_items, self.total_bytes = total_items, total_bytes
            self._began = time.monotonic()
            self._write()

    def add(self, items: int = 0, size: int = 0) -> None:
        with self._lock:
            self.items += items
            self.bytes += size
            if time.monotonic() - self._written >= _EVERY_SECONDS:
                self._write()

    def watch(self, chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
        """The chunks, counted as they pass."""
        for chunk in chunks:
            self.add(size=len(chunk))
            yield chunk

    def end(self) -> None:
        """Write the last line."""
        with self._lock:
            self._write()

    def line(self) -> str:
        """The content: C(media: reading: 1200 of 5000, 1.2 GiB of 4.8 GiB, 35.0 s, about 1 min 45 s to go)."""
        passed = time.monotonic() - self._began
        counted = f"{self.items} of {self.total_items}" if self.total_items else str(self.items)
        sized = readable_size(self.bytes) + (f" of {readable_size(self.total_bytes)}" if self.total_bytes else "")
        done = self.bytes / self.total_bytes if self.total_bytes else self.items / max(self.total_items, 1)
        rest = f", about {readable_seconds(passed / done - passed)} to go" if 0 < done < 1 else ""
        return f"{self._what}: {self._phase}: {counted}, {sized}, {readable_seconds(passed)}{rest}"

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._path is None:
            return
        temporary = f"{self._path}.{os.getpid()}"
        try:
            with open(temporary, "w", encoding="utf-8") as stream:
                stream.write(self.line() + "\n")
            os.replace(temporary, self._path)
        except OSError as error:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The file {self._path} cannot be written: {error.strerror}.",
                next_step="Give a progress_file in a folder that exists and has room, or leave it out.",
            ) from None
