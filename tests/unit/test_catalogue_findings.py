# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings in the catalogue of a source."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.lifeline.recovery.plugins.filter.catalogue_findings import catalogue_findings

SOURCE = {"rpo_met": True, "rpo_seconds": 60, "exposure_seconds": 90, "missing_days": None}


@pytest.mark.parametrize(
    ("source", "more", "findings", "warnings"),
    [
        ({}, {}, [], []),
        ({"rpo_met": False}, {}, ["longest gap between recovery points is 90 seconds"], []),
        ({"missing_days": ["2026-03-01", "2026-03-02"]}, {}, ["no backup set of 2026-03-01, 2026-03-02"], []),
        ({}, {"unreadable": [{"problem": "A is bad."}, {"problem": "B is new."}]}, ["A is bad. B is new."], []),
        ({}, {"selected": {"size_change": None}}, [], []),
        ({}, {"selected": {"size_change": -0.25}}, [], ["by -25.0 %"]),
        ({}, {"selected": {"size_change": 0.2}}, [], []),
    ],
)  # fmt: skip
def test_each_fault_of_a_catalogue_is_one_sentence_with_the_source(
    source: dict[str, t.Any], more: dict[str, t.Any], findings: list[str], warnings: list[str]
) -> None:
    found = catalogue_findings({"sources": [{**SOURCE, **source}], **more}, "school in backups", "0.2")
    for kind, expected in (("findings", findings), ("warnings", warnings)):
        assert len(found[kind]) == len(expected)
        for sentence, part in zip(found[kind], expected):
            assert "school in backups: " in sentence
            assert part in sentence
