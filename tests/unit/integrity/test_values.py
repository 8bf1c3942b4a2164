# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a database in results, and against what people expect."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.sequences import SequenceUse
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.sequences import next_value, problem_of
from ansible_collections.lifeline.recovery.plugins.module_utils._integrity.values import plain_value, same_value


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (10, 10, True),
        ("10", 10, True),
        (10, Decimal("10.0"), True),
        (0.1, Decimal("0.1"), True),
        (10, "10", True),
        (10, 11, False),
        (True, True, True),
        ("yes", True, True),
        (1, True, False),
        (None, None, True),
        (None, 0, False),
        ("", None, False),
        ("2026-03-01", "2026-03-01", True),
        ("A", "a", False),
        ([1, "x"], (1, "x"), True),
        ([1], (1, 2), False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ("nan", float("nan"), True),
        ("\\x00ff", memoryview(b"\x00\xff"), True),
    ],
)
def test_equal_values_of_different_types_compare_equal(expected, actual, same):
    assert same_value(expected, actual) is same


def test_every_value_becomes_json():
    values = [
        Decimal("1.50"),
        Decimal(3),
        float("inf"),
        memoryview(b"\0"),
        date(2026, 3, 1),
        {"k": (1, None)},
        b"x" * 500,
    ]

    shown = [plain_value(value) for value in values]

    assert json.loads(json.dumps(shown)) == shown
    assert shown[:6] == ["1.50", 3, "inf", "\\x00", "2026-03-01", {"k": [1, None]}]
    assert len(shown[6]) == 200


def use(increment=1, least=1, most=100, cycles=False):
    return SequenceUse(None, None, "id", False, increment, least, most, cycles)


@pytest.mark.parametrize(
    ("last_value", "is_called", "increment", "extreme", "problem"),
    [
        (5, True, 1, 5, None),
        (5, False, 1, 5, "is behind"),
        (6, False, 1, 5, None),
        (4, True, 1, 5, "is behind"),
        (1, False, 1, None, None),
        (10, True, 10, 15, None),
        (10, True, 5, 15, "is behind"),
        (50, True, -1, 50, None),
        (60, True, -1, 50, "is behind"),
        (50, False, -1, 50, "is behind"),
        (100, True, 1, 5, "has no value left for"),
        (1, True, -1, 1, "has no value left for"),
    ],
)
def test_a_sequence_is_judged_by_the_value_it_would_give_next(last_value, is_called, increment, extreme, problem):
    following = next_value(last_value, is_called, increment)

    assert problem_of(use(increment), following, None if extreme is None else Decimal(extreme)) == problem


def test_a_sequence_that_cycles_may_be_behind():
    assert problem_of(use(cycles=True), 1, Decimal(50)) is None
