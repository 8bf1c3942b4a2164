# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store in an S3 bucket: equal parts, bounded memory, reads that resume."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import queue
import random
import threading
import time
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from .._core.clock import utc_now
from .._core.deadline import transfer_limit, within
from .._core.digest import bare_etag
from .._core.errors import ErrorKind, RecoveryError
from .._core.sealing import Sealing
from .base import (
    PART_SIZE,
    AuditSink,
    Headers,
    ObjectInfo,
    ObjectStore,
    Opened,
    changed_error,
    is_same_version,
)
from .parts import Part, PartReader
from .s3_bucket import Bucket
from .s3_client import S3Settings, make_client, require_able
from .s3_errors import StoreRefusal, is_transient, is_unanswered, store_error
from .s3_headers import arguments_of, described, etag_of
from .s3_small import SmallRequests

try:
    import botocore.exceptions
    import urllib3.exceptions

    _READ_FAILURES: t.Tuple[t.Type[Exception], ...] = (
        botocore.exceptions.BotoCoreError,
        urllib3.exceptions.HTTPError,
        OSError,
    )
    _FAILURES: t.Tuple[t.Type[Exception], ...] = (*_READ_FAILURES, botocore.exceptions.ClientError)
except ImportError:
    _READ_FAILURES = _FAILURES = (OSError,)

_CHUNK = 1024 * 1024

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY = 1024

_RULES = "its lifecycle rules"

#: Values of Accept-Encoding to try; the first is that of the client, which sends identity.
_ACCEPTED = ("", "gzip", "gzip, deflate, br, zstd")

#: Error codes of stores that do not list multipart uploads.
_NOT_SHOWN = (ErrorKind.ACCESS_DENIED, ErrorKind.UNSUPPORTED, ErrorKind.STORE_FAILED, ErrorKind.OBJECT_MISSING)

_ATTEMPTS = 6

#: A busy store is retried for this many timeouts: longer than a minute by default.
_PATIENCE = 1.25

#: A younger object without an ETag may be written again within the second that its answer shows.
_SETTLED = timedelta(seconds=2)
_ASK_PROVIDER = "Ask the provider of the store."


class _Exists(RecoveryError):
    """retried: an earlier try of the same request may have written the object."""

    def __init__(self, key: str, location: str, *, retried: bool = False) -> None:
        what = f"There is an object {key} in {location} already."
        super().__init__(ErrorKind.ALREADY_EXISTS, what, left="It is unchanged.")
        self.retried = retried


class _Condition(t.NamedTuple):
    """The condition of a write: the object is missing, or it is still this version."""

    if_absent: bool
    replaces: t.Optional[ObjectInfo]

    def __bool__(self) -> bool:
        return self.if_absent or self.replaces is not None


@dataclass(frozen=True)
class _Version:
    """Identifies a version of an object: by its ETag, or, if the store returns none, by its last write.

    settled: another write since the read began would show another second.
    """

    etag: t.Optional[str]
    size: int
    modified: t.Optional[datetime] = None
    settled: bool = True

    @classmethod
    def of(cls, answer: t.Mapping[str, t.Any], size: int) -> _Version:
        etag, modified = etag_of(answer), answer.get("LastModified")
        if etag or modified is None:
            return cls(etag, size)
        date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        now = email.utils.parsedate_to_datetime(date) if date else utc_now()
        return cls(None, size, modified, modified + _SETTLED <= now)

    def is_replaced_by(self, other: _Version) -> bool:
        mine, theirs = (self.etag, self.size, self.modified), (other.etag, other.size, other.modified)
        return mine != theirs or not self.settled


class _Body:
    """The bytes of an answer. Each read ends, also if the store sends slowly."""

    def __init__(self, body: t.Any, location: str, timeout: float) -> None:
        self._body, self._location, self._timeout, self._stalled = body, location, timeout, False

    def read(self, size: int) -> bytes:
        try:
            return within(transfer_limit(self._timeout, size), self._location, lambda: bytes(self._body.read(size)))
        except RecoveryError:
            self._stalled = True
            raise

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *exception: object) -> None:
        # Closing a stream that another thread reads would wait for that thread.
        if not self._stalled:
            self._body.close()


