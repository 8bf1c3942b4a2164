# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Translates failed requests to an S3 store into errors for the on-call engineer."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError

_PASSING_CODES = frozenset(
    [
        "SlowDown",
        "RequestTimeout",
        "RequestTimeTooSkewed",
        "InternalError",
        "ServiceUnavailable",
        "TooManyRequests",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "429",
        "500",
        "502",
        "503",
        "504",
    ]
)

_DENIED = frozenset(
    [
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "Unauthorized",
        "Forbidden",
        "AccountProblem",
        "AllAccessDisabled",
        "ObjectLocked",
        "401",
        "403",
    ]
)

_KINDS = (
    (frozenset(("NoSuchKey", "404", "NotFound")), ErrorKind.OBJECT_MISSING, "Check the key."),
    (frozenset(("NoSuchBucket",)), ErrorKind.STORE_FAILED, "Create the bucket, or correct store.bucket."),
    (
        frozenset(("PreconditionFailed", "ConditionalRequestConflict", "412", "409")),
        ErrorKind.ALREADY_EXISTS,
        "Choose another name.",
    ),
    (
        frozenset(("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "507")),
        ErrorKind.STORE_FULL,
        "Free space in the store, then run it again.",
    ),
    (
        frozenset(("InvalidObjectState",)),
        ErrorKind.ARCHIVED,
        "The object is in an archive storage class. Make a backup set readable with lifeline.recovery.backup_thaw, "
        "and another object with a restore request at the provider; then run it again.",
    ),
    (
        frozenset(("NotImplemented", "501", "InvalidStorageClass", "InvalidTag", "MethodNotAllowed")),
        ErrorKind.UNSUPPORTED,
        "Check store.provider.",
    ),
    (
        # The last four belong to MinIO, which stores objects as files.
        frozenset(
            (
                "KeyTooLongError",
                "XMinioInvalidObjectName",
                "XMinioInvalidResourceName",
                "XMinioObjectExistsAsDirectory",
                "XMinioParentIsObject",
            )
        ),
        ErrorKind.NAME_REFUSED,
        "Rename the object, or use another prefix for it.",
    ),
    (_DENIED, ErrorKind.ACCESS_DENIED, "Check store.access_key, store.secret_key and the rights of the key."),
)

#: Names of botocore's exceptions for a server that did not answer.
_UNREACHABLE = frozenset(
    [
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
        "SSLError",
        "ConnectionError",
        "NewConnectionError",
        "MaxRetryError",
        "HTTPClientError",
    ]
)


class StoreRefusal(RecoveryError):
    """An answer of a store that is an error. code: the store's own name of the error."""

    def __init__(self, kind: str, what: str, next_step: str, code: str) -> None:
        super().__init__(kind, what, next_step=next_step, details={"code": code})
        self.code = code


def is_transient(error: BaseException) -> bool:
    """Whether the store answered that it is busy, or closed the connection."""
    code, status = _code(error)
    if code:
        return code in _PASSING_CODES or status in (429, 500, 502, 503, 504)
    return type(error).__name__ in ("ConnectionClosedError", "ProtocolError", "IncompleteRead")


def is_unanswered(error: BaseException) -> bool:
    """Whether the store did not answer."""
    return type(error).__name__ in _UNREACHABLE


def store_error(error: BaseException, location: str, key: str) -> RecoveryError:
    """The failure as a RecoveryError; its text names location and key, never credentials."""
    code, status = _code(error)
    if code:
        known = [row for row in _KINDS if code in row[0]] or [row for row in _KINDS if str(status) in row[0]]
        for _codes, kind, next_step in known[:1]:
            return StoreRefusal(kind, f"{location} refused {key or 'a listing'}: {code}.", next_step, code)
        what = f"{location} failed at {key or 'a listing'}: {code} (HTTP {status})."
        return StoreRefusal(
            ErrorKind.STORE_FAILED, what, "Try again; if it persists, ask the provider of the store.", code
        )
    name = type(error).__name__
    if "Credentials" in name:
        return RecoveryError(
            ErrorKind.ACCESS_DENIED,
            f"There are no usable credentials for {location}.",
            next_step="Set store.access_key and store.secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if name in _UNREACHABLE or isinstance(error, OSError):
        return RecoveryError(
            ErrorKind.UNREACHABLE,
            f"{location} cannot be reached ({name}).",
            next_step="Check store.endpoint_url, the network, and that the store runs.",
        )
    return RecoveryError(ErrorKind.STORE_FAILED, f"{location} failed at {key or 'a listing'} ({name}).")


def _code(error: BaseException) -> t.Tuple[str, int]:
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return "", 0
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return str(response.get("Error", {}).get("Code", "")) or str(status), status
