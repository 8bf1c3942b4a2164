# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record of Route 53 that is exchanged by one change batch.

DELETE names the record exactly, and AWS applies the batch as a whole, so that a stale DELETE changes nothing:
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html. UPSERT compares nothing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError, guaranteed
from .._core.options import FAMILY
from .aws import Aws, AwsLogin, AwsRefusal, refused
from .dns_record import Record, endpoint
from .rfc2136 import RecordType, require_ttl
from .way import Look, State, Way, changed_meanwhile

_RecordSet = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Route53Options:
    """zone_id: of the hosted zone. authoritative, resolvers: servers that must answer the value."""

    zone_id: str
    record: str
    type: RecordType = "CNAME"
    ttl: t.Optional[int] = None
    authoritative: t.Tuple[str, ...] = ()
    resolvers: t.Tuple[str, ...] = ()
    login: AwsLogin = field(default=AwsLogin(), metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        require_ttl(self.ttl, "route53.ttl")


class Route53(Way):
    kind = "route53"

    def __init__(self, options: Route53Options, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout
        self._record = Record(options.record, options.type, "route53.record")
        self._servers = [
            *((endpoint(one, "route53.authoritative"), False) for one in options.authoritative),
            *((endpoint(one, "route53.resolvers"), True) for one in options.resolvers),
        ]
        self._aws = Aws("route53", options.login, timeout)
        self._old: t.Optional[_RecordSet] = None
        self._change_id: t.Optional[str] = None

    @property
    def target(self) -> str:
        return f"the record {self._record} of Route 53"

    def require_valid(self, expected: str, value: str) -> None:
        super().require_valid(expected, value)
        self._record.texts(expected, "expected")
        self._record.texts(value, "value")

    def is_same(self, one: str, other: str) -> bool:
        return self._record.is_same(one, other)

    def read(self) -> State:
        self._old = found = self._found()
        return State(self._value(found), {"ttl": found["TTL"]})

    def why_pending(self, state: State, value: str) -> str:
        wanted = self._options.ttl
        return "" if wanted in (None, state.facts["ttl"]) else f"the TTL is {state.facts['ttl']}"

    def write(self, state: State, value: str) -> None:
        old = guaranteed(self._old)
        new = {
            **old,
            "TTL": old["TTL"] if self._options.ttl is None else self._options.ttl,
            "ResourceRecords": [{"Value": one} for one in self._record.texts(value)],
        }
        changes = [{"Action": "DELETE", "ResourceRecordSet": old}, {"Action": "CREATE", "ResourceRecordSet": new}]
        try:
            answer = self._aws.call(
                "change_resource_record_sets",
                HostedZoneId=self._options.zone_id,
                ChangeBatch={"Comment": "lifeline.recovery redirect", "Changes": changes},
            )
            self._change_id = answer["ChangeInfo"]["Id"]
        except AwsRefusal as error:
            if error.code == "InvalidChangeBatch" and self._found() != old:
                raise changed_meanwhile(self.target) from None
            raise refused("Route 53", self.target, error) from None
        except RecoveryError as error:
            if error.applied != Applied.UNKNOWN:
                raise
            if not self.is_same(self._value(self._found()), value):
                raise error.restated(left="The record had the value before when it was read again.") from None

    def look(self, value: str) -> Look:
        if self._change_id is not None:
            answer = self._call("get_change", Id=self._change_id)
            if answer["ChangeInfo"]["Status"] != "INSYNC":
                return Look(reason="Route 53 has not sent the change to all of its servers")
        found = self._value(self._found())
        if not self.is_same(found, value):
            return Look(reason=f"Route 53 has the value {found}")
        return self._record.look(self._servers, value, self._timeout)

    def _found(self) -> _RecordSet:
        """The record set. Raises RecoveryError: object_missing, unsupported for an alias and a set of several."""
        answer = self._call(
            "list_resource_record_sets",
            HostedZoneId=self._options.zone_id,
            StartRecordName=str(self._record.name),
            StartRecordType=self._record.kind,
            MaxItems="1",
        )
        same = [
            one
            for one in answer["ResourceRecordSets"]
            if one["Type"] == self._record.kind
            and Record(one["Name"].replace("\\052", "*"), one["Type"], "route53.record").name == self._record.name
        ]
        if not same:
            raise RecoveryError(
                ErrorKind.OBJECT_MISSING,
                f"The hosted zone {self._options.zone_id} has no record {self._record}.",
                next_step="Create the record with the expected value, or correct `route53.record` and `route53.type`.",
            )
        (found,) = same
        for key, kind in (("AliasTarget", "an alias"), ("SetIdentifier", "one of a weighted or routed set")):
            if key in found or "TrafficPolicyInstanceId" in found:
                raise RecoveryError(
                    ErrorKind.UNSUPPORTED,
                    f"The record {self._record} of Route 53 is {kind}, and must be a simple record.",
                    next_step="Use a simple record for the writer: the health checks of a set switch without a fence.",
                )
        return t.cast(_RecordSet, found)

    def _value(self, found: _RecordSet) -> str:
        return " ".join(self._record.texts(" ".join(one["Value"] for one in found["ResourceRecords"])))

    def _call(self, name: str, **arguments: t.Any) -> t.Dict[str, t.Any]:
        try:
            return self._aws.call(name, **arguments)
        except AwsRefusal as error:
            raise RecoveryError(ErrorKind.SERVICE_FAILED, f"Route 53 refused {name}: {error.code}.") from None
