# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Content-addressed objects of one tier: each content is stored once, under the digest of its plain bytes."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from concurrent.futures import Future
from dataclasses import dataclass, replace

from .._core.codec import CODECS, decompress
from .._core.digest import Tally, same_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.name_index import NameIndex
from .._core.parallel import for_each
from .._core.sealing import Sealing
from .._store.base import ObjectStore
from .catalogue import verifications
from .layout import object_key, objects_prefix
from .packing import IN_MEMORY, Content, Packing

#: From so many new objects on, a listing costs less than a request for each.
_MANY = 500

#: Names of one content that are tried. Each damaged object, and each backup that was killed, may occupy one.
_GENERATIONS = 1000

_OPEN = Sealing()


@dataclass(frozen=True)
class Recorded:
    """The facts of an object in a set. etag is None if no set recorded it."""

    codec: str
    size: int
    sha256: str
    etag: t.Optional[str] = None


@dataclass(frozen=True)
class Seen:
    """The known facts of an object under a key.

    size and etag are those of the store; size is None if the store has no object. recorded: the facts in a set.
    others_may_need_it: sets that were not read may have other facts.
    """

    size: t.Optional[int] = None
    etag: t.Optional[str] = None
    recorded: t.Optional[Recorded] = None
    others_may_need_it: bool = False

    @property
    def is_as_recorded(self) -> bool:
        known = self.recorded
        return known is not None and self.size == known.size and same_etag(self.etag, known.etag) is not False


@dataclass(frozen=True)
class StoredContent:
    """Where content lies; uploaded is the number of bytes that were sent for it, None when the tier held it."""

    name: str
    key: str
    codec: str
    size: int
    sha256: str
    uploaded: t.Optional[int]
    etag: t.Optional[str] = None


class Presence(t.Protocol):
    """Finds what a tier holds: by a request for each object, or from a listing. Used from several threads."""

    def look(self, name: str, key: str) -> Seen:
        """The known facts of an object that would be reused or replaced."""

    def remember(self, digest: str, stored: StoredContent) -> None:
        """Keep the object of content that this backup stored."""

    def remembered(self, digest: str) -> t.Optional[StoredContent]:
        """The object that remember kept for the digest of this content."""