class S3Store:
    """Objects of one bucket under one prefix. Its methods may be called from several threads."""

    paths = False

    def __init__(self, settings: S3Settings) -> None:
        require_able(settings)
        self.sealing = Sealing()
        self.locks = settings.lock is not None
        self.requests = 0
        self.copies: t.Sequence[ObjectStore] = ()
        self.audit_sinks: t.Sequence[AuditSink] = ()
        self._patience = settings.timeout * _PATIENCE
        self._timeout, self._attempts = settings.timeout, settings.attempts
        self._lock, self._class = settings.lock, settings.storage_class
        self._bucket = settings.bucket
        self.key_prefix = self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self.location = f"s3://{settings.bucket}/{settings.prefix}".rstrip("/")
        self._client = make_client(settings)
        self._settings, self._accepted = settings, ""
        self._clients, self._clients_lock = {"": self._client}, threading.Lock()
        try:
            self._small = SmallRequests(
                self._client,
                settings.bucket,
                verify=settings.ca_bundle,
                timeout=settings.timeout,
                connections=settings.parallel * 2 + 16,
            )
        except botocore.exceptions.ParamValidationError:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{settings.bucket!r} cannot be the name of a bucket.",
                next_step="Correct bucket.",
            ) from None
        except botocore.exceptions.BotoCoreError as error:
            raise store_error(error, self.location, "") from None
        self._parts = ThreadPoolExecutor(max_workers=settings.parallel, thread_name_prefix="part")
        # All uploads share these buffers, which limits memory; a buffer is created when it is first needed.
        self._buffers: queue.LifoQueue[t.Optional[bytearray]] = queue.LifoQueue()
        for _buffer in range(max(2, settings.parallel)):
            self._buffers.put(None)

    def put(
        self,
        key: str,
        chunks: t.Iterable[bytes],
        *,
        if_absent: bool = False,
        replaces: t.Optional[ObjectInfo] = None,
        headers: t.Optional[Headers] = None,
    ) -> ObjectInfo:
        arguments = self._arguments(key, headers)
        require = _Condition(if_absent, replaces)
        if isinstance(chunks, list) and sum(map(len, chunks)) <= PART_SIZE:
            # Data in memory needs none of the shared buffers.
            data = b"".join(chunks)
            self._require(key, require)
            etag = None
            if not require and self._lock is None:
                self.requests += 1
                etag = self._small.put(self._prefix + key, data, arguments)
            if etag is None:
                etag = self._put_single(key, data, require, arguments)
            return ObjectInfo(key, len(data), utc_now(), etag or None)
        parts = PartReader(chunks, self._buffers)
        first = parts.next()
        if not parts.exhausted:
            try:
                self._require(key, require)
            except BaseException:
                first.give_back()
                raise
            self._put_parts(key, first, parts, require, arguments)
            # Some stores show another ETag later than in their answer at the end of a multipart upload.
            return ObjectInfo(key, parts.size, utc_now())
        try:
            self._require(key, require)
            etag = self._put_single(key, first.body, require, arguments)
        finally:
            first.give_back()
        return ObjectInfo(key, parts.size, utc_now(), etag)

    def open(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        answer = self._as_stored("get_object", key, size)
        info = described(key, answer, size)
        return Opened(info, self._from(key, 0, answer, info.size))

    def open_small(self, key: str, *, size: t.Optional[int] = None) -> Opened:
        """As open, for an object that fits into memory; uses the fast path if it works."""
        self.requests += 1
        found = self._small.get(self._prefix + key, self._accepted, size)
        if found is None:
            return self.open(key, size=size)
        answer, data = found
        return Opened(described(key, answer), iter([data]))

    def read(self, key: str, *, start: int = 0) -> t.Iterator[bytes]:
        return self._from(key, start, None, None)

    def refuses(self, key: str, size: int) -> str:
        length = len((self._prefix + key).encode(errors="surrogatepass"))
        return f"the name has {length} bytes, and S3 allows {_LONGEST_KEY}" if length > _LONGEST_KEY else ""

    def tags(self, key: str) -> t.Mapping[str, str]:
        try:
            answer = self._call("get_object_tagging", key, Key=self._prefix + key)
        except RecoveryError as error:
            if error.kind != ErrorKind.UNSUPPORTED:
                raise
            return {}
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", ())}

    def _as_stored(self, operation: str, key: str, size: t.Optional[int], start: int = 0, **extra: t.Any) -> t.Any:
        """The answer about an object as its bytes are stored, from an offset on.

        A service may unpack an object that is stored with a Content-Encoding, unless the request accepts that
        encoding. Such an answer has no size, or another one than the listing.
        https://cloud.google.com/storage/docs/transcoding
        """
        tried: t.List[t.Any] = []
        for accepted in sorted(_ACCEPTED, key=lambda one: one != self._accepted):
            tried.append(self._call(operation, key, accepted=accepted, Key=self._prefix + key, **extra))
            if _fits(tried[-1], size, start):
                self._accepted = accepted
                break
        # If none matches, the object changed since the listing, or the size is in no header.
        best = max(tried, key=lambda answer: (_fits(answer, size, start), "ContentLength" in answer))
        for answer in tried:
            if answer is not best and "Body" in answer:
                answer["Body"].close()
        return best

    def _from(self, key: str, start: int, opened: t.Optional[t.Any], size: t.Optional[int]) -> t.Iterator[bytes]:
        position, failures = start, 0
        begun: t.Optional[_Version] = None
        while True:
            try:
                answer, opened = opened, None
                for chunk, version in self._body(key, position, begun, answer, size):
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

    def head(self, key: str, *, size: t.Optional[int] = None) -> t.Optional[ObjectInfo]:
        try:
            answer = self._as_stored("head_object", key, size)
        except RecoveryError as error:
            if error.kind == ErrorKind.OBJECT_MISSING:
                return None
            raise
        return described(key, answer)

    def list(self, prefix: str = "") -> t.Iterator[ObjectInfo]:
        token: t.Dict[str, str] = {}
        while True:
            page = self._call(
                "list_objects_v2", f"a listing of {prefix}".rstrip(), Prefix=self._prefix + prefix, **token
            )
            for item in page.get("Contents", ()):
                yield ObjectInfo(
                    item["Key"][len(self._prefix) :],
                    item["Size"],
                    item["LastModified"],
                    etag_of(item),
                    storage_class=item.get("StorageClass"),
                )
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: t.Iterable[str]) -> None:
        for key in keys:
            self._call("delete_object", key, Key=self._prefix + key)

    def remove(self, key: str) -> t.Optional[str]:
        try:
            if self._lock is None:
                self.delete([key])
            else:
                self._remove_versions(key)
        except RecoveryError as error:
            if error.kind != ErrorKind.ACCESS_DENIED:
                raise
            return error.what
        return None

    def retain(self, key: str) -> None:
        if self._lock is not None:
            until = utc_now() + self._lock.duration
            self._call(
                "put_object_retention",
                key,
                Key=self._prefix + key,
                Retention={"Mode": self._lock.mode.upper(), "RetainUntilDate": until},
            )

    def require_there(self) -> None:
        self.now()

    def require_writable(self, prefix: str) -> None:
        # A started and aborted upload needs the right to write, and leaves no object and no lock.
        key = f"{prefix}writable"
        upload = self._call("create_multipart_upload", key, Key=self._prefix + key)["UploadId"]
        # A key without the right to abort may write nevertheless; `tidy` and the lifecycle rule remove the upload.
        with contextlib.suppress(RecoveryError):
            self._call("abort_multipart_upload", key, Key=self._prefix + key, UploadId=upload)

    def now(self) -> datetime:
        answer = self._call("list_objects_v2", "", Prefix=self._prefix, MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return email.utils.parsedate_to_datetime(date) if date else utc_now()

    def tidy(self, before: datetime) -> None:
        token: t.Dict[str, str] = {}
        while True:
            try:
                page = self._call("list_multipart_uploads", "a listing of uploads", Prefix=self._prefix, **token)
            except RecoveryError as error:
                # If the key may not list them, or the store does not show them, a lifecycle rule has to remove them.
                if error.kind not in _NOT_SHOWN:
                    raise
                return
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < before:
                    with contextlib.suppress(RecoveryError):
                        self._call(
                            "abort_multipart_upload", upload["Key"], Key=upload["Key"], UploadId=upload["UploadId"]
                        )
            if not page.get("IsTruncated"):
                return
            token = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def thaw(self, key: str, *, days: int, speed: str) -> bool:
        info = self.head(key)
        if info is None:
            raise RecoveryError(ErrorKind.OBJECT_MISSING, f"There is no object {key} in {self.location}.")
        if not info.archived:
            return True
        request = {"Days": days, "GlacierJobParameters": {"Tier": speed.capitalize()}}
        try:
            self._call("restore_object", key, Key=self._prefix + key, RestoreRequest=request)
        except StoreRefusal as error:
            if error.code != "RestoreAlreadyInProgress":
                raise
        return False

    def lifecycle_rules(self) -> t.List[t.Dict[str, t.Any]]:
        try:
            return list(self._call("get_bucket_lifecycle_configuration", _RULES).get("Rules", ()))
        except RecoveryError as error:
            # A bucket without rules has no such document.
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return []

    def set_lifecycle_rules(self, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        if rules:
            document = {"Rules": list(rules)}
            self._call("put_bucket_lifecycle_configuration", _RULES, LifecycleConfiguration=document)
        else:
            self._call("delete_bucket_lifecycle", _RULES)

    @property
    def bucket(self) -> Bucket:
        """The bucket itself."""
        return Bucket(self._call, self._settings.region)

    def presigned_url(self, key: str, *, seconds: int, upload: bool = False) -> str:
        """A URL with which every holder can read, or write, the object for some seconds. It is a secret."""
        operation = "put_object" if upload else "get_object"
        arguments = {"Bucket": self._bucket, "Key": self._prefix + key}
        return str(self._client.generate_presigned_url(operation, Params=arguments, ExpiresIn=seconds))

    def copy(self, key: str, target: str, headers: t.Optional[Headers] = None) -> None:
        """Copy an object within the bucket on the server; with headers these replace its own."""
        arguments = self._arguments(target, headers)
        if headers is not None:
            arguments["MetadataDirective"] = "REPLACE"
        source = {"Bucket": self._bucket, "Key": self._prefix + key}
        self._call("copy_object", key, Key=self._prefix + target, CopySource=source, **arguments)

    def close(self) -> None:
        self._parts.shutdown(wait=True)
        self._small.close()
        for client in self._clients.values():
            client.close()

    def _arguments(self, key: str, headers: t.Optional[Headers]) -> t.Dict[str, t.Any]:
        """Arguments sent with the bytes of an object. Catalogue and records stay immediately readable."""
        given: t.Dict[str, t.Any] = {}
        if self._lock is not None:
            given["ObjectLockMode"] = self._lock.mode.upper()
            given["ObjectLockRetainUntilDate"] = utc_now() + self._lock.duration
        if self._class and (headers is not None or "/objects/" in key):
            given["StorageClass"] = self._class
        if headers is not None:
            given.update(arguments_of(headers))
        return given

    def _proof(self, data: t.Union[bytes, bytearray]) -> t.Dict[str, str]:
        """S3 accepts a locked object only with a digest of the request body."""
        if self._lock is None:
            return {}
        return {"ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}

    def _remove_versions(self, key: str) -> None:
        # Without its version, an object would only be hidden, and billed further on.
        while True:
            try:
                answer = self._call("head_object", key, Key=self._prefix + key)
            except RecoveryError as error:
                if error.kind == ErrorKind.OBJECT_MISSING:
                    return
                raise
            version = {"VersionId": answer["VersionId"]} if answer.get("VersionId") else {}
            self._call("delete_object", key, Key=self._prefix + key, **version)

    def _require(self, key: str, condition: _Condition) -> None:
        """Check the condition of a write beforehand, for stores that ignore it in the request."""
        if not condition:
            return
        found = self.head(key)
        if condition.if_absent and found is not None:
            raise _Exists(key, self.location)
        if condition.replaces and not is_same_version(condition.replaces, found):
            raise changed_error(key, self.location)

    def _conditions(self, operation: str, condition: _Condition) -> t.Dict[str, str]:
        """The arguments of a conditional request; boto3 before 1.36 knows If-None-Match only."""
        known = self._client.meta.service_model.operation_model(operation).input_shape.members
        etag = bare_etag(condition.replaces.etag) if condition.replaces else ""
        if etag and "IfMatch" in known:
            return {"IfMatch": f'"{etag}"'}
        return {"IfNoneMatch": "*"} if condition.if_absent else {}

    def _put_single(
        self, key: str, data: t.Union[bytes, bytearray], condition: _Condition, arguments: t.Mapping[str, t.Any]
    ) -> t.Optional[str]:
        try:
            answer = self._call(
                "put_object",
                key,
                Key=self._prefix + key,
                Body=data,
                **self._conditions("PutObject", condition),
                **arguments,
                **self._proof(data),
            )
        except _Exists as error:
            # If a first try was applied but its answer was lost, the second try finds its own object.
            if error.retried and self._holds(key, data):
                return None
            raise changed_error(key, self.location) if condition.replaces else error
        return etag_of(answer)

    def _put_parts(
        self, key: str, first: Part, parts: PartReader, condition: _Condition, arguments: t.Mapping[str, t.Any]
    ) -> None:
        name = self._prefix + key
        try:
            upload = self._call("create_multipart_upload", key, Key=name, **arguments)["UploadId"]
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
            self._call(
                "complete_multipart_upload",
                key,
                Key=name,
                UploadId=upload,
                MultipartUpload={"Parts": listing},
                **self._conditions("CompleteMultipartUpload", condition),
            )
        except BaseException:
            # Each part returns its buffer after sending, so all are waited for rather than cancelled.
            for future in sent:
                future.exception()
            with contextlib.suppress(RecoveryError):
                self._call("abort_multipart_upload", key, Key=name, UploadId=upload)
            raise

    def _put_part(self, key: str, upload: str, number: int, part: Part) -> t.Dict[str, t.Any]:
        try:
            body = part.body
            answer = self._call(
                "upload_part",
                key,
                Key=self._prefix + key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                **self._proof(body),
            )
        finally:
            part.give_back()
        # AWS requires an echoed checksum if it was sent; other stores do not know it.
        checksums = {
            name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"
        }
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    def _body(
        self,
        key: str,
        start: int,
        begun: t.Optional[_Version],
        opened: t.Optional[t.Any],
        size: t.Optional[int],
    ) -> t.Iterator[t.Tuple[bytes, _Version]]:
        if begun and start == begun.size:
            return
        extra = {"Range": f"bytes={start}-"} if start else {}
        if begun and begun.etag and not begun.etag.startswith("W/"):
            # A weak ETag never matches. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
            extra["IfMatch"] = begun.etag
        try:
            answer = opened or self._as_stored("get_object", key, begun.size if begun else size, start, **extra)
        except StoreRefusal as error:
            if error.code in ("InvalidRange", "416"):
                if begun:
                    raise self._changed(key) from None
                return
            raise
        expected, seen = described(key, answer, None if size is None else size - start).size, 0
        version = _Version.of(answer, start + expected)
        with _Body(answer["Body"], self.location, self._timeout) as body:
            # Some stores ignore IfMatch, so the answer is compared as well.
            if begun and begun.is_replaced_by(version):
                raise self._changed(key)
            if start and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
                raise RecoveryError(
                    ErrorKind.UNSUPPORTED, f"{self.location} cannot read {key} from an offset.", next_step=_ASK_PROVIDER
                )
            while True:
                chunk = body.read(min(_CHUNK, expected - seen) or 1)
                if not chunk:
                    break
                seen += len(chunk)
                yield chunk, version
        if seen != expected:
            raise OSError(f"the answer ended after {seen} of {expected} bytes")

    def _client_for(self, accepted: str) -> t.Any:
        with self._clients_lock:
            if accepted not in self._clients:
                self._clients[accepted] = make_client(self._settings, accepted)
            return self._clients[accepted]

    def _call(self, operation: str, key: str, *, accepted: str = "", **arguments: t.Any) -> t.Any:
        """One request. It is retried if the store is busy or does not answer; each try has its own limit.

        Raises RecoveryError; for a store that stays busy, the error names its last answer.
        """
        attempt, began = 0, time.monotonic()
        client = self._client_for(accepted)
        while True:
            attempt += 1
            # Not exact with several threads, which is enough for a figure in a report.
            self.requests += 1
            try:
                return within(
                    transfer_limit(self._timeout, len(arguments.get("Body", b""))),
                    self.location,
                    lambda: getattr(client, operation)(Bucket=self._bucket, **arguments),
                )
            except _FAILURES as error:
                mapped = store_error(error, self.location, key)
                conditional = "IfMatch" in arguments or "IfNoneMatch" in arguments
                if conditional and operation == "get_object" and mapped.kind == ErrorKind.ALREADY_EXISTS:
                    raise self._changed(key) from None
                missing = "IfMatch" in arguments and mapped.kind == ErrorKind.OBJECT_MISSING
                if conditional and (missing or mapped.kind == ErrorKind.ALREADY_EXISTS):
                    raise _Exists(key, self.location, retried=attempt > 1) from None
                is_busy = is_transient(error)
                is_first = attempt < self._attempts and (is_busy or is_unanswered(error))
                if not is_first and not (is_busy and time.monotonic() - began <= self._patience):
                    raise mapped from None
                _pause(attempt)

    def _changed(self, key: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.STORE_FAILED,
            f"{key} in {self.location} was replaced while it was read.",
            next_step="Read it again, and find out which program writes to this store.",
        )

    def _holds(self, key: str, data: t.Union[bytes, bytearray]) -> bool:
        position = 0
        for chunk in self.read(key):
            if data[position : position + len(chunk)] != chunk:
                return False
            position += len(chunk)
        return position == len(data)


def _fits(answer: t.Mapping[str, t.Any], size: t.Optional[int], start: int) -> bool:
    length = answer.get("ContentLength")
    return length is not None and size in (None, start + length)


def _pause(attempt: int) -> None:
    time.sleep(min(8.0, 0.2 * 2**attempt) * random.uniform(0.5, 1.0))
