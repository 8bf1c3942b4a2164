# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of equal size from chunks of any size, in buffers that limit the memory of all uploads together."""

from __future__ import annotations

import queue
import typing as t

from .base import PART_SIZE


class PartReader:
    """Joins chunks into parts of PART_SIZE, in buffers of a pool that are returned after sending."""

    def __init__(self, chunks: t.Iterable[bytes], buffers: queue.LifoQueue[t.Optional[bytearray]]) -> None:
        self._chunks = iter(chunks)
        self._buffers = buffers
        self._rest = b""
        self.exhausted = False
        self.size = 0

    def next(self) -> Part:
        """The next part: PART_SIZE bytes, or fewer at the end. Blocks while all buffers are in use."""
        buffer = self._buffers.get() or bytearray(PART_SIZE)
        filled = 0
        try:
            while filled < PART_SIZE:
                chunk = self._rest or next(self._chunks, None)
                self._rest = b""
                if chunk is None:
                    self.exhausted = True
                    break
                taken = min(len(chunk), PART_SIZE - filled)
                buffer[filled : filled + taken] = chunk[:taken]
                self._rest = chunk[taken:]
                filled += taken
            while not self.exhausted and not self._rest:
                # Read ahead, so that the last part is known to be the last.
                following = next(self._chunks, None)
                self.exhausted = following is None
                self._rest = following or b""
        except BaseException:
            self._buffers.put(buffer)
            raise
        self.size += filled
        return Part(buffer, filled, self._buffers)


class Part:
    """A filled buffer; it must be returned exactly once."""

    def __init__(self, buffer: bytearray, length: int, pool: queue.LifoQueue[t.Optional[bytearray]]) -> None:
        self._buffer, self._length, self._pool = buffer, length, pool

    @property
    def body(self) -> bytearray:
        """The bytes to send, without a copy: a last part cuts its buffer off."""
        del self._buffer[self._length :]
        return self._buffer

    def give_back(self) -> None:
        self._pool.put(self._buffer if self._length == PART_SIZE else None)
