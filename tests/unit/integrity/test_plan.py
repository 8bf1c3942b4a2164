# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Descriptions of checks: accepted values, and reported mistakes."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.plan import plan_checks
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.registry import DIALECTS

KINDS = DIALECTS["postgresql"].checks


def plan(*descriptions, fingerprint_known=False):
    return plan_checks(KINDS, list(descriptions), fingerprint_known=fingerprint_known)


def mistakes_of(*descriptions):
    with pytest.raises(RecoveryError) as caught:
        plan(*descriptions)
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS
    return [(item["index"], item["mistake"]) for item in caught.value.details["mistakes"]]


def test_every_mistake_is_reported_with_its_index():
    found = mistakes_of(
        {"type": "row_count", "tabel": "a", "min": "many"},
        {"type": "foreign_keys"},
        {"type": "row_cuont", "table": "a"},
        "nonsense",
    )

    assert [index for index, _text in found] == [0, 0, 0, 2, 3]
    returned = " / ".join(text for _index, text in found)
    assert "table is required" in returned
    assert "min must be a number" in returned
    assert "unknown option 'tabel' (did you mean 'table'?)" in returned
    assert "did you mean 'row_count'?" in returned


def test_no_check_at_all_is_refused():
    with pytest.raises(RecoveryError, match="must contain at least one check"):
        plan()


@pytest.mark.parametrize(
    ("description", "mistake"),
    [
        ({"type": "row_count", "table": "t"}, "one of min, max, equals is required"),
        ({"type": "row_count", "table": "t", "min": 3, "max": 2}, "min is greater than max"),
        ({"type": "row_count", "table": "t", "equals": 3, "max": 2}, "equals excludes min and max"),
        ({"type": "row_count", "table": "t", "min": -1}, "min must be at least 0"),
        ({"type": "row_count", "table": "t", "min": 1.5}, "min must be a whole number"),
        ({"type": "row_count", "table": "a.b.c", "min": 1}, "3 parts"),
        ({"type": "row_count", "table": "t", "min": 1, "severity": "grave"}, "severity must be one of error, warning"),
        ({"type": "row_count", "table": ["t"], "min": 1}, "table must be a text"),
        ({"type": "tables"}, "one of present, min_count is required"),
        ({"type": "tables", "present": []}, "present must not be empty"),
        (
            {"type": "orphans", "table": "a", "columns": ["x", "y"], "parent": "b", "parent_columns": "id"},
            "must be of the same number",
        ),
        ({"type": "orphans", "table": "a", "parent": "b"}, "columns is required"),
        ({"type": "rls"}, "one of tables, schemas is required"),
        ({"type": "rls", "tables": "a", "schemas": "b"}, "tables and schemas exclude each other"),
        ({"type": "rls", "tables": "a", "enabled": "maybe"}, "enabled must be true or false"),
        ({"type": "sql", "query": "SELECT 1"}, "one of equals, rows, empty, min, max is required"),
        ({"type": "sql", "query": "SELECT 1", "equals": 1, "empty": True}, "exclude each other"),
        ({"type": "sql", "query": "  ", "empty": True}, "query must not be empty"),
        ({"type": "sql", "query": "SELECT 1", "rows": "some"}, "rows must be a number of rows or a list"),
        ({"type": "freshness", "table": "t", "max_age": 5}, "column is required"),
        ({"type": "freshness", "table": "t", "column": "c"}, "max_age is required"),
        ({"type": "freshness", "max_age": 5}, "one of table, query is required"),
        ({"type": "freshness", "query": "SELECT 1", "max_age": 5, "at": "noon"}, "at: 'noon' is not an instant"),
        ({"type": "grants", "role": "r", "privileges": "EXECUTE", "objects": "t"}, "a table has no EXECUTE"),
        ({"type": "json", "table": "t", "column": "c", "shape": {"kind": "object"}}, "shape: unknown key 'kind'"),
        ({"type": "json", "table": "t", "column": "c", "shape": {"items": {"type": "text"}}}, "shape.items.type"),
        ({"type": "monotonic"}, "one of table, query is required"),
        ({"type": "monotonic", "table": "t", "query": "SELECT 1"}, "table and query exclude each other"),
        ({"type": "monotonic", "query": "SELECT 1", "column": "c"}, "column needs a table"),
        ({"type": "monotonic", "table": "t", "accept_decrease": "x" * 501}, "accept_decrease must have at most 500"),
        ({"type": "monotonic", "tabel": "t"}, "did you mean 'table'?"),
        ({"type": "fingerprint"}, "there is no backup set to compare with"),
        ({"table": "t"}, "type is required"),
    ],
)
def test_mistake_is_reported_as_a_sentence(description, mistake):
    found = mistakes_of(description)

    assert any(mistake in text for _index, text in found), found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_kind_of_check_takes_an_option_it_does_not_know(kind):
    assert any("unknown option 'surprise'" in text for _index, text in mistakes_of({"type": kind, "surprise": 1}))


def test_numbers_and_booleans_may_be_texts_as_templates_make_them():
    planned = plan({"type": "row_count", "table": "t", "min": "10", "timeout": "5", "skip": "no"})[0]

    assert (planned.check.bounds.least, planned.timeout, planned.skip) == (10, 5, False)


def test_null_means_not_given_except_as_an_expected_value():
    plan({"type": "row_count", "table": "t", "min": None, "max": 1})

    assert plan({"type": "sql", "query": "SELECT NULL", "equals": None})[0].check.expectation == {"equals": None}


def test_a_check_without_name_is_named_by_its_type_and_subject():
    planned = plan(
        {"type": "row_count", "table": "t", "min": 1}, {"type": "row_count", "table": "t", "min": 1, "name": "N"}
    )

    assert [check.name for check in planned] == ["row_count public.t", "N"]
