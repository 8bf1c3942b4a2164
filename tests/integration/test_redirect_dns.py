# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record of DNS is changed only from the expected values, by a real BIND, and every server's answer is the proof."""

from __future__ import annotations

import base64
import json
import typing as t

import dns.query
import dns.tsigkeyring
import dns.update
import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._redirect import rfc2136
from tests.support.runner.modules import ModuleFailed, run_module
from tests.support.servers.dns import PROGRAM, DnsServer, dns_server

Options = dict[str, t.Any]

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="bind9 is not installed")

NAME = "db.example.test."


@pytest.fixture(scope="module")
def server() -> t.Iterator[DnsServer]:
    with dns_server("east A 10.1.0.10", "west A 10.2.0.10", f"{NAME} 300 CNAME east") as started:
        yield started


def put(server: DnsServer, *lines: str) -> None:
    """Replace every record of the name, as another client of the server does."""
    update = dns.update.UpdateMessage(
        server.zone, keyring=dns.tsigkeyring.from_text({server.key_name: server.key_secret})
    )
    update.delete(NAME)
    for line in lines:
        ttl, kind, value = line.split(" ", 2)
        update.add(NAME, int(ttl), kind, value)
    dns.query.tcp(update, server.address, timeout=5, port=server.port)


def way(server: DnsServer, **options: t.Any) -> Options:
    key = {"key_name": server.key_name, "key_secret": server.key_secret}
    place = {"server": server.address, "port": server.port, "zone": server.zone, "record": NAME}
    return {**place, **key, **options}


def redirect(server: DnsServer, expected: str, value: str, check_mode: bool = False, **options: t.Any) -> Options:
    given = {"expected": expected, "value": value, "verify_seconds": 3, "timeout": 3, "rfc2136": way(server, **options)}
    result = run_module("redirect", given, check_mode=check_mode)
    assert server.key_secret not in json.dumps(result)
    return result


def refused(server: DnsServer, expected: str, value: str, **options: t.Any) -> Options:
    with pytest.raises(ModuleFailed) as caught:
        redirect(server, expected, value, **options)
    assert server.key_secret not in json.dumps(caught.value.result)
    return caught.value.result


def test_a_record_is_exchanged_with_its_ttl_and_back(server: DnsServer) -> None:
    put(server, "300 CNAME east.example.test.")
    assert redirect(server, "east.example.test", "west.example.test", check_mode=True)["changed"] is True
    assert server.ask(NAME, "CNAME") == ["east.example.test."]
    done = redirect(server, "EAST.example.test", "west.example.test.")
    assert (done["changed"], server.ask(NAME, "CNAME"), server.ttl(NAME, "CNAME")) == (
        True,
        ["west.example.test."],
        300,
    )
    assert done["before"] == {"value": "east.example.test.", "ttl": 300}
    assert done["answers"] == [{"server": server.endpoint, "value": "west.example.test."}]
    assert redirect(server, "east.example.test", "west.example.test")["changed"] is False
    lowered = redirect(server, "west.example.test", "west.example.test", ttl=30)
    assert lowered["summary"] == f"Changed the record {NAME} CNAME, because the TTL is 300."
    assert (server.ask(NAME, "CNAME"), server.ttl(NAME, "CNAME")) == (["west.example.test."], 30)
    assert redirect(server, "west.example.test", "east.example.test", ttl=60)["changed"] is True
    assert (server.ask(NAME, "CNAME"), server.ttl(NAME, "CNAME")) == (["east.example.test."], 60)


def test_a_set_of_addresses_is_exchanged_as_a_whole(server: DnsServer) -> None:
    put(server, "60 A 10.1.0.10", "60 A 10.1.0.11")
    for part in ("10.1.0.10", "10.1.0.10 10.1.0.12"):
        assert refused(server, part, "10.2.0.10", type="A")["error_kind"] == "conflict"
    assert server.ask(NAME, "A") == ["10.1.0.10", "10.1.0.11"]
    redirect(server, "10.1.0.11 10.1.0.10", "10.2.0.10 10.2.0.11 10.2.0.12", type="A")
    assert server.ask(NAME, "A") == ["10.2.0.10", "10.2.0.11", "10.2.0.12"]


