# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every store promises: streams in, streams out, nothing visible until it is whole."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._core.digest import Tally, same_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing

#: Storage classes whose objects must be thawed before they can be read.
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")

#: A class whose objects may be archived, which only a request for the object shows.
TIERING_CLASS = "INTELLIGENT_TIERING"

#: Cloudflare R2 refuses multipart uploads whose parts differ in size, so all stores use one size.
PART_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Headers:
    """What an S3 store keeps beside an object's bytes. metadata has its keys in lower case, without a prefix.

    expires is the text of the header. tags are in no answer about an object; C(ObjectStore.tags) asks for them.
    """

    content_type: t.Optional[str] = None
    cache_control: t.Optional[str] = None
    content_disposition: t.Optional[str] = None
    content_encoding: t.Optional[str] = None
    content_language: t.Optional[str] = None
    metadata: t.Mapping[str, str] = field(default_factory=dict)
    expires: t.Optional[str] = None
    website_redirect: t.Optional[str] = None
    storage_class: t.Optional[str] = None
    tags: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectInfo:
    """One object as the store describes it. size is in bytes; modified is the store's own clock.

    etag is None where the store gives none. A listing may have fractions of a second that head has not.

    headers are only known of a single object, not in a listing. archived: it must be thawed before it can be read.
    locked_until: the store refuses to delete it before that instant. tag_count: 0 also where tags may not be read.
    """

    key: str
    size: int
    modified: datetime
    etag: t.Optional[str] = None
    headers: t.Optional[Headers] = None
    storage_class: t.Optional[str] = None
    archived: bool = False
    locked_until: t.Optional[datetime] = None
    tag_count: int = 0


class Opened(t.NamedTuple):
    """An object that is being read: its description, and its bytes as C(ObjectStore.read) yields them."""

    info: ObjectInfo
    chunks: t.Iterator[bytes]


#: Told of every audit record that is written: source and record.
AuditSink = t.Callable[[str, t.Mapping[str, t.Any]], None]


