# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge of the clients' records finds lost rows, a second writer, and the outage."""

from __future__ import annotations

import json

from tests.support.clients.judge import Attempt, judge, read


def attempt(client: str, number: int, ended: float, server: str = "east", took: float = 0.1) -> Attempt:
    return Attempt(client, number, ended - took, ended, server, "" if server else "refused")


def test_judge_finds_an_acknowledged_row_that_the_final_primary_lacks() -> None:
    tried = [attempt("a", 1, 1.0), attempt("a", 2, 2.0), attempt("a", 3, 3.0, server="")]
    assert judge(tried, {("a", 1), ("a", 2)}).lost == []
    # A row that was not acknowledged may be absent or present.
    assert judge(tried, {("a", 1), ("a", 2), ("a", 3)}).lost == []
    verdict = judge(tried, {("a", 1), ("b", 2)})
    assert (verdict.acknowledged, verdict.lost) == (2, [("a", 2)])


def test_judge_lists_a_server_again_that_accepts_rows_after_its_successor() -> None:
    fenced = [attempt("a", 1, 1.0), attempt("b", 1, 2.0), attempt("a", 2, 3.0, server="west")]
    assert judge(fenced, ()).writers == ["east", "west"]
    assert judge([*fenced, attempt("b", 2, 3.5)], ()).writers == ["east", "west", "east"]


def test_outage_is_the_longest_time_that_one_client_was_without_a_row() -> None:
    others = [attempt("b", number, number / 2) for number in range(2, 21)]
    tried = [attempt("a", 1, 1.0), attempt("a", 2, 3.0, server=""), attempt("a", 3, 5.0, took=1.5), *others]
    verdict = judge(tried, ())
    assert (verdict.outage, verdict.longest_wait) == (4.0, 1.5)
    # Until its last attempt a client that has no service counts.
    assert judge([*tried, attempt("a", 4, 9.5, server="")], ()).outage == 4.5


def test_partial_last_line_of_a_killed_client_is_left_out() -> None:
    line = json.dumps({"number": 1, "began": 1.0, "ended": 1.5, "server": "east", "error": None})
    assert read("a", f"{line}\n{line[:20]}") == [Attempt("a", 1, 1.0, 1.5, "east", "")]
