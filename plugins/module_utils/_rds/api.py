# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of the APIs of Amazon RDS and CloudWatch. Calls that change something are sent once.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._core.clock import utc_now
from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FilePath, Secret, option
from .._store.s3_client import require_boto3

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:
    boto3 = None  # type: ignore[assignment]

_ARN = re.compile(r"arn:[a-z0-9-]+:rds:(?P<region>[a-z0-9-]+):[0-9]*:(?P<type>[a-z-]+):(?P<name>.+)")
_MISSING = ("DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault", "GlobalClusterNotFoundFault")
_STATES = ("InvalidDBInstanceState", "InvalidDBClusterStateFault", "InvalidGlobalClusterStateFault")
_DENIED = ("AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken")
_LONGEST_TEXT = 300
#: CloudWatch has one value of ReplicaLag a minute, and gets it late.
_LAG_MINUTES = 15


@dataclass(frozen=True)
class AwsAccess:
    """A region and the login to it; without keys, the credential chain of boto3. endpoint_url: of tests."""

    region: str = field(metadata=option(environment=("AWS_REGION", "AWS_DEFAULT_REGION")))
    access_key: t.Optional[str] = field(default=None, metadata=option(environment=("AWS_ACCESS_KEY_ID",), shown=True))
    secret_key: t.Optional[Secret] = field(
        default=None, repr=False, metadata=option(environment=("AWS_SECRET_ACCESS_KEY",))
    )
    session_token: t.Optional[Secret] = field(
        default=None, repr=False, metadata=option(environment=("AWS_SESSION_TOKEN",))
    )
    endpoint_url: t.Optional[str] = None
    ca_bundle: t.Optional[FilePath] = field(default=None, metadata=option(environment=("AWS_CA_BUNDLE",)))
    timeout: float = field(default=30, metadata=option("api_timeout"))


@dataclass(frozen=True)
class Lag:
    """The newest value of ReplicaLag, and the instant of its measurement."""

    seconds: float
    at: datetime


def region_of(arn: str) -> t.Optional[str]:
    """The region of an ARN of RDS; None for another text."""
    found = _ARN.fullmatch(arn)
    return found.group("region") if found else None


def name_of(arn: str) -> str:
    """The identifier in an ARN of RDS; another text unchanged."""
    found = _ARN.fullmatch(arn)
    return found.group("name") if found else arn


class RdsApi:
    """One region. Methods raise RecoveryError: library_missing, target_missing, access_denied, not_ready, unreachable,
    service_failed. Of a call that changes something, applied is no or unknown."""

    def __init__(self, access: AwsAccess) -> None:
        require_boto3()
        self._access = access
        # One session, because each session reads the large descriptions of the services again.
        self._session = boto3.session.Session(access.access_key, access.secret_key, access.session_token)
        self._clients: t.Dict[t.Tuple[str, str, bool], t.Any] = {}

    def instance(self, name: str, region: t.Optional[str] = None) -> t.Mapping[str, t.Any]:
        """DescribeDBInstances of one instance."""
        answer = self._call("rds", "describe_db_instances", f"the instance {name}", region, DBInstanceIdentifier=name)
        return t.cast("t.Mapping[str, t.Any]", answer["DBInstances"][0])

    def cluster(self, name: str, region: t.Optional[str] = None) -> t.Mapping[str, t.Any]:
        answer = self._call("rds", "describe_db_clusters", f"the cluster {name}", region, DBClusterIdentifier=name)
        return t.cast("t.Mapping[str, t.Any]", answer["DBClusters"][0])

    def global_cluster(self, name: str) -> t.Mapping[str, t.Any]:
        what = f"the global cluster {name}"
        answer = self._call("rds", "describe_global_clusters", what, GlobalClusterIdentifier=name)
        return t.cast("t.Mapping[str, t.Any]", answer["GlobalClusters"][0])

    def replica_lag(self, name: str) -> t.Optional[Lag]:
        """None if CloudWatch has no value of the last minutes, or a negative one, which is a broken replication."""
        now = utc_now()
        answer = self._call(
            "cloudwatch",
            "get_metric_statistics",
            f"the lag of {name}",
            Namespace="AWS/RDS",
            MetricName="ReplicaLag",
            Dimensions=[{"Name": "DBInstanceIdentifier", "Value": name}],
            StartTime=now - timedelta(minutes=_LAG_MINUTES),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
        points = sorted(answer["Datapoints"], key=lambda point: t.cast(datetime, point["Timestamp"]))
        if not points or points[-1]["Maximum"] < 0:
            return None
        return Lag(float(points[-1]["Maximum"]), points[-1]["Timestamp"])

    def change(self, call: str, what: str, **arguments: t.Any) -> None:
        """A call that changes something, sent once."""
        self._call("rds", call, what, changes=True, **arguments)

    def _call(
        self,
        service: str,
        call: str,
        what: str,
        region: t.Optional[str] = None,
        changes: bool = False,
        **arguments: t.Any,
    ) -> t.Any:
        try:
            return getattr(self._client(service, region, changes), call)(**arguments)
        except botocore.exceptions.ClientError as error:
            raise _refusal(error, what, changes) from None
        except botocore.exceptions.BotoCoreError as error:
            unsent = isinstance(
                error, (botocore.exceptions.ParamValidationError, botocore.exceptions.NoCredentialsError)
            )
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS if unsent else ErrorKind.UNREACHABLE,
                f"Amazon RDS was not reached for {what} ({type(error).__name__}).",
                next_step="Check `region`, the credentials and the network.",
                applied=(Applied.NO if unsent else Applied.UNKNOWN) if changes else None,
            ) from None

    def _client(self, service: str, region: t.Optional[str], changes: bool) -> t.Any:
        access = self._access
        key = (service, region or access.region, changes)
        if key not in self._clients:
            self._clients[key] = self._session.client(
                service,
                key[1],
                endpoint_url=access.endpoint_url,
                verify=access.ca_bundle,
                config=botocore.config.Config(
                    connect_timeout=access.timeout,
                    read_timeout=access.timeout,
                    retries={"mode": "standard", "total_max_attempts": 1 if changes else 4},
                ),
            )
        return self._clients[key]


def _refusal(error: t.Any, what: str, changes: bool) -> RecoveryError:
    given = error.response.get("Error", {})
    code = str(given.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = " ".join(filter(str.isprintable, str(given.get("Message", "")).split()))[:_LONGEST_TEXT].rstrip(".")
    kind, next_step = ErrorKind.SERVICE_FAILED, "Read the AWS Health Dashboard, then run it again."
    if code in _MISSING:
        kind, next_step = ErrorKind.TARGET_MISSING, "Check the identifier and `region`; nothing is created."
    elif code in _STATES:
        kind, next_step = ErrorKind.NOT_READY, "Wait until the state is available, then run it again."
    elif code in _DENIED:
        kind, next_step = ErrorKind.ACCESS_DENIED, "Check the credentials and their policy."
    elif 400 <= status < 500:
        kind, next_step = ErrorKind.INVALID_OPTIONS, "Correct what the message names."
    return RecoveryError(
        kind,
        f"Amazon RDS refuses the request for {what}: {code or status}: {text or 'no message'}.",
        next_step=next_step,
        applied=(Applied.NO if 400 <= status < 500 else Applied.UNKNOWN) if changes else None,
    )
