# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published copies of documents in a bucket: their keys, their bytes, and the version that was read."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._core.clock import compact_instant, utc_now
from .._core.errors import ErrorKind, RecoveryError
from .._store.base import Headers, ObjectInfo, ObjectStore, is_same_version, put_shown, read_all
from .._store.plain import plain_content
from .schema import Validator, Verdict

DOCUMENT = "{document}"

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
        key = self.key(document)
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

    def write(self, seen: Published, data: bytes) -> ObjectInfo:
        """Replace the copy that was seen, or create a missing one. Raises RecoveryError(conflict) if it has changed."""
        if seen.info is None:
            try:
                return put_shown(self.store, seen.key, [data], len(data), if_absent=True, headers=_JSON)
            except RecoveryError as error:
                if error.kind != ErrorKind.ALREADY_EXISTS:
                    raise
                raise RecoveryError(
                    ErrorKind.CONFLICT,
                    f"{seen.key} in {self.store.location} was published during the restore.",
                    left="The object was not replaced.",
                    next_step="Run it again.",
                ) from None
        # The restored content is not encoded.
        headers = replace(seen.info.headers or _JSON, content_encoding=None)
        tags = self.store.tags(seen.key)
        if tags:
            headers = replace(headers, tags=tags)
        self.store.put(seen.key, [data], replaces=seen.info, headers=headers)
        if read_all(self.store, seen.key, limit=LARGEST) != data:
            raise RecoveryError(
                ErrorKind.STORE_FAILED,
                f"{self.store.location} accepted {seen.key}, but shows other bytes.",
                left="",
                next_step="Check the store, then run it again.",
            )
        return t.cast(ObjectInfo, self.store.head(seen.key))

    def keep(self, seen: Published) -> str:
        """Store the bytes of a copy under a second key, which is returned."""
        key = f"{seen.key}.before-{compact_instant(utc_now())}"
        headers = seen.info.headers if seen.info else None
        put_shown(self.store, key, [seen.data], len(seen.data), if_absent=True, headers=headers)
        return key

    def put_back(self, seen: Published, written: t.Optional[ObjectInfo]) -> None:
        """Restore the copy that was seen, if the bucket still has the version that this restore has written."""
        if written is None:
            return
        if seen.info is not None:
            self.store.put(seen.key, [seen.data], replaces=written, headers=seen.info.headers or _JSON)
        elif is_same_version(written, self.store.head(seen.key)):
            self.store.delete([seen.key])


_JSON = Headers(content_type="application/json")
