# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to an S3 service: its settings, and the features of each provider."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import option

try:
    import boto3
    import botocore.config
    import botocore.exceptions
    import botocore.session
    import botocore.utils
except ImportError:
    boto3 = None  # type: ignore[assignment]

#: Providers with S3 object lock. R2 and Supabase refuse its headers; R2 has bucket lock rules instead.
LOCKING = ("aws", "minio", "generic")

#: None stands for any class. https://developers.cloudflare.com/r2/buckets/storage-classes/
_CLASSES: t.Mapping[str, t.Optional[t.Tuple[str, ...]]] = {
    "r2": ("STANDARD", "STANDARD_IA"),
    "supabase": (),
}


@dataclass(frozen=True)
class LockRule:
    """The lock of new objects. mode: governance, or compliance, which no role can lift."""

    mode: str = field(metadata=option(choices=("governance", "compliance"), default="governance"))
    days: int

    @property
    def duration(self) -> timedelta:
        return timedelta(days=self.days)


@dataclass(frozen=True)
class S3Settings:
    """The location of the bucket. parallel limits the parts in flight of all uploads; timeout is in seconds.

    attempts is the number of tries of a request that gets no answer; a busy store may be asked more often.
    """

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
    lock: t.Optional[LockRule] = None
    storage_class: t.Optional[str] = None
    attempts: int = 4


def _quick_session() -> t.Any:
    """A session that parses times of listings quickly: a listing has one for each object."""
    session = botocore.session.get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
    return session


def _instant(text: t.Any) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        parsed: datetime = botocore.utils.parse_timestamp(text)
        return parsed


def require_boto3() -> None:
    """Raise RecoveryError(library_missing) without boto3."""
    if boto3 is None:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            "The Python library boto3 is missing on this host.",
            next_step="Install it with: pip install boto3",
        )


def require_able(settings: S3Settings) -> None:
    """Raise RecoveryError: unsupported for features that the provider lacks, library_missing without boto3."""
    require_boto3()
    if settings.lock and settings.provider not in LOCKING:
        instead = " Use lifeline.recovery.r2_bucket_lock, which sets lock rules." if settings.provider == "r2" else ""
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The provider {settings.provider} has no S3 object lock.",
            next_step=f"Remove store.object_lock.{instead}",
        )
    classes = _CLASSES.get(settings.provider)
    if settings.storage_class and classes is not None and settings.storage_class not in classes:
        known = f"Use {' or '.join(classes)}." if classes else "Remove storage_class."
        raise RecoveryError(
            ErrorKind.UNSUPPORTED,
            f"The provider {settings.provider} has no storage class {settings.storage_class}.",
            next_step=known,
        )


def make_client(settings: S3Settings, accepted: str = "") -> t.Any:
    """A client of boto3. accepted: the value of Accept-Encoding that its requests have; identity by default."""
    checksums: t.Dict[str, t.Any] = {} if settings.provider == "aws" else {
        # Stores other than AWS answer the newer checksum trailers with unrelated errors.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }  # fmt: skip
    config = botocore.config.Config(
        # Otherwise URLs get the old signature version, which R2 refuses.
        signature_version="s3v4",
        s3={"addressing_style": "auto" if settings.provider == "aws" else "path"},
        # S3Store retries, and knows the last answer when it gives up.
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=min(settings.timeout, 10),
        read_timeout=settings.timeout,
        max_pool_connections=settings.parallel * 2 + 16,
        **checksums,
    )
    try:
        session = boto3.session.Session(
            botocore_session=_quick_session(),
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=settings.session_token,
            region_name=settings.region,
        )
        client = session.client(
            "s3", endpoint_url=settings.endpoint_url, config=config, verify=settings.ca_bundle or None
        )
    except (ValueError, botocore.exceptions.BotoCoreError) as error:
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The options of the store in bucket {settings.bucket} cannot be used ({type(error).__name__}).",
            next_step="Check store.endpoint_url (with http:// or https://), store.region and the AWS profile.",
        ) from None
    client.meta.events.register("before-parameter-build.s3", _set_expires_aside)
    client.meta.events.register("before-call.s3", _send_expires)
    if accepted:

        def accept(request: t.Any, **_more: t.Any) -> None:
            # Set after signing: proxies change this header, which breaks a signature that covers it.
            request.headers["Accept-Encoding"] = accepted

        client.meta.events.register("before-send.s3", accept)
    return client


def _set_expires_aside(params: t.Dict[str, t.Any], context: t.Dict[str, t.Any], **_more: t.Any) -> None:
    """botocore sends Expires as a date only, and an object may have any text in it."""
    if "Expires" in params:
        context["lifeline_expires"] = params.pop("Expires")


def _send_expires(params: t.Dict[str, t.Any], context: t.Dict[str, t.Any], **_more: t.Any) -> None:
    if "lifeline_expires" in context:
        params["headers"]["Expires"] = context["lifeline_expires"]
