# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of JSON documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.shape import (
    first_problem,
    parse_json,
    read_shape,
)

COURSE = {
    "type": "object",
    "required": ["title", "lessons"],
    "properties": {
        "title": {"type": "string"},
        "level": {"enum": ["easy", "hard", 1]},
        "lessons": {"type": "array", "min_items": 1, "items": {"type": "object", "required": ["id"]}},
    },
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def shape_of(description):
    mistakes = []
    shape = read_shape(description, mistakes)
    assert not mistakes
    return shape


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"title": "T", "lessons": [{"id": 1}]}, None),
        ({"title": "T", "lessons": [{"id": 1}], "further": None}, None),
        ([], "$ is of type array, not object"),
        ({"lessons": [{"id": 1}]}, "$.title is missing"),
        ({"title": None, "lessons": [{"id": 1}]}, "$.title is of type null, not string"),
        ({"title": "T", "lessons": []}, "$.lessons has 0 items, not at least 1"),
        ({"title": "T", "lessons": [{"id": 1}, {"ID": 2}]}, "$.lessons[1].id is missing"),
        ({"title": "T", "level": "dire", "lessons": [{"id": 1}]}, "$.level is none of the values allowed"),
        ({"title": "T", "level": True, "lessons": [{"id": 1}]}, "$.level is none of the values allowed"),
    ],
)
def test_first_problem_is_reported_with_its_path(document, problem):
    assert first_problem(shape_of(COURSE), document) == problem


@pytest.mark.parametrize(
    ("value", "fits"), [(1, True), (1.0, True), (1.5, False), (True, False), ("1", False), (None, False)]
)
def test_an_integer_is_what_json_schema_calls_one(value, fits):
    assert (first_problem(shape_of({"type": "integer"}), value) is None) is fits


def test_a_number_takes_integers_and_several_types_may_be_allowed():
    assert first_problem(shape_of({"type": "number"}), 3) is None
    assert first_problem(shape_of({"type": ["string", "null"]}), None) is None


@given(JSON)
def test_an_empty_shape_fits_every_document(document):
    assert first_problem(shape_of({}), document) is None


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "'a'", "[" * 100000])
def test_invalid_json_raises_a_value_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize(
    "description",
    ["object", {"type": "uuid"}, {"properties": []}, {"required": [1]}, {"min_items": -1}, {"enum": []}, {"items": 3}],
)
def test_a_wrong_shape_is_a_mistake(description):
    mistakes = []
    read_shape(description, mistakes)

    assert mistakes
