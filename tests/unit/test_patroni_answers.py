# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An answer of Patroni is not the end of a switchover: only the candidate as a primary with the lock is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._operations.change import perform
from ansible_collections.lifeline.recovery.plugins.module_utils._patroni.api import Access
from ansible_collections.lifeline.recovery.plugins.module_utils._patroni.switchover import (
    Switchover,
    SwitchoverRequest,
    SwitchoverResult,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.change import Safeguards
from tests.support.fakes.patroni import FakePatroni, fake_patroni

UNKNOWN = (503, "Switchover status unknown")
HTML = "<!DOCTYPE HTML><html><title>Error response</title></html>"


def switch(fake: FakePatroni, **options: t.Any) -> SwitchoverResult:
    request = SwitchoverRequest(
        Access(list(fake.urls.values())), "p2", wait_seconds=1.5, safeguards=Safeguards("sandbox"), **options
    )
    return perform(Switchover(request))


def failure(fake: FakePatroni, **options: t.Any) -> RecoveryError:
    with pytest.raises(RecoveryError) as caught:
        switch(fake, **options)
    return caught.value


@pytest.mark.parametrize(
    "answer", [UNKNOWN, (503, "Switchover failed"), None, (200, 'Successfully switched over to "p2"')]
)
def test_a_switchover_without_a_known_end_is_polled_and_sent_once(answer: tuple[int, str] | None) -> None:
    # The lock is held before the server is a primary, which is the end.
    with fake_patroni(answer=answer, takes=0.5) as fake:
        done = switch(fake)
        assert fake.requests == [("/switchover", {"leader": "p1", "candidate": "p2"})]
    assert (done.leader, done.timeline, done.changed) == ("p2", 2, True)
    assert done.primary_seconds is not None
    assert done.primary_seconds >= 0.5


def test_an_unfinished_switchover_is_an_unknown_and_no_failure() -> None:
    with fake_patroni(answer=UNKNOWN, winner=None) as fake:
        error = failure(fake)
        assert len(fake.requests) == 1
    assert (error.kind, error.applied, error.details["leader"]) == ("timeout", "unknown", "p1")
    assert "may still complete" in error.left


@pytest.mark.parametrize("answer", [(200, 'Switched over to "p3" instead of "p2"'), UNKNOWN])
def test_another_leader_than_the_candidate_is_an_error_that_names_it(answer: tuple[int, str]) -> None:
    with fake_patroni(answer=answer, winner="p3") as fake:
        error = failure(fake)
    assert (error.kind, error.applied, error.details["leader"]) == ("promotion_failed", "yes", "p3")
    assert "p3 is the leader instead of p2" in error.what


@pytest.mark.parametrize(
    ("answer", "kind", "part"),
    [
        ((412, "leader name does not match"), "conflict", "leader name does not match"),
        ((412, "candidate name does not match with sync_standby"), "not_ready", "sync_standby"),
        ((412, "switchover is not possible: no good candidates have been found"), "not_ready", "lag, the tags"),
        ((412, "candidate does not exists"), "target_missing", "plan again"),
        ((400, HTML), "not_ready", "HTTP 400"),
        ((401, "not authenticated"), "access_denied", "`username`"),
    ],
)
def test_a_refusal_of_patroni_changes_nothing(answer: tuple[int, str], kind: str, part: str) -> None:
    with fake_patroni(answer=answer, winner=None) as fake:
        error = failure(fake)
        assert len(fake.requests) == 1
    assert (error.kind, error.applied, error.left) == (kind, "no", "Nothing was changed.")
    assert part in str(error)
    assert "<" not in error.what


def test_a_failover_names_no_leader_because_patroni_would_make_it_a_switchover() -> None:
    with fake_patroni(answer=(200, "")) as fake:
        switch(fake, kind="failover", allow_data_loss="a test")
        assert fake.requests == [("/failover", {"candidate": "p2"})]
