# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SHA-256 and size of bytes while they pass by, and the ETag that others give them."""

from __future__ import annotations

import hashlib
import typing as t

CHUNK_SIZE = 256 * 1024


class Tally:
    """Counts and hashes what flows through C(watch)."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._hash.update(chunk)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything so far."""
        return self._hash.hexdigest()

    def watch(self, chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
        for chunk in chunks:
            self.add(chunk)
            yield chunk


def file_chunks(path: str, size: int = CHUNK_SIZE) -> t.Iterator[bytes]:
    """The bytes of a file in chunks of the given size."""
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(size)
            if not chunk:
                return
            yield chunk


def file_tally(path: str) -> Tally:
    tally = Tally()
    for chunk in file_chunks(path):
        tally.add(chunk)
    return tally


def bare_etag(etag: t.Optional[str]) -> str:
    """An ETag without its quotes, which some services leave out, and without W/, which proxies add.

    Empty for none: a store that computes no ETag sends an empty one, or only the quotes.
    """
    text = (etag or "").strip()
    return (text[2:] if text.startswith("W/") else text).strip('"')


def same_etag(one: t.Optional[str], other: t.Optional[str]) -> t.Optional[bool]:
    """Whether two ETags are one. None where either is missing, so that ETags prove nothing."""
    first, second = bare_etag(one), bare_etag(other)
    return first == second if first and second else None
