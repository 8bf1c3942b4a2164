# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every store promises: streams in, streams out, nothing visible until it is whole."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

#: Cloudflare R2 refuses multipart uploads whose parts differ in size, so all stores use one size.
PART_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    """One object as the store describes it. size is in bytes; modified is the store's own clock."""

    key: str
    size: int
    modified: datetime
    etag: t.Optional[str] = None


class ObjectStore(t.Protocol):
    """A flat namespace of immutable byte strings under slash-separated keys.

    Keys are relative to the prefix the store was opened with. Every method raises RecoveryError:
    unreachable, access_denied, store_full, timeout, or store_failed for the rest.
    """

    #: For messages: where this store is, without credentials. C(s3://bucket/prefix) or a path.
    location: str

    def put(self, key: str, chunks: t.Iterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Store the chunks under key; the object is visible only when it is complete.

        With if_absent an existing key raises RecoveryError(already_exists) and is left as it is;
        a store without conditional writes checks first, which is not safe against a race.
        The answer's etag may be None even where head gives one.
        An exception raised by the iterable aborts the upload and leaves no object and no parts.
        """

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        """Yield the object's bytes from offset start, resuming after a broken connection.

        Raises RecoveryError(object_missing) when there is no such key; never yields fewer bytes
        than the object has without raising.
        """

    def head(self, key: str) -> t.Optional[ObjectInfo]:
        """Describe one object, or None when it does not exist."""

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        """Yield every object whose key starts with prefix, in key order, page by page."""

    def delete(self, keys: t.Iterable[str]) -> None:
        """Remove the keys; a key that does not exist is not an error."""

    def close(self) -> None:
        """Release connections and threads."""


def read_all(store: ObjectStore, key: str, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The whole of a small object; refuses one larger than limit bytes with ValueError."""
    collected = bytearray()
    for chunk in store.read(key):
        collected += chunk
        if len(collected) > limit:
            raise ValueError(f"{key} is larger than {limit} bytes")
    return bytes(collected)
