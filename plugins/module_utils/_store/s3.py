# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store in an S3 bucket: equal parts, bounded memory, reads that resume."""

from __future__ import annotations

import contextlib
import queue
import random
import time
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .._core.clock import utc_now
from .._core.errors import ErrorKind, RecoveryError
from .base import ObjectInfo
from .parts import Part, PartReader
from .s3_errors import is_transient, store_error

try:
    import boto3
    import botocore.config
    import botocore.exceptions
    import urllib3.exceptions

    _READ_FAILURES: t.Tuple[t.Type[Exception], ...] = (
        botocore.exceptions.BotoCoreError,
        urllib3.exceptions.HTTPError,
        OSError,
    )
    _FAILURES: t.Tuple[t.Type[Exception], ...] = (*_READ_FAILURES, botocore.exceptions.ClientError)
except ImportError:
    boto3 = None  # type: ignore[assignment]
    _READ_FAILURES = _FAILURES = (OSError,)

_CHUNK = 1024 * 1024
_ATTEMPTS = 6
_ASK_PROVIDER = "Ask the store's provider."


@dataclass(frozen=True)
class S3Settings:
    """Where the bucket is. parallel bounds the parts in flight over all uploads; timeout is in seconds."""

    provider: str
    bucket: str
    prefix: str
    endpoint_url: t.Optional[str]
    region: t.Optional[str]
    access_key: t.Optional[str] = field(repr=False)
    secret_key: t.Optional[str] = field(repr=False)
    session_token: t.Optional[str] = field(repr=False)
    ca_bundle: t.Optional[str]
    parallel: int
    timeout: int


@dataclass(frozen=True)
class _Version:
    """What tells an object from the one that replaced it."""

    etag: t.Optional[str]
    size: int


