# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Lock rules of R2 are merged with the existing ones."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.support.fakes.cloudflare import LockApi, lock_api
from tests.support.runner.modules import ModuleFailed, run_module

OTHERS = {"id": "legal", "enabled": True, "prefix": "legal/", "condition": {"type": "Indefinite"}}
DAILY = {"id": "daily", "enabled": True, "prefix": "school/", "condition": {"type": "Age", "maxAgeSeconds": 2592000}}


@pytest.fixture
def api() -> t.Iterator[LockApi]:
    with lock_api() as running:
        running.rules = [OTHERS]
        yield running


def act(api: LockApi, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    arguments = {
        "account_id": "account-1",
        "bucket": "backups",
        "api_token": api.api_token,
        "api_url": api.api_url,
        "rule": "daily",
        **options,
    }
    return run_module("r2_bucket_lock", arguments, check_mode=check_mode)


def refused(api: LockApi, **options: t.Any) -> dict[str, t.Any]:
    with pytest.raises(ModuleFailed) as caught:
        act(api, **options)
    assert api.api_token not in json.dumps(caught.value.result)
    return caught.value.result


def test_a_rule_is_added_to_the_others_changed_and_removed(api: LockApi) -> None:
    foreseen = act(api, prefix="school/", days=30, check_mode=True)
    assert (foreseen["changed"], foreseen["rules"]) == (True, [OTHERS, DAILY])
    assert foreseen["diff"] == {"before": {"rules": [OTHERS]}, "after": {"rules": [OTHERS, DAILY]}}
    assert api.requests == ["GET"]
    act(api, prefix="school/", days=30)
    assert api.rules == [OTHERS, DAILY]
    assert act(api, prefix="school/", days=30)["changed"] is False
    act(api, prefix="school/", until="2027-01-01T00:00:00Z")
    assert api.rules[1]["condition"] == {"type": "Date", "date": "2027-01-01T00:00:00Z"}
    act(api, state="absent")
    assert api.rules == [OTHERS]
    assert act(api, state="absent")["changed"] is False


def test_a_rule_without_an_end_and_one_that_is_off(api: LockApi) -> None:
    act(api, enabled=False)
    assert api.rules[1] == {"id": "daily", "enabled": False, "prefix": "", "condition": {"type": "Indefinite"}}


def test_a_busy_service_is_asked_again(api: LockApi) -> None:
    api.answers = [429, 503]
    assert act(api, days=1)["changed"] is True
    assert api.requests == ["GET", "GET", "GET", "PUT", "GET"]


def test_a_rule_that_was_accepted_and_is_not_there_is_not_called_set(api: LockApi) -> None:
    api.forgets = True
    assert refused(api, days=1)["error_kind"] == "not_locked"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"api_token": "a-wrong-token-123"}, "access_denied"),
        ({"bucket": "another"}, "target_missing"),
        ({"days": 0}, "invalid_options"),
        ({"until": "tomorrow"}, "invalid_options"),
        ({"api_url": "nonsense"}, "invalid_options"),
    ],
)
def test_an_impossible_rule_is_refused_with_the_reason(api: LockApi, options: dict[str, t.Any], kind: str) -> None:
    result = refused(api, **options)
    assert result["error_kind"] == kind
    assert "a-wrong-token" not in json.dumps(result)
    assert api.rules == [OTHERS]
