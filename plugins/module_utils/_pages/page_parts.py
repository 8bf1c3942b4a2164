# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables and lists of the report's page."""

from __future__ import annotations

import typing as t
from operator import itemgetter

from .._core.severity import worst_first
from .._core.sizes import readable_size
from .markup import Child, Markup, element
from .phrases import SIGNS, as_text, compact, instant, number, span
from .report_format import Report

_TONES = {"passed": "good", "failed": "bad", "missed": "bad", "error": "doubt", "warning": "doubt", "skipped": "doubt"}
_MOST_RUNS = 10
_MOST_SAMPLES = 3


def card(title: str, *children: Child, badge: t.Optional[Markup] = None, long: bool = False) -> Markup:
    heading = element("h2", title)
    top = element("div", heading, badge, class_="head") if badge else heading
    return element("section", top, *children, class_="card long" if long else "card")


def pill(status: str, word: str = "") -> Markup:
    sign, usual = SIGNS[status]
    return element("span", f"{sign} {word or usual}", class_=f"pill {_TONES[status]}")


def checks_table(checks: t.Sequence[Report]) -> Markup:
    """Failures first; on a phone every row becomes a block."""
    rows = [
        element(
            "tr",
            element("td", pill(check["status"]), class_="status"),
            element("td", check["name"]),
            element("td", _found(check), _samples(check), data_label="Found"),
        )
        for check in worst_first(checks, itemgetter("status"))
    ]
    return _table(("Result", "Check", "Found"), rows, "stack checks")


def self_test_list(tests: t.Sequence[Report]) -> Markup:
    statuses = {True: ("passed", "caught"), False: ("failed", "not caught"), None: ("error", "not tried")}
    return element(
        "ul",
        [
            element(
                "li",
                element("div", element("span", test["damage"].replace("_", " ")), pill(*statuses[test["caught"]])),
                element("p", str(test["how"]), class_="why") if test.get("how") else None,
            )
            for test in tests
        ],
        class_="plain",
    )


def history_table(runs: t.Sequence[Report]) -> Markup:
    """The newest runs, newest first."""
    rows = [
        element(
            "tr",
            element("td", pill(run["verdict"]), class_="status"),
            element("td", instant(run["started_at"]), class_="num"),
            _length("Recovery time", run["rto"]["measured_seconds"]),
            _length("Lost", run["rpo"]["observed_seconds"]),
            _length("Longest gap", run["rpo"]["exposure_seconds"]),
        )
        for run in list(reversed(runs))[:_MOST_RUNS]
    ]
    return _table(("Verdict", "Drill", "Recovery time", "Lost", "Longest gap"), rows, "stack runs")


def facts_list(facts: t.Sequence[t.Tuple[str, str]]) -> Markup:
    return element(
        "dl", [element("div", element("dt", name), element("dd", value)) for name, value in facts], class_="facts"
    )


def set_facts(given: t.Mapping[str, t.Any]) -> t.Iterator[t.Tuple[str, str]]:
    """Facts of the set in words: sizes readable and exact, counts with their thousands apart."""
    for name, value in given.items():
        title = name.replace("_", " ").capitalize()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield title, compact(value)
        elif name.startswith("bytes") or name.endswith("bytes"):
            yield title, f"{readable_size(value)} ({number(value)} bytes)"
        else:
            yield title, number(value)


def _table(titles: t.Sequence[str], rows: t.Sequence[Markup], style: str) -> Markup:
    head = element("thead", element("tr", [element("th", title, scope="col") for title in titles]))
    return element("table", head, element("tbody", rows), class_=style)


def _found(check: Report) -> str:
    """The sentence of the check, or its values in words where it has no sentence."""
    message = check.get("message")
    if message:
        return str(message)
    return f"Expected {as_text(check['expected'])}, found {as_text(check['actual'])}."


def _samples(check: Report) -> t.List[Markup]:
    """Rows that the check found, for a check that did not pass."""
    rows = [] if check["status"] == "passed" else check.get("sample") or []
    return [element("span", element("code", compact(row, 160)), class_="why") for row in rows[:_MOST_SAMPLES]]


def _length(label: str, seconds: t.Optional[float]) -> Markup:
    return element("td", "–" if seconds is None else span(seconds), class_="num", data_label=label)