class S3Store:
    """Objects of one bucket under one prefix. Its methods may be called from several threads."""

    def __init__(self, settings: S3Settings) -> None:
        if boto3 is None:
            raise RecoveryError(
                ErrorKind.LIBRARY_MISSING,
                "The Python library boto3 is missing on this host.",
                next_step="Install it with: pip install boto3",
            )
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self.location = f"s3://{settings.bucket}/{settings.prefix}".rstrip("/")
        self._client = _client(settings)
        self._parts = ThreadPoolExecutor(max_workers=settings.parallel, thread_name_prefix="part")
        # All uploads share these buffers, which bounds memory; one is made when it is first needed.
        self._buffers: queue.LifoQueue[t.Optional[bytearray]] = queue.LifoQueue()
        for _buffer in range(max(2, settings.parallel)):
            self._buffers.put(None)

    def put(self, key: str, chunks: t.Iterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        parts = PartReader(chunks, self._buffers)
        first = parts.next()
        if not parts.exhausted:
            try:
                if if_absent and self.head(key) is not None:
                    raise self._exists(key)
            except BaseException:
                first.give_back()
                raise
            self._put_parts(key, first, parts, if_absent)
            # Some stores show another ETag later than they answer at the end of an upload in parts.
            return ObjectInfo(key, parts.size, utc_now())
        try:
            if if_absent and self.head(key) is not None:
                raise self._exists(key)
            etag = self._put_single(key, first.body, if_absent)
        finally:
            first.give_back()
        return ObjectInfo(key, parts.size, utc_now(), etag)

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        position, failures = start, 0
        begun: t.Optional[_Version] = None
        while True:
            try:
                for chunk, version in self._body(key, position, begun):
                    begun = version
                    position += len(chunk)
                    failures = 0
                    yield chunk
                return
            except RecoveryError:
                raise
            except _READ_FAILURES as error:
                failures += 1
                if failures >= _ATTEMPTS:
                    raise store_error(error, self.location, key) from None
                _pause(failures)

    def head(self, key: str) -> t.Optional[ObjectInfo]:
        try:
            answer = self._call("head_object", key, Key=self._prefix + key)
        except RecoveryError as error:
            if error.kind == ErrorKind.OBJECT_MISSING:
                return None
            raise
        return ObjectInfo(key, answer["ContentLength"], answer["LastModified"], answer.get("ETag"))

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        token: t.Dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", prefix, Prefix=self._prefix + prefix, **token)
            for item in page.get("Contents", ()):
                yield ObjectInfo(item["Key"][len(self._prefix) :], item["Size"], item["LastModified"], item.get("ETag"))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: t.Iterable[str]) -> None:
        for key in keys:
            self._call("delete_object", key, Key=self._prefix + key)

    def close(self) -> None:
        self._parts.shutdown(wait=True)
        self._client.close()

    def _put_single(self, key: str, data: bytearray, if_absent: bool) -> t.Optional[str]:
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        try:
            answer = self._call("put_object", key, Key=self._prefix + key, Body=data, **condition)
        except RecoveryError as error:
            # A first try that was applied, but whose answer was lost, makes the second find its own object.
            if error.details.get("retried") and self._holds(key, data):
                return None
            raise
        return t.cast(t.Optional[str], answer.get("ETag"))

    def _put_parts(self, key: str, first: Part, parts: PartReader, if_absent: bool) -> None:
        name = self._prefix + key
        try:
            upload = self._call("create_multipart_upload", key, Key=name)["UploadId"]
        except BaseException:
            first.give_back()
            raise
        sent: t.List[Future[t.Dict[str, t.Any]]] = []
        try:
            part = first
            while True:
                sent.append(self._parts.submit(self._put_part, key, upload, len(sent) + 1, part))
                if parts.exhausted or any(future.done() and future.exception() for future in sent):
                    break
                part = parts.next()
            listing = [future.result() for future in sent]
            condition = {"IfNoneMatch": "*"} if if_absent else {}
            self._call(
                "complete_multipart_upload",
                key,
                Key=name,
                UploadId=upload,
                MultipartUpload={"Parts": listing},
                **condition,
            )
        except BaseException:
            # Each part gives its buffer back when it was sent, so all are waited for rather than cancelled.
            for future in sent:
                future.exception()
            with contextlib.suppress(RecoveryError):
                self._call("abort_multipart_upload", key, Key=name, UploadId=upload)
            raise

    def _put_part(self, key: str, upload: str, number: int, part: Part) -> t.Dict[str, t.Any]:
        try:
            answer = self._call(
                "upload_part", key, Key=self._prefix + key, UploadId=upload, PartNumber=number, Body=part.body
            )
        finally:
            part.give_back()
        # An echoed checksum is required by AWS when it was sent, and unknown to others.
        checksums = {
            name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"
        }
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    def _body(self, key: str, start: int, begun: t.Optional[_Version]) -> t.Iterator[t.Tuple[bytes, _Version]]:
        if begun and start == begun.size:
            return
        extra = {"Range": f"bytes={start}-"} if start else {}
        if begun and begun.etag:
            extra["IfMatch"] = begun.etag
        try:
            answer = self._call("get_object", key, Key=self._prefix + key, **extra)
        except RecoveryError as error:
            if error.details.get("code") in ("InvalidRange", "416"):
                if begun:
                    raise self._changed(key) from None
                return
            raise
        expected, seen = answer["ContentLength"], 0
        version = _Version(answer.get("ETag"), start + expected)
        with contextlib.closing(answer["Body"]) as body:
            # Some stores ignore IfMatch, so what answers is compared here as well.
            if begun and version != begun:
                raise self._changed(key)
            if start and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
                raise RecoveryError(
                    ErrorKind.UNSUPPORTED, f"{self.location} cannot read {key} from an offset.", next_step=_ASK_PROVIDER
                )
            while True:
                chunk = body.read(_CHUNK)
                if not chunk:
                    break
                seen += len(chunk)
                yield chunk, version
        if seen != expected:
            raise OSError(f"the answer ended after {seen} of {expected} bytes")

    def _call(self, operation: str, key: str, **arguments: t.Any) -> t.Any:
        """One request; what is passing is tried again, beyond what botocore itself tries."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
            except _FAILURES as error:
                mapped = store_error(error, self.location, key)
                if mapped.kind == ErrorKind.ALREADY_EXISTS and "IfMatch" in arguments:
                    raise self._changed(key) from None
                if mapped.kind == ErrorKind.ALREADY_EXISTS and "IfNoneMatch" in arguments:
                    raise self._exists(key, retried=attempt > 1 or _retried(error)) from None
                if attempt >= _ATTEMPTS or not is_transient(error):
                    raise mapped from None
                _pause(attempt)

    def _exists(self, key: str, *, retried: bool = False) -> RecoveryError:
        return RecoveryError(
            ErrorKind.ALREADY_EXISTS,
            f"There is an object {key} in {self.location} already.",
            left="It is as it was.",
            details={"retried": True} if retried else None,
        )

    def _changed(self, key: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{key} in {self.location} was replaced while it was read.",
            next_step="Read it again, and find out what writes to this store.",
        )

    def _holds(self, key: str, data: bytearray) -> bool:
        position = 0
        for chunk in self.read(key):
            if data[position : position + len(chunk)] != chunk:
                return False
            position += len(chunk)
        return position == len(data)


def _client(settings: S3Settings) -> t.Any:
    checksums: t.Dict[str, t.Any] = {} if settings.provider == "aws" else {
        # Stores other than AWS answer the newer checksum trailers with errors about something else.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }  # fmt: skip
    config = botocore.config.Config(
        s3={"addressing_style": "auto" if settings.provider == "aws" else "path"},
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=min(settings.timeout, 10),
        read_timeout=settings.timeout,
        max_pool_connections=settings.parallel * 2 + 16,
        **checksums,
    )
    try:
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=settings.session_token,
            region_name=settings.region,
        )
        return session.client(
            "s3", endpoint_url=settings.endpoint_url, config=config, verify=settings.ca_bundle or None
        )
    except (ValueError, botocore.exceptions.BotoCoreError) as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The options of the store in bucket {settings.bucket} cannot be used ({type(error).__name__}).",
            next_step="Check store.endpoint_url (with http:// or https://), store.region and the AWS profile.",
        ) from None


def _retried(error: BaseException) -> bool:
    response: t.Mapping[str, t.Any] = getattr(error, "response", {})
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _pause(attempt: int) -> None:
    time.sleep(min(8.0, 0.2 * 2**attempt) * random.uniform(0.5, 1.0))
