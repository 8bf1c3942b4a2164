# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time fails a source over; another run continues it, and none begins again too early."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.runner.modules import ModuleFailed, run_module

EAST_TO_WEST = {"kind": "failover", "from_site": "east", "to_site": "west"}


class Journal:
    def __init__(self, store: dict[str, t.Any]) -> None:
        self.common = {"source": "school", "store": store}

    def write(self, action: str, token: str | None = None, **options: t.Any) -> dict[str, t.Any]:
        begin = EAST_TO_WEST if action == "begin" else {}
        given = {**self.common, **begin, "owner": f"operator {token}", "token": token, "action": action, **options}
        return run_module("failover_journal", given)

    def refusal(self, action: str, token: str, **options: t.Any) -> dict[str, t.Any]:
        before = self.write("read")["run"]
        with pytest.raises(ModuleFailed) as caught:
            self.write(action, token, **options)
        assert self.write("read")["run"] == before
        return caught.value.result


@pytest.fixture
def journal(folder_store: dict[str, t.Any]) -> Journal:
    return Journal(folder_store)


def test_a_second_run_is_refused_until_it_takes_over(journal: Journal) -> None:
    assert journal.write("read")["run"] is None
    first = journal.write("begin", "a", reasons={"split_brain": "the region is lost"})
    assert (first["resumed"], first["run"]["steps"]) == (False, [])
    journal.write("step", "a", step="fence", status="started")
    journal.write("step", "a", step="fence", facts={"fenced_by": "a stop"})
    refused = journal.refusal("begin", "b")
    assert (refused["error_kind"], "operator a runs the failover from east to west" in refused["msg"]) == (
        "locked",
        True,
    )

    second = journal.write("begin", "b", takeover=True)
    assert (second["resumed"], second["steps_done"]) == (True, ["fence"])
    assert second["run"]["steps"][0]["facts"] == {"fenced_by": "a stop"}
    assert second["run"]["reasons"] == {"split_brain": "the region is lost"}
    # The first run still lives, and learns that it must not continue.
    assert journal.refusal("step", "a", step="promote")["error_kind"] == "conflict"
    journal.write("step", "b", step="promote", status="started", beyond_return=True)
    assert journal.write("step", "b", step="promote")["run"]["beyond_return"] is True
    assert journal.write("end", "b")["run"]["state"] == "done"
    (written,) = run_module("audit_info", journal.common)["records"]
    assert (written["operation_type"], written["status"]) == ("failover", "succeeded")
    assert written["details"]["reasons"] == {"split_brain": "the region is lost"}
    assert set(written["details"]["seconds"]) == {"fence", "promote"}
    assert journal.refusal("step", "b", step="redirect")["error_kind"] == "conflict"


def test_a_lock_ends_with_its_time(journal: Journal) -> None:
    journal.write("begin", "a", lock_seconds=0)
    assert journal.write("begin", "b")["resumed"] is True


def test_an_open_run_excludes_another_direction(journal: Journal) -> None:
    journal.write("begin", "a")
    other = {"kind": "switchover", "from_site": "west", "to_site": "east", "takeover": True}
    assert journal.refusal("begin", "b", **other)["error_kind"] == "conflict"
    journal.write("end", "a", outcome="aborted")
    # An aborted run changed nothing, so there is no cool-down.
    assert journal.write("begin", "b", **other)["resumed"] is False


def test_a_cool_down_follows_a_run_that_was_completed(journal: Journal) -> None:
    journal.write("begin", "a")
    journal.write("end", "a")
    back = {"kind": "failback", "from_site": "west", "to_site": "east"}
    assert journal.refusal("begin", "b", **back)["error_kind"] == "limit_exceeded"
    journal.write("begin", "b", **back, reasons={"cooldown": "the west is on fire"})
    assert journal.write("read")["run"]["reasons"] == {"cooldown": "the west is on fire"}


def test_of_two_runs_at_the_same_time_one_begins(journal: Journal) -> None:
    def begin(token: str) -> str:
        try:
            return str(journal.write("begin", token)["run"]["token"])
        except ModuleFailed as error:
            return str(error.result["error_kind"])

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(begin, ("a", "b")))
    assert outcomes in (["a", "locked"], ["b", "locked"], ["a", "conflict"], ["b", "conflict"])


def test_check_mode_writes_no_entry(journal: Journal) -> None:
    options = {**journal.common, **EAST_TO_WEST, "action": "begin", "token": "a"}
    assert run_module("failover_journal", options, check_mode=True)["changed"] is False
    assert journal.write("read")["run"] is None
