# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published copies of documents in a bucket: their keys, their bytes, and the version that was read."""

from __future__ import annotations

import contextlib
import itertools
import re
import typing as t
from dataclasses import dataclass, replace

from .._core.clock import compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._store.base import Headers, ObjectInfo, ObjectStore, changed_error, is_same_version, put_shown
from .._store.plain import plain_content
from .schema import Validator, Verdict

DOCUMENT = "{document}"

#: After the key of a published copy, the rest of the key of its former content.
_KEPT = re.compile(r"\.before-([0-9]{8}T[0-9]{6}Z)(-[0-9]+)?")

#: Bytes of one document: what jsonb can hold.
#: https://www.postgresql.org/docs/current/datatype-json.html
LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class Published:
    """The published copy of a document. info: None if the bucket has none. data: its bytes, if they were kept.

    text: its bytes without their Content-Encoding.
    """

    key: str
    info: t.Optional[ObjectInfo]
    verdict: Verdict
    data: bytes = b""
    text: bytes = b""

    @property
    def digest(self) -> t.Optional[str]:
        return self.verdict.content.digest if self.verdict.content else None


class PublishedCopies:
    """The copies of a bucket, under keys that a template makes of the id of a document."""

    def __init__(self, store: ObjectStore, template: str) -> None:
        if template.count(DOCUMENT) != 1:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`key` must contain {DOCUMENT} once, got {template!r}.")
        self.store = store
        self._prefix, self._suffix = template.split(DOCUMENT)

    def key(self, document: str) -> str:
        """Raises RecoveryError(name_refused) for an id that the bucket cannot hold as a key."""
        key = f"{self._prefix}{document}{self._suffix}"
        problem = self.store.refuses(key, 0)
        if problem:
            raise RecoveryError(
                ErrorKind.NAME_REFUSED, f"{self.store.location} cannot hold the document {document!r}: {problem}."
            )
        return key

    def documents(self) -> t.Iterator[t.Tuple[str, ObjectInfo]]:
        """The ids and listings of all copies, in the order of their keys."""
        for info in self.store.list(self._prefix):
            inner = info.key[len(self._prefix) : len(info.key) - len(self._suffix)]
            if inner and info.key.endswith(self._suffix):
                yield inner, info

    def read(self, document: str, validator: Validator, *, keep: bool = False) -> Published:
        """The copy as it is, judged; keep its bytes for a restore that replaces them.

        Raises RecoveryError(unsupported) for an encoding that is not gzip: such a copy is not compared, so it must not
        be replaced as a damaged one.
        """
        return self.read_object(self.key(document), validator, keep=keep)

    def read_object(self, key: str, validator: Validator, *, keep: bool = False) -> Published:
        """As read, for the key of an object. A key that the bucket cannot hold is that of a missing object."""
        if self.store.refuses(key, 0):
            return Published(key, None, Verdict(None, "it is missing"))
        try:
            opened = self.store.open_small(key)
            if opened.info.size > LARGEST:
                return Published(key, opened.info, Verdict(None, f"it is larger than {LARGEST} bytes"))
            data = b"".join(opened.chunks)
        except RecoveryError as error:
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return Published(key, None, Verdict(None, "it is missing"))
        try:
            text = plain_content(opened.info, data, self.store.location, limit=LARGEST)
        except RecoveryError as error:
            if error.kind != ErrorKind.DAMAGED:
                raise
            problem = f"its content is not what its Content-Encoding states: {error.what}".rstrip(".")
            return Published(key, opened.info, Verdict(None, problem), data if keep else b"")
        return Published(key, opened.info, validator.judge(text), *((data, text) if keep else ()))

    def read_to_replace(self, document: str, validator: Validator) -> Published:
        """The copy with its bytes and its tags, so that it can be replaced and put back.

        Raises RecoveryError(unsupported) for a copy that is too large to be kept.
        """
        seen = self.read(document, validator, keep=True)
        if seen.info is not None and seen.info.size > LARGEST:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"{seen.key} in {self.store.location} is larger than {LARGEST} bytes, so it cannot be kept.",
                left=f"{document} is unchanged.",
                next_step="Copy the object to another key and delete it, then run it again.",
            )
        # A store without tags may answer the request for tags with the object.
        if seen.info is None or not seen.info.tag_count:
            return seen
        headers = replace(seen.info.headers or _JSON, tags=self.store.tags(seen.key))
        return replace(seen, info=replace(seen.info, headers=headers))

    def keep(self, seen: Published) -> str:
        """Store the bytes of a copy under a second key, which is returned."""
        first = f"{seen.key}.before-{compact_instant(utc_now())}"
        headers = seen.info.headers if seen.info else None
        for number in itertools.count(1):
            key = first if number == 1 else f"{first}-{number}"
            try:
                put_shown(self.store, key, [seen.data], len(seen.data), if_absent=True, headers=headers)
                break
            except RecoveryError as error:
                if error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
        return key

    def kept_of(self, document: str) -> t.List[KeptCopy]:
        """The former copies of a document, oldest first."""
        key = self.key(document)
        return sorted(
            (one for one in self._kept(f"{key}.before-") if one.document == document), key=lambda one: one.order
        )

    def kept(self) -> t.List[KeptCopy]:
        """The former copies of all documents, oldest first."""
        return sorted(self._kept(self._prefix), key=lambda one: one.order)

    def _kept(self, prefix: str) -> t.Iterator[KeptCopy]:
        for info in self.store.list(prefix):
            key, _dot, instant = info.key.rpartition(".before-")
            found = _KEPT.fullmatch(f".before-{instant}")
            document = key[len(self._prefix) : len(key) - len(self._suffix)]
            if found and document and key.endswith(self._suffix):
                yield KeptCopy(document, info, found[1], int((found[2] or "-1")[1:]))

    def read_kept(self, kept: KeptCopy) -> t.Tuple[bytes, Headers]:
        """The bytes of a former copy, and its headers with its tags."""
        opened = self.store.open_small(kept.info.key)
        data = b"".join(opened.chunks)
        return data, replace(opened.info.headers or _JSON, tags=self.store.tags(kept.info.key))