class ObjectStore(t.Protocol):
    """A flat namespace of immutable byte strings under slash-separated keys.

    Keys are relative to the prefix the store was opened with. Every method raises RecoveryError:
    unreachable, access_denied, store_full, timeout, or store_failed for the rest.
    """

    #: For messages: where this store is, without credentials. C(s3://bucket/prefix) or a path.
    location: str

    #: What the names of its objects begin with in their bucket; empty for a folder.
    key_prefix: str

    #: How the sets in it are encrypted.
    sealing: Sealing

    #: Whether keys are paths of files, so that the key C(a) excludes the key C(a/b).
    paths: bool

    #: How many requests were made so far; 0 where there are none.
    requests: int

    #: Whether what is written gets a lock.
    locks: bool

    #: Stores that get a copy of each set after it was committed here.
    copies: t.Sequence[ObjectStore]

    #: Who else is told of audit records.
    audit_sinks: t.Sequence[AuditSink]

    def put(
        self, key: str, chunks: t.Iterable[bytes], *, if_absent: bool = False, headers: t.Optional[Headers] = None
    ) -> ObjectInfo:
        """Store the chunks under key; the object is visible only when it is complete.

        With if_absent an existing key raises RecoveryError(already_exists) and is left as it is;
        a store without conditional writes checks first, which is not safe against a race.
        The answer's etag may be None where head gives one, and be there where head gives none. A local folder keeps
        no headers.
        An exception raised by the iterable aborts the upload and leaves no object and no parts.
        """

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        """Yield the object's bytes from offset start, resuming after a broken connection.

        Raises RecoveryError(object_missing) when there is no such key, archived when it must be thawed first;
        never yields fewer bytes than the object has without raising.
        """

    def open(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        """As read, with the description of what is read, in one request. Raises at once when it is missing.

        size is that of a listing, which a service that unpacks some objects on the way shows of the stored bytes.
        """

    def open_small(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        """As open, for an object that fits into memory, where many of them must be quick."""

    def head(self, key: str, *, size: t.Optional[int] = None) -> t.Optional[ObjectInfo]:
        """Describe one object, or None when it does not exist. size as for open."""

    def refuses(self, key: str, size: int) -> str:
        """Why the store cannot hold an object of that name and size, as a clause; empty where it can."""

    def tags(self, key: str) -> t.Mapping[str, str]:
        """The tags of an object; none where the store has no tags."""

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        """Yield every object whose key starts with prefix, in key order, page by page."""

    def delete(self, keys: t.Iterable[str]) -> None:
        """Remove the keys; a key that does not exist is not an error."""

    def remove(self, key: str) -> t.Optional[str]:
        """As delete, for one key; the reason when the store holds on to it, as it does to what is locked."""

    def retain(self, key: str) -> None:
        """Lock an object for as long as one that is written now; nothing in a store that locks nothing."""

    def require_there(self) -> None:
        """Raise RecoveryError(unreachable) where the place is not there; a folder that is not mounted looks empty."""

    def require_writable(self, prefix: str) -> None:
        """Raise RecoveryError where objects below the prefix cannot be written. Nothing is left in the store."""

    def now(self) -> datetime:
        """The time by the store's own clock, which is the one that ObjectInfo.modified is of."""

    def tidy(self, before: datetime) -> None:
        """Remove what writers began before that instant and never finished; it is no object, and costs."""

    def thaw(self, key: str, *, days: int, speed: str) -> bool:
        """Ask for an archived object to be made readable for some days; whether it is readable by now."""

    def lifecycle_rules(self) -> t.List[t.Dict[str, t.Any]]:
        """The lifecycle rules of the bucket, as S3 describes them; none for a folder."""

    def set_lifecycle_rules(self, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Replace the lifecycle rules of the bucket. Raises RecoveryError(unsupported) for a folder."""

    def close(self) -> None:
        """Release connections and threads."""


def read_all(store: ObjectStore, key: str, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The whole of a small object. Raises RecoveryError(damaged) for one larger than limit bytes."""
    collected = bytearray()
    for chunk in store.read(key):
        collected += chunk
        if len(collected) > limit:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"{key} in {store.location} is larger than {limit} bytes, which no document of a store is.",
                next_step="Find out what wrote it; the store was changed.",
            )
    return bytes(collected)


def put_proved(store: ObjectStore, key: str, data: bytes, *, if_absent: bool = False) -> None:
    """Store a small document and read it back. Raises RecoveryError(store_failed) when it is not there."""
    store.put(key, [data], if_absent=if_absent)
    try:
        seen: t.Optional[bytes] = read_all(store, key)
    except RecoveryError as error:
        if error.kind != ErrorKind.OBJECT_MISSING:
            raise
        seen = None
    if seen != data:
        raise RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{store.location} accepted {key}, but {'does not show it' if seen is None else 'shows other bytes'}.",
            left="It counts for nothing; earlier sets are as they were.",
            next_step="Check the store with lifeline.recovery.store_check, then run it again.",
        )


def seal_for(store: ObjectStore, recipients: t.Tuple[str, ...]) -> None:
    """Have what is written from now on encrypted to these, unless the store encrypts already.

    What was encrypted in a set must not lie readable in the undo of its restore.
    """
    if recipients and not store.sealing.encrypts:
        store.sealing = replace(store.sealing, recipients=recipients)


def put_shown(
    store: ObjectStore,
    key: str,
    chunks: t.Iterable[bytes],
    size: int,
    *,
    if_absent: bool = False,
    headers: t.Optional[Headers] = None,
) -> ObjectInfo:
    """Store an object of that size and see that it is there. Raises RecoveryError(store_failed) when it is not.

    The size and the ETag prove the object. Where the ETag is missing or another, the object is read and its digest
    is compared: some stores give no ETag, and some give another one after the upload. An upload in parts has no ETag
    beforehand, so that such an object must be new or must have got another ETag; else it is read as well.
    """
    before = None if if_absent else store.head(key)
    sent = Tally()
    if isinstance(chunks, list):
        for chunk in chunks:
            sent.add(chunk)
    else:
        chunks = sent.watch(chunks)
    put = store.put(key, chunks, if_absent=if_absent, headers=headers)
    shown = store.head(key, size=size)
    problem = ""
    if shown is None or shown.size != size:
        problem = "does not show it whole"
    elif not _is_proved(put, before, shown) and _digest_of(store, key, size) != sent.sha256:
        problem = "shows other bytes"
    if shown is None or problem:
        raise RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{store.location} accepted {key}, but {problem}.",
            left="",
            next_step="Check the store, then run it again: what is there is not sent twice.",
        )
    return shown


def _is_proved(put: ObjectInfo, before: t.Optional[ObjectInfo], shown: ObjectInfo) -> bool:
    """Whether ETags alone prove that what is shown is what was put; a store without ETags proves nothing."""
    if put.etag:
        return same_etag(put.etag, shown.etag) is True
    if not shown.etag:
        return False
    return before is None or same_etag(before.etag, shown.etag) is False


def _digest_of(store: ObjectStore, key: str, size: int) -> t.Optional[str]:
    seen = Tally()
    try:
        for chunk in store.open(key, size=size).chunks:
            seen.add(chunk)
    except RecoveryError as error:
        if error.kind != ErrorKind.OBJECT_MISSING:
            raise
        return None
    return seen.sha256
