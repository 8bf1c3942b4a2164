# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every request names this collection, and a bot filter is distinguished from a bad token."""

from __future__ import annotations

import json
import typing as t
import urllib.request
from datetime import datetime, timezone

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.cloudflare import Account, call
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.http import USER_AGENT, Answer, exchange
from ansible_collections.lifeline.recovery.plugins.module_utils._core.version import VERSION
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.ask import ask_pages
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.model import WantedPage
from ansible_collections.lifeline.recovery.plugins.module_utils._supabase.api import Access, SupabaseApi
from tests.support.fakes.sinks import HttpSink, Reply, http_sink

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
PROBLEM = json.dumps(
    {"title": "Error 1010: Access denied", "status": 403, "error_code": 1010, "cloudflare_error": True}
)
REFUSED = json.dumps(
    {"success": False, "errors": [{"code": 10000, "message": "Authentication error, not error code: 1010"}]}
)


@pytest.fixture
def web() -> t.Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


def ask_cloudflare(url: str) -> None:
    call(Account("a", "token", url, 2), "GET", "d1/database", what="the databases")


def test_every_service_is_asked_under_the_name_of_the_collection(web: HttpSink) -> None:
    exchange(urllib.request.Request(f"{web.url}/hook"), timeout=2, largest=100)
    web.replies["/accounts"] = [Reply(body='{"success": true, "result": []}')]
    ask_cloudflare(web.url)
    ask_pages([WantedPage("p", f"{web.url}/page")], 2, NOW)
    web.replies["/v1"] = [Reply(body="{}")]
    with pytest.raises(RecoveryError):
        SupabaseApi(Access("a" * 20, "token", web.url, 2)).project()
    assert {one.agent for one in web.seen} == {f"lifeline.recovery/{VERSION}"}
    assert len(web.seen) == 4


@pytest.mark.parametrize("body", ["error code: 1010", '<span class="cf-error-code">1010</span>', PROBLEM])
def test_a_bot_filter_does_not_blame_the_token(web: HttpSink, body: str) -> None:
    web.replies["/accounts"] = [Reply(status=403, body=body)]
    with pytest.raises(RecoveryError) as caught:
        ask_cloudflare(web.url)
    assert caught.value.kind == ErrorKind.SERVICE_FAILED
    assert "rejected the request (HTTP 403, code 1010)" in caught.value.what
    assert USER_AGENT in caught.value.next_step
    assert "The token was not judged." in caught.value.next_step
    assert Answer(403, {}, body.encode()).outcome == "HTTP 403, code 1010 of a bot filter in front of it"


@pytest.mark.parametrize("body", [REFUSED, "", "Forbidden", "[1]", '{"error_code": "x"}'])
def test_a_refused_token_is_no_bot_filter(web: HttpSink, body: str) -> None:
    web.replies["/accounts"] = [Reply(status=403, body=body)]
    with pytest.raises(RecoveryError) as caught:
        ask_cloudflare(web.url)
    assert caught.value.kind == ErrorKind.ACCESS_DENIED
    assert Answer(403, {}, body.encode()).outcome == "HTTP 403"
    assert Answer(500, {}, b"error code: 1010").filter_code is None
