# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Five real plans give exactly the findings that they deserve."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.lifeline.recovery.plugins.module_utils._plan.registry import TRAPS
from tests.support.data.plans import PLATFORMS, judge, plan_of
from tests.support.runner.server import ROOT

EXPECTED = yaml.safe_load((ROOT / "tests/data/plans/findings.yml").read_text(encoding="utf-8"))
#: In whose plan each trap was first seen.
SEEN_IN = {
    "T1": ["heypeter"],
    "T2": ["heypeter"],
    "T3": ["heypeter"],
    "T4": ["heypeter"],
    "T5": ["heypeter"],
    "T6": ["heypeter"],
    "T7": ["inner_odyssey"],
    "T8": ["inner_odyssey"],
    "T9": ["inner_odyssey", "vibecraft", "heypeter"],
    "T10": ["vibecraft", "learnplay"],
    "T11": ["learnplay"],
    "T12": ["learnplay"],
    "T13": ["studio"],
    "T14": ["studio"],
    "T15": ["studio"],
    "T16": ["learnplay"],
    "T17": ["vibecraft", "inner_odyssey"],
    "T18": ["heypeter"],
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_plan_has_exactly_these_findings(platform: str) -> None:
    found: dict[str, list[str]] = {}
    for finding in judge(plan_of(platform)):
        found.setdefault(finding.id, []).append(finding.path)
    assert found == EXPECTED[platform]


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_found_where_it_was_seen(trap: str) -> None:
    for platform in SEEN_IN[trap]:
        assert trap in {finding.trap for finding in judge(plan_of(platform))}, platform


def test_the_contradictions_of_objectives_are_these() -> None:
    returned = {
        platform: [finding.message for finding in judge(plan_of(platform)) if finding.trap == "T9"]
        for platform in PLATFORMS
    }
    assert returned == {
        "learnplay": ["courses may lose 1 h, but its versions are stored in learnplay, which loses 24 h."],
        "vibecraft": [
            "vibecraft may lose 1 h, but its backups leave gaps of 24 h.",
            "complete_database_loss takes up to 6 h, but the RTO of vibecraft is 4 h.",
            "data_center_outage takes up to 8 h, but the RTO of vibecraft is 4 h.",
        ],
        "inner_odyssey": [
            "ransomware takes up to 8 h, but the RTO of inner-odyssey is 4 h.",
            "supabase_service_outage takes up to 12 h, but the RTO of inner-odyssey is 4 h.",
            "inner-odyssey may lose 24 h, yet any second can be restored: the values disagree.",
        ],
        "heypeter": ["heypeter may lose 1 h, but its backups leave gaps of 24 h."],
        "studio": [],
    }


@pytest.mark.parametrize("platform", PLATFORMS)
def test_findings_come_with_the_severest_first_and_a_next_step(platform: str) -> None:
    found = judge(plan_of(platform))
    assert [item.severity for item in found] == sorted(
        (item.severity for item in found), key=["error", "warning", "info"].index
    )
    assert all(item.next_step.endswith(".") and item.message.endswith(".") for item in found)
