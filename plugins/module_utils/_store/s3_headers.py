# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers of an object: parsed from S3 answers, and as arguments of a request."""

from __future__ import annotations

import contextlib
import email.header
import typing as t
import urllib.parse
from datetime import datetime

from .._core.digest import bare_etag
from .._core.errors import ErrorKind, RecoveryError
from .base import ARCHIVE_CLASSES, Headers, ObjectInfo

_TEXTS = {
    "ContentType": "content_type",
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "Expires": "expires",
    "WebsiteRedirectLocation": "website_redirect",
    "StorageClass": "storage_class",
}


def etag_of(answer: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """The ETag of an answer as it was sent; None for an empty one, as C(rclone serve s3 --etag-hash "") sends."""
    etag = answer.get("ETag")
    return str(etag) if bare_etag(etag) else None


def described(key: str, answer: t.Mapping[str, t.Any], size: t.Optional[int] = None) -> ObjectInfo:
    """An object from its answer; size is used if the answer has none.

    Raises RecoveryError(store_failed) for an answer without a size or a time.
    """
    length = answer.get("ContentLength", size)
    if length is None or "LastModified" not in answer:
        raise RecoveryError(
            ErrorKind.STORE_FAILED,
            f"The answer of the store about {key} has no size or no time of modification.",
            next_step="Ask the provider of the store.",
        )
    named = {attribute: answer[name] for name, attribute in _TEXTS.items() if answer.get(name)}
    # botocore parses Expires, and returns an Expires that is no date only as text.
    if answer.get("ExpiresString"):
        named["expires"] = answer["ExpiresString"]
    # Some services return the names of metadata in another case.
    metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
    storage_class = answer.get("StorageClass")
    # S3 names no class for STANDARD, and a thawed object has a restore request that is completed.
    thawed = 'ongoing-request="false"' in str(answer.get("Restore", ""))
    archived = storage_class in ARCHIVE_CLASSES or bool(answer.get("ArchiveStatus"))
    return ObjectInfo(
        key,
        length,
        answer["LastModified"],
        etag_of(answer),
        Headers(**named, metadata=metadata),
        storage_class,
        archived and not thawed,
        t.cast(t.Optional[datetime], answer.get("ObjectLockRetainUntilDate")),
        int(answer.get("TagCount") or 0),
    )


def arguments_of(headers: Headers) -> t.Dict[str, t.Any]:
    """The arguments of put_object that set the headers."""
    given: t.Dict[str, t.Any] = {}
    for name, attribute in _TEXTS.items():
        value = getattr(headers, attribute)
        if value:
            given[name] = value
    if headers.metadata:
        given["Metadata"] = {key: _mail_safe(text) for key, text in headers.metadata.items()}
    if headers.tags:
        given["Tagging"] = urllib.parse.urlencode(dict(headers.tags), quote_via=urllib.parse.quote)
    return given


def _mail_safe(text: str) -> str:
    """Metadata that is not ASCII as RFC 2047 has it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    """
    if text.isascii():
        return text
    with contextlib.suppress(UnicodeError):
        # Raw UTF-8 of a service was decoded as Latin-1.
        text = text.encode("latin-1").decode()
    return email.header.Header(text, "utf-8", maxlinelen=10_000).encode(maxlinelen=10_000)
