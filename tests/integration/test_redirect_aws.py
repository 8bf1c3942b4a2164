# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of Route 53 and parameters of SSM change only from the expected value; moto alone would let them."""

from __future__ import annotations

import json
import secrets
import typing as t
from dataclasses import dataclass

import pytest

from tests.support.fakes.aws import StrictAws, strict_aws
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers import dns
from tests.support.servers.s3 import moto_server

Options = dict[str, t.Any]

EAST, WEST = "east.example.test.", "west.example.test."
PASSWORD = "s3cret-of-the-database"


@pytest.fixture(scope="module")
def moto() -> t.Iterator[str]:
    with moto_server() as server:
        yield server.endpoint_url


@pytest.fixture
def aws(moto: str) -> t.Iterator[StrictAws]:
    with strict_aws(moto) as started:
        yield started


@dataclass
class Zone:
    aws: StrictAws
    id: str

    def put(self, value: str, ttl: int = 300, name: str = "db.example.test", kind: str = "CNAME") -> None:
        """Overwrite the record, as another client does."""
        self.change({"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in value.split()]})

    def change(self, record_set: Options) -> None:
        changes = [{"Action": "UPSERT", "ResourceRecordSet": record_set}]
        self.aws.client("route53").change_resource_record_sets(HostedZoneId=self.id, ChangeBatch={"Changes": changes})

    def record(self, kind: str = "CNAME") -> tuple[int, str]:
        sets = self.aws.client("route53").list_resource_record_sets(HostedZoneId=self.id)["ResourceRecordSets"]
        (found,) = [one for one in sets if one["Type"] == kind and one["Name"] == "db.example.test."]
        return found["TTL"], " ".join(sorted(one["Value"] for one in found["ResourceRecords"]))

    def redirect(self, expected: str, value: str, check_mode: bool = False, **options: t.Any) -> Options:
        way = {"zone_id": self.id, "record": "db.example.test", **self.aws.options(), **options}
        given = {"expected": expected, "value": value, "verify_seconds": 2, "timeout": 3, "route53": way}
        result = run_module("redirect", given, check_mode=check_mode)
        assert self.aws.options()["secret_key"] not in json.dumps(result)
        return result

    def refused(self, expected: str, value: str, **options: t.Any) -> Options:
        with pytest.raises(ModuleFailed) as caught:
            self.redirect(expected, value, **options)
        return caught.value.result


@pytest.fixture
def zone(aws: StrictAws) -> Zone:
    created = aws.client("route53").create_hosted_zone(Name="example.test", CallerReference=secrets.token_hex(8))
    zone = Zone(aws, created["HostedZone"]["Id"].rpartition("/")[2])
    zone.put(EAST)
    return zone


def test_a_record_is_exchanged_by_one_batch_and_insync_is_awaited(zone: Zone) -> None:
    zone.aws.pending = 2
    assert zone.redirect(EAST, WEST, check_mode=True)["changed"] is True
    assert zone.aws.requests == []
    done = zone.redirect("East.example.test", "west.example.test")
    assert (done["changed"], zone.record(), zone.aws.pending) == (True, (300, WEST), 0)
    assert zone.aws.requests == [
        (
            "ChangeResourceRecordSets",
            [
                ("DELETE", "db.example.test.", "CNAME", "300", [EAST]),
                ("CREATE", "db.example.test.", "CNAME", "300", [WEST]),
            ],
        )
    ]
    assert done["before"] == {"value": EAST, "ttl": 300}
    assert zone.redirect(EAST, WEST)["changed"] is False
    assert zone.redirect(WEST, EAST, ttl=30)["changed"] is True
    assert zone.record() == (30, EAST)


def test_a_change_that_never_reaches_all_servers_fails_the_proof(zone: Zone) -> None:
    zone.aws.pending = 1000
    result = zone.refused(EAST, WEST)
    assert (result["error_kind"], "to all of its servers" in result["msg"]) == ("check_failed", True)


def test_a_record_of_another_value_or_a_part_of_a_set_is_a_conflict(zone: Zone) -> None:
    assert zone.refused("north.example.test.", WEST)["error_kind"] == "conflict"
    zone.put("10.1.0.10 10.1.0.11", kind="A", name="set.example.test")
    result = zone.refused("10.1.0.10", "10.2.0.10", record="set.example.test", type="A")
    assert (result["error_kind"], zone.aws.requests) == ("conflict", [])


def test_a_change_of_another_client_between_read_and_batch_is_not_overwritten(zone: Zone) -> None:
    zone.aws.before_change = lambda: zone.put("north.example.test.")
    result = zone.refused(EAST, WEST)
    assert (result["error_kind"], zone.record()) == ("conflict", (300, "north.example.test."))
    zone.put(EAST)
    zone.aws.before_change = lambda: zone.put(EAST, ttl=5)
    assert (zone.refused(EAST, WEST)["error_kind"], zone.record()) == ("conflict", (5, EAST))


def test_a_lost_answer_and_a_busy_service_do_not_fail_the_change(zone: Zone) -> None:
    zone.aws.broken = 1
    assert (zone.redirect(EAST, WEST)["changed"], zone.record()) == (True, (300, WEST))
    zone.aws.refuses = ["Throttling", "PriorRequestNotComplete"]
    assert (zone.redirect(WEST, EAST)["changed"], zone.record()) == (True, (300, EAST))
    zone.aws.refuses = ["AccessDenied"]
    assert zone.refused(EAST, WEST)["error_kind"] == "access_denied"


def test_aliases_and_routed_sets_are_refused(zone: Zone) -> None:
    alias = {"HostedZoneId": "Z2", "DNSName": "lb.example.test", "EvaluateTargetHealth": False}
    zone.change({"Name": "alias.example.test", "Type": "A", "AliasTarget": alias})
    for site in ("east", "west"):
        weighted = {"TTL": 60, "SetIdentifier": site, "Weight": 1, "ResourceRecords": [{"Value": "10.1.0.10"}]}
        zone.change({"Name": "weighted.example.test", "Type": "A", **weighted})
    for name, kind in (("alias", "an alias"), ("weighted", "one of a weighted or routed set")):
        result = zone.refused("10.1.0.10", "10.2.0.10", record=f"{name}.example.test", type="A")
        assert (result["error_kind"], f"is {kind}, and must be a simple record" in result["msg"]) == (
            "unsupported",
            True,
        ), result
    assert zone.refused(EAST, WEST, record="no.example.test")["error_kind"] == "object_missing"
    assert zone.refused(EAST, WEST, zone_id="Z0")["error_kind"] == "object_missing"


@pytest.mark.skipif(dns.PROGRAM is None, reason="bind9 is not installed")
def test_resolvers_must_answer_the_value(zone: Zone) -> None:
    with dns.dns_server("db CNAME east") as stale:
        result = zone.refused(EAST, WEST, resolvers=[stale.endpoint])
        assert (result["error_kind"], f"{stale.endpoint} answers {EAST}" in result["msg"]) == ("check_failed", True)
        # The only server that clients ask is silent.
        assert zone.refused(EAST, WEST, resolvers=["127.0.0.9:9"])["error_kind"] == "check_failed"
        assert zone.redirect(WEST, EAST, resolvers=[stale.endpoint])["answers"] == [
            {"server": stale.endpoint, "value": EAST}
        ]


class Parameter(t.NamedTuple):
    aws: StrictAws
    name: str

    def put(self, value: str, **more: t.Any) -> None:
        self.aws.client("ssm").put_parameter(Name=self.name, Value=value, **more)

    def stored(self) -> Options:
        found: Options = self.aws.client("ssm").get_parameter(Name=self.name, WithDecryption=True)["Parameter"]
        return {name: found[name] for name in ("Type", "Value", "Version")}

    def redirect(self, expected: str, value: str, **options: t.Any) -> Options:
        way = {"name": self.name, **self.aws.options()}
        given = {"expected": expected, "value": value, "verify_seconds": 2, "timeout": 3, "ssm": way}
        return run_module("redirect", given, **options)

    def refused(self, expected: str, value: str) -> Options:
        with pytest.raises(ModuleFailed) as caught:
            self.redirect(expected, value)
        return caught.value.result


@pytest.fixture
def parameter(aws: StrictAws) -> Parameter:
    return Parameter(aws, f"/app/{secrets.token_hex(4)}")


def test_a_secure_string_keeps_its_type_and_key_and_is_never_shown(parameter: Parameter) -> None:
    old, new = (f"postgres://app:{PASSWORD}@{site}/app" for site in ("east", "west"))
    parameter.put(old, Type="SecureString", KeyId="alias/of-the-application", Description="the writer")
    results = [parameter.redirect(old, new, check_mode=True), parameter.refused("other", new)]
    assert parameter.aws.requests == []
    results += [parameter.redirect(old, new), parameter.redirect(old, new)]
    assert [one["changed"] for one in results] == [True, False, True, False]
    assert parameter.stored() == {"Type": "SecureString", "Value": new, "Version": 2}
    ((_action, request),) = parameter.aws.requests
    assert {name: request.get(name) for name in ("Type", "KeyId", "Description")} == {
        "Type": None,
        "KeyId": "alias/of-the-application",
        "Description": "the writer",
    }
    assert results[2]["before"] == {"value": "(hidden)", "type": "SecureString", "version": 1}
    assert not [one for one in results if PASSWORD in json.dumps(one)]


def test_a_string_is_shown(parameter: Parameter) -> None:
    parameter.put("east", Type="String")
    done = parameter.redirect("east", "west")
    assert (done["before"], done["current"]) == ({"value": "east", "type": "String", "version": 1}, "west")


def test_a_version_of_another_client_is_reported(parameter: Parameter) -> None:
    parameter.put("east", Type="String")
    parameter.aws.before_change = lambda: parameter.put("north", Overwrite=True)
    result = parameter.refused("east", "west")
    assert (result["error_kind"], result["applied"]) == ("conflict", "yes")
    assert "this run wrote the version 3" in result["msg"]


def test_a_put_without_an_answer_is_read_back(parameter: Parameter) -> None:
    parameter.put("east", Type="String")
    parameter.aws.broken = 1
    assert (parameter.redirect("east", "west")["changed"], parameter.stored()["Version"]) == (True, 2)


def test_a_refused_value_is_not_shown(parameter: Parameter) -> None:
    parameter.put("east", Type="SecureString")
    parameter.aws.refuses = ["ParameterPatternMismatchException"]
    result = parameter.refused("east", PASSWORD)
    assert (result["error_kind"], PASSWORD in json.dumps(result)) == ("service_failed", False)
    assert Parameter(parameter.aws, "/no").refused("east", "west")["error_kind"] == "object_missing"