class ContentStore:
    """Stores content of one tier. Used from several threads; close removes its list of new objects."""

    def __init__(self, store: ObjectStore, source: str, tier: str, presence: Presence, packing: Packing) -> None:
        self._store, self._source, self._tier = store, source, tier
        self._presence, self._packing = presence, packing
        self._claims: t.Dict[str, Future[StoredContent]] = {}
        self._lock = threading.Lock()
        self._new = NameIndex()
        #: Keys of objects that a verification found damaged.
        self.damaged = {key for item in verifications(store, source, tier).values() for key in item.damaged}

    def close(self) -> None:
        self._new.close()

    def is_new(self, name: str) -> bool:
        """Whether this backup stored the object of that name."""
        return name in self._new

    def store(self, plain: Tally, content: Content, *, encrypt: bool = True) -> StoredContent:
        """Store content unless the tier holds it. Equal content is stored once, also when two threads bring it.

        plain is the tally of the content. If encrypt is false, the object is readable without a key.
        """
        sealing = self._store.sealing if encrypt else _OPEN
        digest = sealing.name_of(self._source, plain.sha256)
        with self._lock:
            done, claim = self._presence.remembered(digest), self._claims.get(digest)
            mine: Future[StoredContent] = Future()
            if done is None and claim is None:
                self._claims[digest] = mine
        if done is not None or claim is not None:
            return replace(done or t.cast("Future[StoredContent]", claim).result(), uploaded=None)
        try:
            stored = self._reused_or_sent(plain, content, sealing)
        except BaseException as error:
            mine.set_exception(error)
            raise
        with self._lock:
            self._presence.remember(digest, stored)
            del self._claims[digest]
        mine.set_result(stored)
        return stored

    def _reused_or_sent(self, plain: Tally, content: Content, sealing: Sealing) -> StoredContent:
        for generation in range(_GENERATIONS):
            name = sealing.name_of(self._source, plain.sha256, generation)
            key = object_key(self._source, self._tier, name)
            seen, damaged = self._presence.look(name, key), key in self.damaged
            known = seen.recorded
            if known is not None and seen.is_as_recorded and not damaged:
                return StoredContent(name, key, known.codec, known.size, known.sha256, None, known.etag)
            if sealing.encrypts:
                if damaged or known is not None or seen.size is not None:
                    # Encrypted again, the content has other bytes, which must not replace bytes that a set describes.
                    continue
            elif seen.size is not None and known is None and seen.others_may_need_it and not damaged:
                adopted = self._adopted(name, key, plain)
                if adopted is not None:
                    return adopted
            try:
                return self._send(name, key, plain, content, sealing)
            except RecoveryError as error:
                if not sealing.encrypts or error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
                # Another backup of the source stored the object in the meantime, encrypted to other bytes.
        raise RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{self._store.location} shows {_GENERATIONS} objects of one content, which no set describes as they are.",
            left="No backup set was written; earlier sets are unchanged.",
            next_step="Run backup_verify on this source, and retention_prune afterwards.",
        )

    def _send(self, name: str, key: str, plain: Tally, content: Content, sealing: Sealing) -> StoredContent:
        packed = Tally()
        codec, chunks = self._packing(content, plain.size)
        chunks = packed.watch(sealing.encrypt(chunks))
        # A list is sent in one request.
        self._store.put(key, list(chunks) if plain.size <= IN_MEMORY else chunks, if_absent=sealing.encrypts)
        self._new.add(name, packed.size)
        return StoredContent(name, key, codec, packed.size, packed.sha256, packed.size)

    def _adopted(self, name: str, key: str, plain: Tally) -> t.Optional[StoredContent]:
        """An object that an unread set may need; None if its content does not match its name.

        The object is read to prove it, and stored again unchanged: other bytes would damage that set, and if no set
        needs the object, pruning must count it as new.
        """
        small = b"".join(self._store.read(key)) if plain.size <= IN_MEMORY else None

        def stored() -> t.Iterable[bytes]:
            return self._store.read(key) if small is None else [small]

        for codec in CODECS:
            unpacked, found = Tally(), Tally()
            with contextlib.suppress(RecoveryError):
                for chunk in decompress(unpacked.watch(stored()), codec, limit=plain.size):
                    found.add(chunk)
                if found.sha256 == plain.sha256:
                    self._store.put(key, stored())
                    self._new.add(name, unpacked.size)
                    return StoredContent(name, key, codec, unpacked.size, unpacked.sha256, None)
        return None

    def confirm(self, key: str, size: int, etag: t.Optional[str] = None) -> t.Optional[str]:
        """Ask the store for an object, because only what the store shows exists. Returns the ETag.

        Raises RecoveryError(store_failed) for another size, or another ETag than etag.
        """
        info = self._store.head(key)
        if info is None or info.size != size or same_etag(info.etag, etag) is False:
            seen = "missing" if info is None else f"{info.size} bytes"
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"{self._store.location} accepted {key} with {size} bytes, but shows it as {seen}.",
                left="No backup set was written; earlier sets are unchanged.",
                next_step="Check the store, then run the backup again.",
            )
        return info.etag

    def confirm_new(self, *, parallel: int) -> None:
        """Confirm each object that this backup stored, from a listing when they are many. Raises as confirm."""
        with NameIndex() as listed:
            if len(self._new) > _MANY:
                prefix = objects_prefix(self._source, self._tier)
                listed.add_all((item.key.rpartition("/")[2], item.size) for item in self._store.list(prefix))
            rest = ((name, size) for name, size in self._new.items() if listed.get(name) != size)
            for _done in for_each(
                rest,
                lambda item: self.confirm(object_key(self._source, self._tier, item[0]), item[1]),
                parallel=parallel,
            ):
                pass
