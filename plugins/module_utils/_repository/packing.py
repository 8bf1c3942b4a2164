# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compression of the content of objects."""

from __future__ import annotations

import os
import typing as t

from .._core.codec import compress

#: Up to this size content is held in memory.
IN_MEMORY = 4 * 1024 * 1024

#: From this size on, compressing one file is worth several threads.
_LARGE = 64 * 1024 * 1024

#: Content that compresses to more than this share of its size is stored uncompressed.
_WORTH_COMPRESSING = 0.95
_SAMPLE = 256 * 1024
_TOO_SMALL = 100

#: Gives the content again at each call.
Content = t.Callable[[], t.Iterable[bytes]]


class Packing(t.Protocol):
    """Compresses content of a size. Returns the codec and the compressed chunks."""

    def __call__(self, content: Content, size: int) -> t.Tuple[str, t.Iterable[bytes]]: ...


def always(codec: str, level: t.Optional[int], parallel: int) -> Packing:
    """Use the codec for all content: dumps compress well. parallel: objects that are stored at the same time."""
    # Processors that the uploads themselves leave over; each thread costs some 10 MB.
    threads = min(4, (os.cpu_count() or 1) // (parallel + 1))

    def pack(content: Content, size: int) -> t.Tuple[str, t.Iterable[bytes]]:
        return codec, compress(content(), codec, level=level, threads=threads if size >= _LARGE else 0)

    return pack


def where_smaller(codec: str) -> Packing:
    """Use the codec only for content that it makes smaller: files of a bucket are often compressed already."""

    def pack(content: Content, size: int) -> t.Tuple[str, t.Iterable[bytes]]:
        if size <= IN_MEMORY:
            used, data = _smaller(codec, b"".join(content()))
            return used, [data]
        used = _smaller(codec, _sample(content()))[0]
        return used, compress(content(), used)

    return pack


def _smaller(codec: str, data: bytes) -> t.Tuple[str, bytes]:
    if codec == "none" or len(data) < _TOO_SMALL:
        return "none", data
    packed = b"".join(compress([data], codec))
    return (codec, packed) if len(packed) <= _WORTH_COMPRESSING * len(data) else ("none", data)


def _sample(chunks: t.Iterable[bytes]) -> bytes:
    sample = b""
    for chunk in chunks:
        sample += chunk
        if len(sample) >= _SAMPLE:
            break
    return sample[:_SAMPLE]
