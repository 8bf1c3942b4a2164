# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of Cloudflare and secrets of Kubernetes change only from the expected value."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.support.fakes.redirects import DnsRecords, Secrets, json_api
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers import dns
from tests.support.servers.certificate import make_certificate

Options = dict[str, t.Any]

EAST, WEST = "east.example.test.", "west.example.test."
OLD, NEW = (f"postgres://app:s3cret-of-the-database@{site}/app" for site in ("east", "west"))


def redirect(expected: str, value: str, check_mode: bool = False, **way: t.Any) -> Options:
    given = {"expected": expected, "value": value, "verify_seconds": 2, "timeout": 2, **way}
    return run_module("redirect", given, check_mode=check_mode)


def refused(expected: str, value: str, **way: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        redirect(expected, value, **way)
    return caught.value.result


@pytest.fixture
def zone() -> t.Iterator[DnsRecords]:
    with json_api(DnsRecords()) as api:
        api.put("east.example.test")
        yield api


def record(api: DnsRecords, **options: t.Any) -> Options:
    way = {"zone_id": "zone-1", "record": "db.example.test", "api_token": api.token, "api_url": f"{api.url}/client/v4"}
    return {"cloudflare": {**way, **options}}


def test_a_record_of_cloudflare_is_exchanged_by_its_id(zone: DnsRecords) -> None:
    zone.add("other.example.test", name="db2.example.test")
    assert redirect(EAST, WEST, check_mode=True, **record(zone))["changed"] is True
    assert zone.changes == []
    done = redirect(EAST, WEST, **record(zone))
    assert [(one["content"], one["ttl"]) for one in zone.records] == [
        ("west.example.test", 300),
        ("other.example.test", 300),
    ]
    assert {name: done["before"][name] for name in ("value", "ttl", "id")} == {"value": EAST, "ttl": 300, "id": "r1"}
    assert zone.token not in json.dumps(done)
    assert redirect(EAST, WEST, **record(zone))["changed"] is False
    assert redirect(WEST, EAST, **record(zone, ttl=60))["changed"] is True
    assert (zone.records[0]["content"], zone.records[0]["ttl"]) == ("east.example.test", 60)


def test_a_record_of_cloudflare_that_is_not_as_expected_stays(zone: DnsRecords) -> None:
    assert refused("north.example.test", WEST, **record(zone))["error_kind"] == "conflict"
    assert refused("10.1.0.10", "10.2.0.10", **record(zone, type="A"))["error_kind"] == "object_missing"
    zone.put("10.1.0.10", kind="A")
    zone.add("10.1.0.11", kind="A")
    assert refused("10.1.0.10", "10.2.0.10", **record(zone, type="A"))["error_kind"] == "unsupported"
    zone.put("east.example.test", proxied=True)
    result = refused(EAST, WEST, **record(zone, resolvers=["127.0.0.1:1"]))
    assert (result["error_kind"], "is proxied" in result["msg"], zone.changes) == ("unsupported", True, [])


@pytest.mark.parametrize(("is_new", "kind"), [(False, "conflict"), (True, "target_missing")])
def test_a_change_of_another_client_between_read_and_write_is_not_overwritten(
    zone: DnsRecords, is_new: bool, kind: str
) -> None:
    read = zone.read

    def read_later(path: str, query: dict[str, str]) -> tuple[int, Options]:
        if path.endswith("/r1") and is_new:
            zone.put("east.example.test")
        elif path.endswith("/r1"):
            zone.records[0].update(content="north.example.test", modified_on="2026-03-02T00:00:00Z")
        return read(path, query)

    zone.read = read_later  # type: ignore[method-assign]
    assert (refused(EAST, WEST, **record(zone))["error_kind"], zone.changes) == (kind, [])


def test_a_record_of_cloudflare_that_is_written_again_fails_the_proof(zone: DnsRecords) -> None:
    patch = zone.patch

    def patched(path: str, kind: str, given: Options) -> tuple[int, Options]:
        answer = patch(path, kind, given)
        zone.put("north.example.test")
        return answer

    zone.patch = patched  # type: ignore[method-assign]
    result = refused(EAST, WEST, **record(zone))
    assert (result["error_kind"], "has the value north.example.test" in result["msg"]) == ("check_failed", True)


def test_a_lost_answer_of_cloudflare_is_read_back_and_a_wrong_token_is_denied(zone: DnsRecords) -> None:
    zone.lost = 1
    assert redirect(EAST, WEST, **record(zone))["changed"] is True
    assert len(zone.changes) == 1
    result = refused(WEST, EAST, **record(zone, api_token="another-token"))
    assert (result["error_kind"], "another-token" in json.dumps(result)) == ("access_denied", False)
    assert refused(WEST, EAST, **record(zone, zone_id="zone-2"))["error_kind"] == "target_missing"


@pytest.mark.skipif(dns.PROGRAM is None, reason="bind9 is not installed")
def test_servers_of_a_zone_of_cloudflare_must_answer_the_value(zone: DnsRecords) -> None:
    with dns.dns_server("db CNAME east") as stale:
        result = refused(EAST, WEST, **record(zone, authoritative=[stale.endpoint]))
        assert (result["error_kind"], f"{stale.endpoint} answers {EAST}" in result["msg"]) == ("check_failed", True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def cluster(certificate: tuple[Path, Path]) -> t.Iterator[tuple[Secrets, Options]]:
    with json_api(Secrets(data={"url": OLD, "other": "x"}), certificate) as api:
        place = {"api_url": api.url, "ca_file": str(certificate[0]), "token": api.token}
        yield api, {"kubernetes_secret": {**place, "name": "database", "key": "url"}}


def test_a_key_of_a_secret_is_exchanged_and_never_shown(cluster: tuple[Secrets, Options]) -> None:
    api, way = cluster
    results = [redirect(OLD, NEW, check_mode=True, **way), refused("other", NEW, **way)]
    assert api.changes == []
    results += [redirect(OLD, NEW, **way), redirect(OLD, NEW, **way)]
    assert [one["changed"] for one in results] == [True, False, True, False]
    assert api.data == {"url": NEW, "other": "x"}
    assert api.changes[0]["metadata"] == {"resourceVersion": "1"}
    assert results[2]["before"] == {"value": "(hidden)", "resource_version": "1"}
    assert not [one for one in results if "s3cret" in json.dumps(one) or api.token in json.dumps(one)]


@pytest.mark.parametrize("key", ["url", "other"])
def test_a_change_of_another_client_of_the_secret_is_not_overwritten(
    cluster: tuple[Secrets, Options], key: str
) -> None:
    api, way = cluster
    api.before_change = lambda: api.put(key, "north")
    result = refused(OLD, NEW, **way)
    assert (result["error_kind"], "s3cret" in json.dumps(result)) == ("conflict", False)
    assert api.data == {"url": OLD, "other": "x", key: "north"}


def test_a_lost_answer_about_a_secret_is_read_back(cluster: tuple[Secrets, Options]) -> None:
    api, way = cluster
    api.lost = 1
    assert (redirect(OLD, NEW, **way)["changed"], len(api.changes)) == (True, 1)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"token": "another-token"}, "access_denied", "HTTP 403"),
        ({"name": "no"}, "object_missing", "HTTP 404"),
        ({"key": "no"}, "object_missing", "has no key no"),
        ({"ca_file": None}, "unreachable", "cannot be reached"),
        ({"ca_file": "/no/such.pem"}, "invalid_options", "`kubernetes_secret.ca_file` must be a file"),
        ({"api_url": "http://localhost"}, "invalid_options", "must be an address with https://"),
    ],
)
def test_a_secret_that_cannot_be_changed_is_reported(
    cluster: tuple[Secrets, Options], change: Options, kind: str, message: str
) -> None:
    _api, way = cluster
    result = refused(OLD, NEW, kubernetes_secret={**way["kubernetes_secret"], **change})
    assert (result["error_kind"], message in result["msg"]) == (kind, True), result
    assert "s3cret" not in json.dumps(result)


def test_an_immutable_secret_is_refused(cluster: tuple[Secrets, Options]) -> None:
    api, way = cluster
    api.immutable = True
    assert (refused(OLD, NEW, **way)["error_kind"], api.changes) == ("unsupported", [])
