# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a plan: every problem is reported, with its path, in one run."""

from __future__ import annotations

import typing as t

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.check import find
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.durations import parse_seconds, spoken
from ansible_collections.lifeline.recovery.plugins.module_utils._plan.reader import read_plan
from tests.support.data.plans import GONE, PLATFORMS, TODAY, changed, plain, plan_of, sound
from tests.tools.plan_pages import json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())

#: Changes of the valid plan, and the reported problem. The JSON Schema must refuse the same.
WRONG: list[tuple[dict[str, t.Any], str]] = [
    ({"sources[0].objectives.rpo_seconds": 0}, "sources[0].objectives.rpo_seconds: must be above 0"),
    ({"sources[0].objectives.rto_seconds": -5}, "sources[0].objectives.rto_seconds: must be above 0"),
    (
        {"sources[0].objectives.rto_seconds": "soon"},
        "sources[0].objectives.rto_seconds: must be seconds, or a duration such as 15min, 4h, 30d, 12w or 1y",
    ),
    (
        {"sources[0].objectives.rpo_second": 5},
        "sources[0].objectives.rpo_second: is unknown; did you mean 'rpo_seconds'?",
    ),
    ({"erasure.nonsense": 5}, "erasure.nonsense: is unknown; known are replayed"),
    ({"platform": GONE}, "platform: is required"),
    ({"platform": "  "}, "platform: must not be empty"),
    ({"version": 2}, "version: must be 1"),
    ({"sources": []}, "sources: must not be empty"),
    ({"sources": {}}, "sources: must be a list"),
    ({"sources[0]": "school"}, "sources[0]: must be a dictionary"),
    ({"sources[0].tiers.daily": {"keep": 3}}, "sources[0].tiers.daily.schedule: is required"),
    ({"sources[0].tiers.daily.keep": 0}, "sources[0].tiers.daily.keep: must be above 0"),
    ({"sources[0].tiers.daily.keep": 1.5}, "sources[0].tiers.daily.keep: must be a whole number"),
    ({"sources[0].personal": "perhaps"}, "sources[0].personal: must be true or false"),
    ({"sources[0].stores[0]": ""}, "sources[0].stores[0]: must not be empty"),
    ({"channels[1].after_seconds": -1}, "channels[1].after_seconds: must not be negative"),
    ({"methods[0].steps": []}, "methods[0].steps: must not be empty"),
    ({"document.owner": ["a"]}, "document.owner: must be a text"),
]
#: Problems that only the reader detects.
WRONG_FOR_THE_READER: list[tuple[dict[str, t.Any], str]] = [
    ({"sources[1].name": "school"}, "sources[1].name: is 'school', which is the name of sources[0] too"),
    ({"document.updated": "yesterday"}, "document.updated: must be a date such as 2026-03-01"),
    (
        {"sources[0].tiers.daily.schedule": "at night"},
        "sources[0].tiers.daily.schedule: is not a schedule: 'at' is not understood; write it as '*-*-* 02:00:00 UTC'",
    ),
    (
        {"sources[0].tiers.daily.schedule": "*-02-30"},
        "sources[0].tiers.daily.schedule: is not a schedule: never runs twice",
    ),
]


def problems_of(document: t.Any) -> list[str]:
    return [str(problem) for problem in read_plan(document).problems]


@pytest.mark.parametrize(("changes", "returned"), [*WRONG, *WRONG_FOR_THE_READER])
def test_problem_is_reported_with_its_path(changes: dict[str, t.Any], returned: str) -> None:
    assert problems_of(changed(sound(), changes)) == [returned]


def test_unknown_step_is_reported_with_the_nearest() -> None:
    (returned,) = problems_of(changed(sound(), {"methods[0].steps[0]": "promotee"}))
    assert returned.startswith("methods[0].steps[0]: must be one of dump, ")
    assert returned.endswith("not 'promotee', did you mean promote?")


def test_all_problems_are_reported_together() -> None:
    everything = {key: value for changes, _reported in WRONG[:5] for key, value in changes.items()}
    everything.update({"contacts[0].rol": 1, "stores[0].provider": "floppy", "drills[0].every": GONE})
    assert len(problems_of(changed(sound(), everything))) == 7


@pytest.mark.parametrize("document", [None, "plan", [], 5])
def test_document_that_is_no_plan_is_reported(document: t.Any) -> None:
    assert problems_of(document) == ["the plan: must be a dictionary"]


def test_a_null_is_the_same_as_nothing() -> None:
    document = changed(sound(), {"residency": None, "sources[0].size_bytes": None, "records": None})
    assert problems_of(document) == []
    assert read_plan(document).plan.residency is None
    assert list(VALIDATOR.iter_errors(plain(document))) == []


def test_texts_from_templates_are_parsed() -> None:
    texts = {
        "sources[0].tiers.daily.keep": "30",
        "sources[0].personal": "True",
        "sources[0].objectives.rto_seconds": "7200",
    }
    reading = read_plan(changed(sound(), texts))
    assert reading.problems == ()
    school = reading.plan.sources[0]
    assert school.tiers.daily is not None
    assert (school.tiers.daily.keep, school.personal, school.objectives.rto_seconds) == (30, True, 7200)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("15m", 900),
        ("15 min", 900),
        ("4h", 14400),
        ("1.5h", 5400),
        ("30d", 2592000),
        ("12w", 7257600),
        ("1y", 31622400),
        ("4 hours", None),
        ("", None),
        ("-1h", None),
        (True, None),
        ("1h30m", None),
        ([], None),
    ],
)
def test_lengths_of_time(written: t.Any, seconds: float | None) -> None:
    assert parse_seconds(written) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (90, "90 s"), (5400, "90 min"), (14400, "4 h"), (86400, "24 h"), (2592000, "30 d")],
)
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@pytest.mark.parametrize("platform", [*PLATFORMS, "sound"])
def test_the_json_schema_takes_what_the_reader_takes(platform: str) -> None:
    document = sound() if platform == "sound" else plan_of(platform)
    assert problems_of(document) == []
    assert [error.message for error in VALIDATOR.iter_errors(plain(document))] == []


@pytest.mark.parametrize("changes", [changes for changes, _reported in WRONG])
def test_the_json_schema_refuses_what_the_reader_refuses(changes: dict[str, t.Any]) -> None:
    assert list(VALIDATOR.iter_errors(plain(changed(sound(), changes)))) != []


def nodes(value: t.Any, path: str = "") -> t.Iterator[str]:
    """The path of everything within a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        place = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}".lstrip(".")
        yield place
        yield from nodes(item, place)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_plan_however_wrong_breaks_the_reader_or_a_rule(data: st.DataObject) -> None:
    platform = data.draw(st.sampled_from([*PLATFORMS, "sound"]))
    document = sound() if platform == "sound" else plan_of(platform)
    values = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        # A new object each time: the same one placed within itself has no end.
        st.builds(list), st.builds(dict), st.builds(lambda: [{}]),
        st.sampled_from(["4h", "[DATE]", "2026-01-01", "public", "backups", "promote", "²", "1" * 5000]),
    )  # fmt: skip
    for _change in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(sorted(nodes(document))))
        changed(document, {path: data.draw(values)})
    reading = read_plan(document)
    assert all(problem.message for problem in reading.problems)
    if not reading.problems:
        find(reading.plan, TODAY)
