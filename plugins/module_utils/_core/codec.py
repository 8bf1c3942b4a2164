# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compression as a stream: zstd, gzip or none."""

from __future__ import annotations

import typing as t
import zlib

from .errors import ErrorKind, RecoveryError

try:
    import zstandard
except ImportError:
    zstandard = None  # type: ignore[assignment]

CODECS = ("zstd", "gzip", "none")

#: What decompress yields at a time, about, in bytes: more does not make it faster.
_PLAIN_BLOCK = 256 * 1024
_FIRST_SLICE = 64

#: Level 1 of zstd is three times as fast as level 3 on dumps and hardly larger.
DEFAULT_LEVELS = {"zstd": 1, "gzip": 6, "none": 0}


def require_codec(codec: str) -> None:
    """Raise RecoveryError when the codec is unknown or its library is missing."""
    if codec not in CODECS:
        raise RecoveryError(ErrorKind.UNSUPPORTED, f"The codec {codec!r} is not known to this version.")
    if codec == "zstd" and zstandard is None:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            "The Python library zstandard is missing on this host.",
            next_step="Install it with: pip install zstandard",
        )


def compress(
    chunks: t.Iterable[bytes], codec: str, *, level: t.Optional[int] = None, threads: int = 0
) -> t.Iterator[bytes]:
    """Yield the chunks compressed. threads above 0 lets zstd use that many more."""
    require_codec(codec)
    if codec == "none":
        yield from chunks
        return
    chosen = DEFAULT_LEVELS[codec] if level is None else level
    compressor: t.Any
    if codec == "zstd":
        # The frame checksum lets "zstd -t" find damage when nobody has our manifest.
        compressor = zstandard.ZstdCompressor(level=chosen, threads=threads, write_checksum=True).compressobj()
    else:
        compressor = zlib.compressobj(chosen, zlib.DEFLATED, 31)
    for chunk in chunks:
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()


def decompress(chunks: t.Iterable[bytes], codec: str) -> t.Iterator[bytes]:
    """Yield the plain bytes in blocks of about 256 KiB; several frames or members in a row are one stream.

    Raises RecoveryError(damaged) when the data is not of this codec or ends too early.
    """
    require_codec(codec)
    if codec == "none":
        yield from chunks
        return
    decoder = None
    take = _FIRST_SLICE
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if decoder is None:
                decoder = _decoder(codec)
            piece, rest = rest[:take], rest[take:]
            plain = _decoded(decoder, codec, piece)
            # Slices as large as give a block, so that memory stays small however well the data compresses.
            take = max(16, min(2 * take, len(piece) * _PLAIN_BLOCK // max(len(plain), 1)))
            if plain:
                yield plain
            if decoder.eof:
                rest = memoryview(decoder.unused_data + bytes(rest))
                decoder = None
    if decoder is not None:
        raise RecoveryError(ErrorKind.DAMAGED, f"The {codec} data ends too early.", left="", next_step="")


def _decoded(decoder: t.Any, codec: str, piece: memoryview) -> bytes:
    try:
        return bytes(decoder.decompress(piece))
    except Exception as error:
        if not isinstance(error, (zlib.error, getattr(zstandard, "ZstdError", zlib.error))):
            raise
        raise RecoveryError(
            ErrorKind.DAMAGED, f"The {codec} data is damaged: {error}.", left="", next_step=""
        ) from None


def _decoder(codec: str) -> t.Any:
    return zstandard.ZstdDecompressor().decompressobj() if codec == "zstd" else zlib.decompressobj(31)