@pytest.mark.parametrize(
    ("records", "kind", "error_kind", "message"),
    [
        (["60 CNAME north.example.test."], "CNAME", "conflict", "is north.example.test., `expected` is east"),
        (["60 CNAME east.example.test."], "A", "conflict", "has a CNAME to east.example.test."),
        (["60 A 10.1.0.10"], "CNAME", "object_missing", "has no record db.example.test. CNAME"),
        ([], "CNAME", "object_missing", "has no record"),
    ],
)
def test_a_record_that_is_not_as_expected_stays(
    server: DnsServer, records: list[str], kind: str, error_kind: str, message: str
) -> None:
    put(server, *records)
    before = server.ask(NAME, "CNAME"), server.ask(NAME, "A")
    value = ("east.example.test.", "west.example.test.") if kind == "CNAME" else ("10.1.0.10", "10.2.0.10")
    result = refused(server, *value, type=kind)
    assert (result["error_kind"], message in result["msg"]) == (error_kind, True), result
    assert (server.ask(NAME, "CNAME"), server.ask(NAME, "A")) == before


@pytest.mark.parametrize("other", ["60 A 10.9.0.9", "60 CNAME north.example.test."])
def test_a_change_of_another_client_between_read_and_update_is_not_overwritten(server: DnsServer, other: str) -> None:
    kind = other.split()[1]
    expected, value = ("10.1.0.10", "10.2.0.10") if kind == "A" else ("east.example.test.", "west.example.test.")
    put(server, f"60 {kind} {expected}")
    redirection = rfc2136.Rfc2136(rfc2136.Rfc2136Options(**way(server, type=kind)), 3)
    state = redirection.read()
    put(server, other, *(["60 A 10.1.0.10"] if kind == "A" else []))
    before = server.ask(NAME, kind)
    with pytest.raises(RecoveryError, match="Another client changed the record") as caught:
        redirection.write(state, value)
    assert (caught.value.kind, server.ask(NAME, kind)) == ("conflict", before)


def test_a_wrong_key_is_denied(server: DnsServer) -> None:
    put(server, "60 CNAME east.example.test.")
    wrong = base64.b64encode(b"x" * 32).decode()
    for options in ({"key_secret": wrong}, {"key_name": "unknown"}, {"key_name": None, "key_secret": None}):
        result = refused(server, "east.example.test.", "west.example.test.", **options)
        assert (result["error_kind"], wrong in json.dumps(result)) == ("access_denied", False), result
    assert server.ask(NAME, "CNAME") == ["east.example.test."]


def test_every_authoritative_server_and_resolver_must_have_the_value(server: DnsServer) -> None:
    put(server, "60 CNAME east.example.test.")
    with dns_server(primary=server) as secondary, dns_server(f"{NAME} 60 CNAME east") as stale:
        done = redirect(
            server, "east.example.test.", "west.example.test.",
            authoritative=[secondary.endpoint], resolvers=[secondary.endpoint],
        )  # fmt: skip
        assert [one["value"] for one in done["answers"]] == ["west.example.test."] * 3
        # The change is made, and the run is repeated until every server has it.
        result = refused(server, "east.example.test.", "west.example.test.", authoritative=[stale.endpoint])
        assert (result["error_kind"], f"{stale.endpoint} answers east" in result["msg"]) == ("check_failed", True)
        silent = ["127.0.0.9:9"]
        assert refused(server, "east.example.test.", "west.example.test.", authoritative=[stale.endpoint, *silent])
        put(stale, "60 CNAME west.example.test.")
        done = redirect(server, "east.example.test.", "west.example.test.", resolvers=[*silent, stale.endpoint])
        assert (done["silent"], f"No answer: {silent[0]}." in done["summary"]) == (silent, True)
        assert (
            redirect(server, "east.example.test.", "west.example.test.", authoritative=[stale.endpoint])["changed"]
            is False
        )


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"record": "db.example.org"}, ("a.", "b."), "must be a name in the zone example.test."),
        ({"key_secret": "n0t base64"}, ("a.", "b."), "`rfc2136.key_secret` must be in base64"),
        ({"key_name": None}, ("a.", "b."), "are required together"),
        ({"ttl": -1}, ("a.", "b."), "`rfc2136.ttl` must be a number of seconds"),
        ({"type": "A"}, ("a.", "10.1.0.1"), "`expected` must be a value of a record of type A"),
        ({"resolvers": ["1.1.1.1:x"]}, ("a.", "b."), "`rfc2136.resolvers` must be an address"),
        ({"zone": "x..y"}, ("a.", "b."), "`rfc2136.zone` must be a name of DNS"),
    ],
)
def test_wrong_options_are_refused(server: DnsServer, options: Options, values: tuple[str, str], message: str) -> None:
    result = refused(server, *values, **options)
    assert (result["error_kind"], message in result["msg"]) == ("invalid_options", True), result
