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

#: The approximate size of a block that decompress yields, in bytes: larger blocks are not faster.
_PLAIN_BLOCK = 256 * 1024

#: Packed bytes per call. zstd makes up to 128 KiB of 4 bytes and has no bound for one call, so that 1 KiB is at most
#: 32 MiB; zlib has a bound for one call.
_FIRST_SLICE, _LAST_SLICE = 64, 1024

#: Bytes that a zstd frame may ask for as window: what its levels up to 22 need without --long.
_WINDOW = 128 * 1024 * 1024

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
        # The frame checksum lets "zstd -t" find damage if the manifest is lost.
        compressor = zstandard.ZstdCompressor(level=chosen, threads=threads, write_checksum=True).compressobj()
    else:
        compressor = zlib.compressobj(chosen, zlib.DEFLATED, 31)
    for chunk in chunks:
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()


def decompress(chunks: t.Iterable[bytes], codec: str, *, limit: t.Optional[int] = None) -> t.Iterator[bytes]:
    """Yield the plain bytes in blocks of about 256 KiB; several frames or members in a row are one stream.

    Raises RecoveryError(damaged) when the data is not of this codec, ends too early, or is longer than limit bytes:
    then at most limit bytes were yielded, and memory stayed bounded.
    """
    require_codec(codec)
    left = limit
    for block in chunks if codec == "none" else _blocks(_unpacked(chunks, codec)):
        if left is not None:
            left -= len(block)
            if left < 0:
                raise RecoveryError(
                    ErrorKind.DAMAGED, f"The plain size of the data is more than {limit} bytes.", left="", next_step=""
                )
        yield block


def _blocks(pieces: t.Iterable[bytes]) -> t.Iterator[bytes]:
    """The pieces, small ones joined."""
    held: t.List[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PLAIN_BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _unpacked(chunks: t.Iterable[bytes], codec: str) -> t.Iterator[bytes]:
    decoder = None
    take = _FIRST_SLICE
    for chunk in chunks:
        data, position = memoryview(chunk), 0
        while position < len(data):
            if decoder is None:
                # A stream may be many tiny frames: what follows one is looked at in small slices again.
                decoder, take = _decoder(codec), _FIRST_SLICE
            piece = data[position : position + take]
            position += len(piece)
            made = 0
            for plain in _decoded(decoder, codec, piece):
                made += len(plain)
                yield plain
            # Slices as large as give a block, so that memory stays small however well the data compresses.
            fitting = max(16, len(piece) * _PLAIN_BLOCK // max(made, 1))
            take = min(2 * take, fitting, _LAST_SLICE if codec == "zstd" else _PLAIN_BLOCK)
            if decoder.eof:
                position -= len(decoder.unused_data)
                decoder = None
    if decoder is not None:
        raise RecoveryError(ErrorKind.DAMAGED, f"The {codec} data ends too early.", left="", next_step="")


def _decoded(decoder: t.Any, codec: str, piece: memoryview) -> t.Iterator[bytes]:
    try:
        if codec == "zstd":
            yield bytes(decoder.decompress(piece))
            return
        rest: t.Union[bytes, memoryview] = piece
        while rest:
            yield decoder.decompress(rest, _PLAIN_BLOCK)
            rest = decoder.unconsumed_tail
    except Exception as error:
        if not isinstance(error, (zlib.error, getattr(zstandard, "ZstdError", zlib.error))):
            raise
        raise RecoveryError(
            ErrorKind.DAMAGED, f"The {codec} data is damaged: {error}.", left="", next_step=""
        ) from None


def _decoder(codec: str) -> t.Any:
    return (
        zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        if codec == "zstd"
        else zlib.decompressobj(31)
    )