class KeptCopy(t.NamedTuple):
    """The former content of a published copy, which a restore kept at that instant."""

    document: str
    info: ObjectInfo
    instant: str
    number: int

    @property
    def order(self) -> t.Tuple[str, int, str]:
        return self.instant, self.number, self.document


class ObjectChanges:
    """The changes of one restore in the bucket, which no transaction takes back."""

    def __init__(self, copies: t.Optional[PublishedCopies]) -> None:
        self._copies = copies
        self._created: t.List[str] = []
        self._replacement: t.Optional[Replacement] = None

    def keep(self, seen: Published) -> str:
        """Store the copy under a second key, which is returned."""
        key = guaranteed(self._copies).keep(seen)
        self._created.append(key)
        return key

    def replace(self, seen: Published, data: bytes, headers: t.Optional[Headers] = None) -> None:
        """Replace the copy that was seen, or create a missing one. Raises RecoveryError(conflict) if it has changed.

        headers: of the new copy; if they are None, those of the copy that was seen.
        """
        self._replacement = Replacement(guaranteed(self._copies).store, seen, data, headers)
        self._replacement.make()

    def put_back(self, error: RecoveryError) -> RecoveryError:
        """Take the changes back; the error, which states what could not be taken back."""
        if self._replacement is not None:
            error = self._replacement.put_back(error)
        if self._created:
            # A copy that stays is one more copy of the former content.
            with contextlib.suppress(RecoveryError):
                guaranteed(self._copies).store.delete(self._created)
        return error


class Replacement:
    """The replacement of the published copy that was seen by other bytes, which can be put back."""

    def __init__(self, store: ObjectStore, seen: Published, data: bytes, headers: t.Optional[Headers]) -> None:
        self._store, self._seen, self._data = store, seen, data
        # Restored content is not encoded.
        former = seen.info.headers if seen.info is not None else None
        self._headers = headers or replace(former or _JSON, content_encoding=None)
        self._written: t.Optional[ObjectInfo] = None

    def make(self) -> None:
        """Raises RecoveryError(conflict) if the copy is no longer the one that was seen."""
        seen, data = self._seen, self._data
        if seen.info is None:
            try:
                self._written = self._store.put(seen.key, [data], if_absent=True, headers=self._headers)
            except RecoveryError as error:
                if error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
                raise changed_error(seen.key, self._store.location) from None
        else:
            self._written = self._store.put(seen.key, [data], replaces=seen.info, headers=self._headers)
        shown = self._shown()
        if shown is None or shown[1] != data:
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"{self._store.location} accepted {seen.key}, but "
                f"{'does not show it' if shown is None else 'shows other bytes'}.",
                left="",
                next_step="Check the store, then run it again.",
            )

    def put_back(self, error: RecoveryError) -> RecoveryError:
        """Restore the copy that was seen; the error, which states if that failed.

        Another program's copy is not replaced. After an error of the store, the stored bytes decide.
        """
        try:
            problem = self._put_back()
        except RecoveryError as second:
            problem = second.what
        if not problem:
            return error if error.left else error.restated(left="The published copy is unchanged.")
        return error.restated(
            left=f"The published copy {self._seen.key} may have the restored content: {problem}",
            next_step="List the document with course_version_info, then run it again.",
        )

    def _put_back(self) -> str:
        """Why the copy that was seen is not back; empty if it is."""
        seen, shown = self._seen, self._shown()
        before = None if seen.info is None else seen.data
        if (None if shown is None else shown[1]) == before:
            return ""
        if shown is not None and shown[1] != self._data and not is_same_version(shown[0], self._written):
            return "another session has published it." if self._written else ""
        if before is None:
            self._store.delete([seen.key])
        elif shown is None:
            self._store.put(seen.key, [before], if_absent=True, headers=seen.info.headers if seen.info else _JSON)
        else:
            self._store.put(seen.key, [before], replaces=shown[0], headers=seen.info.headers if seen.info else _JSON)
        shown = self._shown()
        return "" if (None if shown is None else shown[1]) == before else "the store does not show the former bytes."

    def _shown(self) -> t.Optional[t.Tuple[ObjectInfo, bytes]]:
        try:
            opened = self._store.open_small(self._seen.key)
            return opened.info, b"".join(opened.chunks)
        except RecoveryError as error:
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return None


_JSON = Headers(content_type="application/json")
