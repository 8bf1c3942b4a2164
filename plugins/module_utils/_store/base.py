# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of every store: streams in and out, an object is visible only when it is complete."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._core.digest import Tally, same_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing

#: Storage classes whose objects must be thawed before they can be read.
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")

#: A class whose objects may be archived, which only a request for the object reveals.
TIERING_CLASS = "INTELLIGENT_TIERING"

#: Cloudflare R2 refuses multipart uploads whose parts differ in size, so all stores use one size.
PART_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Headers:
    """The headers of an object in an S3 store. metadata has its keys in lower case, without a prefix.

    expires is the text of the header. tags are in no answer about an object; C(ObjectStore.tags) requests them.
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

    etag is None if the store returns none. A listing may have fractions of a second that head does not have.

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


#: Called with every audit record that is written: source and record.
AuditSink = t.Callable[[str, t.Mapping[str, t.Any]], None]


class ObjectStore(t.Protocol):
    """A flat namespace of immutable byte strings under slash-separated keys.

    Keys are relative to the prefix the store was opened with. Every method raises RecoveryError:
    unreachable, access_denied, store_full, timeout, or store_failed for the rest.
    """

    #: For messages: the location without credentials, C(s3://bucket/prefix) or a path.
    location: str

    #: The prefix of its objects in their bucket; empty for a folder.
    key_prefix: str

    #: The encryption of its sets.
    sealing: Sealing

    #: Whether keys are paths of files, so that the key C(a) excludes the key C(a/b).
    paths: bool

    #: The number of requests; 0 for a store without requests.
    requests: int

    #: Whether new objects get a lock.
    locks: bool

    #: Stores that get a copy of each set after it was committed here.
    copies: t.Sequence[ObjectStore]

    #: Further recipients of audit records.
    audit_sinks: t.Sequence[AuditSink]

    def put(
        self,
        key: str,
        chunks: t.Iterable[bytes],
        *,
        if_absent: bool = False,
        replaces: t.Optional[ObjectInfo] = None,
        headers: t.Optional[Headers] = None,
    ) -> ObjectInfo:
        """Store the chunks under key; the object is visible only when it is complete.

        With if_absent an existing key raises RecoveryError(already_exists) and stays unchanged. With replaces, an
        object that is no longer the described one raises RecoveryError(conflict) and stays unchanged. A store without
        conditional writes checks first, which is not safe against a race.
        The etag of the answer may be None although head returns one, or be set although head returns none. A local
        folder keeps no headers.
        An exception raised by the iterable aborts the upload and leaves no object and no parts.
        """

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        """Yield the object's bytes from offset start, resuming after a broken connection.

        Raises RecoveryError(object_missing) when there is no such key, archived when it must be thawed first;
        never yields fewer bytes than the object has without raising.
        """

    def open(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        """As read, with the description of the object, in one request. Raises immediately if it is missing.

        size is that of a listing, which shows the size of the stored bytes also for services that unpack some objects.
        """

    def open_small(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        """As open, for an object that fits into memory; faster for many small objects."""

    def head(self, key: str, *, size: t.Optional[int] = None) -> t.Optional[ObjectInfo]:
        """Describe one object, or None if it does not exist. size as for open."""

    def refuses(self, key: str, size: int) -> str:
        """The reason why the store cannot hold an object of that name and size, as a clause; empty if it can."""

    def tags(self, key: str) -> t.Mapping[str, str]:
        """The tags of an object; none if the store has no tags."""

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        """Yield every object whose key starts with prefix, in key order, page by page."""

    def delete(self, keys: t.Iterable[str]) -> None:
        """Remove the keys; a key that does not exist is not an error."""

    def remove(self, key: str) -> t.Optional[str]:
        """As delete, for one key; returns the reason if the store retains it, for example because it is locked."""

    def retain(self, key: str) -> None:
        """Lock an object for as long as a new one; without effect in a store without locks."""

    def require_there(self) -> None:
        """Raise RecoveryError(unreachable) if the location does not exist; an unmounted folder looks empty."""

    def require_writable(self, prefix: str) -> None:
        """Raise RecoveryError if objects below the prefix cannot be written. Leaves no object in the store."""

    def now(self) -> datetime:
        """The time of the store's own clock, which ObjectInfo.modified uses."""

    def tidy(self, before: datetime) -> None:
        """Remove uploads that were started before that instant and never completed; they are billed, but no objects."""

    def thaw(self, key: str, *, days: int, speed: str) -> bool:
        """Request a readable copy of an archived object for some days; whether it is readable already."""

    def lifecycle_rules(self) -> t.List[t.Dict[str, t.Any]]:
        """The lifecycle rules of the bucket, as S3 describes them; none for a folder."""

    def set_lifecycle_rules(self, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Replace the lifecycle rules of the bucket. Raises RecoveryError(unsupported) for a folder."""

    def close(self) -> None:
        """Release connections and threads."""


def is_same_version(one: ObjectInfo, other: t.Optional[ObjectInfo]) -> bool:
    """Whether the descriptions are of one version of an object.

    If the store has no ETags, size and time are compared: two versions of one second and size are then one.
    """
    if other is None or one.size != other.size:
        return False
    same = same_etag(one.etag, other.etag)
    return one.modified == other.modified if same is None else same


def changed_error(key: str, location: str) -> RecoveryError:
    """The error of a write that would have replaced another version than the one that was read."""
    return RecoveryError(
        ErrorKind.CONFLICT,
        f"{key} in {location} was changed or deleted after it was read.",
        left="The object was not replaced.",
        next_step="Find out which program writes it, then run it again.",
    )


def read_all(store: ObjectStore, key: str, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The complete content of a small object. Raises RecoveryError(damaged) if it is larger than limit bytes."""
    collected = bytearray()
    for chunk in store.read(key):
        collected += chunk
        if len(collected) > limit:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"{key} in {store.location} is larger than {limit} bytes, which no document of a store is.",
                next_step="Find out which program wrote it; the store was changed.",
            )
    return bytes(collected)


