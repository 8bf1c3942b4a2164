# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of AWS that are sent once, and again only if AWS did nothing."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FilePath, Secret

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:
    boto3 = None  # type: ignore[assignment]

#: AWS did nothing: https://docs.aws.amazon.com/Route53/latest/APIReference/requests-rate-limits.html
_BUSY = frozenset(("Throttling", "ThrottlingException", "TooManyUpdates", "PriorRequestNotComplete", "SlowDown"))
_DENIED = ("AccessDenied", "NotAuthorized", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch",
           "ExpiredToken", "InvalidSignature", "IncompleteSignature", "MissingAuthenticationToken")  # fmt: skip
_MISSING = ("NoSuchHostedZone", "ParameterNotFound")


@dataclass(frozen=True)
class AwsLogin:
    """Where and as whom AWS is called. Without keys, boto3 finds them as the command line of AWS does."""

    region: t.Optional[str] = None
    access_key: t.Optional[Secret] = None
    secret_key: t.Optional[Secret] = None
    session_token: t.Optional[Secret] = None
    endpoint_url: t.Optional[str] = None
    ca_bundle: t.Optional[FilePath] = None


class AwsRefusal(Exception):
    """AWS refused a call; code names the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Aws:
    """A service of AWS. timeout: seconds until the answer of a call, also of one that is sent again."""

    def __init__(self, service: str, login: AwsLogin, timeout: float) -> None:
        if boto3 is None:
            raise RecoveryError(
                ErrorKind.LIBRARY_MISSING,
                "The Python library boto3 is missing on this host.",
                next_step="Install it with: pip install boto3",
            )
        self._service, self._timeout = service, timeout
        config = botocore.config.Config(
            # A change that botocore sent again would meet its own result.
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=min(timeout, 10),
            read_timeout=timeout,
        )
        try:
            session = boto3.session.Session(
                aws_access_key_id=login.access_key,
                aws_secret_access_key=login.secret_key,
                aws_session_token=login.session_token,
                region_name=login.region,
            )
            self._client = session.client(
                service, endpoint_url=login.endpoint_url, config=config, verify=login.ca_bundle or None
            )
        except (ValueError, botocore.exceptions.BotoCoreError) as error:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"The options of {service} cannot be used ({type(error).__name__}).",
                next_step="Check the region, the keys and the address of the service.",
            ) from None

    def call(self, name: str, **arguments: t.Any) -> t.Dict[str, t.Any]:
        """The answer. Raises AwsRefusal for a code that no other error describes, and RecoveryError."""
        deadline = time.monotonic() + self._timeout
        pause = 0.2
        while True:
            try:
                return t.cast(t.Dict[str, t.Any], getattr(self._client, name)(**arguments))
            except botocore.exceptions.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", "without a code"))
                if code not in _BUSY or time.monotonic() + pause > deadline:
                    raise self._refused(code) from None
            except botocore.exceptions.BotoCoreError as error:
                raise RecoveryError(
                    ErrorKind.UNREACHABLE,
                    f"{self._service} gave no answer: {type(error).__name__}.",
                    next_step="Check the keys, the network, the region and the address of the service.",
                    applied=Applied.UNKNOWN,
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def _refused(self, code: str) -> Exception:
        # The message of AWS is not shown, because that of a rejected value has the value.
        if code.startswith(_DENIED):
            return RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"{self._service} denies the request: {code}.",
                next_step="Check the keys and the rights of the role.",
                applied=Applied.NO,
            )
        if code in _MISSING:
            return RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"{self._service} does not have it: {code}.",
                next_step="Check the name, the account and the region.",
            )
        return AwsRefusal(code)


def refused(service: str, target: str, error: AwsRefusal) -> RecoveryError:
    """The error of a refusal that the caller does not handle."""
    return RecoveryError(
        ErrorKind.SERVICE_FAILED, f"{service} refused the change of {target}: {error.code}.", applied=Applied.NO
    )