def put_proved(store: ObjectStore, key: str, data: bytes, *, if_absent: bool = False) -> None:
    """Store a small document and read it back. Raises RecoveryError(store_failed) if it is missing afterwards."""
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
            left="The document does not count; earlier sets are unchanged.",
            next_step="Check the store with lifeline.recovery.store_check, then run it again.",
        )


def seal_for(store: ObjectStore, recipients: t.Tuple[str, ...]) -> None:
    """Encrypt new objects for these recipients, unless the store encrypts already.

    Data that a set encrypts must not be readable in the undo set of its restore.
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
    replaces: t.Optional[ObjectInfo] = None,
    headers: t.Optional[Headers] = None,
) -> ObjectInfo:
    """Store an object of that size and check it. Raises RecoveryError(store_failed) if the check fails.

    if_absent and replaces as for C(ObjectStore.put).

    The size and the ETag prove the object. If the ETag is missing or differs, the object is read and its digest
    is compared: some stores return no ETag, and some return another one after the upload. A multipart upload has no
    ETag beforehand, so that such an object must be new or must have another ETag than before; else it is read as well.
    """
    before = None if if_absent else replaces or store.head(key)
    sent = Tally()
    if isinstance(chunks, list):
        for chunk in chunks:
            sent.add(chunk)
    else:
        chunks = sent.watch(chunks)
    put = store.put(key, chunks, if_absent=if_absent, replaces=replaces, headers=headers)
    shown = store.head(key, size=size)
    problem = ""
    if shown is None or shown.size != size:
        problem = "does not show it completely"
    elif not _is_proved(put, before, shown) and _digest_of(store, key, size) != sent.sha256:
        problem = "shows other bytes"
    if shown is None or problem:
        raise RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{store.location} accepted {key}, but {problem}.",
            left="",
            next_step="Check the store, then run it again: objects that the store holds are not sent again.",
        )
    return shown


def _is_proved(put: ObjectInfo, before: t.Optional[ObjectInfo], shown: ObjectInfo) -> bool:
    """Whether ETags alone prove that the store returns the written bytes; a store without ETags proves nothing."""
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
